//! Data tracks, and channels of a client's own.

use super::media::{clients, data, peer, publish, send, subscribe};
use super::*;
use antiphon_protocol::proto::request_response::Reason;
use antiphon_protocol::proto::update_data_subscription::Update;
use antiphon_protocol::proto::{
    PublishDataTrackRequest, UnpublishDataTrackRequest, UpdateDataSubscription,
};
use antiphon_rtc::{Engine, MediaChange, Peer, PeerEvent};
use tokio::sync::mpsc;

const DATA_TRACK: &str = "_data_track";

fn channel(label: &str) -> MediaChange {
    MediaChange::AddChannel {
        label: label.to_owned(),
    }
}

async fn opened(events: &mut mpsc::Receiver<PeerEvent>, wanted: &str) {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await;
        if matches!(event.unwrap().unwrap(), PeerEvent::ChannelOpen { label } if *label == *wanted)
        {
            return;
        }
    }
}

/// Somebody who can send, with this channel open among others.
async fn sender(server: &Running, clients: &Engine, label: &str) -> (Socket, Peer) {
    let (mut socket, _) = join(server, "ann", "hall").await;
    let (says, mut at_ann) = peer(clients);
    let channels = ["_reliable", "_lossy", label].map(channel);
    publish(&mut socket, &says, channels.to_vec()).await;
    opened(&mut at_ann, label).await;
    tokio::spawn(async move { while at_ann.recv().await.is_some() {} });
    (socket, says)
}

fn publish_request(pub_handle: u32) -> signal_request::Message {
    signal_request::Message::PublishDataTrackRequest(PublishDataTrackRequest {
        pub_handle,
        name: "wind".to_owned(),
        ..Default::default()
    })
}

/// The subscriber's handles, with their tracks.
async fn handles(socket: &mut Socket) -> Vec<(u32, String)> {
    until(socket, |m| match m {
        signal_response::Message::DataTrackSubscriberHandles(handles) => Some(
            handles
                .sub_handles
                .into_iter()
                .map(|(handle, track)| (handle, track.track_sid))
                .collect(),
        ),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn frames_of_a_data_track_reach_those_who_subscribed_and_nobody_after_it_is_gone() {
    let server = server(Limits::default()).await;
    let clients = clients();
    let (mut bob, _) = join(&server, "bob", "hall").await;
    let (bob_hears, mut at_bob) = peer(&clients);
    subscribe(&mut bob, &bob_hears).await;
    opened(&mut at_bob, DATA_TRACK).await;
    let (mut ann, ann_says) = sender(&server, &clients, DATA_TRACK).await;
    send(&mut ann, publish_request(7)).await;
    let sid = until(&mut bob, |m| match m {
        signal_response::Message::Update(update) => update
            .participants
            .into_iter()
            .find_map(|p| p.data_tracks.into_iter().next())
            .map(|track| track.sid),
        _ => None,
    })
    .await;
    assert!(sid.starts_with("DTR_"));
    let update = UpdateDataSubscription {
        updates: vec![Update {
            track_sid: sid.clone(),
            subscribe: true,
            options: None,
        }],
    };
    send(
        &mut bob,
        signal_request::Message::UpdateDataSubscription(update),
    )
    .await;
    let subscribed = handles(&mut bob).await;
    assert_eq!(subscribed, [(1, sid)]);
    let frame = [0x18, 0, 0, 7, 0, 1, 0, 1, 0, 0, 0, 9, b'h', b'i'];
    let mut passed = frame;
    passed[3] = 1;
    // A lossy channel may lose the first ones.
    let received = loop {
        ann_says.send_data(DATA_TRACK, frame.to_vec().into());
        let event = tokio::time::timeout(Duration::from_millis(100), at_bob.recv()).await;
        if let Ok(Some(PeerEvent::Data { label, data })) = event {
            assert_eq!(&*label, DATA_TRACK);
            break data;
        }
    };
    assert_eq!(received, passed.to_vec());
    let gone = UnpublishDataTrackRequest { pub_handle: 7 };
    send(
        &mut ann,
        signal_request::Message::UnpublishDataTrackRequest(gone),
    )
    .await;
    assert!(handles(&mut bob).await.is_empty());
    server.shutdown().await;
}

#[tokio::test]
async fn a_handle_that_is_taken_is_refused_with_the_reason() {
    let server = server(Limits::default()).await;
    let (mut ann, _) = join(&server, "ann", "hall").await;
    for _ in 0..2 {
        send(&mut ann, publish_request(7)).await;
    }
    let refused = until(&mut ann, |m| match m {
        signal_response::Message::RequestResponse(response) => Some(response.reason),
        _ => None,
    })
    .await;
    assert_eq!(refused, Reason::DuplicateHandle as i32);
    server.shutdown().await;
}

#[tokio::test]
async fn bytes_on_a_channel_of_the_clients_own_reach_the_others_as_a_message() {
    let server = server(Limits::default()).await;
    let clients = clients();
    let (mut bob, _) = join(&server, "bob", "hall").await;
    let (bob_hears, mut at_bob) = peer(&clients);
    subscribe(&mut bob, &bob_hears).await;
    opened(&mut at_bob, "_reliable").await;
    let (_ann, ann_says) = sender(&server, &clients, "mine").await;
    ann_says.send_data("mine", b"raw".to_vec().into());
    assert_eq!(data(&mut at_bob).await, b"raw");
    server.shutdown().await;
}
