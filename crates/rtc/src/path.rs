//! Paths to peers that are no UDP sockets of ours: TCP connections, and relays. Whoever has the socket hands datagrams to a
//! [`Path`] and sends what comes out of it; the shard of the peer treats them as its own.
//!
//! A path begins without a peer. What comes is shown to all shards until one of them knows the ICE user name of a check in it;
//! from then on the path leads to that shard alone, which ends it with its peer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use str0m::net::Protocol;
use tokio::sync::mpsc;

use crate::command::{Command, ShardHandle};
use crate::limits::PATH_QUEUE;

/// No shard knows it yet.
const NOBODY: usize = usize::MAX;

/// How the other end is reached, as ICE sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A TCP connection with frames (RFC 4571) to our passive candidate (RFC 6544).
    Tcp,
    /// A relay: its client appears as a UDP address.
    Relay,
}

/// One address of the other side, under one protocol: a port may be in use under both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
}

impl Place {
    pub(crate) fn udp(address: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Udp,
            address,
        }
    }
}

/// What a peer sends over a path.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Which of our candidates it comes from.
    pub from: SocketAddr,
    /// What.
    pub datagram: Vec<u8>,
}

/// What a shard is shown of a path.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) from: Place,
    /// Which of our candidates it came to.
    pub(crate) to: SocketAddr,
    pub(crate) owner: Arc<AtomicUsize>,
    /// For the shard that takes the path.
    pub(crate) outgoing: Option<mpsc::Sender<Sent>>,
}

impl Arrival {
    /// Is it this shard's, or may it become it?
    pub(crate) fn concerns(&self, shard: usize) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        owner == shard || owner == NOBODY
    }

    /// The first who takes it has it.
    pub(crate) fn take(&self, shard: usize) -> bool {
        let taken =
            self.owner
                .compare_exchange(NOBODY, shard, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok() || taken == Err(shard)
    }
}

/// A path: datagrams go in here. What the peer sends comes out of the receiver that was made with it, whose end is the end of
/// the path.
pub struct Path {
    shards: Vec<Arc<ShardHandle>>,
    from: Place,
    owner: Arc<AtomicUsize>,
    /// Until a shard has it.
    outgoing: Option<mpsc::Sender<Sent>>,
}

impl Path {
    pub(crate) fn new(
        shards: Vec<Arc<ShardHandle>>,
        via: Via,
        from: SocketAddr,
    ) -> (Self, mpsc::Receiver<Sent>) {
        let (outgoing, sent) = mpsc::channel(PATH_QUEUE);
        let protocol = match via {
            Via::Tcp => Protocol::Tcp,
            Via::Relay => Protocol::Udp,
        };
        let path = Self {
            shards,
            from: Place {
                protocol,
                address: from,
            },
            owner: Arc::new(AtomicUsize::new(NOBODY)),
            outgoing: Some(outgoing),
        };
        (path, sent)
    }

    /// Does it lead to a peer?
    pub fn is_taken(&self) -> bool {
        self.owner.load(Ordering::Relaxed) != NOBODY
    }

    /// Hand over what came to this candidate of ours. Without a peer only checks are looked at.
    pub fn deliver(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        let owner = self.owner.load(Ordering::Relaxed);
        match self.shards.iter().find(|shard| shard.index == owner) {
            Some(shard) => {
                // The shard that took it has the only sender left: the path ends when it lets go.
                self.outgoing = None;
                self.show(shard, to, datagram);
            }
            None => {
                for shard in &self.shards {
                    self.show(shard, to, datagram.clone());
                }
            }
        }
    }

    fn show(&self, shard: &ShardHandle, to: SocketAddr, datagram: Vec<u8>) {
        shard.send(Command::Arrived {
            arrival: Arrival {
                from: self.from,
                to,
                owner: Arc::clone(&self.owner),
                outgoing: self.outgoing.clone(),
            },
            datagram,
        });
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let owner = self.owner.load(Ordering::Relaxed);
        if let Some(shard) = self.shards.iter().find(|shard| shard.index == owner) {
            shard.send(Command::PathEnded { from: self.from });
        }
    }
}
