//! `livekit.AgentDispatchService`.

use antiphon_protocol::proto::{
    CreateAgentDispatchRequest, CreateRoomRequest, DeleteAgentDispatchRequest,
    ListAgentDispatchRequest, ListAgentDispatchResponse, RoomAgentDispatch,
};
use axum::response::Response;

use super::{Call, Code, TwirpError};
use crate::agents::DispatchError;
use crate::limits::MAX_NAME_BYTES;
use crate::room::Api;
use crate::rooms::{Rooms, ask, options_of_request};

pub(super) async fn handle(call: &Call<'_>, method: &str) -> Result<Response, TwirpError> {
    match method {
        "CreateDispatch" => create(call).await,
        "DeleteDispatch" => {
            let request: DeleteAgentDispatchRequest = call.request()?;
            call.need_admin(&request.room)?;
            let dispatch = call
                .state
                .agents
                .delete(request.room, request.dispatch_id)
                .await?;
            Ok(call.respond(&dispatch))
        }
        "ListDispatch" => {
            let request: ListAgentDispatchRequest = call.request()?;
            call.need_admin(&request.room)?;
            let mut agent_dispatches = call
                .state
                .agents
                .list(request.room, request.dispatch_id)
                .await;
            // Nobody asked for the automatic dispatch of unnamed workers.
            agent_dispatches.retain(|d| !d.agent_name.is_empty());
            Ok(call.respond(&ListAgentDispatchResponse { agent_dispatches }))
        }
        _ => Err(TwirpError::new(
            Code::BadRoute,
            "AgentDispatchService has no such method",
        )),
    }
}

/// The room is made if it is not there, with this agent alone.
async fn create(call: &Call<'_>) -> Result<Response, TwirpError> {
    let request: CreateAgentDispatchRequest = call.request()?;
    call.need_admin(&request.room)?;
    if request.room.is_empty() || request.room.len() > MAX_NAME_BYTES {
        return Err(TwirpError::new(
            Code::InvalidArgument,
            "a room's name has 1 to 256 bytes",
        ));
    }
    if let Some(room) = call.state.rooms.find(&request.room) {
        // A room that answers has told the dispatcher that it is there.
        let _ = ask(&room, Api::Info).await;
        return Ok(call.respond(&call.state.agents.create(request).await?));
    }
    let agent = RoomAgentDispatch {
        agent_name: request.agent_name,
        metadata: request.metadata,
        restart_policy: request.restart_policy,
        deployment: request.deployment,
        attributes: request.attributes,
    };
    let room = CreateRoomRequest {
        name: request.room.clone(),
        agents: vec![agent],
        ..CreateRoomRequest::default()
    };
    let options = options_of_request(call.state, &room);
    Rooms::get_or_create(call.state, &request.room, Some(options)).await?;
    let made = call
        .state
        .agents
        .list(request.room, String::new())
        .await
        .into_iter()
        .next();
    let made =
        made.ok_or_else(|| TwirpError::new(Code::NotFound, "requested room does not exist"))?;
    Ok(call.respond(&made))
}

impl From<DispatchError> for TwirpError {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::NoRoom => Self::new(Code::NotFound, "requested room does not exist"),
            DispatchError::NotFound => {
                Self::new(Code::NotFound, "requested dispatch does not exist")
            }
            DispatchError::TooMany => {
                Self::new(Code::ResourceExhausted, "the room has too many dispatches")
            }
        }
    }
}
