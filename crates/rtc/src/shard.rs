//! One thread with its sockets and peers: reads, drives, forwards, sends. No locks but the command queue's, one clock
//! reading per batch, and never a look at a peer that nothing happened to.

mod away;
mod commands;
mod listeners;
mod paths;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use quinn_udp::RecvMeta;
use rustc_hash::FxHashMap;
use slab::Slab;
use str0m::config::DtlsCert;
use str0m::ice::StunMessage;
use str0m::net::Receive;
use tokio::sync::mpsc;

use crate::address::{Addresses, arrived_at};
use crate::channels::Waiting;
use crate::command::{Command, PeerId, ShardHandle};
use crate::connection::Connection;
use crate::limits::{MAX_BATCHES_PER_TURN, MAX_PEER_ADDRESSES};
use crate::path::{Place, Sent};
use crate::socket::{Datagram, ReceiveBuffers, Socket};
use crate::timers::Timers;
use crate::{RtcError, counters};
use away::{Away, Kept};

/// The waker's token; sockets have their keys.
pub(crate) const WAKER: Token = Token(usize::MAX);
/// Readiness events taken at once.
const EVENTS: usize = 256;
/// Sleep at most this long, as a net under everything else.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// What a shard is made of.
pub(crate) struct Setup {
    pub(crate) handle: Arc<ShardHandle>,
    pub(crate) poll: Poll,
    pub(crate) socket: Socket,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) certificate: Option<Arc<DtlsCert>>,
    pub(crate) bind: SocketAddr,
    /// Peers of the whole engine.
    pub(crate) total: Arc<AtomicUsize>,
}

/// A running shard.
pub(crate) struct Shard {
    handle: Arc<ShardHandle>,
    poll: Poll,
    addresses: Arc<Addresses>,
    certificate: Option<Arc<DtlsCert>>,
    bind: SocketAddr,
    total: Arc<AtomicUsize>,
    sockets: Slab<Socket>,
    shared: usize,
    /// `None` while a peer is being driven or is away.
    peers: Slab<Option<Box<Connection>>>,
    /// Peers that are being negotiated, by slot.
    away: FxHashMap<usize, Away>,
    by_id: FxHashMap<PeerId, usize>,
    by_place: FxHashMap<Place, usize>,
    by_ufrag: FxHashMap<String, usize>,
    /// Paths that lead to peers here: whose each is, and what is sent over it.
    paths: FxHashMap<Place, (PeerId, mpsc::Sender<Sent>)>,
    /// Where ICE connections over TCP are accepted.
    tcp_candidates: Vec<SocketAddr>,
    waiting: Waiting,
    timers: Timers,
    dirty: Vec<usize>,
    outgoing: Vec<Datagram>,
    scratch: Vec<u8>,
    buffers: Option<ReceiveBuffers>,
    commands: VecDeque<Command>,
    /// Sockets with more to read.
    ready: Vec<usize>,
    unknown: u64,
    received: u64,
    forwarded: u64,
    running: bool,
}

impl Shard {
    /// Take over the socket.
    pub(crate) fn new(setup: Setup) -> Result<Self, RtcError> {
        let Setup {
            handle,
            poll,
            mut socket,
            addresses,
            certificate,
            bind,
            total,
        } = setup;
        let address = socket.local();
        socket.candidates = addresses.candidates(address.port());
        let buffers = ReceiveBuffers::new(socket.gro_segments());
        let mut sockets = Slab::new();
        let shared = sockets.vacant_key();
        poll.registry()
            .register(socket.source(), Token(shared), Interest::READABLE)
            .map_err(|source| RtcError::Bind { address, source })?;
        sockets.insert(socket);
        Ok(Self {
            handle,
            poll,
            addresses,
            certificate,
            bind,
            total,
            sockets,
            shared,
            peers: Slab::new(),
            away: FxHashMap::default(),
            by_id: FxHashMap::default(),
            by_place: FxHashMap::default(),
            paths: FxHashMap::default(),
            tcp_candidates: Vec::new(),
            by_ufrag: FxHashMap::default(),
            waiting: Waiting::default(),
            timers: Timers::default(),
            dirty: Vec::new(),
            outgoing: Vec::new(),
            scratch: Vec::new(),
            buffers: Some(buffers),
            commands: VecDeque::new(),
            ready: Vec::new(),
            unknown: 0,
            received: 0,
            forwarded: 0,
            running: true,
        })
    }

    /// Run until told to stop.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while self.running {
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a media shard cannot wait for its sockets");
                break;
            }
            let now = Instant::now();
            for event in events.iter().filter(|event| event.token() != WAKER) {
                if !self.ready.contains(&event.token().0) {
                    self.ready.push(event.token().0);
                }
            }
            self.turn(now);
        }
    }

    fn timeout(&self) -> Duration {
        if !self.ready.is_empty() {
            return Duration::ZERO;
        }
        self.timers.next().map_or(LONGEST_SLEEP, |at| {
            at.saturating_duration_since(Instant::now())
                .min(LONGEST_SLEEP)
        })
    }

    /// Everything that there is to do now.
    fn turn(&mut self, now: Instant) {
        // Commands first: who was told to forward or hold before a packet was sent does so.
        self.obey(now);
        self.read(now);
        self.wake(now);
        self.settle(now);
        self.send();
        self.count();
    }

    // ---- reading

    fn read(&mut self, now: Instant) {
        let Some(mut buffers) = self.buffers.take() else {
            return;
        };
        for key in std::mem::take(&mut self.ready) {
            let mut batches = 0;
            while let Some(socket) = self.sockets.get(key) {
                if batches == MAX_BATCHES_PER_TURN {
                    self.ready.push(key);
                    break;
                }
                batches += 1;
                match socket.receive(&mut buffers) {
                    Ok(0) => break,
                    Ok(count) => {
                        for (meta, bytes) in buffers.filled(count) {
                            self.on_batch(key, meta, bytes, now);
                        }
                    }
                    // Readiness is told once: go on until there is nothing more, or the turn is over.
                    Err(error) => tracing::debug!(%error, "reading a media socket failed"),
                }
            }
        }
        self.buffers = Some(buffers);
    }

    fn on_batch(&mut self, key: usize, meta: &RecvMeta, bytes: &[u8], now: Instant) {
        let source = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
        for datagram in bytes.chunks(meta.stride.max(1)) {
            let Some(socket) = self.sockets.get(key) else {
                return;
            };
            let Some(destination) = arrived_at(&socket.candidates, meta.dst_ip, source) else {
                continue;
            };
            let slot = match socket.owner {
                Some(slot) => Some(slot),
                None => self.find(Place::udp(source), datagram),
            };
            let Some(slot) = slot else {
                self.unknown += 1;
                continue;
            };
            let source = Place::udp(source);
            let keep = || Kept::Datagram {
                source,
                destination,
                contents: datagram.to_vec(),
            };
            if self.away.is_empty() || !self.keep(slot, keep) {
                self.on_datagram(slot, source, destination, datagram, now);
            }
        }
    }

    fn on_datagram(
        &mut self,
        slot: usize,
        source: Place,
        destination: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) {
        match Receive::new(source.protocol, source.address, destination, datagram) {
            Ok(receive) => self.drive(slot, now, |peer| peer.receive(now, receive)),
            Err(_) => self.unknown += 1,
        }
        if is_stun(datagram) {
            self.learn_authenticated(slot, source, datagram);
        }
    }

    /// Whose is this? STUN requests name their peer; everything else is known by where it comes from.
    fn find(&self, source: Place, datagram: &[u8]) -> Option<usize> {
        if is_stun(datagram)
            && let Ok(message) = StunMessage::parse(datagram)
            && message.is_binding_request()
        {
            let (ours, _) = message.split_username()?;
            return self.by_ufrag.get(ours).copied();
        }
        self.by_place.get(&source).copied()
    }

    /// A check that was answered with success has proved that its source belongs to this peer, whoever had it before.
    fn learn_authenticated(&mut self, slot: usize, source: Place, request: &[u8]) {
        if self.by_place.get(&source) == Some(&slot) {
            return;
        }
        let Ok(request) = StunMessage::parse(request) else {
            return;
        };
        let answered = request.is_binding_request()
            && self.outgoing.iter().rev().take(EVENTS).any(|out| {
                out.destination == source.address
                    && out.protocol == source.protocol
                    && StunMessage::parse(&out.contents).is_ok_and(|answer| {
                        answer.is_successful_binding_response()
                            && answer.trans_id() == request.trans_id()
                    })
            });
        if answered {
            self.learn(slot, source, true);
        }
    }

    fn learn(&mut self, slot: usize, address: Place, proven: bool) {
        let taken = self.by_place.contains_key(&address);
        let Some(Some(peer)) = self.peers.get_mut(slot) else {
            return;
        };
        if !proven && (taken || peer.addresses.len() >= MAX_PEER_ADDRESSES) {
            return;
        }
        if !peer.addresses.contains(&address) {
            // Addresses that were only written to, candidates that lead nowhere, must not keep out the one that works.
            if peer.addresses.len() >= MAX_PEER_ADDRESSES {
                let oldest = peer.addresses.remove(0);
                if self.by_place.get(&oldest) == Some(&slot) {
                    self.by_place.remove(&oldest);
                }
            }
            peer.addresses.push(address);
        }
        if let Some(before) = self.by_place.insert(address, slot)
            && before != slot
            && let Some(Some(other)) = self.peers.get_mut(before)
        {
            other.addresses.retain(|known| *known != address);
        }
    }

    // ---- driving

    /// Change a peer and drain it; a panic ends that peer alone.
    fn drive(&mut self, slot: usize, now: Instant, change: impl FnOnce(&mut Connection)) {
        let Some(place) = self.peers.get_mut(slot) else {
            return;
        };
        let Some(mut peer) = place.take() else { return };
        let outgoing = &mut self.outgoing;
        let result = catch_unwind(AssertUnwindSafe(|| {
            change(&mut peer);
            peer.drain(now, outgoing);
        }));
        if result.is_err() {
            self.panicked(slot, peer);
            return;
        }
        let inbox = std::mem::take(&mut peer.inbox);
        let key_frames = std::mem::take(&mut peer.key_frames);
        let estimate = peer.estimate.take();
        let addresses = std::mem::take(&mut peer.new_addresses);
        let shared = peer.socket == self.shared;
        if let Some(place) = self.peers.get_mut(slot) {
            *place = Some(peer);
        }
        if shared {
            for address in addresses {
                self.learn(slot, address, false);
            }
        }
        for (origin, packet) in inbox {
            self.received += 1;
            self.forward(slot, origin, packet, now);
        }
        for section in key_frames {
            counters::key_frame_asked();
            self.pass_key_frame_request(slot, section, now);
        }
        if let Some(estimate) = estimate {
            self.fit(slot, estimate, now);
        }
        self.arm(slot, now);
    }

    fn panicked(&mut self, slot: usize, peer: Box<Connection>) {
        counters::panicked();
        tracing::error!(peer = %peer.config.label, "a peer panicked and was ended");
        if let Some(place) = self.peers.get_mut(slot) {
            *place = Some(peer);
        }
        self.remove(slot, "an internal error".to_owned());
    }

    /// Note when the peer wants to be looked at, or that it is over.
    fn arm(&mut self, slot: usize, now: Instant) {
        let Some(Some(peer)) = self.peers.get_mut(slot) else {
            return;
        };
        if peer.ended.is_some() {
            if !peer.dirty {
                peer.dirty = true;
                self.dirty.push(slot);
            }
            return;
        }
        let at = peer.wake_at();
        if peer.armed.is_none_or(|armed| at < armed || armed <= now) {
            peer.armed = Some(at);
            self.timers.set(at, slot);
        }
    }

    fn wake(&mut self, now: Instant) {
        while let Some((at, slot)) = self.timers.due(now) {
            let Some(Some(peer)) = self.peers.get_mut(slot) else {
                continue;
            };
            if peer.armed != Some(at) {
                continue;
            }
            peer.armed = None;
            if peer.wake_at() <= now {
                self.drive(slot, now, |peer| peer.tick(now));
            } else {
                self.arm(slot, now);
            }
        }
    }

    /// Drain what was written to, and let go of who has ended.
    fn settle(&mut self, now: Instant) {
        while let Some(slot) = self.dirty.pop() {
            let ended = match self.peers.get_mut(slot) {
                Some(Some(peer)) => peer.ended.clone(),
                Some(None) | None => continue,
            };
            match ended {
                Some(reason) => {
                    let outgoing = &mut self.outgoing;
                    if let Some(Some(peer)) = self.peers.get_mut(slot) {
                        let _ = catch_unwind(AssertUnwindSafe(|| peer.last_words(now, outgoing)));
                    }
                    self.remove(slot, reason);
                }
                None => self.drive(slot, now, |peer| peer.tick(now)),
            }
        }
    }

    fn mark(&mut self, slot: usize) {
        if let Some(Some(peer)) = self.peers.get_mut(slot)
            && !peer.dirty
        {
            peer.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// Do something to a peer without draining; a panic ends that peer alone.
    fn guarded(&mut self, slot: usize, change: impl FnOnce(&mut Connection)) {
        let Some(place) = self.peers.get_mut(slot) else {
            return;
        };
        let Some(mut peer) = place.take() else { return };
        if catch_unwind(AssertUnwindSafe(|| change(&mut peer))).is_err() {
            self.panicked(slot, peer);
        } else if let Some(place) = self.peers.get_mut(slot) {
            *place = Some(peer);
        }
    }

    fn is(&self, slot: usize, id: PeerId) -> bool {
        match self.peers.get(slot) {
            Some(Some(peer)) => peer.id == id,
            Some(None) => self.away.get(&slot).is_some_and(|away| away.id == id),
            None => false,
        }
    }

    fn remove(&mut self, slot: usize, reason: String) {
        let Some(place) = self.peers.try_remove(slot) else {
            return;
        };
        let Some(peer) = place else { return };
        // What it said last goes out while its socket is there.
        self.send();
        self.by_id.remove(&peer.id);
        for address in &peer.addresses {
            if self.by_place.get(address) == Some(&slot) {
                self.by_place.remove(address);
            }
        }
        self.paths.retain(|_, (whose, _)| *whose != peer.id);
        for ufrag in &peer.ufrags {
            if self.by_ufrag.get(ufrag) == Some(&slot) {
                self.by_ufrag.remove(ufrag);
            }
        }
        if peer.socket != self.shared
            && let Some(mut socket) = self.sockets.try_remove(peer.socket)
        {
            let _ = self.poll.registry().deregister(socket.source());
            self.ready.retain(|key| *key != peer.socket);
        }
        tracing::debug!(peer = %peer.config.label, %reason, "peer closed");
        self.left();
        peer.emit_closed(reason);
        // After a panic not even the destructor is trusted.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(peer)));
    }

    fn left(&self) {
        self.handle.peers.fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_sub(1, Ordering::Relaxed);
    }

    // ---- sending

    fn send(&mut self) {
        if !self.paths.is_empty() || !self.tcp_candidates.is_empty() {
            self.send_over_paths();
        }
        let mut rest: &[Datagram] = &self.outgoing;
        let mut unsent = 0;
        while let Some(first) = rest.first() {
            let count = rest
                .iter()
                .take_while(|out| out.socket == first.socket)
                .count();
            let (run, after) = rest.split_at(count);
            rest = after;
            if let Some(socket) = self.sockets.get(first.socket) {
                unsent += socket.send_all(run, &self.addresses.own, &mut self.scratch);
            }
        }
        self.outgoing.clear();
        if unsent > 0 {
            counters::unsent_datagrams(unsent);
        }
    }

    fn count(&mut self) {
        for (count, add) in [
            (&mut self.unknown, counters::unknown_datagrams as fn(u64)),
            (&mut self.received, counters::packets_received),
            (&mut self.forwarded, counters::packets_forwarded),
        ] {
            if *count > 0 {
                add(std::mem::take(count));
            }
        }
    }
}

/// First two bits zero (RFC 7983).
fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|byte| *byte < 4)
}
