//! What the outside tells a shard, through a bounded queue that wakes it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use str0m::Candidate;
use tokio::sync::{mpsc, oneshot};

use crate::connection::Connection;
use crate::limits::{MAX_COMMANDS, MAX_COMMANDS_WITH_MEDIA};
use crate::path::{Arrival, Place};
use crate::pulse::Pulse;
use crate::socket::Datagram;
use crate::{PeerConfig, PeerEvent};

/// Names a peer for ever; never used again.
pub(crate) type PeerId = u64;

/// A command to a shard.
pub(crate) enum Command {
    Create {
        id: PeerId,
        config: PeerConfig,
        events: mpsc::Sender<PeerEvent>,
        pulse: Arc<Pulse>,
    },
    /// Lend the peer out to be negotiated elsewhere; the sender is dropped if there is no such peer.
    Lend {
        id: PeerId,
        to: oneshot::Sender<Box<Connection>>,
    },
    /// A peer that was lent out comes back.
    Return {
        peer: Box<Connection>,
        /// What it wants to send.
        outgoing: Vec<Datagram>,
        panicked: bool,
    },
    /// Something came over a path.
    Arrived {
        arrival: Arrival,
        datagram: Vec<u8>,
    },
    /// A path is over.
    PathEnded {
        from: Place,
    },
    /// Peers made from now on name these for TCP.
    NameTcp {
        candidates: Vec<SocketAddr>,
    },
    RemoteCandidate {
        id: PeerId,
        candidate: Candidate,
    },
    Forward(ForwardCommand),
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

/// From a section of one peer to one of another.
pub(crate) struct ForwardCommand {
    pub(crate) from: PeerId,
    pub(crate) from_mid: String,
    pub(crate) to: PeerId,
    pub(crate) to_mid: String,
    pub(crate) highest_layer: usize,
    pub(crate) redundant: bool,
}

/// How a command is treated when many wait.
enum Priority {
    /// One per peer or engine at a time, so bounded by their number: always taken.
    Final,
    Control,
    Media,
}

impl Command {
    fn priority(&self) -> Priority {
        match self {
            Self::Return { .. }
            | Self::Close { .. }
            | Self::PathEnded { .. }
            | Self::NameTcp { .. }
            | Self::Shutdown => Priority::Final,
            Self::SendOpus { .. } | Self::Arrived { .. } => Priority::Media,
            Self::Create { .. }
            | Self::Lend { .. }
            | Self::RemoteCandidate { .. }
            | Self::Forward(_)
            | Self::StopForward { .. }
            | Self::SetMuted { .. }
            | Self::SendData { .. } => Priority::Control,
            #[cfg(test)]
            Self::Panic { .. } | Self::SendRed { .. } => Priority::Control,
        }
    }
}

impl Command {
    /// The peers that must be there to obey it.
    pub(crate) fn peers(&self) -> [Option<PeerId>; 2] {
        match self {
            Self::Lend { id, .. }
            | Self::RemoteCandidate { id, .. }
            | Self::SetMuted { id, .. }
            | Self::SendOpus { id, .. }
            | Self::SendData { id, .. }
            | Self::Close { id } => [Some(*id), None],
            Self::Forward(ForwardCommand { from, to, .. }) | Self::StopForward { from, to, .. } => {
                [Some(*from), Some(*to)]
            }
            Self::Create { .. }
            | Self::Return { .. }
            | Self::Arrived { .. }
            | Self::PathEnded { .. }
            | Self::NameTcp { .. }
            | Self::Shutdown => [None, None],
            #[cfg(test)]
            Self::Panic { id } | Self::SendRed { id, .. } => [Some(*id), None],
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
