//! Speeches that wait for the floor: higher priority first, then the older.

use crate::event::{AgentState, Component, Event, SpeechPurpose};
use crate::ids::SpeechId;
use crate::input::{GenerateReply, Say};
use crate::limits::{MAX_QUEUED_SPEECHES, cut};
use crate::machine::Dialogue;
use crate::mind::Wanted;
use crate::speech::{Speech, Words};
use antiphon_chat::time::Instant;

impl Dialogue {
    pub(crate) fn enqueue(&mut self, mut speech: Speech) {
        if speech.id == SpeechId::NONE {
            speech.id = self.core.speech_id();
        } else if self.speeches.has(speech.id) {
            let message = format!(
                "{} is the name of another speech: this one is refused",
                speech.id
            );
            self.core.error(Component::Llm, message, true);
            return;
        }
        self.core.emit(speech.created());
        if self.ending.is_some() {
            return self.drop_speech(speech); // nothing new is begun
        }
        if self.speeches.queue().count() < MAX_QUEUED_SPEECHES {
            return self.speeches.push(speech);
        }
        let component = match speech.words {
            Words::Text(_) => Component::Tts,
            Words::Model(_) | Words::Begun | Words::Agent(_) => Component::Llm,
        };
        let message = "too many speeches are waiting: this one is refused";
        self.core.error(component, message, true);
        self.drop_speech(speech);
    }

    /// Before everything that waits, whatever its priority.
    pub(crate) fn enqueue_first(&mut self, mut speech: Speech) {
        speech.id = self.core.speech_id();
        self.core.emit(speech.created());
        self.speeches.push_first(speech);
    }

    pub(crate) fn drop_queued(&mut self, goes: impl Fn(&Speech) -> bool) {
        while let Some(speech) = self.speeches.take_queued(&goes) {
            self.drop_speech(speech);
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
        let goes = |queued: &Speech| {
            queued.interruptible && queued.turn.is_none() && queued.asked.is_none()
        };
        if let Some(telling) = self.hands.reports.speech()
            && self.speeches.is_queued(telling)
        {
            self.hands.reports.put_off(telling);
        }
        self.drop_queued(goes);
    }

    /// LiveKit's rule: in the order in which they would be spoken, up to the first that may not be interrupted.
    pub(crate) fn interrupt_queue(&mut self, force: bool) {
        // who takes over does so in any case
        let says = |own: &Speech| !own.is_handover();
        loop {
            let next = self.speeches.queue().find(|own| says(own));
            match next.map(|own| (own.id, own.interruptible)) {
                Some((id, interruptible)) if force || interruptible => {
                    self.drop_queued(|own| own.id == id);
                }
                Some(_) | None => return,
            }
        }
    }

    /// A speech is over: the next one keeps its distance.
    pub(crate) fn rest(&mut self) {
        let delay = self.core.options.min_consecutive_speech_delay;
        self.speeches.rest_until(self.core.now + delay);
    }

    /// The next speech has kept its distance.
    pub(crate) fn may_begin(&self) -> bool {
        self.speeches.not_before() <= self.core.now
    }

    /// When the next speech may begin.
    pub(crate) fn rest_deadline(&self) -> Option<Instant> {
        Some(self.speeches.not_before()).filter(|until| *until > self.core.now)
    }

    /// What the present agent says first.
    pub(crate) fn greeting(&self) -> Option<Speech> {
        let options = &self.core.options;
        let text = options.greeting.clone()?;
        let interruptible = options.allow_interruptions;
        Some(Speech::text(SpeechPurpose::Greeting, text, interruptible))
    }

    /// The agent speaks first, also when it has been asked something before it could be heard.
    pub(crate) fn greet(&mut self) {
        let Some(greeting) = self.greeting() else {
            return;
        };
        if self.speeches.queue().count() < MAX_QUEUED_SPEECHES {
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
        self.enqueue(Speech {
            id: say.id.unwrap_or(SpeechId::NONE),
            priority: say.priority,
            in_history: say.add_to_history,
            ..Speech::text(SpeechPurpose::Say, say.text, interruptible)
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
        self.enqueue(Speech {
            id: asked.id.unwrap_or(SpeechId::NONE),
            priority: asked.priority,
            asked: spoken_at,
            is_typed: spoken_at.is_some(),
            ..Speech::new(SpeechPurpose::GenerateReply, words, interruptible)
        });
    }

    /// States, as the outside sees them.
    pub(crate) fn publish_agent_state(&mut self) {
        let mut new_state = self.speeches.floor().agent_state();
        if self.speeches.floor().is_giving_way() && self.speeches.has_queue() {
            // one speech was cut for the next, which begins as soon as the cut is reported
            new_state = AgentState::Thinking;
        }
        let old_state = std::mem::replace(&mut self.agent_state, new_state);
        if old_state != new_state {
            let (speaks, is_open) = (
                new_state == AgentState::Speaking,
                self.speeches.floor().is_open(),
            );
            self.tell(|caller, now| caller.on_agent_state(speaks, is_open, now));
            self.active_at = self.core.now;
            self.core.emit(Event::AgentStateChanged {
                old_state,
                new_state,
            });
        }
    }
}
