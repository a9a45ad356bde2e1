//! A running server as its clients meet it: admission, signalling, APIs, agents, limits.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "server/blobs.rs"]
mod blobs;
#[path = "server/data_tracks.rs"]
mod data_tracks;
#[path = "server/dispatch.rs"]
mod dispatch;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/media.rs"]
mod media;
#[path = "server/pictures.rs"]
mod pictures;
#[path = "server/rooms.rs"]
mod rooms;
#[path = "server/silent.rs"]
mod silent;
#[path = "server/single.rs"]
mod single;
#[path = "server/strangers.rs"]
mod strangers;

use std::collections::HashMap;
use std::time::Duration;

use antiphon_protocol::prost::Message as _;
use antiphon_protocol::proto::{
    self, AvailabilityResponse, RegisterWorkerRequest, RoomAgentDispatch, RoomConfiguration,
    ServerMessage, SignalRequest, SignalResponse, UpdateWorkerStatus, WorkerMessage,
    server_message, signal_request, signal_response, worker_message,
};
use antiphon_protocol::{AccessToken, VideoGrants};
use antiphon_server::{Limits, Origins, Running, Server, ServerConfig};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A bound for waiting on what must happen; it decides nothing when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

async fn server(limits: Limits) -> Running {
    let config = ServerConfig {
        limits,
        ..ServerConfig::dev().any_ports()
    };
    Server::start(config, axum::Router::new()).await.unwrap()
}

fn token(identity: &str, room: &str) -> AccessToken {
    AccessToken::new("devkey", "secret")
        .identity(identity)
        .grants(VideoGrants::join(room))
}

fn http(server: &Running, path: &str) -> String {
    format!("http://{}{path}", server.local_addr())
}

async fn validate(server: &Running, jwt: &str) -> (u16, String) {
    let response = reqwest::Client::new()
        .get(http(server, "/rtc/validate"))
        .bearer_auth(jwt)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn socket(server: &Running, path: &str, jwt: &str) -> Result<Socket, u16> {
    let mut request = format!("{}{path}", server.url())
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("authorization", format!("Bearer {jwt}").parse().unwrap());
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            Err(response.status().as_u16())
        }
        Err(other) => panic!("{other}"),
    }
}

async fn next(socket: &mut Socket) -> Option<signal_response::Message> {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next())
            .await
            .unwrap()?
        {
            Ok(Ws::Binary(data)) => return SignalResponse::decode(data).unwrap().message,
            Ok(Ws::Ping(_) | Ws::Pong(_)) => {}
            _ => return None,
        }
    }
}

async fn until<T>(socket: &mut Socket, want: impl Fn(signal_response::Message) -> Option<T>) -> T {
    loop {
        if let Some(found) = want(next(socket).await.unwrap()) {
            return found;
        }
    }
}

async fn join(server: &Running, identity: &str, room: &str) -> (Socket, proto::JoinResponse) {
    let mut socket = socket(
        server,
        "/rtc?protocol=17&sdk=rust",
        &token(identity, room).to_jwt().unwrap(),
    )
    .await
    .unwrap();
    let Some(signal_response::Message::Join(join)) = next(&mut socket).await else {
        panic!("join must be the first message")
    };
    (socket, join)
}

#[tokio::test]
async fn a_good_token_joins_and_join_offer_and_fresh_token_come_in_this_order() {
    let server = server(Limits::default()).await;
    let (mut socket, join) = join(&server, "ann", "hall").await;
    assert!(
        join.room.unwrap().sid.starts_with("RM_")
            && join.participant.unwrap().sid.starts_with("PA_")
    );
    assert!(
        join.subscriber_primary
            && join.fast_publish
            && !join.server_info.unwrap().version.is_empty()
    );
    let Some(signal_response::Message::Offer(offer)) = next(&mut socket).await else {
        panic!("offer expected")
    };
    assert!(offer.id > 0 && offer.sdp.contains("webrtc-datachannel"));
    let Some(signal_response::Message::RefreshToken(fresh)) = next(&mut socket).await else {
        panic!("token expected")
    };
    assert_eq!(validate(&server, &fresh).await.0, 200);
}

#[tokio::test]
async fn who_hangs_up_gets_a_closing_handshake_and_no_broken_connection() {
    let server = server(Limits::default()).await;
    for leaves_first in [true, false] {
        let (mut socket, _) = join(&server, "ann", "hall").await;
        if leaves_first {
            let leave = signal_request::Message::Leave(proto::LeaveRequest::default());
            let request = SignalRequest {
                message: Some(leave),
            };
            socket
                .send(Ws::Binary(request.encode_to_vec().into()))
                .await
                .unwrap();
            // as LiveKit's clients do: they go on sending until they see the end
            for _ in 0..20 {
                let _ = socket.send(Ws::Ping(bytes::Bytes::new())).await;
            }
        } else {
            socket.close(None).await.unwrap();
        }
        let mut closed = false;
        while let Some(frame) = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap() {
            closed |= matches!(frame.unwrap(), Ws::Close(_));
        }
        assert!(closed, "leaves first: {leaves_first}");
    }
}

#[tokio::test]
async fn every_wrong_token_is_refused_with_its_status_before_the_upgrade() {
    let server = server(Limits::default()).await;
    let hour = Duration::from_secs(3600);
    let good = token("ann", "hall").to_jwt().unwrap();
    let (_, rest) = good.split_once('.').unwrap();
    let none = format!(
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.",
        rest.split_once('.').unwrap().0
    );
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    let expired = token("ann", "hall")
        .ttl(Duration::ZERO)
        .to_jwt_at(std::time::SystemTime::now() - hour)
        .unwrap();
    let wrong_key = AccessToken::new("nobody", "secret")
        .identity("ann")
        .grants(VideoGrants::join("hall"))
        .to_jwt()
        .unwrap();
    let wrong_secret = AccessToken::new("devkey", "x")
        .identity("ann")
        .grants(VideoGrants::join("hall"))
        .to_jwt()
        .unwrap();
    let no_join = token("ann", "hall")
        .grants(VideoGrants {
            room_join: false,
            ..VideoGrants::join("hall")
        })
        .to_jwt()
        .unwrap();
    let no_room = token("ann", "").to_jwt().unwrap();
    let no_identity = token("", "hall").to_jwt().unwrap();
    let long_room = token("ann", &"r".repeat(257)).to_jwt().unwrap();
    let cases = [
        ("alg none", none, 401),
        ("unsigned", unsigned, 401),
        ("expired", expired, 401),
        ("unknown key", wrong_key, 401),
        ("wrong secret", wrong_secret, 401),
        ("no roomJoin", no_join, 401),
        ("not a token", "x.y".to_owned(), 401),
        ("no room", no_room, 400),
        ("no identity", no_identity, 400),
        ("long room name", long_room, 400),
    ];
    for (name, jwt, status) in cases {
        assert_eq!(validate(&server, &jwt).await.0, status, "{name}");
        assert_eq!(
            socket(&server, "/rtc?protocol=17", &jwt).await.err(),
            Some(status),
            "{name}"
        );
    }
    assert_eq!(
        socket(&server, "/rtc?protocol=17&room=other", &good)
            .await
            .err(),
        Some(401),
        "wrong room"
    );
    assert_eq!(validate(&server, &good).await, (200, "success".to_owned()));
}

#[tokio::test]
async fn a_double_slash_and_another_origin_are_no_obstacle_and_health_says_ok() {
    let config = ServerConfig {
        origins: antiphon_server::Origins::Any,
        ..ServerConfig::dev().any_ports()
    };
    let server = Server::start(config, axum::Router::new()).await.unwrap();
    let jwt = token("ann", "hall").to_jwt().unwrap();
    let request = reqwest::Client::new()
        .get(http(&server, "//rtc//validate"))
        .header("origin", "https://a.example")
        .bearer_auth(jwt);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://a.example"
    );
    assert_eq!(
        reqwest::get(http(&server, "/"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "OK"
    );
}

#[tokio::test]
async fn malformed_and_oversized_signal_messages_close_that_connection_and_disturb_nobody_else() {
    let server = server(Limits::default()).await;
    let (mut other, _) = join(&server, "bob", "hall").await;
    for bad in [
        Ws::Binary(vec![0xff; 64].into()),
        Ws::Text("{not json".into()),
        Ws::Binary(vec![0; 3 * 1024 * 1024].into()),
    ] {
        let (mut socket, _) = join(&server, "ann", "hall").await;
        let _ = socket.send(bad).await;
        while next(&mut socket).await.is_some() {}
    }
    let ping = SignalRequest {
        message: Some(signal_request::Message::PingReq(proto::Ping {
            timestamp: 7,
            rtt: 0,
        })),
    };
    other
        .send(Ws::Binary(ping.encode_to_vec().into()))
        .await
        .unwrap();
    let pong = until(&mut other, |m| {
        if let signal_response::Message::PongResp(p) = m {
            Some(p)
        } else {
            None
        }
    })
    .await;
    assert_eq!(pong.last_ping_timestamp, 7);
}

#[tokio::test]
async fn a_resume_that_is_not_known_is_told_to_join_anew() {
    let server = server(Limits::default()).await;
    let jwt = token("ann", "hall").to_jwt().unwrap();
    let mut socket = socket(&server, "/rtc?protocol=17&reconnect=1&sid=PA_unknown", &jwt)
        .await
        .unwrap();
    let Some(signal_response::Message::Leave(leave)) = next(&mut socket).await else {
        panic!("leave must be first")
    };
    assert_eq!(leave.action, proto::leave_request::Action::Reconnect as i32);
    assert_eq!(leave.reason, proto::DisconnectReason::StateMismatch as i32);
}

async fn twirp(
    server: &Running,
    grants: VideoGrants,
    method: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let jwt = AccessToken::new("devkey", "secret")
        .grants(grants)
        .to_jwt()
        .unwrap();
    let request = reqwest::Client::new()
        .post(http(server, &format!("/twirp/livekit.{method}")))
        .bearer_auth(jwt);
    let response = request
        .header("content-type", "application/json")
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

#[tokio::test]
async fn the_api_obeys_grants_and_names_its_errors_as_twirp_does() {
    let server = server(Limits::default()).await;
    let creator = VideoGrants {
        room_create: true,
        room_list: true,
        ..VideoGrants::default()
    };
    let admin = VideoGrants {
        room_admin: true,
        room: "hall".into(),
        ..VideoGrants::default()
    };
    let (status, room) = twirp(
        &server,
        creator.clone(),
        "RoomService/CreateRoom",
        r#"{"name":"hall","empty_timeout":9}"#,
    )
    .await;
    assert_eq!(
        (status, room["name"].as_str(), room["emptyTimeout"].as_u64()),
        (200, Some("hall"), Some(9))
    );
    let cases = [
        (
            VideoGrants::default(),
            "RoomService/ListRooms",
            "{}",
            401,
            "unauthenticated",
        ),
        (
            admin.clone(),
            "RoomService/CreateRoom",
            r#"{"name":"x"}"#,
            401,
            "unauthenticated",
        ),
        (
            admin.clone(),
            "RoomService/ListParticipants",
            r#"{"room":"other"}"#,
            401,
            "unauthenticated",
        ),
        (
            admin.clone(),
            "RoomService/GetParticipant",
            r#"{"room":"hall","identity":"x"}"#,
            404,
            "not_found",
        ),
        (
            admin.clone(),
            "RoomService/Nonsense",
            "{}",
            404,
            "bad_route",
        ),
        (
            admin.clone(),
            "RoomService/MoveParticipant",
            "{}",
            501,
            "unimplemented",
        ),
        (
            admin.clone(),
            "Egress/ListEgress",
            "{}",
            501,
            "unimplemented",
        ),
        (
            admin,
            "RoomService/ListParticipants",
            "{not json",
            400,
            "malformed",
        ),
    ];
    for (grants, method, body, status, code) in cases {
        let (got, error) = twirp(&server, grants, method, body).await;
        assert_eq!(
            (got, error["code"].as_str()),
            (status, Some(code)),
            "{method} {body}"
        );
    }
    assert_eq!(
        twirp(
            &server,
            creator,
            "RoomService/DeleteRoom",
            r#"{"room":"hall"}"#
        )
        .await
        .0,
        200
    );
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_room_in_which_nobody_is() {
    let server = server(Limits::default()).await;
    let creator = VideoGrants {
        room_create: true,
        ..VideoGrants::default()
    };
    let made = twirp(
        &server,
        creator,
        "RoomService/CreateRoom",
        r#"{"name":"hall","empty_timeout":300}"#,
    );
    assert_eq!(made.await.0, 200);
    assert_eq!(server.state().await.rooms, 1);
    assert!(server.drain(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_draining_server_says_so_and_makes_no_new_rooms_but_lets_open_ones_go_on() {
    let server = server(Limits::default()).await;
    let (_ann, _) = join(&server, "ann", "hall").await;
    assert!(!server.drain(Duration::from_millis(1)).await);
    assert!(server.state().await.draining);
    assert_eq!(
        reqwest::get(http(&server, "/")).await.unwrap().status(),
        503
    );
    let jwt = |room| token("bob", room).to_jwt().unwrap();
    assert_eq!(
        socket(&server, "/rtc?protocol=17", &jwt("new")).await.err(),
        Some(503)
    );
    // A call that goes on may need another agent.
    let grants = VideoGrants {
        agent: true,
        ..VideoGrants::default()
    };
    let worker = token("worker", "hall").grants(grants).to_jwt().unwrap();
    assert!(socket(&server, "/agent", &worker).await.is_ok());
    assert!(
        socket(&server, "/rtc?protocol=17", &jwt("hall"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn attributes_are_announced_to_the_others_at_once() {
    let server = server(Limits::default()).await;
    let (mut bob, _) = join(&server, "bob", "hall").await;
    let grants = VideoGrants {
        can_update_own_metadata: Some(true),
        ..VideoGrants::join("hall")
    };
    let mut ann = socket(
        &server,
        "/rtc?protocol=17",
        &token("ann", "hall").grants(grants).to_jwt().unwrap(),
    )
    .await
    .unwrap();
    let update = proto::UpdateParticipantMetadata {
        attributes: HashMap::from([("lk.agent.state".to_owned(), "listening".to_owned())]),
        request_id: 5,
        ..Default::default()
    };
    let request = SignalRequest {
        message: Some(signal_request::Message::UpdateMetadata(update)),
    };
    ann.send(Ws::Binary(request.encode_to_vec().into()))
        .await
        .unwrap();
    let seen = |m| match m {
        signal_response::Message::Update(u) => u
            .participants
            .into_iter()
            .find(|p| p.attributes.contains_key("lk.agent.state")),
        _ => None,
    };
    assert_eq!(until(&mut bob, seen).await.identity, "ann");
    let ok = until(&mut ann, |m| {
        if let signal_response::Message::RequestResponse(r) = m {
            Some(r)
        } else {
            None
        }
    })
    .await;
    assert_eq!((ok.request_id, ok.reason), (5, 0));
}
