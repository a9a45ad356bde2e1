//! Who asks too often.

use super::*;

#[tokio::test]
async fn an_address_that_joins_too_often_gets_429_with_retry_after() {
    let server = server(Limits {
        joins_per_second: 1,
        joins_burst: 2,
        ..Limits::default()
    })
    .await;
    let jwt = token("ann", "hall").to_jwt().unwrap();
    let mut last = None;
    for _ in 0..5 {
        last = Some(
            reqwest::Client::new()
                .get(http(&server, "/rtc/validate"))
                .bearer_auth(&jwt)
                .send()
                .await
                .unwrap(),
        );
    }
    let last = last.unwrap();
    assert_eq!(last.status(), 429);
    assert!(
        last.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
}

#[tokio::test]
async fn an_agent_host_beside_busy_strangers_and_callers_registers_and_joins_all_the_same() {
    let server = server(Limits {
        joins_per_second: 1,
        joins_burst: 1,
        key_per_second: 1,
        key_burst: 10,
        ..Limits::default()
    })
    .await;
    // Strangers at the same address, without any token, spend the address's budget.
    for _ in 0..3 {
        let path = http(&server, "/rtc/validate");
        reqwest::Client::new().get(path).send().await.unwrap();
    }
    // Callers with the same API key spend the key's budget.
    let mut refused = None;
    for n in 0..15 {
        let caller = token(&format!("caller-{n}"), "hall").to_jwt().unwrap();
        refused = socket(&server, "/rtc?protocol=17", &caller).await.err();
    }
    assert_eq!(refused, Some(429));
    let grants = VideoGrants {
        agent: true,
        ..VideoGrants::default()
    };
    let worker = AccessToken::new("devkey", "secret").grants(grants);
    let worker = worker.to_jwt().unwrap();
    for n in 0..5 {
        assert!(socket(&server, "/agent", &worker).await.is_ok());
        let agent = token(&format!("agent-{n}"), "hall")
            .kind(antiphon_protocol::ParticipantKind::Agent)
            .to_jwt()
            .unwrap();
        assert!(socket(&server, "/rtc?protocol=17", &agent).await.is_ok());
    }
}

#[tokio::test]
async fn who_calls_the_api_too_often_gets_a_twirp_error_with_retry_after() {
    let by_address = Limits {
        api_per_second: 1,
        api_burst: 2,
        ..Limits::default()
    };
    let by_key = Limits {
        key_per_second: 1,
        key_burst: 2,
        ..Limits::default()
    };
    // Without a valid token the address is limited, with one the key.
    for (limits, valid) in [(by_address, false), (by_key, true)] {
        let server = server(limits).await;
        let grants = VideoGrants {
            room_list: true,
            ..VideoGrants::default()
        };
        let secret = if valid { "secret" } else { "wrong" };
        let jwt = AccessToken::new("devkey", secret)
            .grants(grants)
            .to_jwt()
            .unwrap();
        let first = if valid { 200 } else { 401 };
        let client = reqwest::Client::new();
        let call = || {
            client
                .post(http(&server, "/twirp/livekit.RoomService/ListRooms"))
                .bearer_auth(&jwt)
                .header("content-type", "application/json")
                .body("{}")
                .send()
        };
        assert_eq!(call().await.unwrap().status(), first);
        assert_eq!(call().await.unwrap().status(), first);
        let refused = call().await.unwrap();
        assert_eq!(refused.status(), 429);
        assert_ne!(refused.headers()["retry-after"], "0");
        let error: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(error["code"], "resource_exhausted");
    }
}

#[tokio::test]
async fn strangers_use_up_nobody_elses_joins() {
    let server = server(Limits {
        joins_per_second: 1,
        joins_burst: 2,
        api_per_second: 1,
        api_burst: 2,
        ..Limits::default()
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(validate(&server, "x.y.z").await.0);
    }
    assert_eq!(statuses, [401, 401, 429, 429, 429]);
    // From the same address: a caller, another one, and an agent worker.
    for name in ["ann", "bob"] {
        let jwt = token(name, "hall").to_jwt().unwrap();
        assert_eq!(validate(&server, &jwt).await.0, 200);
        join(&server, name, "hall").await;
    }
    let grants = VideoGrants {
        agent: true,
        ..VideoGrants::default()
    };
    let worker = AccessToken::new("devkey", "secret").grants(grants);
    for _ in 0..4 {
        assert!(
            socket(&server, "/agent", &worker.clone().to_jwt().unwrap())
                .await
                .is_ok()
        );
    }
}

/// Write this, then read until the server closes or has said enough.
async fn raw(server: &Running, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server.local_addr())
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer));
    let count = read.await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test]
async fn who_shows_no_token_is_answered_before_its_body_is_read() {
    let server = server(Limits::default()).await;
    let answer = raw(
        &server,
        "POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: 2000000\r\n\r\n{",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_body_longer_than_any_request_is_refused() {
    let server = server(Limits::default()).await;
    let grants = VideoGrants {
        room_list: true,
        ..VideoGrants::default()
    };
    let long = " ".repeat(2 * 1024 * 1024 + 1);
    let (status, error) = twirp(&server, grants, "RoomService/ListRooms", &long).await;
    assert_eq!(
        (status, error["code"].as_str()),
        (413, Some("out_of_range"))
    );
}

#[tokio::test]
async fn a_signal_connection_counts_as_long_as_it_is_open() {
    let server = server(Limits {
        max_connections_per_address: 3,
        ..Limits::default()
    })
    .await;
    let mut open = Vec::new();
    for name in ["a", "b", "c"] {
        open.push(join(&server, name, "hall").await);
    }
    let full = raw(&server, "").await;
    assert!(
        full.starts_with("HTTP/1.1 503") && full.contains("retry-after"),
        "{full}"
    );
    let (mut socket, _) = open.pop().unwrap();
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    // The server has read our close frame; its task ends just after.
    loop {
        if raw(&server, "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
        {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_with_as_much_metadata_as_livekit_allows_joins() {
    let server = server(Limits::default()).await;
    let metadata = r#"{"a":"b"}"#.repeat(512 * 1024 / 9);
    let jwt = token("ann", "hall")
        .metadata(metadata.clone())
        .to_jwt()
        .unwrap();
    assert!(jwt.len() > 700_000);
    let mut socket = socket(&server, "/rtc?protocol=17", &jwt).await.unwrap();
    let Some(signal_response::Message::Join(join)) = next(&mut socket).await else {
        panic!("join must be the first message")
    };
    assert_eq!(join.participant.unwrap().metadata, metadata);
    let longer = token("ann", "hall")
        .metadata("x".repeat(900_000))
        .to_jwt()
        .unwrap();
    let refused = validate(&server, &longer).await;
    assert!(refused.0 == 401 || refused.0 == 431, "{refused:?}");
    assert!(!refused.1.contains("not a JWT"), "{refused:?}");
}

#[tokio::test]
async fn a_client_with_hundreds_of_candidates_and_questions_stays_connected() {
    let server = server(Limits::default()).await;
    let (mut socket, _) = join(&server, "ann", "hall").await;
    let message = |message| {
        let request = SignalRequest {
            message: Some(message),
        };
        Ws::Binary(request.encode_to_vec().into())
    };
    for n in 0..1_500 {
        let trickle = proto::TrickleRequest {
            candidate_init: format!(
                r#"{{"candidate":"candidate:1 1 udp 1 10.0.0.1 {n} typ host","sdpMid":"0"}}"#
            ),
            target: 1,
            ..Default::default()
        };
        socket
            .feed(message(signal_request::Message::Trickle(trickle)))
            .await
            .unwrap();
    }
    for timestamp in 1..=450 {
        let ping = proto::Ping { timestamp, rtt: 0 };
        socket
            .feed(message(signal_request::Message::PingReq(ping)))
            .await
            .unwrap();
    }
    socket.flush().await.unwrap();
    until(&mut socket, |m| match m {
        signal_response::Message::PongResp(p) if p.last_ping_timestamp == 450 => Some(()),
        _ => None,
    })
    .await;
}
