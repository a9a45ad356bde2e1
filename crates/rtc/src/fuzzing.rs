//! Doors for the fuzzer (`make fuzz`) to the parsers of outside bytes; no interface of this crate. Always compiled, unlike
//! code behind a cfg, so that whoever changes a parser learns at once that the fuzzer uses it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use str0m::format::Codec;
use str0m::ice::StunMessage;
use str0m::net::{Protocol, Receive};

use crate::{keyframe, red, sdp, vp8};

/// One packet of a RED stream.
#[derive(Clone, Copy, Debug)]
pub struct RedPacket<'a> {
    /// Extended sequence number.
    pub sequence: u64,
    /// Extended time stamp.
    pub timestamp: u64,
    /// The RED payload.
    pub payload: &'a [u8],
}

/// A stream of RED packets, in any order.
pub fn red<'a>(packets: impl Iterator<Item = RedPacket<'a>>) {
    const CODEC: u8 = 111;
    let mut unwrapper = red::Unwrapper::default();
    let mut out = Vec::new();
    for packet in packets {
        out.clear();
        unwrapper.unwrap(
            packet.sequence,
            packet.timestamp,
            packet.payload,
            CODEC,
            &mut out,
        );
        for unwrapped in &out {
            assert!(
                packet.payload.get(unwrapped.range.clone()).is_some(),
                "a block outside its packet"
            );
            assert!(
                unwrapped.sequence <= packet.sequence && unwrapped.timestamp <= packet.timestamp
            );
        }
        if let Some(changed) = red::with_payload_type(packet.payload, CODEC, 96) {
            assert_eq!(changed.len(), packet.payload.len());
        }
    }
}

/// Payloads of one receiver's video, each with whether another source joins the stream with it.
pub fn video<'a>(payloads: impl Iterator<Item = (bool, &'a [u8])>) {
    let mut numbers = vp8::Numbers::default();
    let mut offsets = vp8::Offsets::default();
    for (first, payload) in payloads {
        for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            let _ = keyframe::begins(codec, payload);
        }
        let _ = numbers.patch(&mut offsets, first, payload);
    }
}

/// The other side's session description.
pub fn sdp(text: &str) {
    let sections = sdp::sections(text);
    let _ = sdp::edit::finish_answer(text);
    edit(text, sections);
    if let Ok(clean) = sdp::remote::normalise(text) {
        assert_eq!(
            sdp::remote::normalise(&clean).ok().as_ref(),
            Some(&clean),
            "the second time changes more than the first"
        );
    }
}

fn edit(text: &str, sections: Vec<sdp::Section>) {
    use sdp::edit::{polish_answer, restrict, rewrite_msids};
    assert_eq!(
        rewrite_msids(text, &HashMap::new()),
        text,
        "nothing to change, yet changed"
    );
    let twice = "the second time changes more than the first";
    let mids: Vec<String> = sections.into_iter().map(|section| section.mid).collect();
    let name = || ("PA_x|TR_y".to_owned(), "TR_y".to_owned());
    let msids = mids.iter().map(|mid| (mid.clone(), name())).collect();
    let rewritten = rewrite_msids(text, &msids);
    assert_eq!(rewrite_msids(&rewritten, &msids), rewritten, "{twice}");
    let voices = std::collections::HashMap::new();
    let polished = polish_answer(text, &voices);
    assert_eq!(polish_answer(&polished, &voices), polished, "{twice}");
    let held = restrict(text, &mids);
    assert_eq!(restrict(&held, &mids), held, "{twice}");
}

/// The other side's candidate.
pub fn candidate(text: &str) {
    let _ = sdp::remote::candidate(text);
}

/// A datagram at a media port, as far as it is looked at before a peer is found for it.
pub fn datagram(data: &[u8]) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 7882));
    let _ = Receive::new(Protocol::Udp, address, address, data);
    if let Ok(message) = StunMessage::parse(data)
        && message.is_binding_request()
    {
        let _ = message.split_username();
    }
}

/// What a client sends over an ICE connection by TCP, in pieces.
pub fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) {
    let mut frames = crate::tcp::Frames::default();
    for piece in pieces {
        frames.push(piece);
        while let Ok(Some(datagram)) = frames.next() {
            self::datagram(&datagram);
        }
    }
}
