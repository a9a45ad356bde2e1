//! Tests of layers that build on each other within one stream.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

/// One packet for each layer of a picture; what one receiver is sent.
struct World {
    layers: Layers,
    choice: Choice,
    now: Instant,
    sequence: u64,
    key_frame_asked: bool,
    /// The layers of each picture that were sent, whether it was a key frame, and how many the sender gave.
    sent: Vec<(Vec<usize>, bool, usize)>,
}

impl World {
    fn new() -> Self {
        Self {
            layers: Layers::new(&[]),
            choice: Choice::new(usize::MAX),
            now: Instant::now(),
            sequence: 0,
            key_frame_asked: true,
            sent: Vec::new(),
        }
    }

    /// The sender gives so many layers.
    fn picture(&mut self, count: usize) {
        self.now += Duration::from_millis(33);
        let key = std::mem::take(&mut self.key_frame_asked);
        let mut sent = Vec::new();
        for layer in 0..count {
            self.sequence += 1;
            let begins_key_frame = key && layer == 0;
            let position = Position {
                layer,
                layers: begins_key_frame.then_some(3),
                begins_key_frame,
                ends_layer: true,
            };
            assert_eq!(self.layers.place(0, position), layer);
            let number = (self.sequence, self.sent.len() as u64 + 1);
            self.layers.packet(layer, 1, number, 1_000, self.now);
            let place = (layer, number.1);
            match self
                .choice
                .decide(&self.layers, place, begins_key_frame, self.now)
            {
                Verdict::Send => sent.push(layer),
                Verdict::Drop => {}
                Verdict::AwaitKeyFrame => {
                    self.key_frame_asked |= self.layers.ask(layer, self.now).is_some();
                }
            }
        }
        self.sent.push((sent, key, count));
    }

    fn pictures(&mut self, times: usize, count: usize) {
        for _ in 0..times {
            self.picture(count);
        }
    }

    fn last(&self) -> &[usize] {
        &self.sent.last().unwrap().0
    }

    /// Every picture has all layers up to one. A layer that was left out comes back with a key frame only.
    fn check(&self) {
        let mut decodable = 0;
        for (layers, key, given) in &self.sent {
            assert!(layers.iter().copied().eq(0..layers.len()), "{layers:?}");
            assert!(
                *key || layers.len() <= decodable,
                "{layers:?}, of {decodable} before"
            );
            if layers.len() < *given {
                decodable = layers.len();
            } else if *key {
                decodable = usize::MAX; // all that there were
            }
        }
    }
}

#[test]
fn a_receiver_that_asks_for_less_gets_it_with_the_next_picture_and_the_rest_after_a_key_frame() {
    let mut world = World::new();
    world.pictures(60, 3);
    assert_eq!(world.last(), [0, 1, 2]);
    world.choice.highest = 0;
    world.picture(3);
    assert_eq!(world.last(), [0]);
    world.choice.highest = usize::MAX;
    world.pictures(60, 3);
    assert_eq!(world.last(), [0, 1, 2]);
    world.check();
    assert_eq!(world.layers.streams(), 1);
}

#[test]
fn a_narrow_network_gets_the_layers_that_fit_and_a_layer_costs_all_below_it() {
    let mut world = World::new();
    world.pictures(60, 3);
    let stream = world.layers.stream(&world.choice, world.now);
    let rates = &stream.rates[..3];
    assert!(rates[0] > 0 && rates[1] >= rates[0] * 19 / 10 && rates[2] >= rates[0] * 28 / 10);
    world.choice.fits = 1;
    world.picture(3);
    assert_eq!(world.last(), [0, 1]);
}

#[test]
fn a_late_packet_of_a_picture_before_the_change_is_still_sent() {
    let mut world = World::new();
    world.pictures(60, 3);
    world.choice.highest = 0;
    world.picture(3);
    let mut decide = |layer, timestamp| {
        let place = (layer, timestamp);
        world.choice.decide(&world.layers, place, false, world.now)
    };
    assert_eq!(decide(2, 60), Verdict::Send);
    assert_eq!(decide(2, 61), Verdict::Drop);
    assert_eq!(decide(0, 60), Verdict::Send);
    assert_eq!(decide(2, 60), Verdict::Send);
}

#[test]
fn packets_tell_what_the_description_does_not() {
    let whole = |layers: Option<usize>, layer| Position {
        layer,
        layers,
        begins_key_frame: layers.is_some(),
        ends_layer: true,
    };
    let names: Vec<Rid> = ["q", "h", "f"].map(Rid::from).into();
    // a stream for each size
    let mut layers = Layers::new(&names);
    assert_eq!(layers.place(2, whole(Some(1), 0)), 2);
    assert_eq!((layers.is_spatial(), layers.streams()), (false, 3));
    // all sizes in the first
    assert_eq!(layers.place(0, whole(Some(3), 0)), 0);
    assert_eq!(layers.place(0, whole(None, 2)), 2);
    assert_eq!((layers.is_spatial(), layers.streams()), (true, 1));
    assert!(layers.are(&names) && layers.index(Some("q".into())) == Some(0));
    // another codec
    assert_eq!(layers.place_plain(1), 1);
    assert_eq!((layers.is_spatial(), layers.streams()), (false, 3));
    // one size, one stream
    let mut layers = Layers::new(&[]);
    assert_eq!(layers.place(0, whole(Some(1), 0)), 0);
    let verdict = Choice::new(0).decide(&layers, (0, 1), false, Instant::now());
    assert_eq!((verdict, layers.is_choice()), (Verdict::Send, false));
}

proptest! {
    #[test]
    fn whatever_is_asked_for_every_picture_can_be_decoded(
        steps in proptest::collection::vec((1usize..4, 1usize..40, 0usize..4, 0usize..4, any::<bool>()), 1..30)
    ) {
        let mut world = World::new();
        for (count, times, highest, fits, pauses) in steps {
            world.choice.highest = highest;
            world.choice.fits = fits;
            if pauses {
                world.choice.pause();
            }
            world.pictures(times, count);
        }
        world.check();
        world.choice = Choice { highest: usize::MAX, fits: usize::MAX, ..world.choice };
        world.pictures(60, 3);
        prop_assert_eq!(world.last(), [0, 1, 2]);
    }
}
