//! What is said while a tool is slow, and how it makes way for everything else.

use crate::event::SpeechPurpose;
use crate::floor::Floor;
use crate::hands::Waits;
use crate::machine::Dialogue;
use crate::speech::Speech;
use antiphon_chat::time::Instant;

impl Dialogue {
    /// Something else could be said if no filler had the floor.
    pub(crate) fn has_more_than_a_filler(&self) -> bool {
        let can_pass = |queued: &Speech| {
            let free = !self.speeches.is_parked() || queued.may_pass();
            free && queued.purpose != SpeechPurpose::Filler
        };
        self.speeches.is_any_ready()
            || self.speeches.queue().any(can_pass)
            || !self.hands.reports.is_empty()
            || self.next_task().is_some()
    }

    /// What the caller waits for in silence: tools of the present speech, and tools whose speech is over.
    fn waits_in_silence(&self) -> Option<Waits> {
        if self.hands.is_empty() {
            return None;
        }
        let waits = match self.speeches.floor() {
            Floor::Preparing => {
                let present = self.speeches.present();
                Waits::Speech(present.filter(|own| own.waits_for_tools())?.id)
            }
            Floor::Open if !self.speeches.is_parked() => Waits::Nobody,
            _ => return None,
        };
        let silent = !self.speeches.has_queue()
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
            self.enqueue(Speech::text(SpeechPurpose::Filler, text, interruptible));
        }
    }
}
