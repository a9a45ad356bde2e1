//! Speeches that wait for the floor: higher priority first, then the older.

use std::collections::VecDeque;

use crate::agents::AgentSpec;
use crate::event::{AgentState, Component, Event, SpeechPurpose, TurnMetrics};
use crate::history::Place;
use crate::ids::{SpeechId, TurnId};
use crate::input::{GenerateReply, Priority, Say};
use crate::limits::{MAX_QUEUED_SPEECHES, MAX_REPLY_BYTES, cut};
use crate::machine::Dialogue;
use crate::mind::{Step, Wanted};
use crate::mouth::Mouth;
use antiphon_chat::time::Instant;

/// Where the words of a waiting speech come from.
#[derive(Clone, Debug)]
pub(crate) enum Words {
    /// They are given.
    Text(String),
    /// The model is asked.
    Model(Wanted),
    /// The model was asked before the turn was committed.
    Begun(Box<(Step, Mouth)>),
    /// Nothing is said: another agent takes over.
    Agent(Box<AgentSpec>),
}

/// A speech that waits for the floor.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Named when it enters the queue, unless the program has named it.
    pub(crate) id: Option<SpeechId>,
    pub(crate) priority: Priority,
    pub(crate) purpose: SpeechPurpose,
    pub(crate) words: Words,
    pub(crate) interruptible: bool,
    pub(crate) in_history: bool,
    pub(crate) turn: Option<TurnId>,
    /// Where in the history the words stand that it answers.
    pub(crate) asked: Option<Place>,
    /// The caller has typed what it answers, and reads.
    pub(crate) is_typed: bool,
    /// The words it answers left the floor to the agent: it goes without a word when the agent asks something before.
    pub(crate) kept: bool,
    /// The speech whose request holds this turn, too.
    pub(crate) joined: Option<SpeechId>,
    pub(crate) metrics: TurnMetrics,
    pub(crate) user_stopped_at: Option<Instant>,
}

impl Queued {
    pub(crate) fn new(purpose: SpeechPurpose, words: Words, interruptible: bool) -> Self {
        Self {
            id: None,
            priority: Priority::NORMAL,
            purpose,
            words,
            interruptible,
            in_history: true,
            turn: None,
            asked: None,
            is_typed: false,
            kept: false,
            joined: None,
            metrics: TurnMetrics::default(),
            user_stopped_at: None,
        }
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
        self.turn.is_none() && !matches!(self.words, Words::Agent(_))
    }

    fn created(&self, speech: SpeechId) -> Event {
        Event::SpeechCreated {
            speech,
            user_initiated: self.is_user_initiated(),
            source: self.purpose.source(),
            purpose: self.purpose,
        }
    }

    /// Given words of the agent's author or of the machine.
    pub(crate) fn text(purpose: SpeechPurpose, text: String, interruptible: bool) -> Self {
        Self::new(
            purpose,
            Words::Text(cut(text, MAX_REPLY_BYTES)),
            interruptible,
        )
    }
}

/// Higher priority first, then the older; trouble before everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpeechQueue {
    waiting: VecDeque<Queued>,
    /// No speech begins before this (`min_consecutive_speech_delay`).
    pub(crate) not_before: Instant,
}

impl SpeechQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn has(&self, speech: SpeechId) -> bool {
        self.waiting.iter().any(|queued| queued.id == Some(speech))
    }

    /// It waits, and may not be interrupted.
    pub(crate) fn is_firm(&self, speech: SpeechId) -> bool {
        self.any(|queued| queued.id == Some(speech) && !queued.interruptible)
    }

    pub(crate) fn get_mut(&mut self, speech: SpeechId) -> Option<&mut Queued> {
        self.waiting
            .iter_mut()
            .find(|queued| queued.id == Some(speech))
    }

    /// The answer to this turn.
    pub(crate) fn answer_mut(&mut self, turn: TurnId) -> Option<&mut Queued> {
        self.waiting
            .iter_mut()
            .find(|queued| queued.turn == Some(turn))
    }

    pub(crate) fn push_front(&mut self, queued: Queued) {
        self.waiting.push_front(queued);
    }

    pub(crate) fn push(&mut self, queued: Queued) {
        let at = self
            .waiting
            .iter()
            .position(|other| other.priority < queued.priority)
            .unwrap_or(self.waiting.len());
        self.waiting.insert(at, queued);
    }

    /// A request of this speech is about to be made, which holds the turns that wait for an answer as well. If it is answered
    /// they are not answered a second time. What is wanted for them.
    pub(crate) fn join_turns(&mut self, speech: SpeechId) -> Vec<Wanted> {
        let turns = self.waiting.iter_mut().filter(|own| own.turn.is_some());
        let wanted = turns.filter_map(|queued| {
            queued.joined = Some(speech);
            match &queued.words {
                Words::Model(wanted) => Some(wanted.clone()),
                Words::Text(_) | Words::Begun(_) | Words::Agent(_) => None,
            }
        });
        wanted.collect()
    }

    /// The first that fits.
    fn take(&mut self, fits: impl Fn(&Queued) -> bool) -> Option<Queued> {
        let at = self.waiting.iter().position(fits)?;
        self.waiting.remove(at)
    }

    /// In the order in which they come.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.waiting.iter()
    }

    pub(crate) fn any(&self, fits: impl Fn(&Queued) -> bool) -> bool {
        self.waiting.iter().any(fits)
    }
}

impl Dialogue {
    pub(crate) fn enqueue(&mut self, mut queued: Queued) {
        let id = match queued.id {
            Some(id) if self.knows_speech(id) => {
                let message = format!("{id} is the name of another speech: this one is refused");
                self.core.error(Component::Llm, message, true);
                return;
            }
            Some(id) => id,
            None => self.core.speech_id(),
        };
        queued.id = Some(id);
        self.core.emit(queued.created(id));
        if self.ending.is_some() {
            self.never_said(queued); // nothing new is begun
            return;
        }
        if self.queue.len() < MAX_QUEUED_SPEECHES {
            self.queue.push(queued);
            return;
        }
        let component = match queued.words {
            Words::Text(_) => Component::Tts,
            Words::Model(_) | Words::Begun(_) | Words::Agent(_) => Component::Llm,
        };
        self.core.error(
            component,
            "too many speeches are waiting: this one is refused",
            true,
        );
        self.never_said(queued);
    }

    /// Before everything that waits, whatever its priority.
    pub(crate) fn enqueue_first(&mut self, mut queued: Queued) {
        let speech = self.core.speech_id();
        queued.id = Some(speech);
        self.core.emit(queued.created(speech));
        self.queue.waiting.push_front(queued);
    }

    /// A speech that waits goes without a word.
    fn never_said(&mut self, queued: Queued) {
        self.abandon_words(queued.words);
        if let Some(speech) = queued.id {
            self.speech_done(speech, true);
        }
    }

    pub(crate) fn drop_queued(&mut self, goes: impl Fn(&Queued) -> bool) {
        while let Some(queued) = self.queue.take(&goes) {
            self.never_said(queued);
        }
    }

    /// This speech has answered what was joined with it.
    pub(crate) fn drop_joined(&mut self, speech: SpeechId) {
        self.drop_queued(|queued| queued.joined == Some(speech));
    }

    /// The caller has taken the floor: what waits and may be interrupted is not said any more. Answers to him stay, and what
    /// tools have told is told later. What is to be said before the session ends is said.
    pub(crate) fn stop_waiting(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let goes = |queued: &Queued| {
            queued.interruptible && queued.turn.is_none() && queued.asked.is_none()
        };
        if let Some(telling) = self.hands.reports.speech()
            && self.queue.has(telling)
        {
            self.hands.reports.put_off(telling);
        }
        self.drop_queued(goes);
    }

    /// LiveKit's rule: in the order in which they would be spoken, up to the first that may not be interrupted.
    pub(crate) fn interrupt_queue(&mut self, force: bool) {
        let mut at = 0;
        while let Some(queued) = self.queue.waiting.get(at) {
            if matches!(queued.words, Words::Agent(_)) {
                at += 1; // who takes over does so in any case
            } else if !force && !queued.interruptible {
                return;
            } else if let Some(queued) = self.queue.waiting.remove(at) {
                self.never_said(queued);
            }
        }
    }

    /// A speech is over: the next one keeps its distance.
    pub(crate) fn rest(&mut self) {
        let delay = self.core.options.min_consecutive_speech_delay;
        self.queue.not_before = self.core.now + delay;
    }

    /// The next speech has kept its distance.
    pub(crate) fn may_begin(&self) -> bool {
        self.queue.not_before <= self.core.now
    }

    /// When the next speech may begin.
    pub(crate) fn rest_deadline(&self) -> Option<Instant> {
        Some(self.queue.not_before).filter(|until| *until > self.core.now)
    }

    /// The next speech gets the floor when nobody has it, or when who has it waits for a tool.
    pub(crate) fn start_next(&mut self) -> bool {
        if self.floor.is_giving_way() {
            return false;
        }
        if self.filler_makes_way() {
            return true;
        }
        if !self.floor.is_open() {
            return self.yield_floor() || self.begin_task();
        }
        if !self.may_begin() {
            return false;
        }
        let first_is_urgent = self.queue.waiting.front().is_some_and(|first| {
            first.priority > Priority::NORMAL || first.purpose == SpeechPurpose::Trouble
        });
        if !first_is_urgent && self.resume_parked(true) {
            return true;
        }
        let next = if self.parked.is_empty() && !self.agents.task_is_over() {
            // the agent that has heard the caller's last turn is the one whose hook looks at it
            let stays = !self.hooks.is_empty();
            let may_come = |queued: &Queued| !stays || !matches!(queued.words, Words::Agent(_));
            self.queue.take(may_come)
        } else {
            self.queue.take(Queued::may_pass)
        };
        match next {
            Some(queued) => {
                self.begin(queued);
                true
            }
            None => {
                self.finish_task()
                    || self.begin_task()
                    || self.resume_parked(false)
                    || self.tell_reports()
            }
        }
    }

    /// What the present agent says first.
    pub(crate) fn greeting(&self) -> Option<Queued> {
        let options = &self.core.options;
        let text = options.greeting.clone()?;
        let interruptible = options.allow_interruptions;
        Some(Queued::text(SpeechPurpose::Greeting, text, interruptible))
    }

    /// The agent speaks first, also when it has been asked something before it could be heard.
    pub(crate) fn greet(&mut self) {
        let Some(greeting) = self.greeting() else {
            return;
        };
        if self.queue.len() < MAX_QUEUED_SPEECHES {
            self.enqueue_first(greeting);
        } else {
            self.enqueue(greeting);
        }
    }

    pub(crate) fn say(&mut self, say: Say) {
        self.drop_speculation();
        let interruptible = say
            .allow_interruptions
            .unwrap_or(self.core.options.allow_interruptions);
        self.enqueue(Queued {
            id: say.id,
            priority: say.priority,
            in_history: say.add_to_history,
            ..Queued::text(SpeechPurpose::Say, say.text, interruptible)
        });
    }

    pub(crate) fn generate_reply(&mut self, asked: GenerateReply) {
        let now = self.core.now;
        let mut spoken_at = None;
        if let Some(text) = &asked.user_input {
            self.tell(|caller, now| caller.judge_overlap(false, now));
            // there is no answer any more that it would make room for
            if self.may_interrupt() && self.ending.is_none() {
                self.interrupt();
            }
            let place = self.core.history.reserve();
            spoken_at = Some(place);
            let text = cut(text.clone(), crate::limits::MAX_TURN_BYTES);
            let message = self
                .core
                .history
                .message(antiphon_chat::Role::User, text, now);
            self.core
                .remember(place, antiphon_chat::Item::Message(message));
        }
        self.drop_speculation();
        let interruptible = asked
            .allow_interruptions
            .unwrap_or(self.core.options.allow_interruptions);
        let words = Words::Model(Wanted {
            query: asked.user_input,
            instructions: asked.instructions,
            tool_choice: asked.tool_choice,
            tools: asked.tools,
            extra: Vec::new(),
        });
        self.enqueue(Queued {
            id: asked.id,
            priority: asked.priority,
            asked: spoken_at,
            is_typed: spoken_at.is_some(),
            ..Queued::new(SpeechPurpose::GenerateReply, words, interruptible)
        });
    }

    /// States, as the outside sees them.
    pub(crate) fn publish_agent_state(&mut self) {
        let mut new_state = self.floor.agent_state();
        if self.floor.is_giving_way() && !self.queue.is_empty() {
            // one speech was cut for the next, which begins as soon as the cut is reported
            new_state = AgentState::Thinking;
        }
        let old_state = std::mem::replace(&mut self.agent_state, new_state);
        if old_state != new_state {
            let (speaks, is_open) = (new_state == AgentState::Speaking, self.floor.is_open());
            self.tell(|caller, now| caller.on_agent_state(speaks, is_open, now));
            self.active_at = self.core.now;
            self.core.emit(Event::AgentStateChanged {
                old_state,
                new_state,
            });
        }
    }
}
