//! Who may talk to the agent, who does, and who waits: decisions without I/O.

use std::collections::HashMap;
use std::time::Instant;

use antiphon_client::{
    DisconnectReason, Participant, ParticipantKind, Track, TrackSource, TrackType,
};
use antiphon_protocol::names::ATTRIBUTE_PUBLISH_ON_BEHALF;

use super::{BindOptions, CallersPolicy};

/// Those who may talk to the agent, in the order in which they came.
#[derive(Debug)]
pub(super) struct Callers {
    policy: CallersPolicy,
    wanted: Option<String>,
    kinds: Vec<ParticipantKind>,
    /// Our own identity.
    me: String,
    present: Vec<String>,
    linked: Option<String>,
    /// The linked caller's connection broke then.
    lost: Option<Instant>,
}

/// What it means that somebody has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// Nobody who was heard.
    Unheard,
    /// One of several who are heard; the conversation goes on.
    OneOfSeveral,
    /// The caller has hung up.
    HungUp,
    /// The caller's connection broke, and may come back.
    Lost,
}

impl Callers {
    pub(super) fn new(options: &BindOptions, me: String) -> Self {
        Self {
            policy: options.callers,
            wanted: options.participant_identity.clone(),
            kinds: options.participant_kinds.clone(),
            me,
            present: Vec::new(),
            linked: None,
            lost: None,
        }
    }

    pub(super) fn linked(&self) -> Option<&str> {
        self.linked.as_deref()
    }

    /// Is somebody there who could be linked?
    pub(super) fn has_waiting(&self) -> bool {
        !self.present.is_empty()
    }

    /// Since when is the caller gone without having hung up?
    pub(super) fn lost_since(&self) -> Option<Instant> {
        self.lost
    }

    fn is_acceptable(&self, participant: &Participant) -> bool {
        let wanted = match &self.wanted {
            Some(identity) => *identity == participant.identity,
            None => participant.attributes.get(ATTRIBUTE_PUBLISH_ON_BEHALF) != Some(&self.me),
        };
        wanted && self.kinds.contains(&participant.kind)
    }

    /// Somebody came; true if he may talk to the agent.
    pub(super) fn came(&mut self, participant: &Participant) -> bool {
        if !self.is_acceptable(participant) {
            return false;
        }
        if !self.present.contains(&participant.identity) {
            self.present.push(participant.identity.clone());
        }
        true
    }

    /// Link the one who has waited longest, if nobody is linked.
    pub(super) fn link(&mut self) -> Option<&str> {
        if self.linked.is_none() {
            self.linked = self.present.first().cloned();
            self.lost = None;
            return self.linked.as_deref();
        }
        None
    }

    /// Link the one who just came, if nobody is linked: after a broken connection somebody else may take over.
    pub(super) fn link_newcomer(&mut self, identity: &str) -> bool {
        let free = self.linked.is_none() && self.present.iter().any(|p| p == identity);
        if free {
            self.linked = Some(identity.to_owned());
            self.lost = None;
        }
        free
    }

    /// Nobody is linked any more.
    pub(super) fn unlink(&mut self) {
        self.linked = None;
        self.lost = None;
    }

    /// Is this one heard now?
    pub(super) fn is_heard(&self, identity: &str) -> bool {
        match self.policy {
            CallersPolicy::First => self.linked.as_deref() == Some(identity),
            CallersPolicy::Any => {
                self.linked.is_some() && self.present.iter().any(|p| p == identity)
            }
        }
    }

    /// All who are heard now.
    pub(super) fn heard(&self) -> Vec<String> {
        let heard = self.present.iter().filter(|p| self.is_heard(p));
        heard.cloned().collect()
    }

    pub(super) fn left(
        &mut self,
        identity: &str,
        reason: DisconnectReason,
        now: Instant,
    ) -> Departure {
        let was_heard = self.is_heard(identity);
        self.present.retain(|p| p != identity);
        if !was_heard {
            return Departure::Unheard;
        }
        let was_linked = self.linked.as_deref() == Some(identity);
        if self.policy == CallersPolicy::Any
            && let Some(other) = self.present.first()
        {
            if was_linked {
                self.linked = Some(other.clone());
            }
            return Departure::OneOfSeveral;
        }
        self.linked = None;
        let on_purpose = matches!(
            reason,
            DisconnectReason::ClientInitiated
                | DisconnectReason::RoomDeleted
                | DisconnectReason::UserRejected
        );
        if on_purpose {
            Departure::HungUp
        } else {
            self.lost = Some(now);
            Departure::Lost
        }
    }
}

/// The track that is a caller's voice: the newest microphone, else the newest sound of unknown source.
pub(super) fn voice_of(participant: &Participant) -> Option<&Track> {
    let newest = |source| {
        let tracks = participant.tracks.iter().rev();
        tracks
            .filter(|track| track.kind == TrackType::Audio)
            .find(|track| track.source == source)
    };
    newest(TrackSource::Microphone).or_else(|| newest(TrackSource::Unknown))
}

/// Which track of each caller is heard.
pub(super) type Heard = HashMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;
    use antiphon_protocol::proto::{ParticipantInfo, TrackInfo};
    use std::sync::Arc;

    fn person(identity: &str, tracks: &[(TrackType, TrackSource, &str)]) -> Arc<Participant> {
        let track = |(kind, source, sid): &(TrackType, TrackSource, &str)| TrackInfo {
            sid: (*sid).to_owned(),
            r#type: *kind as i32,
            source: *source as i32,
            ..Default::default()
        };
        Arc::new(Participant::announced(&ParticipantInfo {
            identity: identity.to_owned(),
            tracks: tracks.iter().map(track).collect(),
            ..Default::default()
        }))
    }

    fn callers(policy: CallersPolicy) -> Callers {
        let options = BindOptions {
            callers: policy,
            ..BindOptions::default()
        };
        Callers::new(&options, "agent".to_owned())
    }

    const HUNG_UP: DisconnectReason = DisconnectReason::ClientInitiated;

    #[test]
    fn the_second_caller_waits_until_the_first_has_hung_up() {
        let mut callers = callers(CallersPolicy::First);
        assert!(callers.came(&person("ann", &[])) && callers.came(&person("bob", &[])));
        assert_eq!(callers.link(), Some("ann"));
        assert!(callers.is_heard("ann") && !callers.is_heard("bob"));
        let now = Instant::now();
        assert_eq!(callers.left("ann", HUNG_UP, now), Departure::HungUp);
        assert_eq!(callers.link(), Some("bob"));
        assert_eq!(callers.left("bob", HUNG_UP, now), Departure::HungUp);
        assert_eq!(callers.link(), None);
    }

    #[test]
    fn several_callers_are_heard_together_until_the_last_has_hung_up() {
        let mut callers = callers(CallersPolicy::Any);
        callers.came(&person("ann", &[]));
        callers.link();
        callers.came(&person("bob", &[]));
        assert_eq!(callers.heard(), ["ann", "bob"]);
        let now = Instant::now();
        assert_eq!(callers.left("ann", HUNG_UP, now), Departure::OneOfSeveral);
        assert_eq!(callers.linked(), Some("bob"));
        assert_eq!(callers.left("bob", HUNG_UP, now), Departure::HungUp);
    }

    #[test]
    fn a_caller_whose_connection_broke_is_linked_again_before_those_who_wait() {
        let mut callers = callers(CallersPolicy::First);
        callers.came(&person("ann", &[]));
        callers.link();
        callers.came(&person("bob", &[]));
        let lost = DisconnectReason::ConnectionTimeout;
        assert_eq!(callers.left("ann", lost, Instant::now()), Departure::Lost);
        assert!(callers.lost_since().is_some());
        callers.came(&person("ann", &[]));
        assert!(callers.link_newcomer("ann"));
        assert!(callers.is_heard("ann") && callers.lost_since().is_none());
    }

    #[test]
    fn a_track_without_a_source_is_a_voice_unless_there_is_a_microphone() {
        use TrackSource::{Microphone, ScreenShareAudio, Unknown};
        let (audio, video) = (TrackType::Audio, TrackType::Video);
        let voice = |tracks: &[(TrackType, TrackSource, &str)]| {
            voice_of(&person("ann", tracks)).map(|track| track.sid.clone())
        };
        assert_eq!(voice(&[(audio, Unknown, "a")]).as_deref(), Some("a"));
        assert_eq!(
            voice(&[(audio, Microphone, "m"), (audio, Unknown, "a")]).as_deref(),
            Some("m")
        );
        assert_eq!(
            voice(&[(audio, Microphone, "m"), (audio, Microphone, "n")]).as_deref(),
            Some("n")
        );
        assert_eq!(
            voice(&[(audio, ScreenShareAudio, "s"), (video, Unknown, "v")]),
            None
        );
    }
}
