//! Which event is sent next. Events of one room are sent in order, one at a time; rooms do not wait for one another.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::limits::{MAX_WEBHOOKS, MAX_WEBHOOKS_OF_ROOM, WEBHOOK_MAX_AGE};

/// What waits for one address.
pub(super) struct Lines<T> {
    rooms: HashMap<Arc<str>, Line<T>>,
    /// Rooms with an event that may be sent now, in the order in which they came to have one.
    ready: VecDeque<Arc<str>>,
    waiting: usize,
}

struct Line<T> {
    /// When it happened, and what.
    events: VecDeque<(Instant, T)>,
    /// One of them is being sent.
    busy: bool,
}

/// What [`Lines::next`] found.
pub(super) struct Next<T> {
    /// Events that had waited for too long, and were dropped.
    pub(super) late: u64,
    /// The room, when it happened, and what.
    pub(super) event: Option<(Arc<str>, Instant, T)>,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self {
            rooms: HashMap::new(),
            ready: VecDeque::new(),
            waiting: 0,
        }
    }
}

impl<T> Lines<T> {
    /// Queue it behind the room's others. False: there are too many, and it was dropped.
    pub(super) fn push(&mut self, now: Instant, room: Arc<str>, event: T) -> bool {
        let known = self.rooms.get(&room).map_or(0, |line| line.events.len());
        if self.waiting >= MAX_WEBHOOKS || known >= MAX_WEBHOOKS_OF_ROOM {
            return false;
        }
        let line = self.rooms.entry(Arc::clone(&room)).or_insert_with(|| Line {
            events: VecDeque::new(),
            busy: false,
        });
        if line.events.is_empty() && !line.busy {
            self.ready.push_back(room);
        }
        line.events.push_back((now, event));
        self.waiting += 1;
        true
    }

    /// The next event that may be sent; its room is busy until [`done`](Self::done).
    pub(super) fn next(&mut self, now: Instant) -> Next<T> {
        let mut late = 0;
        while let Some(room) = self.ready.pop_front() {
            let Some(line) = self.rooms.get_mut(&room) else {
                continue;
            };
            while let Some((since, event)) = line.events.pop_front() {
                self.waiting -= 1;
                if now.saturating_duration_since(since) > WEBHOOK_MAX_AGE {
                    late += 1;
                    continue;
                }
                line.busy = true;
                let event = Some((room, since, event));
                return Next { late, event };
            }
            self.rooms.remove(&room);
        }
        Next { late, event: None }
    }

    /// The room's event was sent or given up.
    pub(super) fn done(&mut self, room: &Arc<str>) {
        let Some(line) = self.rooms.get_mut(room) else {
            return;
        };
        line.busy = false;
        if line.events.is_empty() {
            self.rooms.remove(room);
        } else {
            self.ready.push_back(Arc::clone(room));
        }
    }

    /// Is there nothing that waits or is being sent?
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn room(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    fn next(lines: &mut Lines<u32>, now: Instant) -> Option<(String, u32)> {
        let (room, _, event) = lines.next(now).event?;
        Some((room.to_string(), event))
    }

    #[test]
    fn events_of_a_room_are_sent_in_order_and_another_room_does_not_wait_for_them() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        for event in 1..=3 {
            assert!(lines.push(now, room("a"), event));
        }
        assert!(lines.push(now, room("b"), 10));
        assert_eq!(next(&mut lines, now), Some(("a".into(), 1)));
        assert_eq!(next(&mut lines, now), Some(("b".into(), 10)));
        assert_eq!(next(&mut lines, now), None, "a is busy");
        assert!(lines.push(now, room("a"), 4));
        assert_eq!(next(&mut lines, now), None, "and stays so");
        lines.done(&room("a"));
        assert_eq!(next(&mut lines, now), Some(("a".into(), 2)));
        lines.done(&room("b"));
        assert!(!lines.is_empty());
        for event in 3..=4 {
            lines.done(&room("a"));
            assert_eq!(next(&mut lines, now), Some(("a".into(), event)));
        }
        lines.done(&room("a"));
        assert!(lines.is_empty());
    }

    #[test]
    fn what_waited_for_too_long_is_dropped_and_counted() {
        let (mut lines, then) = (Lines::default(), Instant::now());
        lines.push(then, room("a"), 1);
        lines.push(then, room("a"), 2);
        let now = then + WEBHOOK_MAX_AGE + Duration::from_millis(1);
        lines.push(now, room("a"), 3);
        let found = lines.next(now);
        assert_eq!(found.late, 2);
        assert_eq!(found.event.map(|(_, _, event)| event), Some(3));
    }

    #[test]
    fn a_room_that_says_too_much_does_not_push_out_others() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        for event in 0..MAX_WEBHOOKS_OF_ROOM {
            assert!(lines.push(now, room("loud"), event));
        }
        assert!(!lines.push(now, room("loud"), 0));
        assert!(lines.push(now, room("quiet"), 0));
    }
}
