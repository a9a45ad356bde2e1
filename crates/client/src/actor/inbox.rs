//! What the server and the others say.

use bytes::Bytes;
use livekit_protocol::data_packet::Value;
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use livekit_protocol::{
    DataPacket, DisconnectReason, LeaveRequest, ParticipantInfo, ReconnectReason, RequestResponse,
    RpcAck, RpcRequest, SessionDescription, SignalTarget, SpeakerInfo, TrickleRequest,
    request_response,
};
use prost::Message as _;
use tokio::time::Instant;

use super::link::Link;
use super::{Actor, Command, Exit, OwnPacket};
use crate::address::Topology;
use crate::error::shorten;
use crate::outbox::RELIABLE;
use crate::rpc::{self, PendingCall, RpcError};
use antiphon_protocol::trickle;

use crate::{DataMessage, Participant, RoomError, RoomEvent, Speaker, limits, sdp};

impl Actor {
    /// One message of the server.
    pub(super) async fn response(&mut self, link: &mut Link, message: Response) -> Option<Exit> {
        let result = match message {
            Response::Offer(offer) => self.subscriber_offer(link, offer).await,
            Response::Answer(answer) => self.publisher_answer(link, answer).await,
            Response::Trickle(trickle) => {
                remote_candidate(link, &trickle);
                Ok(())
            }
            Response::Update(update) => {
                self.participants_updated(link, &update.participants);
                Ok(())
            }
            Response::MediaSectionsRequirement(more) => {
                link.publisher
                    .ask_for_offer(more.num_audios, more.num_videos);
                self.negotiate(link, Vec::new()).await
            }
            Response::Leave(leave) => return Some(left(&leave)),
            other => {
                self.notice(link, other);
                let changes = std::mem::take(&mut link.to_offer);
                if changes.is_empty() {
                    Ok(())
                } else {
                    self.negotiate(link, changes).await
                }
            }
        };
        match result {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(%error, "negotiation failed");
                link.broken.get_or_insert_with(Instant::now);
                None
            }
        }
    }

    /// Messages that need no negotiation.
    fn notice(&mut self, link: &mut Link, message: Response) {
        match message {
            Response::TrackPublished(published) => self.track_published(link, published),
            Response::TrackSubscribed(subscribed) => {
                if let Some(track) = self.local_track(&subscribed.track_sid) {
                    track.shared.subscribed.send_replace(true);
                }
            }
            Response::TrackUnpublished(unpublished) => {
                if let Some(track) = self.local_track(&unpublished.track_sid) {
                    track.shared.set_route(None);
                    tracing::warn!(
                        track = unpublished.track_sid,
                        "the server unpublished our track"
                    );
                }
            }
            Response::Mute(mute) => {
                self.local_muted(&mute.sid, mute.muted);
                link.signal.send(Request::Mute(mute.clone()));
                self.emit(RoomEvent::LocalTrackMuted {
                    track_sid: mute.sid,
                    muted: mute.muted,
                });
            }
            Response::SpeakersChanged(changed) => self.speakers(changed.speakers),
            Response::RoomUpdate(update) => {
                if let Some(room) = update.room {
                    self.shared.change(|snapshot| snapshot.room_sid = room.sid);
                }
            }
            Response::RefreshToken(token) => self.token = token,
            Response::RoomMoved(moved) => {
                self.token = moved.token;
                let mut events = Vec::new();
                self.roster.replace(&moved.other_participants, &mut events);
                self.roster_events(link, events);
            }
            Response::RequestResponse(response) => self.request_response(&response),
            Response::Join(_) | Response::Reconnect(_) => {
                tracing::warn!("a join message in the middle of a session")
            }
            Response::Pong(_) | Response::PongResp(_) | Response::ConnectionQuality(_) => {}
            Response::Offer(_)
            | Response::Answer(_)
            | Response::Trickle(_)
            | Response::Update(_)
            | Response::MediaSectionsRequirement(_)
            | Response::Leave(_) => {}
            Response::StreamStateUpdate(_)
            | Response::SubscribedQualityUpdate(_)
            | Response::SubscriptionPermissionUpdate(_)
            | Response::SubscriptionResponse(_)
            | Response::SubscribedAudioCodecUpdate(_)
            | Response::PublishDataTrackResponse(_)
            | Response::UnpublishDataTrackResponse(_)
            | Response::DataTrackSubscriberHandles(_)
            | Response::StoreDataBlobResponse(_)
            | Response::GetDataBlobResponse(_) => {
                tracing::debug!("a signal message that a voice agent does not need")
            }
        }
    }

    async fn subscriber_offer(
        &mut self,
        link: &mut Link,
        offer: SessionDescription,
    ) -> Result<(), RoomError> {
        let Some(subscriber) = &mut link.subscriber else {
            tracing::warn!("the server offers, although we have a single connection: ignored");
            return Ok(());
        };
        let answer = subscriber.answer(offer.sdp.clone()).await?;
        link.signal.send(Request::Answer(SessionDescription {
            r#type: "answer".into(),
            sdp: answer.clone(),
            id: offer.id,
            ..Default::default()
        }));
        let sent = sdp::sent_tracks(&offer.sdp, &offer.mid_to_track_id);
        link.subscriber_sdp = Some((offer.sdp, answer));
        self.sections_changed(link, sent);
        Ok(())
    }

    async fn publisher_answer(
        &mut self,
        link: &mut Link,
        answer: SessionDescription,
    ) -> Result<(), RoomError> {
        let text = answer.sdp.clone();
        if link.publisher.answered(answer.id, answer.sdp).await? {
            self.routes_ready(link);
            if link.topology() == Topology::Single {
                let sent = sdp::sent_tracks(&text, &answer.mid_to_track_id);
                link.subscriber_sdp = link.publisher_sdp.clone().map(|offer| (offer, text));
                self.sections_changed(link, sent);
            }
            self.negotiate(link, Vec::new()).await?;
        }
        Ok(())
    }

    pub(super) fn participants_updated(&mut self, link: &Link, infos: &[ParticipantInfo]) {
        let identity = self.identity();
        let mut events = Vec::new();
        for info in infos {
            if info.identity == identity {
                if info.sid == link.participant_sid {
                    self.shared
                        .change(|snapshot| snapshot.local = Some(Participant::new(info).into()));
                }
            } else {
                self.roster.update(info, &mut events);
            }
        }
        self.roster_events(link, events);
    }

    fn speakers(&mut self, speakers: Vec<SpeakerInfo>) {
        let mut active: Vec<Speaker> = speakers
            .into_iter()
            .filter(|speaker| speaker.active)
            .map(|speaker| Speaker {
                sid: speaker.sid,
                level: speaker.level,
            })
            .collect();
        active.sort_by(|one, other| other.level.total_cmp(&one.level));
        self.emit(RoomEvent::ActiveSpeakers(active));
    }

    fn request_response(&mut self, response: &RequestResponse) {
        use request_response::{Reason, Request};
        if matches!(response.reason(), Reason::Ok | Reason::Queued) {
            return;
        }
        let message = shorten(&response.message, limits::SERVER_MESSAGE_BYTES);
        tracing::warn!(reason = ?response.reason(), message, "the server refused a request");
        if let Some(Request::AddTrack(request)) = &response.request
            && let Some(mut track) = self.local_tracks.remove(&request.cid)
            && let Some(reply) = track.reply.take()
        {
            let reason = format!("{:?} {message}", response.reason());
            let _ = reply.send(Err(RoomError::NotAllowed {
                what: "publish the track",
                reason,
            }));
        }
    }

    /// One data packet.
    pub(super) fn data(&mut self, link: &Link, label: &str, bytes: Bytes) {
        let Ok(packet) = DataPacket::decode(bytes) else {
            tracing::debug!("a data packet could not be read and was ignored");
            return;
        };
        let reliable = label == RELIABLE;
        if reliable && packet.sequence > 0 && !packet.participant_sid.is_empty() {
            // Packets can come twice after a resume.
            let last = self
                .received
                .entry(packet.participant_sid.clone())
                .or_default();
            if packet.sequence <= *last {
                return;
            }
            *last = packet.sequence;
        }
        let (sid, identity) = (packet.participant_sid, packet.participant_identity);
        let mut events = Vec::new();
        match packet.value {
            Some(Value::User(user)) => events.push(RoomEvent::Data(DataMessage {
                identity,
                topic: user.topic.unwrap_or_default(),
                payload: user.payload.into(),
                reliable,
            })),
            Some(Value::StreamHeader(header)) => {
                self.streams.header(&sid, &identity, header, &mut events)
            }
            Some(Value::StreamChunk(chunk)) => self.streams.chunk(&sid, chunk, &mut events),
            Some(Value::StreamTrailer(trailer)) => self.streams.trailer(&sid, trailer, &mut events),
            Some(Value::RpcRequest(request)) => self.answer_call(link, identity, request),
            Some(Value::RpcAck(ack)) => self.calls.acknowledged(&identity, &ack.request_id),
            Some(Value::RpcResponse(response)) => self.calls.response(&identity, response),
            Some(Value::SipDtmf(tone)) => events.push(RoomEvent::SipDtmf {
                identity,
                digit: tone.digit,
            }),
            Some(
                Value::Transcription(_)
                | Value::Metrics(_)
                | Value::ChatMessage(_)
                | Value::EncryptedPacket(_),
            )
            | None => {}
            #[allow(deprecated)]
            Some(Value::Speaker(_)) => {}
        }
        for event in events {
            self.emit(event);
        }
    }

    /// Acknowledge a call at once and answer it when its handler has.
    fn answer_call(&mut self, link: &Link, caller: String, request: RpcRequest) {
        let to = move |value: Value, caller: &str| OwnPacket {
            value,
            destinations: vec![caller.to_owned()],
            sender_identity: String::new(),
            reliable: true,
        };
        self.send(
            Some(link),
            to(
                Value::RpcAck(RpcAck {
                    request_id: request.id.clone(),
                }),
                &caller,
            ),
        );
        let handler = self.methods.get(&request.method).cloned();
        let permit = self.handling.clone().try_acquire_owned();
        let commands = self.handle.clone();
        tokio::spawn(async move {
            let response = match permit {
                Ok(_permit) => rpc::answer(handler, caller.clone(), request).await,
                Err(_) => livekit_protocol::RpcResponse {
                    request_id: request.id,
                    value: Some(livekit_protocol::rpc_response::Value::Error(
                        RpcError::new(
                            RpcError::APPLICATION,
                            "too many calls at once; try again later",
                        )
                        .into_wire(),
                    )),
                },
            };
            if let Some(commands) = commands.upgrade() {
                let _ = commands
                    .send(Command::Send(to(Value::RpcResponse(response), &caller)))
                    .await;
            }
        });
    }

    /// Start a call of ours.
    pub(super) fn call(&mut self, link: Option<&Link>, request: RpcRequest, call: PendingCall) {
        if self.roster.get(&call.destination).is_none() {
            let error = RpcError::new(
                RpcError::RECIPIENT_NOT_FOUND,
                "there is no such participant in the room",
            );
            let _ = call.response.send(Err(error));
            return;
        }
        let destinations = vec![call.destination.clone()];
        self.calls.insert(request.id.clone(), call);
        let value = Value::RpcRequest(request);
        self.send(
            link,
            OwnPacket {
                value,
                destinations,
                sender_identity: String::new(),
                reliable: true,
            },
        );
    }

    /// Tell the readers what changed among the participants, and draw the consequences.
    pub(super) fn roster_events(&mut self, link: &Link, events: Vec<RoomEvent>) {
        self.shared
            .change(|snapshot| snapshot.participants = self.roster.all());
        for event in events {
            let mut consequences = Vec::new();
            match &event {
                RoomEvent::TrackPublished { track, .. } => self.track_seen(link, track),
                RoomEvent::TrackUnpublished { track, .. } => self.track_gone(link, &track.sid),
                RoomEvent::ParticipantDisconnected { participant, .. } => {
                    self.streams
                        .sender_left(&participant.sid, &mut consequences);
                    self.calls.participant_left(&participant.identity);
                    self.received.remove(&participant.sid);
                }
                _ => {}
            }
            self.emit(event);
            consequences.into_iter().for_each(|event| self.emit(event));
        }
        self.claim();
    }
}

fn remote_candidate(link: &mut Link, trickle: &TrickleRequest) {
    let Some(candidate) = trickle::candidate(trickle) else {
        return;
    };
    let transport = match (trickle.target(), &mut link.subscriber) {
        (SignalTarget::Subscriber, Some(subscriber)) => subscriber,
        (SignalTarget::Subscriber, None) | (SignalTarget::Publisher, _) => &mut link.publisher,
    };
    transport.remote_candidate(candidate);
}

/// What a leave message asks us to do.
fn left(leave: &LeaveRequest) -> Exit {
    match leave.action() {
        Action::Resume => Exit::Resume(ReconnectReason::RrUnknown),
        Action::Reconnect => Exit::Full,
        // Servers before protocol 13 know only this flag.
        Action::Disconnect if leave.can_reconnect => Exit::Resume(ReconnectReason::RrUnknown),
        Action::Disconnect => Exit::Over(match leave.reason() {
            DisconnectReason::ClientInitiated => DisconnectReason::UnknownReason,
            reason => reason,
        }),
    }
}
