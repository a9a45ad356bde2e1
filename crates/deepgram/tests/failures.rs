//! Deepgram answers, refuses, limits, hangs and dies: what the agent sees.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use antiphon_agent::provider::{Secret, Stt, SttEvent, SttInput, SttSession};
use antiphon_audio::Frame16k;
use antiphon_deepgram::{DeepgramConfig, DeepgramStt, Timeouts};
use antiphon_simulator::{Endpoint, Fault, FaultKind, Script, Simulator};

fn script(utterances: &[&str]) -> Script {
    Script {
        api_key: Some("dg-key".to_owned()),
        utterances: utterances.iter().map(|text| (*text).to_owned()).collect(),
        utterances_shared: true,
        ..Script::default()
    }
}

fn config(simulator: &Simulator, key: &str) -> DeepgramConfig {
    let mut config =
        DeepgramConfig::new(Secret::new(key).unwrap()).with_base_url(simulator.deepgram_base_url());
    config.timeouts = Timeouts {
        connect: Duration::from_millis(300),
        keep_alive: Duration::from_millis(50),
        ping: Duration::from_millis(100),
        backoff_first: Duration::from_millis(10),
        backoff_longest: Duration::from_millis(50),
        give_up: Duration::from_secs(10),
    };
    config
}

async fn open(script: Script) -> (Simulator, SttSession) {
    let simulator = Simulator::start(script).await.unwrap();
    let session = DeepgramStt::new(config(&simulator, "dg-key"))
        .unwrap()
        .open()
        .await
        .unwrap();
    (simulator, session)
}

/// Speech as energy sees it.
async fn speak(session: &SttSession, ms: u32) {
    for _ in 0..ms / 20 {
        let samples = (0..320)
            .map(|n| if n % 2 == 0 { 5000 } else { -5000 })
            .collect();
        session
            .input
            .send(SttInput::Audio(Frame16k::new(samples)))
            .await
            .unwrap();
    }
}

async fn next(session: &mut SttSession) -> SttEvent {
    let event = tokio::time::timeout(Duration::from_secs(20), session.events.recv()).await;
    event
        .unwrap_or_else(|_| panic!("nothing was heard"))
        .unwrap_or_else(|| panic!("the stream has ended"))
}

async fn next_final(session: &mut SttSession) -> String {
    loop {
        if let SttEvent::Final { text, .. } = next(session).await {
            return text;
        }
    }
}

#[tokio::test]
async fn words_come_as_interim_and_are_final_when_asked_for() {
    let (simulator, mut session) = open(script(&["a table for four", "tonight"])).await;
    speak(&session, 1200).await;
    assert_eq!(next(&mut session).await, SttEvent::SpeechStarted);
    assert!(
        matches!(next(&mut session).await, SttEvent::Interim(text) if "a table for four".starts_with(&text))
    );
    session.input.send(SttInput::Finalize).await.unwrap();
    assert_eq!(next_final(&mut session).await, "a table for four");
    assert_eq!(next(&mut session).await, SttEvent::SpeechEnded);
    speak(&session, 600).await;
    session.input.send(SttInput::Finalize).await.unwrap();
    assert_eq!(next_final(&mut session).await, "tonight");
    let request = simulator.requests_to("/v1/listen").pop().unwrap();
    assert_eq!(request.headers.get("authorization").unwrap(), "Token [key]");
    assert_eq!(request.audio_bytes, 1800 * 32);
}

#[tokio::test]
async fn cleared_words_are_not_heard_again() {
    let (_simulator, mut session) = open(script(&["forget this", "keep this"])).await;
    speak(&session, 600).await;
    // Before the connection is there nothing would have reached the server that could be cleared.
    assert_eq!(next(&mut session).await, SttEvent::SpeechStarted);
    session.input.send(SttInput::Clear).await.unwrap();
    speak(&session, 600).await;
    session.input.send(SttInput::Finalize).await.unwrap();
    assert_eq!(next_final(&mut session).await, "keep this");
}

#[tokio::test]
async fn a_silent_caller_keeps_the_connection_and_hanging_up_closes_it() {
    let mut script = script(&["still here"]);
    script.delays.stt_idle_ms = 400;
    let (simulator, mut session) = open(script).await;
    let kept = || {
        simulator
            .requests()
            .iter()
            .flat_map(|request| request.messages.clone())
            .filter(|kind| kind == "KeepAlive")
            .count()
    };
    while kept() < 15 {
        tokio::task::yield_now().await;
    }
    speak(&session, 600).await;
    session.input.send(SttInput::Finalize).await.unwrap();
    assert_eq!(next_final(&mut session).await, "still here");
    drop(session);
    while !simulator.requests().iter().any(|request| {
        request
            .messages
            .last()
            .is_some_and(|kind| kind == "CloseStream")
    }) {
        tokio::task::yield_now().await;
    }
    assert_eq!(simulator.requests().len(), 1);
}

#[tokio::test]
async fn a_wrong_key_fails_at_once_with_a_clear_text() {
    let simulator = Simulator::start(script(&[])).await.unwrap();
    let stt = DeepgramStt::new(config(&simulator, "wrong-key")).unwrap();
    let mut session = stt.open().await.unwrap();
    let SttEvent::Failed(text) = next(&mut session).await else {
        panic!("not failed")
    };
    assert!(
        text.contains("refused the key (401)") && !text.contains("wrong-key"),
        "{text}"
    );
    assert!(session.events.recv().await.is_none());
    assert_eq!(simulator.requests().len(), 1);
    assert!(stt.probe().await.is_err());
}

#[tokio::test]
async fn a_limit_and_a_broken_server_are_waited_out() {
    for kind in [
        FaultKind::Status {
            status: 429,
            retry_after_s: Some(0.05),
            code: None,
        },
        FaultKind::Status {
            status: 500,
            retry_after_s: None,
            code: None,
        },
        FaultKind::Hang,
        FaultKind::Raw {
            body: "no JSON".to_owned(),
            content_type: String::new(),
        },
        FaultKind::Raw {
            body: "x".repeat(600_000),
            content_type: String::new(),
        },
    ] {
        let mut script = script(&["hello"]);
        script.faults = vec![Fault::once(Endpoint::Listen, kind.clone())];
        let (_simulator, mut session) = open(script).await;
        assert!(
            matches!(next(&mut session).await, SttEvent::Degraded(_)),
            "{kind:?}"
        );
        assert_eq!(next(&mut session).await, SttEvent::Recovered, "{kind:?}");
        speak(&session, 600).await;
        session.input.send(SttInput::Finalize).await.unwrap();
        assert_eq!(next_final(&mut session).await, "hello", "{kind:?}");
    }
}

#[tokio::test]
async fn words_said_while_the_connection_dies_or_hangs_are_heard_after_it() {
    for kind in [
        FaultKind::Cut { after_chunks: 2 },
        FaultKind::Stall { after_chunks: 2 },
    ] {
        let mut script = script(&["lost with the connection", "said again by the replay"]);
        script.faults = vec![Fault::once(Endpoint::Listen, kind.clone())];
        let (simulator, mut session) = open(script).await;
        speak(&session, 1000).await;
        while !matches!(next(&mut session).await, SttEvent::Degraded(_)) {}
        session.input.send(SttInput::Finalize).await.unwrap();
        assert_eq!(
            next_final(&mut session).await,
            "said again by the replay",
            "{kind:?}"
        );
        let again = simulator.requests().pop().unwrap();
        assert!(
            again.audio_bytes >= 900 * 32,
            "{} bytes replayed",
            again.audio_bytes
        );
    }
}

#[tokio::test]
async fn a_long_outage_is_the_end_and_says_so() {
    let mut script = script(&[]);
    script.faults = vec![Fault::always(
        Endpoint::Listen,
        FaultKind::Status {
            status: 503,
            retry_after_s: None,
            code: None,
        },
    )];
    let simulator = Simulator::start(script).await.unwrap();
    let mut config = config(&simulator, "dg-key");
    config.timeouts.give_up = Duration::from_millis(100);
    let mut session = DeepgramStt::new(config).unwrap().open().await.unwrap();
    assert!(matches!(next(&mut session).await, SttEvent::Degraded(_)));
    assert!(matches!(next(&mut session).await, SttEvent::Failed(text) if text.contains("gave up")));
}
