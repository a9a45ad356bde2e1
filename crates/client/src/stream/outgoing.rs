//! Makes outgoing streams.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use livekit_protocol::data_packet::Value;
use livekit_protocol::data_stream::{Chunk, Header, TextHeader, Trailer, header::ContentHeader};
use tokio::sync::mpsc;

use super::TextOptions;
use crate::actor::{Command, OwnPacket};
use crate::{RoomError, limits};

/// A header's parts that all packets of a stream share.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingHeader {
    stream_id: String,
    destinations: Vec<String>,
    sender_identity: String,
}

impl OutgoingHeader {
    /// The packet that opens a stream.
    pub(crate) fn open(options: TextOptions, total_length: Option<u64>) -> (Self, OwnPacket) {
        let TextOptions {
            topic,
            attributes,
            destinations,
            sender_identity,
        } = options;
        let shared = Self {
            stream_id: crate::rpc::random_id(),
            destinations,
            sender_identity: sender_identity.unwrap_or_default(),
        };
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let header = Header {
            stream_id: shared.stream_id.clone(),
            timestamp: i64::try_from(since_epoch.as_millis()).unwrap_or_default(),
            topic,
            mime_type: "text/plain".into(),
            total_length,
            attributes,
            content_header: Some(ContentHeader::TextHeader(TextHeader {
                generated: !shared.sender_identity.is_empty(),
                ..Default::default()
            })),
            ..Default::default()
        };
        let packet = shared.packet(Value::StreamHeader(header));
        (shared, packet)
    }

    fn chunk(&self, chunk_index: u64, content: &str) -> OwnPacket {
        let (stream_id, content) = (self.stream_id.clone(), content.as_bytes().to_vec());
        self.packet(Value::StreamChunk(Chunk {
            stream_id,
            chunk_index,
            content,
            ..Default::default()
        }))
    }

    fn close(&self, attributes: HashMap<String, String>, reason: &str) -> OwnPacket {
        let stream_id = self.stream_id.clone();
        self.packet(Value::StreamTrailer(Trailer {
            stream_id,
            reason: reason.into(),
            attributes,
        }))
    }

    fn packet(&self, value: Value) -> OwnPacket {
        OwnPacket {
            value,
            destinations: self.destinations.clone(),
            sender_identity: self.sender_identity.clone(),
            reliable: true,
        }
    }
}

/// All packets of a text that is known as a whole.
pub(crate) fn text_packets(text: &str, options: TextOptions) -> Vec<OwnPacket> {
    let (shared, header) = OutgoingHeader::open(options, Some(text.len() as u64));
    let mut packets = vec![header];
    packets.extend(
        pieces(text)
            .enumerate()
            .map(|(index, piece)| shared.chunk(index as u64, piece)),
    );
    packets.push(shared.close(HashMap::new(), ""));
    packets
}

/// A text in pieces that fit into a chunk, cut between characters.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let longest = text.len().min(limits::STREAM_CHUNK_BYTES);
        let end = (0..=longest)
            .rev()
            .find(|index| text.is_char_boundary(*index))?;
        let (piece, rest) = text.split_at_checked(end)?;
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A text stream that is open for more. Dropped without [`close`](Self::close) it ends as failed at the receivers when we
/// leave.
#[derive(Debug)]
pub struct TextWriter {
    shared: OutgoingHeader,
    next_chunk: u64,
    commands: mpsc::Sender<Command>,
}

impl TextWriter {
    pub(crate) fn new(shared: OutgoingHeader, commands: mpsc::Sender<Command>) -> Self {
        Self {
            shared,
            next_chunk: 0,
            commands,
        }
    }

    /// Append text; an empty one is not sent.
    pub async fn write(&mut self, delta: &str) -> Result<(), RoomError> {
        for piece in pieces(delta) {
            let packet = self.shared.chunk(self.next_chunk, piece);
            self.next_chunk += 1;
            self.commands
                .send(Command::Send(packet))
                .await
                .map_err(|_| RoomError::Closed)?;
        }
        Ok(())
    }

    /// The end; these attributes are put over the header's.
    pub async fn close(self, attributes: HashMap<String, String>) -> Result<(), RoomError> {
        let packet = self.shared.close(attributes, "");
        self.commands
            .send(Command::Send(packet))
            .await
            .map_err(|_| RoomError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_small_whole_and_lose_nothing(text in "\\PC{0,30000}") {
            let parts: Vec<&str> = pieces(&text).collect();
            prop_assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= limits::STREAM_CHUNK_BYTES));
            prop_assert_eq!(parts.concat(), text);
        }
    }

    #[test]
    fn an_empty_text_is_a_header_and_a_trailer() {
        assert_eq!(text_packets("", TextOptions::default()).len(), 2);
    }
}
