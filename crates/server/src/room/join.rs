//! Joining a room: anew, or again after the signal connection was lost.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use antiphon_protocol::ids;
use antiphon_protocol::names::SERVER_VERSION;
use antiphon_protocol::proto::client_info::Sdk;
use antiphon_protocol::proto::participant_info::State as Stage;
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    self, ClientConfigSetting, ClientConfiguration, ClientInfo, DisabledCodecs, DisconnectReason,
    JoinResponse, ParticipantInfo, ParticipantUpdate, ReconnectResponse, RoomUpdate, SignalRequest,
    SignalResponse, SignalTarget, leave_request, signal_request,
};
use antiphon_rtc::Peer;

use super::actor::Room;
use super::codecs::{broken_encoders, codec, enabled_codecs};
use super::data::EarlyData;
use super::data_blobs::DataBlobs;
use super::data_tracks::DataTracks;
use super::participant::{Broken, Participant, Subscriber};
use super::quality::Quality;
use super::speaker::Speaker;
use super::{Join, Single};
use crate::agents::Notice;
use crate::limits::{GO_OFFER_DELAY, PING_INTERVAL, PING_TIMEOUT, REFRESH_INTERVAL};
use crate::tally::Tally;
use crate::turn::ice_servers;

impl Room {
    pub(super) async fn join(&mut self, join: Join) {
        let identity: Arc<str> = Arc::from(join.claims.participant_identity());
        let known = self
            .participants
            .values()
            .find(|p| p.identity == identity)
            .map(|p| Arc::clone(&p.sid));
        if let Some(resume) = &join.resume {
            match known {
                Some(sid) if sid.as_ref() == resume.as_str() && self.may_resume(&sid) => {
                    self.resume(&sid, join).await
                }
                _ => refuse(
                    join,
                    DisconnectReason::StateMismatch,
                    leave_request::Action::Reconnect,
                ),
            }
            return;
        }
        if let Some(sid) = known {
            self.remove(&sid, DisconnectReason::DuplicateIdentity).await;
        }
        let dependent = matches!(
            join.claims.participant_kind(),
            antiphon_protocol::ParticipantKind::Agent | antiphon_protocol::ParticipantKind::Egress
        );
        let counted = self
            .participants
            .values()
            .filter(|p| !p.is_dependent())
            .count();
        let max = usize::try_from(self.options.max_participants).unwrap_or(usize::MAX);
        let full = (max > 0 && !dependent && counted >= max)
            || self.participants.len() >= self.state.config.limits.max_room_participants;
        if full {
            if self.state.repeated.is_first("the room is full", &identity) {
                tracing::warn!(room = %self.handle.name, %identity, "the room is full");
            }
            refuse(
                join,
                DisconnectReason::JoinFailure,
                leave_request::Action::Disconnect,
            );
            return;
        }
        self.admit(join, identity).await;
    }

    async fn admit(&mut self, mut join: Join, identity: Arc<str>) {
        let sid: Arc<str> = Arc::from(ids::participant());
        let Some(mut participant) = self.participant(&sid, &identity, &join) else {
            refuse(
                join,
                DisconnectReason::JoinFailure,
                leave_request::Action::Disconnect,
            );
            return;
        };
        tracing::info!(room = %self.handle.name, participant = %sid, %identity, kind = ?participant.kind, sdk = join.client.sdk,
            sdk_version = %join.client.version, protocol = join.client.protocol, "participant joins");
        metrics::counter!(antiphon_telemetry::names::SERVER_JOINS_TOTAL).increment(1);
        count_join("signal_connected");
        let others = self
            .participants
            .values()
            .filter(|p| !p.permission.hidden)
            .map(Participant::info)
            .collect();
        participant.send(Message::Join(self.join_response(&participant, others)));
        let config = participant.claims.room_config.as_ref();
        let notice = Notice::Joined {
            room: Arc::clone(&self.handle.sid),
            participant: Box::new(participant.info()),
            dependent: participant.is_dependent(),
            agents: config
                .map(|config| config.agents.clone())
                .unwrap_or_default(),
        };
        if !participant.is_dependent() {
            self.ever_joined = true;
            self.empty_since = None;
        }
        self.participants.insert(Arc::clone(&sid), participant);
        self.counts_changed = true;
        self.subscribe_to_everything(&sid);
        self.subscribe_to_all_data(&sid);
        self.negotiate(&sid).await;
        self.refresh_token(&sid);
        self.announce(&sid);
        if let Some(single) = join.single.take() {
            self.hear_out(&sid, *single).await;
        }
        let _ = join.reply.send(sid);
        self.state.agents.notify(notice).await;
    }

    /// A new participant with its subscriber connection; `None` when the media engine is full.
    fn participant(&self, sid: &Arc<str>, identity: &Arc<str>, join: &Join) -> Option<Participant> {
        let claims = join.claims.clone();
        let permission = claims.video_grants().permission();
        let single = join.single.is_some();
        let (mut subscriber, mut publisher) = (None, None);
        if single {
            let peer = self.connection(sid, &join.client, SignalTarget::Publisher)?;
            publisher = Some(peer.clone());
            subscriber = permission.can_subscribe.then(|| Subscriber::by(peer));
        } else if permission.can_subscribe {
            let peer = self.connection(sid, &join.client, SignalTarget::Subscriber)?;
            subscriber = Some(Subscriber::by(peer));
        }
        let mut attributes = claims.attributes.clone();
        attributes.extend(join.attributes.clone());
        let now = Instant::now();
        Some(Participant {
            _tally: Tally::participant(),
            sid: Arc::clone(sid),
            identity: Arc::clone(identity),
            kind: claims.participant_kind(),
            state: Stage::Joined,
            name: claims.name.clone(),
            metadata: if join.metadata.is_empty() {
                claims.metadata.clone()
            } else {
                join.metadata.clone()
            },
            attributes,
            permission,
            claims,
            client: join.client.clone(),
            auto_subscribe: join.auto_subscribe,
            auto_subscribe_data: join.auto_subscribe_data,
            data_tracks: DataTracks::default(),
            data_blobs: DataBlobs::default(),
            joined_at: SystemTime::now(),
            joined: now,
            version: 1,
            connection: join.connection,
            outgoing: Some(join.outgoing.clone()),
            signal_lost: None,
            signal_quiet: false,
            told_unreachable: false,
            media_lost: None,
            next_refresh: now + REFRESH_INTERVAL,
            tracks: Vec::new(),
            unbound: Vec::new(),
            was_publisher: false,
            single_connection: single,
            first_offer_waits: join.single.as_ref().is_some_and(|s| s.offer.is_some()),
            publisher,
            publisher_has_data: true,
            publisher_open: Vec::new(),
            publisher_connected: false,
            subscriber_is_primary: !single && subscriber.is_some(),
            subscriber,
            subscriber_open: Vec::new(),
            subscriber_connected: false,
            subscription_permission: None,
            last_sequence: 0,
            broken_resumes: None,
            speaker: Speaker::default(),
            quality: Quality::default(),
            early_data: EarlyData::default(),
        })
    }

    /// A connection; `None` when the media engine is full.
    pub(super) fn connection(
        &self,
        sid: &Arc<str>,
        client: &ClientInfo,
        target: SignalTarget,
    ) -> Option<Peer> {
        self.peer(sid, client, target)
            .inspect_err(|error| tracing::error!(%error, "no peer"))
            .ok()
    }

    fn join_response(
        &self,
        participant: &Participant,
        others: Vec<ParticipantInfo>,
    ) -> JoinResponse {
        JoinResponse {
            room: Some(self.info()),
            participant: Some(participant.info()),
            other_participants: others,
            server_version: SERVER_VERSION.to_owned(),
            subscriber_primary: participant.subscriber_is_primary,
            ping_timeout: i32::try_from(PING_TIMEOUT.as_secs()).unwrap_or(15),
            ping_interval: i32::try_from(PING_INTERVAL.as_secs()).unwrap_or(5),
            server_info: Some(self.state.server_info()),
            enabled_publish_codecs: enabled_codecs(broken_encoders(&participant.client)),
            fast_publish: participant.permission.can_publish,
            ice_servers: ice_servers(&self.state, &participant.claims.iss, &participant.sid),
            client_configuration: self.client_configuration(participant),
            ..JoinResponse::default()
        }
    }

    /// What a client shall do other than by itself.
    fn client_configuration(&self, participant: &Participant) -> Option<ClientConfiguration> {
        let simulated = self.simulated_relay.as_ref() == Some(&participant.identity);
        let force_relay = self.state.config.network.force_relay || simulated;
        let broken = broken_encoders(&participant.client);
        (force_relay || !broken.is_empty()).then(|| ClientConfiguration {
            force_relay: if force_relay {
                ClientConfigSetting::Enabled
            } else {
                ClientConfigSetting::Unset
            } as i32,
            disabled_codecs: Some(DisabledCodecs {
                codecs: Vec::new(),
                publish: broken.iter().map(|mime| codec(mime)).collect(),
            }),
            ..ClientConfiguration::default()
        })
    }

    /// What a client with a single connection has said with its join.
    async fn hear_out(&mut self, sid: &Arc<str>, single: Single) {
        if let Some(sync) = single.sync {
            self.on_sync_state(sid, sync).await;
        }
        for track in single.tracks {
            self.on_add_track(sid, track).await;
        }
        let Some(offer) = single.offer else { return };
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        if p.client.sdk() != Sdk::Go {
            return self.on_offer(sid, offer).await;
        }
        // It reads our answer beside taking note of its own offer, and gives up if the answer is first.
        let later = super::Command::Signal {
            sid: Arc::clone(sid),
            connection: p.connection,
            request: Box::new(SignalRequest {
                message: Some(signal_request::Message::Offer(offer)),
            }),
        };
        let commands = self.handle.commands.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GO_OFFER_DELAY).await;
            // A room that has closed needs no answer.
            let _ = commands.send(later).await;
        });
    }

    fn may_resume(&self, sid: &str) -> bool {
        // An offer that was never answered cannot be taken back: then a full reconnect is the safe way.
        self.participants.get(sid).is_some_and(|p| {
            p.primary_is_ready()
                && (p.single_connection
                    || p.subscriber
                        .as_ref()
                        .is_none_or(|s| s.outstanding.is_none()))
        })
    }

    async fn resume(&mut self, sid: &Arc<str>, mut join: Join) {
        tracing::info!(room = %self.handle.name, participant = %sid, "participant resumes");
        let broken = self
            .participants
            .get_mut(sid)
            .and_then(Participant::breaks_resume);
        if broken == Some(Broken::Before) {
            let _ = join.outgoing.try_send(super::ToSocket::Close);
            let _ = join.reply.send(Arc::from(""));
            return;
        }
        let present = self
            .participants
            .values()
            .filter(|p| !p.permission.hidden || p.sid == *sid);
        // Who left while nobody listened, unless it is back.
        let gone = self.departed.iter().map(|(_, info)| info).filter(|info| {
            !self
                .participants
                .values()
                .any(|p| *p.identity == *info.identity)
        });
        let everybody: Vec<ParticipantInfo> = gone
            .cloned()
            .chain(present.map(Participant::info))
            .collect();
        let room = self.info();
        let server_info = self.state.server_info();
        let before = self.participants.get(sid);
        let client_configuration = before.and_then(|p| self.client_configuration(p));
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let ice_servers = ice_servers(&self.state, &p.claims.iss, sid);
        p.connection = join.connection;
        p.outgoing = Some(join.outgoing.clone());
        p.signal_lost = None;
        p.signal_quiet = false;
        let last_message_seq = p.last_sequence;
        p.send(Message::Reconnect(ReconnectResponse {
            server_info: Some(server_info),
            last_message_seq,
            ice_servers,
            client_configuration,
        }));
        p.send(Message::Update(ParticipantUpdate {
            participants: everybody,
        }));
        p.send(Message::RoomUpdate(RoomUpdate { room: Some(room) }));
        if let Some(subscriber) = &mut p.subscriber {
            subscriber.restart_ice = true;
            // Sections that were asked for before are asked for again.
            subscriber.outstanding = None;
        }
        self.send_handles(sid);
        self.negotiate(sid).await;
        self.refresh_token(sid);
        if let Some(single) = join.single.take() {
            self.hear_out(sid, *single).await;
        }
        if broken == Some(Broken::After) {
            let _ = join.outgoing.try_send(super::ToSocket::Close);
        }
        let _ = join.reply.send(Arc::clone(sid));
    }
}

/// Under LiveKit's name.
pub(super) fn count_join(state: &'static str) {
    metrics::counter!(antiphon_telemetry::names::LIVEKIT_PARTICIPANT_JOIN_TOTAL, "state" => state)
        .increment(1);
}

/// Say no by the first message of the signal connection, as SDKs expect.
fn refuse(join: Join, reason: DisconnectReason, action: leave_request::Action) {
    let leave = proto::LeaveRequest {
        can_reconnect: action != leave_request::Action::Disconnect,
        reason: reason as i32,
        action: action as i32,
        regions: None,
    };
    let message = Arc::new(SignalResponse {
        message: Some(Message::Leave(leave)),
    });
    let _ = join.outgoing.try_send(super::ToSocket::Message(message));
    let _ = join.outgoing.try_send(super::ToSocket::Close);
    // No identifier: nobody has this one, so what the client still says is ignored.
    let _ = join.reply.send(Arc::from(""));
}
