//! A sender gives the same picture in several sizes (layers), and what a receiver is sent of them is chosen here. With simulcast
//! (RFC 8853) each size is a stream of its own, and a receiver is sent exactly one of them at a time. With spatial layers (SVC) all are
//! in one stream and each builds on the smaller ones: a receiver is sent all up to one.
//!
//! Without sockets and clocks: the largest that arrives and that the receiver asked for and its network carries (`bandwidth`). A change to
//! another stream, or to more layers of one, waits for a key frame, so that every picture can be decoded.

use std::time::{Duration, Instant};

use str0m::media::Rid;

use crate::bandwidth::Stream;
use crate::limits::{KEY_FRAME_INTERVAL, MAX_LAYERS};
use crate::vp9::Position;

/// A layer has stopped when it was silent for this long …
const STOPPED_AFTER: Duration = Duration::from_millis(500);
/// … while the others went on for this many frames. A picture that stands still has few frames in every layer.
const STOPPED_FRAMES: u32 = 8;
/// Rates are measured over this long: a key frame is a part of it, not all of it.
const RATE_INTERVAL: Duration = Duration::from_secs(1);
/// The names that senders commonly give, from the smallest layer to the largest: quarter, half, full.
const COMMON_NAMES: [&str; 3] = ["q", "h", "f"];

/// The layers of a received section, from the smallest to the largest. There is one unless the description names more, or the packets have
/// spatial layers.
#[derive(Debug)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
    /// They are in one stream.
    is_spatial: bool,
    /// The streams that the description names.
    rids: Vec<Rid>,
}

#[derive(Debug)]
struct Layer {
    rid: Option<Rid>,
    ssrc: u32,
    last: Option<Instant>,
    sequence: u64,
    timestamp: u64,
    /// Frames of the other layers since its last packet.
    behind: u32,
    /// When a key frame was last asked for.
    key_frame_at: Option<Instant>,
    rate: Rate,
}

/// How much arrives, second by second.
#[derive(Debug, Default)]
struct Rate {
    since: Option<Instant>,
    bytes: u64,
    /// In bits, of the last full second.
    per_second: u64,
}

impl Rate {
    fn packet(&mut self, bytes: usize, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let took = now.saturating_duration_since(since);
        if took >= RATE_INTERVAL {
            self.per_second =
                self.bytes * 8_000 / u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            (self.since, self.bytes) = (Some(now), 0);
        }
        self.bytes += bytes as u64;
    }
}

impl Layer {
    fn new(rid: Option<Rid>) -> Self {
        Self {
            rid,
            ssrc: 0,
            last: None,
            sequence: 0,
            timestamp: 0,
            behind: 0,
            key_frame_at: None,
            rate: Rate::default(),
        }
    }

    fn is_live(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| {
            self.behind < STOPPED_FRAMES || now.saturating_duration_since(last) < STOPPED_AFTER
        })
    }
}

impl Layers {
    /// The layers that a description names. Those with common names are ordered by them; others by the description, from
    /// the smallest to the largest.
    pub(crate) fn new(rids: &[Rid]) -> Self {
        let mut rids: Vec<Rid> = rids.iter().copied().take(MAX_LAYERS).collect();
        rids.sort_by_key(|rid| COMMON_NAMES.iter().position(|name| **name == **rid));
        let mut layers: Vec<Layer> = rids.iter().map(|rid| Layer::new(Some(*rid))).collect();
        if layers.is_empty() {
            layers.push(Layer::new(None));
        }
        Self {
            layers,
            is_spatial: false,
            rids,
        }
    }

    /// Are these the ones that [`new`](Self::new) was given?
    pub(crate) fn are(&self, rids: &[Rid]) -> bool {
        self.rids.len() == rids.len().min(MAX_LAYERS)
            && self.rids.iter().all(|rid| rids.contains(rid))
    }

    /// How many streams there are.
    pub(crate) fn streams(&self) -> usize {
        match self.is_spatial() {
            true => 1,
            false => self.layers.len(),
        }
    }

    /// Is there a choice?
    pub(crate) fn is_choice(&self) -> bool {
        self.layers.len() > 1
    }

    /// Are all of them in one stream?
    pub(crate) fn is_spatial(&self) -> bool {
        self.is_spatial
    }

    /// Which layer a packet belongs to whose stream may have layers of its own. A description may name three streams and the sender put all
    /// sizes into one of them (libwebrtc does, with VP9), so only the packets tell.
    pub(crate) fn place(&mut self, stream: usize, position: Position) -> usize {
        let last = position
            .layers
            .unwrap_or_default()
            .saturating_sub(1)
            .max(position.layer);
        if !self.is_spatial && last > 0 {
            let rid = self.layers.get(stream).and_then(|layer| layer.rid);
            (self.layers, self.is_spatial) = (vec![Layer::new(rid)], true);
        }
        if !self.is_spatial {
            return stream;
        }
        while self.layers.len() <= last.min(MAX_LAYERS - 1) {
            self.layers.push(Layer::new(None));
        }
        position.layer.min(MAX_LAYERS - 1)
    }

    /// A packet of a codec that has one layer in each stream.
    pub(crate) fn place_plain(&mut self, stream: usize) -> usize {
        if self.is_spatial {
            *self = Self::new(&self.rids);
        }
        stream
    }

    /// The layer of this name; `None`: the description does not name it.
    pub(crate) fn index(&self, rid: Option<Rid>) -> Option<usize> {
        if self.is_spatial || !self.is_choice() {
            return Some(0);
        }
        self.layers.iter().position(|layer| layer.rid == rid)
    }

    /// Note a packet. True: it is the newest of its layer.
    pub(crate) fn packet(
        &mut self,
        index: usize,
        ssrc: u32,
        (sequence, timestamp): (u64, u64),
        bytes: usize,
        now: Instant,
    ) -> bool {
        let Some(layer) = self.layers.get_mut(index) else {
            return false;
        };
        layer.rate.packet(bytes, now);
        let new_source = layer.ssrc != ssrc || layer.last.is_none();
        let newest = new_source || sequence > layer.sequence;
        let new_frame = new_source || (newest && timestamp != layer.timestamp);
        layer.ssrc = ssrc;
        layer.last = Some(now);
        layer.behind = 0;
        if newest {
            layer.sequence = sequence;
            layer.timestamp = timestamp;
        }
        if new_frame {
            for (at, other) in self.layers.iter_mut().enumerate() {
                if at != index {
                    other.behind = other.behind.saturating_add(1);
                }
            }
        }
        newest
    }

    /// The largest layer that arrives, not above `highest`; when none of those arrives, the smallest that does.
    pub(crate) fn best(&self, highest: usize, now: Instant) -> Option<usize> {
        let layers = self.layers.iter().enumerate();
        let live = layers.filter(|(_, layer)| layer.is_live(now));
        largest(live.map(|(at, _)| at), highest)
    }

    /// What a receiver with this choice is sent, for its [`Bandwidth`](crate::bandwidth::Bandwidth).
    pub(crate) fn stream(&self, choice: &Choice, now: Instant) -> Stream {
        let mut rates = [0; MAX_LAYERS];
        let mut below = 0;
        for (rate, layer) in rates.iter_mut().zip(&self.layers) {
            // what was not measured yet costs nobody knows how much
            if layer.is_live(now) && layer.rate.per_second > 0 {
                *rate = below + layer.rate.per_second;
                if self.is_spatial() {
                    below = *rate;
                }
            }
        }
        Stream {
            rates,
            top: choice.highest,
            fits: choice.fits,
        }
    }

    /// The source of a layer that may be asked for a key frame now, not too often: its name, and its SSRC once known.
    pub(crate) fn ask(&mut self, index: usize, now: Instant) -> Option<(Option<Rid>, Option<u32>)> {
        let index = match self.is_spatial() {
            true => 0, // one key frame is all layers'
            false => index,
        };
        let layer = self.layers.get_mut(index)?;
        let recently = layer
            .key_frame_at
            .is_some_and(|at| now.saturating_duration_since(at) < KEY_FRAME_INTERVAL);
        if recently {
            return None;
        }
        layer.key_frame_at = Some(now);
        Some((layer.rid, layer.last.map(|_| layer.ssrc)))
    }
}

/// The largest of the layers that arrive, not above `highest`; when there is none, the smallest.
pub(crate) fn largest(
    live: impl DoubleEndedIterator<Item = usize> + Clone,
    highest: usize,
) -> Option<usize> {
    let smallest = live.clone().next();
    live.rev().find(|at| *at <= highest).or(smallest)
}

/// What one receiver is sent of the layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// The layer it is sent; of spatial layers the largest.
    current: Option<usize>,
    /// Of spatial layers: since which picture, by its RTP timestamp, and what was sent of those before it. Their late packets are still
    /// sent as they were.
    since: u64,
    before: Option<usize>,
    /// The newest picture.
    newest: u64,
    /// The largest that it asked for.
    pub(crate) highest: usize,
    /// The largest that its network carries.
    pub(crate) fits: usize,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent.
    Send,
    /// It is not: it belongs to another layer.
    Drop,
    /// It is not: its layer is the one to change to, once it has a key frame; ask for one.
    AwaitKeyFrame,
}

impl Choice {
    pub(crate) fn new(highest: usize) -> Self {
        Self {
            current: None,
            since: 0,
            before: None,
            newest: 0,
            highest,
            fits: usize::MAX,
        }
    }

    fn best(&self, layers: &Layers, now: Instant) -> Option<usize> {
        layers.best(self.highest.min(self.fits), now)
    }

    /// Decide about a packet that was just [noted](Layers::packet). `key_frame`: a key frame begins with it.
    pub(crate) fn decide(
        &mut self,
        layers: &Layers,
        (layer, timestamp): (usize, u64),
        key_frame: bool,
        now: Instant,
    ) -> Verdict {
        if layers.is_spatial() {
            return self.decide_spatial(layer, timestamp, key_frame);
        }
        if !layers.is_choice() || self.current == Some(layer) {
            return Verdict::Send;
        }
        if self.best(layers, now) != Some(layer) {
            return Verdict::Drop;
        }
        if !key_frame {
            return Verdict::AwaitKeyFrame;
        }
        self.current = Some(layer);
        Verdict::Send
    }

    /// Fewer layers are sent from the next picture on, more from the next key frame on.
    fn decide_spatial(&mut self, layer: usize, timestamp: u64, key_frame: bool) -> Verdict {
        let wanted = self.highest.min(self.fits);
        let is_new = timestamp > self.newest;
        self.newest = self.newest.max(timestamp);
        let has_less = is_new && self.current.is_some_and(|current| wanted < current);
        if key_frame || has_less {
            self.before = self.current.replace(wanted);
            self.since = timestamp;
        }
        let ceiling = match timestamp < self.since {
            true => self.before,
            false => self.current,
        };
        match ceiling {
            Some(ceiling) if layer <= ceiling => Verdict::Send,
            Some(ceiling) if wanted <= ceiling => Verdict::Drop,
            Some(_) | None => Verdict::AwaitKeyFrame,
        }
    }

    /// Is this the largest layer that the receiver is sent?
    pub(crate) fn is_top(&self, layer: usize, timestamp: u64) -> bool {
        self.current == Some(layer) && timestamp >= self.since
    }

    /// The layer whose key frame helps this receiver.
    pub(crate) fn layer_to_refresh(&self, layers: &Layers, now: Instant) -> usize {
        self.current
            .or_else(|| self.best(layers, now))
            .unwrap_or_default()
    }

    /// After a pause it begins with a key frame.
    pub(crate) fn pause(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod spatial;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HIGHEST: usize = usize::MAX;

    fn rids(names: &[&str]) -> Vec<Rid> {
        names.iter().map(|name| Rid::from(*name)).collect()
    }

    /// A sender of several layers, thirty frames a second, three packets a frame; what one receiver is sent.
    struct World {
        layers: Layers,
        choice: Choice,
        now: Instant,
        frame: u64,
        /// Layers that were asked for a key frame; each gives one with its next frame.
        asked: Vec<usize>,
        /// (layer, frame, is the frame a key frame)
        sent: Vec<(usize, u64, bool)>,
    }

    impl World {
        fn new(names: &[&str]) -> Self {
            Self {
                layers: Layers::new(&rids(names)),
                choice: Choice::new(HIGHEST),
                now: Instant::now(),
                frame: 0,
                asked: Vec::new(),
                sent: Vec::new(),
            }
        }

        fn frame(&mut self, sending: &[usize]) {
            self.now += Duration::from_millis(33);
            self.frame += 1;
            let asked = std::mem::take(&mut self.asked);
            for layer in sending {
                let key = asked.contains(layer);
                for part in 0..3 {
                    let sequence = self.frame * 3 + part;
                    self.layers.packet(
                        *layer,
                        *layer as u32 + 1,
                        (sequence, self.frame),
                        1_000,
                        self.now,
                    );
                    match self.choice.decide(
                        &self.layers,
                        (*layer, self.frame),
                        key && part == 0,
                        self.now,
                    ) {
                        Verdict::Send => self.sent.push((*layer, self.frame, key)),
                        Verdict::Drop => {}
                        Verdict::AwaitKeyFrame => {
                            if self.layers.ask(*layer, self.now).is_some() {
                                self.asked.push(*layer);
                            }
                        }
                    }
                }
            }
        }

        fn frames(&mut self, count: usize, sending: &[usize]) {
            for _ in 0..count {
                self.frame(sending);
            }
        }

        fn current(&self) -> usize {
            self.sent.last().unwrap().0
        }

        /// Every frame is of one layer, and the first of a layer after another is a key frame.
        fn check(&self) {
            let mut before: Option<(usize, u64)> = None;
            for (layer, frame, key) in &self.sent {
                if before.is_some_and(|(was, _)| was != *layer) || before.is_none() {
                    assert!(key, "frame {frame} of layer {layer} is no key frame");
                }
                before = Some((*layer, *frame));
            }
        }
    }

    #[test]
    fn the_largest_layer_is_chosen_whatever_the_order_of_the_description() {
        for names in [["q", "h", "f"], ["f", "h", "q"]] {
            let layers = Layers::new(&rids(&names));
            assert_eq!(layers.index(Some("f".into())), Some(2));
            assert_eq!(layers.index(Some("x".into())), None);
        }
        let layers = Layers::new(&rids(&["lo", "hi"]));
        assert_eq!(layers.index(Some("hi".into())), Some(1));
        assert!(layers.are(&rids(&["lo", "hi"])) && !layers.are(&rids(&["lo"])));
    }

    #[test]
    fn one_stream_of_three_layers_reaches_the_receiver_and_it_is_the_largest() {
        let mut world = World::new(&["q", "h", "f"]);
        world.frames(60, &[0, 1, 2]);
        assert_eq!(world.current(), 2);
        world.check();
    }

    #[test]
    fn the_picture_gets_smaller_when_the_largest_layer_stops_and_larger_when_it_comes_back() {
        let mut world = World::new(&["q", "h", "f"]);
        world.frames(60, &[0, 1, 2]);
        world.frames(60, &[0, 1]);
        assert_eq!(world.current(), 1);
        world.frames(60, &[0, 1, 2]);
        assert_eq!(world.current(), 2);
        world.check();
    }

    #[test]
    fn a_receiver_that_asks_for_less_gets_it_without_a_gap() {
        let mut world = World::new(&["q", "h", "f"]);
        world.frames(60, &[0, 1, 2]);
        world.choice.highest = 0;
        let before = world.sent.len();
        world.frames(60, &[0, 1, 2]);
        assert_eq!(world.current(), 0);
        world.check();
        let frames: Vec<u64> = world.sent[before..]
            .iter()
            .map(|(_, frame, _)| *frame)
            .collect();
        assert!(frames.windows(2).all(|w| w[1] - w[0] <= 1), "{frames:?}");
    }

    #[test]
    fn a_still_picture_does_not_change_its_layer() {
        let mut world = World::new(&["q", "h", "f"]);
        world.frames(60, &[0, 1, 2]);
        for _ in 0..5 {
            world.now += Duration::from_secs(2);
            world.frame(&[0, 1, 2]);
        }
        assert_eq!(world.current(), 2);
    }

    #[test]
    fn a_stream_without_simulcast_passes_as_it_is() {
        let mut world = World::new(&[]);
        world.frames(3, &[0]);
        assert_eq!(world.sent.len(), 9);
    }

    proptest! {
        #[test]
        fn whatever_layers_come_and_go_no_picture_is_built_from_two(
            steps in proptest::collection::vec((0u8..8, 1usize..40, 0usize..4), 1..30)
        ) {
            let mut world = World::new(&["q", "h", "f"]);
            for (mask, count, highest) in steps {
                let sending: Vec<usize> = (0..3).filter(|at| mask & (1 << at) != 0).collect();
                world.choice.highest = highest;
                world.frames(count, &sending);
            }
            world.check();
            // Whoever sends on is seen again.
            world.choice.highest = HIGHEST;
            let before = world.sent.len();
            world.frames(60, &[1]);
            prop_assert!(world.sent.len() > before && world.current() == 1);
        }
    }
}
