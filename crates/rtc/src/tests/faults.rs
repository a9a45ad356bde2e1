use std::net::UdpSocket;

use super::*;
use crate::command::Command;

#[tokio::test]
async fn rubbish_at_the_media_port_disturbs_nobody() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    a.channel("_reliable").await;
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = server.udp_addresses()[0];
    for round in 0..3_000u32 {
        let length = rand::random_range(0..1_400usize);
        let mut bytes: Vec<u8> = (0..length).map(|_| rand::random()).collect();
        match round % 4 {
            // Like STUN: the right header, a broken body.
            0 => {
                let body = (bytes.len() & !3) as u16;
                bytes.truncate(usize::from(body));
                let mut stun = vec![0, 1];
                stun.extend_from_slice(&body.to_be_bytes());
                stun.extend_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
                stun.extend_from_slice(&[7; 12]);
                stun.extend_from_slice(&bytes);
                bytes = stun;
            }
            1 => bytes.splice(0..0, [22, 254, 253]).for_each(drop),
            2 => bytes.splice(0..0, [0x80, 111]).for_each(drop),
            _ => {}
        }
        stranger.send_to(&bytes, target).unwrap();
        if round % 100 == 0 {
            a.peer
                .send_data("_reliable", Bytes::from(round.to_string()));
            assert_eq!(b.data().await, round.to_string());
        }
    }
    assert_eq!(server.peers(), 1);
}

#[tokio::test]
async fn rubbish_from_the_callers_own_address_does_not_end_the_call() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    a.channel("_reliable").await;
    // From the server's port to the server's port: known to nobody, but read by the same thread.
    for first in 0..=255u8 {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger
            .send_to(&[first; 40], server.udp_addresses()[0])
            .unwrap();
    }
    a.peer.send_data("_reliable", Bytes::from_static(b"fine"));
    assert_eq!(b.data().await, "fine");
}

#[tokio::test]
async fn a_panic_ends_one_peer_and_no_other() {
    let (server, client) = (engine(), engine());
    let (mut a, mut b, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    let (mut c, mut d, _) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![channel("_reliable")],
    )
    .await;
    c.channel("_reliable").await;
    b.peer.inner.shard.send(Command::Panic {
        id: b.peer.inner.id,
    });
    assert_eq!(b.closed().await, "an internal error");
    c.peer.send_data("_reliable", Bytes::from_static(b"alive"));
    assert_eq!(d.data().await, "alive");
    assert_eq!(server.peers(), 1);
    a.peer.close();
    a.closed().await;
}

#[tokio::test]
async fn descriptions_that_are_none_are_refused_and_harm_nothing() {
    let (server, client) = (engine(), engine());
    let mut b = Side::server(&server);
    for text in [
        "",
        "v=0",
        "rubbish",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
    ] {
        assert!(
            b.peer.accept_offer(text.to_owned()).await.is_err(),
            "{text:?}"
        );
        assert!(
            b.peer.accept_answer(text.to_owned()).await.is_err(),
            "{text:?}"
        );
    }
    let mut a = Side::client(&client);
    // A refused offer may leave the peer unusable, but it says so.
    let offer = a
        .peer
        .create_offer(vec![channel("_reliable")])
        .await
        .unwrap();
    assert!(matches!(
        a.peer.create_offer(vec![]).await,
        Err(crate::RtcError::OfferPending)
    ));
    let mut fresh = Side::server(&server);
    let answer = fresh.peer.accept_offer(offer.sdp).await.unwrap();
    a.peer.accept_answer(answer).await.unwrap();
    a.connected().await;
    fresh.connected().await;
    b.peer.close();
    b.closed().await;
}

#[tokio::test]
async fn a_reader_that_never_reads_ends_its_peer() {
    let (server, client) = (engine(), engine());
    let (sender, events) = mpsc::channel(2);
    let peer = server
        .peer(
            server.least_loaded_shard(),
            PeerConfig::server("slow"),
            sender,
        )
        .unwrap();
    let slow = Side {
        peer,
        events,
        seen: Vec::new(),
    };
    let mut a = Side::client(&client);
    negotiate(&a, &slow, vec![channel("_reliable")]).await;
    a.connected().await;
    a.channel("_reliable").await;
    for _ in 0..5_000 {
        a.peer.send_data("_reliable", Bytes::from_static(b"unread"));
    }
    a.closed().await;
}
