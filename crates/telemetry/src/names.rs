//! Every metric: name, kind, help. Prefix `antiphon_`, except for the process's own, which have Prometheus' usual names, and those
//! that dashboards made for LiveKit ask for, which have LiveKit's.
//! A new metric gets a line here and is recorded by its constant; it is then described and bucketed by itself.

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A wait that people notice: a histogram of seconds from 5 ms to 10 s.
    Latency,
    /// The machinery's own delays: a histogram of seconds from 50 µs to 1 s.
    FineLatency,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// What it means, its unit and its labels.
    pub help: &'static str,
}

macro_rules! define {
    ($($constant:ident, $kind:ident, $name:literal, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// All of them.
        pub const ALL: &[Metric] = &[$(Metric { name: $name, kind: Kind::$kind, help: $help }),*];
    };
}

define! {
    PANICS_TOTAL, Counter, "antiphon_panics_total",
        "Panics that were caught, by `place`. Each is a bug; the session or peer it happened in has ended or went on with an error.";
    SESSIONS, Gauge, "antiphon_sessions", "Agent sessions running now.";
    SESSIONS_CLOSED_TOTAL, Counter, "antiphon_sessions_closed_total", "Agent sessions that ended, by `reason`.";
    TURNS_TOTAL, Counter, "antiphon_turns_total", "Replies whose first audio or text reached the caller, by `preemptive`: started before the caller's turn was committed.";
    INTERRUPTIONS_TOTAL, Counter, "antiphon_interruptions_total", "Times that the caller cut the agent off.";
    TURN_E2E_SECONDS, Latency, "antiphon_turn_e2e_seconds", "End of user speech to first audio, seconds.";
    TURN_END_OF_TURN_SECONDS, Latency, "antiphon_turn_end_of_turn_seconds", "End of user speech to commit of the turn, seconds.";
    TURN_TRANSCRIPTION_SECONDS, Latency, "antiphon_turn_transcription_seconds", "End of user speech to last final transcript, seconds.";
    TURN_RETRIEVAL_SECONDS, Latency, "antiphon_turn_retrieval_seconds", "Knowledge retrieval, seconds.";
    TURN_LLM_TTFT_SECONDS, Latency, "antiphon_turn_llm_ttft_seconds", "LLM request to first token, seconds.";
    TURN_LLM_TTFS_SECONDS, Latency, "antiphon_turn_llm_ttfs_seconds", "LLM request to first clause for synthesis, seconds.";
    TURN_TTS_TTFB_SECONDS, Latency, "antiphon_turn_tts_ttfb_seconds", "Synthesis request to first audio, seconds.";
    TOOL_SECONDS, Latency, "antiphon_tool_seconds", "Tool calls from start to end, seconds, by `tool` and `outcome`.";
    LLM_TOKENS_TOTAL, Counter, "antiphon_llm_tokens_total", "Tokens, by `kind`: prompt, cached, completion.";
    EMBEDDING_TOKENS_TOTAL, Counter, "antiphon_embedding_tokens_total", "Tokens that an embedding endpoint has counted, of documents and of questions.";
    LLM_REQUESTS_TOTAL, Counter, "antiphon_llm_requests_total", "Requests to the language model that ended, by `outcome`: done, cancelled.";
    TTS_REQUESTS_TOTAL, Counter, "antiphon_tts_requests_total", "Requests to the voice that ended, by `outcome`: done, cancelled.";
    TTS_CHARACTERS_TOTAL, Counter, "antiphon_tts_characters_total", "Characters given to the voice.";
    TTS_AUDIO_MILLISECONDS_TOTAL, Counter, "antiphon_tts_audio_milliseconds_total", "Sound that the voice has made, milliseconds.";
    STT_AUDIO_MILLISECONDS_TOTAL, Counter, "antiphon_stt_audio_milliseconds_total", "Sound that recognisers were given, milliseconds.";
    VAD_INFERENCES_TOTAL, Counter, "antiphon_vad_inferences_total", "Windows of sound that voice activity detection has judged.";
    VAD_INFERENCE_MICROSECONDS_TOTAL, Counter, "antiphon_vad_inference_microseconds_total", "Time that voice activity detection took, microseconds.";
    HISTORY_SUMMARIES_TOTAL, Counter, "antiphon_history_summaries_total", "Summaries that were put in the place of the beginning of a long history.";
    PROVIDER_ERRORS_TOTAL, Counter, "antiphon_provider_errors_total", "Provider errors, by `component`.";
    DROPPED_TOTAL, Counter, "antiphon_dropped_total", "Things dropped because a bounded queue was full, by `queue`.";
    PACING_ERROR_SECONDS, FineLatency, "antiphon_pacing_error_seconds", "How late a 20 ms frame of the agent's voice left, seconds.";
    PLAYOUT_STARVED_TOTAL, Counter, "antiphon_playout_starved_total", "Times that the agent's voice stopped in the middle because synthesis was late.";
    DRIVER_STEP_SECONDS, FineLatency, "antiphon_driver_step_seconds", "One step of a session's driver: telling the dialogue a fact and starting what it asks for, seconds.";
    WORKER_LOAD, Gauge, "antiphon_worker_load", "What is taken of what this worker can carry, 0 to 1: its sessions by `max_sessions`, or its missed audio deadlines, whichever is more.";
    WORKER_FULL, Gauge, "antiphon_worker_full", "1 while this worker takes no calls, by `reason`: draining, sessions, load, deadlines.";
    WORKER_REFUSALS_TOTAL, Counter, "antiphon_worker_refusals_total", "Calls that this worker was offered and refused, by `reason`: draining, sessions, load, deadlines, has_it.";
    SERVER_JOINS_TOTAL, Counter, "antiphon_server_joins_total", "Participants that joined a room of our server.";
    SERVER_REFUSED_TOTAL, Counter, "antiphon_server_refused_total", "Joins and API calls refused, by `reason`.";
    SERVER_TRACKS_PUBLISHED_TOTAL, Counter, "antiphon_server_tracks_published_total", "Tracks published in rooms of our server.";
    SERVER_ROOMS, Gauge, "antiphon_server_rooms", "Rooms open now.";
    SERVER_CONNECTIONS, Gauge, "antiphon_server_connections", "Connections to the HTTP port open now.";
    SERVER_WORKERS, Gauge, "antiphon_server_workers", "Agent workers registered now.";
    SERVER_CALLERS_WITHOUT_AGENT, Gauge, "antiphon_server_callers_without_agent", "Rooms (or participants) in which a caller waits and no agent is there now.";
    SERVER_NO_AGENT_TOTAL, Counter, "antiphon_server_no_agent_total", "Times that a room was told that no agent is there, by `reason`: no_worker, workers_full, refused, starting, retrying, given_up.";
    SERVER_JOBS_FAILED_TOTAL, Counter, "antiphon_server_jobs_failed_total", "Agent jobs that went wrong, by `when`: starting, running, absent (the agent did not come, or did not come back, in time).";
    SERVER_JOB_OFFERS_TOTAL, Counter, "antiphon_server_job_offers_total", "Agent jobs that ended, by `outcome` of the offer: assigned, refused, timeout, terminated.";
    SERVER_API_CALLS_TOTAL, Counter, "antiphon_server_api_calls_total", "API calls, by `service`, `method`, `code`.";
    SERVER_WEBHOOKS_TOTAL, Counter, "antiphon_server_webhooks_total", "Webhooks, by `outcome`: sent, refused, failed, age (waited for too long), full (too many waited).";
    RTC_UNKNOWN_DATAGRAMS_TOTAL, Counter, "antiphon_rtc_unknown_datagrams_total", "Datagrams that belong to nobody, or rubbish.";
    RTC_UNSENT_DATAGRAMS_TOTAL, Counter, "antiphon_rtc_unsent_datagrams_total", "Datagrams that the kernel or the network did not take.";
    RTC_PACKETS_RECEIVED_TOTAL, Counter, "antiphon_rtc_packets_received_total", "RTP packets received.";
    RTC_PACKETS_FORWARDED_TOTAL, Counter, "antiphon_rtc_packets_forwarded_total", "RTP packets forwarded to a receiver.";
    RTC_DROPPED_TOTAL, Counter, "antiphon_rtc_dropped_total", "RTP packets and data messages that were dropped, by `reason`.";
    LIVEKIT_ROOM_TOTAL, Gauge, "livekit_room_total", "Rooms open now, under LiveKit's name.";
    LIVEKIT_PARTICIPANT_TOTAL, Gauge, "livekit_participant_total", "Participants in rooms now, under LiveKit's name.";
    LIVEKIT_TRACK_PUBLISHED_TOTAL, Gauge, "livekit_track_published_total", "Tracks published now, by `kind`, under LiveKit's name.";
    LIVEKIT_PARTICIPANT_JOIN_TOTAL, Counter, "livekit_participant_join_total", "Joins, by `state`: signal_connected, rtc_connected, under LiveKit's name.";
    LIVEKIT_NODE_MESSAGES, Counter, "livekit_node_messages", "Messages, by `type` (signal: from clients, rtc: to them) and `status`, under LiveKit's name.";
    LIVEKIT_PACKET_TOTAL, Counter, "livekit_packet_total", "RTP packets, by `direction`: incoming, outgoing, under LiveKit's name.";
    LIVEKIT_PLI_TOTAL, Counter, "livekit_pli_total", "Requests for key frames, by `direction`, under LiveKit's name.";
    LIVEKIT_WEBHOOK_DISPATCH_TOTAL, Counter, "livekit_webhook_dispatch_total", "Webhooks, by `status` (success, failure, drop) and `reason`, under LiveKit's name.";
    PROCESS_RESIDENT_MEMORY_BYTES, Gauge, "process_resident_memory_bytes", "Resident memory, bytes.";
    PROCESS_CPU_SECONDS_TOTAL, Gauge, "process_cpu_seconds_total", "User and system CPU time, seconds.";
    PROCESS_THREADS, Gauge, "process_threads", "Threads.";
    PROCESS_OPEN_FDS, Gauge, "process_open_fds", "Open file descriptors.";
}

/// Give every metric its help text. Called by [`crate::metrics::Metrics::install`].
pub fn describe_all() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => ::metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => ::metrics::describe_gauge!(metric.name, metric.help),
            Kind::Latency | Kind::FineLatency => {
                ::metrics::describe_histogram!(metric.name, ::metrics::Unit::Seconds, metric.help)
            }
        }
    }
}
