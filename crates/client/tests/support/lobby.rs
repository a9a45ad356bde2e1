//! What the tests with a real server share: tokens, an engine, waiting for events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use antiphon_client::{AutoSubscribe, Room, RoomEvent, RoomOptions};
use antiphon_protocol::{AccessToken, ParticipantKind, VideoGrants};
use antiphon_rtc::{Engine, EngineConfig};
use tokio::sync::mpsc::Receiver;

/// The longest any step may take on a busy machine; a step that works takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Events = Receiver<RoomEvent>;

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

pub(crate) fn engine() -> Engine {
    Engine::start(EngineConfig {
        bind: "127.0.0.1:0".parse().unwrap(),
        advertise: Vec::new(),
        loopback: true,
        shards: 1,
        max_peers: 16,
    })
    .unwrap()
}

/// Joins as an agent does, which subscribes to whom it chooses.
pub(crate) async fn join_as_agent(
    engine: &Engine,
    url: &str,
    single_connection: bool,
) -> (Room, Events) {
    let manual = RoomOptions {
        auto_subscribe: AutoSubscribe::None,
        single_connection,
        ..Default::default()
    };
    let token = token("agent", ParticipantKind::Agent);
    Room::connect(engine, url, &token, manual).await.unwrap()
}

/// Joins as a caller does.
pub(crate) async fn join_as_caller(engine: &Engine, url: &str, identity: &str) -> (Room, Events) {
    let token = token(identity, ParticipantKind::Standard);
    Room::connect(engine, url, &token, RoomOptions::default())
        .await
        .unwrap()
}

/// The first event that this accepts.
pub(crate) async fn until<T>(
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
