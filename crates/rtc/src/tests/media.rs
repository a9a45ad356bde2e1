use super::*;
use crate::Forward;

/// A voice goes in, n packets of 20 ms.
fn speak(side: &Side, mid: &str, numbers: std::ops::Range<u64>) {
    for n in numbers {
        side.peer.send_opus(mid, packet(n), n * 960, n == 0, 20);
    }
}

#[tokio::test]
async fn a_voice_arrives_in_order_with_its_times() {
    let (server, client) = (engine(), engine());
    let (a, mut b, mids) = pair(
        Side::client(&client),
        Side::client(&server),
        vec![sending(MediaKind::Audio)],
    )
    .await;
    speak(&a, &mids[0], 0..100);
    let first = b.rtp().await;
    assert_eq!(number(&first.payload), Some(0));
    assert_eq!(&*first.mid, &*mids[0]);
    for n in 1..100 {
        let next = b.rtp().await;
        assert_eq!(number(&next.payload), Some(n));
        assert_eq!(next.sequence, first.sequence + n);
        assert_eq!(next.timestamp, first.timestamp + n * 960);
    }
}

#[tokio::test]
async fn levels_are_reported_while_speaking_and_while_silent() {
    let (server, client) = (engine(), engine());
    let (a, mut b, mids) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![sending(MediaKind::Audio)],
    )
    .await;
    speak(&a, &mids[0], 0..3);
    let levels = |event: &PeerEvent| match event {
        PeerEvent::AudioLevels(levels) => levels.first().cloned(),
        _ => None,
    };
    b.until(|event| levels(event).filter(|level| level.loudest == 20 && level.active > 0.5))
        .await;
    b.forget();
    b.until(|event| levels(event).filter(|level| level.loudest == 127 && level.active == 0.0))
        .await;
}

/// Speaker -> server -> listener.
struct Relay {
    speaker: Side,
    ingress: Side,
    egress: Side,
    listener: Side,
    from: String,
    to: String,
}

async fn relay(speaker_red: bool, listener_red: bool) -> Relay {
    let (server, client) = (engine(), engine());
    let red = |red| PeerConfig {
        red,
        ..PeerConfig::client("client")
    };
    let (speaker, ingress, from) = pair(
        Side::new(&client, red(speaker_red)),
        Side::server(&server),
        vec![sending(MediaKind::Audio)],
    )
    .await;
    let (egress, listener, to) = pair(
        Side::server(&server),
        Side::new(&client, red(listener_red)),
        vec![sending(MediaKind::Audio)],
    )
    .await;
    let (from, to) = (from[0].clone(), to[0].clone());
    ingress.peer.forward(Forward {
        from_mid: from.clone(),
        to: egress.peer.clone(),
        to_mid: to.clone(),
        highest_layer: Forward::ALL_LAYERS,
        redundant: true,
    });
    ingress.settled().await;
    Relay {
        speaker,
        ingress,
        egress,
        listener,
        from,
        to,
    }
}

#[tokio::test]
async fn a_voice_is_forwarded_continuously() {
    let mut relay = relay(true, true).await;
    speak(&relay.speaker, &relay.from, 0..50);
    let first = relay.listener.rtp().await;
    for n in 1..50 {
        let next = relay.listener.rtp().await;
        assert_eq!(number(&next.payload), Some(n));
        assert_eq!(next.sequence, first.sequence + n);
        assert_eq!(next.timestamp, first.timestamp + n * 960);
    }
}

#[tokio::test]
async fn muting_holds_the_voice_and_silence_follows() {
    let mut relay = relay(true, true).await;
    speak(&relay.speaker, &relay.from, 0..5);
    let mut last = relay.listener.rtp().await;
    for _ in 1..5 {
        last = relay.listener.rtp().await;
    }
    relay.ingress.peer.set_muted(&relay.from, true);
    relay.ingress.settled().await;
    for n in 1..=10 {
        let silent = relay.listener.rtp().await;
        assert_eq!(&silent.payload[..], &[0xf8, 0xff, 0xfe], "silent frame {n}");
        assert_eq!(silent.sequence, last.sequence + 1);
        last = silent;
    }
    // A report with a voice in it comes after those packets: then they are past the mute.
    relay.ingress.forget();
    speak(&relay.speaker, &relay.from, 5..10);
    let heard = |event: &PeerEvent| match event {
        PeerEvent::AudioLevels(levels) => levels
            .first()
            .filter(|level| level.loudest == 20)
            .map(|_| ()),
        _ => None,
    };
    relay.ingress.until(heard).await;
    relay.ingress.peer.set_muted(&relay.from, false);
    relay.ingress.settled().await;
    speak(&relay.speaker, &relay.from, 10..12);
    let next = relay.listener.rtp().await;
    assert!(
        number(&next.payload).is_some_and(|n| n >= 10),
        "what was said while muted is not heard"
    );
    assert_eq!(next.sequence, last.sequence + 1);
    assert!(next.timestamp > last.timestamp);
    assert!(next.marker, "a new talk spurt");
}

#[tokio::test]
async fn after_the_end_of_a_forward_there_is_silence_and_another_voice_may_follow() {
    let mut relay = relay(true, true).await;
    speak(&relay.speaker, &relay.from, 0..3);
    for _ in 0..3 {
        relay.listener.rtp().await;
    }
    relay
        .ingress
        .peer
        .stop_forward(&relay.from, &relay.egress.peer, &relay.to);
    let mut last = relay.listener.rtp().await;
    for _ in 1..10 {
        last = relay.listener.rtp().await;
        assert_eq!(&last.payload[..], &[0xf8, 0xff, 0xfe]);
    }
    relay.ingress.peer.forward(Forward {
        from_mid: relay.from.clone(),
        to: relay.egress.peer.clone(),
        to_mid: relay.to.clone(),
        highest_layer: Forward::ALL_LAYERS,
        redundant: true,
    });
    relay.ingress.settled().await;
    speak(&relay.speaker, &relay.from, 100..101);
    let next = relay.listener.rtp().await;
    assert_eq!(number(&next.payload), Some(100));
    assert_eq!(next.sequence, last.sequence + 1);
}

#[tokio::test]
async fn a_listener_that_leaves_does_not_disturb_the_speaker() {
    let mut relay = relay(true, true).await;
    speak(&relay.speaker, &relay.from, 0..1);
    relay.listener.rtp().await;
    relay.egress.peer.close();
    relay.listener.closed().await;
    relay.ingress.forget();
    speak(&relay.speaker, &relay.from, 1..5);
    let heard = |event: &PeerEvent| {
        matches!(event, PeerEvent::AudioLevels(l) if l[0].loudest == 20).then_some(())
    };
    relay.ingress.until(heard).await;
}

#[tokio::test]
async fn a_listener_without_red_hears_a_voice_sent_in_red() {
    let mut relay = relay(true, false).await;
    // The speaker wraps as browsers do: every packet carries the one before it. Packet 3 is never sent.
    for n in [0u64, 1, 2, 4, 5] {
        let mut red = vec![0x80 | 111, 0, 0, 0, 111];
        let (before, this) = (packet(n.saturating_sub(1)), packet(n));
        red[1..4].copy_from_slice(&[
            (960u32 >> 6) as u8,
            ((960u32 << 2) & 0xff) as u8,
            before.len() as u8,
        ]);
        red.extend_from_slice(&before);
        red.extend_from_slice(&this);
        relay.speaker.peer.send_red(&relay.from, red.into(), n);
    }
    let first = relay.listener.rtp().await;
    for n in 1..=5 {
        let next = relay.listener.rtp().await;
        assert_eq!(number(&next.payload), Some(n));
        assert_eq!(next.sequence, first.sequence + n);
        assert_eq!(next.timestamp, first.timestamp + n * 960);
    }
}

#[tokio::test]
async fn a_listener_with_red_gets_the_lost_packet_from_the_next_one() {
    let mut relay = relay(true, true).await;
    for n in [0u64, 1, 3] {
        let mut red = vec![0x80 | 111, 0, 0, 0, 111];
        let (before, this) = (packet(n.saturating_sub(1)), packet(n));
        red[1..4].copy_from_slice(&[
            (960u32 >> 6) as u8,
            ((960u32 << 2) & 0xff) as u8,
            before.len() as u8,
        ]);
        red.extend_from_slice(&before);
        red.extend_from_slice(&this);
        relay.speaker.peer.send_red(&relay.from, red.into(), n);
    }
    for n in 0..=3 {
        assert_eq!(number(&relay.listener.rtp().await.payload), Some(n));
    }
}

#[tokio::test]
async fn who_begins_to_hear_a_muted_track_hears_silence_and_so_learns_that_it_is_there() {
    let (server, client) = (engine(), engine());
    let (_speaker, ingress, from) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![sending(MediaKind::Audio)],
    )
    .await;
    ingress.peer.set_muted(&from[0], true);
    let egress = Side::server(&server);
    let mut listener = Side::client(&client);
    let to = negotiate(&egress, &listener, vec![sending(MediaKind::Audio)]).await;
    // Before the listener is connected, as the server does it.
    ingress.peer.forward(Forward {
        from_mid: from[0].clone(),
        to: egress.peer.clone(),
        to_mid: to[0].clone(),
        highest_layer: Forward::ALL_LAYERS,
        redundant: true,
    });
    assert_eq!(&*listener.rtp().await.payload, [0xf8, 0xff, 0xfe]);
}

#[tokio::test]
async fn who_begins_to_see_a_muted_picture_learns_that_it_is_there() {
    let (server, client) = (engine(), engine());
    let (_films, ingress, from) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![sending(MediaKind::Video)],
    )
    .await;
    ingress.peer.set_muted(&from[0], true);
    let counts = PeerConfig {
        statistics_interval: Some(Duration::from_millis(50)),
        ..PeerConfig::client("client")
    };
    let (egress, mut viewer) = (Side::server(&server), Side::new(&client, counts));
    let to = negotiate(&egress, &viewer, vec![sending(MediaKind::Video)]).await;
    ingress.peer.forward(Forward {
        from_mid: from[0].clone(),
        to: egress.peer.clone(),
        to_mid: to[0].clone(),
        highest_layer: Forward::ALL_LAYERS,
        redundant: true,
    });
    let came = |event: &PeerEvent| match event {
        PeerEvent::Statistics(all) => all.iter().find(|one| one.packets > 0).map(|_| ()),
        _ => None,
    };
    viewer.until(came).await;
}

#[tokio::test]
async fn another_track_in_the_same_section_comes_under_another_ssrc() {
    fn ssrc(sdp: &str) -> String {
        let line = sdp.lines().find_map(|line| line.strip_prefix("a=ssrc:"));
        line.unwrap().split(' ').next().unwrap().to_owned()
    }
    let mut relay = relay(true, true).await;
    speak(&relay.speaker, &relay.from, 0..3);
    relay.listener.rtp().await;
    let mut seen = Vec::new();
    for sending in [false, true, false] {
        let change = MediaChange::SetSending {
            mid: relay.to.clone(),
            sending,
        };
        let offer = relay.egress.peer.create_offer(vec![change]).await.unwrap();
        seen.push(ssrc(&offer.sdp));
        let answer = relay.listener.peer.accept_offer(offer.sdp).await.unwrap();
        relay.egress.peer.accept_answer(answer).await.unwrap();
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!(seen[1], seen[2]);
}
