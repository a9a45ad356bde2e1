//! Who is subscribed to what: agreed with the client, and forwarded. The rules are in `subscriptions`.

use std::sync::Arc;
use std::time::Instant;

use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    DisconnectReason, MediaSectionsRequirement, SessionDescription, SubscriptionError,
    TrackSubscribed, UpdateTrackSettings, VideoLayer, VideoQuality,
};
use antiphon_rtc::sdp;
use antiphon_rtc::sdp::edit::{announce_stereo, hold_open, rewrite_msids};
use antiphon_rtc::{Forward, MediaKind};

use super::actor::Room;
use super::codecs::codec_in_descriptions;
use super::participant::Participant;
use super::publish::is_stereo;
use super::subscriptions::{Flow, Wanted};

impl Room {
    /// Note that a participant shall hear a track. True if that is new; then [`negotiate`](Self::negotiate).
    pub(super) fn want(
        &mut self,
        subscriber: &Arc<str>,
        publisher: &Arc<str>,
        track: &str,
        kind: MediaKind,
    ) -> bool {
        let Some(identity) = self
            .participants
            .get(subscriber)
            .map(|p| Arc::clone(&p.identity))
        else {
            return false;
        };
        let allowed = self
            .participants
            .get(publisher)
            .is_some_and(|p| p.allows(subscriber, &identity, track));
        let Some(p) = self.participants.get_mut(subscriber) else {
            return false;
        };
        let Some(s) = p.subscriber.as_mut().filter(|_| p.permission.can_subscribe) else {
            return false;
        };
        if allowed {
            return s.subscriptions.want(track, publisher, kind);
        }
        if s.subscriptions.refuse(track) {
            p.send_subscription_permission(publisher, track, false);
        }
        false
    }

    /// A participant shall no longer hear these tracks. True if that changed something; then negotiate.
    pub(super) fn unwant(&mut self, subscriber: &Arc<str>, tracks: &[String]) -> bool {
        let Some(s) = self.subscriber_of(subscriber) else {
            return false;
        };
        let (changed, stopped) = s.subscriptions.unwant(tracks);
        let to = s.peer.clone();
        self.stop(&to, stopped);
        changed
    }

    /// Stop what flows to this connection.
    fn stop(&self, to: &antiphon_rtc::Peer, flows: Vec<Flow>) {
        for flow in flows {
            let publisher = self.participants.get(&flow.publisher);
            if let Some(peer) = publisher.and_then(|p| p.publisher.as_ref()) {
                peer.stop_forward(&flow.from, to, &flow.to);
            }
        }
    }

    fn subscriber_of(&mut self, sid: &str) -> Option<&mut super::participant::Subscriber> {
        self.participants.get_mut(sid)?.subscriber.as_mut()
    }

    /// Did it ask for this track and was refused?
    pub(super) fn was_refused(&self, subscriber: &str, track: &str) -> bool {
        self.participants
            .get(subscriber)
            .and_then(|p| p.subscriber.as_ref())
            .is_some_and(|s| s.subscriptions.is_refused(track))
    }

    /// These tracks are gone. Whose sections must be negotiated anew?
    pub(super) fn forget_tracks(&mut self, tracks: &[String]) -> Vec<Arc<str>> {
        let everybody: Vec<Arc<str>> = self.participants.keys().cloned().collect();
        everybody
            .into_iter()
            .filter(|sid| self.unwant(sid, tracks))
            .collect()
    }

    /// A participant that left receives nothing any more.
    pub(super) fn stop_receiving_by(&mut self, gone: &Participant) {
        if let Some(s) = &gone.subscriber {
            self.stop(&s.peer, s.subscriptions.flows());
        }
    }

    /// Every track that is there already, for a participant that wants all of them.
    pub(super) fn subscribe_to_everything(&mut self, sid: &Arc<str>) {
        if !self.participants.get(sid).is_some_and(|p| p.auto_subscribe) {
            return;
        }
        for (publisher, track, kind) in self.published_tracks(sid) {
            self.want(sid, &publisher, &track, kind);
        }
    }

    /// Every negotiated track of everybody but `except`.
    pub(super) fn published_tracks(&self, except: &str) -> Vec<(Arc<str>, String, MediaKind)> {
        self.participants
            .values()
            .filter(|p| p.sid.as_ref() != except)
            .flat_map(|p| {
                p.tracks
                    .iter()
                    .filter(|t| t.mid.is_some())
                    .map(|t| (Arc::clone(&p.sid), t.info.sid.clone(), t.kind()))
            })
            .collect()
    }

    /// Agree with the client on what changed, unless it still has to answer: then afterwards.
    pub(super) async fn negotiate(&mut self, sid: &Arc<str>) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let single = p.single_connection;
        let Some(s) = &mut p.subscriber else { return };
        if s.outstanding.is_some() {
            s.again = true;
        } else if single {
            self.require_sections(sid);
        } else {
            self.offer(sid).await;
        }
    }

    /// The sections in which it is sent two channels.
    pub(super) fn stereo_sections(&self, sid: &str) -> Vec<String> {
        let p = self.participants.get(sid);
        let subscriber = p.and_then(|p| p.subscriber.as_ref());
        let carried = subscriber
            .into_iter()
            .flat_map(|s| s.subscriptions.all_carried());
        let stereo = carried.filter(|(_, publisher, track)| {
            let tracks = self.participants.get(*publisher).map(|p| &p.tracks);
            let mut tracks = tracks.into_iter().flatten();
            tracks.any(|t| t.info.sid == *track && is_stereo(&t.info))
        });
        stereo.map(|(mid, ..)| mid.to_owned()).collect()
    }

    /// Offer what changed.
    async fn offer(&mut self, sid: &Arc<str>) {
        let Some(s) = self.subscriber_of(sid) else {
            return;
        };
        let mut plan = s.subscriptions.plan();
        if std::mem::take(&mut s.restart_ice) {
            plan.changes.push(antiphon_rtc::MediaChange::RestartIce);
        }
        s.again = plan.again;
        self.tell_left_out(sid, &plan.newly_left_out);
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let Some(s) = &mut p.subscriber else { return };
        if plan.changes.is_empty() {
            return;
        }
        let offer = match s.peer.create_offer(plan.changes).await {
            Ok(offer) => offer,
            Err(error) => {
                tracing::warn!(room = %self.handle.name, participant = %sid, %error, "no offer could be made");
                // Boxed: leaving negotiates with others, which may come here again.
                Box::pin(self.remove(sid, DisconnectReason::StateMismatch)).await;
                return;
            }
        };
        for (wanted, mid) in plan.added.iter().zip(offer.mids) {
            s.subscriptions.added(wanted, mid);
        }
        let stereo = self.stereo_sections(sid);
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let Some(s) = &mut p.subscriber else { return };
        s.outstanding = Some(Instant::now());
        s.offer_id = s.offer_id.wrapping_add(1).max(1);
        let sdp = announce_stereo(&hold_open(&offer.sdp), &stereo);
        let description = SessionDescription {
            r#type: "offer".to_owned(),
            sdp: rewrite_msids(&sdp, &s.subscriptions.msids()),
            id: s.offer_id,
            mid_to_track_id: s.subscriptions.mid_to_track(),
        };
        p.send(Message::Offer(description));
    }

    /// Only the client offers: ask it for sections, or for an offer as it stands.
    fn require_sections(&mut self, sid: &Arc<str>) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let Some(s) = p.subscriber.as_mut().filter(|_| !p.first_offer_waits) else {
            return;
        };
        let (requirement, newly_left_out) = s.subscriptions.requirement();
        if let Some(requirement) = requirement {
            s.outstanding = Some(Instant::now());
            p.send(Message::MediaSectionsRequirement(
                MediaSectionsRequirement {
                    num_audios: requirement.audio,
                    num_videos: requirement.video,
                },
            ));
        }
        self.tell_left_out(sid, &newly_left_out);
    }

    fn tell_left_out(&mut self, sid: &str, tracks: &[String]) {
        if tracks.is_empty() {
            return;
        }
        tracing::warn!(room = %self.handle.name, participant = %sid, tracks = tracks.len(),
            "the room has more tracks than one participant can be subscribed to; some are left out");
        if let Some(p) = self.participants.get_mut(sid) {
            p.send_not_subscribed(tracks, SubscriptionError::SeUnknown);
        }
    }

    /// The answer to our offer: media may flow.
    pub(super) async fn on_answer(&mut self, sid: &Arc<str>, answer: SessionDescription) {
        let single = self
            .participants
            .get(sid)
            .is_some_and(|p| p.single_connection);
        let Some(s) = self.subscriber_of(sid).filter(|_| !single) else {
            return;
        };
        if s.outstanding.is_none() || (answer.id != 0 && answer.id != s.offer_id) {
            tracing::debug!(participant = %sid, id = answer.id, "an answer to no offer of ours is ignored");
            return;
        }
        let agreed = sdp::sections(&answer.sdp);
        if let Err(error) = s.peer.accept_answer(answer.sdp).await {
            if self.state.repeated.is_first("answer refused", sid) {
                tracing::warn!(room = %self.handle.name, participant = %sid, %error, "answer refused");
            }
            self.remove(sid, DisconnectReason::StateMismatch).await;
            return;
        }
        if self.drop_not_understood(sid, &agreed) {
            self.negotiate(sid).await;
        }
        self.agreed(sid).await;
    }

    /// Unsubscribe it from what it cannot decode, as the agreed sections tell, and say so. True if that changed something.
    pub(super) fn drop_not_understood(&mut self, sid: &Arc<str>, agreed: &[sdp::Section]) -> bool {
        let codec_of = |publisher: &str, track: &str| {
            let tracks = &self.participants.get(publisher)?.tracks;
            let found = tracks.iter().find(|t| t.info.sid == track)?;
            codec_in_descriptions(&found.info.mime_type)
        };
        let subscriber = self
            .participants
            .get(sid)
            .and_then(|p| p.subscriber.as_ref());
        let tracks = subscriber.map(|s| s.subscriptions.not_understood(agreed, codec_of));
        let tracks = tracks.unwrap_or_default();
        if tracks.is_empty() {
            return false;
        }
        tracing::info!(room = %self.handle.name, participant = %sid, ?tracks, "the client does not have the codec of these tracks");
        if let Some(p) = self.participants.get_mut(sid) {
            p.send_not_subscribed(&tracks, SubscriptionError::SeCodecUnsupported);
        }
        self.unwant(sid, &tracks)
    }

    /// The sections are agreed upon.
    pub(super) async fn agreed(&mut self, sid: &Arc<str>) {
        let Some(s) = self.subscriber_of(sid) else {
            return;
        };
        s.outstanding = None;
        let again = std::mem::take(&mut s.again);
        self.start_forwarding(sid);
        let single = self
            .participants
            .get(sid)
            .is_some_and(|p| p.single_connection);
        if again || single {
            self.negotiate(sid).await;
        }
    }

    /// The client's offer with a single connection: tracks are put into its sections. What nothing is put into is held.
    pub(super) fn take_slots(&mut self, sid: &str, sections: &[sdp::Section]) -> Vec<String> {
        let Some(p) = self.participants.get_mut(sid) else {
            return Vec::new();
        };
        p.first_offer_waits = false;
        let Some(s) = &mut p.subscriber else {
            let receiving = sections.iter().filter(|s| s.receives && !s.sends);
            return receiving.map(|s| s.mid.clone()).collect();
        };
        let slots = s.subscriptions.take_slots(sections);
        let to = s.peer.clone();
        self.stop(&to, slots.stopped);
        slots.held
    }

    /// Start what was negotiated, wanted and not paused.
    pub(super) fn start_forwarding(&mut self, sid: &Arc<str>) {
        let Some(s) = self.subscriber_of(sid) else {
            return;
        };
        let (start, to) = (s.subscriptions.to_start(), s.peer.clone());
        for (to_mid, wanted) in start {
            if let Some(from) = self.forward(&wanted, to.clone(), &to_mid)
                && let Some(s) = self.subscriber_of(sid)
            {
                s.subscriptions.started(&to_mid, from);
            }
        }
    }

    /// Forward a track and tell its publisher that somebody listens; agents wait for that before they speak.
    fn forward(&mut self, wanted: &Wanted, to: antiphon_rtc::Peer, to_mid: &str) -> Option<String> {
        let track = wanted.track.as_str();
        let p = self.participants.get_mut(&wanted.publisher)?;
        let protocol = p.client.protocol;
        let peer = p.publisher.clone()?;
        let found = p.track(track)?;
        let from_mid = found.mid.clone()?;
        let first = !std::mem::replace(&mut found.subscribed, true);
        let redundant = found.info.encryption == 0 && !is_stereo(&found.info);
        peer.forward(Forward {
            from_mid: from_mid.clone(),
            to,
            to_mid: to_mid.to_owned(),
            highest_layer: wanted.highest_layer,
            redundant,
        });
        if first && protocol >= 10 {
            p.send(Message::TrackSubscribed(TrackSubscribed {
                track_sid: track.to_owned(),
            }));
        }
        Some(from_mid)
    }

    /// What a subscriber wants to see of its tracks: nothing for now, or a picture of this size.
    pub(super) fn on_track_settings(&mut self, sid: &Arc<str>, settings: &UpdateTrackSettings) {
        let layers: Vec<(String, usize)> = self
            .published_tracks(sid)
            .into_iter()
            .filter(|(_, track, kind)| {
                *kind == MediaKind::Video && settings.track_sids.contains(track)
            })
            .filter_map(|(publisher, track, _)| {
                let tracks = &self.participants.get(&publisher)?.tracks;
                let found = tracks.iter().find(|t| t.info.sid == track)?;
                let layers = found.info.codecs.first().map(|codec| &*codec.layers);
                let layer = highest_layer(layers.unwrap_or_default(), settings);
                Some((track, layer))
            })
            .collect();
        self.set_disabled(sid, &settings.track_sids, settings.disabled);
        if let Some(s) = self.subscriber_of(sid) {
            for (track, layer) in layers {
                s.subscriptions.set_highest_layer(&track, layer);
            }
        }
        self.start_forwarding(sid);
    }

    /// Pause or go on with tracks, as the subscriber asks.
    pub(super) fn set_disabled(&mut self, sid: &Arc<str>, tracks: &[String], disabled: bool) {
        let Some(s) = self.subscriber_of(sid) else {
            return;
        };
        let stopped = s.subscriptions.set_disabled(tracks, disabled);
        let to = s.peer.clone();
        self.stop(&to, stopped);
        if !disabled {
            self.start_forwarding(sid);
        }
    }
}

/// The largest simulcast layer that a subscriber with these settings has a use for.
fn highest_layer(layers: &[VideoLayer], settings: &UpdateTrackSettings) -> usize {
    let mut sizes: Vec<u32> = layers.iter().map(|l| l.width.min(l.height)).collect();
    sizes.sort_unstable();
    if settings.width > 0 && settings.height > 0 {
        let wanted = settings.width.min(settings.height);
        let enough = sizes.iter().position(|size| *size >= wanted);
        return enough.unwrap_or(Forward::ALL_LAYERS);
    }
    match settings.quality() {
        VideoQuality::Low => 0,
        VideoQuality::Medium => 1,
        VideoQuality::High | VideoQuality::Off => Forward::ALL_LAYERS,
    }
}
