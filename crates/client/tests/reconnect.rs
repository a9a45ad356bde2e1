//! The way to the server breaks and heals: the room goes on, and so does the sound.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/lobby.rs"]
mod lobby;
#[path = "support/proxy.rs"]
mod proxy;

use std::collections::HashMap;
use std::time::Duration;

use antiphon_client::{AudioStream, LocalAudioTrack, Room, RoomEvent, TextOptions, TrackSource};
use antiphon_server::{Running, Server, ServerConfig};
use bytes::Bytes;
use lobby::{Events, PATIENCE, engine, join_as_agent, join_as_caller, until};
use proxy::Proxy;
use tokio::task::JoinHandle;

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
    /// The agent with a single peer connection or with two.
    async fn begin(single: bool) -> Self {
        Self::begin_by(single, |_| {}).await
    }

    async fn begin_by(single: bool, prepare: impl FnOnce(&Proxy)) -> Self {
        let config = ServerConfig::dev().any_ports();
        let server = Server::start(config, axum::Router::new()).await.unwrap();
        let proxy = Proxy::to(server.local_addr()).await;
        prepare(&proxy);
        let engine = engine();
        let (agent, mut agent_events) = join_as_agent(&engine, &proxy.url(), single).await;
        let (caller, mut caller_events) = join_as_caller(&engine, &server.url(), "caller").await;
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
    for single in [true, false] {
        resume_after_a_cut(single).await;
    }
}

async fn resume_after_a_cut(single: bool) {
    let mut scene = Scene::begin(single).await;
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
    for single in [true, false] {
        write_during_a_cut(single).await;
    }
}

async fn write_during_a_cut(single: bool) {
    let mut scene = Scene::begin(single).await;
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
    for single in [true, false] {
        begin_anew(single).await;
    }
}

async fn begin_anew(single: bool) {
    let mut scene = Scene::begin(single).await;
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
    for single in [true, false] {
        miss_a_goodbye(single).await;
    }
}

async fn miss_a_goodbye(single: bool) {
    let mut scene = Scene::begin(single).await;
    let (witness, mut seen) = join_as_caller(&engine(), &scene.server.url(), "witness").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_no_single_connection_is_joined_with_two() {
    let scene = Scene::begin_by(true, Proxy::refuse_single).await;
    assert_eq!(scene.proxy.accepted(), 2);
    scene.end().await;
    let scene = Scene::begin(true).await;
    assert_eq!(scene.proxy.accepted(), 1, "one that knows it is asked once");
    scene.end().await;
}
