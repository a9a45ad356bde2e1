//! Every bound of this crate, with its reason.

use std::time::Duration;

pub use antiphon_protocol::names::{
    MAX_DATA_PACKET_BYTES as DATA_PACKET_BYTES, STREAM_CHUNK_BYTES,
};

/// Events waiting for the reader. A reader that lets this many pile up is stuck: the room is closed, since a lost
/// `ParticipantDisconnected` would be worse.
pub const EVENTS: usize = 1024;
/// Commands waiting for the actor; senders wait.
pub const COMMANDS: usize = 256;
/// Signal messages waiting in one direction; the connection is given up when more pile up.
pub const SIGNAL_QUEUE: usize = 256;
/// The largest signal message, LiveKit's own limit.
pub const SIGNAL_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// Packets of one subscribed track waiting for its reader (2 s of 20 ms); the oldest is dropped.
pub const AUDIO_PACKETS: usize = 100;
/// What one peer connection may report before it is read: a second of sound and more.
pub const PEER_EVENTS: usize = 512;
/// Sections to receive in that a single connection begins with, as many as in the SDKs. The server asks for more.
pub const FIRST_SECTIONS: u32 = 3;
/// The most sections of a kind that are added at once when the server asks: the media engine has 512.
pub const SECTIONS_AT_ONCE: usize = 128;
/// Candidates kept until the remote description is there.
pub const EARLY_CANDIDATES: usize = 64;
/// Data packets kept while there is no connection; then the oldest is dropped.
pub const OUTBOX_PACKETS: usize = 512;
/// Bytes of them.
pub const OUTBOX_BYTES: usize = 1024 * 1024;
/// Reliable packets kept to be sent again after a resume.
pub const RESEND_PACKETS: usize = 256;
/// Streams that may be open at once, of all senders; more are refused.
pub const OPEN_STREAMS: usize = 64;
/// The longest incoming text stream; a longer one fails.
pub const TEXT_STREAM_BYTES: usize = 1024 * 1024;
/// The longest incoming byte stream; a longer one fails.
pub const BYTE_STREAM_BYTES: usize = 8 * 1024 * 1024;
/// Attributes of one stream, names and values together; more are left out.
pub const STREAM_ATTRIBUTES_BYTES: usize = 64 * 1024;
/// RPC payload (LiveKit's limit).
pub const RPC_PAYLOAD_BYTES: usize = 15 * 1024;
/// RPC error message (LiveKit's limit).
pub const RPC_ERROR_MESSAGE_BYTES: usize = 256;
/// Calls handled at once; more are answered with an error.
pub const RPC_CALLS: usize = 64;
/// Remote participants remembered; those after them are not announced (a voice room is not a stadium).
pub const PARTICIPANTS: usize = 5000;
/// Tracks published by us.
pub const LOCAL_TRACKS: usize = 16;
/// Message of a server in our errors and logs.
pub const SERVER_MESSAGE_BYTES: usize = 300;

/// A publication must be confirmed and negotiated within this time (LiveKit's 10 s).
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// An offer must be answered within this time (LiveKit's 15 s); then everything is set up anew.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// ICE may be disconnected for this long before we ask for a resume.
pub const ICE_GRACE: Duration = Duration::from_secs(2);
/// The first message of a signal connection must come within this time.
pub const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that asks to be left alone (`Retry-After`) is obeyed for at most this long: a call waits meanwhile.
pub const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
/// How long an RPC waits for the acknowledgement (LiveKit's 7 s).
pub const RPC_ACK_TIMEOUT: Duration = Duration::from_secs(7);
/// An open signal connection that survived this long counts as working again: the attempts begin at zero.
pub const SETTLED: Duration = Duration::from_secs(5);
