//! The reply begun before the turn is committed, when the words look stable: it hides the time that the model needs.

use crate::history::Place;
use crate::machine::Dialogue;
use crate::mind::{Step, Wanted};
use crate::mouth::Mouth;
use crate::queue::Words;
use antiphon_chat::{Message, Role};

/// A reply that was begun before its turn was committed. Nothing of it is heard or seen, and no tool runs.
#[derive(Clone, Debug)]
pub(crate) struct Speculation {
    /// The words it answers, normalised.
    pub(crate) words: String,
    /// The history it was made for.
    pub(crate) version: u64,
    /// The caller's message in its request.
    pub(crate) user: (Place, Message),
    pub(crate) step: Step,
    pub(crate) mouth: Mouth,
}

impl Dialogue {
    /// Begins a reply before the turn is committed, when the words look stable.
    pub(crate) fn speculate(&mut self) {
        let options = &self.core.options;
        if !self.caller.is_stable()
            || !options.preemptive_generation
            || self.is_manual()
            // as soon as it is known what was heard of the reply that was cut
            || self.floor.is_giving_way()
        {
            return;
        }
        self.caller.take_stable();
        let free = self.floor.is_open()
            && self.queue.is_empty()
            && self.hooks.is_empty()
            && self.may_begin()
            && self.ending.is_none()
            && self.caller.may_be_guessed(self.now());
        if !free {
            return;
        }
        let words = self.caller.normal();
        let version = self.core.history.version();
        let same = |kept: &Speculation| kept.words == words && kept.version == version;
        if self.speculation.as_ref().is_some_and(same) {
            return;
        }
        let (text, words) = (self.caller.text(), words.to_owned());
        self.drop_speculation();
        self.caller.count_guess();
        let place = self.core.history.reserve();
        let now = self.core.now;
        let user = (
            place,
            self.core.history.message(Role::User, text.clone(), now),
        );
        let wanted = Wanted {
            query: Some(text),
            ..Wanted::default()
        };
        let mut step = Step::new(&mut self.core, wanted);
        step.ask(&mut self.core, vec![user.clone()]);
        self.speculation = Some(Speculation {
            words,
            version,
            user,
            step,
            mouth: Mouth::default(),
        });
    }

    pub(crate) fn drop_speculation(&mut self) {
        if let Some(mut kept) = self.speculation.take() {
            kept.step.cancel(&mut self.core);
            kept.mouth.abandon(&mut self.core);
        }
    }

    /// What was begun of these is not said.
    pub(crate) fn abandon_words(&mut self, words: Words) {
        if let Words::Begun(begun) = words {
            let (mut step, mouth) = *begun;
            step.cancel(&mut self.core);
            mouth.abandon(&mut self.core);
        }
    }
}
