//! Peers that are reached by no UDP socket of ours. The client here speaks UDP with a socket of the test, which passes everything
//! on over the path, as a TCP stack or a relay does.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::*;
use crate::Via;
use crate::tcp::{Frames, frame};

/// The candidates of a description, replaced by this one or left out.
pub(super) fn with_candidate(sdp: &str, instead: Option<SocketAddr>) -> String {
    let mut seen = false;
    let lines = sdp.lines().filter_map(|line| {
        let Some(found) = line.strip_prefix("a=candidate:") else {
            return Some(line.to_owned());
        };
        let address = instead.filter(|_| !seen && found.contains(" udp "))?;
        seen = true;
        let mut words: Vec<String> = found.split(' ').map(str::to_owned).collect();
        words[4] = address.ip().to_string();
        words[5] = address.port().to_string();
        Some(format!("a=candidate:{}", words.join(" ")))
    });
    lines.map(|line| line + "\r\n").collect()
}

/// A client and a server that know of one another only the test's socket.
async fn pair_by(socket: &UdpSocket, server: &Engine, client: &Engine) -> (Side, Side) {
    let (a, b) = (Side::client(client), Side::server(server));
    let offer = a
        .peer
        .create_offer(vec![channel("_reliable")])
        .await
        .unwrap();
    let offer = with_candidate(&offer.sdp, None);
    let answer = b.peer.accept_offer(offer).await.unwrap();
    let answer = with_candidate(&answer, socket.local_addr().ok());
    a.peer.accept_answer(answer).await.unwrap();
    (a, b)
}

async fn connect_and_talk(a: &mut Side, b: &mut Side) {
    a.connected().await;
    b.connected().await;
    talk(a, b).await;
}

#[tokio::test]
async fn a_client_whose_network_blocks_udp_connects_by_tcp_and_its_connection_ends_with_its_peer() {
    let (server, client) = (engine(), engine());
    let listening = server
        .accept_tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
        .unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut a, mut b) = pair_by(&socket, &server, &client).await;
    let wire = tokio::spawn(async move {
        let mut stream = TcpStream::connect(listening).await.unwrap();
        let (mut frames, mut from) = (Frames::default(), None);
        let (mut datagram, mut bytes) = (vec![0; 2_048], vec![0; 2_048]);
        loop {
            tokio::select! {
                received = socket.recv_from(&mut datagram) => {
                    let Ok((length, client)) = received else { continue };
                    from = Some(client);
                    if stream.write_all(&frame(&datagram[..length]).unwrap()).await.is_err() {
                        return;
                    }
                }
                read = stream.read(&mut bytes) => {
                    let Ok(count @ 1..) = read else { return };
                    frames.push(&bytes[..count]);
                    while let Some(datagram) = frames.next().unwrap() {
                        socket.send_to(&datagram, from.unwrap()).await.unwrap();
                    }
                }
            }
        }
    });
    connect_and_talk(&mut a, &mut b).await;
    drop(b);
    timeout(PATIENCE, wire)
        .await
        .expect("the connection stays")
        .unwrap();
}

#[tokio::test]
async fn what_a_relay_passes_on_reaches_the_peer_that_it_names_whatever_thread_that_lives_on() {
    let server = Engine::start(EngineConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        shards: 3,
        ..EngineConfig::default()
    })
    .unwrap();
    let client = engine();
    // So that the peer does not live on the first thread.
    let _others = (Side::server(&server), Side::server(&server));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut a, mut b) = pair_by(&socket, &server, &client).await;
    let relayed = SocketAddr::from(([203, 0, 113, 1], 40_000));
    let (mut path, mut sent) = server.path(Via::Relay, relayed);
    let media = server.candidates().to_vec();
    let wire = tokio::spawn(async move {
        let mut from = None;
        let mut datagram = vec![0; 2_048];
        loop {
            tokio::select! {
                received = socket.recv_from(&mut datagram) => {
                    let Ok((length, client)) = received else { continue };
                    from = Some(client);
                    // Each candidate of ours, as a client tries them.
                    for to in &media {
                        path.deliver(*to, datagram[..length].to_vec());
                    }
                }
                sent = sent.recv() => {
                    let Some(sent) = sent else { return media.contains(&relayed) };
                    assert!(media.contains(&sent.from));
                    socket.send_to(&sent.datagram, from.unwrap()).await.unwrap();
                }
            }
        }
    });
    connect_and_talk(&mut a, &mut b).await;
    drop(b);
    assert!(
        !timeout(PATIENCE, wire)
            .await
            .expect("the path stays")
            .unwrap()
    );
}

#[tokio::test]
async fn a_connection_that_brings_no_frames_of_ours_is_closed() {
    let server = engine();
    let listening = server
        .accept_tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
        .unwrap();
    let mut stream = TcpStream::connect(listening).await.unwrap();
    stream
        .write_all(b"\xff\xffGET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let read = timeout(PATIENCE, stream.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
