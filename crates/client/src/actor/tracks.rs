//! Our tracks, their tracks.

use std::sync::{Arc, PoisonError};

use antiphon_rtc::{MediaChange, MediaKind};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    AddTrackRequest, TrackPublishedResponse, TrackSource, TrackType, UpdateSubscription,
};

use super::link::Link;
use super::{Actor, LocalTrack, PublishReply};
use crate::audio::{LocalShared, audio_channel};
use crate::rpc::random_id;
use crate::sdp::SentTrack;
use crate::transport::Change;
use crate::{AutoSubscribe, RoomError, RoomEvent, Track, limits};

impl Actor {
    // ---- ours ----------------------------------------------------------------------------------------------------

    /// Ask to publish a track; it goes on in [`Self::track_published`].
    pub(super) fn publish(
        &mut self,
        link: Option<&Link>,
        name: String,
        source: TrackSource,
        reply: PublishReply,
    ) {
        // A handle that stopped waiting wants its track no more.
        self.local_tracks
            .retain(|_, track| track.reply.as_ref().is_none_or(|reply| !reply.is_closed()));
        if self.local_tracks.len() >= limits::LOCAL_TRACKS {
            let limit = limits::LOCAL_TRACKS;
            let _ = reply.send(Err(RoomError::TooLarge {
                what: "the number of tracks",
                size: limit + 1,
                limit,
            }));
            return;
        }
        let track = LocalTrack {
            source,
            muted: false,
            shared: Arc::new(LocalShared::new(name)),
            mid: None,
            info: None,
            reply: Some(reply),
        };
        let cid = random_id();
        if let Some(link) = link {
            add_track(link, &cid, &track);
        }
        self.local_tracks.insert(cid, track);
    }

    /// On a new connection: publish everything again.
    pub(super) fn republish(&mut self, link: &Link) {
        let tracks: Vec<LocalTrack> = self.local_tracks.drain().map(|(_, track)| track).collect();
        for mut track in tracks {
            track.mid = None;
            track.info = None;
            track.shared.set_route(None);
            track.shared.subscribed.send_replace(false);
            let cid = random_id();
            add_track(link, &cid, &track);
            self.local_tracks.insert(cid, track);
        }
    }

    /// The server has accepted a track: now it goes into our offer.
    pub(super) fn track_published(&mut self, link: &mut Link, published: TrackPublishedResponse) {
        let Some(info) = published.track else { return };
        let Some(track) = self.local_tracks.get_mut(&published.cid) else {
            return;
        };
        track.shared.set_sid(info.sid.clone());
        track.info = Some(info);
        link.to_offer.push(Change {
            change: MediaChange::AddSending {
                kind: MediaKind::Audio,
                stream_id: link.participant_sid.clone(),
                track_id: published.cid.clone(),
            },
            cid: Some(published.cid),
        });
    }

    /// An answer has come: tracks in it can be heard from now on.
    pub(super) fn routes_ready(&mut self, link: &Link) {
        for track in self.local_tracks.values_mut() {
            if let Some(mid) = &track.mid {
                track
                    .shared
                    .set_route(Some((link.publisher.peer.clone(), mid.clone())));
                if let Some(reply) = track.reply.take() {
                    let _ = reply.send(Ok(track.shared.clone()));
                }
            }
        }
    }

    pub(super) fn local_track(&mut self, sid: &str) -> Option<&mut LocalTrack> {
        self.local_tracks
            .values_mut()
            .find(|track| track.info.as_ref().is_some_and(|info| info.sid == sid))
    }

    pub(super) fn local_muted(&mut self, sid: &str, muted: bool) {
        if let Some(track) = self.local_track(sid) {
            track.muted = muted;
        }
    }

    // ---- theirs --------------------------------------------------------------------------------------------------

    /// A remote track was announced.
    pub(super) fn track_seen(&mut self, link: &Link, track: &Track) {
        let by_default = self.options.auto_subscribe == AutoSubscribe::AudioOnly
            && track.kind == TrackType::Audio;
        if by_default || self.wanted.get(&track.sid) == Some(&true) {
            self.want(Some(link), track.sid.clone(), true);
        }
    }

    /// Subscribe or stop.
    pub(super) fn want(&mut self, link: Option<&Link>, track_sid: String, subscribe: bool) {
        if let Some(link) = link {
            let track_sids = vec![track_sid.clone()];
            link.signal.send(Request::Subscription(UpdateSubscription {
                track_sids,
                subscribe,
                ..Default::default()
            }));
        }
        self.wanted.insert(track_sid, subscribe);
    }

    /// A remote track is gone.
    pub(super) fn track_gone(&mut self, link: &Link, track_sid: &str) {
        self.wanted.remove(track_sid);
        self.unclaimed
            .retain(|(track, _)| track.track_sid != track_sid);
        let mids: Vec<String> = self
            .subscribed
            .values()
            .filter(|track| track.track_sid == track_sid)
            .map(|track| track.mid.clone())
            .collect();
        mids.iter().for_each(|mid| self.section_gone(link, mid));
    }

    /// The sections in which the server sends, after its offer.
    pub(super) fn sections_changed(&mut self, link: &Link, sent: Vec<SentTrack>) {
        let gone: Vec<String> = self
            .subscribed
            .values()
            .filter(|track| !sent.contains(track))
            .map(|track| track.mid.clone())
            .collect();
        gone.iter().for_each(|mid| self.section_gone(link, mid));
        for track in sent {
            if self.subscribed.contains_key(&track.mid) {
                continue;
            }
            let (sink, stream) = audio_channel();
            link.routes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(track.mid.clone(), sink);
            self.subscribed.insert(track.mid.clone(), track.clone());
            self.unclaimed.push((track, stream));
        }
        self.claim();
    }

    fn section_gone(&mut self, link: &Link, mid: &str) {
        link.routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(mid);
        let Some(track) = self.subscribed.remove(mid) else {
            return;
        };
        let claimed = self
            .unclaimed
            .iter()
            .all(|(unclaimed, _)| unclaimed.mid != mid);
        self.unclaimed.retain(|(unclaimed, _)| unclaimed.mid != mid);
        if claimed {
            let identity = self
                .roster
                .publisher_of(&track.track_sid)
                .map(|(publisher, _)| publisher.identity.clone());
            let identity = identity.unwrap_or_default();
            self.emit(RoomEvent::TrackUnsubscribed {
                identity,
                track_sid: track.track_sid,
            });
        }
    }

    /// Hand out the streams whose publisher is known by now.
    pub(super) fn claim(&mut self) {
        for (sent, stream) in std::mem::take(&mut self.unclaimed) {
            match self.roster.publisher_of(&sent.track_sid) {
                Some((participant, track)) => self.emit(RoomEvent::TrackSubscribed {
                    participant,
                    track,
                    audio: stream,
                }),
                None => self.unclaimed.push((sent, stream)),
            }
        }
    }

    /// All subscriptions end (a new connection begins).
    pub(super) fn forget_subscriptions(&mut self, link: &Link) {
        let mids: Vec<String> = self.subscribed.keys().cloned().collect();
        mids.iter().for_each(|mid| self.section_gone(link, mid));
    }
}

pub(super) fn add_track(link: &Link, cid: &str, track: &LocalTrack) {
    link.signal.send(Request::AddTrack(AddTrackRequest {
        cid: cid.to_owned(),
        name: track.shared.name.clone(),
        r#type: TrackType::Audio as i32,
        source: track.source as i32,
        muted: track.muted,
        // We send plain Opus (with its own redundancy, in-band FEC). LiveKit's server answers with RED as the first codec
        // otherwise, and drops every packet that is not RED: the agent would be mute.
        disable_red: true,
        ..Default::default()
    }));
}
