//! Two room clients meet in a real room server on loopback: everything over the public protocol, sound over UDP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/lobby.rs"]
mod lobby;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use antiphon_client::{
    DisconnectReason, Room, RoomEvent, RoomOptions, RpcError, RpcHandler, TextOptions, TrackSource,
};
use antiphon_protocol::{AccessToken, VideoGrants};
use antiphon_server::{Server, ServerConfig};
use bytes::Bytes;
use lobby::{PATIENCE, engine, join_as_agent, join_as_caller, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_and_an_agent_hear_read_and_call_each_other() {
    let server = Server::start(ServerConfig::dev().any_ports(), axum::Router::new())
        .await
        .unwrap();
    let engine = engine();
    let url = server.url().to_string();
    let (agent, mut agent_events) = join_as_agent(&engine, &url, true).await;
    let (caller, mut caller_events) = join_as_caller(&engine, &url, "caller").await;

    // Sound: published, subscribed on demand, heard.
    let microphone = caller
        .publish_audio("microphone", TrackSource::Microphone)
        .await
        .unwrap();
    let sid = until(&mut agent_events, "published track", |event| match event {
        RoomEvent::TrackPublished { participant, track } if participant.identity == "caller" => {
            Some(track.sid)
        }
        _ => None,
    })
    .await;
    assert_eq!(sid, microphone.sid());
    agent.set_subscribed(&sid, true).await.unwrap();
    let mut audio = until(&mut agent_events, "subscribed track", |event| match event {
        RoomEvent::TrackSubscribed { audio, .. } => Some(audio),
        _ => None,
    })
    .await;
    tokio::time::timeout(PATIENCE, microphone.wait_for_subscription())
        .await
        .expect("the publisher is told");
    let speaking = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for number in 0.. {
            tick.tick().await;
            microphone.send_opus(
                Bytes::from_static(&[0xf8, 0xff, 0xfe]),
                number * 960,
                number == 0,
                30,
            );
        }
    });
    let first = tokio::time::timeout(PATIENCE, audio.recv())
        .await
        .expect("sound")
        .unwrap();
    let second = tokio::time::timeout(PATIENCE, audio.recv())
        .await
        .expect("more sound")
        .unwrap();
    assert_eq!(
        second.timestamp - first.timestamp,
        (second.sequence - first.sequence) * 960
    );

    // Words: a typed message, and a transcript on the caller's behalf.
    let chat = TextOptions {
        topic: "lk.chat".into(),
        ..Default::default()
    };
    caller
        .send_text("A table for two, please", chat)
        .await
        .unwrap();
    let text = until(&mut agent_events, "chat", |event| match event {
        RoomEvent::TextStream(stream) if stream.info.topic == "lk.chat" => {
            Some((stream.info.identity.clone(), stream.text))
        }
        _ => None,
    })
    .await;
    assert_eq!(
        text,
        ("caller".to_owned(), "A table for two, please".to_owned())
    );
    let options = TextOptions {
        topic: "lk.transcription".into(),
        sender_identity: Some("caller".into()),
        ..Default::default()
    };
    let mut writer = agent.stream_text(options).await.unwrap();
    writer.write("A table ").await.unwrap();
    writer.write("for two").await.unwrap();
    writer
        .close(HashMap::from([(
            "lk.transcription_final".into(),
            "true".into(),
        )]))
        .await
        .unwrap();
    let stream = until(&mut caller_events, "transcript", |event| match event {
        RoomEvent::TextStream(stream) => Some(stream),
        _ => None,
    })
    .await;
    assert_eq!(
        (stream.text.as_str(), stream.info.identity.as_str()),
        ("A table for two", "caller")
    );
    assert_eq!(
        stream
            .attributes
            .get("lk.transcription_final")
            .map(String::as_str),
        Some("true")
    );

    // State and calls.
    agent
        .set_attributes(HashMap::from([(
            "lk.agent.state".into(),
            "listening".into(),
        )]))
        .await
        .unwrap();
    until(&mut caller_events, "attribute", |event| match event {
        RoomEvent::AttributesChanged { changed, .. } => {
            (changed.get("lk.agent.state")? == "listening").then_some(())
        }
        _ => None,
    })
    .await;
    let handler: RpcHandler = Arc::new(|call| {
        Box::pin(async move { Ok(format!("{} said {}", call.caller_identity, call.payload)) })
    });
    agent.register_rpc("echo", handler).await.unwrap();
    let answer = caller
        .perform_rpc("agent", "echo", "hello", PATIENCE)
        .await
        .unwrap();
    assert_eq!(answer, "caller said hello");
    let unknown = caller
        .perform_rpc("agent", "nothing", "", PATIENCE)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        unknown.contains(&RpcError::UNSUPPORTED_METHOD.to_string()),
        "{unknown}"
    );

    // Goodbye.
    caller.close().await;
    let reason = until(&mut agent_events, "goodbye", |event| match event {
        RoomEvent::ParticipantDisconnected { reason, .. } => Some(reason),
        _ => None,
    })
    .await;
    assert_eq!(reason, DisconnectReason::ClientInitiated);
    speaking.abort();
    agent.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_with_the_servers_words_and_no_token_in_them() {
    let server = Server::start(ServerConfig::dev().any_ports(), axum::Router::new())
        .await
        .unwrap();
    let bad = AccessToken::new("devkey", "wrong-secret")
        .identity("eve")
        .grants(VideoGrants::join("lobby"))
        .to_jwt()
        .unwrap();
    let error = Room::connect(
        &engine(),
        &server.url().to_string(),
        &bad,
        RoomOptions::default(),
    )
    .await
    .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("401") && !text.contains(&bad), "{text}");
    assert!(!error.retryable());
    server.shutdown().await;
}
