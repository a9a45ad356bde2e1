//! Joining by WebSocket: admission first, with a status that SDKs understand; then the upgrade.
//!
//! | module | what |
//! |---|---|
//! | `asked` | what a client asks for as it joins |
//! | `budget` | how much one client may ask |
//! | [`codec`] | protobuf and JSON frames |
//! | [`socket`] | the connection of one participant |

pub(crate) mod asked;
mod budget;
pub(crate) mod codec;
pub(crate) mod socket;

use asked::{Asked, JOIN_REQUEST};
pub(crate) use budget::SignalRates;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use antiphon_protocol::{Claims, ParticipantKind};
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio::sync::{mpsc, oneshot};

use crate::auth::{self, Denied, PERMISSIONS_DENIED};
use crate::limits::{MAX_AGENTS_ASKED, MAX_NAME_BYTES, OUTGOING_QUEUE, Use};
use crate::room::{Command, Join, RoomHandle, ToSocket};
use crate::rooms::{Rooms, TOO_MANY_AGENTS, options_of_token};
use crate::state::State;

/// A room may be closing just when somebody joins; then a new one is made. More often than this is a bug.
const JOIN_ATTEMPTS: usize = 3;

/// Here a client has to bring a `join_request`.
const SINGLE_CONNECTION: &str = "/rtc/v1";

/// A request that may join.
pub(crate) struct Admission {
    claims: Claims,
    room: String,
    asked: Asked,
}

/// A participant that is in the room; its socket comes next.
pub(crate) struct Admitted {
    pub(crate) room: RoomHandle,
    pub(crate) sid: Arc<str>,
    pub(crate) connection: u64,
    pub(crate) outgoing: mpsc::Receiver<ToSocket>,
    /// Whose budgets it spends; see [`Rates::participant`](crate::limits::Rates::participant).
    pub(crate) participant: u64,
    /// It is an agent: somebody notices at once when it does not answer.
    pub(crate) is_agent: bool,
}

/// Everything that can be checked before a room is asked.
pub(crate) fn admission(
    state: &State,
    headers: &HeaderMap,
    uri: &Uri,
    address: IpAddr,
) -> Result<Admission, Denied> {
    let claims = auth::claims(&state.keys, headers, uri.query())
        .map_err(|denied| auth::stranger(denied, state.rates.stranger_joins(address)))?;
    let used = match claims.participant_kind() {
        ParticipantKind::Agent => Use::Agent,
        _ => Use::Call,
    };
    state
        .rates
        .with_token(&claims, used)
        .map_err(|too_many| Denied::too_many(&too_many))?;
    let grants = claims.video_grants();
    if !grants.room_join {
        return Err(Denied::unauthorized(PERMISSIONS_DENIED));
    }
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let room = match query.get("room") {
        Some(asked) if !asked.is_empty() && *asked != grants.room && !grants.room.is_empty() => {
            return Err(Denied::unauthorized(PERMISSIONS_DENIED));
        }
        Some(asked) if grants.room.is_empty() => asked.clone(),
        _ => grants.room.clone(),
    };
    let identity = claims.participant_identity();
    let bad = |text: &str| Err(Denied::new(StatusCode::BAD_REQUEST, text));
    if identity.is_empty() {
        return bad("identity cannot be empty");
    }
    if room.is_empty() {
        return bad("no room name");
    }
    if identity.len() > MAX_NAME_BYTES {
        return bad("participant identity exceeds 256 bytes");
    }
    if room.len() > MAX_NAME_BYTES {
        return bad("room name exceeds 256 bytes");
    }
    if claims.name.len() > MAX_NAME_BYTES {
        return bad("participant name exceeds 256 bytes");
    }
    let config = claims.room_config.as_ref();
    if config.is_some_and(|config| config.agents.len() > MAX_AGENTS_ASKED) {
        return bad(TOO_MANY_AGENTS);
    }
    if uri.path().starts_with(SINGLE_CONNECTION) && !query.contains_key(JOIN_REQUEST) {
        return bad("join_request is missing");
    }
    let may_describe = grants.can_update_own_metadata.unwrap_or(false);
    let asked = Asked::read(&query, address, may_describe)?;
    Ok(Admission {
        claims,
        room,
        asked,
    })
}

impl Admission {
    /// Is the room there, or may it be made? Nothing is changed.
    pub(crate) fn validate(&self, state: &State) -> Result<(), Denied> {
        if !state.config.rooms.auto_create && state.rooms.find(&self.room).is_none() {
            return Err(Denied::new(
                StatusCode::NOT_FOUND,
                "requested room does not exist",
            ));
        }
        Ok(())
    }

    /// Join the room.
    pub(crate) async fn join(self, state: &Arc<State>) -> Result<Admitted, Denied> {
        let resume = &self.asked.resume;
        for _ in 0..JOIN_ATTEMPTS {
            let create = (state.config.rooms.auto_create && resume.is_none())
                .then(|| options_of_token(state, &self.claims));
            let room = match Rooms::get_or_create(state, &self.room, create).await {
                Ok(room) => room,
                // Nobody to resume with: the client shall join anew.
                Err(denied) if resume.is_some() && denied.status == StatusCode::NOT_FOUND => {
                    return self.join_anew(state).await;
                }
                Err(denied) => return Err(denied),
            };
            let (outgoing, messages) = mpsc::channel(OUTGOING_QUEUE);
            let (reply, joined) = oneshot::channel();
            let connection = state.next_connection();
            let join = Join {
                claims: self.claims.clone(),
                client: self.asked.client.clone(),
                auto_subscribe: self.asked.auto_subscribe,
                auto_subscribe_data: self.asked.auto_subscribe_data,
                attributes: self.asked.attributes.clone(),
                metadata: self.asked.metadata.clone(),
                single: self.asked.single.clone(),
                resume: resume.clone(),
                connection,
                outgoing,
                reply,
            };
            if room
                .commands
                .send(Command::Join(Box::new(join)))
                .await
                .is_ok()
                && let Ok(sid) = joined.await
            {
                return Ok(Admitted {
                    room,
                    sid,
                    connection,
                    outgoing: messages,
                    participant: state.rates.participant(&self.claims),
                    is_agent: self.claims.participant_kind() == ParticipantKind::Agent,
                });
            }
            tokio::task::yield_now().await;
        }
        Err(Denied::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the room is closing; try again",
        ))
    }

    /// A resume into a room that is gone: the answer comes by signalling, since an error status would end the client.
    async fn join_anew(&self, state: &Arc<State>) -> Result<Admitted, Denied> {
        use antiphon_protocol::proto::{
            DisconnectReason, LeaveRequest, SignalResponse, leave_request, signal_response,
        };
        let (outgoing, messages) = mpsc::channel(2);
        let leave = LeaveRequest {
            can_reconnect: true,
            reason: DisconnectReason::StateMismatch as i32,
            action: leave_request::Action::Reconnect as i32,
            regions: None,
        };
        let message = SignalResponse {
            message: Some(signal_response::Message::Leave(leave)),
        };
        let _ = outgoing.try_send(ToSocket::Message(Arc::new(message)));
        let _ = outgoing.try_send(ToSocket::Close);
        let (commands, _) = mpsc::channel(1);
        let room = RoomHandle {
            name: Arc::from(self.room.as_str()),
            sid: Arc::from(""),
            commands,
        };
        Ok(Admitted {
            room,
            sid: Arc::from(""),
            connection: state.next_connection(),
            outgoing: messages,
            participant: state.rates.participant(&self.claims),
            is_agent: false,
        })
    }
}
