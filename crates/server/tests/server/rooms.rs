use super::*;

async fn change_attribute(socket: &mut Socket, value: &str) {
    let update = proto::UpdateParticipantMetadata {
        attributes: HashMap::from([("mood".to_owned(), value.to_owned())]),
        ..Default::default()
    };
    let request = SignalRequest {
        message: Some(signal_request::Message::UpdateMetadata(update)),
    };
    socket
        .send(Ws::Binary(request.encode_to_vec().into()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_changed_attribute_does_not_send_the_rooms_metadata_to_everybody_again() {
    let server = server(Limits::default()).await;
    let jwt = token("bob", "hall")
        .grants(VideoGrants {
            can_update_own_metadata: Some(true),
            ..VideoGrants::join("hall")
        })
        .to_jwt()
        .unwrap();
    let (mut ann, _) = join(&server, "ann", "hall").await;
    let mut bob = socket(&server, "/rtc?protocol=17&sdk=rust", &jwt)
        .await
        .unwrap();
    // Two are in the room now: that is told once.
    until(&mut ann, |message| match message {
        signal_response::Message::RoomUpdate(update) => {
            update.room.filter(|room| room.num_participants == 2)
        }
        _ => None,
    })
    .await;
    for value in ["1", "2", "3"] {
        change_attribute(&mut bob, value).await;
        // So that the room looks at its clocks in between; were that not enough, the test would see less, never fail.
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    let (_carol, _) = join(&server, "carol", "hall").await;
    let mut told = Vec::new();
    let three = |message: &signal_response::Message| {
        matches!(message, signal_response::Message::RoomUpdate(update)
            if update.room.as_ref().is_some_and(|room| room.num_participants == 3))
    };
    loop {
        let message = next(&mut ann).await.unwrap();
        let last = three(&message);
        if let signal_response::Message::RoomUpdate(update) = message {
            told.push(update.room.unwrap().num_participants);
        }
        if last {
            break;
        }
    }
    assert_eq!(told, [3]);
}

#[tokio::test]
async fn a_page_of_another_origin_can_use_neither_signalling_nor_apis_with_the_public_key() {
    let server = server(Limits::default()).await;
    let jwt = token("ann", "hall").to_jwt().unwrap();
    for (origin, status) in [
        ("https://evil.example", Some(403)),
        ("null", Some(403)),
        ("http://localhost:3000", None),
    ] {
        for path in ["/rtc?protocol=17", "/agent"] {
            let mut request = format!("{}{path}", server.url())
                .into_client_request()
                .unwrap();
            let headers = request.headers_mut();
            headers.insert("authorization", format!("Bearer {jwt}").parse().unwrap());
            headers.insert("origin", origin.parse().unwrap());
            let refused = match tokio_tungstenite::connect_async(request).await {
                Ok(_) => None,
                Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                    Some(response.status().as_u16())
                }
                Err(other) => panic!("{other}"),
            };
            match status {
                Some(status) => assert_eq!(refused, Some(status), "{origin} {path}"),
                None => assert_ne!(refused, Some(403), "{origin} {path}"),
            }
        }
        let response = reqwest::Client::new()
            .post(http(&server, "/twirp/livekit.RoomService/ListRooms"))
            .header("origin", origin)
            .header("content-type", "application/json")
            .body("{}")
            .send()
            .await
            .unwrap();
        let forbidden = response.status().as_u16() == 403
            && response
                .headers()
                .get("content-type")
                .is_none_or(|kind| kind != "application/json");
        assert_eq!(forbidden, status.is_some(), "{origin}");
    }
}

#[tokio::test]
async fn a_browser_may_send_its_token_to_the_api_from_a_page_that_is_allowed() {
    let config = ServerConfig {
        origins: antiphon_server::Origins::Any,
        ..ServerConfig::dev().any_ports()
    };
    let server = Server::start(config, axum::Router::new()).await.unwrap();
    let response = reqwest::Client::new()
        .request(
            reqwest::Method::OPTIONS,
            http(&server, "/twirp/livekit.RoomService/ListRooms"),
        )
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
        .await
        .unwrap();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(header("access-control-allow-origin"), "https://app.example");
    assert!(header("access-control-allow-headers").contains("authorization"));
}

#[tokio::test]
async fn who_asks_in_a_test_to_do_without_udp_and_tcp_is_sent_to_the_relay_when_it_comes_back() {
    use antiphon_protocol::proto::{
        CandidateProtocol, ClientConfigSetting, SimulateScenario, simulate_scenario::Scenario,
    };
    let server = server(Limits::default()).await;
    let is_relayed = |join: &proto::JoinResponse| {
        let configuration = join.client_configuration.as_ref();
        configuration.is_some_and(|c| c.force_relay() == ClientConfigSetting::Enabled)
    };
    let (mut ann, joined) = join(&server, "ann", "hall").await;
    assert!(!is_relayed(&joined));
    let scenario = Scenario::SwitchCandidateProtocol(CandidateProtocol::Tls as i32);
    let simulate = signal_request::Message::Simulate(SimulateScenario {
        scenario: Some(scenario),
    });
    media::send(&mut ann, simulate).await;
    let ping = signal_request::Message::PingReq(proto::Ping::default());
    media::send(&mut ann, ping).await;
    until(&mut ann, |m| {
        matches!(m, signal_response::Message::PongResp(_)).then_some(())
    })
    .await;
    assert!(is_relayed(&join(&server, "ann", "hall").await.1));
    assert!(!is_relayed(&join(&server, "bob", "hall").await.1));
}
