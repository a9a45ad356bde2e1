//! Clients with a single peer connection: they offer, the server answers and says how many sections it needs.

use super::media::{clients, description, peer, publish, send};
use super::*;
use antiphon_protocol::join_request;
use antiphon_protocol::proto::{
    AddTrackRequest, ClientInfo, ConnectionSettings, JoinRequest, MediaSectionsRequirement,
    SessionDescription, TrackType,
};
use antiphon_rtc::{MediaChange, MediaKind, Peer, PeerEvent};
use bytes::Bytes;

pub(super) fn path(offer: Option<SessionDescription>, tracks: Vec<AddTrackRequest>) -> String {
    let request = JoinRequest {
        client_info: Some(ClientInfo {
            protocol: 17,
            ..Default::default()
        }),
        connection_settings: Some(ConnectionSettings {
            auto_subscribe: true,
            ..Default::default()
        }),
        publisher_offer: offer,
        add_track_requests: tracks,
        ..Default::default()
    };
    let written = join_request::write(&request);
    let query: String = url::form_urlencoded::byte_serialize(written.as_bytes()).collect();
    format!("/rtc/v1?join_request={query}")
}

fn microphone(cid: &str) -> AddTrackRequest {
    AddTrackRequest {
        cid: cid.to_owned(),
        r#type: TrackType::Audio as i32,
        ..Default::default()
    }
}

fn sending(cid: &str) -> MediaChange {
    MediaChange::AddSending {
        kind: MediaKind::Audio,
        stream_id: "stream".to_owned(),
        track_id: cid.to_owned(),
    }
}

fn receiving() -> MediaChange {
    MediaChange::AddReceiving {
        kind: MediaKind::Audio,
    }
}

/// Somebody with a microphone: its track and its section.
async fn speaker(server: &Running, peer: &Peer, identity: &str) -> (Socket, String, String) {
    let (mut socket, _) = join(server, identity, "hall").await;
    let add = signal_request::Message::AddTrack(microphone(identity));
    send(&mut socket, add).await;
    let sid = until(&mut socket, |m| match m {
        signal_response::Message::TrackPublished(published) => Some(published.track.unwrap().sid),
        _ => None,
    })
    .await;
    let mids = publish(&mut socket, peer, vec![sending(identity)]).await;
    (socket, sid, mids[0].clone())
}

/// The next answer, or the next wish for sections. The server never offers.
enum Said {
    Answer(SessionDescription),
    Wants(MediaSectionsRequirement),
}

async fn said(socket: &mut Socket) -> Said {
    until(socket, |m| match m {
        signal_response::Message::Answer(answer) => Some(Said::Answer(answer)),
        signal_response::Message::MediaSectionsRequirement(wants) => Some(Said::Wants(wants)),
        signal_response::Message::Offer(_) => panic!("only the client offers"),
        _ => None,
    })
    .await
}

async fn answer(socket: &mut Socket) -> SessionDescription {
    loop {
        if let Said::Answer(answer) = said(socket).await {
            return answer;
        }
    }
}

#[tokio::test]
async fn a_single_connection_hears_those_who_speak_already_and_is_asked_for_room_for_those_who_come()
 {
    let server = server(Limits::default()).await;
    let clients = clients();
    let (ann_says, _ann) = peer(&clients);
    let (_ann_socket, ann_track, ann_mid) = speaker(&server, &ann_says, "ann").await;
    // Bob brings his offer with him: a microphone, and one section to hear by.
    let (bob, mut heard) = peer(&clients);
    let channels = ["_reliable", "_lossy"].map(|label| MediaChange::AddChannel {
        label: label.to_owned(),
    });
    let mut changes = channels.to_vec();
    changes.extend([sending("bob"), receiving()]);
    let offer = bob.create_offer(changes).await.unwrap();
    let brought = description("offer", offer.sdp, 5);
    let jwt = token("bob", "hall").to_jwt().unwrap();
    let path = path(Some(brought), vec![microphone("bob")]);
    let mut socket = socket(&server, &path, &jwt).await.unwrap();
    let Some(signal_response::Message::Join(join)) = next(&mut socket).await else {
        panic!("join must be the first message")
    };
    assert!(!join.subscriber_primary);
    let first = answer(&mut socket).await;
    assert_eq!(first.id, 5);
    let tracks: Vec<&String> = first.mid_to_track_id.values().collect();
    assert_eq!(tracks, [&ann_track]);
    assert!(first.sdp.contains(&format!("|{ann_track} {ann_track}")));
    bob.accept_answer(first.sdp).await.unwrap();
    // Carl comes: there is no section for him yet.
    let (carl_says, _carl) = peer(&clients);
    let (_carl_socket, carl_track, carl_mid) = speaker(&server, &carl_says, "carl").await;
    let Said::Wants(wants) = said(&mut socket).await else {
        panic!("bob has not offered again")
    };
    assert_eq!((wants.num_audios, wants.num_videos), (1, 0));
    let again = bob.create_offer(vec![receiving()]).await.unwrap();
    let again = description("offer", again.sdp, 6);
    send(&mut socket, signal_request::Message::Offer(again)).await;
    let second = answer(&mut socket).await;
    bob.accept_answer(second.sdp).await.unwrap();
    let mids: HashMap<String, String> = second.mid_to_track_id;
    assert_eq!(mids.len(), 2);
    // And both are heard, in the sections that were named.
    let mut missing = vec![
        (ann_says, ann_mid, ann_track),
        (carl_says, carl_mid, carl_track),
    ];
    let mut number = 0;
    while !missing.is_empty() {
        number += 1;
        // Who was heard is silent: its packets would use up the turns in which the other is waited for.
        for (speaker, mid, _) in &missing {
            let payload = Bytes::from_static(&[0xf8, 0xff, 0xfe]);
            speaker.send_opus(mid, payload, number * 960, false, 30);
        }
        let event = tokio::time::timeout(Duration::from_millis(20), heard.recv()).await;
        if let Ok(Some(PeerEvent::Rtp(packet))) = event {
            let track = &mids[&*packet.mid];
            missing.retain(|(_, _, waited)| waited != track);
        }
        assert!(number < 1_000, "{missing:?} is not heard");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn the_path_of_the_single_connection_wants_a_request_that_can_be_read() {
    let server = server(Limits::default()).await;
    let jwt = token("ann", "hall").to_jwt().unwrap();
    for bad in ["/rtc/v1", "/rtc/v1?join_request=x", "/rtc?join_request=x"] {
        assert_eq!(socket(&server, bad, &jwt).await.err(), Some(400), "{bad}");
    }
    let good = path(None, Vec::new());
    let validated = good.replace("/rtc/v1?", "/rtc/v1/validate?");
    let response = reqwest::Client::new()
        .get(http(&server, &validated))
        .bearer_auth(&jwt)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let jwt = token("bob", "hall").to_jwt().unwrap();
    let older_path = good.replace("/rtc/v1?", "/rtc?");
    for good in [good, older_path] {
        let mut joined = socket(&server, &good, &jwt).await.unwrap();
        let Some(signal_response::Message::Join(join)) = next(&mut joined).await else {
            panic!("join must be the first message")
        };
        assert!(!join.subscriber_primary);
    }
    server.shutdown().await;
}

#[tokio::test]
async fn who_may_not_describe_itself_is_refused_if_it_does_so_as_it_joins() {
    let server = server(Limits::default()).await;
    let request = JoinRequest {
        metadata: "mine".to_owned(),
        ..Default::default()
    };
    let written = join_request::write(&request);
    let query: String = url::form_urlencoded::byte_serialize(written.as_bytes()).collect();
    let path = format!("/rtc/v1?join_request={query}");
    let jwt = token("ann", "hall").to_jwt().unwrap();
    assert_eq!(socket(&server, &path, &jwt).await.err(), Some(401));
    let grants = VideoGrants {
        can_update_own_metadata: Some(true),
        ..VideoGrants::join("hall")
    };
    let jwt = AccessToken::new("devkey", "secret")
        .identity("ann")
        .grants(grants)
        .to_jwt()
        .unwrap();
    let mut joined = socket(&server, &path, &jwt).await.unwrap();
    let Some(signal_response::Message::Join(join)) = next(&mut joined).await else {
        panic!("join must be the first message")
    };
    assert_eq!(join.participant.unwrap().metadata, "mine");
    server.shutdown().await;
}
