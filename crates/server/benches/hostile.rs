//! What four hostile clients cost the others: they send the largest descriptions that are taken, as fast as they can, while a
//! call goes on in another room. Printed: the call's time from offer to answer and its forwarding delay, before and during
//! the attack, in one run. `cargo bench -p antiphon-server --bench hostile`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use antiphon_protocol::prost::Message as _;
use antiphon_protocol::proto::{
    AddTrackRequest, SessionDescription, SignalRequest, SignalResponse, TrackSource, TrackType,
    signal_request, signal_response,
};
use antiphon_protocol::{AccessToken, VideoGrants};
use antiphon_rtc::{Engine, EngineConfig, MediaChange, MediaKind, Peer, PeerConfig, PeerEvent};
use antiphon_server::{Running, Server, ServerConfig};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

type Stream =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

const HOSTILE: usize = 4;
/// As many sections and formats as fit.
const SECTIONS: usize = 200;
const FORMATS: usize = 24;
/// How long each half is measured, and how often the caller negotiates in it.
const MEASURED: Duration = Duration::from_secs(10);
const BETWEEN_OFFERS: Duration = Duration::from_millis(100);
const FRAME: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() {
    let server = Server::start(ServerConfig::dev().any_ports(), axum::Router::new())
        .await
        .unwrap();
    let clients = Engine::start(EngineConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        shards: 1,
        ..EngineConfig::default()
    })
    .unwrap();
    let mut call = Call::start(&server, &clients).await;
    let calm = call.measure().await;
    let answered = Arc::new(AtomicUsize::new(0));
    let attackers: Vec<_> = (0..HOSTILE)
        .map(|n| tokio::spawn(attack(server.url(), n, Arc::clone(&answered))))
        .collect();
    let attacked = call.measure().await;
    for attacker in attackers {
        attacker.abort();
    }
    println!(
        "{HOSTILE} hostile clients, {SECTIONS} sections of {FORMATS} formats: {} answered in {} s",
        answered.load(Ordering::Relaxed),
        MEASURED.as_secs()
    );
    report("offer to answer", &calm.answers, &attacked.answers);
    report("forwarding delay", &calm.delays, &attacked.delays);
    server.shutdown().await;
}

fn report(what: &str, calm: &[Duration], attacked: &[Duration]) {
    let at = |values: &[Duration], share: f64| {
        let index = (values.len().saturating_sub(1)) as f64 * share;
        values
            .get(index as usize)
            .map_or(f64::NAN, Duration::as_secs_f64)
            * 1e3
    };
    let line = |share| {
        let (before, during) = (at(calm, share), at(attacked, share));
        format!("{before:.2} -> {during:.2} ms (x{:.1})", during / before)
    };
    println!(
        "{what:<17} median {}, 95 % {}, longest {}; {} and {} measured",
        line(0.5),
        line(0.95),
        line(1.0),
        calm.len(),
        attacked.len()
    );
}

/// Sorted.
struct Measured {
    answers: Vec<Duration>,
    delays: Vec<Duration>,
}

/// A speaker and a listener.
struct Call {
    speaker: SplitSink<Stream, Ws>,
    answers: mpsc::Receiver<SessionDescription>,
    voice: Peer,
    mid: String,
    heard: mpsc::Receiver<PeerEvent>,
    next: u64,
    _listener: SplitSink<Stream, Ws>,
}

impl Call {
    async fn start(server: &Running, clients: &Engine) -> Self {
        let peer = |label: &str| {
            let (events, inbox) = mpsc::channel(4096);
            let shard = clients.least_loaded_shard();
            let peer = clients.peer(shard, PeerConfig::client(label), events);
            (peer.unwrap(), inbox)
        };
        let (mut speaker, mut from_server) = connect(&server.url(), "speaker", "call").await;
        let (voice, mut voice_events) = peer("voice");
        tokio::spawn(async move { while voice_events.recv().await.is_some() {} });
        let track = AddTrackRequest {
            cid: "TR_b".to_owned(),
            r#type: TrackType::Audio as i32,
            source: TrackSource::Microphone as i32,
            ..AddTrackRequest::default()
        };
        send(&mut speaker, signal_request::Message::AddTrack(track)).await;
        let adding = MediaChange::AddSending {
            kind: MediaKind::Audio,
            stream_id: "PA_a".to_owned(),
            track_id: "TR_b".to_owned(),
        };
        let offer = voice.create_offer(vec![adding]).await.unwrap();
        let mid = offer.mids.first().unwrap().clone();
        send(&mut speaker, description(offer.sdp, true, 1)).await;
        let (answered, mut answers) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Some(message) = next(&mut from_server).await {
                if let signal_response::Message::Answer(answer) = message {
                    let _ = answered.send(answer).await;
                }
            }
        });
        let answer = answers.recv().await.unwrap();
        voice.accept_answer(answer.sdp).await.unwrap();

        let (mut listener, mut from_server) = connect(&server.url(), "listener", "call").await;
        let (ear, heard) = peer("ear");
        let (offers, mut offered) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Some(message) = next(&mut from_server).await {
                if let signal_response::Message::Offer(offer) = message {
                    let _ = offers.send(offer).await;
                }
            }
        });
        let mut call = loop {
            let offer = offered.recv().await.unwrap();
            let has_voice = offer.sdp.contains("m=audio");
            let answer = ear.accept_offer(offer.sdp).await.unwrap();
            send(&mut listener, description(answer, false, offer.id)).await;
            if has_voice {
                break Self {
                    speaker,
                    answers,
                    voice,
                    mid,
                    heard,
                    next: 0,
                    _listener: listener,
                };
            }
        };
        // Until the first of the voice arrives.
        tokio::spawn(async move {
            // Keeps the connection.
            let _ear = ear;
            std::future::pending::<()>().await;
        });
        let mut beat = tokio::time::interval(FRAME);
        loop {
            beat.tick().await;
            call.say();
            if call
                .heard
                .try_recv()
                .is_ok_and(|event| matches!(event, PeerEvent::Rtp(_)))
            {
                return call;
            }
        }
    }

    fn say(&mut self) -> u64 {
        self.next += 1;
        let mut payload = vec![0x78];
        payload.extend_from_slice(&self.next.to_be_bytes());
        payload.resize(80, 0);
        let payload = Bytes::from(payload);
        self.voice
            .send_opus(&self.mid, payload, self.next * 960, self.next == 1, 20);
        self.next
    }

    async fn measure(&mut self) -> Measured {
        let (mut answers, mut delays) = (Vec::new(), Vec::new());
        let mut said: Vec<(u64, Instant)> = Vec::new();
        let mut asked: Option<Instant> = None;
        let (mut frames, mut offers) = (
            tokio::time::interval(FRAME),
            tokio::time::interval(BETWEEN_OFFERS),
        );
        let end = tokio::time::sleep(MEASURED);
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                Some(answer) = self.answers.recv() => {
                    if let Some(at) = asked.take() {
                        answers.push(at.elapsed());
                    }
                    self.voice.accept_answer(answer.sdp).await.unwrap();
                }
                Some(event) = self.heard.recv() => {
                    if let PeerEvent::Rtp(packet) = event
                        && let Some(number) = packet.payload.get(1..9).and_then(|n| n.try_into().ok())
                        && let Some(at) = said.iter().position(|(n, _)| *n == u64::from_be_bytes(number))
                    {
                        delays.push(packet.received.duration_since(said.swap_remove(at).1));
                    }
                }
                _ = frames.tick() => {
                    let at = Instant::now();
                    said.push((self.say(), at));
                }
                _ = offers.tick(), if asked.is_none() => {
                    let offer = self.voice.create_offer(Vec::new()).await.unwrap();
                    asked = Some(Instant::now());
                    send(&mut self.speaker, description(offer.sdp, true, 1)).await;
                }
                () = &mut end => break,
            }
        }
        if asked.is_some()
            && let Some(answer) = self.answers.recv().await
        {
            self.voice.accept_answer(answer.sdp).await.unwrap();
        }
        answers.sort();
        delays.sort();
        Measured { answers, delays }
    }
}

/// Offer the largest description again and again.
async fn attack(url: String, n: usize, answered: Arc<AtomicUsize>) {
    let (mut sink, mut stream) = connect(&url, "mallory", &format!("cellar-{n}")).await;
    tokio::spawn(async move {
        while let Some(message) = next(&mut stream).await {
            if matches!(message, signal_response::Message::Answer(_)) {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let sdp = largest();
    while send(&mut sink, description(sdp.clone(), true, 1)).await {}
    println!("a hostile client was closed");
}

fn largest() -> String {
    let fingerprint = ["AB"; 32].join(":");
    let mids: Vec<String> = (0..SECTIONS).map(|n| n.to_string()).collect();
    let mut sdp = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=fingerprint:sha-256 {fingerprint}\r\n",
        mids.join(" ")
    );
    let formats: Vec<String> = (96..96 + FORMATS).map(|pt| pt.to_string()).collect();
    for mid in mids {
        sdp.push_str(&format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=sendonly\r\na=rtcp-mux\r\n\
             a=setup:actpass\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 {fingerprint}\r\n",
            formats.join(" ")
        ));
        for format in &formats {
            sdp.push_str(&format!("a=rtpmap:{format} opus/48000/2\r\n"));
        }
    }
    sdp
}

fn description(sdp: String, offer: bool, id: u32) -> signal_request::Message {
    let kind = if offer { "offer" } else { "answer" };
    let description = SessionDescription {
        r#type: kind.to_owned(),
        sdp,
        id,
        ..SessionDescription::default()
    };
    if offer {
        signal_request::Message::Offer(description)
    } else {
        signal_request::Message::Answer(description)
    }
}

async fn connect(
    url: &str,
    identity: &str,
    room: &str,
) -> (SplitSink<Stream, Ws>, SplitStream<Stream>) {
    let jwt = AccessToken::new("devkey", "secret")
        .identity(identity)
        .grants(VideoGrants {
            // Who does not listen has no offers to answer.
            can_subscribe: Some(identity == "listener"),
            ..VideoGrants::join(room)
        })
        .to_jwt()
        .unwrap();
    let mut request = format!("{url}/rtc?protocol=17&sdk=rust")
        .into_client_request()
        .unwrap();
    let header = format!("Bearer {jwt}").parse().unwrap();
    request.headers_mut().insert("authorization", header);
    let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.split()
}

/// False: the connection is gone.
async fn send(sink: &mut SplitSink<Stream, Ws>, message: signal_request::Message) -> bool {
    let request = SignalRequest {
        message: Some(message),
    };
    let frame = Ws::Binary(request.encode_to_vec().into());
    sink.send(frame).await.is_ok()
}

async fn next(stream: &mut SplitStream<Stream>) -> Option<signal_response::Message> {
    loop {
        match stream.next().await? {
            Ok(Ws::Binary(data)) => return SignalResponse::decode(data).ok()?.message,
            Ok(Ws::Ping(_) | Ws::Pong(_)) => {}
            _ => return None,
        }
    }
}
