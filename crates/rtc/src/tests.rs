//! Whole connections over loopback, in one process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod connect;
mod data;
mod faults;
mod loss;
mod media;
mod negotiate;
mod paths;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{Engine, EngineConfig, MediaChange, MediaKind, Peer, PeerConfig, PeerEvent, RtpPacket};

/// How long a test waits for what must come; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

fn engine() -> Engine {
    engine_with(1_000)
}

fn engine_with(max_peers: usize) -> Engine {
    Engine::start(EngineConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        shards: 1,
        max_peers,
        ..EngineConfig::default()
    })
    .unwrap()
}

/// A peer with its events.
struct Side {
    peer: Peer,
    events: mpsc::Receiver<PeerEvent>,
    /// Events that were passed over while waiting for another.
    seen: Vec<PeerEvent>,
}

impl Side {
    fn new(engine: &Engine, config: PeerConfig) -> Self {
        let (sender, events) = mpsc::channel(4_096);
        let peer = engine
            .peer(engine.least_loaded_shard(), config, sender)
            .unwrap();
        Self {
            peer,
            events,
            seen: Vec::new(),
        }
    }

    fn client(engine: &Engine) -> Self {
        Self::new(engine, PeerConfig::client("client"))
    }

    fn server(engine: &Engine) -> Self {
        Self::new(
            engine,
            PeerConfig {
                audio_level_interval_ms: 50,
                ..PeerConfig::server("server")
            },
        )
    }

    /// All commands so far have been obeyed: they are taken in order, and this one is answered.
    async fn settled(&self) {
        let nothing = MediaChange::SetSending {
            mid: "none".to_owned(),
            sending: false,
        };
        assert!(self.peer.create_offer(vec![nothing]).await.is_err());
    }

    /// Everything reported so far no longer counts.
    fn forget(&mut self) {
        self.seen.clear();
        while self.events.try_recv().is_ok() {}
    }

    /// Wait for an event that gives something.
    async fn until<T>(&mut self, mut wanted: impl FnMut(&PeerEvent) -> Option<T>) -> T {
        if let Some(found) = self.seen.iter().position(|event| wanted(event).is_some()) {
            let event = self.seen.remove(found);
            return wanted(&event).unwrap();
        }
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("the peer is gone");
                match wanted(&event) {
                    Some(found) => return found,
                    None => self.seen.push(event),
                }
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("it did not come; seen instead: {:?}", self.seen),
        }
    }

    async fn connected(&mut self) {
        self.until(|event| matches!(event, PeerEvent::Connected).then_some(()))
            .await;
    }

    /// It has sent to this many addresses.
    async fn until_addresses(&self, count: usize) {
        let waiting = async {
            loop {
                let borrowed = self.peer.borrow().await.unwrap();
                let known = borrowed.addresses.len();
                self.peer.give_back(borrowed);
                if known >= count {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap();
    }

    async fn closed(&mut self) -> String {
        self.until(|event| match event {
            PeerEvent::Closed { reason } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    async fn channel(&mut self, wanted: &str) {
        self.until(|event| {
            matches!(event, PeerEvent::ChannelOpen { label } if &**label == wanted).then_some(())
        })
        .await;
    }

    async fn receiving(&mut self) -> (String, bool) {
        self.until(|event| match event {
            PeerEvent::MediaReceiving { mid, active, .. } => Some((mid.to_string(), *active)),
            _ => None,
        })
        .await
    }

    async fn rtp(&mut self) -> RtpPacket {
        self.until(|event| match event {
            PeerEvent::Rtp(packet) => Some(packet.clone()),
            _ => None,
        })
        .await
    }

    async fn data(&mut self) -> Bytes {
        self.until(|event| match event {
            PeerEvent::Data { data, .. } => Some(data.clone()),
            _ => None,
        })
        .await
    }
}

fn channel(label: &str) -> MediaChange {
    MediaChange::AddChannel {
        label: label.to_owned(),
    }
}

fn sending(kind: MediaKind) -> MediaChange {
    MediaChange::AddSending {
        kind,
        stream_id: "PA_a|TR_b".to_owned(),
        track_id: "TR_b".to_owned(),
    }
}

/// One offers, the other answers.
async fn negotiate(offerer: &Side, answerer: &Side, changes: Vec<MediaChange>) -> Vec<String> {
    let offer = offerer.peer.create_offer(changes).await.unwrap();
    let answer = answerer.peer.accept_offer(offer.sdp).await.unwrap();
    offerer.peer.accept_answer(answer).await.unwrap();
    offer.mids
}

/// A connected pair; the first offers these changes.
async fn pair(
    mut offerer: Side,
    mut answerer: Side,
    changes: Vec<MediaChange>,
) -> (Side, Side, Vec<String>) {
    let mids = negotiate(&offerer, &answerer, changes).await;
    offerer.connected().await;
    answerer.connected().await;
    (offerer, answerer, mids)
}

/// A client and a server that are connected; the client has offered these changes. The engines live as long as both.
async fn caller_and_server(changes: Vec<MediaChange>) -> (Side, Side, Vec<String>, [Engine; 2]) {
    let engines = [engine(), engine()];
    let [server, client] = &engines;
    let (a, b, mids) = pair(Side::client(client), Side::server(server), changes).await;
    (a, b, mids, engines)
}

/// Both say something over the channel that `a` has opened.
async fn talk(a: &mut Side, b: &mut Side) {
    a.channel("_reliable").await;
    b.channel("_reliable").await;
    a.peer.send_data("_reliable", Bytes::from_static(b"hello"));
    assert_eq!(b.data().await, "hello");
    // The answerer writes on the channel that the other opened.
    b.peer
        .send_data("_reliable", Bytes::from_static(b"and back"));
    assert_eq!(a.data().await, "and back");
}

/// A recognisable Opus-like packet.
fn packet(number: u64) -> Bytes {
    let mut bytes = vec![0x78];
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.into()
}

fn number(payload: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(payload.get(1..9)?.try_into().ok()?))
}
