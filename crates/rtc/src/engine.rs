//! The shards; makes peers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use mio::{Poll, Waker};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use crate::address::Addresses;
use crate::command::{Command, ShardHandle};
use crate::limits::SHARED_SOCKET_BUFFER_BYTES;
use crate::negotiator::Negotiator;
use crate::path::{Path, Sent, Via};
use crate::peer::PeerInner;
use crate::pulse::Pulse;
use crate::shard::{Setup, Shard, WAKER};
use crate::socket::Socket;
use crate::{EngineConfig, Peer, PeerConfig, PeerEvent, RtcError};

/// Which thread a peer lives on. All peers of a room live on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShardId(pub usize);

/// The running engine. Cloning is cheap; it ends when the last clone and the last peer are dropped.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

/// Ends the threads when the last user is gone.
pub(crate) struct EngineInner {
    shards: Vec<Arc<ShardHandle>>,
    addresses: Vec<SocketAddr>,
    /// What clients are told: every address that media may be sent to.
    candidates: Vec<SocketAddr>,
    named: Arc<Addresses>,
    /// Ends the TCP listener.
    stop: Arc<Notify>,
    next_peer: AtomicU64,
    total: Arc<AtomicUsize>,
    max_peers: usize,
    pub(crate) negotiator: Negotiator,
}

impl Engine {
    /// Bind the sockets and start the threads.
    pub fn start(config: EngineConfig) -> Result<Self, RtcError> {
        let addresses = Arc::new(Addresses::find(&config));
        // One certificate for all: making one costs more than the rest of a peer, and browsers check its fingerprint only.
        let certificate = str0m::crypto::from_feature_flags()
            .dtls_provider
            .generate_certificate()
            .map(Arc::new);
        let total = Arc::new(AtomicUsize::new(0));
        let mut inner = EngineInner {
            shards: Vec::new(),
            addresses: Vec::new(),
            candidates: Vec::new(),
            named: Arc::clone(&addresses),
            stop: Arc::new(Notify::new()),
            next_peer: AtomicU64::new(1),
            total: Arc::clone(&total),
            max_peers: config.max_peers,
            negotiator: Negotiator::new(
                std::thread::available_parallelism().map_or(1, usize::from),
            ),
        };
        let first_port = config.bind.port();
        for index in 0..config.shards.max(1) {
            let mut bind = config.bind;
            if first_port != 0 {
                bind.set_port(first_port.saturating_add(u16::try_from(index).unwrap_or(u16::MAX)));
            }
            let failed = |source| RtcError::Bind {
                address: bind,
                source,
            };
            let socket = Socket::bind(bind, SHARED_SOCKET_BUFFER_BYTES)?;
            let local = socket.local();
            let poll = Poll::new().map_err(failed)?;
            let waker = Waker::new(poll.registry(), WAKER).map_err(failed)?;
            let handle = Arc::new(ShardHandle::new(index, waker));
            let shard = Shard::new(Setup {
                handle: Arc::clone(&handle),
                poll,
                socket,
                addresses: Arc::clone(&addresses),
                certificate: certificate.clone(),
                bind,
                total: Arc::clone(&total),
            })?;
            std::thread::Builder::new()
                .name(format!("rtc-{index}"))
                .spawn(move || shard.run())
                .map_err(failed)?;
            inner.shards.push(handle);
            inner.addresses.push(local);
            inner.candidates.extend(addresses.candidates(local.port()));
        }
        tracing::info!(udp = ?inner.addresses, candidates = ?addresses.advertised, "media engine started");
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The shard with the fewest peers.
    pub fn least_loaded_shard(&self) -> ShardId {
        let least = self.inner.shards.iter().min_by_key(|shard| shard.load());
        ShardId(least.map_or(0, |shard| shard.index))
    }

    /// Where UDP is bound, one address a shard.
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.inner.addresses.clone()
    }

    /// Accept ICE connections over TCP (RFC 6544) too, for peers made from now on. Port 0 takes any. Returns where it listens.
    ///
    /// # Errors
    /// [`RtcError::BindTcp`]. Needs a tokio runtime.
    pub fn accept_tcp(&self, address: SocketAddr) -> Result<SocketAddr, RtcError> {
        let bound = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            Ok((listener.local_addr()?, listener))
        });
        let (local, listener) = bound.map_err(|source| RtcError::BindTcp { address, source })?;
        let candidates = self.inner.named.candidates(local.port());
        tracing::info!(%local, ?candidates, "ICE over TCP is accepted");
        for shard in &self.inner.shards {
            shard.send(Command::NameTcp {
                candidates: candidates.clone(),
            });
        }
        let (shards, stop) = (self.inner.shards.clone(), Arc::clone(&self.inner.stop));
        tokio::spawn(crate::tcp::listen(listener, shards, candidates, stop));
        Ok(local)
    }

    /// The UDP candidates of all shards: where media may be sent, and nowhere else.
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.inner.candidates
    }

    /// The addresses that stand in candidates.
    pub fn advertised(&self) -> impl Iterator<Item = std::net::IpAddr> + '_ {
        self.inner.named.advertised.iter().copied()
    }

    /// A path from somebody who is known as `from`. What the peer sends comes out of the receiver; its end is the end of the
    /// path.
    pub fn path(&self, via: Via, from: SocketAddr) -> (Path, mpsc::Receiver<Sent>) {
        Path::new(self.inner.shards.clone(), via, from)
    }

    /// How many peers there are.
    pub fn peers(&self) -> usize {
        self.inner.total.load(Ordering::Relaxed)
    }

    /// Make a peer. `events` should have room for about a second of what it reports (256 for the agent's audio).
    ///
    /// Fails with [`RtcError::Full`] beyond the configured number of peers and [`RtcError::Unknown`] for a shard that does
    /// not exist.
    pub fn peer(
        &self,
        shard: ShardId,
        config: PeerConfig,
        events: mpsc::Sender<PeerEvent>,
    ) -> Result<Peer, RtcError> {
        let Some(shard) = self.inner.shards.get(shard.0) else {
            return Err(RtcError::Unknown(format!("shard {}", shard.0)));
        };
        let limit = self.inner.max_peers;
        self.inner
            .total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < limit).then_some(count + 1)
            })
            .map_err(|_| RtcError::Full { limit })?;
        shard.peers.fetch_add(1, Ordering::Relaxed);
        let id = self.inner.next_peer.fetch_add(1, Ordering::Relaxed);
        let pulse = Arc::new(Pulse::default());
        let create = Command::Create {
            id,
            config,
            events,
            pulse: Arc::clone(&pulse),
        };
        if !shard.send(create) {
            shard.peers.fetch_sub(1, Ordering::Relaxed);
            self.inner.total.fetch_sub(1, Ordering::Relaxed);
            return Err(RtcError::Full { limit });
        }
        Ok(Peer {
            inner: Arc::new(PeerInner {
                id,
                shard: Arc::clone(shard),
                engine: Arc::clone(&self.inner),
                described_bytes: AtomicUsize::new(0),
                pulse,
            }),
        })
    }
}

impl Drop for EngineInner {
    fn drop(&mut self) {
        self.stop.notify_one();
        for shard in &self.shards {
            shard.send(Command::Shutdown);
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("udp", &self.inner.addresses)
            .field("peers", &self.peers())
            .finish()
    }
}
