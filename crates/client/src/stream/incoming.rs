//! Puts incoming streams together.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use livekit_protocol::data_stream::{
    Chunk, CompressionType, Header, Trailer, header::ContentHeader,
};

use super::{ByteStream, StreamInfo, TextStream};
use crate::error::shorten;
use crate::{RoomEvent, limits};

/// The streams that are open.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    open: HashMap<String, Open>,
}

#[derive(Debug)]
struct Open {
    info: Arc<StreamInfo>,
    /// Who really sends it, which differs from `info.identity` in transcriptions.
    sender_sid: String,
    /// A byte stream's file name; `None` for text.
    bytes_name: Option<String>,
    compressed: bool,
    next_chunk: u64,
    content: Vec<u8>,
    /// How much of a text was given out as deltas.
    given: usize,
}

impl Incoming {
    pub(crate) fn header(
        &mut self,
        sender_sid: &str,
        identity: &str,
        header: Header,
        events: &mut Vec<RoomEvent>,
    ) {
        let attributes_bytes: usize = header
            .attributes
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let info = Arc::new(StreamInfo {
            stream_id: header.stream_id,
            identity: identity.to_owned(),
            topic: header.topic,
            mime_type: header.mime_type,
            attributes: if attributes_bytes > limits::STREAM_ATTRIBUTES_BYTES {
                HashMap::new()
            } else {
                header.attributes
            },
            timestamp_ms: header.timestamp,
        });
        let bytes_name = match header.content_header {
            Some(ContentHeader::TextHeader(_)) => None,
            Some(ContentHeader::ByteHeader(header)) => Some(header.name),
            None => return fail(info, "it says neither text nor bytes", events),
        };
        let mut open = Open {
            info: info.clone(),
            sender_sid: sender_sid.to_owned(),
            bytes_name,
            compressed: header.compression == CompressionType::DeflateRaw as i32,
            next_chunk: 0,
            content: Vec::new(),
            given: 0,
        };
        if header
            .total_length
            .is_some_and(|length| length > open.limit() as u64)
        {
            return fail(info, "it is too long", events);
        }
        if let Some(content) = header.inline_content {
            return match open.append(content) {
                Ok(()) => open.finish(HashMap::new(), events),
                Err(reason) => fail(info, reason, events),
            };
        }
        if self.open.len() >= limits::OPEN_STREAMS {
            return fail(info, "too many streams are open", events);
        }
        if let Some(old) = self.open.insert(info.stream_id.clone(), open) {
            fail(old.info, "another stream took its name", events);
        }
    }

    pub(crate) fn chunk(&mut self, sender_sid: &str, chunk: Chunk, events: &mut Vec<RoomEvent>) {
        let Some(open) = self
            .open
            .get_mut(&chunk.stream_id)
            .filter(|open| open.sender_sid == sender_sid)
        else {
            return;
        };
        if chunk.chunk_index < open.next_chunk {
            return; // sent again after a resume
        }
        let result = if chunk.chunk_index > open.next_chunk {
            Err("a part is missing")
        } else {
            open.append(chunk.content)
        };
        match result {
            Ok(()) => {
                open.next_chunk += 1;
                open.give_delta(events);
            }
            Err(reason) => {
                let info = open.info.clone();
                self.open.remove(&chunk.stream_id);
                fail(info, reason, events);
            }
        }
    }

    pub(crate) fn trailer(
        &mut self,
        sender_sid: &str,
        trailer: Trailer,
        events: &mut Vec<RoomEvent>,
    ) {
        if self
            .open
            .get(&trailer.stream_id)
            .is_none_or(|open| open.sender_sid != sender_sid)
        {
            return;
        }
        let Some(open) = self.open.remove(&trailer.stream_id) else {
            return;
        };
        if trailer.reason.is_empty() {
            open.finish(trailer.attributes, events);
        } else {
            fail(
                open.info,
                &shorten(&trailer.reason, limits::SERVER_MESSAGE_BYTES),
                events,
            );
        }
    }

    /// A participant has gone: its open streams will never end.
    pub(crate) fn sender_left(&mut self, sender_sid: &str, events: &mut Vec<RoomEvent>) {
        for (_, open) in self
            .open
            .extract_if(|_, open| open.sender_sid == sender_sid)
        {
            fail(open.info, "the sender left", events);
        }
    }
}

impl Open {
    fn limit(&self) -> usize {
        if self.bytes_name.is_some() {
            limits::BYTE_STREAM_BYTES
        } else {
            limits::TEXT_STREAM_BYTES
        }
    }

    fn append(&mut self, content: Vec<u8>) -> Result<(), &'static str> {
        if self.content.len() + content.len() > self.limit() {
            return Err("it is too long");
        }
        self.content.extend(content);
        Ok(())
    }

    /// Text up to the last whole character.
    fn give_delta(&mut self, events: &mut Vec<RoomEvent>) {
        if self.bytes_name.is_some() || self.compressed {
            return;
        }
        let new = self.content.get(self.given..).unwrap_or_default();
        let whole = match std::str::from_utf8(new) {
            Ok(text) => text,
            Err(error) => new
                .get(..error.valid_up_to())
                .and_then(|new| std::str::from_utf8(new).ok())
                .unwrap_or_default(),
        };
        if !whole.is_empty() {
            self.given += whole.len();
            events.push(RoomEvent::TextDelta {
                info: self.info.clone(),
                delta: whole.to_owned(),
            });
        }
    }

    fn finish(self, trailer: HashMap<String, String>, events: &mut Vec<RoomEvent>) {
        let limit = self.limit();
        let content = if self.compressed {
            let mut inflated = Vec::new();
            let mut reader =
                flate2::read::DeflateDecoder::new(self.content.as_slice()).take(limit as u64 + 1);
            match reader.read_to_end(&mut inflated) {
                Ok(_) if inflated.len() <= limit => inflated,
                Ok(_) => return fail(self.info, "it is too long", events),
                Err(_) => return fail(self.info, "its compression is broken", events),
            }
        } else {
            self.content
        };
        let mut attributes = self.info.attributes.clone();
        attributes.extend(trailer);
        match self.bytes_name {
            Some(name) => {
                events.push(RoomEvent::ByteStream(ByteStream {
                    info: self.info,
                    name,
                    content: content.into(),
                    attributes,
                }));
            }
            None => match String::from_utf8(content) {
                Ok(text) => events.push(RoomEvent::TextStream(TextStream {
                    info: self.info,
                    text,
                    attributes,
                })),
                Err(_) => fail(self.info, "its text is not UTF-8", events),
            },
        }
    }
}

fn fail(info: Arc<StreamInfo>, reason: &str, events: &mut Vec<RoomEvent>) {
    events.push(RoomEvent::StreamFailed {
        info,
        reason: reason.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use livekit_protocol::data_stream::{ByteHeader, TextHeader};
    use proptest::prelude::*;
    use std::io::Write;

    fn text_header(id: &str) -> Header {
        Header {
            stream_id: id.into(),
            topic: "lk.chat".into(),
            content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
            ..Default::default()
        }
    }

    fn chunk(id: &str, index: u64, content: &[u8]) -> Chunk {
        Chunk {
            stream_id: id.into(),
            chunk_index: index,
            content: content.to_vec(),
            ..Default::default()
        }
    }

    fn trailer(id: &str) -> Trailer {
        Trailer {
            stream_id: id.into(),
            ..Default::default()
        }
    }

    #[test]
    fn text_in_chunks_arrives_as_deltas_and_then_whole_even_when_a_character_is_split() {
        let (mut streams, mut events) = (Incoming::default(), Vec::new());
        streams.header("PA_1", "ann", text_header("s"), &mut events);
        let (one, two) = "grüß dich".as_bytes().split_at(3);
        streams.chunk("PA_1", chunk("s", 0, one), &mut events);
        streams.chunk("PA_1", chunk("s", 1, two), &mut events);
        streams.trailer("PA_1", trailer("s"), &mut events);
        let deltas: String = events
            .iter()
            .filter_map(|event| {
                if let RoomEvent::TextDelta { delta, .. } = event {
                    Some(delta.as_str())
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(deltas, "grüß dich");
        let Some(RoomEvent::TextStream(stream)) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(
            (stream.text.as_str(), stream.info.identity.as_str()),
            ("grüß dich", "ann")
        );
    }

    #[test]
    fn the_trailers_attributes_win() {
        let (mut streams, mut events) = (Incoming::default(), Vec::new());
        let key = "lk.transcription_final".to_owned();
        let mut header = text_header("s");
        header.attributes.insert(key.clone(), "false".into());
        streams.header("PA_1", "ann", header, &mut events);
        let attributes = HashMap::from([(key.clone(), "true".into())]);
        streams.trailer(
            "PA_1",
            Trailer {
                attributes,
                ..trailer("s")
            },
            &mut events,
        );
        let Some(RoomEvent::TextStream(stream)) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(
            stream.attributes.get(&key).map(String::as_str),
            Some("true")
        );
    }

    #[test]
    fn a_stream_whose_sender_leaves_fails_and_nobody_else_can_write_into_it() {
        let (mut streams, mut events) = (Incoming::default(), Vec::new());
        streams.header("PA_1", "ann", text_header("s"), &mut events);
        streams.chunk("PA_2", chunk("s", 0, b"forged"), &mut events);
        streams.trailer("PA_2", trailer("s"), &mut events);
        assert!(events.is_empty());
        streams.sender_left("PA_1", &mut events);
        assert!(matches!(
            events.as_slice(),
            [RoomEvent::StreamFailed { .. }]
        ));
    }

    #[test]
    fn a_missing_part_or_a_huge_stream_fails() {
        let (mut streams, mut events) = (Incoming::default(), Vec::new());
        streams.header("PA_1", "ann", text_header("s"), &mut events);
        streams.chunk("PA_1", chunk("s", 1, b"b"), &mut events);
        let huge = Header {
            total_length: Some(u64::MAX),
            ..text_header("t")
        };
        streams.header("PA_1", "ann", huge, &mut events);
        assert!(matches!(
            events.as_slice(),
            [
                RoomEvent::StreamFailed { .. },
                RoomEvent::StreamFailed { .. }
            ]
        ));
        assert!(streams.open.is_empty());
    }

    #[test]
    fn an_inline_compressed_stream_is_complete_at_once_and_a_bomb_is_refused() {
        let deflate = |content: &[u8]| {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        };
        let header = |content: &[u8]| Header {
            inline_content: Some(deflate(content)),
            compression: CompressionType::DeflateRaw as i32,
            ..text_header("s")
        };
        let (mut streams, mut events) = (Incoming::default(), Vec::new());
        streams.header("PA_1", "ann", header(b"hello"), &mut events);
        streams.header(
            "PA_1",
            "ann",
            header(&vec![b'a'; limits::TEXT_STREAM_BYTES + 1]),
            &mut events,
        );
        let [
            RoomEvent::TextStream(stream),
            RoomEvent::StreamFailed { .. },
        ] = events.as_slice()
        else {
            panic!("{events:?}")
        };
        assert_eq!(stream.text, "hello");
    }

    proptest! {
        #[test]
        fn nothing_a_sender_does_grows_without_bound(steps in prop::collection::vec((0u8..4, 0u64..4, 0u8..90, prop::collection::vec(any::<u8>(), 0..40)), 0..400)) {
            let (mut streams, mut events) = (Incoming::default(), Vec::new());
            for (what, index, id, content) in steps {
                let id = id.to_string();
                match what {
                    0 => streams.header("PA_1", "ann", text_header(&id), &mut events),
                    1 => {
                        let content_header = Some(ContentHeader::ByteHeader(ByteHeader::default()));
                        streams.header("PA_1", "ann", Header { content_header, ..text_header(&id) }, &mut events);
                    }
                    2 => streams.chunk("PA_1", chunk(&id, index, &content), &mut events),
                    _ => streams.trailer("PA_1", trailer(&id), &mut events),
                }
                prop_assert!(streams.open.len() <= limits::OPEN_STREAMS);
            }
        }
    }
}
