//! States, transcripts and events for the clients in the room.

use std::collections::HashMap;
use std::time::Duration;

use antiphon_agent::usage_json;
use antiphon_client::{LocalAudioTrack, Participant, Room, RoomError, TextOptions, TextWriter};
use antiphon_dialogue::Event;
use antiphon_dialogue::event::{InputModality, TurnMetrics};
use antiphon_dialogue::ids::SpeechId;
use antiphon_protocol::names::{
    ATTRIBUTE_AGENT_STATE, ATTRIBUTE_SEGMENT_ID, ATTRIBUTE_TRANSCRIBED_TRACK_ID,
    ATTRIBUTE_TRANSCRIPTION_FINAL, TOPIC_TRANSCRIPTION,
};
use serde_json::{Value, json};

use super::EventReaders;

/// Text stream topic: what happens in the session, one JSON object a stream.
const TOPIC_EVENTS: &str = "antiphon.events";
/// On a transcript of the agent's words: `false` if they could not be voiced.
const ATTRIBUTE_HEARD: &str = "antiphon.heard";
/// The longest text in one event (tool outputs, passages): a page of a playground, not a transport.
const EVENT_TEXT_CHARS: usize = 4000;

/// Whose words the caller's transcript is.
#[derive(Clone, Debug, Default)]
pub(super) struct Voice {
    pub(super) identity: String,
    pub(super) track_sid: String,
}

/// Tells the room.
pub(super) struct Publisher {
    room: Room,
    track: LocalAudioTrack,
    segments: Segments,
    speech: Option<OpenSpeech>,
    readers: EventReaders,
}

/// Names segments of transcripts; two sessions never have the same one.
struct Segments {
    session: String,
}

impl Segments {
    fn new(session: &str) -> Self {
        Self {
            session: session.trim_start_matches("AS_").to_owned(),
        }
    }

    fn id(&self, of: &impl std::fmt::Display) -> String {
        format!("SG_{}_{of}", self.session)
    }
}

/// The agent's speech that is being written.
struct OpenSpeech {
    id: SpeechId,
    writer: TextWriter,
    text: String,
}

impl Publisher {
    /// `session` names the session for ever, so that segments of an agent that takes over are not taken for those before.
    pub(super) fn new(
        room: Room,
        track: LocalAudioTrack,
        session: &str,
        readers: EventReaders,
    ) -> Self {
        Self {
            room,
            track,
            segments: Segments::new(session),
            speech: None,
            readers,
        }
    }

    /// Tell the room about an event of the session.
    pub(super) async fn event(&mut self, event: &Event, caller: &Voice) -> Result<(), RoomError> {
        match event {
            Event::UserInputTranscribed {
                turn,
                modality: InputModality::Audio,
                transcript,
                is_final,
                ..
            } => {
                self.user_words(&self.segments.id(turn), transcript, *is_final, caller)
                    .await?;
            }
            Event::AgentTranscript {
                speech,
                delta,
                is_final,
                ..
            } => self.agent_words(*speech, delta, *is_final).await?,
            Event::AgentWordsNotHeard { segment, text, .. } => {
                self.words_not_heard(&self.segments.id(segment), text)
                    .await?;
            }
            Event::AgentStateChanged { new_state, .. } => {
                let state = serde_json::to_value(new_state)
                    .ok()
                    .and_then(|state| state.as_str().map(str::to_owned));
                let attributes =
                    HashMap::from([(ATTRIBUTE_AGENT_STATE.to_owned(), state.unwrap_or_default())]);
                self.room.set_attributes(attributes).await?;
            }
            _ => {}
        }
        // Asked anew for every event: participants come, go, and are granted more or less.
        let audience = audience(
            self.readers,
            self.room.participants().iter().map(AsRef::as_ref),
        );
        if let Some(destinations) = audience
            && let Some(json) = event_json(event, &self.segments)
        {
            let options = TextOptions {
                topic: TOPIC_EVENTS.into(),
                destinations,
                ..Default::default()
            };
            self.room.send_text(&json.to_string(), options).await?;
        }
        Ok(())
    }

    /// The caller's words: the whole text each time, one segment a turn.
    async fn user_words(
        &self,
        segment: &str,
        text: &str,
        is_final: bool,
        caller: &Voice,
    ) -> Result<(), RoomError> {
        let options = TextOptions {
            sender_identity: Some(caller.identity.clone()).filter(|identity| !identity.is_empty()),
            ..transcription(segment, is_final, &caller.track_sid)
        };
        self.room.send_text(text, options).await?;
        self.room
            .publish_transcription(&caller.identity, &caller.track_sid, segment, text, is_final)
            .await
    }

    /// The agent's words: one stream a speech, written as it is spoken.
    async fn agent_words(
        &mut self,
        id: SpeechId,
        delta: &str,
        is_final: bool,
    ) -> Result<(), RoomError> {
        if self.speech.as_ref().is_some_and(|speech| speech.id != id) {
            self.end_speech().await?;
        }
        if !delta.is_empty() {
            let segment = self.segments.id(&id);
            let speech = match self.speech.take() {
                Some(speech) => speech,
                None => {
                    let writer = self
                        .room
                        .stream_text(transcription(&segment, false, &self.track.sid()))
                        .await?;
                    OpenSpeech {
                        id,
                        writer,
                        text: String::new(),
                    }
                }
            };
            let speech = self.speech.insert(speech);
            speech.writer.write(delta).await?;
            speech.text.push_str(delta);
            if !is_final {
                let text = speech.text.clone();
                self.legacy_agent_words(&segment, &text, false).await?;
            }
        }
        if is_final {
            self.end_speech().await
        } else {
            Ok(())
        }
    }

    /// Words that have no sound, for callers who read: a segment of their own, which says so.
    async fn words_not_heard(&self, segment: &str, text: &str) -> Result<(), RoomError> {
        let mut options = transcription(segment, true, &self.track.sid());
        let not = (ATTRIBUTE_HEARD.to_owned(), false.to_string());
        options.attributes.extend([not]);
        self.room.send_text(text, options).await?;
        self.legacy_agent_words(segment, text, true).await
    }

    async fn end_speech(&mut self) -> Result<(), RoomError> {
        let Some(speech) = self.speech.take() else {
            return Ok(());
        };
        let segment = self.segments.id(&speech.id);
        speech
            .writer
            .close(transcription(&segment, true, &self.track.sid()).attributes)
            .await?;
        self.legacy_agent_words(&segment, &speech.text, true).await
    }

    async fn legacy_agent_words(
        &self,
        segment: &str,
        text: &str,
        is_final: bool,
    ) -> Result<(), RoomError> {
        let identity = self.room.local_identity();
        self.room
            .publish_transcription(&identity, &self.track.sid(), segment, text, is_final)
            .await
    }
}

/// To whom an event is sent, as destinations of a stream, where an empty list means everybody. `None`: to nobody.
fn audience<'a>(
    readers: EventReaders,
    participants: impl Iterator<Item = &'a Participant>,
) -> Option<Vec<String>> {
    match readers {
        EventReaders::Everyone => Some(Vec::new()),
        EventReaders::Nobody => None,
        EventReaders::Granted => {
            let granted: Vec<String> = participants
                .filter(|participant| participant.can_manage_agent_session)
                .map(|participant| participant.identity.clone())
                .collect();
            (!granted.is_empty()).then_some(granted)
        }
    }
}

fn transcription(segment: &str, is_final: bool, track_sid: &str) -> TextOptions {
    let attributes = HashMap::from([
        (ATTRIBUTE_SEGMENT_ID.to_owned(), segment.to_owned()),
        (
            ATTRIBUTE_TRANSCRIPTION_FINAL.to_owned(),
            is_final.to_string(),
        ),
        (
            ATTRIBUTE_TRANSCRIBED_TRACK_ID.to_owned(),
            track_sid.to_owned(),
        ),
    ]);
    TextOptions {
        topic: TOPIC_TRANSCRIPTION.into(),
        attributes,
        ..Default::default()
    }
}

/// The event as the playground reads it; `None`: it travels in another way, or is nobody's business.
fn event_json(event: &Event, segments: &Segments) -> Option<Value> {
    Some(match event {
        Event::AgentStateChanged {
            old_state,
            new_state,
        } => {
            json!({"type": "agent_state_changed", "old_state": old_state, "new_state": new_state})
        }
        Event::UserStateChanged {
            old_state,
            new_state,
            ..
        } => {
            json!({"type": "user_state_changed", "old_state": old_state, "new_state": new_state})
        }
        Event::AgentFalseInterruption { resumed } => {
            json!({"type": "agent_false_interruption", "resumed": resumed})
        }
        Event::OverlappingSpeech {
            is_interruption,
            detection_delay,
            agent_ended,
            ..
        } => json!({
            "type": "overlapping_speech", "is_interruption": is_interruption,
            "detection_delay_ms": ms(*detection_delay), "agent_ended": agent_ended,
        }),
        Event::UserInputWithdrawn {
            transcript, reason, ..
        } => json!({
            "type": "user_input_withdrawn", "transcript": short(transcript), "reason": reason,
        }),
        Event::UserTranscriptionTimeout {
            speech_duration, ..
        } => {
            json!({"type": "user_transcription_timeout", "speech_duration_ms": ms(*speech_duration)})
        }
        Event::UserTurnExceeded {
            accumulated_transcript,
            accumulated_word_count,
            duration,
            ..
        } => json!({
            "type": "user_turn_exceeded", "transcript": short(accumulated_transcript),
            "words": accumulated_word_count, "duration_ms": ms(*duration),
        }),
        Event::Interrupted { speech } => {
            json!({"type": "interrupted", "speech": speech.to_string(), "segment_id": segments.id(speech)})
        }
        Event::AgentWordsNotHeard {
            speech,
            segment,
            text,
        } => json!({
            "type": "agent_words_not_heard", "speech": speech.to_string(), "segment_id": segments.id(segment), "text": short(text),
        }),
        Event::ToolStarted { call } => json!({
            "type": "tool_started", "call_id": call.call_id, "name": call.name, "arguments": short(&call.arguments),
        }),
        Event::ToolUpdated { call_id, message } => json!({
            "type": "tool_updated", "call_id": call_id, "message": short(message),
        }),
        Event::ToolReplyUpdated {
            update_ids,
            status,
            speech,
        } => json!({
            "type": "tool_reply_updated", "update_ids": update_ids, "status": status, "speech": speech.to_string(),
        }),
        Event::ToolEnded {
            output,
            status,
            duration,
        } => json!({
            "type": "tool_ended", "call_id": output.call_id, "name": output.name, "output": short(&output.output),
            "is_error": output.is_error, "status": status, "duration_ms": ms(*duration),
        }),
        Event::KnowledgeUsed { passages } => {
            let passage = |passage: &antiphon_chat::Passage| json!({"source": passage.source, "page": passage.page, "score": passage.score, "text": short(&passage.text)});
            json!({"type": "knowledge_used", "passages": passages.iter().map(passage).collect::<Vec<_>>()})
        }
        Event::TurnMetrics(metrics) => turn_metrics(metrics, segments),
        Event::Error {
            component,
            message,
            recoverable,
        } => {
            json!({"type": "error", "component": component, "message": short(message), "recoverable": recoverable})
        }
        Event::SessionUsageUpdated { usage } => {
            let mut json = usage_json(usage);
            if let Some(fields) = json.as_object_mut() {
                fields.insert("type".into(), "session_usage_updated".into());
            }
            json
        }
        Event::Closed { reason, error } => {
            json!({"type": "closed", "reason": reason, "error": error.as_deref().map(short)})
        }
        Event::UserInputTranscribed { .. }
        | Event::AgentTranscript { .. }
        | Event::ConversationItemAdded { .. }
        | Event::SpeechCreated { .. }
        | Event::SpeechDone { .. }
        | Event::FunctionToolsExecuted { .. }
        | Event::HistorySummarized { .. }
        | Event::MetricsCollected { .. } => return None,
        #[allow(unreachable_patterns, reason = "the dialogue may learn new events")]
        _ => return None,
    })
}

fn turn_metrics(metrics: &TurnMetrics, segments: &Segments) -> Value {
    json!({
        "type": "turn_metrics",
        "turn": metrics.turn.map(|turn| turn.to_string()),
        "segment_id": metrics.speech.map(|speech| segments.id(&speech)),
        "end_of_turn_delay_ms": metrics.end_of_turn_delay.map(ms),
        "transcription_delay_ms": metrics.transcription_delay.map(ms),
        "retrieval_ms": metrics.retrieval.map(ms),
        "llm_ttft_ms": metrics.llm_ttft.map(ms),
        "llm_ttfs_ms": metrics.llm_ttfs.map(ms),
        "tts_ttfb_ms": metrics.tts_ttfb.map(ms),
        "e2e_latency_ms": metrics.e2e_latency.map(ms),
        "preemptive": metrics.preemptive,
        "tool_steps": metrics.tool_steps,
    })
}

/// Milliseconds with one decimal.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn short(text: &str) -> String {
    text.chars().take(EVENT_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use antiphon_dialogue::event::CloseReason;
    use antiphon_dialogue::ids::TurnId;

    #[test]
    fn without_a_participant_who_may_read_events_they_are_sent_to_nobody() {
        // An empty list of destinations would mean everybody.
        let nobody = std::iter::empty;
        assert_eq!(audience(EventReaders::Granted, nobody()), None);
        assert_eq!(audience(EventReaders::Nobody, nobody()), None);
        assert_eq!(audience(EventReaders::Everyone, nobody()), Some(Vec::new()));
    }

    #[test]
    fn turn_metrics_are_milliseconds_under_the_playgrounds_names() {
        let metrics = Event::TurnMetrics(TurnMetrics {
            turn: Some(TurnId(1)),
            speech: Some(SpeechId(2)),
            e2e_latency: Some(Duration::from_micros(512_340)),
            ..Default::default()
        });
        let json = event_json(&metrics, &Segments::new("AS_1f")).unwrap();
        assert_eq!(json["type"], "turn_metrics");
        assert_eq!(json["turn"], "turn_1");
        assert_eq!(json["segment_id"], "SG_1f_speech_2");
        assert_eq!(json["e2e_latency_ms"], 512.3);
        assert_eq!(json["llm_ttft_ms"], Value::Null);
    }

    #[test]
    fn the_page_reads_why_a_call_has_ended() {
        let segments = Segments::new("AS_1f");
        let failed = Event::Closed {
            reason: CloseReason::Error,
            error: Some("no credit is left".into()),
        };
        let json = event_json(&failed, &segments).unwrap();
        assert_eq!(
            json.to_string(),
            r#"{"type":"closed","reason":"error","error":"no credit is left"}"#
        );
        let done = Event::Closed {
            reason: CloseReason::TaskCompleted,
            error: None,
        };
        let json = event_json(&done, &segments).unwrap();
        assert_eq!(json["reason"], "task_completed");
        assert_eq!(json["error"], Value::Null);
    }
}
