//! VP9's payload descriptor (RFC 9628): where in a picture a packet belongs. A sender may give the picture in several sizes within one
//! stream (spatial layers, SVC), each of which builds on the smaller ones.

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The spatial layer, 0 the smallest.
    pub(crate) layer: usize,
    /// How many layers the stream has, where the packet says so: it does at the beginning of a key frame.
    pub(crate) layers: Option<usize>,
    /// A picture begins with it that needs none before it.
    pub(crate) begins_key_frame: bool,
    /// It is the last packet of its layer of this picture.
    pub(crate) ends_layer: bool,
}

/// Reads a packet's descriptor. `None`: it is no VP9.
pub(crate) fn position(payload: &[u8]) -> Option<Position> {
    let mut bytes = payload.iter().copied();
    let first = bytes.next()?;
    let has = |bit: u8| first & bit != 0;
    let (predicted, flexible) = (has(0x40), has(0x10));
    // the picture's number, in one byte or two
    if has(0x80) && bytes.next()? & 0x80 != 0 {
        bytes.next()?;
    }
    let mut layer = 0;
    if has(0x20) {
        layer = usize::from(bytes.next()? >> 1 & 0x07);
        if !flexible {
            bytes.next()?; // the number of the lowest temporal layer's picture
        }
    }
    if flexible && predicted {
        // at most three pictures that this one is predicted from
        for _ in 0..3 {
            if bytes.next()? & 0x01 == 0 {
                break;
            }
        }
    }
    let layers = match has(0x02) {
        true => Some(usize::from(bytes.next()? >> 5) + 1),
        false => None,
    };
    Some(Position {
        layer,
        layers,
        begins_key_frame: !predicted && has(0x08) && layer == 0,
        ends_layer: has(0x04),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_key_frames_are_read_in_both_modes() {
        let read = |payload: &[u8]| {
            let found = position(payload).unwrap();
            (
                found.layer,
                found.layers,
                found.begins_key_frame,
                found.ends_layer,
            )
        };
        // the first packet of a key frame: I, L, B, V; fixed references; three layers
        assert_eq!(
            read(&[0xaa, 0x85, 0x05, 0x00, 0x07, 0x58]),
            (0, Some(3), true, false)
        );
        // the last packet of its second layer
        assert_eq!(
            read(&[0xa4, 0x85, 0x05, 0x02, 0x07, 0]),
            (1, None, false, true)
        );
        // a predicted picture's third layer, whole, flexible with two references
        assert_eq!(
            read(&[0xfc, 0x05, 0x04, 0x03, 0x04, 0]),
            (2, None, false, true)
        );
        // no layers at all
        assert_eq!(read(&[0x8c, 0x05, 0]), (0, None, true, true));
        for cut in [&[][..], &[0xaa], &[0xaa, 0x85], &[0xaa, 0x85, 0x05, 0x00]] {
            assert_eq!(position(cut), None, "{cut:x?}");
        }
    }
}
