//! When to look at which peer again: a heap of instants. Looking too early is harmless, so nothing is ever searched or
//! removed from its middle.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Wake-ups by time.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Timers {
    /// Wake this slot then. The caller remembers the earliest instant it asked for and asks again only for an earlier one.
    pub(crate) fn set(&mut self, at: Instant, slot: usize) {
        self.heap.push(Reverse((at, slot)));
    }

    /// The next instant.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A slot whose time has come, with the instant that was asked for.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, usize)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_none_comes_early() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(start + Duration::from_millis(20), 2);
        timers.set(start + Duration::from_millis(10), 1);
        assert_eq!(timers.due(start), None);
        let later = start + Duration::from_millis(30);
        assert_eq!(timers.due(later).map(|d| d.1), Some(1));
        assert_eq!(timers.due(later).map(|d| d.1), Some(2));
        assert_eq!(timers.due(later), None);
    }
}
