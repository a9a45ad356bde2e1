//! The task of a room: what reaches it, who leaves, what everybody is told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use antiphon_protocol::ids;
use antiphon_protocol::proto::participant_info::State as Stage;
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    self, ClientInfo, DisconnectReason, ParticipantInfo, ParticipantUpdate, SignalResponse,
    SignalTarget, leave_request,
};
use antiphon_rtc::{PeerConfig, PeerEvent, ShardId};
use tokio::sync::{mpsc, oneshot};

use super::codecs::{enabled_codecs, takes_red};
use super::data::Replay;
use super::participant::Participant;
use super::speaker::UPDATE_INTERVAL_MS;
use super::{Command, RoomHandle, RoomOptions};
use crate::agents::Notice;
use crate::limits::{MAX_DEPARTED, PEER_QUEUE, ROOM_QUEUE};
use crate::state::State;

/// How often the room looks at its clocks; speakers are reported at this pace.
const TICK: Duration = Duration::from_millis(UPDATE_INTERVAL_MS as u64);

/// Everything of a room.
pub(super) struct Room {
    pub(super) state: Arc<State>,
    pub(super) handle: RoomHandle,
    pub(super) options: RoomOptions,
    pub(super) metadata: String,
    pub(super) created: SystemTime,
    pub(super) shard: ShardId,
    pub(super) participants: HashMap<Arc<str>, Participant>,
    pub(super) replay: Replay,
    /// Answers to calls that came by API.
    pub(super) rpc: HashMap<String, oneshot::Sender<proto::RpcResponse>>,
    /// Recent nonces of packets sent by API.
    pub(super) nonces: VecDeque<Vec<u8>>,
    /// Nobody that counts is here since then.
    pub(super) empty_since: Option<Instant>,
    pub(super) ever_joined: bool,
    /// Something changed from which the room's counts follow.
    pub(super) counts_changed: bool,
    /// The participants and publishers that everybody was told of.
    pub(super) told_counts: (u32, u32),
    /// Who has left, and when: those who come back must learn it.
    pub(super) departed: VecDeque<(Instant, ParticipantInfo)>,
    /// A test asked for this speaker until then.
    pub(super) simulated_speaker: Option<(Arc<str>, Instant)>,
    /// Who was the last to ask in a test to be sent to the relay.
    pub(super) simulated_relay: Option<Arc<str>>,
    /// When everybody is told of connection quality again.
    pub(super) quality_due: Instant,
    pub(super) closed: bool,
}

/// Start a room's task. A panic in it ends this room only; the registry forgets it either way.
pub(crate) fn spawn(state: Arc<State>, name: &str, options: RoomOptions) -> RoomHandle {
    let (commands, inbox) = mpsc::channel(ROOM_QUEUE);
    let handle = RoomHandle {
        name: Arc::from(name),
        sid: Arc::from(ids::room()),
        commands,
    };
    let room = Room {
        shard: state.engine.least_loaded_shard(),
        metadata: options.metadata.clone(),
        state: Arc::clone(&state),
        handle: handle.clone(),
        options,
        created: SystemTime::now(),
        participants: HashMap::new(),
        replay: Replay::default(),
        rpc: HashMap::new(),
        nonces: VecDeque::new(),
        empty_since: Some(Instant::now()),
        ever_joined: false,
        counts_changed: false,
        told_counts: (0, 0),
        departed: VecDeque::new(),
        simulated_speaker: None,
        simulated_relay: None,
        quality_due: Instant::now(),
        closed: false,
    };
    let supervised = handle.clone();
    tokio::spawn(async move {
        let outcome = tokio::spawn(room.run(inbox)).await;
        if outcome.is_err_and(|error| error.is_panic()) {
            metrics::counter!(antiphon_telemetry::names::PANICS_TOTAL, "place" => "room")
                .increment(1);
            super::news::tell_broken(&state, &supervised);
            tracing::error!(room = %supervised.name, room_sid = %supervised.sid, "the room panicked; it is closed, other rooms go on");
        }
        state.rooms.forget(&supervised);
        state
            .agents
            .notify(Notice::RoomClosed {
                room: Arc::clone(&supervised.sid),
            })
            .await;
    });
    handle
}

impl Room {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        tracing::info!(room = %self.handle.name, room_sid = %self.handle.sid, "room created");
        let (agents, handle) = (self.options.agents.clone(), self.handle.clone());
        // Told by the room itself, so that the dispatcher knows the room before anybody in it.
        self.state.agents.opened(self.info(), agents, handle).await;
        self.tell_started();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.closed {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.handle_command(command).await,
                    None => break,
                },
                _ = ticks.tick() => self.tick().await,
            }
        }
        self.tell_finished();
        // Whoever asks from here on finds a closed channel and asks the registry again.
        self.state.rooms.forget(&self.handle);
        tracing::info!(room = %self.handle.name, room_sid = %self.handle.sid, "room closed");
    }

    async fn handle_command(&mut self, command: Command) {
        match command {
            Command::Join(join) => self.join(*join).await,
            Command::Signal {
                sid,
                connection,
                request,
            } => {
                if self
                    .participants
                    .get(&sid)
                    .is_some_and(|p| p.connection == connection)
                {
                    metrics::counter!(antiphon_telemetry::names::LIVEKIT_NODE_MESSAGES, "type" => "signal", "status" => "success").increment(1);
                    self.on_request(&sid, *request).await;
                }
            }
            Command::SignalClosed { sid, connection } => self.signal_closed(&sid, connection).await,
            Command::SignalQuiet {
                sid,
                connection,
                quiet,
            } => {
                if let Some(p) = self.participants.get_mut(&sid)
                    && p.connection == connection
                {
                    p.signal_quiet = quiet;
                }
            }
            Command::Peer { sid, target, event } => self.on_peer(&sid, target, event).await,
            Command::Api(api) => self.on_api(api).await,
            Command::Close(reason) => self.close(reason),
        }
    }

    /// A peer connection whose events come to this room.
    pub(super) fn peer(
        &self,
        sid: &Arc<str>,
        client: &ClientInfo,
        target: SignalTarget,
    ) -> Result<antiphon_rtc::Peer, antiphon_rtc::RtcError> {
        let (events, mut inbox) = mpsc::channel::<PeerEvent>(PEER_QUEUE);
        let config = PeerConfig {
            ice_lite: self.state.config.ice_lite,
            resends_audio: !takes_red(client),
            audio_level_interval_ms: if target == SignalTarget::Publisher {
                UPDATE_INTERVAL_MS
            } else {
                0
            },
            ..PeerConfig::server(format!("{} {sid} {target:?}", self.handle.name))
        };
        let peer = self.state.engine.peer(self.shard, config, events)?;
        let (commands, sid) = (self.handle.commands.clone(), Arc::clone(sid));
        tokio::spawn(async move {
            while let Some(event) = inbox.recv().await {
                let command = Command::Peer {
                    sid: Arc::clone(&sid),
                    target,
                    event,
                };
                if commands.send(command).await.is_err() {
                    break;
                }
            }
        });
        Ok(peer)
    }

    async fn signal_closed(&mut self, sid: &str, connection: u64) {
        let Some(p) = self
            .participants
            .get_mut(sid)
            .filter(|p| p.connection == connection)
        else {
            return;
        };
        p.outgoing = None;
        p.signal_lost.get_or_insert_with(Instant::now);
        if p.state != Stage::Active {
            self.remove(sid, DisconnectReason::SignalClose).await;
        }
    }

    async fn on_peer(&mut self, sid: &Arc<str>, target: SignalTarget, event: PeerEvent) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        match event {
            PeerEvent::Connected => match target {
                SignalTarget::Publisher => p.publisher_connected = true,
                SignalTarget::Subscriber => p.subscriber_connected = true,
            },
            PeerEvent::ChannelOpen { label } => match target {
                SignalTarget::Publisher => note(&mut p.publisher_open, label),
                SignalTarget::Subscriber => note(&mut p.subscriber_open, label),
            },
            PeerEvent::Data { label, data } => return self.on_data(sid, &label, &data),
            PeerEvent::AudioLevels(levels) => {
                let heard: Vec<_> = levels
                    .into_iter()
                    .filter(|l| {
                        p.tracks
                            .iter()
                            .any(|t| t.mid.as_deref() == Some(&*l.mid) && !t.info.muted)
                    })
                    .collect();
                p.speaker.observe(&heard);
                return;
            }
            PeerEvent::Disconnected => {
                tracing::info!(room = %self.handle.name, participant = %sid, ?target, "media connection lost for now");
                return;
            }
            PeerEvent::Closed { reason } => {
                tracing::info!(room = %self.handle.name, participant = %sid, ?target, reason, "media connection closed");
                // A client that leaves closes its connections first and says so a moment later.
                p.media_lost.get_or_insert_with(Instant::now);
                return;
            }
            PeerEvent::MediaReceiving { .. }
            | PeerEvent::MediaFlowing { .. }
            | PeerEvent::Rtp(_) => return,
            PeerEvent::Statistics(reports) => return self.on_statistics(sid, &reports),
        }
        self.activate_if_ready(sid);
    }

    fn activate_if_ready(&mut self, sid: &Arc<str>) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        if p.state == Stage::Active || !p.primary_is_ready() {
            return;
        }
        p.state = Stage::Active;
        p.version += 1;
        tracing::info!(room = %self.handle.name, participant = %sid, identity = %p.identity, "participant active");
        super::join::count_join("rtc_connected");
        self.tell_joined(sid);
        self.announce(sid);
        self.send_early_data(sid);
        self.greet_with_quality(sid);
    }

    /// Tell everybody (a hidden one: only itself) what this participant is now.
    pub(super) fn announce(&mut self, sid: &Arc<str>) {
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        let hidden = p.permission.hidden;
        let update = Message::Update(ParticipantUpdate {
            participants: vec![p.info()],
        });
        let shared = Arc::new(SignalResponse {
            message: Some(update),
        });
        for other in self.participants.values_mut() {
            if !hidden || other.sid == *sid {
                other.send_shared(&shared);
            }
        }
    }

    /// A change that others must see.
    pub(super) fn changed(&mut self, sid: &Arc<str>) {
        if let Some(p) = self.participants.get_mut(sid) {
            p.version += 1;
        }
        self.counts_changed = true;
        self.announce(sid);
    }

    /// Send to everybody.
    pub(super) fn broadcast(&mut self, message: Message) {
        let shared = Arc::new(SignalResponse {
            message: Some(message),
        });
        for p in self.participants.values_mut() {
            p.send_shared(&shared);
        }
    }

    /// End a participant: its tracks, its subscriptions, its sockets. Everybody else is told.
    pub(super) async fn remove(&mut self, sid: &str, reason: DisconnectReason) {
        let Some(mut p) = self.participants.remove(sid) else {
            return;
        };
        tracing::info!(room = %self.handle.name, participant = %p.sid, identity = %p.identity, ?reason, "participant left");
        let action = match reason {
            DisconnectReason::StateMismatch | DisconnectReason::ConnectionTimeout => {
                leave_request::Action::Reconnect
            }
            _ => leave_request::Action::Disconnect,
        };
        if reason != DisconnectReason::ClientInitiated {
            p.send_leave(reason, action);
        }
        let tracks: Vec<String> = p.tracks.iter().map(|t| t.info.sid.clone()).collect();
        self.stop_receiving_by(&p);
        let (stage, published) = (p.state, p.info().tracks);
        p.state = Stage::Disconnected;
        p.version += 1;
        for track in &mut p.tracks {
            track.mid = None;
        }
        let info = ParticipantInfo {
            disconnect_reason: reason as i32,
            ..p.info()
        };
        self.tell_left(&info, stage, &published);
        if !p.permission.hidden {
            self.departed
                .push_back((Instant::now(), p.farewell(reason)));
            if self.departed.len() > MAX_DEPARTED {
                self.departed.pop_front();
            }
            self.broadcast(Message::Update(ParticipantUpdate {
                participants: vec![info],
            }));
        }
        let subscribers = self.forget_tracks(&tracks);
        let gone = Arc::clone(&p.sid);
        self.forget_data(|publisher, _| *publisher == gone);
        p.close_peers();
        for subscriber in subscribers {
            self.negotiate(&subscriber).await;
        }
        self.counts_changed = true;
        if !p.is_dependent() && !self.participants.values().any(|p| !p.is_dependent()) {
            self.empty_since = Some(Instant::now());
        }
        let (room, identity) = (Arc::clone(&self.handle.sid), Arc::clone(&p.identity));
        let notice = Notice::Left {
            room,
            identity,
            reason,
        };
        self.state.agents.notify(notice).await;
    }

    pub(super) fn close(&mut self, reason: DisconnectReason) {
        for mut p in std::mem::take(&mut self.participants).into_values() {
            p.send_leave(reason, leave_request::Action::Disconnect);
            p.close_peers();
            let (stage, published) = (p.state, p.info().tracks);
            p.state = Stage::Disconnected;
            let info = ParticipantInfo {
                disconnect_reason: reason as i32,
                ..p.info()
            };
            self.tell_left(&info, stage, &published);
        }
        self.closed = true;
    }

    /// The room as others see it.
    pub(super) fn info(&self) -> proto::Room {
        let created = self.created.duration_since(UNIX_EPOCH).unwrap_or_default();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let counted = || self.participants.values().filter(|p| !p.is_dependent());
        proto::Room {
            sid: self.handle.sid.to_string(),
            name: self.handle.name.to_string(),
            empty_timeout: u32::try_from(self.options.empty_timeout.as_secs()).unwrap_or(u32::MAX),
            departure_timeout: u32::try_from(self.options.departure_timeout.as_secs())
                .unwrap_or(u32::MAX),
            max_participants: self.options.max_participants,
            creation_time: i64::try_from(created.as_secs()).unwrap_or_default(),
            creation_time_ms: i64::try_from(created.as_millis()).unwrap_or_default(),
            enabled_codecs: enabled_codecs(&[]),
            metadata: self.metadata.clone(),
            num_participants: count(counted().count()),
            num_publishers: count(
                self.participants
                    .values()
                    .filter(|p| p.tracks.iter().any(|t| t.mid.is_some()))
                    .count(),
            ),
            ..proto::Room::default()
        }
    }
}

/// A channel opened, for the first time or again. The media engine bounds how many labels there are.
fn note(open: &mut Vec<Arc<str>>, label: Arc<str>) {
    if !open.contains(&label) {
        open.push(label);
    }
}
