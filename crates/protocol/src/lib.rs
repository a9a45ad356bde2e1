//! LiveKit's words: messages, identifiers, access tokens and grants. No I/O.
//!
//! | module | what |
//! |---|---|
//! | [`proto`] | LiveKit's protobuf messages (generated code of the `livekit-protocol` crate), with their JSON form |
//! | [`ids`] | `PA_…`, `TR_…`, `RM_…` and the other identifiers |
//! | [`grants`] | what a token allows, and how that maps to a participant's permissions |
//! | [`claims`] | the content of a token |
//! | [`join_request`] | the parameter with which a client asks for a single peer connection |
//! | [`json`] | JSON from outside: `null` is the same as not given |
//! | [`token`] | making tokens ([`AccessToken`]) and checking them ([`Verifier`]) |
//! | [`trickle`] | ICE candidates as signalling carries them |
//! | [`names`] | topics, attributes, data channel labels and versions that both ends must spell alike |

pub mod claims;
pub mod grants;
pub mod ids;
pub mod join_request;
pub mod json;
pub mod names;
pub mod token;
pub mod trickle;

/// LiveKit's protobuf messages. Every type also implements `serde` in protobuf's JSON mapping.
pub use livekit_protocol as proto;
/// The protobuf codec the messages are made for.
pub use prost;

pub use claims::{Claims, ParticipantKind};
pub use grants::{AgentGrants, InferenceGrants, ObservabilityGrants, SipGrants, VideoGrants};
pub use token::{AccessToken, Keys, TokenError, Verifier};
