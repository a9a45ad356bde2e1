//! What is said while a tool is slow, and how it makes way for everything else.

use crate::event::SpeechPurpose;
use crate::floor::Floor;
use crate::hands::Waits;
use crate::machine::Dialogue;
use crate::queue::Queued;
use antiphon_chat::time::Instant;

impl Dialogue {
    /// A filler never delays what it is said for, nor anything else: what makes no sound yet is dropped as soon as something
    /// else can be said.
    pub(crate) fn filler_makes_way(&mut self) -> bool {
        if !self.has_more_than_a_filler() {
            return false;
        }
        let is_filler = |queued: &Queued| queued.purpose == SpeechPurpose::Filler;
        if self.queue.any(is_filler) && self.parked.iter().any(|own| !own.waits_for_tools()) {
            self.drop_queued(is_filler);
        }
        let Some(speech) = self.floor.speech_mut().filter(|own| own.is_filler()) else {
            return false;
        };
        speech.mouth.drop_silent(&mut self.core)
    }

    /// Something else could be said if no filler had the floor.
    pub(crate) fn has_more_than_a_filler(&self) -> bool {
        let can_pass = |queued: &Queued| {
            let free = self.parked.is_empty() || queued.may_pass();
            free && queued.purpose != SpeechPurpose::Filler
        };
        self.parked.iter().any(|speech| !speech.waits_for_tools())
            || self.queue.any(can_pass)
            || !self.hands.reports.is_empty()
            || self.next_task().is_some()
    }

    /// What the caller waits for in silence: tools of the present speech, and those that have been left by theirs.
    fn waits_in_silence(&self) -> Option<Waits> {
        if self.hands.is_empty() {
            return None;
        }
        let waits = match &self.floor {
            Floor::Preparing(speech) if speech.waits_for_tools() => Waits::Speech(speech.id),
            Floor::Open if self.parked.is_empty() => Waits::Nobody,
            _ => return None,
        };
        let silent = self.queue.is_empty()
            && self.ending.is_none()
            && self.caller.is_quiet()
            && self.hooks.is_empty()
            && !self.caller.speaks();
        silent.then_some(waits)
    }

    /// When the next filler is due.
    pub(crate) fn filler_deadline(&self) -> Option<Instant> {
        let waits = self.waits_in_silence()?;
        self.hands.filler_deadline(waits, self.active_at())
    }

    pub(crate) fn filler_due(&mut self) {
        let (now, quiet) = (self.core.now, self.active_at());
        let Some(waits) = self.waits_in_silence() else {
            return;
        };
        if let Some(text) = self.hands.next_filler(waits, quiet, now) {
            self.active_at = now;
            let interruptible = self.core.options.allow_interruptions;
            self.enqueue(Queued::text(SpeechPurpose::Filler, text, interruptible));
        }
    }
}
