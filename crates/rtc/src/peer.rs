//! The handle of one peer connection. Methods send a command to the peer's shard; those with an answer are async.

use bytes::Bytes;

use crate::{MediaKind, RtcError};

/// One peer connection. Cloning is cheap; the connection is closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Peer {}

/// A change to what we offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaChange {
    /// A new data channel. Its parameters follow from the label as LiveKit's do: `_lossy` and `_data_track` unordered
    /// without retransmission, everything else ordered and reliable.
    AddChannel {
        /// Its label.
        label: String,
    },
    /// A new section that we send in.
    AddSending {
        /// Audio or video.
        kind: MediaKind,
        /// `a=msid` stream.
        stream_id: String,
        /// `a=msid` track.
        track_id: String,
    },
    /// Send (again) in an existing section, or stop sending in it. The msid in the text is the caller's business.
    SetSending {
        /// The section.
        mid: String,
        /// Send?
        sending: bool,
    },
    /// Restart ICE.
    RestartIce,
}

/// An offer to be sent to the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The session description, our candidates included.
    pub sdp: String,
    /// For each `AddSending` of the changes, in order, the new section.
    pub mids: Vec<String>,
}

/// Forward what this peer receives in a section to another peer of the same shard.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The receiving section of this peer.
    pub from_mid: String,
    /// To whom.
    pub to: Peer,
    /// The sending section of that peer.
    pub to_mid: String,
}

impl Peer {
    /// Answer the other side's offer. The answer holds our candidates.
    pub async fn accept_offer(&self, sdp: String) -> Result<String, RtcError> {
        Err(RtcError::Sdp(sdp))
    }

    /// Offer these changes (none: renegotiate). One offer at a time.
    pub async fn create_offer(&self, changes: Vec<MediaChange>) -> Result<Offer, RtcError> {
        let _ = changes;
        Err(RtcError::Closed)
    }

    /// The other side's answer to our offer.
    pub async fn accept_answer(&self, sdp: String) -> Result<(), RtcError> {
        Err(RtcError::Sdp(sdp))
    }

    /// A candidate of the other side, as in `candidate:…`. Unusable ones (mDNS, unknown transports) are ignored.
    pub fn add_remote_candidate(&self, candidate: String) {
        let _ = candidate;
    }

    /// Forward media from here on, with continuous sequence numbers and time stamps at the receiver. Both peers must be on
    /// one shard. RED is unwrapped for receivers that did not negotiate it; key frames are asked for where needed.
    pub fn forward(&self, forward: Forward) {
        let _ = forward;
    }

    /// Stop forwarding to that section; the receiver hears 200 ms of silence and then nothing.
    pub fn stop_forward(&self, from_mid: &str, to: &Self, to_mid: &str) {
        let _ = (from_mid, to, to_mid);
    }

    /// Hold (mute) or go on with everything forwarded from this section.
    pub fn set_muted(&self, from_mid: &str, muted: bool) {
        let _ = (from_mid, muted);
    }

    /// Send one Opus packet in a section. `timestamp` in 48 kHz units; `level` is its loudness in -dBov (127 silence).
    /// Never blocks; a packet that finds no room is dropped and counted.
    pub fn send_opus(&self, mid: &str, payload: Bytes, timestamp: u64, marker: bool, level: u8) {
        let _ = (mid, payload, timestamp, marker, level);
    }

    /// Send a message on a data channel. Messages wait while the channel's buffer is full: up to 4 MiB on reliable ones
    /// (then the peer is closed, since a hole would break its streams), up to 64 kB on lossy ones (then the message is
    /// dropped and counted).
    pub fn send_data(&self, label: &str, data: Bytes) {
        let _ = (label, data);
    }

    /// Close it: the other side is told.
    pub fn close(&self) {}
}
