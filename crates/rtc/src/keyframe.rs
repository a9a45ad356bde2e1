//! Where a picture begins that can be decoded without any before it.

use str0m::format::Codec;
use str0m::rtp::Vp8Descriptor;

use crate::vp9;

/// Begins a key frame with this payload? Anything may stand in it; what cannot be read begins none.
pub(crate) fn begins(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Vp8 => {
            Vp8Descriptor::parse(payload).is_ok_and(|found| found.starts_keyframe(payload))
        }
        Codec::Vp9 => vp9::position(payload).is_some_and(|found| found.begins_key_frame),
        Codec::H264 => begins_h264(payload),
        // The aggregation header says that a new coded video sequence begins.
        Codec::Av1 => payload.first().is_some_and(|header| header & 0x08 != 0),
        _ => true,
    }
}

/// RFC 6184: a sequence parameter set, alone or first in an aggregate. It comes before every key frame and has the size of
/// the picture; a key frame without it cannot be decoded by who saw another size before.
fn begins_h264(payload: &[u8]) -> bool {
    const AGGREGATE: u8 = 24;
    const PARAMETERS: u8 = 7;
    let kind = |byte: Option<&u8>| byte.map(|byte| byte & 0x1f);
    match kind(payload.first()) {
        Some(AGGREGATE) => kind(payload.get(3)) == Some(PARAMETERS),
        other => other == Some(PARAMETERS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_of_every_codec_are_found() {
        for (codec, key, other) in [
            (
                Codec::Vp8,
                &[0x90, 0x80, 0x81, 0x02, 0x00, 1][..],
                &[0x90, 0x80, 0x81, 0x02, 0x01, 1][..],
            ),
            (Codec::Vp8, &[0x10, 0x00], &[0x11, 0x00]),
            (Codec::Vp9, &[0x88, 0x05, 0], &[0xc8, 0x05, 0]),
            (
                Codec::Vp9,
                &[0xa8, 0x85, 0x05, 0x00, 0x07],
                &[0xa8, 0x85, 0x05, 0x02, 0x07],
            ),
            (Codec::H264, &[0x67, 1, 2], &[0x65, 1, 2]),
            (Codec::H264, &[0x78, 0, 9, 0x67], &[0x78, 0, 9, 0x41]),
            (Codec::H264, &[0x67], &[0x7c, 0x85, 0]),
            (Codec::Av1, &[0x18, 0x0a], &[0x10, 0x32]),
        ] {
            assert!(begins(codec, key), "{codec:?} {key:x?}");
            assert!(!begins(codec, other), "{codec:?} {other:x?}");
            assert!(!begins(codec, &[]), "{codec:?}");
        }
    }
}
