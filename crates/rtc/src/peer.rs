//! The handle of one peer connection. Methods send a command to the peer's shard; those with an answer are async.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::command::{Command, ForwardCommand, PeerId, ShardHandle};
use crate::connection::Connection;
use crate::engine::EngineInner;
use crate::negotiation::{RemoteAnswer, RemoteOffer};
use crate::pulse::Pulse;
use crate::{MediaKind, RtcError, ShardId, sdp};

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
    pub(crate) engine: Arc<EngineInner>,
    /// The length of its largest description so far: what its negotiations cost grows with it.
    pub(crate) described_bytes: AtomicUsize,
    pub(crate) pulse: Arc<Pulse>,
}

impl PeerInner {
    fn described(&self, bytes: usize) {
        self.described_bytes.fetch_max(bytes, Ordering::Relaxed);
    }
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
    /// A new section that we only receive in. The other side may leave it unused: every later offer of ours holds it open.
    AddReceiving {
        /// Audio or video.
        kind: MediaKind,
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
    /// The largest simulcast layer it shall be sent, 0 the smallest; [`ALL_LAYERS`](Self::ALL_LAYERS) has no limit. It is sent one
    /// layer at a time: the largest of those that arrive.
    pub highest_layer: usize,
    /// Of a voice that does not come in RED: to a receiver that takes RED, send each packet with the two before it. Not for
    /// what is encrypted from end to end: its receiver decrypts before it unpacks.
    pub redundant: bool,
}

impl Forward {
    /// Whatever layer is the largest.
    pub const ALL_LAYERS: usize = usize::MAX;
}

impl Peer {
    /// Where it lives.
    pub fn shard(&self) -> ShardId {
        ShardId(self.inner.shard.index)
    }

    /// How long no datagram of the other side has come. Whoever is connected sends at least a check every few seconds.
    pub fn quiet_for(&self) -> Duration {
        self.inner.pulse.quiet_for(Instant::now())
    }

    /// Answer the other side's offer. The answer holds our candidates. An offer of ours that waits is withdrawn.
    pub async fn accept_offer(&self, sdp: String) -> Result<String, RtcError> {
        self.inner.described(sdp.len());
        self.negotiate(
            move || RemoteOffer::read(&sdp),
            |peer, offer, now| peer.accept_offer(offer, now),
        )
        .await
    }

    /// Offer these changes (none: renegotiate). One offer at a time.
    pub async fn create_offer(&self, changes: Vec<MediaChange>) -> Result<Offer, RtcError> {
        let offer = self
            .negotiate(|| Ok(()), move |peer, (), _| peer.create_offer(&changes))
            .await?;
        self.inner.described(offer.sdp.len());
        Ok(offer)
    }

    /// The other side's answer to our offer.
    pub async fn accept_answer(&self, sdp: String) -> Result<(), RtcError> {
        self.inner.described(sdp.len());
        self.negotiate(
            move || RemoteAnswer::read(&sdp),
            |peer, answer, now| peer.accept_answer(answer, now),
        )
        .await
    }

    /// A candidate of the other side, as in `candidate:…`. Unusable ones (mDNS, unknown transports) are ignored, and so are
    /// those beyond the first 64 since ICE last restarted.
    pub fn add_remote_candidate(&self, candidate: String) {
        if let Some(candidate) = sdp::remote::candidate(&candidate) {
            self.tell(Command::RemoteCandidate {
                id: self.inner.id,
                candidate,
            });
        }
    }

    /// Forward media from here on, with continuous sequence numbers and time stamps at the receiver. Both peers must be on
    /// one shard. RED is unwrapped for receivers that did not negotiate it; key frames are asked for where needed. What is
    /// forwarded there already goes on, with the new `highest_layer`.
    pub fn forward(&self, forward: Forward) {
        let Forward {
            from_mid,
            to,
            to_mid,
            highest_layer,
            redundant,
        } = forward;
        if !self.beside(&to) {
            return;
        }
        self.tell(Command::Forward(ForwardCommand {
            from: self.inner.id,
            from_mid,
            to: to.inner.id,
            to_mid,
            highest_layer,
            redundant,
        }));
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

    /// Send a message on a data channel. Messages wait while the channel's buffer is full: up to 16 MiB on reliable ones,
    /// up to 64 kB on lossy ones; then a message is dropped and counted, and the connection goes on. Messages over 128 kiB, and those for channels that nobody opened, are dropped and counted.
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

    /// Borrow it as a negotiation does.
    #[cfg(test)]
    pub(crate) async fn borrow(&self) -> Option<Box<Connection>> {
        let (to, borrowed) = oneshot::channel();
        self.tell(Command::Lend {
            id: self.inner.id,
            to,
        });
        borrowed.await.ok()
    }

    /// Give back what was borrowed.
    #[cfg(test)]
    pub(crate) fn give_back(&self, peer: Box<Connection>) {
        self.tell(Command::Return {
            peer,
            outgoing: Vec::new(),
            panicked: false,
        });
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

    /// Prepare on another thread, borrow the peer from its shard, change it, give it back. The shard goes on meanwhile.
    /// Commands given before are obeyed before, commands given after the answer are obeyed after.
    async fn negotiate<P, T: Send + 'static>(
        &self,
        prepare: impl FnOnce() -> Result<P, RtcError> + Send + 'static,
        change: impl FnOnce(&mut Connection, P, Instant) -> Result<T, RtcError> + Send + 'static,
    ) -> Result<T, RtcError> {
        // Keeps the shard running as long as it has to give and take.
        let inner = Arc::clone(&self.inner);
        let bytes = inner.described_bytes.load(Ordering::Relaxed);
        let work = move || {
            let prepared = prepare();
            let (to, borrowed) = oneshot::channel();
            if !inner.shard.send(Command::Lend { id: inner.id, to }) {
                return Err(RtcError::Busy);
            }
            let mut peer = borrowed.blocking_recv().map_err(|_| RtcError::Closed)?;
            let mut outgoing = Vec::new();
            let changed = catch_unwind(AssertUnwindSafe(|| {
                let now = Instant::now();
                peer.ensure_open()?;
                let outcome = change(&mut peer, prepared?, now);
                // The first look at what has changed takes long too.
                peer.tick(now);
                peer.drain(now, &mut outgoing);
                outcome
            }));
            inner.shard.send(Command::Return {
                peer,
                outgoing,
                panicked: changed.is_err(),
            });
            changed.unwrap_or(Err(RtcError::Closed))
        };
        let engine = &self.inner.engine;
        let outcome = engine.negotiator.run(bytes, work).await;
        outcome.unwrap_or(Err(RtcError::Closed))
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
