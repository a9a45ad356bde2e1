//! What is measured of an answer, and told in the history and in events.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use antiphon_chat::Usage;
use antiphon_chat::time::Duration;
use antiphon_chat::{Item, MessageMetrics, Role};
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::ids::{GenerationId, SegmentId};
use antiphon_dialogue::input::{Llm, Playout, Tts, Vad};
use antiphon_dialogue::metrics::EouMetrics;
use antiphon_dialogue::{Action, Dialogue, Event, Input, Instant, Options};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A session that is told things at times in milliseconds.
struct Call {
    dialogue: Dialogue,
    events: Vec<Event>,
}

impl Call {
    fn new() -> Self {
        let mut call = Self {
            dialogue: Dialogue::new(Options::default(), "Be brief."),
            events: Vec::new(),
        };
        call.tell(0, Input::Started);
        call
    }

    fn tell(&mut self, at: u64, input: Input) {
        self.dialogue.handle(Instant::from_millis(at), input);
        while let Some(action) = self.dialogue.poll() {
            if let Action::Emit(event) = action {
                self.events.push(event);
            }
        }
    }

    /// The model is asked at 1000 for `question` and has answered at 1500.
    fn answered(&mut self, words: &str, usage: Option<Usage>) {
        self.tell(1000, Input::UserText("Hello?".into()));
        let text = Llm::Text(words.into());
        self.llm(1200, text);
        self.llm(1500, Llm::Finished { usage });
    }

    fn llm(&mut self, at: u64, event: Llm) {
        let id = GenerationId(1);
        self.tell(at, Input::Llm { id, event });
    }

    fn tts(&mut self, at: u64, id: u32, event: Tts) {
        let id = SegmentId(id);
        self.tell(at, Input::Tts { id, event });
    }

    /// All sound of a piece is there.
    fn voiced(&mut self, at: u64, id: u32) {
        self.tts(at, id, Tts::FirstAudio);
        let duration = ms(1000);
        self.tts(at, id, Tts::Finished { duration });
    }

    fn starts(&mut self, at: u64, id: u32) {
        let id = SegmentId(id);
        self.tell(at, Input::Playout(Playout::Started { id }));
    }

    fn ends(&mut self, at: u64, id: u32) {
        let id = SegmentId(id);
        let played = ms(1000);
        self.tell(at, Input::Playout(Playout::Finished { id, played }));
    }

    /// Of the agent's last message.
    fn metrics(&self) -> MessageMetrics {
        let mut messages = self
            .dialogue
            .history()
            .iter()
            .filter_map(|item| match item {
                Item::Message(message) if message.role == Role::Assistant => Some(message),
                _ => None,
            });
        messages.next_back().unwrap().metrics
    }
}

fn tokens(completion_tokens: u32) -> Option<Usage> {
    Some(Usage {
        completion_tokens,
        ..Usage::default()
    })
}

#[test]
fn an_answer_says_how_fast_the_model_wrote_it() {
    let mut call = Call::new();
    call.answered("Good day.", tokens(20));
    call.voiced(1700, 1);
    call.starts(1720, 1);
    call.ends(2720, 1);
    assert_eq!(call.metrics().llm_node_tps, Some(40.0));
}

#[test]
fn a_model_that_does_not_count_has_no_speed() {
    let mut call = Call::new();
    call.answered("Good day.", None);
    call.voiced(1700, 1);
    call.starts(1720, 1);
    call.ends(2720, 1);
    assert_eq!(call.metrics().llm_node_tps, None);
}

#[test]
fn an_answer_says_how_long_the_playout_took_and_the_voice_is_no_part_of_it() {
    let mut call = Call::new();
    call.answered("Good day.", None);
    call.voiced(1700, 1);
    call.starts(1735, 1);
    call.ends(2735, 1);
    let metrics = call.metrics();
    assert_eq!(metrics.tts_node_ttfb, Some(ms(200)));
    assert_eq!(metrics.playback_latency, Some(ms(35)));
}

#[test]
fn while_the_agent_waits_for_the_caller_it_is_not_the_playout_that_is_slow() {
    let mut call = Call::new();
    call.answered("Good day.", None);
    call.tell(1600, Input::Vad(Vad::SpeechStarted { speech: ms(50) }));
    call.voiced(1700, 1);
    let ended = Vad::SpeechEnded {
        speech: ms(100),
        silence: ms(250),
    };
    call.tell(1950, Input::Vad(ended));
    let goes_on = call.dialogue.deadline().unwrap();
    call.dialogue.handle(goes_on, Input::Time);
    while call.dialogue.poll().is_some() {}
    let at = goes_on.since(Instant::ZERO).as_millis() as u64;
    call.starts(at + 20, 1);
    call.ends(at + 1020, 1);
    assert_eq!(call.metrics().playback_latency, Some(ms(20)));
}

#[test]
fn what_was_written_before_is_still_read() {
    let closed: Event = serde_json::from_str(r#"{"type":"closed","reason":"error"}"#).unwrap();
    let reason = CloseReason::Error;
    assert_eq!(
        closed,
        Event::Closed {
            reason,
            error: None
        }
    );
    let zero = r#"{"secs":0,"nanos":0}"#;
    let before =
        format!(r#"{{"turn":1,"end_of_utterance_delay":{zero},"transcription_delay":null}}"#);
    let eou: EouMetrics = serde_json::from_str(&before).unwrap();
    assert_eq!(eou.speech_id, None);
}
