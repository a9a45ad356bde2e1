//! Clients with cameras: which codecs and sizes go to whom.

use super::media::{clients, description, peer, publish, send, subscribe};
use super::*;
use antiphon_protocol::join_request;
use antiphon_protocol::proto::{
    AddTrackRequest, ClientInfo, ConnectionSettings, JoinRequest, SimulcastCodec,
    SubscribedQualityUpdate, SubscriptionError, TrackSource, TrackType, UpdateTrackSettings,
    VideoLayer, VideoQuality,
};
use antiphon_rtc::sdp::edit::without_codecs;
use antiphon_rtc::sdp::sections;
use antiphon_rtc::{Engine, MediaChange, MediaKind, Peer, PeerEvent};
use tokio::sync::mpsc;

fn layer(quality: VideoQuality, width: u32) -> VideoLayer {
    VideoLayer {
        quality: quality as i32,
        width,
        height: width / 2,
        ..VideoLayer::default()
    }
}

/// Announce a picture in this codec and offer it: the track's identifier.
async fn film(socket: &mut Socket, peer: &Peer, codec: &str) -> String {
    let layers = vec![
        layer(VideoQuality::Low, 320),
        layer(VideoQuality::Medium, 640),
        layer(VideoQuality::High, 1280),
    ];
    let cid = format!("camera-{codec}");
    let track = AddTrackRequest {
        cid: cid.clone(),
        r#type: TrackType::Video as i32,
        source: TrackSource::Camera as i32,
        simulcast_codecs: vec![SimulcastCodec {
            codec: codec.to_owned(),
            cid: cid.clone(),
            layers: layers.clone(),
            ..SimulcastCodec::default()
        }],
        layers,
        ..AddTrackRequest::default()
    };
    send(socket, signal_request::Message::AddTrack(track)).await;
    let sid = until(socket, |m| match m {
        signal_response::Message::TrackPublished(published) => Some(published.track.unwrap().sid),
        _ => None,
    })
    .await;
    let sending = MediaChange::AddSending {
        kind: MediaKind::Video,
        stream_id: "stream".to_owned(),
        track_id: cid,
    };
    publish(socket, peer, vec![sending]).await;
    sid
}

/// Bob is in the hall and sees; Ann comes after him and can film.
struct Two {
    bob: Socket,
    bob_sees: Peer,
    ann: Socket,
    ann_films: Peer,
    /// They end with these.
    _kept: (Running, Engine, [mpsc::Receiver<PeerEvent>; 2]),
}

impl Two {
    async fn meet() -> Self {
        let (server, clients) = (server(Limits::default()).await, clients());
        let (mut bob, _) = join(&server, "bob", "hall").await;
        let (bob_sees, at_bob) = peer(&clients);
        subscribe(&mut bob, &bob_sees).await;
        let (ann, _) = join(&server, "ann", "hall").await;
        let (ann_films, at_ann) = peer(&clients);
        Self {
            bob,
            bob_sees,
            ann,
            ann_films,
            _kept: (server, clients, [at_bob, at_ann]),
        }
    }
}

#[tokio::test]
async fn who_does_not_have_a_codec_is_told_so_and_gets_the_other_tracks() {
    let mut two = Two::meet().await;
    let Two {
        bob,
        bob_sees,
        ann,
        ann_films,
        ..
    } = &mut two;
    let unknown = film(ann, ann_films, "h264").await;
    let offer = until(bob, |m| match m {
        signal_response::Message::Offer(offer) => Some(offer),
        _ => None,
    })
    .await;
    // As a browser without H.264 reads it.
    let plain = without_codecs(&offer.sdp, &["video/H264"]);
    assert_ne!(plain, offer.sdp);
    let answer = bob_sees.accept_offer(plain).await.unwrap();
    let answer = description("answer", answer, offer.id);
    send(bob, signal_request::Message::Answer(answer)).await;
    let told = until(bob, |m| match m {
        signal_response::Message::SubscriptionResponse(told) => Some(told),
        _ => None,
    })
    .await;
    assert_eq!(
        (told.track_sid.as_str(), told.err()),
        (unknown.as_str(), SubscriptionError::SeCodecUnsupported)
    );
    // Its section is free now. Offered inactive, pion would never look at it again.
    let offer = subscribe(bob, bob_sees).await;
    assert!(
        offer.mid_to_track_id.is_empty() && !offer.sdp.contains("a=inactive"),
        "{}",
        offer.sdp
    );
    let known = film(ann, ann_films, "vp8").await;
    let offer = subscribe(bob, bob_sees).await;
    let carried: Vec<_> = offer.mid_to_track_id.values().cloned().collect();
    assert_eq!(carried, [known]);
}

#[tokio::test]
async fn a_phone_with_a_broken_encoder_is_not_asked_for_that_codec() {
    let (server, clients) = (server(Limits::default()).await, clients());
    let (peer, _events) = peer(&clients);
    let camera = MediaChange::AddSending {
        kind: MediaKind::Video,
        stream_id: "stream".to_owned(),
        track_id: "camera".to_owned(),
    };
    let offer = peer.create_offer(vec![camera]).await.unwrap();
    let request = JoinRequest {
        client_info: Some(ClientInfo {
            protocol: 17,
            os: "android".to_owned(),
            device_model: "Xiaomi 2201117TI".to_owned(),
            ..ClientInfo::default()
        }),
        connection_settings: Some(ConnectionSettings::default()),
        publisher_offer: Some(description("offer", offer.sdp, 1)),
        ..JoinRequest::default()
    };
    let written = join_request::write(&request);
    let query: String = url::form_urlencoded::byte_serialize(written.as_bytes()).collect();
    let jwt = token("phone", "hall").to_jwt().unwrap();
    let path = format!("/rtc/v1?join_request={query}");
    let mut phone = socket(&server, &path, &jwt).await.unwrap();
    let Some(signal_response::Message::Join(join)) = next(&mut phone).await else {
        panic!("join must be the first message")
    };
    let told: Vec<&str> = join
        .enabled_publish_codecs
        .iter()
        .map(|c| c.mime.as_str())
        .collect();
    assert!(
        told.contains(&"video/VP8") && !told.contains(&"video/H264"),
        "{told:?}"
    );
    let answer = until(&mut phone, |m| match m {
        signal_response::Message::Answer(answer) => Some(answer),
        _ => None,
    })
    .await;
    let codecs = &sections(&answer.sdp)[0].codecs;
    assert!(
        codecs.iter().any(|c| c == "vp8") && !codecs.iter().any(|c| c == "h264"),
        "{codecs:?}"
    );
}

async fn wanted(socket: &mut Socket) -> SubscribedQualityUpdate {
    until(socket, |m| match m {
        signal_response::Message::SubscribedQualityUpdate(update) => Some(update),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_publisher_learns_which_sizes_of_its_picture_somebody_wants() {
    let mut two = Two::meet().await;
    let Two {
        bob,
        bob_sees,
        ann,
        ann_films,
        ..
    } = &mut two;
    let sid = film(ann, ann_films, "vp8").await;
    subscribe(bob, bob_sees).await;
    let settings = |disabled, quality: VideoQuality| {
        signal_request::Message::TrackSetting(UpdateTrackSettings {
            track_sids: vec![sid.clone()],
            disabled,
            quality: quality as i32,
            ..UpdateTrackSettings::default()
        })
    };
    let enabled = |update: SubscribedQualityUpdate| {
        assert_eq!(update.track_sid, sid);
        let codec = update.subscribed_codecs.into_iter().next().unwrap();
        assert_eq!(codec.codec, "vp8");
        codec
            .qualities
            .iter()
            .map(|q| q.enabled)
            .collect::<Vec<bool>>()
    };
    send(bob, settings(false, VideoQuality::Low)).await;
    assert_eq!(enabled(wanted(ann).await), [true, false, false]);
    send(bob, settings(false, VideoQuality::Medium)).await;
    assert_eq!(enabled(wanted(ann).await), [true, true, false]);
    send(bob, settings(true, VideoQuality::High)).await;
    assert_eq!(enabled(wanted(ann).await), [false, false, false]);
    send(bob, settings(false, VideoQuality::High)).await;
    assert_eq!(enabled(wanted(ann).await), [true, true, true]);
}
