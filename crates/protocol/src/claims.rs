//! The content of an access token.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::grants::{AgentGrants, InferenceGrants, ObservabilityGrants, SipGrants, VideoGrants};
use crate::proto::{RoomConfiguration, participant_info};

/// What a token says. The identity is `sub`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claims {
    /// API key that signed it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub iss: String,
    /// Identity of the participant.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sub: String,
    /// Identity in tokens of some old SDKs; used when `sub` is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// Identity once more, as some SDKs write it; used when `sub` and `jti` are empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Ends at (seconds since 1970); a token without it is refused.
    #[serde(
        deserialize_with = "numeric_date",
        skip_serializing_if = "Option::is_none"
    )]
    pub exp: Option<u64>,
    /// Valid from (seconds since 1970).
    #[serde(
        deserialize_with = "numeric_date",
        skip_serializing_if = "Option::is_none"
    )]
    pub nbf: Option<u64>,
    /// Made at (seconds since 1970).
    #[serde(
        deserialize_with = "numeric_date",
        skip_serializing_if = "Option::is_none"
    )]
    pub iat: Option<u64>,
    /// Displayed name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Kind of participant; see [`Claims::participant_kind`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Details of the kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind_details: Vec<String>,
    /// Grants for rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoGrants>,
    /// Grants for telephony.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<SipGrants>,
    /// Grants for agent services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentGrants>,
    /// Grants for inference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference: Option<InferenceGrants>,
    /// Grants for observability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observability: Option<ObservabilityGrants>,
    /// How the room shall be made if this participant makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_config: Option<RoomConfiguration>,
    /// Name of a preset for the room.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub room_preset: String,
    /// Hash of a webhook's body.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// The participant's metadata.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// The participant's attributes.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub attributes: HashMap<String, String>,
}

/// Metadata and attributes may hold what an application keeps secret, so only names and grants are shown.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("iss", &self.iss)
            .field("identity", &self.participant_identity())
            .field("exp", &self.exp)
            .field("kind", &self.kind)
            .field("video", &self.video)
            .finish_non_exhaustive()
    }
}

impl Claims {
    /// The identity: `sub`, or what old SDKs used instead.
    #[must_use]
    pub fn participant_identity(&self) -> &str {
        [&self.sub, &self.jti, &self.identity]
            .into_iter()
            .find(|s| !s.is_empty())
            .map_or("", String::as_str)
    }

    /// The grants for rooms, all refused when absent.
    #[must_use]
    pub fn video_grants(&self) -> VideoGrants {
        self.video.clone().unwrap_or_default()
    }

    /// The kind of participant; unknown and absent kinds are standard.
    #[must_use]
    pub fn participant_kind(&self) -> ParticipantKind {
        match self.kind.to_ascii_lowercase().as_str() {
            "ingress" => ParticipantKind::Ingress,
            "egress" => ParticipantKind::Egress,
            "sip" => ParticipantKind::Sip,
            "agent" => ParticipantKind::Agent,
            "connector" => ParticipantKind::Connector,
            "bridge" => ParticipantKind::Bridge,
            _ => ParticipantKind::Standard,
        }
    }
}

/// The kind of a participant.
pub type ParticipantKind = participant_info::Kind;

/// A kind's name in a token.
#[must_use]
pub fn kind_name(kind: ParticipantKind) -> &'static str {
    match kind {
        ParticipantKind::Standard => "standard",
        ParticipantKind::Ingress => "ingress",
        ParticipantKind::Egress => "egress",
        ParticipantKind::Sip => "sip",
        ParticipantKind::Agent => "agent",
        ParticipantKind::Connector => "connector",
        ParticipantKind::Bridge => "bridge",
    }
}

/// Seconds since 1970; some JWT libraries write a fraction.
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    let Some(number) = number else {
        return Ok(None);
    };
    if let Some(seconds) = number.as_u64() {
        return Ok(Some(seconds));
    }
    match number.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked"
        )]
        Some(seconds) if (0.0..1e15).contains(&seconds) => Ok(Some(seconds as u64)),
        _ => Err(serde::de::Error::custom(
            "a date must be a number of seconds since 1970",
        )),
    }
}
