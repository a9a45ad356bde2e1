//! What a room reports, in order.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use livekit_protocol::DisconnectReason;

use crate::audio::AudioStream;
use crate::participant::{Participant, Track};
use crate::stream::{ByteStream, StreamInfo, TextStream};

/// What a room reports, in order.
#[derive(Debug)]
pub enum RoomEvent {
    /// Someone joined, or was here when we joined.
    ParticipantConnected(Arc<Participant>),
    /// Someone left; their tracks were unpublished just before.
    ParticipantDisconnected {
        /// As last seen.
        participant: Arc<Participant>,
        /// Why, as the server says.
        reason: DisconnectReason,
    },
    /// Attributes of a remote participant changed.
    AttributesChanged {
        /// As it is now.
        participant: Arc<Participant>,
        /// Only what changed; removed ones are empty.
        changed: HashMap<String, String>,
    },
    /// Metadata or name of a remote participant changed.
    MetadataChanged(Arc<Participant>),
    /// A remote participant published a track.
    TrackPublished {
        /// Whose.
        participant: Arc<Participant>,
        /// What.
        track: Track,
    },
    /// A remote track is gone.
    TrackUnpublished {
        /// Whose.
        participant: Arc<Participant>,
        /// What.
        track: Track,
    },
    /// We receive a remote track.
    TrackSubscribed {
        /// Whose.
        participant: Arc<Participant>,
        /// What.
        track: Track,
        /// Its packets, from here on.
        audio: AudioStream,
    },
    /// We do not receive it any more.
    TrackUnsubscribed {
        /// The publisher's identity.
        identity: String,
        /// The track.
        track_sid: String,
    },
    /// A remote track was muted or unmuted.
    TrackMuted {
        /// Whose.
        participant: Arc<Participant>,
        /// What; `muted` tells which.
        track: Track,
    },
    /// Who is speaking, loudest first; ourselves included.
    ActiveSpeakers(Vec<Speaker>),
    /// A data message.
    Data(DataMessage),
    /// The next piece of a text stream that is still open.
    TextDelta {
        /// Which stream.
        info: Arc<StreamInfo>,
        /// The piece.
        delta: String,
    },
    /// A text stream is complete.
    TextStream(TextStream),
    /// A byte stream is complete.
    ByteStream(ByteStream),
    /// A stream ended without its end: the sender left, a part is missing, or it is too long.
    StreamFailed {
        /// Which stream.
        info: Arc<StreamInfo>,
        /// Why.
        reason: String,
    },
    /// A key was pressed on a telephone.
    SipDtmf {
        /// By whom.
        identity: String,
        /// `0` to `9`, `*`, `#`.
        digit: String,
    },
    /// The server muted or unmuted one of our tracks.
    LocalTrackMuted {
        /// Ours.
        track_sid: String,
        /// Muted now?
        muted: bool,
    },
    /// The connection is lost; we try to come back. Our tracks stay published in the handles.
    Reconnecting,
    /// We are back. After a full reconnect our tracks have new sids and remote tracks are subscribed anew.
    Reconnected {
        /// Everything was set up anew.
        full: bool,
    },
    /// It is over. The last event.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
    },
}

/// A data message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataMessage {
    /// The sender's identity; empty for the server's API.
    pub identity: String,
    /// Topic, empty if none.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// By the reliable channel.
    pub reliable: bool,
}

/// An active speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    /// Participant sid.
    pub sid: String,
    /// Linear loudness, 0 to 1.
    pub level: f32,
}
