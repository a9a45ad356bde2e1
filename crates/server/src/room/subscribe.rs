//! Offers to a subscriber, and forwarding.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use antiphon_protocol::names::{CHANNEL_DATA_TRACK, CHANNEL_LOSSY, CHANNEL_RELIABLE};
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    DisconnectReason, SessionDescription, TrackSubscribed, UpdateTrackSettings, VideoLayer,
    VideoQuality,
};
use antiphon_rtc::{Forward, MediaChange, MediaKind};

use super::actor::Room;
use super::participant::{Participant, Section, Subscriber, Used, Wanted};
use super::sdp;
use crate::limits::{MAX_SUBSCRIPTIONS, MAX_VIDEO_SUBSCRIPTIONS};

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
        if !allowed {
            if !s.refused.iter().any(|refused| refused == track) {
                s.refused.push(track.to_owned());
                p.send_subscription_permission(publisher, track, false);
            }
            return false;
        }
        s.refused.retain(|refused| refused != track);
        if s.wanted.iter().any(|w| w.track == track) {
            return false;
        }
        s.wanted.push(Wanted {
            track: track.to_owned(),
            publisher: Arc::clone(publisher),
            kind,
            disabled: false,
            highest_layer: Forward::ALL_LAYERS,
        });
        true
    }

    /// A participant shall no longer hear these tracks. True if that changed something; then negotiate.
    pub(super) fn unwant(&mut self, subscriber: &Arc<str>, tracks: &[String]) -> bool {
        let mut stopped = Vec::new();
        let Some(p) = self.participants.get_mut(subscriber) else {
            return false;
        };
        let Some(s) = &mut p.subscriber else {
            return false;
        };
        s.refused.retain(|refused| !tracks.contains(refused));
        let before = s.wanted.len();
        s.wanted.retain(|w| !tracks.contains(&w.track));
        for section in &mut s.sections {
            if let Some(used) = section
                .used
                .as_mut()
                .filter(|used| tracks.contains(&used.track))
                && let Some(from) = used.forwarding_from.take()
            {
                stopped.push((Arc::clone(&used.publisher), from, section.mid.clone()));
            }
        }
        let changed = s.wanted.len() != before;
        let peer = s.peer.clone();
        for (publisher, from, to) in stopped {
            if let Some(publisher) = self
                .participants
                .get(&publisher)
                .and_then(|p| p.publisher.as_ref())
            {
                publisher.stop_forward(&from, &peer, &to);
            }
        }
        changed
    }

    /// Did it ask for this track and was refused?
    pub(super) fn was_refused(&self, subscriber: &str, track: &str) -> bool {
        self.participants
            .get(subscriber)
            .and_then(|p| p.subscriber.as_ref())
            .is_some_and(|s| s.refused.iter().any(|refused| refused == track))
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
        let Some(s) = &gone.subscriber else { return };
        for section in &s.sections {
            let Some(used) = &section.used else { continue };
            let publisher = self
                .participants
                .get(&used.publisher)
                .and_then(|p| p.publisher.as_ref());
            if let (Some(publisher), Some(from)) = (publisher, &used.forwarding_from) {
                publisher.stop_forward(from, &s.peer, &section.mid);
            }
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

    /// Offer what changed, unless an offer is still waiting for its answer: then afterwards.
    pub(super) async fn negotiate(&mut self, sid: &Arc<str>) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let Some(s) = &mut p.subscriber else { return };
        if s.outstanding.is_some() {
            s.again = true;
            return;
        }
        let plan = plan(s);
        let news: Vec<String> = plan
            .left_out
            .iter()
            .filter(|track| !s.left_out.contains(track))
            .cloned()
            .collect();
        // What was set free now carries another track after the client has seen it inactive.
        s.again = plan.set_free && !plan.left_out.is_empty();
        s.left_out = plan.left_out;
        if !news.is_empty() {
            tracing::warn!(room = %self.handle.name, participant = %sid, tracks = news.len(),
                "the room has more tracks than one participant can be subscribed to; some are left out");
            p.send_not_subscribed(&news);
        }
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
        for (wanted, mid) in plan.added.into_iter().zip(offer.mids) {
            let used = Some(Used {
                track: wanted.track,
                publisher: wanted.publisher,
                forwarding_from: None,
            });
            s.sections.push(Section {
                mid,
                kind: wanted.kind,
                used,
            });
        }
        s.outstanding = Some(Instant::now());
        s.offer_id = s.offer_id.wrapping_add(1).max(1);
        let used = || {
            s.sections
                .iter()
                .filter_map(|section| Some((section.mid.clone(), section.used.as_ref()?)))
        };
        let msids: HashMap<String, (String, String)> = used()
            .map(|(mid, used)| {
                (
                    mid,
                    (
                        format!("{}|{}", used.publisher, used.track),
                        used.track.clone(),
                    ),
                )
            })
            .collect();
        let description = SessionDescription {
            r#type: "offer".to_owned(),
            sdp: sdp::rewrite_msids(&offer.sdp, &msids),
            id: s.offer_id,
            mid_to_track_id: used()
                .map(|(mid, used)| (mid, used.track.clone()))
                .collect(),
        };
        p.send(Message::Offer(description));
    }

    /// The answer to our offer: media may flow.
    pub(super) async fn on_answer(&mut self, sid: &Arc<str>, answer: SessionDescription) {
        let Some(s) = self
            .participants
            .get_mut(sid)
            .and_then(|p| p.subscriber.as_mut())
        else {
            return;
        };
        if s.outstanding.is_none() || (answer.id != 0 && answer.id != s.offer_id) {
            tracing::debug!(participant = %sid, id = answer.id, "an answer to no offer of ours is ignored");
            return;
        }
        if let Err(error) = s.peer.accept_answer(answer.sdp).await {
            if self.state.repeated.is_first("answer refused", sid) {
                tracing::warn!(room = %self.handle.name, participant = %sid, %error, "answer refused");
            }
            self.remove(sid, DisconnectReason::StateMismatch).await;
            return;
        }
        s.outstanding = None;
        let again = std::mem::take(&mut s.again);
        self.start_forwarding(sid);
        if again {
            self.negotiate(sid).await;
        }
    }

    /// Start what was negotiated, wanted and not paused.
    pub(super) fn start_forwarding(&mut self, sid: &Arc<str>) {
        let mut start = Vec::new();
        let Some(s) = self
            .participants
            .get_mut(sid)
            .and_then(|p| p.subscriber.as_mut())
        else {
            return;
        };
        for section in &s.sections {
            let Some(used) = section
                .used
                .as_ref()
                .filter(|used| used.forwarding_from.is_none())
            else {
                continue;
            };
            if let Some(wanted) = s
                .wanted
                .iter()
                .find(|w| w.track == used.track && !w.disabled)
            {
                start.push((section.mid.clone(), wanted.clone()));
            }
        }
        let to = s.peer.clone();
        for (to_mid, wanted) in start {
            if let Some(from) = self.forward(&wanted, to.clone(), &to_mid)
                && let Some(s) = self
                    .participants
                    .get_mut(sid)
                    .and_then(|p| p.subscriber.as_mut())
                && let Some(used) = s
                    .sections
                    .iter_mut()
                    .find(|x| x.mid == to_mid)
                    .and_then(|x| x.used.as_mut())
            {
                used.forwarding_from = Some(from);
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
        peer.forward(Forward {
            from_mid: from_mid.clone(),
            to,
            to_mid: to_mid.to_owned(),
            highest_layer: wanted.highest_layer,
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
        if let Some(s) = self
            .participants
            .get_mut(sid)
            .and_then(|p| p.subscriber.as_mut())
        {
            for wanted in &mut s.wanted {
                if let Some((_, layer)) = layers.iter().find(|(track, _)| *track == wanted.track)
                    && std::mem::replace(&mut wanted.highest_layer, *layer) != *layer
                    && !settings.disabled
                {
                    // What is forwarded already is forwarded again, by the new rule.
                    for used in s.sections.iter_mut().filter_map(|x| x.used.as_mut()) {
                        if used.track == wanted.track {
                            used.forwarding_from = None;
                        }
                    }
                }
            }
        }
        self.set_disabled(sid, &settings.track_sids, settings.disabled);
    }

    /// Pause or go on with tracks, as the subscriber asks.
    pub(super) fn set_disabled(&mut self, sid: &Arc<str>, tracks: &[String], disabled: bool) {
        let mut stop = Vec::new();
        let Some(s) = self
            .participants
            .get_mut(sid)
            .and_then(|p| p.subscriber.as_mut())
        else {
            return;
        };
        for wanted in s.wanted.iter_mut().filter(|w| tracks.contains(&w.track)) {
            wanted.disabled = disabled;
        }
        if !disabled {
            self.start_forwarding(sid);
            return;
        }
        for section in &mut s.sections {
            if let Some(used) = section
                .used
                .as_mut()
                .filter(|used| tracks.contains(&used.track))
                && let Some(from) = used.forwarding_from.take()
            {
                stop.push((Arc::clone(&used.publisher), from, section.mid.clone()));
            }
        }
        let peer = s.peer.clone();
        for (publisher, from, to) in stop {
            if let Some(publisher) = self
                .participants
                .get(&publisher)
                .and_then(|p| p.publisher.as_ref())
            {
                publisher.stop_forward(&from, &peer, &to);
            }
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

struct Plan {
    changes: Vec<MediaChange>,
    added: Vec<Wanted>,
    /// Wanted tracks for which there is no section.
    left_out: Vec<String>,
    /// A section was set free.
    set_free: bool,
}

/// What an offer must change so that the sections carry what is wanted. Sections that became free are used again by a
/// later offer, when the client has seen them inactive.
fn plan(s: &mut Subscriber) -> Plan {
    let mut plan = Plan {
        changes: Vec::new(),
        added: Vec::new(),
        left_out: Vec::new(),
        set_free: false,
    };
    if !std::mem::replace(&mut s.channels_offered, true) {
        for label in [CHANNEL_RELIABLE, CHANNEL_LOSSY, CHANNEL_DATA_TRACK] {
            plan.changes.push(MediaChange::AddChannel {
                label: label.to_owned(),
            });
        }
    }
    let mut free: Vec<usize> = (0..s.sections.len())
        .filter(|at| s.sections.get(*at).is_some_and(|x| x.used.is_none()))
        .collect();
    for section in &mut s.sections {
        if section
            .used
            .as_ref()
            .is_some_and(|used| !s.wanted.iter().any(|w| w.track == used.track))
        {
            section.used = None;
            plan.set_free = true;
            plan.changes.push(MediaChange::SetSending {
                mid: section.mid.clone(),
                sending: false,
            });
        }
    }
    let is_video = |kind: MediaKind| kind == MediaKind::Video;
    let mut video = s.sections.iter().filter(|x| is_video(x.kind)).count();
    // Voices first: to miss one is worse than to miss a picture.
    let (pictures, voices): (Vec<_>, Vec<_>) = s.wanted.iter().partition(|w| is_video(w.kind));
    for wanted in voices.into_iter().chain(pictures) {
        let all = s.sections.len() + plan.added.len();
        if s.sections.iter().any(|x| {
            x.used
                .as_ref()
                .is_some_and(|used| used.track == wanted.track)
        }) {
            continue;
        }
        let reuse = free
            .iter()
            .position(|at| s.sections.get(*at).is_some_and(|x| x.kind == wanted.kind));
        match reuse
            .map(|at| free.swap_remove(at))
            .and_then(|at| s.sections.get_mut(at))
        {
            Some(section) => {
                section.used = Some(Used {
                    track: wanted.track.clone(),
                    publisher: Arc::clone(&wanted.publisher),
                    forwarding_from: None,
                });
                plan.changes.push(MediaChange::SetSending {
                    mid: section.mid.clone(),
                    sending: true,
                });
            }
            None if all >= MAX_SUBSCRIPTIONS
                || (is_video(wanted.kind) && video >= MAX_VIDEO_SUBSCRIPTIONS) =>
            {
                plan.left_out.push(wanted.track.clone());
            }
            None => {
                video += usize::from(is_video(wanted.kind));
                plan.changes.push(MediaChange::AddSending {
                    kind: wanted.kind,
                    stream_id: format!("{}|{}", wanted.publisher, wanted.track),
                    track_id: wanted.track.clone(),
                });
                plan.added.push(wanted.clone());
            }
        }
    }
    if std::mem::take(&mut s.restart_ice) {
        plan.changes.push(MediaChange::RestartIce);
    }
    plan
}
