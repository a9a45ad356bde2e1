//! The media engine that both `server` and `client` stand on: UDP sockets, str0m peers, timers, batching,
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
//! | `shard` | one thread: reads sockets, drives peers, forwards, sends |
//! | `connection` | one peer inside its shard; `negotiation` its descriptions, `channels` its data, `section` its media |
//! | `negotiator` | descriptions are read and negotiated off the media threads |
//! | `forward` | from a received packet to what is written for those who hear it; `numbering` their numbers, `red` RFC 2198, `resend` what may be asked for again |
//! | `layers` | which simulcast or spatial layers a receiver is sent; `keyframe` where they may change, `vp8` what the change renumbers, `vp9` where a packet belongs |
//! | `bandwidth` | which layers fit into a receiver's network |
//! | `statistics` | how much of a stream is lost, and how evenly the rest comes |
//! | [`sdp`] | session descriptions as text |
//! | `path`, `tcp` | ways to peers that are no UDP sockets of ours: TCP connections, and what a relay passes on |
//! | `command` | the bounded queue from the handles to a shard |
//! | `pulse`, `backlog`, `socket`, `address`, `timers`, `level`, `limits`, `counters` | what their names say |

mod address;
mod backlog;
mod bandwidth;
mod channels;
mod command;
pub mod config;
mod connection;
mod counters;
pub mod engine;
pub mod error;
pub mod event;
mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod keyframe;
mod layers;
mod level;
mod limits;
mod negotiation;
mod negotiator;
mod numbering;
mod path;
pub mod peer;
mod pulse;
mod red;
mod resend;
pub mod sdp;
mod section;
mod shard;
mod socket;
mod statistics;
mod tcp;
#[cfg(test)]
mod tests;
mod timers;
mod vp8;
mod vp9;

pub use config::{EngineConfig, PeerConfig};
pub use engine::{Engine, ShardId};
pub use error::RtcError;
pub use event::{AudioLevel, MediaKind, PeerEvent, RtpPacket};
pub use path::{Path, Sent, Via};
pub use peer::{Forward, MediaChange, Offer, Peer};
pub use statistics::{StreamDirection, StreamStatistics};
