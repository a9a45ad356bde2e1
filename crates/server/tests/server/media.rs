//! Clients with media connections of their own.

use super::*;
use antiphon_protocol::proto::{
    AddTrackRequest, DataPacket, SessionDescription, TrackSource, TrackType, UserPacket,
    data_packet,
};
use antiphon_rtc::{Engine, EngineConfig, MediaChange, MediaKind, Peer, PeerConfig, PeerEvent};
use tokio::sync::mpsc;

pub(super) fn clients() -> Engine {
    Engine::start(EngineConfig {
        bind: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        shards: 1,
        ..EngineConfig::default()
    })
    .unwrap()
}

pub(super) fn peer(clients: &Engine) -> (Peer, mpsc::Receiver<PeerEvent>) {
    let (events, inbox) = mpsc::channel(4096);
    let shard = clients.least_loaded_shard();
    let peer = clients.peer(shard, PeerConfig::client("client"), events);
    (peer.unwrap(), inbox)
}

pub(super) async fn send(socket: &mut Socket, message: signal_request::Message) {
    let request = SignalRequest {
        message: Some(message),
    };
    let frame = Ws::Binary(request.encode_to_vec().into());
    socket.send(frame).await.unwrap();
}

pub(super) fn description(kind: &str, sdp: String, id: u32) -> SessionDescription {
    SessionDescription {
        r#type: kind.to_owned(),
        sdp,
        id,
        ..SessionDescription::default()
    }
}

/// Offer to the server and take its answer: the sections that were added to send in.
pub(super) async fn publish(
    socket: &mut Socket,
    peer: &Peer,
    changes: Vec<MediaChange>,
) -> Vec<String> {
    let offer = peer.create_offer(changes).await.unwrap();
    let mids = offer.mids;
    let offer = description("offer", offer.sdp, 1);
    send(socket, signal_request::Message::Offer(offer)).await;
    let answer = until(socket, |m| match m {
        signal_response::Message::Answer(answer) => Some(answer),
        _ => None,
    })
    .await;
    peer.accept_answer(answer.sdp).await.unwrap();
    mids
}

/// Answer the server's next offer; it is given back.
pub(super) async fn subscribe(socket: &mut Socket, peer: &Peer) -> SessionDescription {
    let offer = until(socket, |m| match m {
        signal_response::Message::Offer(offer) => Some(offer),
        _ => None,
    })
    .await;
    let answer = peer.accept_offer(offer.sdp.clone()).await.unwrap();
    let answer = description("answer", answer, offer.id);
    send(socket, signal_request::Message::Answer(answer)).await;
    offer
}

pub(super) async fn data(events: &mut mpsc::Receiver<PeerEvent>) -> Vec<u8> {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await;
        if let PeerEvent::Data { data, .. } = event.unwrap().unwrap() {
            let packet = DataPacket::decode(data).unwrap();
            let Some(data_packet::Value::User(user)) = packet.value else {
                panic!("not what was sent")
            };
            return user.payload;
        }
    }
}

#[tokio::test]
async fn what_is_sent_to_somebody_who_is_still_connecting_arrives() {
    let server = server(Limits::default()).await;
    let clients = clients();
    let (mut bob, _) = join(&server, "bob", "hall").await;
    let (mut carl, _) = join(&server, "carl", "hall").await;
    let (carl_hears, mut at_carl) = peer(&clients);
    subscribe(&mut carl, &carl_hears).await;
    let (mut ann, _) = join(&server, "ann", "hall").await;
    let (ann_says, mut at_ann) = peer(&clients);
    let channels = ["_reliable", "_lossy"].map(|label| MediaChange::AddChannel {
        label: label.to_owned(),
    });
    publish(&mut ann, &ann_says, channels.to_vec()).await;
    loop {
        let event = tokio::time::timeout(PATIENCE, at_ann.recv()).await;
        if matches!(event.unwrap().unwrap(), PeerEvent::ChannelOpen { label } if &*label == "_reliable")
        {
            break;
        }
    }
    // More than the room keeps for those whose connection is away.
    for n in 0..15u8 {
        let user = UserPacket {
            payload: vec![n; 10_000],
            ..UserPacket::default()
        };
        let packet = DataPacket {
            value: Some(data_packet::Value::User(user)),
            ..DataPacket::default()
        };
        ann_says.send_data("_reliable", packet.encode_to_vec().into());
    }
    for n in 0..15u8 {
        assert_eq!(data(&mut at_carl).await, vec![n; 10_000]);
    }
    let (bob_hears, mut at_bob) = peer(&clients);
    subscribe(&mut bob, &bob_hears).await;
    for n in 0..15u8 {
        assert_eq!(data(&mut at_bob).await, vec![n; 10_000]);
    }
}

#[tokio::test]
async fn in_a_room_with_more_tracks_than_fit_voices_come_first_and_the_rest_is_named() {
    let server = server(Limits::default()).await;
    let clients = clients();
    let mut publishers = Vec::new();
    for n in 0..11 {
        let kind = if n < 9 {
            MediaKind::Audio
        } else {
            MediaKind::Video
        };
        let jwt = token(&format!("p{n}"), "hall").to_jwt().unwrap();
        let mut socket = socket(&server, "/rtc?protocol=17&auto_subscribe=0", &jwt)
            .await
            .unwrap();
        let (peer, _) = peer(&clients);
        for batch in [20, 20, 10] {
            let mut changes = Vec::new();
            for _ in 0..batch {
                let cid = format!("cid-{n}-{}", fresh_number());
                let track = AddTrackRequest {
                    cid: cid.clone(),
                    r#type: match kind {
                        MediaKind::Audio => TrackType::Audio,
                        MediaKind::Video => TrackType::Video,
                    } as i32,
                    source: match kind {
                        MediaKind::Audio => TrackSource::Microphone,
                        MediaKind::Video => TrackSource::Camera,
                    } as i32,
                    ..AddTrackRequest::default()
                };
                send(&mut socket, signal_request::Message::AddTrack(track)).await;
                changes.push(MediaChange::AddSending {
                    kind,
                    stream_id: "PA_x".to_owned(),
                    track_id: cid,
                });
            }
            publish(&mut socket, &peer, changes).await;
        }
        publishers.push((socket, peer));
    }
    let (mut listener, _) = join(&server, "listener", "hall").await;
    let (hears, _events) = peer(&clients);
    let mut left_out = 0;
    let offer = loop {
        match next(&mut listener).await.unwrap() {
            signal_response::Message::SubscriptionResponse(_) => left_out += 1,
            signal_response::Message::Offer(offer) => break offer,
            signal_response::Message::Leave(leave) => panic!("{leave:?}"),
            _ => {}
        }
    };
    let count = |kind: &str| offer.sdp.matches(kind).count();
    assert_eq!(
        (count("\nm=audio"), count("\nm=video"), left_out),
        (450, 50, 50)
    );
    let answer = hears.accept_offer(offer.sdp.clone()).await.unwrap();
    let answer = description("answer", answer, offer.id);
    send(&mut listener, signal_request::Message::Answer(answer)).await;
    // A publisher of pictures goes: those that were left out take their places.
    let (mut socket, peer) = publishers.pop().unwrap();
    let leave = signal_request::Message::Leave(proto::LeaveRequest::default());
    send(&mut socket, leave).await;
    drop((socket, peer));
    let second = until(&mut listener, |m| match m {
        signal_response::Message::Offer(offer) => Some(offer),
        _ => None,
    })
    .await;
    let mids = |sdp: &str| -> Vec<String> {
        let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=mid:"));
        lines.map(|mid| mid.trim().to_owned()).collect()
    };
    assert_eq!(mids(&offer.sdp), mids(&second.sdp));
    let answer = hears.accept_offer(second.sdp).await.unwrap();
    let answer = description("answer", answer, second.id);
    send(&mut listener, signal_request::Message::Answer(answer)).await;
    let ping = proto::Ping {
        timestamp: 7,
        rtt: 0,
    };
    send(&mut listener, signal_request::Message::PingReq(ping)).await;
    until(&mut listener, |m| match m {
        signal_response::Message::PongResp(_) => Some(()),
        signal_response::Message::Leave(leave) => panic!("{leave:?}"),
        _ => None,
    })
    .await;
}

/// A number that no other call gives.
fn fresh_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
