//! Participants and their tracks as last announced: a pure table that turns the server's updates into events.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use livekit_protocol::participant_info::{Kind, State};
use livekit_protocol::{DisconnectReason, ParticipantInfo, TrackInfo, TrackSource, TrackType};

use crate::{RoomEvent, limits};

/// A participant as last announced.
#[derive(Clone, Debug, PartialEq)]
pub struct Participant {
    /// `PA_…`; changes when it comes back after a full reconnect.
    pub sid: String,
    /// Unique in the room.
    pub identity: String,
    /// For people to read.
    pub name: String,
    /// Person, agent, telephone…
    pub kind: Kind,
    /// Free text of the application.
    pub metadata: String,
    /// Key-value pairs of the application.
    pub attributes: HashMap<String, String>,
    /// What it publishes.
    pub tracks: Vec<Track>,
    /// LiveKit's grant `canManageAgentSession`. It comes from the participant's token or from the server's API; no participant
    /// can give it to itself, as it can attributes.
    pub can_manage_agent_session: bool,
    version: u32,
}

/// A published track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// `TR_…`.
    pub sid: String,
    /// Its name.
    pub name: String,
    /// Audio or video.
    pub kind: TrackType,
    /// Microphone, camera, …
    pub source: TrackSource,
    /// Silent by choice.
    pub muted: bool,
    /// Its owner keeps the sound from before the agent was there (`lk.agent.pre-connect-audio-buffer`).
    pub pre_connect_buffer: bool,
}

impl Track {
    fn new(info: &TrackInfo) -> Self {
        let feature = livekit_protocol::AudioTrackFeature::TfPreconnectBuffer as i32;
        Self {
            sid: info.sid.clone(),
            name: info.name.clone(),
            kind: info.r#type(),
            source: info.source(),
            muted: info.muted,
            pre_connect_buffer: info.audio_features.contains(&feature),
        }
    }
}

impl Participant {
    /// As the server announces it.
    pub fn announced(info: &ParticipantInfo) -> Self {
        Self::new(info)
    }

    pub(crate) fn new(info: &ParticipantInfo) -> Self {
        Self {
            sid: info.sid.clone(),
            identity: info.identity.clone(),
            name: info.name.clone(),
            kind: info.kind(),
            metadata: info.metadata.clone(),
            attributes: info.attributes.clone(),
            tracks: info.tracks.iter().map(Track::new).collect(),
            can_manage_agent_session: info
                .permission
                .as_ref()
                .is_some_and(|permission| permission.can_manage_agent_session),
            version: info.version,
        }
    }

    /// Its track of this source.
    pub fn track(&self, source: TrackSource) -> Option<&Track> {
        self.tracks.iter().find(|track| track.source == source)
    }

    /// Its track with this sid.
    pub fn track_by_sid(&self, sid: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.sid == sid)
    }
}

/// The remote participants.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    by_identity: BTreeMap<String, Arc<Participant>>,
}

impl Roster {
    pub(crate) fn all(&self) -> Vec<Arc<Participant>> {
        self.by_identity.values().cloned().collect()
    }

    pub(crate) fn get(&self, identity: &str) -> Option<&Arc<Participant>> {
        self.by_identity.get(identity)
    }

    /// The publisher of a track, and the track.
    pub(crate) fn publisher_of(&self, track_sid: &str) -> Option<(Arc<Participant>, Track)> {
        self.by_identity.values().find_map(|participant| {
            Some((
                participant.clone(),
                participant.track_by_sid(track_sid)?.clone(),
            ))
        })
    }

    /// The server's news about one remote participant.
    pub(crate) fn update(&mut self, info: &ParticipantInfo, events: &mut Vec<RoomEvent>) {
        if info.identity.is_empty() {
            return;
        }
        let known = self.by_identity.get(&info.identity).cloned();
        if info.state() == State::Disconnected {
            // News of an older session of the same identity says nothing about the one that is here now.
            if known.is_some_and(|known| known.sid == info.sid || info.sid.is_empty()) {
                self.remove(&info.identity, info.disconnect_reason(), events);
            }
            return;
        }
        match known {
            Some(known) if known.sid == info.sid => {
                if info.version < known.version {
                    return;
                }
                let now = Arc::new(Participant::new(info));
                self.by_identity.insert(info.identity.clone(), now.clone());
                compare(&known, &now, events);
            }
            known => {
                if known.is_some() {
                    self.remove(&info.identity, DisconnectReason::DuplicateIdentity, events);
                } else if self.by_identity.len() >= limits::PARTICIPANTS {
                    tracing::warn!(
                        limit = limits::PARTICIPANTS,
                        "too many participants; one more is not announced"
                    );
                    return;
                }
                let now = Arc::new(Participant::new(info));
                self.by_identity.insert(info.identity.clone(), now.clone());
                events.push(RoomEvent::ParticipantConnected(now.clone()));
                for track in &now.tracks {
                    events.push(RoomEvent::TrackPublished {
                        participant: now.clone(),
                        track: track.clone(),
                    });
                }
            }
        }
    }

    /// The whole list after a resume or a new join: who is not in it has gone meanwhile.
    pub(crate) fn replace(&mut self, infos: &[ParticipantInfo], events: &mut Vec<RoomEvent>) {
        let gone: Vec<String> = self
            .by_identity
            .keys()
            .filter(|identity| !infos.iter().any(|info| &info.identity == *identity))
            .cloned()
            .collect();
        for identity in gone {
            self.remove(&identity, DisconnectReason::UnknownReason, events);
        }
        for info in infos {
            self.update(info, events);
        }
    }

    fn remove(&mut self, identity: &str, reason: DisconnectReason, events: &mut Vec<RoomEvent>) {
        let Some(participant) = self.by_identity.remove(identity) else {
            return;
        };
        for track in &participant.tracks {
            events.push(RoomEvent::TrackUnpublished {
                participant: participant.clone(),
                track: track.clone(),
            });
        }
        events.push(RoomEvent::ParticipantDisconnected {
            participant,
            reason,
        });
    }
}

/// What changed between two announcements of one participant.
fn compare(before: &Participant, now: &Arc<Participant>, events: &mut Vec<RoomEvent>) {
    for track in &before.tracks {
        if now.track_by_sid(&track.sid).is_none() {
            events.push(RoomEvent::TrackUnpublished {
                participant: now.clone(),
                track: track.clone(),
            });
        }
    }
    for track in &now.tracks {
        match before.track_by_sid(&track.sid) {
            None => events.push(RoomEvent::TrackPublished {
                participant: now.clone(),
                track: track.clone(),
            }),
            Some(old) if old.muted != track.muted => {
                events.push(RoomEvent::TrackMuted {
                    participant: now.clone(),
                    track: track.clone(),
                });
            }
            Some(_) => {}
        }
    }
    let mut changed: HashMap<String, String> = now
        .attributes
        .iter()
        .filter(|(key, value)| before.attributes.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for key in before
        .attributes
        .keys()
        .filter(|key| !now.attributes.contains_key(*key))
    {
        changed.insert(key.clone(), String::new());
    }
    if !changed.is_empty() {
        events.push(RoomEvent::AttributesChanged {
            participant: now.clone(),
            changed,
        });
    }
    if before.metadata != now.metadata || before.name != now.name {
        events.push(RoomEvent::MetadataChanged(now.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: u32) -> ParticipantInfo {
        ParticipantInfo {
            sid: "PA_1".into(),
            identity: "ann".into(),
            version,
            tracks: vec![TrackInfo {
                sid: "TR_1".into(),
                source: TrackSource::Microphone as i32,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn names(events: &[RoomEvent]) -> Vec<String> {
        let name = |event: &RoomEvent| {
            format!("{event:?}")
                .split([' ', '(', '{'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        events.iter().map(name).collect()
    }

    fn told(roster: &mut Roster, info: &ParticipantInfo) -> Vec<String> {
        let mut events = Vec::new();
        roster.update(info, &mut events);
        names(&events)
    }

    #[test]
    fn a_joiner_is_announced_with_tracks_and_leaves_with_a_reason() {
        let mut roster = Roster::default();
        assert_eq!(
            told(&mut roster, &info(1)),
            ["ParticipantConnected", "TrackPublished"]
        );
        assert_eq!(told(&mut roster, &info(1)), [""; 0]);
        let left = ParticipantInfo {
            state: State::Disconnected as i32,
            disconnect_reason: DisconnectReason::ClientInitiated as i32,
            ..info(2)
        };
        assert_eq!(
            told(&mut roster, &left),
            ["TrackUnpublished", "ParticipantDisconnected"]
        );
        assert!(roster.all().is_empty());
    }

    #[test]
    fn mute_and_attributes_are_reported_once_and_older_news_is_ignored() {
        let mut roster = Roster::default();
        told(&mut roster, &info(1));
        let mut muted = info(3);
        muted.tracks.iter_mut().for_each(|track| track.muted = true);
        muted
            .attributes
            .insert("lk.agent.state".into(), "idle".into());
        assert_eq!(
            told(&mut roster, &muted),
            ["TrackMuted", "AttributesChanged"]
        );
        assert_eq!(told(&mut roster, &info(2)), [""; 0]);
    }

    #[test]
    fn a_late_goodbye_of_an_older_session_does_not_remove_the_newer_one() {
        let mut roster = Roster::default();
        told(&mut roster, &info(1));
        let again = ParticipantInfo {
            sid: "PA_2".into(),
            ..info(1)
        };
        let events = told(&mut roster, &again);
        assert_eq!(
            events,
            [
                "TrackUnpublished",
                "ParticipantDisconnected",
                "ParticipantConnected",
                "TrackPublished"
            ]
        );
        let late = ParticipantInfo {
            state: State::Disconnected as i32,
            ..info(9)
        };
        assert_eq!(told(&mut roster, &late), [""; 0]);
        assert_eq!(roster.all().len(), 1);
    }

    #[test]
    fn who_left_during_a_reconnect_is_reported() {
        let mut roster = Roster::default();
        told(&mut roster, &info(1));
        let mut events = Vec::new();
        roster.replace(
            &[ParticipantInfo {
                identity: "bob".into(),
                ..Default::default()
            }],
            &mut events,
        );
        assert_eq!(
            names(&events),
            [
                "TrackUnpublished",
                "ParticipantDisconnected",
                "ParticipantConnected"
            ]
        );
    }
}
