//! A room: one task that owns everything of it, reached by commands.
//!
//! | module | what |
//! |---|---|
//! | `actor` | the task: what reaches it, who leaves |
//! | `join` | who joins, and who comes back |
//! | `clock` | what happens as time passes |
//! | `participant` | what the room knows of one participant |
//! | `publish` | tracks of a publisher: announced, negotiated, muted, gone |
//! | `subscribe` | what participants receive: agreed with them, forwarded |
//! | `subscriptions` | the rules of that, without connections |
//! | `codecs` | the codecs under LiveKit's names |
//! | `data` | data packets: who may, who gets them, replay |
//! | `data_blobs` | what participants keep here for others to fetch |
//! | `data_tracks` | data tracks: published, subscribed, frames passed on |
//! | `dynacast` | publishers need not send what nobody wants |
//! | `request` | signal messages of participants |
//! | `api` | what the server APIs ask of a room |
//! | `news` | what webhooks are told |
//! | `speaker` | active speakers |
//! | `quality` | how good everybody's connection is |

mod actor;
mod api;
mod clock;
mod codecs;
mod data;
mod data_blobs;
mod data_tracks;
mod dynacast;
mod join;
mod news;
mod participant;
mod publish;
mod quality;
mod request;
mod speaker;
mod subscribe;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::Claims;
use antiphon_protocol::proto::{
    AddTrackRequest, ClientInfo, DisconnectReason, RoomAgentDispatch, SessionDescription,
    SignalRequest, SignalResponse, SignalTarget, SyncState,
};
use antiphon_rtc::PeerEvent;
use tokio::sync::{mpsc, oneshot};

pub(crate) use actor::spawn;
pub(crate) use api::{Api, ApiError};
pub(crate) use data_tracks::{handle_of, with_handle};

/// How a room is made.
#[derive(Clone, Debug)]
pub(crate) struct RoomOptions {
    pub(crate) empty_timeout: Duration,
    pub(crate) departure_timeout: Duration,
    pub(crate) max_participants: u32,
    pub(crate) metadata: String,
    pub(crate) agents: Vec<RoomAgentDispatch>,
    /// May participants keep data here?
    pub(crate) data_blobs: bool,
}

/// A running room. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct RoomHandle {
    pub(crate) name: Arc<str>,
    pub(crate) sid: Arc<str>,
    pub(crate) commands: mpsc::Sender<Command>,
}

/// What a room can be asked.
pub(crate) enum Command {
    /// Somebody wants to join or to come back.
    Join(Box<Join>),
    /// A signal message.
    Signal {
        sid: Arc<str>,
        connection: u64,
        request: Box<SignalRequest>,
    },
    /// The signal connection is gone.
    SignalClosed { sid: Arc<str>, connection: u64 },
    /// Nothing has come by an agent's signal connection for [`AGENT_SILENCE`](crate::limits::AGENT_SILENCE), or something
    /// has again.
    SignalQuiet {
        sid: Arc<str>,
        connection: u64,
        quiet: bool,
    },
    /// A peer connection reports.
    Peer {
        sid: Arc<str>,
        target: SignalTarget,
        event: PeerEvent,
    },
    /// A server API.
    Api(Api),
    /// Everybody must leave.
    Close(DisconnectReason),
}

/// Somebody who may join: the token was checked.
pub(crate) struct Join {
    pub(crate) claims: Claims,
    pub(crate) client: ClientInfo,
    pub(crate) auto_subscribe: bool,
    /// To data tracks.
    pub(crate) auto_subscribe_data: bool,
    /// Attributes given at join.
    pub(crate) attributes: std::collections::HashMap<String, String>,
    /// Metadata given at join; empty: that of the token.
    pub(crate) metadata: String,
    /// It wants a single connection for both directions; with what it says in advance.
    pub(crate) single: Option<Box<Single>>,
    /// Come back as this participant.
    pub(crate) resume: Option<String>,
    /// Numbers the signal connections of this server.
    pub(crate) connection: u64,
    pub(crate) outgoing: mpsc::Sender<ToSocket>,
    /// The participant's identifier. Dropped when the room is closing: ask for the room again.
    pub(crate) reply: oneshot::Sender<Arc<str>>,
}

/// What a client with a single connection says with its join.
#[derive(Clone, Debug, Default)]
pub(crate) struct Single {
    pub(crate) tracks: Vec<AddTrackRequest>,
    pub(crate) offer: Option<SessionDescription>,
    pub(crate) sync: Option<SyncState>,
}

/// To a client's socket.
#[derive(Clone, Debug)]
pub(crate) enum ToSocket {
    /// A message, shared by all who get it.
    Message(Arc<SignalResponse>),
    /// Close the socket.
    Close,
}
