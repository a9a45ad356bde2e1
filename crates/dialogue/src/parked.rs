//! Speeches that wait for a tool and have nothing to say until it answers. While others have something to say they leave
//! the floor to them: a filler, `say` from inside the tool. As soon as that is over they have it again.

use crate::action::{Action, NotInterrupted};
use crate::ids::SpeechId;
use crate::machine::Dialogue;
use crate::speech::Speech;

impl Dialogue {
    /// What waits for tools is given up for the caller's sake; with `force` also what may not be interrupted.
    pub(crate) fn abandon_parked(&mut self, force: bool) {
        if !force && self.hands.protects() {
            return;
        }
        let goes = |own: &Speech| own.is_parked() && (force || own.interruptible);
        while let Some(speech) = self.speeches.take(goes) {
            self.drop_speech(speech);
        }
    }

    pub(crate) fn allow_interruptions(&mut self, id: SpeechId, allow: bool) {
        if let Some(speech) = self.speeches.get_mut(id) {
            speech.interruptible = allow;
        }
    }

    /// Everything that is being said or waits, as far as it may be interrupted.
    pub(crate) fn interrupt_all(&mut self, force: bool) {
        if let Some(speech) = self
            .speeches
            .present()
            .filter(|_| !force && !self.may_interrupt())
        {
            let why = self.why_not(speech);
            self.core.act(Action::NotInterrupted(why));
            return;
        }
        self.drop_speculation();
        if let Some(speech) = self.hands.reports.speech() {
            self.hands.reports.mark_heard(speech); // or not wanted: it is not told again
        }
        self.interrupt_queue(force);
        self.abandon_parked(force);
        self.stop_present();
    }

    /// The program stops what is being said: the caller's sound over it has not.
    fn stop_present(&mut self) {
        self.tell(|caller, now| caller.judge_overlap(false, now));
        self.interrupt_present();
    }

    fn why_not(&self, speech: &Speech) -> NotInterrupted {
        if speech.interruptible {
            NotInterrupted::Tool(speech.id)
        } else {
            NotInterrupted::Firm(speech.id)
        }
    }

    /// Why an order to stop this speech is not carried out; `None`: it is, or there is no such speech.
    fn refusal(&self, id: SpeechId, force: bool) -> Option<NotInterrupted> {
        if self.speeches.for_tasks().any(|speech| speech.id == id) {
            return Some(NotInterrupted::Task(id));
        }
        let begun = self.speeches.begun();
        let mut begun = begun.filter(|speech| speech.id == id);
        let firm = match begun.next() {
            Some(speech) if !speech.interruptible || self.hands.protects() => self.why_not(speech),
            Some(_) => return None,
            None if self
                .speeches
                .queue()
                .any(|own| own.id == id && !own.interruptible) =>
            {
                NotInterrupted::Firm(id)
            }
            None => return None,
        };
        (!force).then_some(firm)
    }

    pub(crate) fn interrupt_speech(&mut self, id: SpeechId, force: bool) {
        if let Some(why) = self.refusal(id, force) {
            self.core.act(Action::NotInterrupted(why));
            return;
        }
        self.hands.reports.mark_heard(id); // or not wanted: it is not told again
        if self
            .speeches
            .present()
            .is_some_and(|speech| speech.id == id)
        {
            self.stop_present();
        } else if let Some(speech) = self.speeches.take(|own| own.id == id && own.is_waiting()) {
            self.drop_speech(speech);
        }
    }
}
