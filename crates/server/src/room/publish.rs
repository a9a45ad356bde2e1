//! Tracks of a publisher: announced by signalling, negotiated by its offers, muted, gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use antiphon_protocol::grants::may_publish;
use antiphon_protocol::ids;
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    self, AddTrackRequest, AudioTrackFeature, DisconnectReason, RequestResponse,
    SessionDescription, SignalTarget, SimulcastCodecInfo, TrackInfo, TrackPublishedResponse,
    TrackSource, TrackType, TrackUnpublishedResponse, leave_request, request_response,
};
use antiphon_rtc::MediaKind;
use antiphon_rtc::sdp::{self, edit::Voice};

use super::actor::Room;
use super::codecs::{broken_encoders, mime_of};
use super::dynacast::Dynacast;
use super::participant::{Participant, Track, Unbound};
use crate::agents::Notice;
use crate::limits::{
    MAX_NAME_BYTES, MAX_PENDING_TRACKS, MAX_SDP_SECTIONS, MAX_SUBSCRIPTIONS, MAX_TRACKS,
};
use crate::tally::Tally;
use crate::webhook::event;

impl Room {
    pub(super) async fn on_add_track(&mut self, sid: &Arc<str>, request: AddTrackRequest) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let source = TrackSource::try_from(request.source).unwrap_or(TrackSource::Unknown);
        let kind = TrackType::try_from(request.r#type).unwrap_or(TrackType::Data);
        let pending = p.tracks.iter().filter(|t| t.mid.is_none()).count();
        let refusal = if !may_publish(&p.permission, source) {
            Some((
                request_response::Reason::NotAllowed,
                "not allowed to publish from this source",
            ))
        } else if kind == TrackType::Data {
            Some((
                request_response::Reason::UnsupportedType,
                "a track is audio or video",
            ))
        } else if pending >= MAX_PENDING_TRACKS || p.tracks.len() >= MAX_TRACKS {
            Some((request_response::Reason::LimitExceeded, "too many tracks"))
        } else if request.name.len() > MAX_NAME_BYTES || request.cid.len() > MAX_NAME_BYTES {
            Some((
                request_response::Reason::LimitExceeded,
                "a name is too long",
            ))
        } else {
            None
        };
        if let Some((reason, text)) = refusal {
            if self.state.repeated.is_first("track refused", sid) {
                tracing::info!(room = %self.handle.name, participant = %sid, ?source, text, "track refused");
            }
            p.send(Message::RequestResponse(RequestResponse {
                request_id: 0,
                reason: reason as i32,
                message: text.to_owned(),
                request: Some(request_response::Request::AddTrack(request)),
            }));
            return;
        }
        // The same cid again while it is pending: clients retry. Say the same again.
        if let Some(track) = p
            .tracks
            .iter()
            .find(|t| t.mid.is_none() && t.cid == request.cid)
        {
            let published = TrackPublishedResponse {
                cid: track.cid.clone(),
                track: Some(track.info.clone()),
            };
            p.send(Message::TrackPublished(published));
            return;
        }
        let info = track_info(&request, kind, source);
        p.tracks.push(Track {
            info: info.clone(),
            cid: request.cid.clone(),
            mid: None,
            subscribed: false,
            tally: None,
            dynacast: Dynacast::default(),
        });
        p.send(Message::TrackPublished(TrackPublishedResponse {
            cid: request.cid,
            track: Some(info),
        }));
        self.bind_tracks(sid).await;
    }

    /// An offer of the publisher connection.
    pub(super) async fn on_offer(&mut self, sid: &Arc<str>, offer: SessionDescription) {
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        let sections = sdp::sections(&offer.sdp);
        let single = p.single_connection;
        let limit = MAX_SDP_SECTIONS + if single { MAX_SUBSCRIPTIONS } else { 0 };
        if sections.len() > limit {
            if self
                .state
                .repeated
                .is_first("too many sections", &p.identity)
            {
                tracing::warn!(room = %self.handle.name, participant = %sid, sections = sections.len(), "offer with too many sections");
            }
            self.remove(sid, DisconnectReason::StateMismatch).await;
            return;
        }
        let peer = match p.publisher.clone() {
            Some(peer) => peer,
            None => match self.peer(sid, &p.client, SignalTarget::Publisher) {
                Ok(peer) => peer,
                Err(error) => {
                    tracing::error!(%error, participant = %sid, "no publisher connection");
                    self.remove(sid, DisconnectReason::JoinFailure).await;
                    return;
                }
            },
        };
        let broken = broken_encoders(&p.client);
        let held = if single {
            self.take_slots(sid, &sections)
        } else {
            Vec::new()
        };
        let text = sdp::edit::restrict(&offer.sdp, &held);
        let text = sdp::edit::without_codecs(&text, broken);
        let answer = peer.accept_offer(text).await;
        let agreed = answer.as_deref().map(sdp::sections).unwrap_or_default();
        if single && answer.is_ok() {
            self.drop_not_understood(sid, &agreed);
        }
        let stereo = if single {
            self.stereo_sections(sid)
        } else {
            Vec::new()
        };
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        p.publisher = Some(peer);
        match answer {
            Ok(sdp) => {
                let sdp = sdp::edit::polish_answer(&sdp, &p.voices(&sections));
                let sdp = sdp::edit::announce_stereo(&sdp, &stereo);
                let subscriptions = p.subscriber.as_ref().filter(|_| single);
                let subscriptions = subscriptions.map(|s| &s.subscriptions);
                let msids = subscriptions.map(|s| s.msids()).unwrap_or_default();
                let tracks = subscriptions.map(|s| s.mid_to_track()).unwrap_or_default();
                p.send(Message::Answer(SessionDescription {
                    r#type: "answer".to_owned(),
                    sdp: sdp::edit::rewrite_msids(&sdp, &msids),
                    id: offer.id,
                    mid_to_track_id: tracks,
                }));
            }
            Err(error) => {
                if self.state.repeated.is_first("offer refused", &p.identity) {
                    tracing::warn!(room = %self.handle.name, participant = %sid, %error, "offer refused");
                }
                p.send_leave(
                    DisconnectReason::StateMismatch,
                    leave_request::Action::Reconnect,
                );
                self.remove(sid, DisconnectReason::StateMismatch).await;
                return;
            }
        }
        self.take_sections(sid, &sections, &agreed).await;
        if single {
            self.agreed(sid).await;
        }
    }

    /// Note which sections send now; tracks whose section stopped sending are unpublished.
    async fn take_sections(
        &mut self,
        sid: &Arc<str>,
        sections: &[sdp::Section],
        agreed: &[sdp::Section],
    ) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        p.publisher_has_data = sections.iter().any(|s| s.kind.is_none());
        let sends = |mid: &str| sections.iter().any(|s| s.sends && s.mid == mid);
        let stopped: Vec<String> = p
            .tracks
            .iter()
            .filter(|t| t.mid.as_deref().is_some_and(|mid| !sends(mid)))
            .map(|t| t.info.sid.clone())
            .collect();
        let bound: Vec<String> = p.tracks.iter().filter_map(|t| t.mid.clone()).collect();
        p.unbound = sections
            .iter()
            .filter(|s| s.sends && !bound.contains(&s.mid))
            .filter_map(|s| {
                Some(Unbound {
                    mid: s.mid.clone(),
                    kind: s.kind?,
                    cid: s.track.clone(),
                    codecs: common_codecs(s, agreed),
                })
            })
            .collect();
        for track in stopped {
            self.unpublish(sid, &track, false).await;
        }
        self.bind_tracks(sid).await;
    }

    /// Bring announced tracks and sending sections together: by cid, else the first of the same kind.
    async fn bind_tracks(&mut self, sid: &Arc<str>) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let mut published = Vec::new();
        let mut rest = Vec::new();
        for section in std::mem::take(&mut p.unbound) {
            let waiting = |t: &&mut Track| t.mid.is_none() && t.kind() == section.kind;
            let by_cid = p.tracks.iter().position(|t| {
                t.mid.is_none()
                    && (t.cid == section.cid
                        || t.info
                            .codecs
                            .iter()
                            .any(|c| c.cid == section.cid || c.sdp_cid == section.cid))
            });
            let track = match by_cid {
                Some(at) => p.tracks.get_mut(at),
                None => p.tracks.iter_mut().find(waiting),
            };
            let Some(track) = track else {
                rest.push(section);
                continue;
            };
            track.mid = Some(section.mid.clone());
            track.tally = Some(Tally::track(section.kind));
            track.info.mid.clone_from(&section.mid);
            announce_codec(&mut track.info, &section.codecs);
            for codec in &mut track.info.codecs {
                codec.mid.clone_from(&section.mid);
            }
            published.push((
                track.info.sid.clone(),
                section.kind,
                section.mid,
                track.info.muted,
            ));
        }
        p.unbound = rest;
        if published.is_empty() {
            return;
        }
        if let Some(peer) = &p.publisher {
            for (_, _, mid, muted) in &published {
                peer.set_muted(mid, *muted);
            }
        }
        let first = !std::mem::replace(&mut p.was_publisher, true) && !p.is_dependent();
        let info = p.info();
        self.changed(sid);
        for (track, kind, _, muted) in published {
            tracing::info!(room = %self.handle.name, participant = %sid, track, ?kind, muted, "track published");
            metrics::counter!(antiphon_telemetry::names::SERVER_TRACKS_PUBLISHED_TOTAL)
                .increment(1);
            if let Some(published) = info.tracks.iter().find(|t| t.sid == track) {
                self.tell_track(event::TRACK_PUBLISHED, &info, published);
            }
            self.offer_track_to_all(sid, &track, kind).await;
        }
        if first {
            let notice = Notice::Published {
                room: Arc::clone(&self.handle.sid),
                identity: Arc::from(info.identity),
            };
            self.state.agents.notify(notice).await;
        }
    }

    /// Subscribe everybody who wants all tracks to this one.
    async fn offer_track_to_all(&mut self, sid: &Arc<str>, track: &str, kind: MediaKind) {
        let subscribers: Vec<Arc<str>> = self
            .participants
            .values()
            .filter(|p| p.sid != *sid && p.auto_subscribe)
            .map(|p| Arc::clone(&p.sid))
            .collect();
        for subscriber in subscribers {
            if self.want(&subscriber, sid, track, kind) {
                self.negotiate(&subscriber).await;
            }
        }
    }

    /// Take a track away from everybody. `tell`: the publisher did not do it itself.
    pub(super) async fn unpublish(&mut self, sid: &Arc<str>, track: &str, tell: bool) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let Some(at) = p.tracks.iter().position(|t| t.info.sid == track) else {
            return;
        };
        let gone = p.tracks.remove(at);
        p.speaker.silence();
        if tell {
            p.send(Message::TrackUnpublished(TrackUnpublishedResponse {
                track_sid: track.to_owned(),
            }));
        }
        tracing::info!(room = %self.handle.name, participant = %sid, track, "track unpublished");
        if gone.mid.is_some() {
            let info = p.info();
            self.tell_track(event::TRACK_UNPUBLISHED, &info, &gone.info);
        }
        let subscribers = self.forget_tracks(&[track.to_owned()]);
        self.changed(sid);
        for subscriber in subscribers {
            self.negotiate(&subscriber).await;
        }
    }

    /// Mute or unmute. `tell`: the publisher did not do it itself.
    pub(super) fn set_muted(
        &mut self,
        sid: &Arc<str>,
        track: &str,
        muted: bool,
        tell: bool,
    ) -> Option<TrackInfo> {
        let p = self.participants.get_mut(sid)?;
        let found = p.track(track)?;
        let changed = found.info.muted != muted;
        found.info.muted = muted;
        let (info, mid) = (found.info.clone(), found.mid.clone());
        if muted {
            p.speaker.silence();
        }
        if let (Some(peer), Some(mid)) = (&p.publisher, &mid) {
            peer.set_muted(mid, muted);
        }
        if tell {
            p.send(Message::Mute(proto::MuteTrackRequest {
                sid: track.to_owned(),
                muted,
            }));
        }
        if changed {
            self.changed(sid);
        }
        Some(info)
    }
}

impl Participant {
    /// How the tracks in these sections of its offer are to be sent.
    fn voices(&self, sections: &[sdp::Section]) -> HashMap<String, Voice> {
        let sending = sections.iter().filter(|section| section.sends);
        let voices = sending.filter_map(|section| {
            let track = self.tracks.iter().find(|track| match &track.mid {
                Some(mid) => *mid == section.mid,
                None => track.cid == section.track,
            })?;
            let voice = Voice {
                no_dtx: has_feature(&track.info, AudioTrackFeature::TfNoDtx),
                stereo: is_stereo(&track.info),
                red: !track.info.disable_red && track.info.encryption == 0,
            };
            Some((section.mid.clone(), voice))
        });
        voices.collect()
    }
}

/// Has it two channels?
pub(super) fn is_stereo(info: &TrackInfo) -> bool {
    has_feature(info, AudioTrackFeature::TfStereo)
}

#[allow(
    deprecated,
    reason = "clients older than the audio features write the old fields"
)]
fn has_feature(info: &TrackInfo, feature: AudioTrackFeature) -> bool {
    let by_old_field = match feature {
        AudioTrackFeature::TfStereo => info.stereo,
        AudioTrackFeature::TfNoDtx => info.disable_dtx,
        _ => false,
    };
    by_old_field || info.audio_features.contains(&(feature as i32))
}

/// The codecs of an offered section that the answer has too, as the client prefers them.
fn common_codecs(offered: &sdp::Section, agreed: &[sdp::Section]) -> Vec<String> {
    let Some(agreed) = agreed.iter().find(|section| section.mid == offered.mid) else {
        return Vec::new();
    };
    let both = offered
        .codecs
        .iter()
        .filter(|codec| agreed.codecs.contains(codec));
    both.cloned().collect()
}

/// Announce a track under the codec that its section carries: the planned one if it was agreed upon, else the one that
/// the client prefers.
fn announce_codec(info: &mut TrackInfo, codecs: &[String]) {
    let agreed: Vec<&str> = codecs.iter().filter_map(|codec| mime_of(codec)).collect();
    let planned = info.mime_type.as_str();
    // RED is a wrapping: whether it is used follows from the order of our answer, not from that of the offer.
    if agreed.contains(&planned) {
        return;
    }
    let Some(mime) = agreed.first() else { return };
    (*mime).clone_into(&mut info.mime_type);
    if let Some(codec) = info.codecs.first_mut() {
        (*mime).clone_into(&mut codec.mime_type);
    }
}

#[allow(
    deprecated,
    reason = "clients older than the audio features read the old fields"
)]
fn track_info(request: &AddTrackRequest, kind: TrackType, source: TrackSource) -> TrackInfo {
    // What the client means to send; what was agreed upon is announced with the section.
    let planned = request.simulcast_codecs.first();
    let mime = match kind {
        TrackType::Audio if request.disable_red || request.encryption != 0 => "audio/opus",
        TrackType::Audio => "audio/red",
        TrackType::Video | TrackType::Data => planned
            .and_then(|planned| mime_of(&planned.codec))
            .unwrap_or("video/VP8"),
    };
    let layers = planned
        .map(|planned| &planned.layers)
        .filter(|layers| !layers.is_empty())
        .unwrap_or(&request.layers);
    let stream = match (request.stream.is_empty(), source) {
        (false, _) => request.stream.clone(),
        (true, TrackSource::ScreenShare | TrackSource::ScreenShareAudio) => {
            "screen_share".to_owned()
        }
        (true, _) => "camera".to_owned(),
    };
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    TrackInfo {
        sid: ids::track(kind, source),
        r#type: kind as i32,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        disable_dtx: request.disable_dtx,
        source: source as i32,
        layers: layers.clone(),
        simulcast: layers.len() > 1,
        mime_type: mime.to_owned(),
        codecs: vec![SimulcastCodecInfo {
            mime_type: mime.to_owned(),
            cid: request.cid.clone(),
            layers: layers.clone(),
            ..Default::default()
        }],
        stereo: request.stereo,
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream,
        version: Some(proto::TimedVersion {
            unix_micro: i64::try_from(now.as_micros()).unwrap_or_default(),
            ticks: 0,
        }),
        audio_features: request.audio_features.clone(),
        backup_codec_policy: request.backup_codec_policy,
        packet_trailer_features: request.packet_trailer_features.clone(),
        ..TrackInfo::default()
    }
}
