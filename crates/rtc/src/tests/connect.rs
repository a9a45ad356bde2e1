use super::*;

#[tokio::test]
async fn two_peers_connect_and_talk_over_a_channel() {
    let (mut a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    talk(&mut a, &mut b).await;
}

#[tokio::test]
async fn a_server_offers_and_many_clients_share_its_socket() {
    let (server, client) = (engine(), engine());
    let mut pairs = Vec::new();
    for _ in 0..20 {
        let changes = vec![
            channel("_reliable"),
            channel("_lossy"),
            channel("_data_track"),
        ];
        pairs.push(pair(Side::server(&server), Side::client(&client), changes).await);
    }
    for (index, (a, b, _)) in pairs.iter_mut().enumerate() {
        a.channel("_lossy").await;
        b.channel("_lossy").await;
        a.peer.send_data("_lossy", Bytes::from(index.to_string()));
        assert_eq!(b.data().await, index.to_string());
    }
    assert_eq!(server.peers(), 20);
}

#[tokio::test]
async fn an_ice_lite_server_connects() {
    let (server, client) = (engine(), engine());
    let lite = Side::new(
        &server,
        PeerConfig {
            ice_lite: true,
            ..PeerConfig::server("lite")
        },
    );
    let (mut a, _b, _) = pair(Side::client(&client), lite, vec![channel("_reliable")]).await;
    a.channel("_reliable").await;
}

#[tokio::test]
async fn trickled_candidates_connect_too() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b) = (Side::client(&client), Side::server(&server));
    let offer = a
        .peer
        .create_offer(vec![channel("_reliable")])
        .await
        .unwrap();
    let split = |sdp: &str| -> (String, Vec<String>) {
        let (candidates, rest): (Vec<&str>, Vec<&str>) = sdp
            .lines()
            .partition(|line| line.starts_with("a=candidate"));
        (
            rest.join("\r\n") + "\r\n",
            candidates
                .iter()
                .map(|c| c.trim_start_matches("a=").to_owned())
                .collect(),
        )
    };
    let (offer, ours) = split(&offer.sdp);
    assert!(!ours.is_empty());
    let answer = b.peer.accept_offer(offer).await.unwrap();
    let (answer, theirs) = split(&answer);
    a.peer.accept_answer(answer).await.unwrap();
    for candidate in theirs {
        a.peer.add_remote_candidate(candidate);
    }
    for candidate in ours
        .into_iter()
        .chain(["rubbish".to_owned(), String::new()])
    {
        b.peer.add_remote_candidate(candidate);
    }
    a.connected().await;
    b.connected().await;
}

#[tokio::test]
async fn closing_one_side_closes_the_other() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    a.peer.close();
    a.closed().await;
    b.closed().await;
    assert_eq!((server.peers(), client.peers()), (0, 0));
    assert!(matches!(
        b.peer.accept_offer("v=0".to_owned()).await,
        Err(crate::RtcError::Closed)
    ));
}

#[tokio::test]
async fn dropping_the_handle_closes_the_peer() {
    let (a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    let clone = a.peer.clone();
    drop(a.peer);
    b.peer
        .send_data("_reliable", Bytes::from_static(b"still there"));
    drop(clone);
    b.closed().await;
}

#[tokio::test]
async fn a_full_engine_refuses_and_recovers() {
    let engine = engine_with(1);
    let mut first = Side::server(&engine);
    let (sender, _events) = mpsc::channel(8);
    let refused = engine.peer(
        engine.least_loaded_shard(),
        PeerConfig::server("second"),
        sender.clone(),
    );
    assert!(matches!(refused, Err(crate::RtcError::Full { limit: 1 })));
    first.peer.close();
    first.closed().await;
    engine
        .peer(
            engine.least_loaded_shard(),
            PeerConfig::server("third"),
            sender,
        )
        .unwrap();
}

#[tokio::test]
async fn a_restart_of_ice_keeps_the_connection() {
    let (mut a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    a.channel("_reliable").await;
    let before = a
        .peer
        .create_offer(vec![MediaChange::RestartIce])
        .await
        .unwrap();
    let ufrag = |sdp: &str| {
        sdp.lines()
            .find(|l| l.starts_with("a=ice-ufrag"))
            .map(str::to_owned)
    };
    let answer = b.peer.accept_offer(before.sdp.clone()).await.unwrap();
    a.peer.accept_answer(answer.clone()).await.unwrap();
    assert_ne!(ufrag(&before.sdp), ufrag(&answer));
    a.peer.send_data("_reliable", Bytes::from_static(b"after"));
    assert_eq!(b.data().await, "after");
    // And once more from the other side.
    negotiate(&b, &a, vec![MediaChange::RestartIce]).await;
    b.peer.send_data("_reliable", Bytes::from_static(b"again"));
    assert_eq!(a.data().await, "again");
}

#[tokio::test]
async fn a_host_with_many_interfaces_connects_by_the_one_that_works() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b) = (Side::client(&client), Side::server(&server));
    let offer = a
        .peer
        .create_offer(vec![channel("_reliable")])
        .await
        .unwrap();
    // Forty that lead nowhere, and the one that works is not named: its checks show it.
    let mut text = String::new();
    for line in offer
        .sdp
        .lines()
        .filter(|line| !line.starts_with("a=candidate:"))
    {
        text.push_str(line);
        text.push_str("\r\n");
        if line.starts_with("a=mid:") {
            for port in 1..=40 {
                text.push_str(&format!(
                    "a=candidate:{port} 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"
                ));
            }
        }
    }
    let answer = b.peer.accept_offer(text).await.unwrap();
    // All of them were tried before the client knows where to send.
    for port in 41..=60 {
        let more = format!("candidate:{port} 1 udp 2130706431 127.0.0.1 {port} typ host");
        b.peer.add_remote_candidate(more);
    }
    b.until_addresses(crate::limits::MAX_PEER_ADDRESSES).await;
    a.peer.accept_answer(answer).await.unwrap();
    a.connected().await;
    b.connected().await;
    a.channel("_reliable").await;
    a.peer.send_data("_reliable", Bytes::from_static(b"here"));
    assert_eq!(b.data().await, "here");
}
