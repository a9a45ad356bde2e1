//! What the room knows of one participant.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use antiphon_protocol::proto::participant_info::State;
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    ClientInfo, DisconnectReason, LeaveRequest, ParticipantInfo, ParticipantPermission,
    SignalResponse, SubscriptionError, SubscriptionPermission, SubscriptionPermissionUpdate,
    SubscriptionResponse, TrackInfo, leave_request,
};
use antiphon_protocol::{Claims, ParticipantKind};
use antiphon_rtc::{MediaKind, Peer};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::ToSocket;
use super::data::EarlyData;
use super::data_blobs::DataBlobs;
use super::data_tracks::DataTracks;
use super::dynacast::Dynacast;
use super::quality::Quality;
use super::speaker::Speaker;
use super::subscriptions::Subscriptions;
use crate::limits::{AGENT_SILENCE, OUTGOING_QUEUE};
use crate::tally::Tally;

/// A track that a participant announced.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) info: TrackInfo,
    pub(super) cid: String,
    /// The section it arrives in; `None` until negotiated. Others see the track from then on.
    pub(super) mid: Option<String>,
    /// The publisher was told that somebody subscribes.
    pub(super) subscribed: bool,
    /// Counted while it has a section.
    pub(super) tally: Option<Tally>,
    pub(super) dynacast: Dynacast,
}

impl Track {
    pub(super) fn kind(&self) -> MediaKind {
        if self.info.r#type == antiphon_protocol::proto::TrackType::Video as i32 {
            MediaKind::Video
        } else {
            MediaKind::Audio
        }
    }
}

/// A section that sends but whose track was not announced yet (clients send both at once).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unbound {
    pub(super) mid: String,
    pub(super) kind: MediaKind,
    pub(super) cid: String,
    /// The codecs agreed upon, in the order in which the client prefers them.
    pub(super) codecs: Vec<String>,
}

/// The connection a participant receives by.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) peer: Peer,
    pub(super) offer_id: u32,
    /// The client has to answer our offer, or to offer the sections that we asked for, since then.
    pub(super) outstanding: Option<Instant>,
    /// Something changed meanwhile.
    pub(super) again: bool,
    pub(super) restart_ice: bool,
    pub(super) subscriptions: Subscriptions,
}

impl Subscriber {
    /// Nothing is subscribed yet.
    pub(super) fn by(peer: Peer) -> Self {
        Self {
            peer,
            offer_id: rand::random_range(1..=256),
            outstanding: None,
            again: false,
            restart_ice: false,
            subscriptions: Subscriptions::default(),
        }
    }
}

/// Resumptions that a test wants to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokenResumes {
    /// The connection is closed as soon as everything was said.
    AfterMessages { until: Instant },
    /// This many connections are closed before anything is said.
    BeforeMessages { left: u32 },
}

/// When the connection of a resumption is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Before,
    After,
}

/// One participant.
pub(super) struct Participant {
    pub(super) _tally: Tally,
    pub(super) sid: Arc<str>,
    pub(super) identity: Arc<str>,
    pub(super) claims: Claims,
    pub(super) kind: ParticipantKind,
    pub(super) state: State,
    pub(super) name: String,
    pub(super) metadata: String,
    pub(super) attributes: HashMap<String, String>,
    pub(super) permission: ParticipantPermission,
    pub(super) client: ClientInfo,
    pub(super) auto_subscribe: bool,
    pub(super) auto_subscribe_data: bool,
    pub(super) data_tracks: DataTracks,
    pub(super) data_blobs: DataBlobs,
    pub(super) joined_at: SystemTime,
    pub(super) joined: Instant,
    pub(super) version: u32,
    pub(super) connection: u64,
    pub(super) outgoing: Option<mpsc::Sender<ToSocket>>,
    pub(super) signal_lost: Option<Instant>,
    /// An agent's signal connection is open, and nothing comes by it.
    pub(super) signal_quiet: bool,
    /// The dispatcher was told that nothing is heard of this agent.
    pub(super) told_unreachable: bool,
    /// A media connection ended since then.
    pub(super) media_lost: Option<Instant>,
    pub(super) next_refresh: Instant,
    pub(super) tracks: Vec<Track>,
    pub(super) unbound: Vec<Unbound>,
    pub(super) was_publisher: bool,
    /// It has a single connection, for both directions, and only the client offers.
    pub(super) single_connection: bool,
    /// The offer that came with its join is still to be looked at: until then there is nothing to ask of it.
    pub(super) first_offer_waits: bool,
    pub(super) publisher: Option<Peer>,
    pub(super) publisher_has_data: bool,
    pub(super) publisher_open: Vec<Arc<str>>,
    pub(super) publisher_connected: bool,
    pub(super) subscriber: Option<Subscriber>,
    /// The client was told at its join that it receives data by the subscriber connection, the first to be connected.
    pub(super) subscriber_is_primary: bool,
    pub(super) subscriber_open: Vec<Arc<str>>,
    pub(super) subscriber_connected: bool,
    pub(super) subscription_permission: Option<SubscriptionPermission>,
    pub(super) last_sequence: u32,
    pub(super) broken_resumes: Option<BrokenResumes>,
    pub(super) speaker: Speaker,
    pub(super) quality: Quality,
    /// Reliable packets that came before it was connected.
    pub(super) early_data: EarlyData,
}

impl Participant {
    /// What others may know of it.
    pub(super) fn info(&self) -> ParticipantInfo {
        let joined = self
            .joined_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let tracks: Vec<TrackInfo> = self
            .tracks
            .iter()
            .filter(|t| t.mid.is_some())
            .map(|t| t.info.clone())
            .collect();
        ParticipantInfo {
            sid: self.sid.to_string(),
            identity: self.identity.to_string(),
            state: self.state as i32,
            is_publisher: !tracks.is_empty() || !self.data_tracks.published.is_empty(),
            tracks,
            data_tracks: self.data_tracks.published.clone(),
            metadata: self.metadata.clone(),
            joined_at: i64::try_from(joined.as_secs()).unwrap_or_default(),
            joined_at_ms: i64::try_from(joined.as_millis()).unwrap_or_default(),
            name: self.name.clone(),
            version: self.version,
            permission: Some(self.permission.clone()),
            kind: self.kind as i32,
            attributes: self.attributes.clone(),
            client_protocol: self.client.client_protocol,
            capabilities: self.client.capabilities.clone(),
            ..ParticipantInfo::default()
        }
    }

    /// Agents and recorders do not count, and do not keep a room open.
    pub(super) fn is_dependent(&self) -> bool {
        matches!(self.kind, ParticipantKind::Agent | ParticipantKind::Egress)
    }

    /// Is everything up that the first packet needs?
    pub(super) fn primary_is_ready(&self) -> bool {
        let (connected, open, has_data) = if self.subscriber_is_primary {
            (self.subscriber_connected, &self.subscriber_open, true)
        } else {
            (
                self.publisher_connected,
                &self.publisher_open,
                self.publisher_has_data,
            )
        };
        let both = ["_reliable", "_lossy"]
            .iter()
            .all(|label| open.iter().any(|l| l.as_ref() == *label));
        connected && (both || !has_data)
    }

    /// The connection by which data goes to the client.
    pub(super) fn data_peer(&self) -> Option<&Peer> {
        if self.subscriber_is_primary {
            self.subscriber.as_ref().map(|subscriber| &subscriber.peer)
        } else {
            self.publisher.as_ref()
        }
    }

    /// Send a signal message. A client that does not read its socket loses it.
    pub(super) fn send(&mut self, message: Message) {
        self.send_shared(&Arc::new(SignalResponse {
            message: Some(message),
        }));
    }

    /// Say which tracks it is not subscribed to, though it would be.
    pub(super) fn send_not_subscribed(&mut self, tracks: &[String], why: SubscriptionError) {
        // Not so many at once that its queue is full; the log has their number.
        for track in tracks.iter().take(OUTGOING_QUEUE / 4) {
            self.send(Message::SubscriptionResponse(SubscriptionResponse {
                track_sid: track.clone(),
                err: why as i32,
            }));
        }
    }

    /// Send a message that several get.
    pub(super) fn send_shared(&mut self, message: &Arc<SignalResponse>) {
        let Some(outgoing) = &self.outgoing else {
            return;
        };
        let message = ToSocket::Message(Arc::clone(message));
        if let Err(error) = outgoing.try_send(message) {
            // closed: the client has hung up, which `SignalClosed` is about to say
            if matches!(error, TrySendError::Full(_)) {
                tracing::warn!(participant = %self.sid, identity = %self.identity, "the client does not read its signal connection; closing it");
            }
            self.outgoing = None;
            self.signal_lost.get_or_insert_with(Instant::now);
        }
    }

    /// Tell the client to leave, and close its socket.
    pub(super) fn send_leave(&mut self, reason: DisconnectReason, action: leave_request::Action) {
        let can_reconnect = action != leave_request::Action::Disconnect;
        let leave = LeaveRequest {
            can_reconnect,
            reason: reason as i32,
            action: action as i32,
            regions: None,
        };
        self.send(Message::Leave(leave));
        if let Some(outgoing) = self.outgoing.take() {
            let _ = outgoing.try_send(ToSocket::Close);
        }
    }

    /// Tell it whether a publisher lets it have a track.
    pub(super) fn send_subscription_permission(
        &mut self,
        publisher: &str,
        track: &str,
        allowed: bool,
    ) {
        self.send(Message::SubscriptionPermissionUpdate(
            SubscriptionPermissionUpdate {
                participant_sid: publisher.to_owned(),
                track_sid: track.to_owned(),
                allowed,
            },
        ));
    }

    /// What is said of it to those who come back after it has left.
    pub(super) fn farewell(&self, reason: DisconnectReason) -> ParticipantInfo {
        ParticipantInfo {
            sid: self.sid.to_string(),
            identity: self.identity.to_string(),
            state: State::Disconnected as i32,
            version: self.version,
            kind: self.kind as i32,
            disconnect_reason: reason as i32,
            ..ParticipantInfo::default()
        }
    }

    /// Is something heard of it, by signalling or by media? While it is joining, that is taken for granted.
    pub(super) fn is_reachable(&self) -> bool {
        let signals = self.signal_lost.is_none() && !self.signal_quiet;
        let subscriber = self.subscriber.as_ref().map(|s| &s.peer);
        let mut peers = subscriber.into_iter().chain(&self.publisher);
        signals || self.state != State::Active || peers.any(|p| p.quiet_for() < AGENT_SILENCE)
    }

    /// Shall the resumption that begins now fail?
    pub(super) fn breaks_resume(&mut self) -> Option<Broken> {
        match self.broken_resumes.as_mut()? {
            BrokenResumes::AfterMessages { until } if Instant::now() < *until => {
                Some(Broken::After)
            }
            BrokenResumes::BeforeMessages { left } if *left > 0 => {
                *left -= 1;
                Some(Broken::Before)
            }
            BrokenResumes::AfterMessages { .. } | BrokenResumes::BeforeMessages { .. } => {
                self.broken_resumes = None;
                None
            }
        }
    }

    /// How long nothing was heard of it by the connection that was heard last.
    pub(super) fn quietest(&self) -> Duration {
        let subscriber = self.subscriber.as_ref().map(|s| &s.peer);
        let peers = subscriber.into_iter().chain(&self.publisher);
        peers.map(Peer::quiet_for).min().unwrap_or_default()
    }

    /// The track of that identifier.
    pub(super) fn track(&mut self, sid: &str) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.info.sid == sid)
    }

    /// May `subscriber` have this track, as far as this publisher is concerned?
    pub(super) fn allows(
        &self,
        subscriber_sid: &str,
        subscriber_identity: &str,
        track: &str,
    ) -> bool {
        let Some(permission) = &self.subscription_permission else {
            return true;
        };
        permission.all_participants
            || permission.track_permissions.iter().any(|p| {
                let named = if p.participant_identity.is_empty() {
                    p.participant_sid == subscriber_sid
                } else {
                    p.participant_identity == subscriber_identity
                };
                named && (p.all_tracks || p.track_sids.iter().any(|sid| sid == track))
            })
    }

    /// End its connections.
    pub(super) fn close_peers(&mut self) {
        if let Some(peer) = self.publisher.take() {
            peer.close();
        }
        if let Some(subscriber) = self.subscriber.take() {
            subscriber.peer.close();
        }
    }
}
