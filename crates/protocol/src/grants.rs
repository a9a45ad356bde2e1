//! What a token allows. Field names are LiveKit's JSON names.

use serde::{Deserialize, Serialize};

use crate::proto::{ParticipantPermission, TrackSource};

/// Grants for rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoGrants {
    /// May create and delete rooms.
    #[serde(skip_serializing_if = "is_false")]
    pub room_create: bool,
    /// May list rooms.
    #[serde(skip_serializing_if = "is_false")]
    pub room_list: bool,
    /// May record.
    #[serde(skip_serializing_if = "is_false")]
    pub room_record: bool,
    /// May administer `room`.
    #[serde(skip_serializing_if = "is_false")]
    pub room_admin: bool,
    /// May join `room`.
    #[serde(skip_serializing_if = "is_false")]
    pub room_join: bool,
    /// Which room; empty: none in particular.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub room: String,
    /// May publish tracks; absent: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// May subscribe; absent: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// May send data; absent: as `can_publish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// If not empty, only these sources may be published (`microphone`, `camera`, `screen_share`, `screen_share_audio`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<String>,
    /// May change own name, metadata and attributes; absent: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// May administer ingress.
    #[serde(skip_serializing_if = "is_false")]
    pub ingress_admin: bool,
    /// Not announced to others.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// A recorder (old form of the kind `egress`).
    #[serde(skip_serializing_if = "is_false")]
    pub recorder: bool,
    /// May register as an agent worker; an agent's own token has it too.
    #[serde(skip_serializing_if = "is_false")]
    pub agent: bool,
    /// May receive metrics; absent: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe_metrics: Option<bool>,
    /// May manage agent sessions; absent: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_manage_agent_session: Option<bool>,
    /// Where participants may be moved or forwarded to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub destination_room: String,
}

impl VideoGrants {
    /// Join `room`, publish, subscribe and send data: what a caller needs.
    #[must_use]
    pub fn join(room: impl Into<String>) -> Self {
        Self {
            room_join: true,
            room: room.into(),
            ..Self::default()
        }
    }

    /// The permissions of a participant that joins with these grants.
    #[must_use]
    pub fn permission(&self) -> ParticipantPermission {
        let can_publish = self.can_publish.unwrap_or(true);
        let sources: Vec<i32> = self
            .can_publish_sources
            .iter()
            // An unknown name stays in the list as a source that nobody can publish: an empty list would allow all.
            .map(|name| source_from_name(name).unwrap_or(TrackSource::Unknown) as i32)
            .collect();
        #[allow(deprecated, reason = "old clients still read these two")]
        ParticipantPermission {
            can_subscribe: self.can_subscribe.unwrap_or(true),
            can_publish,
            can_publish_data: self.can_publish_data.unwrap_or(can_publish),
            can_publish_sources: sources,
            hidden: self.hidden,
            recorder: self.recorder,
            agent: self.agent,
            can_update_metadata: self.can_update_own_metadata.unwrap_or(false),
            can_subscribe_metrics: self.can_subscribe_metrics.unwrap_or(false),
            can_manage_agent_session: self.can_manage_agent_session.unwrap_or(false),
        }
    }

    /// Take over permissions that were changed while the participant was in the room.
    pub fn set_permission(&mut self, permission: &ParticipantPermission) {
        self.can_subscribe = Some(permission.can_subscribe);
        self.can_publish = Some(permission.can_publish);
        self.can_publish_data = Some(permission.can_publish_data);
        self.can_publish_sources = permission
            .can_publish_sources
            .iter()
            .filter_map(|source| TrackSource::try_from(*source).ok())
            .map(|source| source_name(source).to_owned())
            .collect();
        self.can_update_own_metadata = Some(permission.can_update_metadata);
        self.can_subscribe_metrics = Some(permission.can_subscribe_metrics);
        self.can_manage_agent_session = Some(permission.can_manage_agent_session);
        self.hidden = permission.hidden;
    }
}

/// A source's name in a grant.
#[must_use]
pub fn source_name(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Unknown => "unknown",
        TrackSource::Camera => "camera",
        TrackSource::Microphone => "microphone",
        TrackSource::ScreenShare => "screen_share",
        TrackSource::ScreenShareAudio => "screen_share_audio",
    }
}

/// The source of that name, upper or lower case; `None` for an unknown one, which then allows nothing.
#[must_use]
pub fn source_from_name(name: &str) -> Option<TrackSource> {
    match name.to_ascii_lowercase().as_str() {
        "camera" => Some(TrackSource::Camera),
        "microphone" => Some(TrackSource::Microphone),
        "screen_share" => Some(TrackSource::ScreenShare),
        "screen_share_audio" => Some(TrackSource::ScreenShareAudio),
        _ => None,
    }
}

/// May a participant with this permission publish from that source?
#[must_use]
pub fn may_publish(permission: &ParticipantPermission, source: TrackSource) -> bool {
    if permission.can_publish_sources.is_empty() {
        return permission.can_publish;
    }
    permission.can_publish
        && source != TrackSource::Unknown
        && permission.can_publish_sources.contains(&(source as i32))
}

/// Grants for telephony.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SipGrants {
    /// May administer trunks and rules.
    pub admin: bool,
    /// May call out.
    pub call: bool,
}

/// Grants for agent services of LiveKit Cloud; carried, not used here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentGrants {
    /// May administer agents.
    pub admin: bool,
    /// May administer simulations.
    pub simulation_admin: bool,
    /// May administer databases.
    pub database_admin: bool,
}

/// Grants for inference of LiveKit Cloud; carried, not used here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InferenceGrants {
    /// May ask.
    pub perform: bool,
}

/// Grants for observability of LiveKit Cloud; carried, not used here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObservabilityGrants {
    /// May write.
    pub write: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_that_says_nothing_allows_publishing_subscribing_and_data_but_not_own_metadata() {
        let permission = VideoGrants::join("r").permission();
        assert!(permission.can_publish && permission.can_subscribe && permission.can_publish_data);
        assert!(!permission.can_update_metadata && !permission.hidden);
    }

    #[test]
    fn data_follows_publishing_unless_said_otherwise() {
        let mut grants = VideoGrants {
            can_publish: Some(false),
            ..VideoGrants::join("r")
        };
        assert!(!grants.permission().can_publish_data);
        grants.can_publish_data = Some(true);
        assert!(grants.permission().can_publish_data);
    }

    #[test]
    fn listed_sources_are_the_only_ones() {
        let grants = VideoGrants {
            can_publish_sources: vec!["microphone".into()],
            ..VideoGrants::join("r")
        };
        let permission = grants.permission();
        assert!(may_publish(&permission, TrackSource::Microphone));
        assert!(!may_publish(&permission, TrackSource::Camera));
    }

    #[test]
    fn an_unknown_source_in_the_list_does_not_open_all_of_them() {
        let grants = VideoGrants {
            can_publish_sources: vec!["telepathy".into()],
            ..VideoGrants::join("r")
        };
        assert!(!may_publish(&grants.permission(), TrackSource::Microphone));
    }
}
