//! What one client does is paid by that client.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;

fn worker_token() -> String {
    let grants = VideoGrants {
        agent: true,
        ..VideoGrants::default()
    };
    AccessToken::new("devkey", "secret")
        .grants(grants)
        .to_jwt()
        .unwrap()
}

/// A small budget of the key; a participant has a smaller one.
fn tight() -> Limits {
    Limits {
        joins_per_second: 1,
        joins_burst: 3,
        key_per_second: 1,
        key_burst: 10,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_caller_who_knocks_at_the_door_of_workers_does_not_keep_them_out() {
    let server = server(tight()).await;
    let caller = token("mallory", "hall").to_jwt().unwrap();
    for _ in 0..30 {
        let refused = socket(&server, "/agent", &caller).await.err();
        assert!(matches!(refused, Some(401 | 429)), "{refused:?}");
    }
    assert!(socket(&server, "/agent", &worker_token()).await.is_ok());
}

#[tokio::test]
async fn one_participant_cannot_spend_what_its_key_has_for_all() {
    let server = server(tight()).await;
    let mallory = token("mallory", "hall").to_jwt().unwrap();
    for _ in 0..30 {
        validate(&server, &mallory).await;
    }
    let list = VideoGrants {
        room_list: true,
        ..VideoGrants::default()
    };
    let backend = twirp(&server, list, "RoomService/ListRooms", "{}").await;
    assert_eq!(backend.0, 200, "{backend:?}");
    // The same at the API, which a participant's token may call too.
    for _ in 0..30 {
        let call = reqwest::Client::new()
            .post(http(&server, "/twirp/livekit.RoomService/ListRooms"))
            .bearer_auth(&mallory)
            .header("content-type", "application/json")
            .body("{}");
        call.send().await.unwrap();
    }
    let ann = token("ann", "hall").to_jwt().unwrap();
    assert_eq!(validate(&server, &ann).await.0, 200);
}

#[tokio::test]
async fn an_agent_that_joins_in_a_loop_does_not_spend_what_workers_have() {
    let server = server(tight()).await;
    let looping = token("agent-1", "hall").kind(antiphon_protocol::ParticipantKind::Agent);
    let looping = looping.to_jwt().unwrap();
    for _ in 0..30 {
        validate(&server, &looping).await;
    }
    assert!(socket(&server, "/agent", &worker_token()).await.is_ok());
}

/// From another address of this machine.
async fn from(last: u8, server: &Running) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.connect(server.local_addr()).await.unwrap()
}

/// All that comes until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    let _ = read.await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_strangers_with_large_heads_keep_no_caller_with_a_large_token_out() {
    let server = server(Limits::default()).await;
    let head = format!(
        "GET /rtc HTTP/1.1\r\nhost: a\r\nx-pad: {}",
        "a".repeat(17_000)
    );
    let mut slow = Vec::new();
    for last in 2..10 {
        for _ in 0..8 {
            let mut stream = from(last, &server).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    // A ninth of one of these addresses, and callers of another: all are served, whoever was first has to go.
    let mut ninth = from(2, &server).await;
    ninth.write_all(head.as_bytes()).await.unwrap();
    let told = rest(slow.first_mut().unwrap()).await;
    assert!(
        told.starts_with("HTTP/1.1 503") && told.to_ascii_lowercase().contains("retry-after"),
        "{told}"
    );
    for name in ["ann", "bob", "cid"] {
        let large = token(name, "hall").metadata("x".repeat(40_000));
        assert_eq!(validate(&server, &large.to_jwt().unwrap()).await.0, 200);
    }
}

#[tokio::test]
async fn a_token_too_long_for_a_query_is_answered_with_what_to_do() {
    let server = server(Limits::default()).await;
    let jwt = token("ann", "hall").metadata("x".repeat(60_000));
    let jwt = jwt.to_jwt().unwrap();
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let head = format!("GET /rtc/validate?access_token={jwt} HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
    assert!(answer.contains("Authorization"), "{answer}");
}

#[tokio::test]
async fn a_name_that_somebody_points_at_this_machine_reads_nothing_of_a_server_with_the_public_key()
{
    let extra = axum::Router::new().route("/metrics", axum::routing::get(async || "numbers"));
    let mut config = ServerConfig::dev().any_ports();
    config.origins = Origins::ThisMachine {
        also: vec!["https://app.example".to_owned()],
    };
    let server = Server::start(config, extra).await.unwrap();
    let get = async |path: &str, host: &str| {
        let request = reqwest::Client::new().get(http(&server, path));
        let answer = request.header("host", host).send().await.unwrap();
        answer.status().as_u16()
    };
    for path in ["/", "/metrics", "/rtc/validate", "/nothing"] {
        for host in [
            "evil.example",
            "evil.example:7880",
            "localhost.evil.example",
        ] {
            assert_eq!(get(path, host).await, 403, "{path} {host}");
        }
    }
    let own = server.local_addr().to_string();
    for host in [
        "localhost:7880",
        "app.example",
        "antiphon:7880",
        "[::1]:7880",
        &own,
    ] {
        assert_eq!(get("/metrics", host).await, 200, "{host}");
    }
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own_share_of_connections() {
    let config = ServerConfig {
        limits: Limits {
            max_connections_per_address: 2,
            ..Limits::default()
        },
        trusted_proxies: ["127.0.0.0/8".parse().unwrap()].into_iter().collect(),
        ..ServerConfig::dev().any_ports()
    };
    let server = Server::start(config, axum::Router::new()).await.unwrap();
    let join = async |name: &str, client: &str| {
        let mut request = format!("{}/rtc?protocol=17", server.url())
            .into_client_request()
            .unwrap();
        let jwt = token(name, "hall").to_jwt().unwrap();
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {jwt}").parse().unwrap());
        headers.insert("x-forwarded-for", client.parse().unwrap());
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                Err(answer.status().as_u16())
            }
            Err(other) => panic!("{other}"),
        }
    };
    let first = join("a", "9.9.9.9").await.unwrap();
    let _second = join("b", "9.9.9.9").await.unwrap();
    assert_eq!(join("c", "9.9.9.9").await.err(), Some(503));
    let _other = join("d", "8.8.8.8").await.unwrap();
    drop(first);
    while join("e", "9.9.9.9").await.is_err() {
        tokio::task::yield_now().await;
    }
}
