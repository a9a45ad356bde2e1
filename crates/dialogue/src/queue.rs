//! Speeches that wait for the floor.

use std::collections::VecDeque;

use crate::event::{AgentState, Component, Event, SpeechSource, TurnMetrics};
use crate::ids::TurnId;
use crate::limits::{MAX_QUEUED_SPEECHES, MAX_REPLY_BYTES, cut};
use crate::machine::Dialogue;
use crate::speech::Step;
use crate::time::Instant;

/// Where the words of a waiting speech come from.
#[derive(Clone, Debug)]
pub(crate) enum Words {
    /// They are given.
    Text(String),
    /// The model is asked, or was asked already.
    Model {
        query: Option<String>,
        instructions: Option<String>,
        step: Option<Box<Step>>,
    },
}

/// A speech that waits for the floor.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) source: SpeechSource,
    pub(crate) words: Words,
    pub(crate) interruptible: bool,
    pub(crate) in_history: bool,
    pub(crate) turn: Option<TurnId>,
    pub(crate) metrics: TurnMetrics,
    pub(crate) user_stopped_at: Option<Instant>,
}

impl Queued {
    /// Given words of the agent's author or of the machine.
    pub(crate) fn text(
        source: SpeechSource,
        text: String,
        interruptible: bool,
        in_history: bool,
    ) -> Self {
        Self {
            source,
            words: Words::Text(cut(text, MAX_REPLY_BYTES)),
            interruptible,
            in_history,
            turn: None,
            metrics: TurnMetrics::default(),
            user_stopped_at: None,
        }
    }
}

/// First in, first out; trouble and the like go to the front.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpeechQueue {
    waiting: VecDeque<Queued>,
}

impl SpeechQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(crate) fn pop(&mut self) -> Option<Queued> {
        self.waiting.pop_front()
    }

    pub(crate) fn push_front(&mut self, queued: Queued) {
        self.waiting.push_front(queued);
    }

    /// A newer turn is answered together with an older one that has not been answered.
    pub(crate) fn forget_answers(&mut self) {
        self.waiting.retain(|queued| queued.turn.is_none());
    }

    /// What may be interrupted goes; with `force` all.
    pub(crate) fn interrupt(&mut self, force: bool) {
        self.waiting
            .retain(|queued| !force && !queued.interruptible);
    }
}

impl Dialogue {
    pub(crate) fn enqueue(&mut self, queued: Queued) {
        if self.queue.len() >= MAX_QUEUED_SPEECHES {
            let component = match queued.words {
                Words::Text(_) => Component::Tts,
                Words::Model { .. } => Component::Llm,
            };
            self.core.error(
                component,
                "too many speeches are waiting: this one is refused",
                true,
            );
        } else {
            self.queue.waiting.push_back(queued);
        }
    }

    /// The next speech gets the floor when nobody of the agent's has it.
    pub(crate) fn start_next(&mut self) -> bool {
        let free = self.floor.is_open() && self.leaving.is_none() && self.ending.is_none();
        match free.then(|| self.queue.pop()).flatten() {
            Some(queued) => {
                self.begin(queued);
                true
            }
            None => false,
        }
    }

    /// The agent speaks first.
    pub(crate) fn greet(&mut self) {
        if let Some(greeting) = self.core.options.greeting.clone() {
            let interruptible = self.core.options.allow_interruptions;
            self.enqueue(Queued::text(
                SpeechSource::Greeting,
                greeting,
                interruptible,
                true,
            ));
        }
    }

    pub(crate) fn generate_reply(
        &mut self,
        user_input: Option<String>,
        instructions: Option<String>,
        interruptible: bool,
    ) {
        let now = self.core.now;
        if let Some(text) = &user_input {
            if self.may_interrupt() {
                self.interrupt();
            }
            let place = self.core.history.reserve();
            let text = cut(text.clone(), crate::limits::MAX_TURN_BYTES);
            let message = self
                .core
                .history
                .message(crate::chat::Role::User, text, now);
            self.core
                .remember(place, crate::chat::Item::Message(message));
        }
        self.drop_speculation();
        self.enqueue(Queued {
            source: SpeechSource::GenerateReply,
            words: Words::Model {
                query: user_input,
                instructions,
                step: None,
            },
            interruptible,
            in_history: true,
            turn: None,
            metrics: TurnMetrics::default(),
            user_stopped_at: None,
        });
    }

    /// States, as the outside sees them.
    pub(crate) fn publish_agent_state(&mut self) {
        let mut new_state = self.floor.agent_state();
        if self.floor.is_open() && !self.queue.is_empty() && self.leaving.is_some() {
            // one speech was cut for the next, which begins as soon as the cut is reported
            new_state = AgentState::Thinking;
        }
        let old_state = std::mem::replace(&mut self.agent_state, new_state);
        if old_state != new_state {
            self.active_at = self.core.now;
            self.core.emit(Event::AgentStateChanged {
                old_state,
                new_state,
            });
        }
    }
}
