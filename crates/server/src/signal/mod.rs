//! Joining by WebSocket: admission first, with a status that SDKs understand; then the upgrade.
//!
//! | module | what |
//! |---|---|
//! | `budget` | how much one client may ask |
//! | [`codec`] | protobuf and JSON frames |
//! | [`socket`] | the connection of one participant |

mod budget;
pub(crate) mod codec;
pub(crate) mod socket;

pub(crate) use budget::SignalRates;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use antiphon_protocol::proto::{ClientInfo, client_info};
use antiphon_protocol::{Claims, ParticipantKind};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use tokio::sync::{mpsc, oneshot};

use crate::auth::{self, Denied, PERMISSIONS_DENIED};
use crate::limits::{MAX_AGENTS_ASKED, MAX_ATTRIBUTES_BYTES, MAX_NAME_BYTES, OUTGOING_QUEUE, Use};
use crate::room::{Command, Join, Outgoing, RoomHandle};
use crate::rooms::{Rooms, TOO_MANY_AGENTS, options_of_token};
use crate::state::State;

/// A room may be closing just when somebody joins; then a new one is made. More often than this is a bug.
const JOIN_ATTEMPTS: usize = 3;

/// A request that may join.
pub(crate) struct Admission {
    claims: Claims,
    room: String,
    query: HashMap<String, String>,
    attributes: HashMap<String, String>,
    address: IpAddr,
}

/// A participant that is in the room; its socket comes next.
pub(crate) struct Admitted {
    pub(crate) room: RoomHandle,
    pub(crate) sid: Arc<str>,
    pub(crate) connection: u64,
    pub(crate) outgoing: mpsc::Receiver<Outgoing>,
    /// Whose budgets it spends; see [`Rates::participant`](crate::limits::Rates::participant).
    pub(crate) participant: u64,
}

/// Everything that can be checked before a room is asked.
pub(crate) fn admission(
    state: &State,
    headers: &HeaderMap,
    query: Option<&str>,
    address: IpAddr,
) -> Result<Admission, Denied> {
    let claims = auth::claims(&state.verifier, headers, query)
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
        url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
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
    let attributes = attributes(&query, grants.can_update_own_metadata.unwrap_or(false))?;
    Ok(Admission {
        claims,
        room,
        query,
        attributes,
        address,
    })
}

pub(crate) fn attributes(
    query: &HashMap<String, String>,
    allowed: bool,
) -> Result<HashMap<String, String>, Denied> {
    let Some(text) = query.get("attributes").filter(|text| !text.is_empty()) else {
        return Ok(HashMap::new());
    };
    if !allowed {
        return Err(Denied::unauthorized(PERMISSIONS_DENIED));
    }
    let json = URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .or_else(|_| URL_SAFE.decode(text));
    let parsed = json
        .ok()
        .filter(|j| j.len() <= MAX_ATTRIBUTES_BYTES)
        .and_then(|json| serde_json::from_slice(&json).ok());
    parsed.ok_or_else(|| {
        Denied::new(
            StatusCode::BAD_REQUEST,
            "attributes are not base64url of a JSON map of strings",
        )
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
        let client = client_info(&self.query, self.address);
        let auto_subscribe = flag(&self.query, "auto_subscribe").unwrap_or(true);
        let resume = flag(&self.query, "reconnect")
            .unwrap_or(false)
            .then(|| self.query.get("sid").cloned().unwrap_or_default());
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
                client: client.clone(),
                auto_subscribe,
                attributes: self.attributes.clone(),
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
        let _ = outgoing.try_send(Outgoing::Message(Arc::new(message)));
        let _ = outgoing.try_send(Outgoing::Close);
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
        })
    }
}

/// What the client says about itself in its query.
pub(crate) fn client_info(query: &HashMap<String, String>, address: IpAddr) -> ClientInfo {
    let text = |name: &str| query.get(name).cloned().unwrap_or_default();
    let number = |name: &str| {
        query
            .get(name)
            .and_then(|v| v.parse().ok())
            .unwrap_or_default()
    };
    let capabilities = text("capabilities");
    let capabilities = capabilities
        .split(',')
        .filter_map(|name| client_info::Capability::from_str_name(name.trim()))
        .map(|capability| capability as i32)
        .collect();
    ClientInfo {
        sdk: sdk(&text("sdk")) as i32,
        version: text("version"),
        protocol: number("protocol"),
        os: text("os"),
        os_version: text("os_version"),
        device_model: text("device_model"),
        browser: text("browser"),
        browser_version: text("browser_version"),
        network: text("network"),
        address: address.to_string(),
        client_protocol: number("client_protocol"),
        capabilities,
        ..ClientInfo::default()
    }
}

fn flag(query: &HashMap<String, String>, name: &str) -> Option<bool> {
    query
        .get(name)
        .map(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

fn sdk(name: &str) -> client_info::Sdk {
    use client_info::Sdk;
    match name.to_ascii_lowercase().as_str() {
        "ios" => Sdk::Swift,
        other => Sdk::from_str_name(&other.to_ascii_uppercase()).unwrap_or(Sdk::Unknown),
    }
}
