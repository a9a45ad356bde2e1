//! The rooms that are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_protocol::Claims;
use antiphon_protocol::proto::{CreateRoomRequest, RoomConfiguration};
use axum::http::StatusCode;
use tokio::sync::oneshot;

use crate::auth::Denied;
use crate::room::{self, Api, ApiError, Command, RoomHandle, RoomOptions};
use crate::state::State;

/// The rooms that are open, by name.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    open: Mutex<HashMap<Arc<str>, RoomHandle>>,
}

impl Rooms {
    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, RoomHandle>> {
        // The map is valid after every statement below, so a panic elsewhere does not spoil it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, name: &str) -> Option<RoomHandle> {
        self.open()
            .get(name)
            .filter(|room| !room.commands.is_closed())
            .cloned()
    }

    pub(crate) fn all(&self) -> Vec<RoomHandle> {
        self.open().values().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.open().len()
    }

    /// Is anybody but agents in any room?
    pub(crate) async fn occupied(&self) -> bool {
        for room in self.all() {
            let info = ask(&room, Api::Info).await;
            if info.is_ok_and(|info| info.num_participants > 0) {
                return true;
            }
        }
        false
    }

    /// Forget a room that ended, unless another of the same name has begun.
    pub(crate) fn forget(&self, room: &RoomHandle) {
        let mut open = self.open();
        if open
            .get(&room.name)
            .is_some_and(|known| known.sid == room.sid)
        {
            open.remove(&room.name);
        }
        gauge(open.len());
    }

    /// The room of that name; made if there is none and `create` allows it.
    pub(crate) async fn get_or_create(
        state: &Arc<State>,
        name: &str,
        create: Option<RoomOptions>,
    ) -> Result<RoomHandle, Denied> {
        let handle = {
            let mut open = state.rooms.open();
            if let Some(room) = open.get(name).filter(|room| !room.commands.is_closed()) {
                return Ok(room.clone());
            }
            let Some(options) = create else {
                return Err(Denied::new(
                    StatusCode::NOT_FOUND,
                    "requested room does not exist",
                ));
            };
            if state.is_draining() {
                return Err(Denied::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the server is shutting down",
                ));
            }
            if open.len() >= state.config.limits.max_rooms {
                return Err(Denied::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the server has too many rooms",
                ));
            }
            let handle = room::spawn(Arc::clone(state), name, options);
            open.insert(Arc::clone(&handle.name), handle.clone());
            gauge(open.len());
            handle
        };
        // Once it answers, the dispatcher knows it too.
        let _ = ask(&handle, Api::Info).await;
        Ok(handle)
    }

    /// Everybody must leave every room.
    pub(crate) async fn close_all(&self, reason: antiphon_protocol::proto::DisconnectReason) {
        for room in self.all() {
            let _ = room.commands.send(Command::Close(reason)).await;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no server has that many rooms")]
fn gauge(rooms: usize) {
    metrics::gauge!(antiphon_telemetry::names::SERVER_ROOMS).set(rooms as f64);
    metrics::gauge!(antiphon_telemetry::names::LIVEKIT_ROOM_TOTAL).set(rooms as f64);
}

/// Ask a room.
pub(crate) async fn ask<T>(
    room: &RoomHandle,
    question: impl FnOnce(oneshot::Sender<Result<T, ApiError>>) -> Api,
) -> Result<T, ApiError> {
    const GONE: ApiError = ApiError::NotFound("requested room does not exist");
    let (reply, answer) = oneshot::channel();
    room.commands
        .send(Command::Api(question(reply)))
        .await
        .map_err(|_| GONE)?;
    answer.await.map_err(|_| GONE)?
}

/// What a token or a request is told that asks for more than [`MAX_AGENTS_ASKED`](crate::limits::MAX_AGENTS_ASKED).
pub(crate) const TOO_MANY_AGENTS: &str =
    "more than 10 agents are asked for; name at most 10, and add others with CreateDispatch";

/// How a room is made for a participant with this token.
pub(crate) fn options_of_token(state: &State, claims: &Claims) -> RoomOptions {
    let config = claims.room_config.clone().unwrap_or_default();
    let RoomConfiguration {
        empty_timeout,
        departure_timeout,
        max_participants,
        metadata,
        agents,
        ..
    } = config;
    options(
        state,
        empty_timeout,
        departure_timeout,
        max_participants,
        metadata,
        agents,
    )
}

/// How a room is made for this API call.
pub(crate) fn options_of_request(state: &State, request: &CreateRoomRequest) -> RoomOptions {
    options(
        state,
        request.empty_timeout,
        request.departure_timeout,
        request.max_participants,
        request.metadata.clone(),
        request.agents.clone(),
    )
}

fn options(
    state: &State,
    empty: u32,
    departure: u32,
    max_participants: u32,
    metadata: String,
    agents: Vec<antiphon_protocol::proto::RoomAgentDispatch>,
) -> RoomOptions {
    let defaults = &state.config.rooms;
    let or = |seconds: u32, default| {
        if seconds > 0 {
            Duration::from_secs(seconds.into())
        } else {
            default
        }
    };
    RoomOptions {
        empty_timeout: or(empty, defaults.empty_timeout),
        departure_timeout: or(departure, defaults.departure_timeout),
        max_participants: if max_participants > 0 {
            max_participants
        } else {
            defaults.max_participants
        },
        metadata,
        agents,
        data_blobs: defaults.data_blobs,
    }
}
