//! Speeches that wait for a tool and have nothing to say until it answers. While others have something to say they leave
//! the floor to them: a filler, `say` from inside the tool. As soon as that is over they have it again.

use crate::action::{Action, NotInterrupted};
use crate::floor::Floor;
use crate::ids::SpeechId;
use crate::limits::MAX_PARKED_SPEECHES;
use crate::machine::Dialogue;
use crate::queue::Queued;
use crate::speech::Speech;

impl Dialogue {
    /// Whoever has the floor and waits for a tool gives it to the next that may pass.
    pub(crate) fn yield_floor(&mut self) -> bool {
        let waits = matches!(&self.floor, Floor::Preparing(speech) if speech.waits_for_tools());
        let ready = |speech: &Speech| !speech.waits_for_tools();
        let wanted = self.queue.any(Queued::may_pass) || self.parked.iter().any(ready);
        if !waits || self.parked.len() >= MAX_PARKED_SPEECHES || !wanted {
            return false;
        }
        match self.floor.take() {
            Some((speech, _)) => {
                self.parked.push(speech);
                true
            }
            None => false,
        }
    }

    /// A parked speech gets the floor back: the oldest whose tools have answered, or any, the newest first.
    pub(crate) fn resume_parked(&mut self, ready: bool) -> bool {
        let at = if ready {
            self.parked
                .iter()
                .position(|speech| !speech.waits_for_tools())
        } else {
            self.parked.len().checked_sub(1)
        };
        let Some(at) = at.filter(|&at| at < self.parked.len()) else {
            return false;
        };
        self.floor = Floor::Preparing(self.parked.remove(at));
        true
    }

    /// What waits for tools is given up for the caller's sake; with `force` also what may not be interrupted.
    pub(crate) fn abandon_parked(&mut self, force: bool) {
        if !force && self.hands.protects() {
            return;
        }
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.parked)
            .into_iter()
            .partition(|speech| force || speech.interruptible);
        self.parked = kept;
        for speech in gone {
            self.abandon(speech);
        }
    }

    /// Nothing of it is in the playout: it ends with what was heard.
    pub(crate) fn abandon(&mut self, mut speech: Speech) {
        speech.stop(&mut self.core, false);
        self.leave_tools(speech.id);
        self.write_heard(&mut speech, true);
        self.speech_done(speech.id, true);
        self.hand_over(&mut speech);
    }

    /// Present, waiting for a tool, or waiting for the floor.
    pub(crate) fn knows_speech(&self, id: SpeechId) -> bool {
        self.queue.has(id)
            || self
                .floor
                .speech()
                .into_iter()
                .chain(&self.parked)
                .chain(self.agents.held())
                .chain(self.floor.cut_speech())
                .any(|speech| speech.id == id)
    }

    /// A speech that has begun.
    pub(crate) fn speech_mut(&mut self, id: SpeechId) -> Option<&mut Speech> {
        self.floor
            .speech_mut()
            .into_iter()
            .chain(&mut self.parked)
            .chain(self.agents.held_mut())
            .find(|speech| speech.id == id)
    }

    pub(crate) fn allow_interruptions(&mut self, id: SpeechId, allow: bool) {
        if let Some(speech) = self.speech_mut(id) {
            speech.interruptible = allow;
        } else if let Some(queued) = self.queue.get_mut(id) {
            queued.interruptible = allow;
        }
    }

    /// Everything that is being said or waits, as far as it may be interrupted.
    pub(crate) fn interrupt_all(&mut self, force: bool) {
        if let Some(speech) = self
            .floor
            .speech()
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
        if self.agents.held().any(|speech| speech.id == id) {
            return Some(NotInterrupted::Task(id));
        }
        let begun = self.floor.speech().into_iter().chain(&self.parked);
        let mut begun = begun.filter(|speech| speech.id == id);
        let firm = match begun.next() {
            Some(speech) if !speech.interruptible || self.hands.protects() => self.why_not(speech),
            Some(_) => return None,
            None if self.queue.is_firm(id) => NotInterrupted::Firm(id),
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
        if self.floor.speech().is_some_and(|speech| speech.id == id) {
            self.stop_present();
        } else if let Some(at) = self.parked.iter().position(|speech| speech.id == id) {
            let speech = self.parked.remove(at);
            self.abandon(speech);
        } else {
            self.drop_queued(|queued| queued.id == Some(id));
        }
    }
}
