//! `livekit.RoomService`.

use std::time::Duration;

use antiphon_protocol::proto::{
    CreateRoomRequest, DeleteRoomRequest, DeleteRoomResponse, DisconnectReason,
    ListParticipantsRequest, ListParticipantsResponse, ListRoomsRequest, ListRoomsResponse,
    MuteRoomTrackRequest, MuteRoomTrackResponse, PerformRpcRequest, PerformRpcResponse,
    RemoveParticipantResponse, RoomParticipantIdentity, SendDataRequest, SendDataResponse,
    UpdateParticipantRequest, UpdateRoomMetadataRequest, UpdateSubscriptionsRequest,
    UpdateSubscriptionsResponse, rpc_response,
};
use axum::response::Response;

use super::{Call, Code, TwirpError};
use crate::limits::{MAX_AGENTS_ASKED, MAX_METADATA_BYTES, MAX_NAME_BYTES};
use crate::room::{Api, Command, RoomHandle};
use crate::rooms::{Rooms, TOO_MANY_AGENTS, ask, options_of_request};

/// How long a participant may take to answer a call by API; LiveKit's.
const RPC_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that may be asked for.
const MAX_RPC_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn handle(call: &Call<'_>, method: &str) -> Result<Response, TwirpError> {
    match method {
        "CreateRoom" => create_room(call).await,
        "ListRooms" => list_rooms(call).await,
        "DeleteRoom" => delete_room(call).await,
        "ListParticipants" => list_participants(call).await,
        "GetParticipant" => {
            let request: RoomParticipantIdentity = call.request()?;
            let room = administered(call, &request.room)?;
            Ok(call.respond(&ask(&room, |reply| Api::Participant(request.identity, reply)).await?))
        }
        "RemoveParticipant" => {
            let request: RoomParticipantIdentity = call.request()?;
            let room = administered(call, &request.room)?;
            ask(&room, |reply| Api::Remove(request.identity, reply)).await?;
            Ok(call.respond(&RemoveParticipantResponse {}))
        }
        "MutePublishedTrack" => {
            let request: MuteRoomTrackRequest = call.request()?;
            let room = administered(call, &request.room)?;
            let track = ask(&room, |reply| Api::Mute(request, reply)).await?;
            Ok(call.respond(&MuteRoomTrackResponse { track: Some(track) }))
        }
        "UpdateParticipant" => {
            let request: UpdateParticipantRequest = call.request()?;
            let room = administered(call, &request.room)?;
            Ok(call.respond(&ask(&room, |reply| Api::Update(Box::new(request), reply)).await?))
        }
        "UpdateSubscriptions" => {
            let request: UpdateSubscriptionsRequest = call.request()?;
            let room = administered(call, &request.room)?;
            ask(&room, |reply| Api::Subscriptions(request, reply)).await?;
            Ok(call.respond(&UpdateSubscriptionsResponse {}))
        }
        "SendData" => {
            let request: SendDataRequest = call.request()?;
            let room = administered(call, &request.room)?;
            ask(&room, |reply| Api::SendData(Box::new(request), reply)).await?;
            Ok(call.respond(&SendDataResponse {}))
        }
        "UpdateRoomMetadata" => {
            let request: UpdateRoomMetadataRequest = call.request()?;
            let room = administered(call, &request.room)?;
            Ok(call.respond(&ask(&room, |reply| Api::Metadata(request.metadata, reply)).await?))
        }
        "PerformRpc" => perform_rpc(call).await,
        "ForwardParticipant" | "MoveParticipant" => Err(TwirpError::new(
            Code::Unimplemented,
            format!("{method} needs several rooms' servers; LiveKit Cloud has it"),
        )),
        _ => Err(TwirpError::new(
            Code::BadRoute,
            "RoomService has no such method",
        )),
    }
}

/// A room that exists and that the caller may administer.
fn administered(call: &Call<'_>, name: &str) -> Result<RoomHandle, TwirpError> {
    call.need_admin(name)?;
    call.state
        .rooms
        .find(name)
        .ok_or_else(|| TwirpError::new(Code::NotFound, "requested room does not exist"))
}

async fn create_room(call: &Call<'_>) -> Result<Response, TwirpError> {
    let request: CreateRoomRequest = call.request()?;
    call.need(call.claims.video_grants().room_create)?;
    if request.name.is_empty() || request.name.len() > MAX_NAME_BYTES {
        return Err(TwirpError::new(
            Code::InvalidArgument,
            "a room's name has 1 to 256 bytes",
        ));
    }
    if request.metadata.len() > MAX_METADATA_BYTES {
        return Err(TwirpError::new(
            Code::InvalidArgument,
            "metadata exceeds 512 KiB",
        ));
    }
    if request.agents.len() > MAX_AGENTS_ASKED {
        return Err(TwirpError::new(Code::InvalidArgument, TOO_MANY_AGENTS));
    }
    let options = options_of_request(call.state, &request);
    let room = Rooms::get_or_create(call.state, &request.name, Some(options)).await?;
    Ok(call.respond(&ask(&room, Api::Info).await?))
}

async fn list_rooms(call: &Call<'_>) -> Result<Response, TwirpError> {
    let request: ListRoomsRequest = call.request()?;
    call.need(call.claims.video_grants().room_list)?;
    let mut rooms = Vec::new();
    for room in call.state.rooms.all() {
        let asked =
            request.names.is_empty() || request.names.iter().any(|name| *name == *room.name);
        if asked && let Ok(info) = ask(&room, Api::Info).await {
            rooms.push(info);
        }
    }
    rooms.sort_by(|a, b| (a.creation_time_ms, &a.name).cmp(&(b.creation_time_ms, &b.name)));
    Ok(call.respond(&ListRoomsResponse { rooms }))
}

async fn delete_room(call: &Call<'_>) -> Result<Response, TwirpError> {
    let request: DeleteRoomRequest = call.request()?;
    let grants = call.claims.video_grants();
    call.need(grants.room_create || (grants.room_admin && grants.room == request.room))?;
    let gone = || TwirpError::new(Code::NotFound, "requested room does not exist");
    let room = call.state.rooms.find(&request.room).ok_or_else(gone)?;
    room.commands
        .send(Command::Close(DisconnectReason::RoomDeleted))
        .await
        .map_err(|_| gone())?;
    // Gone when the answer arrives: a caller that makes it again at once gets a new one.
    room.commands.closed().await;
    call.state.rooms.forget(&room);
    Ok(call.respond(&DeleteRoomResponse {}))
}

async fn list_participants(call: &Call<'_>) -> Result<Response, TwirpError> {
    let request: ListParticipantsRequest = call.request()?;
    let room = administered(call, &request.room)?;
    let mut participants = ask(&room, Api::Participants).await?;
    participants.sort_by(|a, b| (a.joined_at_ms, &a.identity).cmp(&(b.joined_at_ms, &b.identity)));
    Ok(call.respond(&ListParticipantsResponse { participants }))
}

async fn perform_rpc(call: &Call<'_>) -> Result<Response, TwirpError> {
    let request: PerformRpcRequest = call.request()?;
    let room = administered(call, &request.room)?;
    let timeout = match request.response_timeout_ms {
        0 => RPC_TIMEOUT,
        ms => Duration::from_millis(ms.into()).min(MAX_RPC_TIMEOUT),
    };
    let answer = ask(&room, |reply| Api::Call(request, timeout, reply)).await?;
    let late = || {
        TwirpError::new(
            Code::DeadlineExceeded,
            "1502: the participant did not answer in time",
        )
    };
    let response = tokio::time::timeout(timeout, answer)
        .await
        .map_err(|_| late())?
        .map_err(|_| late())?;
    match response.value {
        Some(rpc_response::Value::Payload(payload)) => {
            Ok(call.respond(&PerformRpcResponse { payload }))
        }
        Some(rpc_response::Value::Error(error)) => Err(TwirpError::new(
            Code::FailedPrecondition,
            format!("{}: {}", error.code, error.message),
        )),
        Some(rpc_response::Value::CompressedPayload(_)) | None => Err(TwirpError::new(
            Code::FailedPrecondition,
            "1500: the participant's answer has no payload",
        )),
    }
}
