//! How much one core forwards: one speaker, many listeners, everything over real sockets on loopback with encryption.
//! Prints packets per second of the forwarding thread's CPU time, sockets included. Run with `cargo bench -p antiphon-rtc`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use antiphon_rtc::{
    Engine, EngineConfig, Forward, MediaChange, MediaKind, Peer, PeerConfig, PeerEvent,
};
use bytes::Bytes;
use tokio::sync::mpsc;

/// Listeners of the one speaker.
const LISTENERS: usize = 50;
/// Packets the speaker sends.
const PACKETS: u64 = 5_000;
/// Speaking this much faster than a person keeps the thread busy without losing datagrams.
const PACE: Duration = Duration::from_millis(1);
/// A usual Opus packet.
const PAYLOAD_BYTES: usize = 80;
/// Linux counts CPU time in these.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main]
async fn main() {
    let before = media_threads();
    let server = engine();
    let tid = media_thread_besides(&before).await;
    let clients = engine();
    let (speaker, ingress, from, _) = pair(&clients, &server, true).await;
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        let (listener, egress, to, events) = pair(&clients, &server, false).await;
        ingress.forward(Forward {
            from_mid: from.clone(),
            to: egress.clone(),
            to_mid: to,
            highest_layer: Forward::ALL_LAYERS,
            redundant: true,
        });
        listeners.push((listener, egress, events));
    }
    let (cpu, wall) = (cpu_seconds(tid), Instant::now());
    let mut beat = tokio::time::interval(PACE);
    for n in 0..PACKETS {
        beat.tick().await;
        speaker.send_opus(
            &from,
            Bytes::from(vec![n as u8; PAYLOAD_BYTES]),
            n * 960,
            n == 0,
            20,
        );
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (cpu, wall) = (cpu_seconds(tid) - cpu, wall.elapsed().as_secs_f64());
    let mut arrived = 0u64;
    for (_, _, events) in &mut listeners {
        while let Ok(event) = events.try_recv() {
            arrived += u64::from(matches!(event, PeerEvent::Rtp(_)));
        }
    }
    let sent = PACKETS * LISTENERS as u64;
    println!(
        "forwarded        {arrived} of {sent} packets to {LISTENERS} listeners in {wall:.2} s"
    );
    println!(
        "forwarding CPU   {cpu:.2} s, {:.2} us a packet",
        cpu * 1e6 / arrived.max(1) as f64
    );
    println!(
        "one core         {:.0} packets/s",
        arrived as f64 / cpu.max(0.01)
    );
}

fn engine() -> Engine {
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    Engine::start(EngineConfig {
        bind,
        shards: 1,
        ..EngineConfig::default()
    })
    .unwrap()
}

/// A connected client and server peer, one of which sends audio, with the section and the client's events.
async fn pair(
    clients: &Engine,
    server: &Engine,
    client_sends: bool,
) -> (Peer, Peer, String, mpsc::Receiver<PeerEvent>) {
    let (sender, mut events) = mpsc::channel(PACKETS as usize + 64);
    let client = clients
        .peer(
            clients.least_loaded_shard(),
            PeerConfig::client("client"),
            sender,
        )
        .unwrap();
    let (sender, mut server_events) = mpsc::channel(64);
    let quiet = PeerConfig {
        audio_level_interval_ms: 0,
        ..PeerConfig::server("server")
    };
    let served = server
        .peer(server.least_loaded_shard(), quiet, sender)
        .unwrap();
    tokio::spawn(async move { while server_events.recv().await.is_some() {} });
    let (offerer, answerer) = if client_sends {
        (&client, &served)
    } else {
        (&served, &client)
    };
    let adding = MediaChange::AddSending {
        kind: MediaKind::Audio,
        stream_id: "PA_a".to_owned(),
        track_id: "TR_a".to_owned(),
    };
    let offer = offerer.create_offer(vec![adding]).await.unwrap();
    let answer = answerer.accept_offer(offer.sdp).await.unwrap();
    offerer.accept_answer(answer).await.unwrap();
    while !matches!(
        events.recv().await.expect("the peer is gone"),
        PeerEvent::Connected
    ) {}
    (
        client,
        served,
        offer.mids.into_iter().next().expect("a section"),
        events,
    )
}

/// The media thread that was started last. A thread gets its name when it first runs, which a busy machine puts off.
async fn media_thread_besides(before: &HashSet<u64>) -> u64 {
    loop {
        if let Some(tid) = media_threads().difference(before).next() {
            return *tid;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Threads of media shards.
fn media_threads() -> HashSet<u64> {
    std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|task| {
            std::fs::read_to_string(task.path().join("comm"))
                .is_ok_and(|name| name.starts_with("rtc-"))
        })
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect()
}

fn cpu_seconds(tid: u64) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
    // After the name in brackets: user time is field 14, system time 15 of the whole line.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or_default()
    };
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}
