//! The media engine that both the room server and the room client stand on: UDP sockets, str0m peers, timers, batching,
//! one shard (an OS thread) per core. It knows peers, media sections, packets and data channels; it does not know
//! LiveKit.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | how the engine and a peer are set up |
//! | [`engine`] | the shards; makes peers |
//! | [`peer`] | the handle of one peer connection |
//! | [`event`] | what a peer reports |
//! | [`error`] | what can go wrong |

pub mod config;
pub mod engine;
pub mod error;
pub mod event;
pub mod peer;

pub use config::{EngineConfig, PeerConfig};
pub use engine::{Engine, ShardId};
pub use error::RtcError;
pub use event::{AudioLevel, MediaKind, PeerEvent, RtpPacket};
pub use peer::{Forward, MediaChange, Offer, Peer};
