//! How the engine and a peer are set up.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The engine's sockets and threads.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where UDP is bound; port 0 takes any. Every shard has a socket of its own: the first takes this port, the others
    /// the ports after it (any port when it is 0).
    pub bind: SocketAddr,
    /// Addresses put into candidates. Empty: every address of this machine, loopback included only when `bind` is
    /// loopback, when there is no other, or when `loopback` is set.
    pub advertise: Vec<IpAddr>,
    /// Put loopback into candidates as well, so that browsers and agents of the same machine always connect.
    pub loopback: bool,
    /// Threads. Default: the number of cores.
    pub shards: usize,
    /// The most peers at once; more are refused. A peer costs 64 kB.
    pub max_peers: usize,
}

impl Default for EngineConfig {
    /// Any port on every IPv4 address, loopback included, a shard per core, 10 000 peers.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([0, 0, 0, 0], 0)),
            advertise: Vec::new(),
            loopback: true,
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            max_peers: 10_000,
        }
    }
}

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// We are the server: answer ICE checks only.
    pub ice_lite: bool,
    /// Deliver received RTP as [`PeerEvent::Rtp`](crate::PeerEvent::Rtp). The agent wants it; the server only forwards.
    pub deliver_rtp: bool,
    /// Report audio levels every so many milliseconds as [`PeerEvent::AudioLevels`](crate::PeerEvent::AudioLevels); 0 never.
    pub audio_level_interval_ms: u32,
    /// Report what was measured of its streams this often as [`PeerEvent::Statistics`](crate::PeerEvent::Statistics); `None`
    /// never.
    pub statistics_interval: Option<Duration>,
    /// Offer and accept RED (`audio/red`) around Opus.
    pub red: bool,
    /// Send lost packets of voices again when the other side asks for them (NACK), and offer that. Each packet costs a few
    /// copies then; whoever takes RED can do without.
    pub resends_audio: bool,
    /// Give this peer a UDP socket of its own instead of the shard's. Clients need it: all their peers talk to the one
    /// port of the server, which tells them apart by where they come from. Servers share.
    pub own_socket: bool,
    /// For log lines: never secret.
    pub label: String,
}

impl PeerConfig {
    /// A peer of a server: forwards, reports levels every 400 ms and statistics every 5 s (LiveKit's intervals), shares the shard's socket.
    pub fn server(label: impl Into<String>) -> Self {
        Self {
            ice_lite: false,
            deliver_rtp: false,
            audio_level_interval_ms: 400,
            statistics_interval: Some(Duration::from_secs(5)),
            red: true,
            resends_audio: false,
            own_socket: false,
            label: label.into(),
        }
    }

    /// A peer of a client: delivers what it receives, has a socket of its own.
    pub fn client(label: impl Into<String>) -> Self {
        Self {
            ice_lite: false,
            deliver_rtp: true,
            audio_level_interval_ms: 0,
            statistics_interval: None,
            red: true,
            resends_audio: true,
            own_socket: true,
            label: label.into(),
        }
    }
}
