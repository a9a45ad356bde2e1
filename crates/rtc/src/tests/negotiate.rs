use super::*;

#[tokio::test]
async fn renegotiation_adds_a_section() {
    let (a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    let mids = negotiate(&a, &b, vec![sending(MediaKind::Audio)]).await;
    assert_eq!(mids.len(), 1);
    assert_eq!(b.receiving().await, (mids[0].clone(), true));
    a.peer.send_opus(&mids[0], packet(1), 960, true, 20);
    let flowing = b
        .until(|event| match event {
            PeerEvent::MediaFlowing { mid } => Some(mid.to_string()),
            _ => None,
        })
        .await;
    assert_eq!(flowing, mids[0]);
}

#[tokio::test]
async fn stopping_and_resuming_a_section_is_told() {
    let (a, mut b, mids, _engines) = caller_and_server(vec![sending(MediaKind::Audio)]).await;
    assert_eq!(b.receiving().await, (mids[0].clone(), true));
    let set = |sending| {
        vec![MediaChange::SetSending {
            mid: mids[0].clone(),
            sending,
        }]
    };
    negotiate(&a, &b, set(false)).await;
    assert_eq!(b.receiving().await, (mids[0].clone(), false));
    negotiate(&a, &b, set(true)).await;
    assert_eq!(b.receiving().await, (mids[0].clone(), true));
    let unknown = a
        .peer
        .create_offer(vec![MediaChange::SetSending {
            mid: "none".to_owned(),
            sending: true,
        }])
        .await;
    assert!(matches!(unknown, Err(crate::RtcError::Unknown(_))));
}

#[tokio::test]
async fn an_offer_without_changes_renegotiates() {
    let (a, b, mids, _engines) = caller_and_server(vec![sending(MediaKind::Audio)]).await;
    let offer = a.peer.create_offer(vec![]).await.unwrap();
    assert!(offer.sdp.contains(&format!("a=mid:{}", mids[0])));
    assert!(offer.sdp.contains("a=sendonly"), "{}", offer.sdp);
    let answer = b.peer.accept_offer(offer.sdp).await.unwrap();
    a.peer.accept_answer(answer).await.unwrap();
}

#[tokio::test]
async fn a_further_channel_opens_without_negotiation() {
    let (a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    let offer = a.peer.create_offer(vec![channel("more")]).await.unwrap();
    assert_eq!(offer.sdp, "");
    b.channel("more").await;
}

#[tokio::test]
async fn an_answer_withdraws_our_own_offer() {
    let (a, b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    let ours = a
        .peer
        .create_offer(vec![sending(MediaKind::Audio)])
        .await
        .unwrap();
    let theirs = b
        .peer
        .create_offer(vec![sending(MediaKind::Audio)])
        .await
        .unwrap();
    let answer = a.peer.accept_offer(theirs.sdp).await.unwrap();
    b.peer.accept_answer(answer).await.unwrap();
    assert!(a.peer.accept_answer(ours.sdp).await.is_err());
}

#[tokio::test]
async fn what_is_offered_for_a_voice() {
    let client = engine();
    let a = Side::client(&client);
    let offer = a
        .peer
        .create_offer(vec![sending(MediaKind::Audio), channel("_reliable")])
        .await
        .unwrap()
        .sdp;
    assert!(offer.contains("opus/48000/2"), "{offer}");
    assert!(offer.contains("red/48000/2"), "{offer}");
    assert!(offer.contains("ssrc-audio-level"), "{offer}");
    assert!(offer.contains("a=candidate:"), "{offer}");
    assert!(offer.contains("a=rtcp-fb:111 nack"), "{offer}");
    assert!(
        !offer.contains("0.0.0.0 ") || !offer.contains("candidate:0.0.0.0"),
        "{offer}"
    );
    let plain = Side::new(
        &client,
        PeerConfig {
            red: false,
            ..PeerConfig::client("plain")
        },
    );
    let offer = plain
        .peer
        .create_offer(vec![sending(MediaKind::Audio)])
        .await
        .unwrap()
        .sdp;
    assert!(!offer.contains("red/48000"), "{offer}");
}

#[tokio::test]
async fn an_unknown_codec_is_rejected_and_the_rest_works() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b) = (Side::client(&client), Side::server(&server));
    let offer = a
        .peer
        .create_offer(vec![sending(MediaKind::Audio), sending(MediaKind::Video)])
        .await
        .unwrap();
    // A client whose only video codec is from the future.
    let mut video = false;
    let mut text = String::new();
    for line in offer.sdp.lines() {
        if line.starts_with("m=") {
            video = line.starts_with("m=video");
        }
        let codec = ["a=rtpmap", "a=fmtp", "a=rtcp-fb", "a=ssrc"]
            .iter()
            .any(|prefix| line.starts_with(prefix));
        if video && line.starts_with("m=") {
            text.push_str("m=video 9 UDP/TLS/RTP/SAVPF 101\r\n");
        } else if video && line.starts_with("a=mid") {
            text.push_str(line);
            text.push_str("\r\na=rtpmap:101 H299/90000\r\n");
        } else if !(video && codec) {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    let answer = b.peer.accept_offer(text).await.unwrap();
    assert!(answer.contains("m=video 0 UDP/TLS/RTP/SAVPF"), "{answer}");
    assert_eq!(b.receiving().await, (offer.mids[0].clone(), true));
    a.peer.accept_answer(answer).await.unwrap();
    a.connected().await;
    b.connected().await;
}

#[tokio::test]
async fn while_one_is_negotiated_the_others_go_on_and_it_misses_nothing() {
    let (server, client) = (engine(), engine());
    let (speaker, ingress, from) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![sending(MediaKind::Audio)],
    )
    .await;
    let mut hearing = Vec::new();
    for _ in 0..2 {
        let changes = vec![channel("_reliable"), sending(MediaKind::Audio)];
        let (mut egress, listener, to) =
            pair(Side::server(&server), Side::client(&client), changes).await;
        egress.channel("_reliable").await;
        ingress.peer.forward(crate::Forward {
            from_mid: from[0].clone(),
            to: egress.peer.clone(),
            to_mid: to[0].clone(),
            highest_layer: crate::Forward::ALL_LAYERS,
            redundant: true,
        });
        hearing.push((egress, listener));
    }
    ingress.settled().await;
    let (mut other_egress, mut other) = hearing.pop().unwrap();
    let (mut egress, mut listener) = hearing.pop().unwrap();
    let say = |n: u64| {
        speaker
            .peer
            .send_opus(&from[0], packet(n), n * 960, n == 1, 20)
    };
    say(1);
    assert_eq!(number(&listener.rtp().await.payload), Some(1));
    assert_eq!(number(&other.rtp().await.payload), Some(1));

    let borrowed = egress.peer.borrow().await.unwrap();
    for n in 2..=4 {
        say(n);
        assert_eq!(
            number(&other.rtp().await.payload),
            Some(n),
            "the others hear on"
        );
    }
    egress
        .peer
        .send_data("_reliable", Bytes::from_static(b"down"));
    listener
        .peer
        .send_data("_reliable", Bytes::from_static(b"up"));
    other
        .peer
        .send_data("_reliable", Bytes::from_static(b"too"));
    assert_eq!(other_egress.data().await, "too");
    egress.peer.give_back(borrowed);

    for n in 2..=4 {
        assert_eq!(
            number(&listener.rtp().await.payload),
            Some(n),
            "it hears what came"
        );
    }
    assert_eq!(listener.data().await, "down");
    assert_eq!(egress.data().await, "up");
}

#[tokio::test]
async fn who_hangs_up_during_a_negotiation_is_gone_after_it() {
    let (server, client) = (engine(), engine());
    let (mut a, b, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    let borrowed = b.peer.borrow().await.unwrap();
    b.peer.close();
    assert_eq!(server.peers(), 1);
    b.peer.give_back(borrowed);
    a.closed().await;
}

#[tokio::test]
async fn many_restarts_of_ice_leave_few_user_names_and_take_new_candidates() {
    let (a, mut b, _, _engines) = caller_and_server(vec![channel("_reliable")]).await;
    for _ in 0..8 {
        for port in 1..=100 {
            let text = format!("candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host");
            b.peer.add_remote_candidate(text);
        }
        negotiate(&a, &b, vec![MediaChange::RestartIce]).await;
    }
    let borrowed = b.peer.borrow().await.unwrap();
    let (names, candidates) = (borrowed.ufrags.len(), borrowed.negotiation.candidates());
    b.peer.give_back(borrowed);
    assert_eq!((names, candidates), (crate::limits::MAX_UFRAGS, 0));
    a.peer.send_data("_reliable", Bytes::from_static(b"still"));
    assert_eq!(b.data().await, "still");
}

#[tokio::test]
async fn hundreds_of_sections_in_one_offer_have_different_names() {
    let server = engine();
    for _ in 0..8 {
        let a = Side::server(&server);
        let many = vec![sending(MediaKind::Audio); 500];
        let offer = a.peer.create_offer(many).await.unwrap();
        let names: std::collections::HashSet<_> = offer.mids.iter().collect();
        assert_eq!(names.len(), 500);
    }
}
