//! Voices over a network that loses packets: the client speaks UDP with a socket of the test, which passes everything on but what
//! is to be lost.

use tokio::net::UdpSocket;

use super::paths::with_candidate;
use super::*;
use crate::{Forward, Via};

/// Which voice packets are lost on the way from and to the client, counted from 0; those sent again count on.
#[derive(Clone, Copy, Default)]
struct Lost {
    from_client: &'static [usize],
    to_client: &'static [usize],
}

/// Is this one of them?
fn is_lost(lost: &[usize], count: &mut usize, datagram: &[u8]) -> bool {
    let is_rtp = datagram[0] >> 6 == 2 && !(192..=223).contains(&datagram[1]);
    *count += usize::from(is_rtp);
    is_rtp && lost.contains(&(*count - 1))
}

/// Connect them by a wire; one of them offers a voice. The section's name.
async fn connect(
    server: (&Engine, &mut Side),
    client: &mut Side,
    client_speaks: bool,
    lost: Lost,
) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (engine, side) = server;
    let voice = vec![sending(MediaKind::Audio)];
    let here = socket.local_addr().ok();
    let mids = if client_speaks {
        let offer = client.peer.create_offer(voice).await.unwrap();
        let text = with_candidate(&offer.sdp, None);
        let answer = side.peer.accept_offer(text).await.unwrap();
        let answer = with_candidate(&answer, here);
        client.peer.accept_answer(answer).await.unwrap();
        offer.mids
    } else {
        let offer = side.peer.create_offer(voice).await.unwrap();
        let text = with_candidate(&offer.sdp, here);
        let answer = client.peer.accept_offer(text).await.unwrap();
        let answer = with_candidate(&answer, None);
        side.peer.accept_answer(answer).await.unwrap();
        offer.mids
    };
    let relayed = SocketAddr::from(([203, 0, 113, 1], 40_000));
    let (mut path, mut sent) = engine.path(Via::Relay, relayed);
    let media = engine.candidates().to_vec();
    tokio::spawn(async move {
        let (mut from, mut datagram) = (None, vec![0; 2_048]);
        let (mut up, mut down) = (0, 0);
        loop {
            tokio::select! {
                received = socket.recv_from(&mut datagram) => {
                    let Ok((length, client)) = received else { continue };
                    from = Some(client);
                    if !is_lost(lost.from_client, &mut up, &datagram[..length]) {
                        for to in &media {
                            path.deliver(*to, datagram[..length].to_vec());
                        }
                    }
                }
                sent = sent.recv() => {
                    let Some(sent) = sent else { return };
                    if !is_lost(lost.to_client, &mut down, &sent.datagram) {
                        socket.send_to(&sent.datagram, from.unwrap()).await.unwrap();
                    }
                }
            }
        }
    });
    client.connected().await;
    side.connected().await;
    mids.into_iter().next().unwrap()
}

/// Say this many packets and hear all of them, in whatever order.
async fn say(speaker: &Side, listener: &mut Side, mid: &str, count: u64) {
    for n in 0..count {
        speaker.peer.send_opus(mid, packet(n), n * 960, n == 0, 20);
    }
    let mut heard = Vec::new();
    while heard.len() < count as usize {
        heard.extend(number(&listener.rtp().await.payload));
    }
    heard.sort_unstable();
    assert_eq!(heard, Vec::from_iter(0..count));
}

fn without_red(config: PeerConfig) -> PeerConfig {
    PeerConfig {
        red: false,
        ..config
    }
}

#[tokio::test]
async fn what_a_speaker_sent_in_vain_is_asked_for_again() {
    let (server, client) = (engine(), engine());
    let hears = PeerConfig {
        deliver_rtp: true,
        ..PeerConfig::server("server")
    };
    let mut b = Side::new(&server, without_red(hears));
    let mut a = Side::new(&client, without_red(PeerConfig::client("client")));
    let lost = Lost {
        from_client: &[4, 5, 9],
        ..Lost::default()
    };
    let mid = connect((&server, &mut b), &mut a, true, lost).await;
    say(&a, &mut b, &mid, 20).await;
}

#[tokio::test]
async fn a_listener_without_red_gets_what_it_asks_for_again() {
    let (server, client) = (engine(), engine());
    let speaks = PeerConfig {
        resends_audio: true,
        ..PeerConfig::server("server")
    };
    let mut b = Side::new(&server, speaks);
    let mut a = Side::new(&client, without_red(PeerConfig::client("client")));
    let lost = Lost {
        // The second time, too.
        to_client: &[4, 5, 9, 20],
        ..Lost::default()
    };
    let mid = connect((&server, &mut b), &mut a, false, lost).await;
    say(&b, &mut a, &mid, 20).await;
}

#[tokio::test]
async fn a_voice_that_comes_without_red_goes_on_in_red_to_a_listener_who_takes_it() {
    let (server, client) = (engine(), engine());
    let (speaker, ingress, from) = pair(
        Side::client(&client),
        Side::server(&server),
        vec![sending(MediaKind::Audio)],
    )
    .await;
    let (mut egress, mut listener) = (Side::server(&server), Side::client(&client));
    let lost = Lost {
        to_client: &[4, 5, 9, 12, 13],
        ..Lost::default()
    };
    let to = connect((&server, &mut egress), &mut listener, false, lost).await;
    ingress.peer.forward(Forward {
        from_mid: from[0].clone(),
        to: egress.peer.clone(),
        to_mid: to,
        highest_layer: Forward::ALL_LAYERS,
        redundant: true,
    });
    ingress.settled().await;
    say(&speaker, &mut listener, &from[0], 20).await;
}

#[tokio::test]
async fn who_resends_nothing_does_not_offer_it() {
    let server = engine();
    let offer = |side: &Side| {
        let peer = side.peer.clone();
        let changes = vec![
            sending(MediaKind::Audio),
            MediaChange::AddReceiving {
                kind: MediaKind::Audio,
            },
        ];
        async move { peer.create_offer(changes).await.unwrap().sdp }
    };
    let asked = |sdp: &str| -> Vec<bool> {
        let sections = crate::sdp::sections(sdp);
        sections.iter().map(|section| section.nack).collect()
    };
    let plain = Side::server(&server);
    let sdp = offer(&plain).await;
    assert_eq!(asked(&sdp), [false, true], "it asks, and is not asked");
    let both = PeerConfig {
        resends_audio: true,
        ..PeerConfig::server("server")
    };
    let both = Side::new(&server, both);
    let sdp = offer(&both).await;
    assert_eq!(asked(&sdp), [true, true]);
    // In an answer, only what was offered.
    let silent = sdp.replacen("a=rtcp-fb:111 nack\r\n", "", 1);
    let answer = Side::client(&server).peer.accept_offer(silent).await;
    assert_eq!(asked(&answer.unwrap()), [false, true]);
}
