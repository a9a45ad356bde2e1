//! [`Room`]: the handle.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use antiphon_rtc::Engine;
use bytes::Bytes;
use livekit_protocol::data_packet::Value;
use livekit_protocol::{RpcRequest, TrackSource, Transcription, TranscriptionSegment, UserPacket};
use tokio::sync::{mpsc, oneshot};

use crate::actor::{self, Command, OwnPacket};
use crate::rpc::{PendingCall, random_id};
use crate::stream::{OutgoingHeader, text_packets};
use crate::{
    LocalAudioTrack, Participant, RoomError, RoomEvent, RoomOptions, RpcError, RpcHandler,
    TextOptions, TextWriter, limits, parse_server_url,
};

/// A joined room. Cloning is cheap; when the last clone and the last track are dropped the room is left.
#[derive(Clone, Debug)]
pub struct Room {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) shared: Arc<Shared>,
}

/// What the actor tells its handles without being asked.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    snapshot: RwLock<Snapshot>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) room_sid: String,
    pub(crate) room_name: String,
    pub(crate) local: Option<Arc<Participant>>,
    pub(crate) participants: Vec<Arc<Participant>>,
}

impl Shared {
    pub(crate) fn read(&self) -> Snapshot {
        self.snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        change(
            &mut self
                .snapshot
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

impl Room {
    /// Join. `url` may be `ws`, `wss`, `http` or `https`. Participants who are here already arrive as
    /// [`RoomEvent::ParticipantConnected`]. The events must be read: see [`limits::EVENTS`].
    pub async fn connect(
        engine: &Engine,
        url: &str,
        token: &str,
        options: RoomOptions,
    ) -> Result<(Self, mpsc::Receiver<RoomEvent>), RoomError> {
        actor::start(
            engine.clone(),
            parse_server_url(url)?,
            token.to_owned(),
            options,
        )
        .await
    }

    /// `RM_…`.
    pub fn sid(&self) -> String {
        self.shared.read().room_sid
    }

    /// The room's name.
    pub fn name(&self) -> String {
        self.shared.read().room_name
    }

    /// Ourselves as last announced.
    pub fn local_participant(&self) -> Option<Arc<Participant>> {
        self.shared.read().local
    }

    /// Our identity.
    pub fn local_identity(&self) -> String {
        self.local_participant()
            .map(|participant| participant.identity.clone())
            .unwrap_or_default()
    }

    /// The others.
    pub fn participants(&self) -> Vec<Arc<Participant>> {
        self.shared.read().participants
    }

    async fn command(&self, command: Command) -> Result<(), RoomError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| RoomError::Closed)
    }

    /// Publish an Opus track. Returns when the server has accepted and negotiated it.
    pub async fn publish_audio(
        &self,
        name: &str,
        source: TrackSource,
    ) -> Result<LocalAudioTrack, RoomError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Publish {
            name: name.to_owned(),
            source,
            reply,
        })
        .await?;
        let what = "confirmation of the published track";
        let timeout = RoomError::Timeout {
            what,
            after: limits::PUBLISH_TIMEOUT,
        };
        let shared = tokio::time::timeout(limits::PUBLISH_TIMEOUT, answer)
            .await
            .map_err(|_| timeout)?
            .map_err(|_| RoomError::Closed)??;
        Ok(LocalAudioTrack {
            shared,
            commands: self.commands.clone(),
        })
    }

    /// Subscribe to a remote track, or stop it.
    pub async fn set_subscribed(&self, track_sid: &str, subscribed: bool) -> Result<(), RoomError> {
        self.command(Command::Subscribe {
            track_sid: track_sid.to_owned(),
            subscribed,
        })
        .await
    }

    /// Change these attributes of ours; an empty value removes one. Needs `canUpdateOwnMetadata`.
    pub async fn set_attributes(
        &self,
        attributes: HashMap<String, String>,
    ) -> Result<(), RoomError> {
        self.command(Command::Describe {
            metadata: None,
            attributes,
        })
        .await
    }

    /// Change our metadata. Needs `canUpdateOwnMetadata`.
    pub async fn set_metadata(&self, metadata: &str) -> Result<(), RoomError> {
        self.command(Command::Describe {
            metadata: Some(metadata.to_owned()),
            attributes: HashMap::new(),
        })
        .await
    }

    /// Send a text that is known as a whole, as a text stream.
    pub async fn send_text(&self, text: &str, options: TextOptions) -> Result<(), RoomError> {
        if text.len() > limits::TEXT_STREAM_BYTES {
            return Err(RoomError::TooLarge {
                what: "the text",
                size: text.len(),
                limit: limits::TEXT_STREAM_BYTES,
            });
        }
        for packet in text_packets(text, options) {
            self.command(Command::Send(packet)).await?;
        }
        Ok(())
    }

    /// Open a text stream and write into it bit by bit.
    pub async fn stream_text(&self, options: TextOptions) -> Result<TextWriter, RoomError> {
        let (shared, header) = OutgoingHeader::open(options, None);
        self.command(Command::Send(header)).await?;
        Ok(TextWriter::new(shared, self.commands.clone()))
    }

    /// Send a data message, to all when `destinations` is empty.
    pub async fn send_data(
        &self,
        payload: Bytes,
        topic: Option<String>,
        reliable: bool,
        destinations: Vec<String>,
    ) -> Result<(), RoomError> {
        if payload.len() > limits::DATA_PACKET_BYTES {
            return Err(RoomError::TooLarge {
                what: "the message",
                size: payload.len(),
                limit: limits::DATA_PACKET_BYTES,
            });
        }
        let value = Value::User(UserPacket {
            payload: payload.to_vec(),
            topic,
            ..Default::default()
        });
        self.command(Command::Send(OwnPacket {
            value,
            destinations,
            sender_identity: String::new(),
            reliable,
        }))
        .await
    }

    /// The older form of transcriptions, which some clients still read; text streams are the newer one. The server lets
    /// only agents send it.
    pub async fn publish_transcription(
        &self,
        identity: &str,
        track_sid: &str,
        segment_id: &str,
        text: &str,
        is_final: bool,
    ) -> Result<(), RoomError> {
        let value = Value::Transcription(Transcription {
            transcribed_participant_identity: identity.to_owned(),
            track_id: track_sid.to_owned(),
            segments: vec![TranscriptionSegment {
                id: segment_id.to_owned(),
                text: text.to_owned(),
                r#final: is_final,
                ..Default::default()
            }],
        });
        self.command(Command::Send(OwnPacket {
            value,
            destinations: vec![],
            sender_identity: String::new(),
            reliable: true,
        }))
        .await
    }

    /// Call a method of another participant and wait for its answer.
    pub async fn perform_rpc(
        &self,
        destination: &str,
        method: &str,
        payload: &str,
        response_timeout: Duration,
    ) -> Result<String, RoomError> {
        if payload.len() > limits::RPC_PAYLOAD_BYTES {
            return Err(
                RpcError::new(RpcError::REQUEST_TOO_LARGE, "the request is too large").into(),
            );
        }
        let id = random_id();
        let (acknowledged, acknowledgement) = oneshot::channel();
        let (response, mut answer) = oneshot::channel();
        let request = RpcRequest {
            id: id.clone(),
            method: method.to_owned(),
            payload: payload.to_owned(),
            response_timeout_ms: u32::try_from(response_timeout.as_millis()).unwrap_or(u32::MAX),
            version: 1,
            ..Default::default()
        };
        let call = PendingCall {
            destination: destination.to_owned(),
            acknowledged: Some(acknowledged),
            response,
        };
        self.command(Command::Call { request, call }).await?;
        let result = tokio::select! {
            biased;
            result = &mut answer => result,
            heard = tokio::time::timeout(limits::RPC_ACK_TIMEOUT.min(response_timeout), acknowledgement) => match heard {
                Ok(_) => match tokio::time::timeout(response_timeout, answer).await {
                    Ok(result) => result,
                    Err(_) => Ok(Err(RpcError::new(RpcError::RESPONSE_TIMEOUT, "no response in time"))),
                },
                Err(_) => Ok(Err(RpcError::new(RpcError::CONNECTION_TIMEOUT, "the recipient did not acknowledge the call"))),
            },
        };
        let _ = self.commands.try_send(Command::ForgetCall { id });
        Ok(result.map_err(|_| RoomError::Closed)??)
    }

    /// Answer calls of this method, those that come after this has returned at the latest; a second registration replaces
    /// the first.
    pub async fn register_rpc(&self, method: &str, handler: RpcHandler) -> Result<(), RoomError> {
        let (reply, registered) = oneshot::channel();
        self.command(Command::Register {
            method: method.to_owned(),
            handler,
            reply,
        })
        .await?;
        registered.await.map_err(|_| RoomError::Closed)
    }

    /// Leave: the server and the others are told. Returns when it is done.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.command(Command::Close { reply }).await.is_ok() {
            let _ = done.await;
        }
    }
}
