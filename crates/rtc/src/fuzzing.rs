//! Doors for the fuzzer (`make fuzz`) to the parsers of outside bytes; no interface of this crate. Always compiled, unlike
//! code behind a cfg, so that whoever changes a parser learns at once that the fuzzer uses it.

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
    let _ = sdp::sections(text);
    let _ = sdp::finish_answer(text);
    if let Ok(clean) = sdp::normalise_remote(text) {
        assert_eq!(
            sdp::normalise_remote(&clean).ok().as_ref(),
            Some(&clean),
            "the second time changes more than the first"
        );
    }
}

/// The other side's candidate.
pub fn candidate(text: &str) {
    let _ = sdp::remote_candidate(text);
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
