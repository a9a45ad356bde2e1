//! Virtual time: providers, a playout and a caller that answer the machine as a scenario says.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use super::cast::{Found, Hearing, Hook, Line, Prediction, Reply, Speech, Tool, ToolsHook, Voice};
use super::check::seconds;
use super::explore::Mischief;
use super::lanes::Lanes;
use super::show;
use super::tools::Tasks;
use crate::invariants::Observer;
use antiphon_chat::Item;
use antiphon_chat::time::{Duration, Instant};
use antiphon_dialogue::Dialogue;
use antiphon_dialogue::action::Action;
use antiphon_dialogue::ids::{
    BatchId, GenerationId, PredictionId, RetrievalId, SegmentId, SpeechId, TurnId,
};
use antiphon_dialogue::input::{Input, Llm, Playout, Stt, Tts, Vad};

const MS: Duration = Duration::from_millis(1);
const HOP: Duration = Duration::from_millis(32);
const FRAME: Duration = Duration::from_millis(20);
/// A word is understood this long after it was said.
const INTERIM_DELAY: Duration = Duration::from_millis(200);
const CHARS_PER_SECOND: f64 = 15.0;

#[derive(Debug)]
struct Timed(Instant, u64, Input);

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Timed {}
impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// One segment in the simulated playout.
#[derive(Clone, Debug)]
struct Audio {
    id: SegmentId,
    text: String,
    length: Option<Duration>,
    arrived: bool,
    queued: bool,
    played: Duration,
}

/// A machine among simulated providers, which answer whatever it asks.
#[derive(Debug)]
pub struct Simulation {
    /// The machine.
    pub dialogue: Dialogue,
    /// Everything seen.
    pub timeline: Vec<Line>,
    /// The same, to be drawn.
    pub lanes: Lanes,
    /// What the observer found wrong.
    pub violations: Vec<String>,
    /// How the caller's voice is noticed.
    pub hearing: Hearing,
    /// What the machine was told, if it is to be kept.
    pub told: Option<Vec<(Instant, Input)>>,
    observer: Observer,
    /// What goes wrong on the way to the machine.
    pub(super) mischief: Option<Mischief>,
    pub(super) now: Instant,
    replies: VecDeque<Reply>,
    /// With the caller's message that each request answers.
    asked: Vec<(GenerationId, Reply, String)>,
    voices: VecDeque<Voice>,
    pub(super) tools: Vec<Tool>,
    pub(super) tasks: Tasks,
    pub(super) found: VecDeque<Found>,
    pub(super) predictions: VecDeque<Prediction>,
    pub(super) hooks: VecDeque<Hook>,
    pub(super) tools_hooks: VecDeque<ToolsHook>,
    /// Requests that the scenario holds no answer for.
    unscripted_replies: usize,
    /// Tools that were called and that the scenario gives no result of.
    pub(super) unscripted_tools: BTreeSet<String>,
    /// Inputs are repeated: nothing else answers.
    repeating: bool,
    events: BinaryHeap<Reverse<Timed>>,
    sequence: u64,
    audio: Vec<Audio>,
    paused: bool,
    next_frame: Instant,
}

impl Simulation {
    /// Providers around a machine in whatever state, from `now` on. Requests from before are never answered.
    pub fn new(dialogue: Dialogue, observer: Observer, now: Instant) -> Self {
        Self {
            tasks: Tasks::new(dialogue.options()),
            dialogue,
            timeline: Vec::new(),
            lanes: Lanes::default(),
            violations: Vec::new(),
            hearing: Hearing::default(),
            told: None,
            observer,
            mischief: None,
            now,
            replies: VecDeque::new(),
            asked: Vec::new(),
            voices: VecDeque::new(),
            tools: Vec::new(),
            found: VecDeque::new(),
            predictions: VecDeque::new(),
            hooks: VecDeque::new(),
            tools_hooks: VecDeque::new(),
            unscripted_replies: 0,
            unscripted_tools: BTreeSet::new(),
            repeating: false,
            events: BinaryHeap::new(),
            sequence: 0,
            audio: Vec::new(),
            paused: false,
            next_frame: now + FRAME,
        }
    }

    /// A speech that was created and is not done, though no task keeps it waiting.
    pub fn unfinished(&self) -> Option<SpeechId> {
        self.observer.unfinished().next()
    }

    /// Tells the machine something later.
    pub fn schedule(&mut self, at: Instant, input: Input) {
        match &mut self.mischief {
            Some(mischief) => {
                for (at, input) in mischief.befall(at, input) {
                    self.push(at, input);
                }
            }
            None => self.push(at, input),
        }
    }

    fn push(&mut self, at: Instant, input: Input) {
        self.sequence += 1;
        self.events.push(Reverse(Timed(at, self.sequence, input)));
    }

    /// When somebody acts who is to act at this instant.
    pub(super) fn shifted(&mut self, at: Instant) -> Instant {
        match &mut self.mischief {
            Some(mischief) => mischief.shift(at),
            None => at,
        }
    }

    pub(super) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// The caller speaks: voice activity as a VAD would report it, a final transcript after the end.
    /// `next` is when the caller speaks again: before the VAD's silence has passed it is one speech.
    pub fn speech(&mut self, speech: &Speech, next: Option<Instant>, final_after: Duration) {
        let Hearing {
            min_speech,
            min_silence,
        } = self.hearing;
        let began = Vad::SpeechStarted { speech: min_speech };
        self.schedule(speech.from + min_speech, Input::Vad(began));
        let mut at = speech.from + min_speech + HOP;
        let goes_on = next.filter(|next| *next < speech.to + min_silence);
        let end = match goes_on {
            Some(next) => next,
            None if speech.muted => speech.to,
            None => speech.to + min_silence,
        };
        while at < end {
            let heard = at.min(speech.to).since(speech.from);
            let frame = Vad::Frame {
                speaking: true,
                speech: heard,
                silence: at.since(speech.to),
            };
            self.schedule(at, Input::Vad(frame));
            at = at + HOP;
        }
        if goes_on.is_none() && !speech.muted {
            let ended = Vad::SpeechEnded {
                speech: speech.to.since(speech.from),
                silence: min_silence,
            };
            self.schedule(end, Input::Vad(ended));
        }
        if speech.interims {
            self.interims(speech);
        }
        if !speech.text.is_empty() {
            let at = speech.to + speech.final_after.unwrap_or(final_after);
            self.schedule(
                at,
                Input::Stt(Stt::Final {
                    text: speech.text.clone(),
                    confidence: None,
                }),
            );
        }
    }

    /// Each word when it has been said, as far as it is not the last.
    fn interims(&mut self, speech: &Speech) {
        let words = speech.text.split_whitespace().count().max(1) as u32;
        let each = speech.to.since(speech.from) / words;
        let mut said = String::new();
        for (count, word) in (1..words).zip(speech.text.split_whitespace()) {
            if !said.is_empty() {
                said.push(' ');
            }
            said.push_str(word);
            let at = speech.from + each * count + INTERIM_DELAY;
            if at < speech.to {
                self.schedule(at, Input::Stt(Stt::Interim(said.clone())));
            }
        }
    }

    /// Lets time pass.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            let event = self.events.peek().map(|Reverse(timed)| timed.0);
            let sounds = self.audio.iter().any(|audio| audio.queued) && !self.paused;
            let frame = sounds.then_some(self.next_frame);
            let next = [event, frame, self.dialogue.deadline()]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if event.is_some_and(|at| at <= next) {
                if let Some(Reverse(Timed(_, _, input))) = self.events.pop() {
                    self.tell(input);
                }
            } else if frame.is_some_and(|at| at <= next) {
                self.play_frame();
            } else {
                self.tell(Input::Time);
            }
        }
        self.now = self.now.max(end);
        self.next_frame = self.next_frame.max(end);
    }

    /// Tells the machine exactly these inputs, without answering it and without waking it at its deadlines. What it asks
    /// for meanwhile is never answered; simulated providers begin after `until`.
    pub fn repeat(&mut self, inputs: impl IntoIterator<Item = (Instant, Input)>, until: Instant) {
        self.repeating = true;
        for (at, input) in inputs {
            self.now = self.now.max(at);
            self.tell(input);
        }
        self.repeating = false;
        self.now = self.now.max(until);
        self.next_frame = self.now + FRAME;
    }

    /// What the scenario left open, and what it held in vain.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.unscripted_replies > 0 {
            notes.push(format!(
                "{} model requests more than the file answers; each was answered \"All right.\" (add llm \"…\" lines)",
                self.unscripted_replies
            ));
        }
        for name in &self.unscripted_tools {
            notes.push(format!(
                "the model called `{name}` and the file gives no result; it failed (add: tool {name} after 200ms gives \"…\")"
            ));
        }
        notes.extend(
            self.replies
                .iter()
                .filter(|reply| reply.line > 0)
                .map(|reply| {
                    format!(
                        "line {}: the model was never asked for this answer",
                        reply.line
                    )
                }),
        );
        notes
    }

    fn see(&mut self, text: String) {
        self.timeline.push(Line { at: self.now, text });
    }

    fn tell(&mut self, input: Input) {
        if let Input::Tts {
            id,
            event: Tts::FirstAudio,
        } = &input
            && let Some(audio) = self.audio.iter_mut().find(|audio| audio.id == *id)
        {
            audio.arrived = true;
        }
        if let Some(told) = &mut self.told {
            told.push((self.now, input.clone()));
        }
        self.observer.input(self.now, &input);
        self.lanes.input(self.now, &input);
        self.dialogue.handle(self.now, input);
        while let Some(action) = self.dialogue.poll() {
            self.observer.action(&action);
            self.lanes.action(self.now, &action);
            self.act(action);
        }
        if let Err(violation) = self.observer.step(&self.dialogue) {
            self.violations
                .push(format!("{:.3}: {violation}", seconds(self.now)));
        }
    }

    fn play_frame(&mut self) {
        self.next_frame = self.now + FRAME;
        let Some(head) = self.audio.iter_mut().find(|audio| audio.queued) else {
            return;
        };
        let Some(length) = head.length.filter(|_| head.arrived) else {
            return;
        };
        let id = head.id;
        let first = head.played.is_zero();
        head.played = (head.played + FRAME).min(length);
        let played = head.played;
        let text = head.text.clone();
        if first {
            self.see(format!("audible \"{text}\""));
            self.tell(Input::Playout(Playout::Started { id }));
        }
        if played >= length {
            self.audio.retain(|audio| audio.id != id);
            self.see(format!("played \"{text}\""));
            self.tell(Input::Playout(Playout::Finished { id, played }));
        } else if played.as_millis() % 100 < FRAME.as_millis() {
            self.tell(Input::Playout(Playout::Progress { id, played }));
        }
    }

    fn act(&mut self, action: Action) {
        self.see(
            match (
                &action,
                self.audio.iter().find(|audio| is_played(&action, audio.id)),
            ) {
                (Action::Play { .. }, Some(audio)) => format!("play \"{}\"", audio.text),
                _ => show::action(&action),
            },
        );
        if self.repeating {
            return;
        }
        match action {
            Action::Retrieve { id, .. } => self.retrieve(id),
            Action::StartLlm { id, request } => {
                let reply = self.replies.pop_front().unwrap_or_else(|| {
                    self.unscripted_replies += 1;
                    Reply {
                        text: "All right.".into(),
                        ..Reply::default()
                    }
                });
                self.answer(id, &reply);
                let answers = match request.items.last() {
                    Some(Item::Message(message)) => message.id.clone(),
                    _ => String::new(),
                };
                self.asked.push((id, reply, answers));
            }
            Action::CancelLlm { id } => self.take_back(id),
            Action::Synthesize { id, text } => self.synthesize(id, text),
            Action::CancelSynthesis { id } => {
                self.audio.retain(|audio| audio.id != id);
            }
            Action::Play { id } => {
                if let Some(audio) = self.audio.iter_mut().find(|audio| audio.id == id) {
                    audio.queued = true;
                }
                self.next_frame = self.next_frame.max(self.now);
            }
            Action::PausePlayout => self.paused = true,
            Action::ResumePlayout => {
                self.paused = false;
                self.next_frame = self.now + FRAME;
            }
            Action::ClearPlayout => self.clear_playout(),
            Action::RunTool { call, .. } => self.run_tool(call),
            Action::SwitchAgent { key, .. } => self.tasks.speaks = key.0,
            Action::TaskEnded { task, completed } => self.task_ended(task, completed),
            Action::PredictTurn { id, .. } => self.predict(id),
            Action::CompleteUserTurn { turn, .. } => self.complete(turn),
            Action::CompleteTools { id, .. } => self.complete_tools(id),
            Action::CancelPrediction { .. }
            | Action::FinalizeStt
            | Action::ClearStt
            | Action::MuteStt(_)
            | Action::CancelTool { .. }
            | Action::StepSpoken { .. }
            | Action::NotInterrupted(_)
            | Action::Emit(_)
            | Action::Close => {}
        }
    }

    fn retrieve(&mut self, id: RetrievalId) {
        let found = self.found.pop_front().unwrap_or_default();
        if !found.hangs {
            self.schedule(
                self.now + found.after,
                Input::Retrieved {
                    id,
                    passages: found.passages,
                    failure: None,
                },
            );
        }
    }

    fn complete(&mut self, turn: TurnId) {
        let Hook { after, verdict } = self.hooks.pop_front().unwrap_or_default();
        if let Some(verdict) = verdict {
            let answer = Input::UserTurnCompleted { turn, verdict };
            self.schedule(self.now + after, answer);
        }
    }

    fn complete_tools(&mut self, id: BatchId) {
        let ToolsHook { after, verdict } = self.tools_hooks.pop_front().unwrap_or_default();
        if let Some(verdict) = verdict {
            self.schedule(self.now + after, Input::ToolsCompleted { id, verdict });
        }
    }

    fn predict(&mut self, id: PredictionId) {
        let Prediction { probability, after } = self.predictions.pop_front().unwrap_or_default();
        if let Some(probability) = probability {
            self.schedule(
                self.now + after,
                Input::TurnPrediction {
                    id,
                    probability,
                    threshold: 0.5,
                },
            );
        }
    }

    /// A speculation that was dropped: the scenario's answer is for the request that counts.
    fn take_back(&mut self, id: GenerationId) {
        if let Some(at) = self.asked.iter().position(|(asked, ..)| *asked == id) {
            let (_, reply, answers) = self.asked.remove(at);
            let committed = self
                .dialogue
                .history()
                .iter()
                .any(|item| matches!(item, Item::Message(message) if message.id == answers));
            if !answers.is_empty() && !committed {
                self.replies.push_front(reply);
            }
        }
    }

    fn clear_playout(&mut self) {
        let (cleared, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.audio)
            .into_iter()
            .partition(|audio| audio.queued);
        self.audio = kept;
        for audio in cleared {
            self.schedule(
                self.now,
                Input::Playout(Playout::Cleared {
                    id: audio.id,
                    played: audio.played,
                }),
            );
        }
    }

    fn answer(&mut self, id: GenerationId, reply: &Reply) {
        let first = self.now + reply.first;
        if !reply.text.is_empty() {
            self.schedule(
                first,
                Input::Llm {
                    id,
                    event: Llm::Text(reply.text.clone()),
                },
            );
        }
        for call in &reply.calls {
            self.schedule(
                first,
                Input::Llm {
                    id,
                    event: Llm::ToolCall(call.clone()),
                },
            );
        }
        let end = self.now + reply.lasting.max(reply.first);
        if reply.fails {
            self.schedule(
                end,
                Input::Llm {
                    id,
                    event: Llm::Failed("500".into()),
                },
            );
        } else if !reply.hangs {
            self.schedule(
                end,
                Input::Llm {
                    id,
                    event: Llm::Finished { usage: None },
                },
            );
        }
    }

    fn synthesize(&mut self, id: SegmentId, text: String) {
        let voice = self.voices.pop_front().unwrap_or_default();
        let by_text = Duration::from_secs_f64(text.chars().count() as f64 / CHARS_PER_SECOND);
        let length = voice.length.unwrap_or(by_text);
        let comes = !voice.hangs && (!voice.fails || voice.length.is_some());
        let heard = self.now + voice.first;
        let audio = Audio {
            id,
            text,
            length: comes.then_some(length),
            arrived: false,
            queued: false,
            played: Duration::ZERO,
        };
        match self.audio.iter_mut().find(|audio| audio.id == id) {
            // a second try keeps its place, and nothing more comes of the first
            Some(before) => {
                let of_first =
                    |input: &Input| matches!(input, Input::Tts { id: other, .. } if *other == id);
                self.events
                    .retain(|Reverse(Timed(_, _, input))| !of_first(input));
                let queued = before.queued;
                *before = Audio { queued, ..audio };
            }
            None => self.audio.push(audio),
        }
        let mut tell = |at, event| self.schedule(at, Input::Tts { id, event });
        if comes {
            tell(heard, Tts::FirstAudio);
        }
        if voice.fails {
            let at = if comes { heard + 50 * MS } else { heard };
            tell(at, Tts::Failed("500".into()));
        } else if comes {
            tell(heard + 50 * MS, Tts::Finished { duration: length });
        }
    }
}

impl Simulation {
    /// Hands the simulation what it answers from; used up in order.
    pub fn with_answers(mut self, replies: Vec<Reply>, voices: Vec<Voice>) -> Self {
        self.replies = replies.into();
        self.voices = voices.into();
        self
    }
}

fn is_played(action: &Action, id: SegmentId) -> bool {
    matches!(action, Action::Play { id: played } if *played == id)
}
