//! Every metric of a session is recorded here, so that each is recorded once.

use std::time::Duration;

use antiphon_dialogue::Event;
use antiphon_dialogue::event::{CloseReason, TurnMetrics};
use antiphon_dialogue::metrics::Metrics;
use antiphon_telemetry::names;
use metrics::{counter, gauge, histogram};

pub(crate) fn session_began() {
    gauge!(names::SESSIONS).increment(1.0);
}

pub(crate) fn session_ended(reason: CloseReason) {
    gauge!(names::SESSIONS).decrement(1.0);
    let reason = match reason {
        CloseReason::UserInitiated => "user_initiated",
        CloseReason::ParticipantDisconnected => "participant_disconnected",
        CloseReason::Error => "error",
        CloseReason::JobShutdown => "job_shutdown",
        CloseReason::TaskCompleted => "task_completed",
    };
    counter!(names::SESSIONS_CLOSED_TOTAL, "reason" => reason).increment(1);
}

/// A panic was caught; what it said is in the log already (the panic hook writes it).
pub(crate) fn panicked(place: &'static str) {
    counter!(names::PANICS_TOTAL, "place" => place).increment(1);
    tracing::error!(place, "a panic was caught: this is a bug");
}

pub(crate) fn provider_error(component: &'static str, error: &str) {
    counter!(names::PROVIDER_ERRORS_TOTAL, "component" => component).increment(1);
    tracing::warn!(component, error, "a provider has trouble");
}

pub(crate) fn dropped(queue: &'static str) {
    counter!(names::DROPPED_TOTAL, "queue" => queue).increment(1);
}

pub(crate) fn paced(late: Duration) {
    histogram!(names::PACING_ERROR_SECONDS).record(late);
}

pub(crate) fn starved() {
    counter!(names::PLAYOUT_STARVED_TOTAL).increment(1);
}

pub(crate) fn stepped(took: Duration) {
    histogram!(names::DRIVER_STEP_SECONDS).record(took);
}

pub(crate) fn tool(name: &str, ok: bool, took: Duration) {
    let outcome = if ok { "ok" } else { "error" };
    histogram!(names::TOOL_SECONDS, "tool" => name.to_owned(), "outcome" => outcome).record(took);
}

/// What an event means in numbers and in the log.
pub(crate) fn event(event: &Event) {
    match event {
        Event::TurnMetrics(turn) => turn_metrics(turn),
        Event::MetricsCollected { metrics, .. } => collected(metrics),
        Event::HistorySummarized { replaced, .. } => {
            counter!(names::HISTORY_SUMMARIES_TOTAL).increment(1);
            tracing::info!(
                replaced,
                "a summary stands for the beginning of the history"
            );
        }
        Event::Interrupted { speech } => {
            counter!(names::INTERRUPTIONS_TOTAL).increment(1);
            tracing::debug!(%speech, "the caller interrupted");
        }
        Event::Error {
            component,
            message,
            recoverable,
        } => {
            tracing::warn!(
                ?component,
                error = message,
                recoverable,
                "the dialogue has trouble"
            );
        }
        Event::AgentStateChanged { new_state, .. } => {
            tracing::debug!(state = ?new_state, "agent state")
        }
        Event::UserStateChanged { .. }
        | Event::UserInputTranscribed { .. }
        | Event::UserInputWithdrawn { .. }
        | Event::UserTranscriptionTimeout { .. }
        | Event::UserTurnExceeded { .. }
        | Event::AgentTranscript { .. }
        | Event::AgentWordsNotHeard { .. }
        | Event::ConversationItemAdded { .. }
        | Event::SpeechCreated { .. }
        | Event::SpeechDone { .. }
        | Event::ToolUpdated { .. }
        | Event::ToolReplyUpdated { .. }
        | Event::AgentFalseInterruption { .. }
        | Event::OverlappingSpeech { .. }
        | Event::ToolStarted { .. }
        | Event::ToolEnded { .. }
        | Event::FunctionToolsExecuted { .. }
        | Event::KnowledgeUsed { .. }
        | Event::SessionUsageUpdated { .. }
        | Event::Closed { .. } => {}
    }
}

fn collected(metrics: &Metrics) {
    match metrics {
        Metrics::LlmMetrics(llm) => {
            let outcome = if llm.cancelled { "cancelled" } else { "done" };
            counter!(names::LLM_REQUESTS_TOTAL, "outcome" => outcome).increment(1);
            let usage = llm.usage.unwrap_or_default();
            for (kind, tokens) in [
                ("prompt", usage.prompt_tokens),
                ("cached", usage.cached_tokens),
                ("completion", usage.completion_tokens),
            ] {
                counter!(names::LLM_TOKENS_TOTAL, "kind" => kind).increment(u64::from(tokens));
            }
        }
        Metrics::TtsMetrics(tts) => {
            let outcome = if tts.cancelled { "cancelled" } else { "done" };
            counter!(names::TTS_REQUESTS_TOTAL, "outcome" => outcome).increment(1);
            counter!(names::TTS_CHARACTERS_TOTAL).increment(u64::from(tts.characters_count));
            counter!(names::TTS_AUDIO_MILLISECONDS_TOTAL).increment(millis(tts.audio_duration));
        }
        Metrics::SttMetrics(stt) => {
            counter!(names::STT_AUDIO_MILLISECONDS_TOTAL).increment(millis(stt.audio_duration));
        }
        Metrics::VadMetrics(vad) => {
            counter!(names::VAD_INFERENCES_TOTAL).increment(u64::from(vad.inference_count));
            let micros = u64::try_from(vad.inference_duration_total.as_micros());
            counter!(names::VAD_INFERENCE_MICROSECONDS_TOTAL).increment(micros.unwrap_or(0));
        }
        // the turn's own histograms have it
        Metrics::EouMetrics(_)
        | Metrics::EotInferenceMetrics(_)
        | Metrics::InterruptionMetrics(_) => {}
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn turn_metrics(turn: &TurnMetrics) {
    let preemptive = if turn.preemptive { "yes" } else { "no" };
    counter!(names::TURNS_TOTAL, "preemptive" => preemptive).increment(1);
    for (name, duration) in [
        (names::TURN_E2E_SECONDS, turn.e2e_latency),
        (names::TURN_END_OF_TURN_SECONDS, turn.end_of_turn_delay),
        (names::TURN_TRANSCRIPTION_SECONDS, turn.transcription_delay),
        (names::TURN_RETRIEVAL_SECONDS, turn.retrieval),
        (names::TURN_LLM_TTFT_SECONDS, turn.llm_ttft),
        (names::TURN_LLM_TTFS_SECONDS, turn.llm_ttfs),
        (names::TURN_TTS_TTFB_SECONDS, turn.tts_ttfb),
    ] {
        if let Some(duration) = duration {
            histogram!(name).record(duration);
        }
    }
    let id = turn.turn.map(|turn| turn.to_string());
    tracing::info!(
        turn = id,
        e2e_ms = turn.e2e_latency.map(tenths),
        llm_ttft_ms = turn.llm_ttft.map(tenths),
        tts_ttfb_ms = turn.tts_ttfb.map(tenths),
        "answered"
    );
}

/// Milliseconds with one decimal, for log lines: a number that can be sorted and summed.
fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_in_a_log_line_is_a_number_of_milliseconds() {
        assert_eq!(tenths(Duration::from_micros(81_598)).to_string(), "81.6");
        assert_eq!(tenths(Duration::from_millis(1200)).to_string(), "1200");
    }
}
