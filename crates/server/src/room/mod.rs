//! A room: one task that owns everything of it, reached by commands.
//!
//! | module | what |
//! |---|---|
//! | `actor` | the task: what reaches it, who leaves |
//! | `join` | who joins, and who comes back |
//! | `clock` | what happens as time passes |
//! | `participant` | what the room knows of one participant |
//! | `publish` | tracks of a publisher: announced, negotiated, muted, gone |
//! | `subscribe` | offers to a subscriber and forwarding |
//! | `codecs` | the codecs under LiveKit's names |
//! | `data` | data packets: who may, who gets them, replay |
//! | `request` | signal messages of participants |
//! | `api` | what the server APIs ask of a room |
//! | `speaker` | active speakers |
//! | `sdp` | reading and editing session descriptions |

mod actor;
mod api;
mod clock;
mod codecs;
mod data;
mod join;
mod participant;
mod publish;
mod request;
pub(crate) mod sdp;
mod speaker;
mod subscribe;

use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::Claims;
use antiphon_protocol::proto::{
    ClientInfo, DisconnectReason, RoomAgentDispatch, SignalRequest, SignalResponse,
};
use antiphon_rtc::PeerEvent;
use tokio::sync::{mpsc, oneshot};

pub(crate) use actor::spawn;
pub(crate) use api::{Api, ApiError};

/// How a room is made.
#[derive(Clone, Debug)]
pub(crate) struct RoomOptions {
    pub(crate) empty_timeout: Duration,
    pub(crate) departure_timeout: Duration,
    pub(crate) max_participants: u32,
    pub(crate) metadata: String,
    pub(crate) agents: Vec<RoomAgentDispatch>,
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
    /// A peer connection reports.
    Peer {
        sid: Arc<str>,
        target: Target,
        event: PeerEvent,
    },
    /// A server API.
    Api(Api),
    /// Everybody must leave.
    Close(DisconnectReason),
}

/// Which of a participant's two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The client sends.
    Publisher,
    /// The client receives.
    Subscriber,
}

/// Somebody who may join: the token was checked.
pub(crate) struct Join {
    pub(crate) claims: Claims,
    pub(crate) client: ClientInfo,
    pub(crate) auto_subscribe: bool,
    /// Attributes given at join.
    pub(crate) attributes: std::collections::HashMap<String, String>,
    /// Come back as this participant.
    pub(crate) resume: Option<String>,
    /// Numbers the signal connections of this server.
    pub(crate) connection: u64,
    pub(crate) outgoing: mpsc::Sender<Outgoing>,
    /// The participant's identifier. Dropped when the room is closing: ask for the room again.
    pub(crate) reply: oneshot::Sender<Arc<str>>,
}

/// To a client's socket.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    /// A message, shared by all who get it.
    Message(Arc<SignalResponse>),
    /// Close the socket.
    Close,
}
