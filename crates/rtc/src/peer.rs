//! The handle of one peer connection. Methods send a command to the peer's shard; those with an answer are async.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::command::{Command, PeerId, ShardHandle};
use crate::engine::EngineInner;
use crate::{MediaKind, RtcError, ShardId};

/// One peer connection. Cloning is cheap; the connection is closed when the last clone is dropped.
#[derive(Clone)]
pub struct Peer {
    pub(crate) inner: Arc<PeerInner>,
}

/// Closes the connection when the last handle is gone.
pub(crate) struct PeerInner {
    pub(crate) id: PeerId,
    pub(crate) shard: Arc<ShardHandle>,
    /// Keeps the threads running.
    pub(crate) _engine: Arc<EngineInner>,
}

impl Drop for PeerInner {
    fn drop(&mut self) {
        self.shard.send(Command::Close { id: self.id });
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("id", &self.inner.id)
            .field("shard", &self.inner.shard.index)
            .finish()
    }
}

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
    /// The session description, our candidates included. Empty: the changes need no negotiation (a further data channel
    /// opens by itself); do not send it and expect no answer.
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
    /// Where it lives.
    pub fn shard(&self) -> ShardId {
        ShardId(self.inner.shard.index)
    }

    /// Answer the other side's offer. The answer holds our candidates. An offer of ours that waits is withdrawn.
    pub async fn accept_offer(&self, sdp: String) -> Result<String, RtcError> {
        self.ask(|id, reply| Command::AcceptOffer { id, sdp, reply })
            .await
    }

    /// Offer these changes (none: renegotiate). One offer at a time.
    pub async fn create_offer(&self, changes: Vec<MediaChange>) -> Result<Offer, RtcError> {
        self.ask(|id, reply| Command::CreateOffer { id, changes, reply })
            .await
    }

    /// The other side's answer to our offer.
    pub async fn accept_answer(&self, sdp: String) -> Result<(), RtcError> {
        self.ask(|id, reply| Command::AcceptAnswer { id, sdp, reply })
            .await
    }

    /// A candidate of the other side, as in `candidate:…`. Unusable ones (mDNS, unknown transports) are ignored.
    pub fn add_remote_candidate(&self, candidate: String) {
        self.tell(Command::RemoteCandidate {
            id: self.inner.id,
            candidate,
        });
    }

    /// Forward media from here on, with continuous sequence numbers and time stamps at the receiver. Both peers must be on
    /// one shard. RED is unwrapped for receivers that did not negotiate it; key frames are asked for where needed.
    pub fn forward(&self, forward: Forward) {
        let Forward {
            from_mid,
            to,
            to_mid,
        } = forward;
        if !self.beside(&to) {
            return;
        }
        self.tell(Command::Forward {
            from: self.inner.id,
            from_mid,
            to: to.inner.id,
            to_mid,
        });
    }

    /// Stop forwarding to that section; the receiver hears 200 ms of silence and then nothing.
    pub fn stop_forward(&self, from_mid: &str, to: &Self, to_mid: &str) {
        if !self.beside(to) {
            return;
        }
        self.tell(Command::StopForward {
            from: self.inner.id,
            from_mid: from_mid.to_owned(),
            to: to.inner.id,
            to_mid: to_mid.to_owned(),
        });
    }

    /// Hold (mute) or go on with everything forwarded from this section.
    pub fn set_muted(&self, from_mid: &str, muted: bool) {
        self.tell(Command::SetMuted {
            id: self.inner.id,
            from_mid: from_mid.to_owned(),
            muted,
        });
    }

    /// Send one Opus packet in a section. `timestamp` in 48 kHz units; `level` is its loudness in -dBov (127 silence).
    /// Never blocks; a packet that finds no room is dropped and counted.
    pub fn send_opus(&self, mid: &str, payload: Bytes, timestamp: u64, marker: bool, level: u8) {
        self.tell(Command::SendOpus {
            id: self.inner.id,
            mid: mid.to_owned(),
            payload,
            timestamp,
            marker,
            level,
        });
    }

    /// Send a message on a data channel. Messages wait while the channel's buffer is full: up to 4 MiB on reliable ones
    /// (then the peer is closed, since a hole would break its streams), up to 64 kB on lossy ones (then the message is
    /// dropped and counted). Messages over 128 kiB, and those for channels that nobody opened, are dropped and counted.
    pub fn send_data(&self, label: &str, data: Bytes) {
        self.tell(Command::SendData {
            id: self.inner.id,
            label: label.to_owned(),
            data,
        });
    }

    /// Close it: the other side is told.
    pub fn close(&self) {
        self.tell(Command::Close { id: self.inner.id });
    }

    #[cfg(test)]
    pub(crate) fn send_red(&self, mid: &str, payload: Bytes, number: u64) {
        self.tell(Command::SendRed {
            id: self.inner.id,
            mid: mid.to_owned(),
            payload,
            number,
        });
    }

    fn tell(&self, command: Command) {
        if !self.inner.shard.send(command) {
            tracing::warn!(
                peer = self.inner.id,
                "the media shard is too busy; a command was dropped"
            );
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(PeerId, oneshot::Sender<Result<T, RtcError>>) -> Command,
    ) -> Result<T, RtcError> {
        let (reply, answer) = oneshot::channel();
        if !self.inner.shard.send(command(self.inner.id, reply)) {
            return Err(RtcError::Busy);
        }
        answer.await.unwrap_or(Err(RtcError::Closed))
    }

    fn beside(&self, other: &Self) -> bool {
        let same = Arc::ptr_eq(&self.inner.shard, &other.inner.shard);
        if !same {
            tracing::error!(
                "peers on different shards cannot forward to each other; make all peers of a room on one"
            );
        }
        same
    }
}
