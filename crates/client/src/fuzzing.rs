//! Doors for the fuzzer (`make fuzz`) to the parsers of outside bytes; no interface of this crate. Always compiled, unlike
//! code behind a cfg, so that whoever changes a parser learns at once that the fuzzer uses it.

use std::collections::HashMap;

use livekit_protocol::data_packet::Value;
use livekit_protocol::{DataPacket, ServerMessage, SignalResponse};
use prost::Message as _;

use crate::RoomEvent;
use crate::stream::Incoming;

/// What a server may send by its sockets.
pub fn server_message(data: &[u8]) {
    let _ = SignalResponse::decode(data);
    let _ = ServerMessage::decode(data);
}

/// A subscriber offer.
pub fn sdp(text: &str) {
    let _ = crate::sdp::sent_tracks(text, &HashMap::new());
}

/// Data packets of two senders, one of which leaves at the end; gives how many events came of them.
pub fn data_packets<'a>(packets: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut streams = Incoming::default();
    let mut events: Vec<RoomEvent> = Vec::new();
    for packet in packets {
        let Ok(packet) = DataPacket::decode(packet) else {
            continue;
        };
        let (sid, identity) = (packet.participant_sid, packet.participant_identity);
        match packet.value {
            Some(Value::StreamHeader(header)) => {
                streams.header(&sid, &identity, header, &mut events);
            }
            Some(Value::StreamChunk(chunk)) => streams.chunk(&sid, chunk, &mut events),
            Some(Value::StreamTrailer(trailer)) => streams.trailer(&sid, trailer, &mut events),
            _ => {}
        }
    }
    streams.sender_left("", &mut events);
    events.len()
}
