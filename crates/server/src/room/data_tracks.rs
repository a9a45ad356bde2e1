//! Data tracks: frames of bytes on their own channel, published under a handle of the publisher's and passed on under one of
//! each subscriber's. A frame that finds no room is lost, as on every lossy channel.

use std::sync::Arc;

use antiphon_protocol::ids;
use antiphon_protocol::names::CHANNEL_DATA_TRACK;
use antiphon_protocol::proto::data_track_subscriber_handles::PublishedDataTrack;
use antiphon_protocol::proto::request_response::{Reason, Request};
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    DataTrackInfo, DataTrackSubscriberHandles, PublishDataTrackRequest, PublishDataTrackResponse,
    RequestResponse, UnpublishDataTrackRequest, UnpublishDataTrackResponse, UpdateDataSubscription,
};
use bytes::Bytes;

use super::actor::Room;
use crate::limits::{MAX_DATA_SUBSCRIPTIONS, MAX_DATA_TRACKS, MAX_NAME_BYTES};

/// The header of a frame: flags, handle, sequence number, frame number, time stamp.
const HEADER_BYTES: usize = 12;
/// Where the handle stands in it.
const HANDLE: std::ops::Range<usize> = 2..4;

/// The handle of a frame; `None`: it is none.
pub(crate) fn handle_of(frame: &[u8]) -> Option<u16> {
    let header = frame.get(..HEADER_BYTES)?;
    let handle = header.get(HANDLE)?.try_into().ok()?;
    Some(u16::from_be_bytes(handle))
}

/// The same frame under another handle.
pub(crate) fn with_handle(frame: &[u8], handle: u16) -> Bytes {
    let mut copy = frame.to_vec();
    if let Some(place) = copy.get_mut(HANDLE) {
        place.copy_from_slice(&handle.to_be_bytes());
    }
    copy.into()
}

/// The data tracks that a participant publishes and is subscribed to.
#[derive(Debug, Default)]
pub(super) struct DataTracks {
    pub(super) published: Vec<DataTrackInfo>,
    /// Handle, publisher and track.
    subscribed: Vec<(u16, Arc<str>, String)>,
    last_handle: u16,
}

impl DataTracks {
    /// Why this track cannot be published.
    fn refusal(&self, request: &PublishDataTrackRequest) -> Option<(Reason, &'static str)> {
        let handle = u16::try_from(request.pub_handle).unwrap_or_default();
        let published = |taken: fn(&DataTrackInfo, &PublishDataTrackRequest) -> bool| {
            self.published.iter().any(|track| taken(track, request))
        };
        if handle == 0 {
            let text = "handle should be > 0 AND < 65536";
            Some((Reason::InvalidHandle, text))
        } else if request.name.is_empty() || request.name.len() > MAX_NAME_BYTES {
            let text = "name should not be empty and should not exceed 256 bytes";
            Some((Reason::InvalidName, text))
        } else if published(|track, request| track.pub_handle == request.pub_handle) {
            let text = "a data track with same handle already exists";
            Some((Reason::DuplicateHandle, text))
        } else if published(|track, request| track.name == request.name) {
            let text = "a data track with same name already exists";
            Some((Reason::DuplicateName, text))
        } else if self.published.len() >= MAX_DATA_TRACKS {
            Some((Reason::LimitExceeded, "too many data tracks"))
        } else {
            None
        }
    }

    /// Subscribe to a track. False: it is already, or to too many.
    fn subscribe(&mut self, publisher: &Arc<str>, track: &str) -> bool {
        let known = self.subscribed.iter().any(|(_, _, sid)| sid == track);
        if known || self.subscribed.len() >= MAX_DATA_SUBSCRIPTIONS {
            return false;
        }
        // Handles are used again only after all others: a frame that is under way belongs to nobody else.
        let free = |handle: &u16| !self.subscribed.iter().any(|(taken, ..)| taken == handle);
        let after = (self.last_handle..u16::MAX).map(|handle| handle + 1);
        let Some(handle) = after.chain(1..=self.last_handle).find(free) else {
            return false;
        };
        self.last_handle = handle;
        let subscription = (handle, Arc::clone(publisher), track.to_owned());
        self.subscribed.push(subscription);
        true
    }

    /// Give up subscriptions; true if there were any.
    fn unsubscribe(&mut self, gone: impl Fn(&Arc<str>, &str) -> bool) -> bool {
        let before = self.subscribed.len();
        self.subscribed
            .retain(|(_, publisher, track)| !gone(publisher, track));
        self.subscribed.len() != before
    }
}

impl Room {
    pub(super) fn on_publish_data_track(
        &mut self,
        sid: &Arc<str>,
        request: PublishDataTrackRequest,
    ) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let refusal = if p.permission.can_publish_data {
            p.data_tracks.refusal(&request)
        } else {
            let text = "does not have permission to publish data";
            Some((Reason::NotAllowed, text))
        };
        if let Some((reason, text)) = refusal {
            p.send(Message::RequestResponse(RequestResponse {
                reason: reason as i32,
                message: text.to_owned(),
                request: Some(Request::PublishDataTrack(request)),
                ..RequestResponse::default()
            }));
            return;
        }
        let info = DataTrackInfo {
            pub_handle: request.pub_handle,
            sid: ids::new(ids::DATA_TRACK),
            name: request.name,
            encryption: request.encryption,
            frame_encoding: request.frame_encoding,
            schema: request.schema,
        };
        tracing::info!(room = %self.handle.name, participant = %sid, track = info.sid, "data track published");
        p.data_tracks.published.push(info.clone());
        p.send(Message::PublishDataTrackResponse(
            PublishDataTrackResponse {
                info: Some(info.clone()),
            },
        ));
        self.changed(sid);
        let everybody: Vec<Arc<str>> = self
            .participants
            .values()
            .filter(|p| p.sid != *sid && p.auto_subscribe_data)
            .map(|p| Arc::clone(&p.sid))
            .collect();
        for subscriber in everybody {
            self.subscribe_data(&subscriber, sid, &info.sid);
        }
    }

    pub(super) fn on_unpublish_data_track(
        &mut self,
        sid: &Arc<str>,
        request: UnpublishDataTrackRequest,
    ) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let published = &mut p.data_tracks.published;
        let at = published
            .iter()
            .position(|t| t.pub_handle == request.pub_handle);
        let Some(info) = at.map(|at| published.remove(at)) else {
            p.send(Message::RequestResponse(RequestResponse {
                reason: Reason::NotFound as i32,
                request: Some(Request::UnpublishDataTrack(request)),
                ..RequestResponse::default()
            }));
            return;
        };
        p.send(Message::UnpublishDataTrackResponse(
            UnpublishDataTrackResponse {
                info: Some(info.clone()),
            },
        ));
        self.changed(sid);
        self.forget_data(|_, track| track == info.sid);
    }

    pub(super) fn on_data_subscription(&mut self, sid: &Arc<str>, update: &UpdateDataSubscription) {
        for update in update.updates.iter().take(MAX_DATA_SUBSCRIPTIONS) {
            let track = &update.track_sid;
            if !update.subscribe {
                self.unsubscribe_data(sid, |_, known| known == track);
                continue;
            }
            let publisher = self.participants.values().find(|p| {
                let mut published = p.data_tracks.published.iter();
                p.sid != *sid && published.any(|info| info.sid == *track)
            });
            if let Some(publisher) = publisher.map(|p| Arc::clone(&p.sid)) {
                self.subscribe_data(sid, &publisher, track);
            }
        }
    }

    /// Every data track that is there already, for a participant that wants all of them.
    pub(super) fn subscribe_to_all_data(&mut self, sid: &Arc<str>) {
        if !self
            .participants
            .get(sid)
            .is_some_and(|p| p.auto_subscribe_data)
        {
            return;
        }
        let others = self.participants.values().filter(|p| p.sid != *sid);
        let tracks: Vec<(Arc<str>, String)> = others
            .flat_map(|p| {
                let published = p.data_tracks.published.iter();
                published.map(|track| (Arc::clone(&p.sid), track.sid.clone()))
            })
            .collect();
        for (publisher, track) in tracks {
            self.subscribe_data(sid, &publisher, &track);
        }
    }

    fn subscribe_data(&mut self, subscriber: &Arc<str>, publisher: &Arc<str>, track: &str) {
        let Some(identity) = self
            .participants
            .get(subscriber)
            .filter(|p| p.permission.can_subscribe)
            .map(|p| Arc::clone(&p.identity))
        else {
            return;
        };
        let allowed = self
            .participants
            .get(publisher)
            .is_some_and(|p| p.allows(subscriber, &identity, track));
        let Some(p) = self.participants.get_mut(subscriber) else {
            return;
        };
        if allowed && p.data_tracks.subscribe(publisher, track) {
            self.send_handles(subscriber);
        }
    }

    /// What this subscriber has of these tracks is over.
    fn unsubscribe_data(&mut self, sid: &str, gone: impl Fn(&Arc<str>, &str) -> bool) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        if p.data_tracks.unsubscribe(gone) {
            self.send_handles(sid);
        }
    }

    /// These tracks are over for everybody.
    pub(super) fn forget_data(&mut self, gone: impl Fn(&Arc<str>, &str) -> bool) {
        let everybody: Vec<Arc<str>> = self.participants.keys().cloned().collect();
        for sid in everybody {
            self.unsubscribe_data(&sid, &gone);
        }
    }

    /// A participant may not subscribe any more, or a publisher has chosen who may: what is not allowed ends.
    pub(super) fn revoke_data(&mut self) {
        let everybody: Vec<Arc<str>> = self.participants.keys().cloned().collect();
        for sid in everybody {
            let Some(p) = self.participants.get(&sid) else {
                continue;
            };
            let (identity, may) = (Arc::clone(&p.identity), p.permission.can_subscribe);
            let subscribed = p.data_tracks.subscribed.iter();
            let forbidden: Vec<String> = subscribed
                .filter(|(_, publisher, track)| {
                    let publisher = self.participants.get(publisher);
                    !may || !publisher.is_some_and(|p| p.allows(&sid, &identity, track))
                })
                .map(|(_, _, track)| track.clone())
                .collect();
            self.unsubscribe_data(&sid, |_, track| forbidden.iter().any(|f| f == track));
        }
    }

    /// Tell a subscriber under which handle it gets what.
    pub(super) fn send_handles(&mut self, sid: &str) {
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        let subscribed = p.data_tracks.subscribed.iter();
        let sub_handles = subscribed
            .filter_map(|(handle, publisher, track)| {
                let track = PublishedDataTrack {
                    publisher_identity: self.participants.get(publisher)?.identity.to_string(),
                    publisher_sid: publisher.to_string(),
                    track_sid: track.clone(),
                };
                Some((u32::from(*handle), track))
            })
            .collect();
        if let Some(p) = self.participants.get_mut(sid) {
            p.send(Message::DataTrackSubscriberHandles(
                DataTrackSubscriberHandles { sub_handles },
            ));
        }
    }

    /// A frame that a participant sent.
    pub(super) fn on_data_track_frame(&mut self, sid: &Arc<str>, frame: &[u8]) {
        let Some(handle) = handle_of(frame) else {
            tracing::debug!(participant = %sid, bytes = frame.len(), "a data track's frame that is none");
            return;
        };
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        let mut published = p.data_tracks.published.iter();
        let Some(track) = published.find(|track| track.pub_handle == u32::from(handle)) else {
            return;
        };
        if !p.permission.can_publish_data {
            return;
        }
        for other in self.participants.values() {
            let mut subscribed = other.data_tracks.subscribed.iter();
            if let Some((handle, ..)) = subscribed.find(|(_, _, sid)| *sid == track.sid)
                && let Some(peer) = other.data_peer()
            {
                peer.send_data(CHANNEL_DATA_TRACK, with_handle(frame, *handle));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request(pub_handle: u32, name: &str) -> PublishDataTrackRequest {
        PublishDataTrackRequest {
            pub_handle,
            name: name.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn a_frame_goes_on_under_the_subscribers_handle_and_nothing_else_of_it_changes() {
        let frame: Vec<u8> = (0..20).collect();
        assert_eq!(handle_of(&frame), Some(0x0203));
        let passed = with_handle(&frame, 0xabcd);
        assert_eq!(handle_of(&passed), Some(0xabcd));
        assert_eq!((&passed[..2], &passed[4..]), (&frame[..2], &frame[4..]));
        assert_eq!(handle_of(&frame[..11]), None);
    }

    #[test]
    fn handles_and_names_are_one_publishers_own_and_have_limits() {
        let mut tracks = DataTracks::default();
        tracks.published.push(DataTrackInfo {
            pub_handle: 7,
            name: "wind".to_owned(),
            ..Default::default()
        });
        for (refused, why) in [
            (request(0, "x"), Reason::InvalidHandle),
            (request(70_000, "x"), Reason::InvalidHandle),
            (request(1, ""), Reason::InvalidName),
            (request(1, &"x".repeat(300)), Reason::InvalidName),
            (request(7, "x"), Reason::DuplicateHandle),
            (request(1, "wind"), Reason::DuplicateName),
        ] {
            assert_eq!(tracks.refusal(&refused).map(|(why, _)| why), Some(why));
        }
        assert_eq!(tracks.refusal(&request(1, "x")), None);
    }

    #[test]
    fn a_handle_that_became_free_is_not_the_next_one_given() {
        let mut tracks = DataTracks::default();
        let ann: Arc<str> = Arc::from("PA_ann");
        assert!(tracks.subscribe(&ann, "DTR_1") && tracks.subscribe(&ann, "DTR_2"));
        assert!(!tracks.subscribe(&ann, "DTR_2"), "it is subscribed already");
        assert!(tracks.unsubscribe(|_, track| track == "DTR_1"));
        assert!(tracks.subscribe(&ann, "DTR_3"));
        let handles: Vec<u16> = tracks
            .subscribed
            .iter()
            .map(|(handle, ..)| *handle)
            .collect();
        assert_eq!(handles, [2, 3]);
    }
}
