//! What is told to the operator's webhooks.

use std::sync::Arc;

use antiphon_protocol::proto::participant_info::State as Stage;
use antiphon_protocol::proto::{self, ParticipantInfo, TrackInfo, WebhookEvent};

use super::actor::Room;
use super::participant::Participant;
use crate::state::State;
use crate::webhook::event;

impl Room {
    pub(super) fn tell_started(&self) {
        self.tell(event::ROOM_STARTED, |event, room| {
            event.room = Some(room.info());
        });
    }

    /// The last that is told of a room.
    pub(super) fn tell_finished(&self) {
        self.tell(event::ROOM_FINISHED, |event, room| {
            event.room = Some(room.info());
        });
    }

    pub(super) fn tell_joined(&self, sid: &str) {
        self.tell(event::PARTICIPANT_JOINED, |event, room| {
            event.room = Some(room.info());
            event.participant = room.participants.get(sid).map(Participant::info);
        });
    }

    /// Somebody is gone, and so are the tracks. `stage` is what it was before.
    pub(super) fn tell_left(&self, info: &ParticipantInfo, stage: Stage, tracks: &[TrackInfo]) {
        for track in tracks {
            self.tell_track(event::TRACK_UNPUBLISHED, info, track);
        }
        let name = if stage == Stage::Active {
            event::PARTICIPANT_LEFT
        } else {
            event::PARTICIPANT_ABORTED
        };
        self.tell(name, |event, room| {
            event.room = Some(room.info());
            event.participant = Some(info.clone());
        });
    }

    /// As LiveKit has it, with the names of room and participant only.
    pub(super) fn tell_track(&self, name: &str, of: &ParticipantInfo, track: &TrackInfo) {
        self.tell(name, |event, room| {
            event.room = Some(proto::Room {
                sid: room.handle.sid.to_string(),
                name: room.handle.name.to_string(),
                ..proto::Room::default()
            });
            event.participant = Some(ParticipantInfo {
                sid: of.sid.clone(),
                identity: of.identity.clone(),
                ..ParticipantInfo::default()
            });
            event.track = Some(track.clone());
        });
    }

    /// Nothing is put together that nobody wants to know.
    fn tell(&self, name: &str, fill: impl FnOnce(&mut WebhookEvent, &Self)) {
        if self.state.hooks.wants(name) {
            let mut event = WebhookEvent {
                event: name.to_owned(),
                ..WebhookEvent::default()
            };
            fill(&mut event, self);
            self.state.hooks.tell(&self.handle.sid, event);
        }
    }
}

/// A room that a bug has ended is over too.
pub(super) fn tell_broken(state: &State, room: &super::RoomHandle) {
    let info = proto::Room {
        sid: room.sid.to_string(),
        name: room.name.to_string(),
        ..proto::Room::default()
    };
    let event = WebhookEvent {
        event: event::ROOM_FINISHED.to_owned(),
        room: Some(info),
        ..WebhookEvent::default()
    };
    state.hooks.tell(&Arc::clone(&room.sid), event);
}
