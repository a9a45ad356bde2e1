//! What is said while a tool is slow: when it is due, and its words.

use super::{Hands, Running, Waits};
use crate::options::Filler;
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

impl Hands {
    pub(crate) fn set_filler(&mut self, call_id: &str, filler: Option<Filler>) {
        if let Some(running) = self.own_mut(call_id) {
            running.filler = filler.filter(|filler| !filler.texts.is_empty());
            running.filled = 0;
        }
    }

    /// When the next filler is due, everybody having been silent since `quiet`.
    pub(crate) fn filler_deadline(&self, waits: Waits, quiet: Instant) -> Option<Instant> {
        let awaited = self.running.iter().filter(|own| own.is_waited_for(waits));
        awaited.filter_map(|own| own.filler_at(quiet)).min()
    }

    /// What is said now for the call that is slow.
    pub(crate) fn next_filler(
        &mut self,
        waits: Waits,
        quiet: Instant,
        now: Instant,
    ) -> Option<String> {
        let due = |own: &&mut Running| {
            own.is_waited_for(waits) && own.filler_at(quiet).is_some_and(|at| at <= now)
        };
        let running = self.running.iter_mut().find(due)?;
        let texts = running.filler.iter().flat_map(|filler| &filler.texts);
        let text = texts.cycle().nth(running.filled as usize).cloned();
        running.filled += 1;
        Some(text.unwrap_or_default())
    }
}
