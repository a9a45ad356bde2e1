//! Signal messages of participants. Every message type has its line here, also those that are only logged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use antiphon_protocol::grants::may_publish;
use antiphon_protocol::proto::signal_request::Message as Request;
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    CandidateProtocol, DisconnectReason, ParticipantPermission, Pong, RequestResponse,
    SignalRequest, SignalTarget, SimulateScenario, SpeakerInfo, SubscriptionPermission, SyncState,
    TrackSource, TrickleRequest, UpdateParticipantMetadata, UpdateSubscription, leave_request,
    request_response, simulate_scenario,
};
use antiphon_protocol::trickle;

use super::actor::Room;
use super::participant::{BrokenResumes, Subscriber};
use super::subscriptions::Subscriptions;
use crate::limits::{MAX_ATTRIBUTES_BYTES, MAX_METADATA_BYTES, MAX_NAME_BYTES};

/// The longest that a test may pretend that somebody speaks.
const MAX_SIMULATED_SECONDS: u64 = 3_600;

/// For this long resumptions are broken off, when a test asks for that; LiveKit's.
const SIMULATED_RESUMES: Duration = Duration::from_secs(5);
/// This many resumptions get no answer, when a test asks for that; LiveKit's.
const SIMULATED_FAILURES: u32 = 3;

impl Room {
    #[allow(deprecated, reason = "old clients still send `update_layers`")]
    pub(super) async fn on_request(&mut self, sid: &Arc<str>, request: SignalRequest) {
        let Some(message) = request.message else {
            tracing::debug!(participant = %sid, "a signal message of an unknown type is ignored");
            return;
        };
        match message {
            Request::Offer(offer) => self.on_offer(sid, offer).await,
            Request::Answer(answer) => self.on_answer(sid, answer).await,
            Request::Trickle(trickle) => self.on_trickle(sid, &trickle),
            Request::AddTrack(request) => self.on_add_track(sid, request).await,
            Request::Mute(mute) => {
                self.set_muted(sid, &mute.sid, mute.muted, false);
            }
            Request::Subscription(update) => self.on_subscription(sid, &update).await,
            Request::TrackSetting(settings) => self.on_track_settings(sid, &settings),
            Request::Leave(leave) => {
                let reason = DisconnectReason::try_from(leave.reason)
                    .unwrap_or(DisconnectReason::ClientInitiated);
                let reason = match reason {
                    DisconnectReason::UserUnavailable
                    | DisconnectReason::UserRejected
                    | DisconnectReason::AgentError => reason,
                    _ => DisconnectReason::ClientInitiated,
                };
                if let Some(p) = self.participants.get_mut(sid)
                    && let Some(outgoing) = p.outgoing.take()
                {
                    let _ = outgoing.try_send(super::ToSocket::Close);
                }
                self.remove(sid, reason).await;
            }
            Request::SubscriptionPermission(permission) => {
                self.on_subscription_permission(sid, permission).await
            }
            Request::SyncState(sync) => self.on_sync_state(sid, sync).await,
            Request::Simulate(scenario) => self.on_simulate(sid, scenario).await,
            Request::Ping(_) => self.send_to(sid, Message::Pong(unix_millis())),
            Request::UpdateMetadata(update) => self.on_update_metadata(sid, update),
            Request::PingReq(ping) => {
                let pong = Pong {
                    last_ping_timestamp: ping.timestamp,
                    timestamp: unix_millis(),
                };
                self.send_to(sid, Message::PongResp(pong));
            }
            Request::UpdateAudioTrack(update) => {
                let Some(track) = self
                    .participants
                    .get_mut(sid)
                    .and_then(|p| p.track(&update.track_sid))
                else {
                    return;
                };
                track.info.audio_features = update.features;
                self.changed(sid);
            }
            Request::UpdateLayers(_) | Request::UpdateVideoTrack(_) => {
                tracing::debug!(participant = %sid, "video layers are not chosen here: ignored");
            }
            Request::PublishDataTrackRequest(request) => self.on_publish_data_track(sid, request),
            Request::UnpublishDataTrackRequest(request) => {
                self.on_unpublish_data_track(sid, request);
            }
            Request::UpdateDataSubscription(update) => self.on_data_subscription(sid, &update),
            Request::StoreDataBlobRequest(request) => self.on_store_data_blob(sid, request),
            Request::GetDataBlobRequest(request) => self.on_get_data_blob(sid, &request),
        }
    }

    fn send_to(&mut self, sid: &str, message: Message) {
        if let Some(p) = self.participants.get_mut(sid) {
            p.send(message);
        }
    }

    fn on_trickle(&mut self, sid: &str, trickle: &TrickleRequest) {
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        let Some(candidate) = trickle::candidate(trickle) else {
            return;
        };
        let peer = match trickle.target() {
            SignalTarget::Publisher => p.publisher.as_ref(),
            SignalTarget::Subscriber => p.subscriber.as_ref().map(|s| &s.peer),
        };
        if let Some(peer) = peer {
            peer.add_remote_candidate(candidate);
        }
    }

    pub(super) async fn on_subscription(&mut self, sid: &Arc<str>, update: &UpdateSubscription) {
        let listed = update
            .participant_tracks
            .iter()
            .flat_map(|p| p.track_sids.iter());
        let tracks: Vec<String> = update.track_sids.iter().chain(listed).cloned().collect();
        let mut changed = false;
        if update.subscribe {
            for (publisher, track, kind) in self.published_tracks(sid) {
                if tracks.contains(&track) {
                    changed |= self.want(sid, &publisher, &track, kind);
                }
            }
        } else {
            changed = self.unwant(sid, &tracks);
        }
        if changed {
            self.negotiate(sid).await;
        }
    }

    /// A publisher chooses who may hear it.
    async fn on_subscription_permission(
        &mut self,
        sid: &Arc<str>,
        permission: SubscriptionPermission,
    ) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        p.subscription_permission = Some(permission);
        let tracks: Vec<_> = p
            .tracks
            .iter()
            .filter(|t| t.mid.is_some())
            .map(|t| (t.info.sid.clone(), t.kind()))
            .collect();
        let others: Vec<_> = self
            .participants
            .values()
            .filter(|p| p.sid != *sid)
            .map(|p| {
                (
                    Arc::clone(&p.sid),
                    Arc::clone(&p.identity),
                    p.auto_subscribe,
                )
            })
            .collect();
        for (other, identity, auto) in others {
            let mut changed = false;
            for (track, kind) in &tracks {
                let allowed = self
                    .participants
                    .get(sid)
                    .is_some_and(|p| p.allows(&other, &identity, track));
                if !allowed {
                    // Remembered as refused, so that it is there again when it is allowed.
                    if self.unwant(&other, std::slice::from_ref(track)) {
                        self.want(&other, sid, track, *kind);
                        changed = true;
                    }
                    continue;
                }
                let refused = self.was_refused(&other, track);
                if (auto || refused) && self.want(&other, sid, track, *kind) {
                    changed = true;
                    if let Some(p) = self.participants.get_mut(&other) {
                        p.send_subscription_permission(sid, track, true);
                    }
                }
            }
            if changed {
                self.negotiate(&other).await;
            }
            self.subscribe_to_all_data(&other);
        }
        self.revoke_data();
    }

    /// What a client that came back believes. If it differs in tracks, it must start anew.
    pub(super) async fn on_sync_state(&mut self, sid: &Arc<str>, sync: SyncState) {
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        let published = sync.publish_tracks.iter().filter_map(|t| t.track.as_ref());
        if published
            .clone()
            .any(|info| !p.tracks.iter().any(|t| t.info.sid == info.sid))
        {
            self.remove(sid, DisconnectReason::StateMismatch).await;
            return;
        }
        self.set_disabled(sid, &sync.track_sids_disabled, true);
        if let Some(update) = sync
            .subscription
            .filter(|update| !update.track_sids.is_empty())
        {
            self.on_subscription(sid, &update).await;
        }
        self.replay_after(sid, &sync.datachannel_receive_states);
    }

    fn on_update_metadata(&mut self, sid: &Arc<str>, update: UpdateParticipantMetadata) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let request_id = update.request_id;
        let outcome = if !p.permission.can_update_metadata {
            Err((
                request_response::Reason::NotAllowed,
                "does not have permission to update own metadata".to_owned(),
            ))
        } else {
            self.update_participant(
                sid,
                Some(&update.name),
                Some(&update.metadata),
                &update.attributes,
            )
            .map_err(|text| (request_response::Reason::LimitExceeded, text.to_owned()))
        };
        let (reason, message) = match outcome {
            Ok(()) => (request_response::Reason::Ok, String::new()),
            Err(refusal) => refusal,
        };
        let ok_is_understood = self
            .participants
            .get(sid)
            .is_some_and(|p| p.client.protocol > 14);
        if request_id > 0 && (reason != request_response::Reason::Ok || ok_is_understood) {
            let request = Some(request_response::Request::UpdateMetadata(update));
            let response = RequestResponse {
                request_id,
                reason: reason as i32,
                message,
                request,
            };
            self.send_to(sid, Message::RequestResponse(response));
        }
    }

    /// Change name, metadata (empty: leave as they are) and attributes (empty value: delete).
    pub(super) fn update_participant(
        &mut self,
        sid: &Arc<str>,
        name: Option<&str>,
        metadata: Option<&str>,
        attributes: &HashMap<String, String>,
    ) -> Result<(), &'static str> {
        let Some(p) = self.participants.get_mut(sid) else {
            return Err("participant does not exist");
        };
        let (name, metadata) = (name.unwrap_or_default(), metadata.unwrap_or_default());
        if name.len() > MAX_NAME_BYTES {
            return Err("name exceeds 256 bytes");
        }
        if metadata.len() > MAX_METADATA_BYTES {
            return Err("metadata exceeds 512 KiB");
        }
        let mut merged = p.attributes.clone();
        for (key, value) in attributes {
            if value.is_empty() {
                merged.remove(key);
            } else {
                merged.insert(key.clone(), value.clone());
            }
        }
        if merged.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() > MAX_ATTRIBUTES_BYTES {
            return Err("attributes exceed 64 KiB");
        }
        p.attributes = merged;
        if !name.is_empty() {
            name.clone_into(&mut p.name);
        }
        if !metadata.is_empty() {
            metadata.clone_into(&mut p.metadata);
        }
        self.changed(sid);
        // So that a client that comes back by its token is what it is now.
        self.refresh_token(sid);
        Ok(())
    }

    /// Change what a participant may do; what it no longer may is ended.
    pub(super) async fn set_permission(
        &mut self,
        sid: &Arc<str>,
        permission: ParticipantPermission,
    ) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let could_subscribe = p.permission.can_subscribe;
        p.permission = permission;
        let forbidden: Vec<String> = p
            .tracks
            .iter()
            .filter(|t| {
                let source = TrackSource::try_from(t.info.source).unwrap_or(TrackSource::Unknown);
                !may_publish(&p.permission, source)
            })
            .map(|t| t.info.sid.clone())
            .collect();
        let hears: Vec<String> = match &p.subscriber {
            Some(s) if !p.permission.can_subscribe => s.subscriptions.tracks(),
            _ => Vec::new(),
        };
        for track in forbidden {
            self.unpublish(sid, &track, true).await;
        }
        if self.unwant(sid, &hears) {
            self.negotiate(sid).await;
        }
        self.revoke_data();
        if !could_subscribe {
            self.begin_to_subscribe(sid).await;
        }
        self.changed(sid);
        self.refresh_token(sid);
    }

    /// A participant was allowed to subscribe; one that joined without gets its connection for it now.
    async fn begin_to_subscribe(&mut self, sid: &Arc<str>) {
        let Some(p) = self.participants.get(sid) else {
            return;
        };
        if !p.permission.can_subscribe {
            return;
        }
        if p.subscriber.is_none() {
            let publisher = p.publisher.clone().filter(|_| p.single_connection);
            let peer =
                publisher.or_else(|| self.connection(sid, &p.client, SignalTarget::Subscriber));
            let Some(peer) = peer else { return };
            let mut subscriber = Subscriber::by(peer);
            // It receives data by the connection that it was told of at its join.
            subscriber.subscriptions = Subscriptions::without_channels();
            if let Some(p) = self.participants.get_mut(sid) {
                p.subscriber = Some(subscriber);
            }
        }
        self.subscribe_to_everything(sid);
        self.subscribe_to_all_data(sid);
        self.negotiate(sid).await;
    }

    fn simulate_resumes(&mut self, sid: &str, broken: BrokenResumes) {
        if let Some(p) = self.participants.get_mut(sid) {
            p.broken_resumes = Some(broken);
        }
    }

    /// Test hooks of the SDKs; only in development.
    async fn on_simulate(&mut self, sid: &Arc<str>, simulate: SimulateScenario) {
        use simulate_scenario::Scenario;
        if !self.state.config.dev {
            return;
        }
        match simulate.scenario {
            Some(Scenario::SpeakerUpdate(seconds)) => {
                let seconds = u64::try_from(seconds).unwrap_or_default();
                let until =
                    Instant::now() + Duration::from_secs(seconds.min(MAX_SIMULATED_SECONDS));
                self.simulated_speaker = Some((Arc::clone(sid), until));
                self.send_speakers(&[SpeakerInfo {
                    sid: sid.to_string(),
                    level: 0.9,
                    active: true,
                }]);
            }
            Some(Scenario::ServerLeave(_)) => {
                self.remove(sid, DisconnectReason::ServerShutdown).await
            }
            Some(Scenario::NodeFailure(_) | Scenario::Migration(_)) => {
                if let Some(p) = self.participants.get_mut(sid)
                    && let Some(outgoing) = p.outgoing.take()
                {
                    let _ = outgoing.try_send(super::ToSocket::Close);
                    p.signal_lost = Some(Instant::now());
                    p.close_peers();
                }
            }
            Some(Scenario::LeaveRequestFullReconnect(_)) => {
                if let Some(p) = self.participants.get_mut(sid) {
                    p.send_leave(
                        DisconnectReason::StateMismatch,
                        leave_request::Action::Reconnect,
                    );
                }
            }
            Some(Scenario::DisconnectSignalOnResume(_)) => {
                let until = Instant::now() + SIMULATED_RESUMES;
                self.simulate_resumes(sid, BrokenResumes::AfterMessages { until });
            }
            Some(Scenario::DisconnectSignalOnResumeNoMessages(_)) => {
                let left = SIMULATED_FAILURES;
                self.simulate_resumes(sid, BrokenResumes::BeforeMessages { left });
            }
            // UDP or TCP a client chooses by itself; what it cannot choose is to do without both.
            Some(Scenario::SwitchCandidateProtocol(protocol))
                if protocol == CandidateProtocol::Tls as i32 =>
            {
                let identity = self.participants.get(sid).map(|p| Arc::clone(&p.identity));
                self.simulated_relay = identity;
            }
            other => tracing::debug!(participant = %sid, ?other, "scenario not simulated"),
        }
    }
}

fn unix_millis() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
