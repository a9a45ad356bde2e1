//! What is said while a tool is slow.

use crate::event::SpeechPurpose;
use crate::floor::Floor;
use crate::machine::Dialogue;
use crate::options::Filler;
use crate::queue::Queued;
use crate::tools::{Running, ToolLedger, Waits};
use antiphon_chat::time::Instant;

impl Running {
    /// By the speech that has the floor, or by nobody but the caller.
    fn is_waited_for(&self, by: Waits) -> bool {
        match self.waits {
            Waits::Speech(_) => self.waits == by,
            Waits::Nobody | Waits::Report => true,
        }
    }

    /// When its filler is due, everybody having been silent since `quiet`.
    fn filler_at(&self, quiet: Instant) -> Option<Instant> {
        let filler = self.filler.as_ref()?;
        if filler.max.is_some_and(|max| self.filled >= max) {
            return None;
        }
        let wait = match self.filled {
            0 => filler.delay,
            _ => filler.interval?,
        };
        Some(self.since.max(quiet) + wait)
    }
}

impl ToolLedger {
    pub(crate) fn set_filler(&mut self, call_id: &str, filler: Option<Filler>) {
        if let Some(running) = self.own_mut(call_id) {
            running.filler = filler.filter(|filler| !filler.texts.is_empty());
            running.filled = 0;
        }
    }
}

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
            || !self.tools.untold.is_empty()
            || self.next_task().is_some()
    }

    /// What the caller waits for in silence: tools of the present speech, and those that have been left by theirs.
    fn waits_in_silence(&self) -> Option<Waits> {
        if self.tools.running.is_empty() {
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
            && !self.is_completing()
            && !self.caller.speaks();
        silent.then_some(waits)
    }

    /// When the next filler is due.
    pub(crate) fn filler_deadline(&self) -> Option<Instant> {
        let waits = self.waits_in_silence()?;
        self.tools
            .running
            .iter()
            .filter(|running| running.is_waited_for(waits))
            .filter_map(|running| running.filler_at(self.active_at()))
            .min()
    }

    pub(crate) fn filler_due(&mut self) {
        let (now, quiet) = (self.core.now, self.active_at());
        let Some(waits) = self.waits_in_silence() else {
            return;
        };
        let due = |running: &&mut Running| {
            running.is_waited_for(waits) && running.filler_at(quiet).is_some_and(|at| at <= now)
        };
        let Some(running) = self.tools.running.iter_mut().find(due) else {
            return;
        };
        let texts = running.filler.iter().flat_map(|filler| &filler.texts);
        let text = texts.cycle().nth(running.filled as usize).cloned();
        running.filled += 1;
        self.active_at = now;
        let interruptible = self.core.options.allow_interruptions;
        let text = text.unwrap_or_default();
        self.enqueue(Queued::text(SpeechPurpose::Filler, text, interruptible));
    }
}
