//! A way with a queue before it, and a receiver that estimates as libwebrtc does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

/// Bits per second of three layers as browsers send them.
const LAYERS: [u64; 3] = [150_000, 500_000, 1_700_000];

struct World {
    bandwidth: Bandwidth,
    streams: Vec<Stream>,
    now: Instant,
    /// What the way carries.
    way: u64,
    estimate: u64,
    /// What arrived in the second before: the receiver measures for a second.
    arrived: u64,
    /// Bits that wait.
    queue: u64,
    /// How often each second had a queue of more than 100 ms.
    congested: Vec<bool>,
}

impl World {
    fn new(way: u64, pictures: usize) -> Self {
        let mut rates = [0; MAX_LAYERS];
        rates[..3].copy_from_slice(&LAYERS);
        let stream = Stream {
            rates,
            top: 2,
            fits: usize::MAX,
        };
        Self {
            bandwidth: Bandwidth::default(),
            streams: vec![stream; pictures],
            now: Instant::now(),
            way,
            estimate: 0,
            arrived: 0,
            queue: 0,
            congested: Vec::new(),
        }
    }

    fn sent(&self) -> u64 {
        self.streams.iter().map(|s| s.sent(s.fits)).sum()
    }

    fn second(&mut self) {
        self.now += Duration::from_secs(1);
        let sent = self.sent();
        let arrives = (sent + self.queue).min(self.way);
        self.queue = sent + self.queue - arrives;
        let is_queueing = self.queue > self.way / 10;
        // a router drops what is too much for it
        self.queue = self.queue.min(self.way);
        self.congested.push(is_queueing);
        self.estimate = if is_queueing {
            arrives * 85 / 100
        } else if self.estimate == 0 {
            arrives
        } else {
            let most = self.arrived * 3 / 2 + 10_000;
            (self.estimate * 108 / 100).min(most.max(self.estimate))
        };
        self.arrived = arrives;
        self.bandwidth
            .told(self.estimate, &mut self.streams, self.now);
    }

    fn seconds(&mut self, count: usize) {
        for _ in 0..count {
            self.second();
        }
    }

    fn layers(&self) -> Vec<usize> {
        self.streams
            .iter()
            .map(|s| s.layer(s.fits).unwrap())
            .collect()
    }
}

#[test]
fn a_network_that_carries_everything_is_never_a_reason_for_less() {
    let mut world = World::new(20_000_000, 3);
    for _ in 0..60 {
        world.second();
        assert_eq!(world.layers(), [2, 2, 2]);
    }
}

#[test]
fn the_picture_gets_smaller_within_seconds_when_the_network_is_too_narrow() {
    for (way, layer) in [(1_000_000, 1), (400_000, 0), (100_000, 0)] {
        let mut world = World::new(way, 1);
        world.seconds(4);
        assert_eq!(world.layers(), [layer], "{way}");
    }
}

#[test]
fn the_picture_gets_larger_again_when_the_network_does() {
    let mut world = World::new(400_000, 1);
    world.seconds(20);
    assert_eq!(world.layers(), [0]);
    world.way = 5_000_000;
    // a trial may have failed just before, and the next one waits for up to four times as long as the first
    world.seconds(60);
    assert_eq!(world.layers(), [2]);
}

#[test]
fn a_narrow_network_is_tried_more_and_more_seldom() {
    let mut world = World::new(400_000, 1);
    world.seconds(600);
    let late = &world.congested[300..];
    let queues = late.iter().filter(|queues| **queues).count();
    assert!(queues <= 15, "{queues} of 300 seconds");
    assert!(queues > 0, "it is never tried again");
}

#[test]
fn of_two_pictures_neither_is_large_before_the_other_is_middling() {
    let mut world = World::new(1_300_000, 2);
    // the second step is a trial for itself
    world.seconds(60);
    assert_eq!(world.layers(), [1, 1]);
}

#[test]
fn nothing_is_sent_above_what_was_asked_for() {
    let mut world = World::new(3_000_000, 2);
    world.streams[1].top = 0;
    world.seconds(30);
    assert_eq!(world.layers(), [2, 0]);
}

proptest! {
    #[test]
    fn whatever_the_network_does_voices_are_not_kept_waiting_for_long(
        ways in proptest::collection::vec((200_000_u64..6_000_000, 30_usize..90), 1..6),
        pictures in 1_usize..4,
    ) {
        let mut world = World::new(10_000_000, pictures);
        for (way, seconds) in ways {
            world.way = way.max(LAYERS[0] * pictures as u64 * 3 / 2);
            // a router's queue of a second empties slowly where a little more comes than goes
            world.seconds(8);
            let before = world.congested.len();
            world.seconds(seconds);
            let longest = world.congested[before..]
                .split(|queues| !queues)
                .map(<[bool]>::len)
                .max()
                .unwrap();
            prop_assert!(longest <= 9, "{longest} seconds of {:?}", &world.congested[before..]);
        }
    }
}
