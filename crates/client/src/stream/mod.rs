//! Text and byte streams over data packets (LiveKit data streams, version 1; inline and compressed ones are understood).
//!
//! A stream is a header, chunks and a trailer. Incoming ones are put together by `incoming`, which is pure and bounded;
//! outgoing ones are packets of `outgoing`.

mod incoming;
mod outgoing;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use incoming::Incoming;
pub use outgoing::TextWriter;
pub(crate) use outgoing::{OutgoingHeader, text_packets};

/// What a stream's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Unique.
    pub stream_id: String,
    /// The sender's identity (for transcriptions: whose words they are).
    pub identity: String,
    /// What it is about.
    pub topic: String,
    /// `text/plain`, `audio/opus`, …
    pub mime_type: String,
    /// Of the header.
    pub attributes: HashMap<String, String>,
    /// Unix time in milliseconds, by the sender's clock.
    pub timestamp_ms: i64,
}

/// A complete text stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextStream {
    /// Its header.
    pub info: Arc<StreamInfo>,
    /// The whole text.
    pub text: String,
    /// Of the header, with the trailer's over them.
    pub attributes: HashMap<String, String>,
}

/// A complete byte stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteStream {
    /// Its header.
    pub info: Arc<StreamInfo>,
    /// A file's name, if it has one.
    pub name: String,
    /// The whole content.
    pub content: Bytes,
    /// Of the header, with the trailer's over them.
    pub attributes: HashMap<String, String>,
}

/// How a text stream is sent.
#[derive(Clone, Debug, Default)]
pub struct TextOptions {
    /// What it is about.
    pub topic: String,
    /// Of the header.
    pub attributes: HashMap<String, String>,
    /// To whom; empty: to all.
    pub destinations: Vec<String>,
    /// Whose words they are, when not our own (transcriptions; the server lets only agents do this).
    pub sender_identity: Option<String>,
}
