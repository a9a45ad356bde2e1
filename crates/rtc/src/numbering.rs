//! Numbers of what a peer is sent: one continuous stream per section, whatever feeds it.

use std::time::{Duration, Instant};

/// A jump of the incoming sequence number beyond this is a new stream.
const MAX_JUMP: u64 = 3_000;
/// How far back a number can still be used; older packets are dropped.
const WINDOW: u64 = 64;
/// First sequence numbers are below this: the roll-over counter is not signalled, so a start near 65 536 is fatal.
const MAX_START: u64 = 16_384;

/// The stream that a section sends.
#[derive(Clone, Debug)]
pub(crate) struct OutStream {
    start: u64,
    next: u64,
    /// Bit n: `next - 1 - n` was used. A number is never used twice: that would reuse a cipher nonce.
    used: u64,
    /// Numbers that were passed over, since their packets never came.
    gaps: u64,
    timestamp: u32,
    at: Option<Instant>,
    clock_hz: u32,
}

/// How one source's numbers map onto the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    source: u32,
    highest: u64,
    sequence_offset: i64,
    timestamp_offset: u32,
    floor: u64,
    /// Bit n: `highest - n` was left out, so that numbers before it count one more.
    left_out: u64,
}

impl Mapping {
    /// How many packets of this source before this one were sent. `None`: it is the first, or too old.
    pub(crate) fn since_start(&self, source: u32, sequence: u64) -> Option<u64> {
        if source != self.source || self.highest.abs_diff(sequence) > MAX_JUMP {
            return None;
        }
        let out = i64::try_from(sequence)
            .ok()?
            .checked_add(self.offset(sequence)?)?;
        u64::try_from(out).ok()?.checked_sub(self.floor)
    }

    /// A packet with this number is the newest.
    fn advance(&mut self, sequence: u64) {
        if let Some(step) = sequence.checked_sub(self.highest) {
            self.left_out = u32::try_from(step)
                .ok()
                .and_then(|step| self.left_out.checked_shl(step))
                .unwrap_or(0);
            self.highest = sequence;
        }
    }

    /// What is added to this number. `None`: so old that it is not known what was left out since.
    fn offset(&self, sequence: u64) -> Option<i64> {
        let back = self.highest.saturating_sub(sequence);
        if back >= WINDOW {
            return None;
        }
        let since = self.left_out & ((1 << back) - 1);
        Some(self.sequence_offset + i64::from(since.count_ones()))
    }
}

/// Where a packet goes in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Extended sequence number.
    pub(crate) sequence: u64,
    /// RTP time stamp.
    pub(crate) timestamp: u32,
    /// The first packet after a switch: the listener should treat it as a new talk spurt.
    pub(crate) first: bool,
}

impl OutStream {
    /// A new stream with a random start.
    pub(crate) fn new(clock_hz: u32) -> Self {
        let start = rand::random::<u64>() % MAX_START + WINDOW;
        Self {
            start,
            next: start,
            used: 0,
            gaps: 0,
            timestamp: rand::random(),
            at: None,
            clock_hz,
        }
    }

    /// Has anything been sent?
    pub(crate) fn started(&self) -> bool {
        self.at.is_some()
    }

    /// How many numbers were passed over, since their packets never came: its receiver takes them for lost.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Where the next packet goes when it is ours, `samples` after the last.
    pub(crate) fn append(&mut self, samples: u32, now: Instant) -> Place {
        let sequence = self.next;
        let timestamp = if self.at.is_some() {
            self.timestamp.wrapping_add(samples)
        } else {
            self.timestamp
        };
        self.take(sequence, timestamp, now);
        Place {
            sequence,
            timestamp,
            first: false,
        }
    }

    /// Where a packet of a source goes; `None`: too late, or its number was used. Sources are told apart by `source`
    /// (their SSRC).
    pub(crate) fn place(
        &mut self,
        mapping: &mut Option<Mapping>,
        source: u32,
        sequence: u64,
        timestamp: u32,
        now: Instant,
    ) -> Option<Place> {
        let known =
            mapping.filter(|m| m.source == source && m.highest.abs_diff(sequence) <= MAX_JUMP);
        let (mut map, first) = match known {
            Some(map) => (map, false),
            None => (self.join(source, sequence, timestamp, now), true),
        };
        map.advance(sequence);
        *mapping = Some(map);
        let offset = map.offset(sequence)?;
        let out = u64::try_from(i64::try_from(sequence).ok()?.checked_add(offset)?).ok()?;
        if out < map.floor || out < self.start || self.was_used(out) {
            return None;
        }
        let timestamp = timestamp.wrapping_add(map.timestamp_offset);
        self.take(out, timestamp, now);
        Some(Place {
            sequence: out,
            timestamp,
            first,
        })
    }

    /// A packet of the source is not sent at all: close the gap it would leave. False: later ones were sent already, with a place for it.
    pub(crate) fn skip(mapping: &mut Option<Mapping>, source: u32, sequence: u64) -> bool {
        let Some(map) = mapping.as_mut().filter(|map| map.source == source) else {
            return true;
        };
        if sequence > map.highest && sequence - map.highest <= MAX_JUMP {
            map.advance(sequence);
            map.left_out |= 1;
            map.sequence_offset -= 1;
            return true;
        }
        sequence > map.highest
    }

    fn join(&self, source: u32, sequence: u64, timestamp: u32, now: Instant) -> Mapping {
        let next_timestamp = match self.at {
            None => self.timestamp,
            Some(at) => {
                let passed = now
                    .saturating_duration_since(at)
                    .max(Duration::from_millis(20));
                let samples = passed.as_micros() * u128::from(self.clock_hz) / 1_000_000;
                self.timestamp.wrapping_add(samples as u32)
            }
        };
        Mapping {
            source,
            highest: sequence,
            sequence_offset: self.next as i64 - sequence as i64,
            timestamp_offset: next_timestamp.wrapping_sub(timestamp),
            floor: self.next,
            left_out: 0,
        }
    }

    fn was_used(&self, sequence: u64) -> bool {
        if sequence >= self.next {
            return false;
        }
        let back = self.next - 1 - sequence;
        back >= WINDOW || self.used & (1 << back) != 0
    }

    fn take(&mut self, sequence: u64, timestamp: u32, now: Instant) {
        if sequence >= self.next {
            let step = sequence - self.next + 1;
            self.gaps += step - 1;
            self.used = if step < WINDOW {
                (self.used << step) | 1
            } else {
                1
            };
            self.next = sequence + 1;
            self.timestamp = timestamp;
            self.at = Some(now);
        } else {
            self.gaps = self.gaps.saturating_sub(1);
            self.used |= 1 << (self.next - 1 - sequence).min(WINDOW - 1);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_switch_of_source_leaves_no_gap() {
        let now = Instant::now();
        let mut out = OutStream::new(48_000);
        let mut a = None;
        let first = out.place(&mut a, 1, 70_000, 5, now).unwrap();
        assert!(first.sequence < 65_536 && first.first);
        let second = out.place(&mut a, 1, 70_001, 965, now).unwrap();
        assert_eq!(
            (second.sequence, second.timestamp),
            (first.sequence + 1, first.timestamp.wrapping_add(960))
        );
        let mut b = None;
        let later = now + Duration::from_millis(100);
        let third = out.place(&mut b, 2, 3, 4_000_000_000, later).unwrap();
        assert_eq!(
            (third.sequence, third.timestamp),
            (second.sequence + 1, second.timestamp.wrapping_add(4_800))
        );
        assert!(third.first);
    }

    #[test]
    fn loss_stays_visible_and_late_packets_find_their_place() {
        let now = Instant::now();
        let mut out = OutStream::new(48_000);
        let mut map = None;
        let base = out.place(&mut map, 1, 10, 0, now).unwrap().sequence;
        assert_eq!(
            out.place(&mut map, 1, 12, 1_920, now).unwrap().sequence,
            base + 2
        );
        assert_eq!(
            out.place(&mut map, 1, 11, 960, now).unwrap().sequence,
            base + 1
        );
        assert_eq!(out.place(&mut map, 1, 11, 960, now), None, "never twice");
        assert_eq!(out.place(&mut map, 1, 9, 0, now), None, "before the start");
    }

    #[test]
    fn what_was_said_before_somebody_began_to_listen_is_not_said_again_to_him() {
        let (now, mut out, mut map) = (Instant::now(), OutStream::new(48_000), None::<Mapping>);
        let since = |map: &Option<Mapping>, sequence| map.as_ref()?.since_start(1, sequence);
        assert_eq!(since(&map, 10), None);
        out.place(&mut map, 1, 10, 0, now).unwrap();
        assert_eq!(since(&map, 10), Some(0));
        assert_eq!((since(&map, 11), since(&map, 12)), (Some(1), Some(2)));
        assert_eq!(since(&map, 9), None, "before he began");
        assert_eq!(since(&map, 10 + MAX_JUMP + 1), None, "a stream of its own");
    }

    #[test]
    fn packets_left_out_leave_no_gap() {
        let now = Instant::now();
        let mut out = OutStream::new(48_000);
        let mut map = None;
        let base = out.place(&mut map, 1, 10, 0, now).unwrap().sequence;
        OutStream::skip(&mut map, 1, 11);
        assert_eq!(
            out.place(&mut map, 1, 12, 1_920, now).unwrap().sequence,
            base + 1
        );
    }

    #[test]
    fn a_packet_that_comes_after_padding_behind_it_gets_its_own_place() {
        let now = Instant::now();
        let mut out = OutStream::new(90_000);
        let mut map = None;
        let place = |out: &mut OutStream, map: &mut _, sequence| {
            out.place(map, 1, sequence, 0, now)
                .map(|place| place.sequence)
        };
        let base = place(&mut out, &mut map, 10).unwrap();
        // 11, 12 and 14 are late; 13, 15 and 16 are padding.
        OutStream::skip(&mut map, 1, 13);
        OutStream::skip(&mut map, 1, 15);
        OutStream::skip(&mut map, 1, 16);
        assert_eq!(place(&mut out, &mut map, 17), Some(base + 4));
        assert_eq!(place(&mut out, &mut map, 14), Some(base + 3));
        assert_eq!(place(&mut out, &mut map, 11), Some(base + 1));
        assert_eq!(place(&mut out, &mut map, 12), Some(base + 2));
        assert_eq!(place(&mut out, &mut map, 18), Some(base + 5));
    }

    #[test]
    fn padding_of_another_source_leaves_the_numbers_alone() {
        let now = Instant::now();
        let mut out = OutStream::new(90_000);
        let mut map = None;
        let base = out.place(&mut map, 1, 10, 0, now).unwrap().sequence;
        OutStream::skip(&mut map, 2, 11);
        assert_eq!(
            out.place(&mut map, 1, 11, 0, now).unwrap().sequence,
            base + 1
        );
    }

    proptest! {
        #[test]
        fn whatever_order_packets_and_padding_come_in_each_gets_its_own_place(
            padding in proptest::collection::vec(proptest::bool::weighted(0.3), 2..200),
            delays in proptest::collection::vec(0usize..12, 200),
        ) {
            let now = Instant::now();
            let mut out = OutStream::new(90_000);
            let mut map = None;
            let base = out.place(&mut map, 1, 1_000, 0, now).unwrap().sequence;
            // Media packets are late by up to twelve places; padding is not, so it is never overtaken.
            let mut order: Vec<usize> = (0..padding.len()).collect();
            order.sort_by_key(|at| at + if padding[*at] { 0 } else { delays[*at] });
            for at in order {
                let sequence = 1_001 + at as u64;
                if padding[at] {
                    OutStream::skip(&mut map, 1, sequence);
                    continue;
                }
                let before = padding[..at].iter().filter(|is| !**is).count() as u64;
                let place = out.place(&mut map, 1, sequence, 0, now).map(|place| place.sequence);
                prop_assert_eq!(place, Some(base + 1 + before));
            }
        }

        #[test]
        fn no_number_is_ever_used_twice(steps in proptest::collection::vec((0u8..4, 0u64..200, 1u32..4), 1..300)) {
            let now = Instant::now();
            let mut out = OutStream::new(48_000);
            let mut maps = [None, None, None, None];
            let mut seen = std::collections::HashSet::new();
            for (kind, sequence, source) in steps {
                let map = maps.get_mut(source as usize).unwrap();
                let place = match kind {
                    0 => Some(out.append(960, now)),
                    1 => { OutStream::skip(map, source, sequence); None }
                    _ => out.place(map, source, sequence, sequence as u32 * 960, now),
                };
                if let Some(place) = place {
                    prop_assert!(seen.insert(place.sequence));
                }
            }
        }
    }
}
