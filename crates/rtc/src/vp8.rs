//! The numbers in VP8's payload descriptor (RFC 7741) that count from frame to frame. Each layer and each publisher counts
//! for itself; a receiver is sent one stream, so its numbers go on where they were.

use str0m::rtp::{Vp8Descriptor, Vp8Patch};

const PICTURE_BITS: u16 = 0x7fff;
const SHORT_PICTURE_BITS: u16 = 0x7f;
const KEY_BITS: u8 = 0x1f;

/// The newest numbers that were sent in a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    picture: Option<u16>,
    base: Option<u8>,
    key: Option<u8>,
}

/// What is added to one source's numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offsets {
    picture: u16,
    base: u8,
    key: u8,
}

impl Numbers {
    /// How a payload must be changed; `None`: not at all. `first`: the source joins the stream with it.
    pub(crate) fn patch(
        &mut self,
        offsets: &mut Offsets,
        first: bool,
        payload: &[u8],
    ) -> Option<Vp8Patch> {
        let found = Vp8Descriptor::parse(payload).ok()?;
        if first {
            let next = |last: Option<u16>, now: Option<u16>| match (last, now) {
                (Some(last), Some(now)) => last.wrapping_add(1).wrapping_sub(now),
                _ => 0,
            };
            *offsets = Offsets {
                picture: next(self.picture, found.picture_id()) & PICTURE_BITS,
                base: next(self.base.map(u16::from), found.tl0_pic_idx().map(u16::from)) as u8,
                key: next(self.key.map(u16::from), found.key_idx().map(u16::from)) as u8 & KEY_BITS,
            };
        }
        let mut patch = found.patch();
        let mut short = found.patch();
        if let Some(picture) = found.picture_id() {
            let picture = picture.wrapping_add(offsets.picture) & PICTURE_BITS;
            patch = patch.picture_id(picture);
            short = short.picture_id(picture & SHORT_PICTURE_BITS);
            let newer = |last: u16| picture.wrapping_sub(last) & PICTURE_BITS <= PICTURE_BITS / 2;
            if self.picture.is_none_or(newer) {
                self.picture = Some(picture);
            }
        }
        if let Some(base) = found.tl0_pic_idx() {
            let base = base.wrapping_add(offsets.base);
            patch = patch.tl0_pic_idx(base);
            short = short.tl0_pic_idx(base);
            if self
                .base
                .is_none_or(|last| base.wrapping_sub(last) <= u8::MAX / 2)
            {
                self.base = Some(base);
            }
        }
        if let Some(key) = found.key_idx() {
            let key = key.wrapping_add(offsets.key) & KEY_BITS;
            patch = patch.key_idx(key);
            short = short.key_idx(key);
            if self
                .key
                .is_none_or(|last| key.wrapping_sub(last) & KEY_BITS <= KEY_BITS / 2)
            {
                self.key = Some(key);
            }
        }
        if (offsets.picture, offsets.base, offsets.key) == (0, 0, 0) {
            return None;
        }
        // Where the descriptor has room for seven bits only, the number wraps there.
        patch.build().or_else(|_| short.build()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A descriptor with a long picture number, TL0PICIDX and KEYIDX.
    fn payload(picture: u16, base: u8, key: u8) -> [u8; 7] {
        let [high, low] = picture.to_be_bytes();
        [0x90, 0xf0, 0x80 | high, low, base, key, 0]
    }

    #[test]
    fn numbers_go_on_where_they_were_when_the_layer_changes() {
        let mut numbers = Numbers::default();
        let (mut one, mut other) = (Offsets::default(), Offsets::default());
        assert_eq!(
            numbers.patch(&mut one, true, &payload(0x7fff, 255, 31)),
            None
        );
        let patch = numbers.patch(&mut other, true, &payload(500, 9, 3));
        let wanted = Vp8Descriptor::parse(&payload(500, 9, 3)).map(|found| {
            found
                .patch()
                .picture_id(0)
                .tl0_pic_idx(0)
                .key_idx(0)
                .build()
        });
        assert_eq!(patch, wanted.ok().and_then(Result::ok));
        let patch = numbers.patch(&mut other, false, &payload(501, 10, 3));
        let wanted = Vp8Descriptor::parse(&payload(501, 10, 3)).map(|found| {
            found
                .patch()
                .picture_id(1)
                .tl0_pic_idx(1)
                .key_idx(0)
                .build()
        });
        assert_eq!(patch, wanted.ok().and_then(Result::ok));
    }

    #[test]
    fn a_short_picture_number_stays_short_and_rubbish_is_left_alone() {
        let mut numbers = Numbers::default();
        let mut offsets = Offsets::default();
        numbers.patch(&mut Offsets::default(), true, &payload(1_000, 0, 0));
        assert!(
            numbers
                .patch(&mut offsets, true, &[0x90, 0x80, 5, 0])
                .is_some()
        );
        assert_eq!(numbers.patch(&mut offsets, true, &[]), None);
        assert_eq!(numbers.patch(&mut offsets, true, &[0x80]), None);
    }
}
