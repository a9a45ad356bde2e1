//! What the server APIs ask of a room.

use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::proto::data_packet::{Kind, Value};
use antiphon_protocol::proto::{
    self, DataPacket, DisconnectReason, ParticipantInfo, RpcRequest, TrackInfo,
    UpdateParticipantRequest, UpdateSubscription, UserPacket,
};
use tokio::sync::oneshot;

use super::actor::Room;
use crate::limits::MAX_METADATA_BYTES;

/// API packets remembered by their nonce, against repetition by a client that retries.
const NONCES: usize = 256;
/// Calls by API waiting for their answer in one room.
const MAX_CALLS: usize = 256;

/// Why a room refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    NotFound(&'static str),
    Precondition(&'static str),
    Invalid(&'static str),
    Exhausted(&'static str),
}

/// Where the answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, ApiError>>;

/// A request of a server API.
pub(crate) enum Api {
    Info(Reply<proto::Room>),
    Participants(Reply<Vec<ParticipantInfo>>),
    Participant(String, Reply<ParticipantInfo>),
    Remove(String, Reply<()>),
    Mute(proto::MuteRoomTrackRequest, Reply<TrackInfo>),
    Update(Box<UpdateParticipantRequest>, Reply<ParticipantInfo>),
    Subscriptions(proto::UpdateSubscriptionsRequest, Reply<()>),
    SendData(Box<proto::SendDataRequest>, Reply<()>),
    Metadata(String, Reply<proto::Room>),
    /// The answer of the participant comes by the second channel.
    Call(
        proto::PerformRpcRequest,
        Duration,
        Reply<oneshot::Receiver<proto::RpcResponse>>,
    ),
}

const NO_PARTICIPANT: ApiError = ApiError::NotFound("participant does not exist");

impl Room {
    pub(super) async fn on_api(&mut self, api: Api) {
        // An asker that has gone is nobody's problem.
        match api {
            Api::Info(reply) => drop(reply.send(Ok(self.info()))),
            Api::Participants(reply) => {
                drop(
                    reply.send(Ok(self
                        .participants
                        .values()
                        .map(super::participant::Participant::info)
                        .collect())),
                );
            }
            Api::Participant(identity, reply) => drop(reply.send(self.info_of(&identity))),
            Api::Remove(identity, reply) => {
                let found = self.find(&identity);
                if let Ok(sid) = &found {
                    self.remove(sid, DisconnectReason::ParticipantRemoved).await;
                }
                drop(reply.send(found.map(|_| ())));
            }
            Api::Mute(request, reply) => {
                let outcome = self.mute(&request);
                drop(reply.send(outcome));
            }
            Api::Update(request, reply) => {
                let outcome = self.update(*request).await;
                drop(reply.send(outcome));
            }
            Api::Subscriptions(request, reply) => {
                let found = self.find(&request.identity);
                if let Ok(sid) = &found {
                    let (track_sids, participant_tracks) =
                        (request.track_sids, request.participant_tracks);
                    let update = UpdateSubscription {
                        track_sids,
                        subscribe: request.subscribe,
                        participant_tracks,
                    };
                    self.on_subscription(sid, &update).await;
                }
                drop(reply.send(found.map(|_| ())));
            }
            Api::SendData(request, reply) => {
                let outcome = self.send_data(*request);
                drop(reply.send(outcome));
            }
            Api::Metadata(metadata, reply) => {
                let outcome = self.set_metadata(metadata);
                drop(reply.send(outcome));
            }
            Api::Call(request, timeout, reply) => {
                let outcome = self.call(request, timeout);
                drop(reply.send(outcome));
            }
        }
    }

    fn find(&self, identity: &str) -> Result<Arc<str>, ApiError> {
        self.participants
            .values()
            .find(|p| *p.identity == *identity)
            .map(|p| Arc::clone(&p.sid))
            .ok_or(NO_PARTICIPANT)
    }

    fn info_of(&self, identity: &str) -> Result<ParticipantInfo, ApiError> {
        self.participants
            .values()
            .find(|p| *p.identity == *identity)
            .map(super::participant::Participant::info)
            .ok_or(NO_PARTICIPANT)
    }

    fn mute(&mut self, request: &proto::MuteRoomTrackRequest) -> Result<TrackInfo, ApiError> {
        if !request.muted && !self.state.config.rooms.enable_remote_unmute {
            return Err(ApiError::Precondition("remote unmute not enabled"));
        }
        let sid = self.find(&request.identity)?;
        self.set_muted(&sid, &request.track_sid, request.muted, true)
            .ok_or(ApiError::NotFound("track is not published"))
    }

    async fn update(
        &mut self,
        request: UpdateParticipantRequest,
    ) -> Result<ParticipantInfo, ApiError> {
        let sid = self.find(&request.identity)?;
        self.update_participant(
            &sid,
            Some(&request.name),
            Some(&request.metadata),
            &request.attributes,
        )
        .map_err(ApiError::Invalid)?;
        if let Some(permission) = request.permission {
            self.set_permission(&sid, permission).await;
        }
        self.info_of(&request.identity)
    }

    #[allow(deprecated, reason = "old callers address by identifiers")]
    fn send_data(&mut self, request: proto::SendDataRequest) -> Result<(), ApiError> {
        if !request.nonce.is_empty() {
            if request.nonce.len() != 16 {
                return Err(ApiError::Invalid("nonce should be 16-bytes or not present"));
            }
            if self.nonces.contains(&request.nonce) {
                return Ok(());
            }
            self.nonces.push_back(request.nonce.clone());
            if self.nonces.len() > NONCES {
                self.nonces.pop_front();
            }
        }
        let kind = Kind::try_from(request.kind).unwrap_or(Kind::Reliable);
        let user = UserPacket {
            payload: request.data,
            destination_sids: request.destination_sids,
            destination_identities: request.destination_identities.clone(),
            topic: request.topic,
            nonce: request.nonce,
            ..UserPacket::default()
        };
        let packet = DataPacket {
            kind: kind as i32,
            destination_identities: request.destination_identities,
            value: Some(Value::User(user)),
            ..DataPacket::default()
        };
        self.route(None, kind, &packet);
        Ok(())
    }

    fn set_metadata(&mut self, metadata: String) -> Result<proto::Room, ApiError> {
        if metadata.len() > MAX_METADATA_BYTES {
            return Err(ApiError::Invalid("metadata exceeds 512 KiB"));
        }
        self.metadata = metadata;
        let room = self.info();
        self.broadcast(proto::signal_response::Message::RoomUpdate(
            proto::RoomUpdate {
                room: Some(room.clone()),
            },
        ));
        Ok(room)
    }

    fn call(
        &mut self,
        request: proto::PerformRpcRequest,
        timeout: Duration,
    ) -> Result<oneshot::Receiver<proto::RpcResponse>, ApiError> {
        self.find(&request.destination_identity)?;
        self.rpc.retain(|_, waiting| !waiting.is_closed());
        if self.rpc.len() >= MAX_CALLS {
            return Err(ApiError::Exhausted(
                "too many calls are waiting in this room",
            ));
        }
        let id = antiphon_protocol::ids::new("RPC_");
        let (answer, answered) = oneshot::channel();
        self.rpc.insert(id.clone(), answer);
        let call = RpcRequest {
            id,
            method: request.method,
            payload: request.payload,
            response_timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            version: 1,
            ..RpcRequest::default()
        };
        let packet = DataPacket {
            destination_identities: vec![request.destination_identity],
            value: Some(Value::RpcRequest(call)),
            ..DataPacket::default()
        };
        self.route(None, Kind::Reliable, &packet);
        Ok(answered)
    }
}
