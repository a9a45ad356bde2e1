//! One utterance of the agent, possibly of several steps: words, tools, words after the tools.
//!
//! A speech **owns** its steps (the [`mind`](crate::mind)) and its [`Mouth`]. It **is told** by the stage when to go on, to wait
//! and to stop. It **answers** whether it is over, waits for tools, or is audible.

use crate::action::Action;
use crate::agents::AgentSpec;
use crate::core::Core;
use crate::event::{Event, SpeechPurpose, TurnMetrics};
use crate::history::Place;
use crate::ids::{SpeechId, TurnId};
use crate::input::Priority;
use crate::limits::{MAX_REPLY_BYTES, MAX_STEPS, cut};
use crate::mind::{Step, Wanted};
use crate::mouth::Mouth;
use antiphon_chat::time::Instant;
use antiphon_chat::{Item, Message};

/// Where the words of a speech come from.
#[derive(Clone, Debug)]
pub(crate) enum Words {
    /// They are given.
    Text(String),
    /// The model is asked.
    Model(Wanted),
    /// It has begun.
    Begun,
    /// Nothing is said: another agent takes over.
    Agent(Box<AgentSpec>),
}

/// Where a speech is.
#[derive(Clone, Debug)]
pub(crate) enum Spot {
    /// Begun before its turn is committed. Nothing of it is heard or seen, and no tool runs.
    Ahead(Box<Guess>),
    /// It waits for the floor.
    Queue,
    /// It has the floor, or is giving way.
    Floor,
    /// It waits for a tool while others have the floor.
    Tool,
    /// It waits for a task, which has this many before it.
    Task(usize),
}

/// What a speech was begun for ahead of its turn.
#[derive(Clone, Debug)]
pub(crate) struct Guess {
    /// The words it answers, normalised.
    pub(crate) words: String,
    /// The history it was made for.
    pub(crate) version: u64,
    /// The caller's message in its request.
    pub(crate) user: (Place, Message),
}

/// See above.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    /// Named when it enters the queue, unless the program has named it.
    pub(crate) id: SpeechId,
    /// Where it is; the list of speeches says so.
    pub(crate) spot: Spot,
    pub(crate) priority: Priority,
    pub(crate) purpose: SpeechPurpose,
    pub(crate) words: Words,
    /// Who takes over when it is over: a tool has given an agent back.
    pub(crate) handoff: Option<Box<AgentSpec>>,
    pub(crate) turn: Option<TurnId>,
    /// Where in the history the words stand that it answers.
    pub(crate) asked: Option<Place>,
    /// The caller has typed what it answers, and reads.
    pub(crate) is_typed: bool,
    /// Its sound is made, and nobody knows whether it is played.
    pub(crate) is_lost: bool,
    /// The words it answers left the floor to the agent: it goes without a word when the agent asks something before.
    pub(crate) kept: bool,
    /// The speech whose request holds this turn, too.
    pub(crate) joined: Option<SpeechId>,
    pub(crate) interruptible: bool,
    pub(crate) in_history: bool,
    pub(crate) steps: Vec<Step>,
    pub(crate) mouth: Mouth,
    pub(crate) metrics: TurnMetrics,
    /// When the caller stopped speaking, for `e2e_latency`.
    pub(crate) user_stopped_at: Option<Instant>,
}

impl Speech {
    /// One that waits.
    pub(crate) fn new(purpose: SpeechPurpose, words: Words, interruptible: bool) -> Self {
        Self {
            id: SpeechId::NONE,
            spot: Spot::Queue,
            priority: Priority::NORMAL,
            purpose,
            words,
            handoff: None,
            turn: None,
            asked: None,
            is_typed: false,
            is_lost: false,
            kept: false,
            joined: None,
            interruptible,
            in_history: true,
            steps: Vec::new(),
            mouth: Mouth::default(),
            metrics: TurnMetrics::default(),
            user_stopped_at: None,
        }
    }

    /// Given words of the agent's author or of the machine.
    pub(crate) fn text(purpose: SpeechPurpose, text: String, interruptible: bool) -> Self {
        let words = Words::Text(cut(text, MAX_REPLY_BYTES));
        Self::new(purpose, words, interruptible)
    }

    /// The program asked for it.
    fn is_user_initiated(&self) -> bool {
        match self.purpose {
            SpeechPurpose::Say => true,
            SpeechPurpose::GenerateReply => self.turn.is_none(),
            SpeechPurpose::Greeting
            | SpeechPurpose::Trouble
            | SpeechPurpose::Filler
            | SpeechPurpose::ToolReply => false,
        }
    }

    /// An answer to the caller waits until what he asked before is answered; everything else may be said while tools run.
    pub(crate) fn may_pass(&self) -> bool {
        self.turn.is_none() && !self.is_handover()
    }

    /// It waits for a tool while others have the floor.
    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.spot, Spot::Tool)
    }

    /// It waits for a tool or for the floor.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.spot, Spot::Tool | Spot::Queue)
    }

    /// It waits for a task that has this many before it.
    pub(crate) fn waits_for_task(&self, depth: usize) -> bool {
        matches!(self.spot, Spot::Task(of) if of == depth)
    }

    /// Nothing is said: another agent takes over.
    pub(crate) fn is_handover(&self) -> bool {
        matches!(self.words, Words::Agent(_))
    }

    pub(crate) fn created(&self) -> Event {
        Event::SpeechCreated {
            speech: self.id,
            user_initiated: self.is_user_initiated(),
            source: self.purpose.source(),
            purpose: self.purpose,
        }
    }

    /// It gets the floor: its first step. An agent says nothing itself.
    pub(crate) fn begin(&mut self, core: &mut Core) {
        match std::mem::replace(&mut self.words, Words::Begun) {
            Words::Text(text) => {
                self.steps.push(Step::of_text(core));
                self.mouth = Mouth::of_text(&text);
            }
            Words::Model(wanted) => self.steps.push(Step::new(core, wanted)),
            Words::Begun => {
                let now = core.now;
                self.steps.iter_mut().for_each(|step| step.stand_at(now));
            }
            Words::Agent(_) => {}
        }
        self.metrics.speech = Some(self.id);
    }

    pub(crate) fn last(&self) -> Option<&Step> {
        self.steps.last()
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut Step> {
        self.steps.last_mut()
    }

    /// The steps, each with its number.
    fn numbered(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.steps.iter().enumerate()
    }

    pub(crate) fn is_filler(&self) -> bool {
        self.purpose == SpeechPurpose::Filler
    }

    /// Whoever waits for it reads what cannot be voiced, and the model has not failed.
    pub(crate) fn is_read(&self) -> bool {
        let complete = |step: &Step| step.is_thought_out() && !step.has_failed();
        self.is_typed && self.steps.iter().all(complete)
    }

    /// Some of its words are among those of its messages.
    pub(crate) fn was_heard(&self) -> bool {
        self.steps.iter().any(Step::was_heard)
    }

    /// The model has failed in it, or the voice.
    pub(crate) fn has_failed(&self) -> bool {
        self.steps.iter().any(Step::has_failed) || self.mouth.is_torn()
    }

    /// All words of this step are said.
    fn has_said(&self, at: usize, step: &Step) -> bool {
        step.is_thought_out() && self.mouth.has_said(at)
    }

    /// Everything is said, all tools have answered, and nothing follows.
    pub(crate) fn is_over(&self) -> bool {
        self.numbered().all(|(at, step)| self.has_said(at, step))
            && self.last().is_some_and(Step::is_last)
    }

    /// The model was asked in all steps, and neither words nor calls came.
    pub(crate) fn is_mute(&self) -> bool {
        self.steps.iter().all(Step::is_mute)
    }

    /// Everything so far was played, and it cannot go on before a tool has answered.
    pub(crate) fn waits_for_tools(&self) -> bool {
        let last = self.numbered().last();
        last.is_some_and(|(at, step)| self.has_said(at, step) && step.calls.are_running())
            && self.mouth.is_silent()
    }

    /// Between two steps: everything so far was played, and it is not over yet.
    pub(crate) fn is_between_steps(&self) -> bool {
        self.numbered().last().is_some_and(|(at, step)| {
            let has_said = self.has_said(at, step);
            let waits_for_tools = has_said && !step.calls.are_done();
            let waits_for_words = !self.mouth.has_pieces(at) && !has_said;
            (waits_for_tools || waits_for_words) && self.mouth.is_silent()
        })
    }

    /// All tools of the last step have answered, and the model is to say something about it.
    pub(crate) fn is_to_go_on(&self) -> bool {
        self.last().is_some_and(Step::is_followed)
    }

    /// With the next step. `ends`: it must be the last one. `joined`: the turns that wait for an answer and are answered by it,
    /// and whether anything is searched for them.
    pub(crate) fn go_on(&mut self, core: &mut Core, ends: bool, joined: (&[Wanted], bool)) {
        let Some((first, last)) = self.steps.first().zip(self.steps.last()) else {
            return;
        };
        let limit = (core.options.max_tool_steps as usize).min(MAX_STEPS - 1);
        let ends =
            ends || self.steps.len() >= limit || last.is_without_tools() || self.handoff.is_some();
        let mut step = last.following(core, first, ends);
        for wanted in joined.0 {
            step.joins(wanted, joined.1);
        }
        self.mouth.begin_step(core);
        self.metrics.tool_steps += 1;
        self.steps.push(step);
    }

    /// Where the first step stands of which nothing had begun to sound by then.
    pub(crate) fn first_unheard(&self, by: Instant) -> Option<Place> {
        let unheard = |(at, step): &(usize, &Step)| {
            let was_nothing = step.is_written() && !self.mouth.has_pieces(*at);
            let mut pieces = self.mouth.pieces(*at);
            !was_nothing && pieces.all(|own| own.begun_by(by).is_empty())
        };
        let unheard = self.numbered().filter(unheard);
        unheard.map(|(_, step)| step.place()).min()
    }

    /// Messages of its steps that are still being spoken.
    pub(crate) fn planned_messages(&self) -> Vec<(Place, Message)> {
        let open = |(_, step): &(usize, &Step)| {
            !step.is_written() && step.is_thought_out() && self.in_history
        };
        let planned = self.numbered().filter(open).filter_map(|(at, step)| {
            let text = self.mouth.planned(at);
            let message = Message {
                text,
                ..step.message().clone()
            };
            (!message.text.is_empty()).then(|| (step.place(), message))
        });
        planned.collect()
    }

    /// One of the present step's tools gives this agent back, which takes over if it stays the only one. False: it does not.
    pub(crate) fn give_to(&mut self, agent: Box<AgentSpec>) -> bool {
        let had_one = self.handoff.is_some();
        let alone = self
            .last_mut()
            .is_some_and(|step| step.calls.take_agent(had_one));
        self.handoff = alone.then_some(agent);
        alone
    }

    /// Steps whose words were all heard go into the history.
    pub(crate) fn finish_steps(&mut self, core: &mut Core) {
        for (at, steps) in (0..self.steps.len()).zip(1..) {
            let said = |step: &&Step| !step.is_written() && self.has_said(at, step);
            let Some(step) = self.steps.get(at).filter(said) else {
                continue;
            };
            if step.calls.are_any() {
                let speech = self.id;
                core.act(Action::StepSpoken { speech, steps });
            }
            self.mouth.mark_shown(at);
            self.write(core, at, false);
        }
    }

    /// The message of a step is what was heard of it.
    fn write(&mut self, core: &mut Core, at: usize, cut: bool) {
        let (heard, since) = (self.mouth.heard(at), self.mouth.audible_since());
        let Some(step) = self.steps.get_mut(at) else {
            return;
        };
        step.write(heard, self.user_stopped_at, since, cut);
        if self.in_history && step.was_heard() {
            core.remember(step.place(), Item::Message(step.message().clone()));
        }
    }

    /// No sound of it from here on, and no thought. `paused`: the playout stood still.
    pub(crate) fn stop(&mut self, core: &mut Core, paused: bool) {
        self.steps.iter_mut().for_each(|step| step.stop(core));
        self.mouth.stop(core, paused);
    }

    /// It is over: shows the rest of what was heard, puts the messages into the history, and tells callers who read what
    /// could not be voiced.
    pub(crate) fn write_heard(&mut self, core: &mut Core, cut: bool) {
        self.mouth.show(core, self.id);
        for at in 0..self.steps.len() {
            if !self.steps.get(at).is_some_and(Step::is_written) {
                self.write(core, at, cut);
            }
        }
        if self.mouth.has_shown() {
            core.emit(Event::AgentTranscript {
                speech: self.id,
                segment: None,
                delta: String::new(),
                is_final: true,
                interrupted: cut,
            });
        }
        if !cut || self.is_lost {
            for (segment, text) in self.mouth.not_heard() {
                core.emit(Event::AgentWordsNotHeard {
                    speech: self.id,
                    segment,
                    text: text.to_owned(),
                });
            }
        }
    }

    /// Its first sound: how long everything took until then.
    pub(crate) fn first_heard(&mut self, now: Instant) -> TurnMetrics {
        let first = self.mouth.first_piece();
        if let Some((at, words_at, ttfb)) = first
            && let Some(step) = self.steps.get(at)
        {
            self.metrics.retrieval = self.steps.first().and_then(Step::retrieval);
            self.metrics.llm_ttft = step.ttft();
            self.metrics.llm_ttfs = step.asked_before(words_at);
            self.metrics.tts_ttfb = ttfb;
        }
        self.metrics.e2e_latency = self.user_stopped_at.map(|stopped| now.since(stopped));
        self.metrics
    }
}
