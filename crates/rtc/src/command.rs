//! What the outside tells a shard, through a bounded queue that wakes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::limits::{MAX_COMMANDS, MAX_COMMANDS_WITH_MEDIA};
use crate::{MediaChange, Offer, PeerConfig, PeerEvent, RtcError};

/// Names a peer for ever; never used again.
pub(crate) type PeerId = u64;

/// A command to a shard.
pub(crate) enum Command {
    Create {
        id: PeerId,
        config: PeerConfig,
        events: mpsc::Sender<PeerEvent>,
    },
    AcceptOffer {
        id: PeerId,
        sdp: String,
        reply: oneshot::Sender<Result<String, RtcError>>,
    },
    CreateOffer {
        id: PeerId,
        changes: Vec<MediaChange>,
        reply: oneshot::Sender<Result<Offer, RtcError>>,
    },
    AcceptAnswer {
        id: PeerId,
        sdp: String,
        reply: oneshot::Sender<Result<(), RtcError>>,
    },
    RemoteCandidate {
        id: PeerId,
        candidate: String,
    },
    Forward {
        from: PeerId,
        from_mid: String,
        to: PeerId,
        to_mid: String,
    },
    StopForward {
        from: PeerId,
        from_mid: String,
        to: PeerId,
        to_mid: String,
    },
    SetMuted {
        id: PeerId,
        from_mid: String,
        muted: bool,
    },
    SendOpus {
        id: PeerId,
        mid: String,
        payload: Bytes,
        timestamp: u64,
        marker: bool,
        level: u8,
    },
    SendData {
        id: PeerId,
        label: String,
        data: Bytes,
    },
    Close {
        id: PeerId,
    },
    Shutdown,
    #[cfg(test)]
    Panic {
        id: PeerId,
    },
    /// A RED payload with this sequence number and 960 times it as time stamp, as a browser would send it.
    #[cfg(test)]
    SendRed {
        id: PeerId,
        mid: String,
        payload: Bytes,
        number: u64,
    },
}

/// How a command is treated when many wait.
enum Priority {
    /// One per peer or engine, so bounded by their number: always taken.
    Final,
    Control,
    Media,
}

impl Command {
    fn priority(&self) -> Priority {
        match self {
            Self::Close { .. } | Self::Shutdown => Priority::Final,
            Self::SendOpus { .. } => Priority::Media,
            Self::Create { .. }
            | Self::AcceptOffer { .. }
            | Self::CreateOffer { .. }
            | Self::AcceptAnswer { .. }
            | Self::RemoteCandidate { .. }
            | Self::Forward { .. }
            | Self::StopForward { .. }
            | Self::SetMuted { .. }
            | Self::SendData { .. } => Priority::Control,
            #[cfg(test)]
            Self::Panic { .. } | Self::SendRed { .. } => Priority::Control,
        }
    }
}

/// A shard as seen from outside.
pub(crate) struct ShardHandle {
    pub(crate) index: usize,
    queue: Mutex<VecDeque<Command>>,
    waker: mio::Waker,
    /// Peers living here.
    pub(crate) peers: AtomicUsize,
}

impl ShardHandle {
    pub(crate) fn new(index: usize, waker: mio::Waker) -> Self {
        Self {
            index,
            queue: Mutex::new(VecDeque::new()),
            waker,
            peers: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Command>> {
        // A panic while pushing leaves the queue whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hand over a command; false: too many are waiting and it was not taken.
    pub(crate) fn send(&self, command: Command) -> bool {
        let limit = match command.priority() {
            Priority::Final => usize::MAX,
            Priority::Control => MAX_COMMANDS,
            Priority::Media => MAX_COMMANDS_WITH_MEDIA,
        };
        let mut queue = self.lock();
        if queue.len() >= limit {
            drop(queue);
            crate::counters::commands_dropped();
            return false;
        }
        let wake = queue.is_empty();
        queue.push_back(command);
        drop(queue);
        // Whoever made the queue non-empty has woken the shard, which takes all at once.
        if wake && let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake a media shard");
        }
        true
    }

    /// Everything that waits, in exchange for an empty queue.
    pub(crate) fn take(&self, empty: &mut VecDeque<Command>) {
        std::mem::swap(&mut *self.lock(), empty);
    }

    /// How many peers live here.
    pub(crate) fn load(&self) -> usize {
        self.peers.load(Ordering::Relaxed)
    }
}
