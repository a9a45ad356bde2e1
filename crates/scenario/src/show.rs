//! The lines of a timeline: every action and event of the machine in words.

use super::check::describe;
use antiphon_chat::ToolChoice;
use antiphon_chat::time::Duration;
use antiphon_dialogue::SUMMARY_INSTRUCTIONS;
use antiphon_dialogue::action::{Action, NotInterrupted};
use antiphon_dialogue::event::{Event, ToolStatus, Withdrawal};
use antiphon_dialogue::metrics::Metrics;

/// The first words of all lines, and words that stand alone at their end. A scenario that expects other ones has a typo.
pub(crate) const KINDS: [&str; 60] = [
    "not",
    "agent",
    "user",
    "turn",
    "hears",
    "withdrawn",
    "says",
    "said",
    "item",
    "speech",
    "done",
    "spoken",
    "switch",
    "over",
    "overlap",
    "interruption_metrics",
    "updated",
    "false",
    "interrupted",
    "refused",
    "tool",
    "ended",
    "knowledge",
    "metrics",
    "preemptive",
    "usage",
    "llm_metrics",
    "tts_metrics",
    "stt_metrics",
    "vad_metrics",
    "eou_metrics",
    "eot_inference_metrics",
    "executed",
    "summarized",
    "error",
    "closed",
    "close",
    "retrieve",
    "complete",
    "llm",
    "without",
    "tts",
    "audible",
    "play",
    "played",
    "pause",
    "resume",
    "clear",
    "predict",
    "detector",
    "transcription",
    "finalize",
    "mute",
    "run",
    "cancel",
    "cancelled",
    "stt",
    "listening",
    "thinking",
    "speaking",
];

/// What the machine asks for, as the timeline shows it.
pub(crate) fn action(action: &Action) -> String {
    match action {
        Action::Retrieve { query, .. } => format!("retrieve \"{query}\""),
        Action::CompleteTools {
            function_calls,
            handoff,
            ..
        } => {
            let handoff = handoff.as_ref();
            let handoff = handoff.map(|agent| format!(" handoff {agent}"));
            let count = function_calls.len();
            format!("complete tools {count}{}", handoff.unwrap_or_default())
        }
        Action::CompleteUserTurn { message, .. } => format!("complete \"{}\"", message.text),
        Action::StartLlm { request, .. } if *request.instructions == *SUMMARY_INSTRUCTIONS => {
            "llm asked for a summary".into()
        }
        Action::StartLlm { request, .. } => match (&request.tool_choice, &request.tools) {
            (ToolChoice::None, _) => "llm asked without tools".into(),
            (_, Some(names)) => format!("llm asked with {}", names.join(" ")),
            (_, None) => "llm asked".into(),
        },
        Action::CancelLlm { .. } => "llm cancelled".into(),
        Action::Synthesize { text, .. } => format!("tts \"{text}\""),
        Action::CancelSynthesis { .. } => "tts cancelled".into(),
        Action::Play { id } => format!("play {id}"),
        Action::PausePlayout => "pause".into(),
        Action::ResumePlayout => "resume".into(),
        Action::ClearPlayout => "clear".into(),
        Action::PredictTurn { language, .. } => match language {
            Some(language) => format!("predict {language}"),
            None => "predict".into(),
        },
        Action::CancelPrediction { .. } => "detector cancelled".into(),
        Action::FinalizeStt => "finalize".into(),
        Action::ClearStt => "clear stt".into(),
        Action::MuteStt(mute) => format!("mute {mute}"),
        Action::RunTool { call, .. } => format!("run {} {}", call.name, call.arguments),
        Action::SwitchAgent { key, .. } => format!("switch {key}"),
        Action::TaskEnded { task, completed } => {
            let how = if *completed { "" } else { " without result" };
            format!("over {task}{how}")
        }
        Action::StepSpoken { speech, steps } => format!("spoken {speech} {steps}"),
        Action::CancelTool { call_id } => format!("cancel {call_id}"),
        Action::NotInterrupted(
            NotInterrupted::Firm(speech)
            | NotInterrupted::Tool(speech)
            | NotInterrupted::Task(speech),
        ) => format!("refused {speech}"),
        Action::Emit(event) => self::event(event),
        Action::Close => "close".into(),
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::AgentStateChanged { new_state, .. } => format!("agent {new_state:?}").to_lowercase(),
        Event::UserStateChanged { new_state, .. } => format!("user {new_state:?}").to_lowercase(),
        Event::UserInputTranscribed {
            transcript,
            is_final: true,
            ..
        } => format!("turn \"{transcript}\""),
        Event::UserInputTranscribed { transcript, .. } => format!("hears \"{transcript}\""),
        Event::UserInputWithdrawn {
            transcript, reason, ..
        } => {
            let reason = match reason {
                Withdrawal::Recogniser => "recogniser",
                Withdrawal::Echo => "echo",
                Withdrawal::Program => "program",
                Withdrawal::Repeated => "repeated",
            };
            format!("withdrawn \"{transcript}\" by {reason}")
        }
        Event::UserTranscriptionTimeout {
            speech_duration, ..
        } => format!(
            "transcription timeout after {:.2}",
            speech_duration.as_secs_f64()
        ),
        Event::UserTurnExceeded {
            accumulated_word_count,
            duration,
            ..
        } => format!(
            "turn exceeded by {accumulated_word_count} words in {:.2}",
            duration.as_secs_f64()
        ),
        Event::AgentTranscript {
            delta,
            is_final: false,
            ..
        } => format!("says \"{}\"", delta.trim()),
        Event::AgentTranscript { .. } => "said".into(),
        Event::AgentWordsNotHeard { text, .. } => format!("not heard \"{text}\""),
        Event::ConversationItemAdded { item } => format!("item {}", describe(item)),
        Event::HistorySummarized { replaced, .. } => format!("summarized {replaced}"),
        Event::SpeechCreated { purpose, .. } => format!("speech {purpose:?}").to_lowercase(),
        Event::SpeechDone {
            speech,
            interrupted,
        } => {
            let how = if *interrupted { " interrupted" } else { "" };
            format!("done {speech}{how}")
        }
        Event::AgentFalseInterruption { .. } => "false interruption".into(),
        Event::OverlappingSpeech {
            is_interruption,
            detection_delay,
            ..
        } => {
            let what = match is_interruption {
                true => "an interruption",
                false => "none",
            };
            format!("overlap {what} after {:.2}", detection_delay.as_secs_f64())
        }
        Event::Interrupted { .. } => "interrupted".into(),
        Event::ToolStarted { call } => format!("tool {}", call.name),
        Event::ToolUpdated { message, .. } => format!("updated \"{message}\""),
        Event::ToolReplyUpdated {
            update_ids, status, ..
        } => {
            let status = format!("{status:?}").to_lowercase();
            format!("tool reply {status} {}", update_ids.join(" "))
        }
        Event::ToolEnded { output, status, .. } => {
            let how = match status {
                ToolStatus::Done => "",
                ToolStatus::Error => " failed",
                ToolStatus::Cancelled => " cancelled",
            };
            format!("ended {} \"{}\"{how}", output.name, output.output)
        }
        Event::KnowledgeUsed { passages } => format!("knowledge {}", passages.len()),
        Event::TurnMetrics(metrics) => format!(
            "metrics e2e {:.2} end_of_turn {:.2} transcription {:.2} ttft {:.2} ttfb {:.2}{}",
            metrics.e2e_latency.unwrap_or_default().as_secs_f64(),
            metrics.end_of_turn_delay.unwrap_or_default().as_secs_f64(),
            metrics
                .transcription_delay
                .unwrap_or_default()
                .as_secs_f64(),
            metrics.llm_ttft.unwrap_or_default().as_secs_f64(),
            metrics.tts_ttfb.unwrap_or_default().as_secs_f64(),
            if metrics.preemptive {
                " preemptive"
            } else {
                ""
            }
        ),
        Event::MetricsCollected { metrics, .. } => measurement(metrics),
        Event::SessionUsageUpdated { usage } => format!(
            "usage llm {} characters {} voice {:.2} heard {:.2}",
            usage.llm_requests,
            usage.tts_characters_count,
            usage.tts_audio_duration.as_secs_f64(),
            usage.stt_audio_duration.as_secs_f64()
        ),
        Event::FunctionToolsExecuted { function_calls, .. } => {
            format!("executed {}", function_calls.len())
        }
        Event::Error {
            component, message, ..
        } => format!(
            "error {} {message}",
            format!("{component:?}").to_lowercase()
        ),
        Event::Closed { reason, error } => {
            let why = error.as_ref().map(|error| format!(": {error}"));
            let reason = format!("{reason:?}").to_lowercase();
            format!("closed {reason}{}", why.unwrap_or_default())
        }
    }
}

fn measurement(metrics: &Metrics) -> String {
    let s = |duration: Duration| format!("{:.2}", duration.as_secs_f64());
    let first = |duration: Option<Duration>| duration.map_or("none".into(), s);
    let cancelled = |cancelled: bool| if cancelled { " cancelled" } else { "" };
    match metrics {
        Metrics::LlmMetrics(llm) => format!(
            "llm_metrics ttft {} duration {}{}",
            first(llm.ttft),
            s(llm.duration),
            cancelled(llm.cancelled)
        ),
        Metrics::TtsMetrics(tts) => format!(
            "tts_metrics ttfb {} audio {} characters {}{}",
            first(tts.ttfb),
            s(tts.audio_duration),
            tts.characters_count,
            cancelled(tts.cancelled)
        ),
        Metrics::SttMetrics(stt) => format!("stt_metrics audio {}", s(stt.audio_duration)),
        Metrics::VadMetrics(vad) => format!("vad_metrics count {}", vad.inference_count),
        Metrics::EotInferenceMetrics(eot) => format!(
            "eot_inference_metrics total {} delay {} answer {} requests {}",
            first(eot.total_duration),
            first(eot.detection_delay),
            first(eot.prediction_duration),
            eot.num_requests
        ),
        Metrics::EouMetrics(eou) => {
            let answer = eou.speech_id.map(|speech| speech.to_string());
            format!(
                "eou_metrics end_of_utterance {} transcription {} for {}",
                s(eou.end_of_utterance_delay),
                first(eou.transcription_delay),
                answer.unwrap_or("nobody".into())
            )
        }
        Metrics::InterruptionMetrics(overlap) => format!(
            "interruption_metrics {} {}",
            overlap.num_interruptions, overlap.num_backchannels
        ),
    }
}
