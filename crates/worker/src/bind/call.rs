//! Who the caller is; the loop between room and session.

use std::collections::HashMap;
use std::time::Duration;

use antiphon_agent::{Agent, AgentSession, Events, SessionIo};
use antiphon_audio::Frame16k;
use antiphon_dialogue::event::CloseReason;
use antiphon_protocol::names::{
    ATTRIBUTE_AGENT_NAME, ATTRIBUTE_AGENT_STATE, ATTRIBUTE_PUBLISH_ON_BEHALF, AgentState,
    TOPIC_CHAT,
};
use antiphon_room::{
    AutoSubscribe, DisconnectReason, LocalAudioTrack, Participant, Room, RoomEvent, RoomOptions,
    TrackSource,
};
use antiphon_rtc::Engine;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::BindOptions;
use super::early::{Early, Expected};
use super::hear::hear;
use super::publish::{Publisher, Voice};
use super::speak::RoomVoice;
use crate::WorkerError;

/// The name of the agent's track, LiveKit's.
const TRACK_NAME: &str = "roomio_audio";
/// A session has this long to say what it still has to say when it is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Join the room, talk to the caller, return when the conversation is over.
pub async fn run_in_room(
    agent: &Agent,
    engine: &Engine,
    url: &str,
    token: &str,
    options: BindOptions,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let room_options = RoomOptions {
        auto_subscribe: AutoSubscribe::None,
        ..Default::default()
    };
    let (room, events) = Room::connect(engine, url, token, room_options).await?;
    agent.prewarm();
    let mut attributes = HashMap::from([(
        ATTRIBUTE_AGENT_STATE.into(),
        AgentState::Initializing.as_str().into(),
    )]);
    attributes.insert(ATTRIBUTE_AGENT_NAME.into(), agent.name().to_owned());
    room.set_attributes(attributes).await?;
    let result = converse(agent, &room, events, options, shutdown).await;
    room.close().await;
    result
}

async fn converse(
    agent: &Agent,
    room: &Room,
    mut events: mpsc::Receiver<RoomEvent>,
    options: BindOptions,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let track = room
        .publish_audio(TRACK_NAME, TrackSource::Microphone)
        .await?;
    let mut call = Call {
        room: room.clone(),
        options,
        caller: None,
        voice: Voice::default(),
        early: Early::default(),
        ears: None,
        listening: None,
        session: None,
    };
    // First somebody must come.
    while call.caller.is_none() {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            event = events.recv() => match event {
                None | Some(RoomEvent::Disconnected { .. }) => return Ok(()),
                Some(event) => call.room_event(event).await?,
            },
        }
    }
    let (ears, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
    let audio_out = Box::new(RoomVoice::new(track.clone())?);
    let session = AgentSession::start(
        agent.clone(),
        SessionIo {
            audio_in,
            audio_out,
        },
    );
    let session_events = session.events();
    let publisher = Publisher::new(room.clone(), track.clone(), session.id());
    call.ears = Some(ears);
    call.session = Some(session.clone());
    let result = call
        .run(events, session_events, publisher, track, shutdown)
        .await;
    session.close(CloseReason::JobShutdown);
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, session.closed()).await;
    result
}

/// One conversation.
struct Call {
    room: Room,
    options: BindOptions,
    /// The linked participant's identity.
    caller: Option<String>,
    voice: Voice,
    /// What the caller said before the agent came.
    early: Early,
    ears: Option<mpsc::Sender<Frame16k>>,
    listening: Option<AbortOnDropHandle<()>>,
    session: Option<AgentSession>,
}

impl Call {
    async fn run(
        &mut self,
        mut events: mpsc::Receiver<RoomEvent>,
        mut session_events: Events,
        mut publisher: Publisher,
        track: LocalAudioTrack,
        shutdown: CancellationToken,
    ) -> Result<(), WorkerError> {
        let mut heard = false;
        let mut shutting_down = false;
        let watcher = self.options.watcher.as_ref();
        let mut watch = watcher.map(|watcher| watcher.begin(&self.room.name()));
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    None | Some(RoomEvent::Disconnected { .. }) => return Ok(()),
                    Some(event) => self.room_event(event).await?,
                },
                event = session_events.recv() => match event {
                    // The last event, `closed`, has been told by now.
                    None => return Ok(()),
                    Some((at, event)) => {
                        if let Some(watch) = &mut watch {
                            watch(at, &event);
                        }
                        publisher.event(&event, &self.voice).await?;
                    }
                },
                () = track.wait_for_subscription(), if !heard => {
                    heard = true;
                    if let Some(session) = &self.session {
                        // Closed meanwhile: its events say so.
                        let _ = session.started();
                    }
                }
                () = shutdown.cancelled(), if !shutting_down => {
                    shutting_down = true;
                    self.close(CloseReason::JobShutdown);
                }
            }
        }
    }

    fn close(&self, reason: CloseReason) {
        if let Some(session) = &self.session {
            session.close(reason);
        }
    }

    async fn room_event(&mut self, event: RoomEvent) -> Result<(), WorkerError> {
        match event {
            RoomEvent::ParticipantConnected(participant) => {
                if self.caller.is_none() && self.acceptable(&participant) {
                    tracing::info!(caller = participant.identity, "linked a caller");
                    self.caller = Some(participant.identity.clone());
                    self.voice = Voice {
                        identity: participant.identity.clone(),
                        track_sid: String::new(),
                    };
                }
            }
            RoomEvent::ParticipantDisconnected {
                participant,
                reason,
            } => {
                if self.is_caller(&participant.identity) {
                    self.caller_left(reason);
                }
            }
            RoomEvent::TrackPublished { participant, track } => {
                if self.is_caller(&participant.identity) && track.source == TrackSource::Microphone
                {
                    self.room.set_subscribed(&track.sid, true).await?;
                }
            }
            RoomEvent::TrackSubscribed {
                participant,
                track,
                audio,
            } => {
                if self.is_caller(&participant.identity) && track.source == TrackSource::Microphone
                {
                    let recorded = self.early.expect(&track);
                    self.voice.track_sid = track.sid;
                    self.listen(audio, recorded);
                }
            }
            RoomEvent::TextStream(stream) => {
                if stream.info.topic == TOPIC_CHAT
                    && self.is_caller(&stream.info.identity)
                    && let Some(session) = &self.session
                    && let Err(error) = session.user_text(stream.text)
                {
                    tracing::warn!(%error, "a typed message was not taken");
                }
            }
            RoomEvent::ByteStream(stream) => {
                if self.is_caller(&stream.info.identity) {
                    self.early.receive(stream);
                }
            }
            RoomEvent::StreamFailed { info, reason } => {
                tracing::debug!(topic = info.topic, reason, "a stream failed");
                if self.is_caller(&info.identity) {
                    self.early.failed(&info, &reason);
                }
            }
            RoomEvent::AttributesChanged { .. }
            | RoomEvent::MetadataChanged(_)
            | RoomEvent::TrackUnpublished { .. }
            | RoomEvent::TrackUnsubscribed { .. }
            | RoomEvent::TrackMuted { .. }
            | RoomEvent::ActiveSpeakers(_)
            | RoomEvent::Data(_)
            | RoomEvent::TextDelta { .. }
            | RoomEvent::SipDtmf { .. }
            | RoomEvent::LocalTrackMuted { .. }
            | RoomEvent::Reconnecting
            | RoomEvent::Reconnected { .. }
            | RoomEvent::Disconnected { .. } => {}
        }
        Ok(())
    }

    fn is_caller(&self, identity: &str) -> bool {
        self.caller.as_deref() == Some(identity)
    }

    fn acceptable(&self, participant: &Participant) -> bool {
        let wanted = match &self.options.participant_identity {
            Some(identity) => *identity == participant.identity,
            None => {
                participant.attributes.get(ATTRIBUTE_PUBLISH_ON_BEHALF)
                    != Some(&self.room.local_identity())
            }
        };
        wanted && self.options.participant_kinds.contains(&participant.kind)
    }

    /// Hear this track instead of the one before.
    fn listen(&mut self, audio: antiphon_room::AudioStream, recorded: Option<Expected>) {
        let Some(ears) = self.ears.clone() else {
            // Before the session there is nobody to listen; its own link comes with the first caller, so keep it waiting.
            return;
        };
        self.listening = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = hear(audio, recorded, ears).await {
                tracing::error!(%error, "the caller cannot be heard");
            }
        })));
    }

    fn caller_left(&mut self, reason: DisconnectReason) {
        tracing::info!(?reason, "the caller left");
        self.caller = None;
        let on_purpose = matches!(
            reason,
            DisconnectReason::ClientInitiated
                | DisconnectReason::RoomDeleted
                | DisconnectReason::UserRejected
        );
        if on_purpose && self.options.close_on_disconnect {
            self.close(CloseReason::ParticipantDisconnected);
        }
    }
}
