//! A conversation as lanes beside each other (caller, agent, model, voice, tools), gathered from what goes in and out of the
//! machine: of a simulation or of a recording.

use std::collections::BTreeMap;

use serde::Serialize;

use antiphon_chat::time::{Duration, Instant};
use antiphon_dialogue::action::Action;
use antiphon_dialogue::ids::{GenerationId, RetrievalId, SegmentId};
use antiphon_dialogue::input::{Input, Llm, Playout, Stt, Tts, Vad};

/// Bytes of a span's words that are kept: more than any terminal shows.
const MAX_TEXT: usize = 400;

/// Whose doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The caller's voice and typing.
    Caller,
    /// The agent's voice as it is heard.
    Agent,
    /// Requests to the language model.
    Llm,
    /// Requests to speech synthesis.
    Tts,
    /// Tool calls and searches of the knowledge.
    Tools,
}

impl Lane {
    /// All of them, from top to bottom.
    pub const ALL: [Self; 5] = [Self::Caller, Self::Agent, Self::Llm, Self::Tts, Self::Tools];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Agent => "agent",
            Self::Llm => "llm",
            Self::Tts => "tts",
            Self::Tools => "tools",
        }
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// It did not.
    Open,
    /// As it should.
    Done,
    /// Cut off: interrupted, cancelled.
    Cut,
    /// It failed.
    Failed,
}

/// Something that lasted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// Whose.
    pub lane: Lane,
    /// Its beginning.
    #[serde(rename = "from_us")]
    pub from: Instant,
    /// First token, first audio.
    #[serde(rename = "first_us")]
    pub first: Option<Instant>,
    /// Its end, when there was one.
    #[serde(rename = "to_us")]
    pub to: Option<Instant>,
    /// Words, or a tool's name.
    pub text: String,
    /// How it ended.
    pub ended: Ended,
    /// When the agent held its tongue, undecided whether it was interrupted.
    #[serde(rename = "held_us")]
    pub held: Vec<(Instant, Option<Instant>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Caller,
    Heard(SegmentId),
    Llm(GenerationId),
    Tts(SegmentId),
    Tool(String),
    Search(RetrievalId),
}

/// All spans, by their beginnings.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    spans: Vec<Span>,
    open: BTreeMap<Key, usize>,
    words: BTreeMap<SegmentId, String>,
}

impl Lanes {
    /// Everything so far.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The machine is told this.
    pub fn input(&mut self, now: Instant, input: &Input) {
        match input {
            Input::Vad(Vad::SpeechStarted { speech }) => {
                self.begin(Key::Caller, Lane::Caller, now.back(*speech), "");
            }
            Input::Vad(Vad::SpeechEnded { silence, .. }) => {
                self.end(&Key::Caller, now.back(*silence), Ended::Done);
            }
            Input::Stt(Stt::Final { text, .. }) => self.caller_said(now, text),
            Input::UserText(text) => self.moment(Lane::Caller, now, text),
            Input::Llm { id, event } => self.llm(now, *id, event),
            Input::Tts { id, event } => self.tts(now, *id, event),
            Input::Playout(playout) => self.playout(now, *playout),
            Input::ToolFinished { call_id, result } => {
                let ended = if result.is_ok() {
                    Ended::Done
                } else {
                    Ended::Failed
                };
                self.end(&Key::Tool(call_id.clone()), now, ended);
            }
            Input::Retrieved { id, .. } => self.end(&Key::Search(*id), now, Ended::Done),
            Input::Started
            | Input::Vad(Vad::Frame { .. })
            | Input::Stt(_)
            | Input::TurnPrediction { .. }
            | Input::ToolUpdated { .. }
            | Input::Measured(_)
            | Input::UserTurnCompleted { .. }
            | Input::ToolsCompleted { .. }
            | Input::Command(_)
            | Input::Time => {}
        }
    }

    /// The machine asks for this.
    pub fn action(&mut self, now: Instant, action: &Action) {
        match action {
            Action::Retrieve { id, .. } => {
                self.begin(Key::Search(*id), Lane::Tools, now, "knowledge");
            }
            Action::StartLlm { id, .. } => self.begin(Key::Llm(*id), Lane::Llm, now, ""),
            Action::CancelLlm { id } => self.end(&Key::Llm(*id), now, Ended::Cut),
            Action::Synthesize { id, text } => {
                self.words.insert(*id, text.clone());
                self.end(&Key::Tts(*id), now, Ended::Cut);
                self.begin(Key::Tts(*id), Lane::Tts, now, text);
            }
            Action::CancelSynthesis { id } => self.end(&Key::Tts(*id), now, Ended::Cut),
            Action::PausePlayout => {
                for span in self.heard() {
                    span.held.push((now, None));
                }
            }
            Action::ResumePlayout | Action::ClearPlayout => {
                for span in self.heard() {
                    if let Some((_, to)) = span.held.last_mut() {
                        to.get_or_insert(now);
                    }
                }
            }
            Action::RunTool { call, .. } => {
                let text = format!("{} {}", call.name, call.arguments);
                self.begin(Key::Tool(call.call_id.clone()), Lane::Tools, now, &text);
            }
            Action::CancelTool { call_id } => {
                self.end(&Key::Tool(call_id.clone()), now, Ended::Cut);
            }
            Action::Play { .. }
            | Action::PredictTurn { .. }
            | Action::FinalizeStt
            | Action::ClearStt
            | Action::CancelPrediction { .. }
            | Action::MuteStt(_)
            | Action::StepSpoken { .. }
            | Action::SwitchAgent { .. }
            | Action::TaskEnded { .. }
            | Action::CompleteUserTurn { .. }
            | Action::CompleteTools { .. }
            | Action::NotInterrupted(_)
            | Action::Emit(_)
            | Action::Close => {}
        }
    }

    fn llm(&mut self, now: Instant, id: GenerationId, event: &Llm) {
        let key = Key::Llm(id);
        match event {
            Llm::Text(text) => self.add(&key, now, text),
            Llm::ToolCall(call) | Llm::RefusedCall { call, .. } => {
                self.add(&key, now, &format!("→{}", call.name))
            }
            Llm::Thinking | Llm::Withdrawn | Llm::Warning(_) => {}
            Llm::Finished { .. } => self.end(&key, now, Ended::Done),
            Llm::Failed(_) => self.end(&key, now, Ended::Failed),
        }
    }

    fn tts(&mut self, now: Instant, id: SegmentId, event: &Tts) {
        let key = Key::Tts(id);
        match event {
            Tts::FirstAudio => self.add(&key, now, ""),
            Tts::Words(_) => {}
            Tts::Finished { .. } => self.end(&key, now, Ended::Done),
            Tts::Failed(_) => self.end(&key, now, Ended::Failed),
        }
    }

    fn playout(&mut self, now: Instant, playout: Playout) {
        match playout {
            Playout::Started { id } => self.audible(id, now),
            Playout::Progress { id, played } => self.audible(id, now.back(played)),
            Playout::Finished { id, played } => {
                self.audible(id, now.back(played));
                self.end(&Key::Heard(id), now, Ended::Done);
                self.words.remove(&id);
            }
            Playout::Cleared { id, .. } => {
                self.end(&Key::Heard(id), now, Ended::Cut);
                self.words.remove(&id);
            }
        }
    }

    fn audible(&mut self, id: SegmentId, from: Instant) {
        if !self.open.contains_key(&Key::Heard(id))
            && let Some(text) = self.words.get(&id).cloned()
        {
            self.begin(Key::Heard(id), Lane::Agent, from, &text);
        }
    }

    fn heard(&mut self) -> impl Iterator<Item = &mut Span> {
        self.spans
            .iter_mut()
            .filter(|span| span.lane == Lane::Agent && span.to.is_none())
    }

    /// Words of a final transcript belong to what was said last.
    fn caller_said(&mut self, now: Instant, text: &str) {
        let last = self
            .spans
            .iter_mut()
            .rev()
            .find(|span| span.lane == Lane::Caller);
        match last {
            Some(span) if now.since(span.from) < LONG_AGO || span.to.is_none() => {
                if !span.text.is_empty() {
                    span.text.push(' ');
                }
                push_cut(&mut span.text, text);
            }
            Some(_) | None => self.moment(Lane::Caller, now, text),
        }
    }

    fn begin(&mut self, key: Key, lane: Lane, from: Instant, text: &str) {
        if self.open.contains_key(&key) {
            return;
        }
        self.open.insert(key, self.spans.len());
        let mut words = String::new();
        push_cut(&mut words, text);
        self.spans.push(Span {
            lane,
            from,
            first: None,
            to: None,
            text: words,
            ended: Ended::Open,
            held: Vec::new(),
        });
    }

    fn moment(&mut self, lane: Lane, at: Instant, text: &str) {
        let mut words = String::new();
        push_cut(&mut words, text);
        self.spans.push(Span {
            lane,
            from: at,
            first: None,
            to: Some(at),
            text: words,
            ended: Ended::Done,
            held: Vec::new(),
        });
    }

    fn add(&mut self, key: &Key, now: Instant, text: &str) {
        if let Some(span) = self.open.get(key).and_then(|&at| self.spans.get_mut(at)) {
            span.first.get_or_insert(now);
            push_cut(&mut span.text, text);
        }
    }

    fn end(&mut self, key: &Key, at: Instant, ended: Ended) {
        if let Some(span) = self
            .open
            .remove(key)
            .and_then(|index| self.spans.get_mut(index))
        {
            span.to = Some(at.max(span.from));
            span.ended = ended;
            if let Some((_, to)) = span.held.last_mut() {
                to.get_or_insert(at);
            }
        }
    }
}

/// A transcript that comes later than this after its speech began belongs to none that was seen.
const LONG_AGO: Duration = Duration::from_secs(60);

fn push_cut(text: &mut String, more: &str) {
    if text.len() < MAX_TEXT {
        let end = more.floor_char_boundary(MAX_TEXT - text.len());
        text.push_str(more.get(..end).unwrap_or_default());
    }
}
