//! Agent workers and their jobs: who is registered, which room needs an agent, who is asked to be it.
//!
//! | module | what |
//! |---|---|
//! | `dispatcher` | the task that owns workers, dispatches and jobs |
//! | `job` | workers and jobs as it knows them; which worker is asked |
//! | `worker` | the WebSocket of a worker |
//! | `workers` | the dispatcher's side of its workers |

mod dispatcher;
mod job;
mod worker;
mod workers;

use std::sync::Arc;

use antiphon_protocol::Keys;
use antiphon_protocol::proto::{
    self, AgentDispatch, CreateAgentDispatchRequest, DisconnectReason, ParticipantInfo,
    RegisterWorkerRequest, RoomAgentDispatch, ServerMessage, WorkerMessage,
};
use tokio::sync::{mpsc, oneshot};

use crate::room::RoomHandle;

pub(crate) use worker::serve;

/// Commands waiting for the dispatcher; rooms wait when it is full.
const QUEUE: usize = 4096;

/// What rooms tell.
pub(crate) enum Notice {
    /// A room was made, with the agents asked for.
    RoomCreated {
        room: Box<proto::Room>,
        agents: Vec<RoomAgentDispatch>,
        handle: RoomHandle,
    },
    /// A room ended.
    RoomClosed { room: Arc<str> },
    /// Somebody joined; agents are dependent.
    ParticipantJoined {
        room: Arc<str>,
        participant: Box<ParticipantInfo>,
        dependent: bool,
    },
    /// Somebody published for the first time.
    PublisherStarted {
        room: Arc<str>,
        participant: Box<ParticipantInfo>,
    },
    /// Somebody left.
    ParticipantLeft {
        room: Arc<str>,
        identity: Arc<str>,
        reason: DisconnectReason,
    },
}

/// Why a dispatch was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DispatchError {
    NoRoom,
    NotFound,
    TooMany,
}

pub(crate) enum Command {
    Notice(Notice),
    /// A worker registered; it is answered by its identifier.
    Register {
        key: String,
        request: Box<RegisterWorkerRequest>,
        outgoing: mpsc::Sender<ServerMessage>,
        reply: oneshot::Sender<String>,
    },
    Worker {
        id: Arc<str>,
        message: Box<WorkerMessage>,
    },
    Gone {
        id: Arc<str>,
    },
    Create {
        request: Box<CreateAgentDispatchRequest>,
        reply: oneshot::Sender<Result<AgentDispatch, DispatchError>>,
    },
    Delete {
        room: String,
        id: String,
        reply: oneshot::Sender<Result<AgentDispatch, DispatchError>>,
    },
    List {
        room: String,
        id: String,
        reply: oneshot::Sender<Vec<AgentDispatch>>,
    },
    Workers(oneshot::Sender<usize>),
}

/// The dispatcher. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Agents {
    commands: mpsc::Sender<Command>,
}

impl Agents {
    /// Start the dispatcher's task.
    pub(crate) fn start(keys: Keys, max_rooms: usize) -> Self {
        let (commands, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(dispatcher::Dispatcher::new(keys, max_rooms).run(inbox));
        Self { commands }
    }

    pub(crate) async fn notify(&self, notice: Notice) {
        self.send(Command::Notice(notice)).await;
    }

    async fn send(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::error!(
                "the agent dispatcher has ended; no agents will be dispatched. Restart the server"
            );
        }
    }

    pub(crate) async fn create(
        &self,
        request: CreateAgentDispatchRequest,
    ) -> Result<AgentDispatch, DispatchError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Create {
            request: Box::new(request),
            reply,
        })
        .await;
        answer.await.unwrap_or(Err(DispatchError::NoRoom))
    }

    pub(crate) async fn delete(
        &self,
        room: String,
        id: String,
    ) -> Result<AgentDispatch, DispatchError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Delete { room, id, reply }).await;
        answer.await.unwrap_or(Err(DispatchError::NotFound))
    }

    /// The dispatches of a room; all of them when `id` is empty.
    pub(crate) async fn list(&self, room: String, id: String) -> Vec<AgentDispatch> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::List { room, id, reply }).await;
        answer.await.unwrap_or_default()
    }

    /// How many workers are registered.
    pub(crate) async fn workers(&self) -> usize {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Workers(reply)).await;
        answer.await.unwrap_or_default()
    }
}
