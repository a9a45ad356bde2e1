//! The task behind a room. It owns the state; handles send it commands.
//!
//! | module | what |
//! |---|---|
//! | `link` | one connection: signal and two peers |
//! | `serve` | the loop while connected |
//! | `inbox` | what the server and the others say |
//! | `tracks` | our tracks, their tracks |
//! | `reconnect` | the way back |

mod inbox;
mod link;
mod reconnect;
mod serve;
mod tracks;

use std::collections::HashMap;
use std::sync::Arc;

use antiphon_rtc::Engine;
use livekit_protocol::data_packet::Value;
use livekit_protocol::{
    DataPacket, DisconnectReason, JoinResponse, RpcRequest, TrackSource, UpdateParticipantMetadata,
    signal_request,
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use url::Url;

use crate::audio::{AudioStream, LocalShared};
use crate::outbox::Outbox;
use crate::participant::Roster;
use crate::room::Shared;
use crate::rpc::{PendingCall, PendingCalls, RpcHandler};
use crate::sdp::SentTrack;
use crate::stream::Incoming;
use crate::{Participant, Room, RoomError, RoomEvent, RoomOptions, limits};
use link::Link;

/// A data packet of our own, before it is numbered.
#[derive(Debug)]
pub(crate) struct OwnPacket {
    pub(crate) value: Value,
    pub(crate) destinations: Vec<String>,
    pub(crate) sender_identity: String,
    pub(crate) reliable: bool,
}

/// What handles ask for.
pub(crate) enum Command {
    Close {
        reply: oneshot::Sender<()>,
    },
    Publish {
        name: String,
        source: TrackSource,
        reply: PublishReply,
    },
    Mute {
        track_sid: String,
        muted: bool,
    },
    Subscribe {
        track_sid: String,
        subscribed: bool,
    },
    Describe {
        metadata: Option<String>,
        attributes: HashMap<String, String>,
    },
    Send(OwnPacket),
    Call {
        request: RpcRequest,
        call: PendingCall,
    },
    ForgetCall {
        id: String,
    },
    Register {
        method: String,
        handler: RpcHandler,
        reply: oneshot::Sender<()>,
    },
}

impl std::fmt::Debug for Command {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Command")
    }
}

type PublishReply = oneshot::Sender<Result<Arc<LocalShared>, RoomError>>;

/// One of our tracks.
#[derive(Debug)]
struct LocalTrack {
    source: TrackSource,
    muted: bool,
    shared: Arc<LocalShared>,
    /// The section in the current publisher peer.
    mid: Option<String>,
    info: Option<livekit_protocol::TrackInfo>,
    reply: Option<PublishReply>,
}

/// How serving a connection ended.
#[derive(Debug)]
enum Exit {
    /// For good.
    Over(DisconnectReason),
    /// For good, because a handle asked; it is told when all is done.
    Asked(Option<oneshot::Sender<()>>),
    /// The peers may still work: only the signal connection must come back.
    Resume(livekit_protocol::ReconnectReason),
    /// Everything anew.
    Full,
}

pub(crate) struct Actor {
    engine: Engine,
    server: Url,
    token: String,
    options: RoomOptions,
    shared: Arc<Shared>,
    events: mpsc::Sender<RoomEvent>,
    overflow: bool,
    commands: mpsc::Receiver<Command>,
    /// For tasks that answer; weak, so that the room ends with its last handle.
    handle: mpsc::WeakSender<Command>,
    roster: Roster,
    streams: Incoming,
    outbox: Outbox,
    received: HashMap<String, u32>,
    local_tracks: HashMap<String, LocalTrack>,
    /// Subscribed sections: section → track.
    subscribed: HashMap<String, SentTrack>,
    /// Streams of tracks whose publisher was not announced yet.
    unclaimed: Vec<(SentTrack, AudioStream)>,
    wanted: HashMap<String, bool>,
    metadata: String,
    attributes: HashMap<String, String>,
    requests: u32,
    calls: PendingCalls,
    methods: HashMap<String, RpcHandler>,
    handling: Arc<Semaphore>,
}

/// Join, and start the actor.
pub(crate) async fn start(
    engine: Engine,
    server: Url,
    token: String,
    options: RoomOptions,
) -> Result<(Room, mpsc::Receiver<RoomEvent>), RoomError> {
    let (mut link, join) = Link::open(&engine, &server, &token, &options).await?;
    let (events, reader) = mpsc::channel(limits::EVENTS);
    let (commands, commanded) = mpsc::channel(limits::COMMANDS);
    let shared = Arc::new(Shared::default());
    let mut actor = Actor {
        engine,
        server,
        token,
        options,
        shared: shared.clone(),
        events,
        overflow: false,
        commands: commanded,
        handle: commands.downgrade(),
        roster: Roster::default(),
        streams: Incoming::default(),
        outbox: Outbox::new(),
        received: HashMap::new(),
        local_tracks: HashMap::new(),
        subscribed: HashMap::new(),
        unclaimed: Vec::new(),
        wanted: HashMap::new(),
        metadata: String::new(),
        attributes: HashMap::new(),
        requests: 0,
        calls: PendingCalls::default(),
        methods: HashMap::new(),
        handling: Arc::new(Semaphore::new(limits::RPC_CALLS)),
    };
    actor.joined(&link, &join);
    actor.open_publisher(&mut link).await?;
    tokio::spawn(actor.run(link));
    Ok((Room { commands, shared }, reader))
}

impl Actor {
    async fn run(mut self, mut link: Link) {
        loop {
            let (reason, reply) = match self.serve(&mut link).await {
                Exit::Over(reason) => (reason, None),
                Exit::Asked(reply) => (DisconnectReason::ClientInitiated, reply),
                exit @ (Exit::Resume(_) | Exit::Full) => {
                    self.emit(RoomEvent::Reconnecting);
                    match self.reconnect(link, exit).await {
                        Ok(again) => {
                            link = again;
                            continue;
                        }
                        Err((reason, reply)) => {
                            self.finish(reason);
                            if let Some(reply) = reply {
                                let _ = reply.send(());
                            }
                            return;
                        }
                    }
                }
            };
            if reason == DisconnectReason::ClientInitiated {
                link.leave().await;
            }
            self.finish(reason);
            if let Some(reply) = reply {
                let _ = reply.send(());
            }
            return;
        }
    }

    fn finish(&mut self, reason: DisconnectReason) {
        for track in self.local_tracks.values() {
            track.shared.set_route(None);
        }
        tracing::info!(?reason, "left the room");
        let _ = self.events.try_send(RoomEvent::Disconnected { reason });
    }

    /// Take over what the server says about the room at a join.
    fn joined(&mut self, link: &Link, join: &JoinResponse) {
        let room = join.room.clone().unwrap_or_default();
        let local = join
            .participant
            .as_ref()
            .map(|info| Arc::new(Participant::new(info)));
        tracing::info!(
            room = room.name,
            participant = link.participant_sid,
            "joined the room"
        );
        self.shared.change(|snapshot| {
            snapshot.room_sid = room.sid;
            snapshot.room_name = room.name;
            snapshot.local = local;
        });
        let mut events = Vec::new();
        self.roster.replace(&join.other_participants, &mut events);
        self.roster_events(link, events);
    }

    /// Hand an event to the reader. See [`limits::EVENTS`].
    fn emit(&mut self, event: RoomEvent) {
        match self.events.try_send(event) {
            Ok(()) => {}
            // Nobody wants to know; the handles decide when the room ends.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(RoomEvent::ActiveSpeakers(_))) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.overflow = true,
        }
    }

    /// Queue a packet and send what can be sent.
    fn send(&mut self, link: Option<&Link>, packet: OwnPacket) {
        let participant_identity = if packet.sender_identity.is_empty() {
            self.identity()
        } else {
            packet.sender_identity
        };
        let numbered = DataPacket {
            participant_identity,
            destination_identities: packet.destinations,
            value: Some(packet.value),
            ..Default::default()
        };
        self.outbox.push(packet.reliable, numbered);
        if let Some(link) = link {
            self.flush(link);
        }
    }

    fn flush(&mut self, link: &Link) {
        while let Some((label, bytes)) = self.outbox.next() {
            link.publisher.peer.send_data(label, bytes);
        }
    }

    fn identity(&self) -> String {
        self.shared
            .read()
            .local
            .map(|local| local.identity.clone())
            .unwrap_or_default()
    }

    /// From now on calls of this method are answered; whoever asked for it waits for that.
    fn register(&mut self, method: String, handler: RpcHandler, reply: oneshot::Sender<()>) {
        self.methods.insert(method, handler);
        let _ = reply.send(());
    }

    /// Tell the server about our metadata and these attributes.
    fn describe(&mut self, link: &Link, attributes: HashMap<String, String>) {
        self.requests += 1;
        link.signal.send(signal_request::Message::UpdateMetadata(
            UpdateParticipantMetadata {
                metadata: self.metadata.clone(),
                attributes,
                request_id: self.requests,
                ..Default::default()
            },
        ));
    }
}
