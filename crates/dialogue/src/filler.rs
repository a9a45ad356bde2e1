//! What is said while a tool is slow.

use crate::event::SpeechPurpose;
use crate::floor::Floor;
use crate::machine::Dialogue;
use crate::options::Filler;
use crate::queue::Queued;
use crate::tools::{Running, ToolLedger, Waits};
use crate::turn::Stage;
use antiphon_chat::time::Instant;

impl Running {
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
    /// The speech that waits for a tool, when neither it nor anybody else is saying anything.
    fn waits_in_silence(&self) -> Option<Waits> {
        let Floor::Preparing(speech) = &self.floor else {
            return None;
        };
        let silent = speech.waits_for_tools()
            && self.queue.is_empty()
            && self.ending.is_none()
            && self.turn.stage == Stage::Quiet
            && !self.caller_speaks();
        silent.then_some(Waits::Speech(speech.id))
    }

    /// When the next filler is due.
    pub(crate) fn filler_deadline(&self) -> Option<Instant> {
        let waits = self.waits_in_silence()?;
        self.tools
            .running
            .iter()
            .filter(|running| running.waits == waits)
            .filter_map(|running| running.filler_at(self.active_at))
            .min()
    }

    pub(crate) fn filler_due(&mut self) {
        let (now, quiet) = (self.core.now, self.active_at);
        let Some(waits) = self.waits_in_silence() else {
            return;
        };
        let due = |running: &&mut Running| {
            running.waits == waits && running.filler_at(quiet).is_some_and(|at| at <= now)
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
