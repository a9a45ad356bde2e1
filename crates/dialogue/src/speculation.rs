//! The reply begun before the turn is committed, when the words look stable: it hides the time that the model needs.

use crate::event::SpeechPurpose;
use crate::machine::Dialogue;
use crate::mind::{Step, Wanted};
use crate::speech::{Guess, Speech, Words};
use antiphon_chat::Role;

impl Dialogue {
    /// Begins a reply before the turn is committed, when the words look stable.
    pub(crate) fn speculate(&mut self) {
        let options = &self.core.options;
        if !self.caller.is_stable()
            || !options.preemptive_generation
            || self.is_manual()
            // as soon as it is known what was heard of the reply that was cut
            || self.speeches.floor().is_giving_way()
        {
            return;
        }
        self.caller.take_stable();
        let free = self.speeches.floor().is_open()
            && !self.speeches.has_queue()
            && self.hooks.is_empty()
            && self.may_begin()
            && self.ending.is_none()
            && self.caller.may_be_guessed(self.now());
        if !free {
            return;
        }
        let words = self.caller.normal();
        let version = self.core.history.version();
        let same = |guess: &Guess| guess.words == words && guess.version == version;
        if self.speeches.guess().is_some_and(|(guess, _)| same(guess)) {
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
        let interruptible = self.core.options.allow_interruptions;
        let mut speech = Speech::new(SpeechPurpose::GenerateReply, Words::Begun, interruptible);
        let mut step = Step::new(&mut self.core, wanted);
        step.ask(&mut self.core, vec![user.clone()]);
        speech.steps.push(step);
        let guess = Guess {
            words,
            version,
            user,
        };
        self.speeches.begin_ahead(speech, guess);
    }

    pub(crate) fn drop_speculation(&mut self) {
        if let Some(speech) = self.speeches.take_ahead() {
            self.drop_speech(speech);
        }
    }
}
