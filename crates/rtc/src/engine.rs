//! The shards; makes peers.

use std::net::SocketAddr;

use tokio::sync::mpsc;

use crate::{EngineConfig, Peer, PeerConfig, PeerEvent, RtcError};

/// Which thread a peer lives on. All peers of a room live on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShardId(pub usize);

/// The running engine. Cloning is cheap; it ends when the last clone and the last peer are dropped.
#[derive(Clone, Debug)]
pub struct Engine {}

impl Engine {
    /// Bind the sockets and start the threads.
    pub fn start(config: EngineConfig) -> Result<Self, RtcError> {
        let _ = config;
        Ok(Self {})
    }

    /// The shard with the fewest peers.
    pub fn least_loaded_shard(&self) -> ShardId {
        ShardId(0)
    }

    /// Where UDP is bound, one address a shard.
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    /// Make a peer. `events` should have room for about a second of what it reports (256 for the agent's audio).
    pub fn peer(&self, shard: ShardId, config: PeerConfig, events: mpsc::Sender<PeerEvent>) -> Result<Peer, RtcError> {
        let _ = (shard, config, events);
        Ok(Peer {})
    }
}
