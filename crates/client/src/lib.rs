//! LiveKit room client: join, publish, subscribe, data, streams, RPC, reconnect. It speaks LiveKit's public protocol to any
//! LiveKit server; it knows nothing about agents.
//!
//! ```text
//! Room (handle) ──commands──► actor ──► signal (WebSocket)      one task owns the state of the room
//!    ▲  RoomEvent ◄──────────  │  ────► publisher (, subscriber)  one peer connection of antiphon-rtc, or two
//! LocalAudioTrack ──Opus───────┼──────► publisher                sound does not pass the actor
//! AudioStream ◄──Opus──────────┴─────── subscriber
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`room`] | [`Room`]: the handle |
//! | [`event`] | what a room reports |
//! | [`options`] | how it joins |
//! | [`limits`] | every bound, with its reason |
//! | [`participant`] | participants and their tracks as last announced |
//! | [`audio`] | a subscribed track's packets, our published track |
//! | [`stream`] | text and byte streams over data packets |
//! | [`rpc`] | remote procedure calls (version 1) |
//! | [`error`] | what can go wrong |
//! | `actor` | the task behind a room: signalling, negotiation, reconnection |
//! | `address` | the signalling URL |
//! | [`socket`] | a WebSocket of protobuf messages; the worker stands on it too |
//! | `signal` | the signalling over it |
//! | `transport` | one peer connection and its negotiation |
//! | `sdp` | which media section carries which track |

mod actor;
mod address;
pub mod audio;
pub mod error;
pub mod event;
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
pub mod options;
mod outbox;
pub mod participant;
pub mod room;
pub mod rpc;
mod sdp;
mod signal;
pub mod socket;
pub mod stream;
mod transport;

pub use address::parse_server_url;
pub use audio::{AudioStream, LocalAudioTrack};
pub use error::RoomError;
pub use event::{DataMessage, RoomEvent, Speaker};
pub use livekit_protocol::participant_info::Kind as ParticipantKind;
pub use livekit_protocol::{DisconnectReason, TrackSource, TrackType};
pub use options::{AutoSubscribe, RoomOptions};
pub use participant::{Participant, Track};
pub use room::Room;
pub use rpc::{RpcError, RpcHandler, RpcInvocation};
pub use stream::{ByteStream, StreamInfo, TextOptions, TextStream, TextWriter};
