//! Agent workers and their jobs: who is registered, which room needs an agent, who is asked to be it.
//!
//! | module | what |
//! |---|---|
//! | `machine` | all the rules, as a state machine without I/O |
//! | `shell` | the task that drives it: clock, sockets, rooms |
//! | `socket` | the WebSocket of a worker |

mod machine;
mod shell;
mod socket;

use std::sync::Arc;

use antiphon_protocol::proto::{
    self, AgentDispatch, CreateAgentDispatchRequest, RegisterWorkerRequest, RoomAgentDispatch,
    ServerMessage, WorkerMessage,
};
use tokio::sync::{mpsc, oneshot};

use crate::keys::KeyRing;
use crate::room::RoomHandle;

pub(crate) use machine::Input as Notice;
pub(crate) use socket::serve;

/// Commands waiting for the dispatcher; rooms wait when it is full.
const QUEUE: usize = 4096;

/// Why a dispatch was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DispatchError {
    NoRoom,
    NotFound,
    TooMany,
}

pub(crate) enum Command {
    /// A room was made, with the agents asked for. The first that is told about it.
    Opened {
        room: Box<proto::Room>,
        agents: Vec<RoomAgentDispatch>,
        handle: RoomHandle,
    },
    Fact(Notice),
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
    pub(crate) fn start(keys: Arc<KeyRing>, max_rooms: usize) -> Self {
        let (commands, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(shell::Shell::new(keys, max_rooms).run(inbox));
        Self { commands }
    }

    /// A room was made.
    pub(crate) async fn opened(
        &self,
        room: proto::Room,
        agents: Vec<RoomAgentDispatch>,
        handle: RoomHandle,
    ) {
        self.send(Command::Opened {
            room: Box::new(room),
            agents,
            handle,
        })
        .await;
    }

    /// Something happened in a room.
    pub(crate) async fn notify(&self, notice: Notice) {
        self.send(Command::Fact(notice)).await;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use antiphon_protocol::proto::server_message;

    #[tokio::test]
    async fn after_a_bug_the_dispatcher_goes_on_and_a_room_that_waited_gets_its_agent() {
        let keys = antiphon_protocol::Keys::single("devkey", "secret");
        let agents = Agents::start(Arc::new(KeyRing::new(keys)), 10);
        let (commands, _room) = mpsc::channel(8);
        let handle = RoomHandle {
            name: Arc::from("hall"),
            sid: Arc::from("RM_hall"),
            commands,
        };
        let room = proto::Room {
            sid: "RM_hall".to_owned(),
            name: "hall".to_owned(),
            ..Default::default()
        };
        agents.opened(room, Vec::new(), handle).await;
        agents.notify(Notice::Bug).await;
        let (outgoing, mut offers) = mpsc::channel(8);
        let (reply, registered) = oneshot::channel();
        agents
            .send(Command::Register {
                key: "devkey".to_owned(),
                request: Box::default(),
                outgoing,
                reply,
            })
            .await;
        assert!(registered.await.unwrap().starts_with("AW_"));
        let offered = offers.recv().await.unwrap().message.unwrap();
        assert!(matches!(offered, server_message::Message::Availability(_)));
        assert_eq!(agents.workers().await, 1);
    }
}
