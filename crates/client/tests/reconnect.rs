//! The way to the server breaks and heals: the room goes on, and so does the sound.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/proxy.rs"]
mod proxy;

use std::collections::HashMap;
use std::time::Duration;

use antiphon_client::{
    AudioStream, AutoSubscribe, LocalAudioTrack, Room, RoomEvent, RoomOptions, TextOptions,
    TrackSource,
};
use antiphon_protocol::{AccessToken, ParticipantKind, VideoGrants};
use antiphon_rtc::{Engine, EngineConfig};
use antiphon_server::{Running, Server, ServerConfig};
use bytes::Bytes;
use proxy::Proxy;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// The longest any step may take on a busy machine; a step that works takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

type Events = Receiver<RoomEvent>;

fn token(identity: &str, kind: ParticipantKind) -> String {
    let grants = VideoGrants {
        can_update_own_metadata: Some(true),
        ..VideoGrants::join("lobby")
    };
    AccessToken::new("devkey", "secret")
        .identity(identity)
        .kind(kind)
        .grants(grants)
        .to_jwt()
        .unwrap()
}

/// The first event that this accepts.
async fn until<T>(
    events: &mut Events,
    what: &str,
    mut accept: impl FnMut(RoomEvent) -> Option<T>,
) -> T {
    let wait = async {
        loop {
            let event = events.recv().await.expect("the room goes on");
            if let Some(found) = accept(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("no {what}"))
}

/// Send a packet every 20 ms, marked so that the listener knows whose it is.
fn speak(track: LocalAudioTrack, mark: u8) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for number in 0.. {
            tick.tick().await;
            let payload = Bytes::copy_from_slice(&[0xf8, 0xff, mark]);
            track.send_opus(payload, number * 960, number == 0, 30);
        }
    })
}

async fn hear(audio: &mut AudioStream, mark: u8) {
    let heard = async {
        loop {
            let packet = audio.recv().await.expect("the track goes on");
            if packet.payload.last() == Some(&mark) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("sound");
}

async fn subscribed(events: &mut Events, from: &str) -> AudioStream {
    until(events, "subscribed track", |event| match event {
        RoomEvent::TrackSubscribed {
            participant, audio, ..
        } if participant.identity == from => Some(audio),
        _ => None,
    })
    .await
}

async fn reconnected(events: &mut Events) -> bool {
    until(events, "way back", |event| match event {
        RoomEvent::Reconnected { full } => Some(full),
        _ => None,
    })
    .await
}

/// An agent behind a bad network and a caller with a good one, both audible to the other.
struct Scene {
    server: Running,
    proxy: Proxy,
    agent: Room,
    agent_events: Events,
    caller: Room,
    caller_events: Events,
    /// What the agent hears of the caller, and the other way round.
    agent_hears: AudioStream,
    caller_hears: AudioStream,
    speaking: [JoinHandle<()>; 2],
}

impl Scene {
    async fn begin() -> Self {
        let config = ServerConfig::dev().any_ports();
        let server = Server::start(config, axum::Router::new()).await.unwrap();
        let proxy = Proxy::to(server.local_addr()).await;
        let engine = Engine::start(EngineConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            advertise: Vec::new(),
            loopback: true,
            shards: 1,
            max_peers: 16,
        })
        .unwrap();
        let manual = RoomOptions {
            auto_subscribe: AutoSubscribe::None,
            ..Default::default()
        };
        let agent_token = token("agent", ParticipantKind::Agent);
        let (agent, mut agent_events) = Room::connect(&engine, &proxy.url(), &agent_token, manual)
            .await
            .unwrap();
        let caller_token = token("caller", ParticipantKind::Standard);
        let (caller, mut caller_events) = Room::connect(
            &engine,
            &server.url(),
            &caller_token,
            RoomOptions::default(),
        )
        .await
        .unwrap();
        agent
            .set_attributes(HashMap::from([(
                "lk.agent.state".into(),
                "listening".into(),
            )]))
            .await
            .unwrap();
        let voice = agent
            .publish_audio("roomio_audio", TrackSource::Microphone)
            .await
            .unwrap();
        let microphone = caller
            .publish_audio("microphone", TrackSource::Microphone)
            .await
            .unwrap();
        let sid = until(&mut agent_events, "published track", |event| match event {
            RoomEvent::TrackPublished { track, .. } => Some(track.sid),
            _ => None,
        })
        .await;
        agent.set_subscribed(&sid, true).await.unwrap();
        let mut agent_hears = subscribed(&mut agent_events, "caller").await;
        let mut caller_hears = subscribed(&mut caller_events, "agent").await;
        let speaking = [speak(voice, 1), speak(microphone, 2)];
        hear(&mut caller_hears, 1).await;
        hear(&mut agent_hears, 2).await;
        Self {
            server,
            proxy,
            agent,
            agent_events,
            caller,
            caller_events,
            agent_hears,
            caller_hears,
            speaking,
        }
    }

    /// Words still pass in both directions, once each.
    async fn words_pass(&mut self) {
        let options = |topic: &str| TextOptions {
            topic: topic.into(),
            ..Default::default()
        };
        self.agent
            .send_text("still here", options("lk.transcription"))
            .await
            .unwrap();
        self.caller
            .send_text("so am I", options("lk.chat"))
            .await
            .unwrap();
        for (events, wanted) in [
            (&mut self.caller_events, "still here"),
            (&mut self.agent_events, "so am I"),
        ] {
            let text = until(events, wanted, |event| match event {
                RoomEvent::TextStream(stream) => Some(stream.text),
                _ => None,
            })
            .await;
            assert_eq!(text, wanted);
        }
    }

    /// Signalling is in order: what comes after the server's offer has seen it, and what comes after the answer too.
    async fn negotiation_is_over(&mut self) {
        for round in ["offered", "answered"] {
            for (from, events) in [
                (&self.caller, &mut self.agent_events),
                (&self.agent, &mut self.caller_events),
            ] {
                let news = HashMap::from([("round".to_owned(), round.to_owned())]);
                from.set_attributes(news).await.unwrap();
                until(events, round, |event| match event {
                    RoomEvent::AttributesChanged { changed, .. } => {
                        (changed.get("round").map(String::as_str) == Some(round)).then_some(())
                    }
                    _ => None,
                })
                .await;
            }
        }
    }

    async fn end(self) {
        self.speaking.iter().for_each(JoinHandle::abort);
        self.agent.close().await;
        self.caller.close().await;
        self.server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_signal_connection_is_resumed_and_nobody_misses_anything() {
    let mut scene = Scene::begin().await;
    let sid = scene.agent.local_participant().unwrap().sid.clone();
    scene.proxy.cut();
    assert!(
        !reconnected(&mut scene.agent_events).await,
        "a resume is enough"
    );
    // The same streams go on: nobody has to subscribe again.
    while scene.caller_hears.try_recv().is_some() {}
    while scene.agent_hears.try_recv().is_some() {}
    hear(&mut scene.caller_hears, 1).await;
    hear(&mut scene.agent_hears, 2).await;
    scene.words_pass().await;
    assert_eq!(scene.agent.local_participant().unwrap().sid, sid);
    // It works again and again; not before ICE is negotiated anew, since then everything has to be.
    scene.negotiation_is_over().await;
    scene.proxy.cut();
    assert!(!reconnected(&mut scene.agent_events).await);
    scene.words_pass().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_the_way_was_cut_arrives_once() {
    let mut scene = Scene::begin().await;
    scene.proxy.cut();
    for number in 0..20 {
        let options = TextOptions {
            topic: "lk.transcription".into(),
            ..Default::default()
        };
        scene
            .agent
            .send_text(&number.to_string(), options)
            .await
            .unwrap();
    }
    for number in 0..20 {
        let text = until(&mut scene.caller_events, "text", |event| match event {
            RoomEvent::TextStream(stream) => Some(stream.text),
            _ => None,
        })
        .await;
        assert_eq!(text, number.to_string());
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_resume_begins_anew_and_both_hear_each_other_again() {
    let mut scene = Scene::begin().await;
    let sid = scene.agent.local_participant().unwrap().sid.clone();
    scene.proxy.refuse_resumes();
    scene.proxy.cut();
    assert!(
        reconnected(&mut scene.agent_events).await,
        "everything anew"
    );
    assert_ne!(scene.agent.local_participant().unwrap().sid, sid);
    // The agent's track is published again and its old handle still speaks; the caller's is subscribed again.
    let mut caller_hears = subscribed(&mut scene.caller_events, "agent").await;
    let mut agent_hears = subscribed(&mut scene.agent_events, "caller").await;
    hear(&mut caller_hears, 1).await;
    hear(&mut agent_hears, 2).await;
    let agent = scene.caller.participants();
    let state = agent
        .iter()
        .find(|participant| participant.identity == "agent")
        .and_then(|agent| agent.attributes.get("lk.agent.state").cloned());
    assert_eq!(state.as_deref(), Some("listening"), "attributes come back");
    scene.words_pass().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_left_while_the_agent_was_cut_off_is_gone_when_it_is_back() {
    let mut scene = Scene::begin().await;
    let engine = Engine::start(EngineConfig {
        bind: "127.0.0.1:0".parse().unwrap(),
        loopback: true,
        shards: 1,
        ..EngineConfig::default()
    })
    .unwrap();
    let witness_token = token("witness", ParticipantKind::Standard);
    let url = scene.server.url();
    let (witness, mut seen) = Room::connect(&engine, &url, &witness_token, RoomOptions::default())
        .await
        .unwrap();
    let gone = |event| match event {
        RoomEvent::ParticipantDisconnected { participant, .. } => {
            (participant.identity == "caller").then_some(())
        }
        _ => None,
    };
    scene.proxy.hold(true);
    scene.proxy.cut();
    scene.caller.close().await;
    until(&mut seen, "goodbye to the witness", gone).await;
    scene.proxy.hold(false);
    until(&mut scene.agent_events, "goodbye to the agent", gone).await;
    witness.close().await;
    scene.end().await;
}
