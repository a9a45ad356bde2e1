//! What a listener hears of a track whose packets come late, twice, not at all, or from nowhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::time::{Duration, Instant};

use antiphon_audio::jitter::{
    JitterBuffer, MAX_CONCEALED_IN_A_ROW, MAX_HELD_PACKETS, MAX_SILENCE_AT_ONCE, MAX_WAIT,
    MIN_WAIT, Output, SILENCE_STEP,
};
use antiphon_audio::opus::SILENCE_20_MS;
use bytes::Bytes;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

/// A buffer, a clock, and a sender that stamps packets of 20 ms as WebRTC does.
struct Track {
    buffer: JitterBuffer,
    start: Instant,
    now: Instant,
}

impl Track {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            buffer: JitterBuffer::new(),
            start,
            now: start,
        }
    }

    fn at(&mut self, ms: u32) -> &mut Self {
        self.now = self.start + MS * ms;
        self
    }

    fn push(&mut self, sequence: u64) -> &mut Self {
        self.push_at(sequence, sequence.wrapping_mul(960))
    }

    fn push_at(&mut self, sequence: u64, timestamp: u64) -> &mut Self {
        self.buffer.push(
            sequence,
            timestamp,
            Bytes::from_static(&SILENCE_20_MS),
            self.now,
        );
        self
    }

    fn pop(&mut self) -> Output {
        self.buffer.pop(self.now)
    }

    /// Everything that is ready, in short: `7` packet, `x` lost, `X` lost but the next packet is known, `_` silence.
    fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        loop {
            match self.pop() {
                Output::Packet(packet) => heard.push(packet.sequence.to_string()),
                Output::Lost {
                    next: None,
                    duration,
                } => {
                    assert_eq!(duration, MS * 20);
                    heard.push("x".to_owned());
                }
                Output::Lost { next: Some(_), .. } => heard.push("X".to_owned()),
                Output::Silence { duration } => {
                    assert_eq!(duration, SILENCE_STEP);
                    heard.push("_".to_owned());
                }
                Output::Nothing => return heard.join(" "),
            }
        }
    }
}

#[test]
fn packets_in_order_are_heard_at_once() {
    let mut track = Track::new();
    for (index, ms) in [(100, 0), (101, 20), (102, 55), (103, 56), (104, 80)] {
        assert_eq!(track.at(ms).push(index).hear(), index.to_string());
    }
    assert_eq!(track.buffer.stats().played, 5);
}

#[test]
fn swapped_neighbours_are_heard_in_order_without_a_hole() {
    let mut track = Track::new();
    assert_eq!(track.push(1).hear(), "1");
    assert_eq!(track.at(20).push(3).hear(), "");
    assert_eq!(track.at(30).push(2).hear(), "2 3");
    assert_eq!(track.buffer.stats().lost, 0);
}

#[test]
fn a_missing_packet_is_given_up_after_the_wait_and_recovered_from_the_next() {
    let mut track = Track::new();
    track.push(1).hear();
    assert_eq!(track.at(40).push(3).hear(), "");
    assert_eq!(
        track.buffer.deadline(),
        Some(track.start + MS * 40 + MIN_WAIT)
    );
    assert_eq!(track.at(59).hear(), "");
    assert_eq!(track.at(60).hear(), "X 3");
    assert_eq!(track.buffer.stats().lost, 1);
}

#[test]
fn two_missing_packets_are_concealed_one_after_the_other() {
    let mut track = Track::new();
    track.push(1).hear();
    assert_eq!(track.at(30).push(4).at(50).hear(), "x X 4");
}

#[test]
fn a_large_hole_is_concealed_only_at_its_end() {
    let mut track = Track::new();
    track.push(1).hear();
    let heard = track.at(30).push(21).at(50).hear();
    assert_eq!(heard, "x x x x X 21");
    assert_eq!(track.buffer.stats().lost, 19);
    assert_eq!(heard.split(' ').count() as u64, MAX_CONCEALED_IN_A_ROW + 1);
}

#[test]
fn a_hole_that_silence_filled_already_is_not_concealed_as_well() {
    let mut track = Track::new();
    track.push(1).hear();
    assert_eq!(track.at(100).hear(), "_ _ _ _ _");
    assert_eq!(track.push(7).hear(), "");
    assert_eq!(track.at(120).hear(), "7");
}

#[test]
fn a_packet_after_it_was_given_up_is_late_and_the_buffer_learns_to_wait_longer() {
    let mut track = Track::new();
    track.push(1).hear();
    assert_eq!(track.at(20).push(3).at(40).hear(), "X 3");
    assert_eq!(track.at(45).push(2).hear(), "");
    assert_eq!(track.buffer.stats().late, 1);
    assert_eq!(track.buffer.wait(), MAX_WAIT);
    // And forgets it again when the network is calm.
    for sequence in 4..=504 {
        track.at(50).push(sequence).hear();
    }
    assert_eq!(track.buffer.wait(), MIN_WAIT);
}

#[test]
fn a_packet_that_comes_twice_is_heard_once_and_does_not_change_the_wait() {
    let mut track = Track::new();
    track.push(1).push(1).hear();
    assert_eq!(track.at(20).push(2).push(1).push(2).hear(), "2");
    assert_eq!(track.push(2).hear(), "");
    let stats = track.buffer.stats();
    assert_eq!((stats.duplicate, stats.late, stats.played), (4, 0, 2));
    assert_eq!(track.buffer.wait(), MIN_WAIT);
}

#[test]
fn a_silent_sender_is_heard_as_silence_in_step_with_the_clock() {
    let mut track = Track::new();
    track.push(1).hear();
    assert_eq!(track.at(59).hear(), "");
    assert_eq!(track.at(60).hear(), "_ _ _");
    assert_eq!(track.buffer.deadline(), Some(track.start + MS * 80));
    assert_eq!(track.at(79).hear(), "");
    assert_eq!(track.at(80).hear(), "_");
    assert_eq!(track.at(400).hear(), "_ ".repeat(16).trim());
}

#[test]
fn a_dtx_gap_is_silence_and_not_loss() {
    let mut track = Track::new();
    track.push_at(1, 0).hear();
    assert_eq!(track.at(200).hear(), "_ ".repeat(10).trim());
    // 400 ms later in the sender's time, next in sequence: what the clock did not give is made up.
    assert_eq!(
        track.at(390).push_at(2, 19_200).hear(),
        "_ _ _ _ _ _ _ _ _ 2"
    );
    assert_eq!(track.buffer.stats().lost, 0);
}

#[test]
fn a_timestamp_from_the_sky_gives_a_bounded_silence() {
    let mut track = Track::new();
    track.push_at(1, 0).hear();
    let heard = track.at(20).push_at(2, u64::MAX).hear();
    assert_eq!(
        heard.matches('_').count() as u32,
        (MAX_SILENCE_AT_ONCE.as_millis() / SILENCE_STEP.as_millis()) as u32
    );
    assert!(heard.ends_with('2'));
    assert_eq!(track.at(40).push_at(3, 0).hear(), "3");
}

#[test]
fn after_a_long_pause_of_the_reader_only_the_last_second_is_made_up() {
    let mut track = Track::new();
    track.push(1).hear();
    assert_eq!(track.at(60_000).hear().matches('_').count(), 50);
}

#[test]
fn a_sender_that_restarts_is_heard_after_two_packets() {
    let mut track = Track::new();
    track.push(70_000).hear();
    assert_eq!(track.at(20).push(5).hear(), "");
    assert_eq!(track.at(40).push(6).hear(), "5 6");
    assert_eq!(track.at(60).push(7).hear(), "7");
    assert_eq!(track.buffer.stats().restarts, 1);
}

#[test]
fn one_stray_packet_does_not_interrupt_the_stream() {
    let mut track = Track::new();
    track.push(10).hear();
    assert_eq!(track.at(20).push(1 << 40).hear(), "");
    assert_eq!(track.at(21).push(11).hear(), "11");
    assert_eq!(track.at(22).push(u64::MAX).hear(), "");
    assert_eq!(track.at(40).push(12).hear(), "12");
    assert_eq!(track.buffer.stats().restarts, 0);
    assert_eq!(track.buffer.stats().refused, 1);
}

#[test]
fn a_flood_without_a_reader_keeps_the_newest_packets() {
    let mut track = Track::new();
    for sequence in 1..=200 {
        track.push(sequence);
    }
    assert_eq!(track.buffer.len(), MAX_HELD_PACKETS);
    assert_eq!(
        track.buffer.stats().overflowed,
        200 - MAX_HELD_PACKETS as u64
    );
    let heard = track.hear();
    assert!(
        heard.starts_with("137 138") && heard.ends_with("200"),
        "{heard}"
    );
}

#[test]
fn empty_and_giant_payloads_are_refused() {
    let mut track = Track::new();
    track.buffer.push(1, 0, Bytes::new(), track.now);
    track
        .buffer
        .push(2, 0, Bytes::from(vec![0; 1501]), track.now);
    assert_eq!(track.hear(), "");
    assert_eq!(track.buffer.stats().refused, 2);
}

#[derive(Clone, Debug)]
enum Step {
    Push {
        sequence: u64,
        timestamp: u64,
        bytes: Vec<u8>,
    },
    Wait(u64),
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sequence = prop_oneof![8 => 1_000..1_100_u64, 1 => any::<u64>()];
    let timestamp = prop_oneof![4 => 0..200_000_u64, 1 => any::<u64>()];
    let push = (
        sequence,
        timestamp,
        prop::collection::vec(any::<u8>(), 0..4),
    )
        .prop_map(|(sequence, timestamp, bytes)| Step::Push {
            sequence,
            timestamp,
            bytes,
        });
    let wait = prop_oneof![8 => 0..60_u64, 1 => 0..100_000_u64].prop_map(Step::Wait);
    prop::collection::vec(
        prop_oneof![4 => push, 2 => wait, 3 => Just(Step::Pop)],
        0..400,
    )
}

proptest! {
    /// Whatever arrives: in order, nothing twice, bounded, no panic, and every packet is accounted for.
    #[test]
    fn any_arrival_is_played_in_order_once_and_within_bounds(steps in steps()) {
        let mut track = Track::new();
        let mut last: Option<u64> = None;
        let mut restarts = 0;
        for step in steps {
            match step {
                Step::Push { sequence, timestamp, bytes } => {
                    track.buffer.push(sequence, timestamp, Bytes::from(bytes), track.now);
                }
                Step::Wait(ms) => track.now += Duration::from_millis(ms),
                Step::Pop => {
                    let output = track.pop();
                    if track.buffer.stats().restarts != restarts {
                        restarts = track.buffer.stats().restarts;
                        last = None;
                    }
                    if let Output::Packet(packet) = output {
                        prop_assert!(last.is_none_or(|last| last < packet.sequence));
                        last = Some(packet.sequence);
                    }
                }
            }
            prop_assert!(track.buffer.len() <= MAX_HELD_PACKETS);
            prop_assert!((MIN_WAIT..=MAX_WAIT).contains(&track.buffer.wait()));
            let stats = track.buffer.stats();
            let gone = stats.played + stats.late + stats.duplicate + stats.overflowed + stats.refused;
            prop_assert!(stats.received - gone <= track.buffer.len() as u64 + 1, "one stray may wait: {:?}", stats);
        }
        // After the clock has run on, nothing waits for ever: what is held comes out.
        track.now += Duration::from_secs(1);
        for _ in 0..100_000 {
            if track.pop() == Output::Nothing { break }
        }
        prop_assert!(track.buffer.is_empty());
    }

    /// Reordering by one neighbour, with stamps 20 ms apart, loses nothing.
    #[test]
    fn swapped_neighbours_never_lose_a_packet(swaps in prop::collection::vec(any::<bool>(), 1..100)) {
        let mut order: Vec<u64> = (0..=2 * swaps.len() as u64).collect();
        for (index, swap) in swaps.iter().enumerate() {
            if *swap { order.swap(2 * index + 1, 2 * index + 2) }
        }
        let mut track = Track::new();
        let mut heard = Vec::new();
        for (slot, sequence) in order.iter().enumerate() {
            track.at(slot as u32 * 19).push(*sequence);
            heard.extend(track.hear().split(' ').filter(|it| !it.is_empty()).map(str::to_owned));
        }
        let expected: Vec<String> = (0..order.len()).map(|sequence| sequence.to_string()).collect();
        prop_assert_eq!(heard, expected);
    }
}
