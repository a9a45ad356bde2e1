//! RED (RFC 2198): every packet carries earlier ones again. Parsing, recovery of what was lost, and making it.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use crate::limits::MAX_RTP_PAYLOAD_BYTES;

/// Redundant blocks read from one packet; browsers send one or two. More: the packet is not RED.
const MAX_BLOCKS: usize = 9;
/// How far back a packet can still be told apart from one that was seen.
const WINDOW: u64 = 64;
/// Remembered time stamps, to place recovered blocks; the deepest redundancy plus reordering.
const HISTORY: usize = 16;
/// A jump of the sequence number beyond this is a new stream.
const MAX_JUMP: u64 = 1_000;
/// Highest payload type.
const PT_MASK: u8 = 0x7f;
/// Earlier packets in one that is made here; livekit-server's. Of five packets lost in a hundred one in eight thousand then is.
const DEPTH: usize = 2;
/// What the header of an earlier packet has room for: its length, and how much earlier it was.
const MAX_EARLIER_BYTES: usize = (1 << 10) - 1;
const MAX_OFFSET: u64 = (1 << 14) - 1;

/// One block of a RED payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Payload type of the codec inside.
    pub(crate) payload_type: u8,
    /// How much earlier than the packet's time stamp; 0 for the primary block.
    pub(crate) offset: u32,
    /// Where in the payload.
    pub(crate) range: Range<usize>,
}

/// Read a RED payload: redundant blocks, oldest first, then the primary block. `None`: malformed.
pub(crate) fn parse(payload: &[u8]) -> Option<Vec<Block>> {
    let mut headers: Vec<(u8, u32, usize)> = Vec::with_capacity(3);
    let mut at = 0;
    let primary = loop {
        let first = *payload.get(at)?;
        if first & 0x80 == 0 {
            at += 1;
            break first & PT_MASK;
        }
        let &[_, high, middle, low] = payload.get(at..at + 4)? else {
            return None;
        };
        let offset = (u32::from(high) << 6) | (u32::from(middle) >> 2);
        let length = (usize::from(middle & 0b11) << 8) | usize::from(low);
        headers.push((first & PT_MASK, offset, length));
        if headers.len() > MAX_BLOCKS {
            return None;
        }
        at += 4;
    };
    let mut blocks = Vec::with_capacity(headers.len() + 1);
    for (payload_type, offset, length) in headers {
        let end = at.checked_add(length)?;
        if end > payload.len() {
            return None;
        }
        blocks.push(Block {
            payload_type,
            offset,
            range: at..end,
        });
        at = end;
    }
    blocks.push(Block {
        payload_type: primary,
        offset: 0,
        range: at..payload.len(),
    });
    Some(blocks)
}

/// The same payload for a receiver that knows the codec inside under another payload type. `None`: malformed.
pub(crate) fn with_payload_type(payload: &[u8], from: u8, to: u8) -> Option<Vec<u8>> {
    let mut copy = payload.to_vec();
    let mut at = 0;
    loop {
        let byte = copy.get_mut(at)?;
        let more = *byte & 0x80;
        if *byte & PT_MASK == from {
            *byte = more | (to & PT_MASK);
        }
        if more == 0 {
            return Some(copy);
        }
        at += 4;
    }
}

/// A packet taken out of RED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unwrapped {
    /// Its own sequence number.
    pub(crate) sequence: u64,
    /// Its own time stamp.
    pub(crate) timestamp: u64,
    /// Where its payload is in the RED payload.
    pub(crate) range: Range<usize>,
    /// Taken from redundancy, since it was lost or is late.
    pub(crate) recovered: bool,
}

/// Takes packets out of RED, each once and in order as far as they arrive so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unwrapper {
    /// First and highest sequence number.
    span: Option<(u64, u64)>,
    /// Bit n: `highest - n` was seen.
    seen: u64,
    history: [Option<(u64, u64)>; HISTORY],
}

impl Unwrapper {
    /// Note a packet; false: it was seen before (or recovered) or is too old to know.
    pub(crate) fn note(&mut self, sequence: u64, timestamp: u64) -> bool {
        let fresh = match self.span {
            None => {
                self.restart(sequence);
                true
            }
            Some((first, highest)) if sequence > highest => {
                let step = sequence - highest;
                if step > MAX_JUMP {
                    self.restart(sequence);
                } else {
                    self.seen = if step < WINDOW {
                        (self.seen << step) | 1
                    } else {
                        1
                    };
                    self.span = Some((first, sequence));
                }
                true
            }
            Some((first, highest)) => {
                let back = highest - sequence;
                if back > MAX_JUMP {
                    self.restart(sequence);
                    true
                } else if back >= WINDOW || self.seen & (1 << back) != 0 {
                    false
                } else {
                    self.seen |= 1 << back;
                    self.span = Some((first.min(sequence), highest));
                    true
                }
            }
        };
        if fresh && let Some(slot) = self.history.get_mut((sequence % HISTORY as u64) as usize) {
            *slot = Some((sequence, timestamp));
        }
        fresh
    }

    /// Take apart a RED payload: what was missing first, then the packet itself. Nothing for a duplicate or rubbish.
    /// `codec` is the payload type of the codec inside; blocks of other codecs are skipped.
    pub(crate) fn unwrap(
        &mut self,
        sequence: u64,
        timestamp: u64,
        payload: &[u8],
        codec: u8,
        out: &mut Vec<Unwrapped>,
    ) {
        let Some(blocks) = parse(payload) else { return };
        let Some((primary, redundant)) = blocks.split_last() else {
            return;
        };
        let near = self
            .span
            .is_some_and(|(_, highest)| sequence.abs_diff(highest) <= MAX_JUMP);
        if near {
            let deepest = redundant.len() as u64;
            for (index, block) in redundant.iter().enumerate() {
                let back = deepest - index as u64;
                let (Some(lost), Some(time)) = (
                    sequence.checked_sub(back),
                    timestamp.checked_sub(u64::from(block.offset)),
                ) else {
                    continue;
                };
                let usable =
                    block.payload_type == codec && !block.range.is_empty() && block.offset > 0;
                if usable && self.fits(lost, time) && self.note(lost, time) {
                    out.push(Unwrapped {
                        sequence: lost,
                        timestamp: time,
                        range: block.range.clone(),
                        recovered: true,
                    });
                }
            }
        }
        if primary.payload_type == codec && self.note(sequence, timestamp) {
            out.push(Unwrapped {
                sequence,
                timestamp,
                range: primary.range.clone(),
                recovered: false,
            });
        }
    }

    fn restart(&mut self, sequence: u64) {
        self.span = Some((sequence, sequence));
        self.seen = 1;
        self.history = [None; HISTORY];
    }

    /// Does a block with this number and time lie between its neighbours? (A sender may skip packets in its pattern.)
    fn fits(&self, sequence: u64, timestamp: u64) -> bool {
        let after_start = self.span.is_some_and(|(first, _)| sequence > first);
        after_start
            && self
                .history
                .iter()
                .flatten()
                .all(|&(other, time)| match other.cmp(&sequence) {
                    std::cmp::Ordering::Less => time < timestamp,
                    std::cmp::Ordering::Equal => false,
                    std::cmp::Ordering::Greater => time > timestamp,
                })
    }
}

/// The packets of a source that may be sent again in RED.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    slots: [Option<Sent>; HISTORY],
}

#[derive(Clone, Debug)]
struct Sent {
    source: u32,
    sequence: u64,
    timestamp: u64,
    payload: Arc<[u8]>,
}

impl Recent {
    /// Note a packet, and what was there before it.
    pub(crate) fn note(
        &mut self,
        source: u32,
        sequence: u64,
        timestamp: u64,
        payload: &Arc<[u8]>,
    ) -> Earlier {
        let back = |back: u64| {
            let before = sequence.checked_sub(back)?;
            let found = self
                .slots
                .get((before % HISTORY as u64) as usize)?
                .as_ref()?;
            let offset = timestamp.checked_sub(found.timestamp)?;
            let fits = found.source == source
                && found.sequence == before
                && (1..=MAX_OFFSET).contains(&offset)
                && (1..=MAX_EARLIER_BYTES).contains(&found.payload.len());
            fits.then(|| (offset as u32, Arc::clone(&found.payload)))
        };
        // Receivers count back from the packet, so none may be missing in between.
        let packets = (1..=DEPTH as u64).map_while(back).collect();
        if let Some(slot) = self.slots.get_mut((sequence % HISTORY as u64) as usize) {
            *slot = Some(Sent {
                source,
                sequence,
                timestamp,
                payload: Arc::clone(payload),
            });
        }
        Earlier {
            packets,
            wrapped: Default::default(),
        }
    }

    /// Nothing of before is to be heard again.
    pub(crate) fn forget(&mut self) {
        self.slots = Default::default();
    }
}

/// What was sent before a packet, the latest first: how much earlier, and what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Earlier {
    packets: Vec<(u32, Arc<[u8]>)>,
    /// With one of them, with two, and so on; made for the first receiver.
    wrapped: [OnceCell<Arc<[u8]>>; DEPTH],
}

impl Earlier {
    /// The packet in RED with at most so many earlier ones, as far as they fit. `None`: with none, so there is no use in it.
    /// `codec` is the payload type of all.
    pub(crate) fn wrap(&self, codec: u8, payload: &[u8], most: usize) -> Option<Arc<[u8]>> {
        let mut bytes = payload.len() + 1;
        let fits = |(_, earlier): &&(u32, Arc<[u8]>)| {
            bytes += earlier.len() + 4;
            bytes <= MAX_RTP_PAYLOAD_BYTES
        };
        let count = self.packets.iter().take(most).take_while(fits).count();
        let earlier = self.packets.get(..count)?;
        let wrapped = self.wrapped.get(count.checked_sub(1)?)?;
        Some(Arc::clone(
            wrapped.get_or_init(|| wrap(codec, earlier, payload)),
        ))
    }
}

/// A RED payload of these packets, the latest of the earlier ones first.
fn wrap(codec: u8, earlier: &[(u32, Arc<[u8]>)], payload: &[u8]) -> Arc<[u8]> {
    let codec = codec & PT_MASK;
    let mut out = Vec::with_capacity(MAX_RTP_PAYLOAD_BYTES);
    for (offset, block) in earlier.iter().rev() {
        let bits = (offset << 10) | block.len() as u32;
        let [_, high, middle, low] = bits.to_be_bytes();
        out.extend_from_slice(&[0x80 | codec, high, middle, low]);
    }
    out.push(codec);
    for (_, block) in earlier.iter().rev() {
        out.extend_from_slice(block);
    }
    out.extend_from_slice(payload);
    out.into()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPUS: u8 = 111;

    fn red(blocks: &[(u32, &[u8])], primary: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (offset, data) in blocks {
            bytes.push(0x80 | OPUS);
            bytes.push((offset >> 6) as u8);
            bytes.push(((offset << 2) as u8 & 0xfc) | (data.len() >> 8) as u8);
            bytes.push(data.len() as u8);
        }
        bytes.push(OPUS);
        for (_, data) in blocks {
            bytes.extend_from_slice(data);
        }
        bytes.extend_from_slice(primary);
        bytes
    }

    fn feed(
        unwrapper: &mut Unwrapper,
        sequence: u64,
        payload: &[u8],
    ) -> Vec<(u64, u64, Vec<u8>, bool)> {
        let mut out = Vec::new();
        unwrapper.unwrap(sequence, sequence * 960, payload, OPUS, &mut out);
        out.into_iter()
            .map(|u| {
                (
                    u.sequence,
                    u.timestamp,
                    payload[u.range].to_vec(),
                    u.recovered,
                )
            })
            .collect()
    }

    #[test]
    fn blocks_are_read_oldest_first() {
        let blocks = parse(&red(&[(1_920, b"aa"), (960, b"bbb")], b"c")).unwrap();
        assert_eq!(blocks.len(), 3);
        assert_eq!((blocks[0].offset, blocks[0].range.len()), (1_920, 2));
        assert_eq!((blocks[1].offset, blocks[1].range.len()), (960, 3));
        assert_eq!((blocks[2].offset, blocks[2].range.len()), (0, 1));
    }

    #[test]
    fn a_lost_packet_is_heard_from_the_next_ones_redundancy() {
        let mut unwrapper = Unwrapper::default();
        assert_eq!(
            feed(&mut unwrapper, 10, &red(&[(960, b"9")], b"10")).len(),
            1,
            "nothing before the start"
        );
        let out = feed(&mut unwrapper, 12, &red(&[(960, b"11")], b"12"));
        assert_eq!(
            out,
            vec![
                (11, 11 * 960, b"11".to_vec(), true),
                (12, 12 * 960, b"12".to_vec(), false)
            ]
        );
        assert!(
            feed(&mut unwrapper, 11, &red(&[(960, b"10")], b"11")).is_empty(),
            "the late original is not heard twice"
        );
    }

    #[test]
    fn two_lost_in_a_row_come_back_in_order() {
        let mut unwrapper = Unwrapper::default();
        feed(&mut unwrapper, 100, &red(&[], b"0"));
        let out = feed(
            &mut unwrapper,
            103,
            &red(&[(1_920, b"1"), (960, b"2")], b"3"),
        );
        assert_eq!(
            out.iter().map(|o| o.0).collect::<Vec<_>>(),
            vec![101, 102, 103]
        );
    }

    #[test]
    fn reordered_packets_are_each_heard_once() {
        let mut unwrapper = Unwrapper::default();
        let mut heard = Vec::new();
        for sequence in [1u64, 3, 2, 5, 4, 4, 6] {
            let before = format!("{}", sequence - 1);
            let this = format!("{sequence}");
            heard.extend(feed(
                &mut unwrapper,
                sequence,
                &red(&[(960, before.as_bytes())], this.as_bytes()),
            ));
        }
        let mut numbers: Vec<u64> = heard.iter().map(|h| h.0).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, vec![1, 2, 3, 4, 5, 6]);
        for (sequence, _, data, _) in heard {
            assert_eq!(data, sequence.to_string().into_bytes());
        }
    }

    #[test]
    fn a_sender_that_repeats_every_third_packet_does_not_confuse_the_order() {
        let mut unwrapper = Unwrapper::default();
        feed(&mut unwrapper, 1, &red(&[], b"1"));
        feed(&mut unwrapper, 2, &red(&[], b"2"));
        // 3 is lost; 4 repeats 1 (three packets back) where we would expect 3.
        let out = feed(&mut unwrapper, 4, &red(&[(3 * 960, b"1")], b"4"));
        assert_eq!(out.iter().map(|o| o.0).collect::<Vec<_>>(), vec![4]);
    }

    #[test]
    fn payload_types_inside_follow_the_receiver() {
        let bytes = red(&[(960, b"x")], b"y");
        let other = with_payload_type(&bytes, OPUS, 96).unwrap();
        let blocks = parse(&other).unwrap();
        assert!(blocks.iter().all(|b| b.payload_type == 96));
        assert_eq!(&other[blocks[1].range.clone()], b"y");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), codec in 0u8..128) {
            if let Some(blocks) = parse(&bytes) {
                for block in &blocks {
                    prop_assert!(bytes.get(block.range.clone()).is_some());
                }
            }
            let _ = with_payload_type(&bytes, codec, 96);
            let mut out = Vec::new();
            Unwrapper::default().unwrap(5, 5, &bytes, codec, &mut out);
        }

        #[test]
        fn no_packet_is_ever_delivered_twice(order in proptest::collection::vec(1u64..40, 1..200)) {
            let mut unwrapper = Unwrapper::default();
            let mut heard = std::collections::HashSet::new();
            for sequence in order {
                let a = (sequence.saturating_sub(2)).to_string();
                let b = (sequence - 1).to_string();
                let c = sequence.to_string();
                for (number, time, data, _) in
                    feed(&mut unwrapper, sequence, &red(&[(1_920, a.as_bytes()), (960, b.as_bytes())], c.as_bytes()))
                {
                    prop_assert!(heard.insert(number));
                    prop_assert_eq!(time, number * 960);
                    prop_assert_eq!(data, number.to_string().into_bytes());
                }
            }
        }

        #[test]
        fn what_was_wrapped_comes_out(
            primary in proptest::collection::vec(any::<u8>(), 0..300),
            redundant in proptest::collection::vec((1u32..16_384, proptest::collection::vec(any::<u8>(), 0..300)), 0..9),
        ) {
            let parts: Vec<(u32, &[u8])> = redundant.iter().map(|(o, d)| (*o, d.as_slice())).collect();
            let bytes = red(&parts, &primary);
            let blocks = parse(&bytes).unwrap();
            prop_assert_eq!(blocks.len(), parts.len() + 1);
            for (block, (offset, data)) in blocks.iter().zip(&parts) {
                prop_assert_eq!(block.offset, *offset);
                prop_assert_eq!(&bytes[block.range.clone()], *data);
            }
            prop_assert_eq!(&bytes[blocks[parts.len()].range.clone()], &primary[..]);
        }
    }

    #[test]
    fn what_is_wrapped_here_is_unwrapped_there_however_much_is_lost_in_between() {
        let (mut recent, mut unwrapper) = (Recent::default(), Unwrapper::default());
        let mut heard = Vec::new();
        // Two in a row, one, and one that only comes after its successor are lost on the way to the listener.
        let lost = [3, 4, 7, 12];
        for n in 0..16u64 {
            let payload: Arc<[u8]> = Arc::from(vec![n as u8; 40 + n as usize]);
            let earlier = recent.note(9, 1_000 + n, n * 960, &payload);
            let red = earlier.wrap(111, &payload, DEPTH);
            assert_eq!(red.is_some(), n > 0, "the first has nothing before it");
            let red = red.unwrap_or_else(|| wrap(111, &[], &payload));
            if lost.contains(&n) {
                continue;
            }
            let mut out = Vec::new();
            unwrapper.unwrap(1_000 + n, n * 960, &red, 111, &mut out);
            for one in out {
                assert_eq!((one.sequence - 1_000) * 960, one.timestamp);
                heard.push((one.sequence - 1_000, red[one.range].to_vec()));
            }
        }
        let said: Vec<_> = (0..16u64)
            .map(|n| (n, vec![n as u8; 40 + n as usize]))
            .collect();
        assert_eq!(heard, said);
    }

    #[test]
    fn nothing_is_said_again_that_does_not_fit_or_does_not_belong_there() {
        let mut recent = Recent::default();
        let mut count = |source, sequence, timestamp, bytes: usize| {
            let payload: Arc<[u8]> = Arc::from(vec![7; bytes]);
            let red = recent.note(source, sequence, timestamp, &payload);
            let red = red.wrap(111, &payload, DEPTH);
            red.map_or(0, |red| parse(&red).unwrap().len() - 1)
        };
        assert_eq!(count(1, 10, 0, 50), 0);
        assert_eq!(count(1, 11, 960, 50), 1);
        assert_eq!(count(1, 13, 2_880, 50), 0, "the one before is missing");
        assert_eq!(count(1, 12, 1_920, 50), 2, "it comes late");
        assert_eq!(count(1, 14, 3_840, 50), 2);
        assert_eq!(count(2, 15, 4_800, 50), 0, "of another source");
        assert_eq!(count(2, 16, 4_800 + 19_200, 50), 0, "after a long pause");
        assert_eq!(count(2, 17, 24_960, 1_200), 1);
        assert_eq!(count(2, 18, 25_920, 50), 0, "longer than a block may be");
        assert_eq!(count(2, 19, 26_880, 1_000), 1);
        assert_eq!(
            count(2, 20, 27_840, 900),
            0,
            "longer than a datagram may be"
        );
    }
}
