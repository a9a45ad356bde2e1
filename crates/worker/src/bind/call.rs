//! One job in one room: conversations, one after another, until nobody is there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use antiphon_agent::{Agent, AgentSession, CLOSES_WITHIN, Events, SessionIo};
use antiphon_audio::Frame16k;
use antiphon_client::{
    AudioStream, AutoSubscribe, DisconnectReason, LocalAudioTrack, Participant, Room, RoomError,
    RoomEvent, RoomOptions, Track, TrackSource,
};
use antiphon_dialogue::event::CloseReason;
use antiphon_protocol::names::{
    ATTRIBUTE_AGENT_NAME, ATTRIBUTE_AGENT_STATE, AgentState, TOPIC_CHAT,
};
use antiphon_rtc::Engine;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::callers::{Callers, Departure, Heard, voice_of};
use super::early::{Early, Expected};
use super::hear::hear;
use super::mix::Mixer;
use super::publish::{Publisher, Voice};
use super::speak::RoomVoice;
use super::{BindOptions, CallersPolicy};
use crate::WorkerError;

/// The name of the agent's track, LiveKit's.
const TRACK_NAME: &str = "roomio_audio";
/// A session that does not close within its own limit and this is left behind.
const CLOSE_SLACK: Duration = Duration::from_secs(1);
/// A server that is too busy to let the agent in is asked this many times.
const JOIN_ATTEMPTS: u32 = 5;
/// The longest pause between two of them: a caller waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A caller who comes to an agent that is there already can hear it after this long, or when the agent hears the caller.
/// (The server tells only of the first listener of a track.)
const LISTENING: Duration = Duration::from_secs(2);

/// Join the room, talk to the callers, return when nobody is there any more.
pub async fn run_in_room(
    agent: &Agent,
    engine: &Engine,
    url: &str,
    token: &str,
    options: BindOptions,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let (room, events) = tokio::select! {
        joined = join(engine, url, token) => joined?,
        () = shutdown.cancelled() => return Ok(()),
    };
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

/// Join; a refusal that passes is waited for.
async fn join(
    engine: &Engine,
    url: &str,
    token: &str,
) -> Result<(Room, mpsc::Receiver<RoomEvent>), RoomError> {
    let mut attempt = 1;
    loop {
        let options = RoomOptions {
            auto_subscribe: AutoSubscribe::None,
            ..Default::default()
        };
        match Room::connect(engine, url, token, options).await {
            Err(error @ RoomError::Refused { .. })
                if error.retryable() && attempt < JOIN_ATTEMPTS =>
            {
                let pause = Duration::from_secs(1 << (attempt - 1));
                let pause = pause.max(error.retry_after().unwrap_or_default());
                let pause = pause.min(LONGEST_PAUSE);
                tracing::warn!(%error, attempt, ?pause, "the agent is not let into the room yet");
                tokio::time::sleep(pause).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn converse(
    agent: &Agent,
    room: &Room,
    events: mpsc::Receiver<RoomEvent>,
    options: BindOptions,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let track = room
        .publish_audio(TRACK_NAME, TrackSource::Microphone)
        .await?;
    let mut call = Call {
        callers: Callers::new(&options, room.local_identity()),
        room: room.clone(),
        options,
        events,
        voice: Voice::default(),
        early: Early::default(),
        heard: Heard::default(),
        ears: None,
        listening: HashMap::new(),
        sources: 0,
        session: None,
        is_leaving: false,
    };
    // One voice, one clock: RTP time goes on from one conversation to the next.
    let voice_start = Instant::now();
    let mut conversations: u32 = 0;
    loop {
        let patience = (conversations > 0).then_some(call.options.return_grace);
        match call.next_caller(patience, &shutdown).await? {
            Next::Caller => {}
            Next::Nobody => return Ok(()),
        }
        let (ears, audio_in) = mpsc::channel(SessionIo::AUDIO_IN_LIMIT);
        let deadlines = call.options.deadlines.clone();
        let audio_out = Box::new(RoomVoice::new(track.clone(), voice_start, deadlines)?);
        let session = AgentSession::start(
            agent.clone(),
            SessionIo {
                audio_in,
                audio_out,
            },
        );
        let session_events = session.events();
        let publisher = Publisher::new(
            room.clone(),
            track.clone(),
            session.id(),
            call.options.events,
        );
        call.begin(session.clone(), ears).await?;
        let first = conversations == 0;
        let result = call
            .run(session_events, publisher, &track, first, &shutdown)
            .await;
        session.close(CloseReason::JobShutdown);
        let _ = tokio::time::timeout(CLOSES_WITHIN + CLOSE_SLACK, session.closed()).await;
        call.end();
        conversations += 1;
        match result? {
            Over::CallerLeft => {}
            Over::ForGood => return Ok(()),
        }
    }
}

/// Who is talked to next.
enum Next {
    Caller,
    Nobody,
}

/// Why a conversation is over.
enum Over {
    /// Another may follow.
    CallerLeft,
    ForGood,
}

/// What goes on in the room.
struct Call {
    room: Room,
    options: BindOptions,
    events: mpsc::Receiver<RoomEvent>,
    callers: Callers,
    /// Whose words are being transcribed.
    voice: Voice,
    /// What the caller said before the agent came.
    early: Early,
    /// The track of each caller that is, or will be, heard.
    heard: Heard,
    ears: Option<Ears>,
    listening: HashMap<String, AbortOnDropHandle<()>>,
    sources: u64,
    session: Option<AgentSession>,
    /// The caller has hung up; the session says goodbye to nobody.
    is_leaving: bool,
}

/// Where callers' sound goes.
enum Ears {
    One(mpsc::Sender<Frame16k>),
    Several(Mixer),
}

impl Call {
    /// Wait for somebody to talk to. `patience`: for ever if there is none.
    async fn next_caller(
        &mut self,
        patience: Option<Duration>,
        shutdown: &CancellationToken,
    ) -> Result<Next, WorkerError> {
        let until = patience.map(|patience| tokio::time::Instant::now() + patience);
        let seat = self.options.seat.clone();
        while self.callers.link().is_none() {
            if patience.is_some() {
                seat.wait();
            }
            let too_long = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(Next::Nobody),
                () = too_long => return Ok(Next::Nobody),
                () = seat.given_away() => return Ok(Next::Nobody),
                event = self.events.recv() => match event {
                    None => return Ok(Next::Nobody),
                    Some(RoomEvent::Disconnected { reason }) => {
                        return disconnected(reason).map(|()| Next::Nobody);
                    }
                    Some(event) => self.room_event(event).await?,
                },
            }
        }
        if !seat.talk() {
            return Err(WorkerError::SeatTaken);
        }
        tracing::info!(caller = self.callers.linked(), "linked a caller");
        Ok(Next::Caller)
    }

    /// A conversation begins with whoever is linked.
    async fn begin(
        &mut self,
        session: AgentSession,
        ears: mpsc::Sender<Frame16k>,
    ) -> Result<(), WorkerError> {
        self.session = Some(session);
        self.ears = Some(match self.options.callers {
            CallersPolicy::First => Ears::One(ears),
            CallersPolicy::Any => Ears::Several(Mixer::start(ears)),
        });
        self.voice = Voice {
            identity: self.callers.linked().unwrap_or_default().to_owned(),
            track_sid: String::new(),
        };
        for identity in self.callers.heard() {
            self.choose_track(&identity).await?;
        }
        Ok(())
    }

    /// A conversation is over: nobody is heard.
    fn end(&mut self) {
        self.session = None;
        self.ears = None;
        self.listening.clear();
        self.heard.clear();
        self.early = Early::default();
        self.callers.unlink();
        self.is_leaving = false;
    }

    async fn run(
        &mut self,
        mut session_events: Events,
        mut publisher: Publisher,
        track: &LocalAudioTrack,
        first: bool,
        shutdown: &CancellationToken,
    ) -> Result<Over, WorkerError> {
        let mut started = false;
        let mut shutting_down = false;
        let listening = tokio::time::Instant::now() + LISTENING;
        let watcher = self.options.watcher.as_ref();
        let mut watch = watcher.map(|watcher| watcher.begin(&self.room.name()));
        loop {
            let can_hear = async {
                track.wait_for_subscription().await;
                if !first && self.listening.is_empty() {
                    tokio::time::sleep_until(listening).await;
                }
            };
            let lost = self
                .callers
                .lost_since()
                .map(|since| since + self.options.return_grace);
            let given_up = async {
                match lost {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = can_hear, if !started => {
                    started = true;
                    if let Some(session) = &self.session {
                        // Closed meanwhile: its events say so.
                        let _ = session.started();
                    }
                }
                () = given_up, if self.callers.has_waiting() && !self.is_leaving => {
                    tracing::info!("the caller did not come back; the next one is answered");
                    self.leave_caller();
                }
                () = shutdown.cancelled(), if !shutting_down => {
                    shutting_down = true;
                    self.close(CloseReason::JobShutdown);
                }
                event = session_events.recv() => match event {
                    // The last event, `closed`, has been told by now.
                    None if self.is_leaving && !shutting_down => return Ok(Over::CallerLeft),
                    None => return Ok(Over::ForGood),
                    Some((at, event)) => {
                        if let Some(watch) = &mut watch {
                            watch(at, &event);
                        }
                        publisher.event(&event, &self.voice).await?;
                    }
                },
                event = self.events.recv() => match event {
                    None => return Ok(Over::ForGood),
                    Some(RoomEvent::Disconnected { reason }) => {
                        return disconnected(reason).map(|()| Over::ForGood);
                    }
                    Some(event) => self.room_event(event).await?,
                },
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
            RoomEvent::ParticipantConnected(participant) => self.came(&participant),
            RoomEvent::ParticipantDisconnected {
                participant,
                reason,
            } => self.left(&participant.identity, reason).await?,
            RoomEvent::TrackPublished { participant, track } => {
                if self.callers.is_heard(&participant.identity) {
                    self.choose_track(&participant.identity).await?;
                    let heard = self.heard.get(&participant.identity);
                    if heard != Some(&track.sid) {
                        tracing::info!(caller = participant.identity, track = track.sid, kind = ?track.kind, source = ?track.source, heard,
                            "a track of the caller is not heard: a microphone is, or else sound of unknown source");
                    }
                }
            }
            RoomEvent::TrackUnpublished { participant, track } => {
                if self.heard.get(&participant.identity) == Some(&track.sid) {
                    self.heard.remove(&participant.identity);
                    self.choose_track(&participant.identity).await?;
                }
            }
            RoomEvent::TrackSubscribed {
                participant,
                track,
                audio,
            } => {
                if self.heard.get(&participant.identity) == Some(&track.sid) {
                    self.listen(&participant.identity, track, audio);
                }
            }
            RoomEvent::TextStream(stream) => {
                if stream.info.topic == TOPIC_CHAT
                    && self.callers.is_heard(&stream.info.identity)
                    && let Some(session) = &self.session
                    && let Err(error) = session.user_text(stream.text)
                {
                    tracing::warn!(%error, "a typed message was not taken");
                }
            }
            RoomEvent::ByteStream(stream) => {
                if self.callers.is_heard(&stream.info.identity) {
                    self.early.receive(stream);
                }
            }
            RoomEvent::StreamFailed { info, reason } => {
                tracing::debug!(topic = info.topic, reason, "a stream failed");
                if self.callers.is_heard(&info.identity) {
                    self.early.failed(&info, &reason);
                }
            }
            RoomEvent::ActiveSpeakers(speakers) => {
                if self.options.callers == CallersPolicy::Any {
                    self.loudest(&speakers);
                }
            }
            RoomEvent::Reconnecting => {
                tracing::warn!("the agent's connection to the room is lost; coming back");
            }
            RoomEvent::Reconnected { full } => {
                tracing::info!(full, "the agent is back in the room; the call goes on");
            }
            RoomEvent::AttributesChanged { .. }
            | RoomEvent::MetadataChanged(_)
            | RoomEvent::TrackUnsubscribed { .. }
            | RoomEvent::TrackMuted { .. }
            | RoomEvent::Data(_)
            | RoomEvent::TextDelta { .. }
            | RoomEvent::SipDtmf { .. }
            | RoomEvent::LocalTrackMuted { .. }
            | RoomEvent::Disconnected { .. } => {}
        }
        Ok(())
    }

    fn came(&mut self, participant: &Participant) {
        let identity = &participant.identity;
        if !self.callers.came(participant) {
            return;
        }
        // Before and between conversations whoever came first is linked, elsewhere.
        if self.session.is_none() || self.is_leaving {
            return;
        }
        if self.callers.link_newcomer(identity) {
            tracing::info!(caller = identity, "linked a caller");
            self.voice = Voice {
                identity: identity.clone(),
                track_sid: String::new(),
            };
        } else if self.callers.is_heard(identity) {
            tracing::info!(caller = identity, "another caller is heard too");
        } else {
            tracing::info!(
                caller = identity,
                "another caller waits until the first has left ([room] callers = \"first\")"
            );
        }
    }

    async fn left(&mut self, identity: &str, reason: DisconnectReason) -> Result<(), WorkerError> {
        let departure = self.callers.left(identity, reason, Instant::now());
        if departure != Departure::Unheard {
            tracing::info!(caller = identity, ?reason, ?departure, "a caller left");
            self.heard.remove(identity);
        }
        match departure {
            Departure::HungUp if self.options.close_on_disconnect => self.leave_caller(),
            // The session goes on, with whoever has waited longest.
            Departure::HungUp if self.session.is_some() => {
                if let Some(next) = self.callers.link().map(str::to_owned) {
                    tracing::info!(caller = next, "linked a caller");
                    self.choose_track(&next).await?;
                    self.voice = Voice {
                        identity: next,
                        track_sid: String::new(),
                    };
                }
            }
            Departure::Unheard | Departure::OneOfSeveral | Departure::HungUp | Departure::Lost => {}
        }
        Ok(())
    }

    /// The conversation ends with its caller.
    fn leave_caller(&mut self) {
        if self.session.is_some() {
            self.is_leaving = true;
            self.close(CloseReason::ParticipantDisconnected);
        }
    }

    /// Hear the right track of this caller.
    async fn choose_track(&mut self, identity: &str) -> Result<(), WorkerError> {
        let participants = self.room.participants();
        let Some(participant) = participants.iter().find(|p| p.identity == identity) else {
            return Ok(());
        };
        let Some(track) = voice_of(participant) else {
            return Ok(());
        };
        let before = self.heard.insert(identity.to_owned(), track.sid.clone());
        if before.as_ref() == Some(&track.sid) {
            return Ok(());
        }
        if let Some(before) = before {
            self.room.set_subscribed(&before, false).await?;
        }
        if track.source == TrackSource::Unknown {
            tracing::info!(
                caller = identity,
                track = track.sid,
                "the caller's track does not say that it is a microphone; it is heard"
            );
        }
        self.room.set_subscribed(&track.sid, true).await?;
        Ok(())
    }

    /// Hear this track instead of the one before.
    fn listen(&mut self, identity: &str, track: Track, audio: AudioStream) {
        let recorded: Option<Expected> = self.early.expect(&track);
        let ears = match &self.ears {
            // Before the session there is nobody to listen.
            None => return,
            Some(Ears::One(ears)) => ears.clone(),
            Some(Ears::Several(mixer)) => {
                self.sources += 1;
                mixer.entrance(self.sources)
            }
        };
        if self.voice.identity == identity {
            self.voice.track_sid = track.sid;
        }
        let task = tokio::spawn(async move {
            if let Err(error) = hear(audio, recorded, ears).await {
                tracing::error!(%error, "the caller cannot be heard");
            }
        });
        self.listening
            .insert(identity.to_owned(), AbortOnDropHandle::new(task));
    }

    /// Words belong to whoever is loudest.
    fn loudest(&mut self, speakers: &[antiphon_client::Speaker]) {
        let participants = self.room.participants();
        let heard = speakers.iter().find_map(|speaker| {
            let participant = participants.iter().find(|p| p.sid == speaker.sid)?;
            let track_sid = self.heard.get(&participant.identity)?.clone();
            Some(Voice {
                identity: participant.identity.clone(),
                track_sid,
            })
        });
        if let Some(voice) = heard {
            self.voice = voice;
        }
    }
}

/// The room is over for us. If it should not be, the server shall send another agent.
fn disconnected(reason: DisconnectReason) -> Result<(), WorkerError> {
    match reason {
        DisconnectReason::ClientInitiated
        | DisconnectReason::DuplicateIdentity
        | DisconnectReason::ServerShutdown
        | DisconnectReason::ParticipantRemoved
        | DisconnectReason::RoomDeleted
        | DisconnectReason::RoomClosed => Ok(()),
        reason => Err(WorkerError::Lost { reason }),
    }
}
