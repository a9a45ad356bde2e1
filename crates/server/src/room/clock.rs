//! What a room does as time passes: time-outs, active speakers, fresh tokens.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use antiphon_protocol::proto::participant_info::State as Stage;
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{DisconnectReason, RoomUpdate, SpeakerInfo, SpeakersChanged};
use antiphon_protocol::{AccessToken, ParticipantKind};

use super::actor::Room;
use crate::agents::Notice;
use crate::limits::{
    DEPARTED_TIME, JOIN_TIMEOUT, MEDIA_GRACE, NEGOTIATION_TIMEOUT, REFRESH_INTERVAL, REFRESH_TTL,
    RESUME_TIMEOUT,
};

impl Room {
    pub(super) async fn tick(&mut self) {
        let now = Instant::now();
        self.report_speakers();
        self.report_quality(now);
        self.report_wanted_sizes(now);
        if let Some((sid, _)) = self.simulated_speaker.take_if(|(_, until)| *until <= now) {
            self.send_speakers(&[SpeakerInfo {
                sid: sid.to_string(),
                level: 0.0,
                active: false,
            }]);
        }
        let mut gone = Vec::new();
        let mut refresh = Vec::new();
        for p in self.participants.values() {
            let unanswered = p.subscriber.as_ref().and_then(|s| s.outstanding);
            if p.state != Stage::Active && now.duration_since(p.joined) > JOIN_TIMEOUT {
                gone.push((Arc::clone(&p.sid), DisconnectReason::JoinFailure));
            } else if p
                .media_lost
                .is_some_and(|lost| now.duration_since(lost) > MEDIA_GRACE)
            {
                gone.push((Arc::clone(&p.sid), DisconnectReason::ConnectionTimeout));
            } else if p
                .signal_lost
                .is_some_and(|lost| now.duration_since(lost) > RESUME_TIMEOUT)
            {
                gone.push((Arc::clone(&p.sid), DisconnectReason::SignalClose));
            } else if unanswered.is_some_and(|sent| now.duration_since(sent) > NEGOTIATION_TIMEOUT)
            {
                gone.push((Arc::clone(&p.sid), DisconnectReason::StateMismatch));
            } else if p.next_refresh <= now {
                refresh.push(Arc::clone(&p.sid));
            }
        }
        for (sid, reason) in gone {
            self.remove(&sid, reason).await;
        }
        self.watch_agents().await;
        for sid in refresh {
            self.refresh_token(&sid);
        }
        if std::mem::take(&mut self.counts_changed) {
            let info = self.info();
            let counts = (info.num_participants, info.num_publishers);
            if std::mem::replace(&mut self.told_counts, counts) != counts {
                self.broadcast(Message::RoomUpdate(RoomUpdate { room: Some(info) }));
            }
        }
        self.replay.forget_old(now);
        while self
            .departed
            .front()
            .is_some_and(|(left, _)| now.duration_since(*left) > DEPARTED_TIME)
        {
            self.departed.pop_front();
        }
        let timeout = if self.ever_joined {
            self.options.departure_timeout
        } else {
            self.options.empty_timeout
        };
        if self
            .empty_since
            .is_some_and(|since| now.duration_since(since) >= timeout)
        {
            self.close(DisconnectReason::RoomClosed);
        }
    }

    /// Tell the dispatcher which agents have fallen silent, and which are back.
    async fn watch_agents(&mut self) {
        let mut changed = Vec::new();
        for p in self.participants.values_mut() {
            let unreachable = p.kind == ParticipantKind::Agent && !p.is_reachable();
            if std::mem::replace(&mut p.told_unreachable, unreachable) != unreachable {
                changed.push((Arc::clone(&p.identity), !unreachable));
            }
        }
        for (identity, reachable) in changed {
            let room = Arc::clone(&self.handle.sid);
            let notice = Notice::Reachable {
                room,
                identity,
                reachable,
            };
            self.state.agents.notify(notice).await;
        }
    }

    /// Send everybody what changed about the speakers that it hears, and about itself.
    fn report_speakers(&mut self) {
        let mut changes = Vec::new();
        for p in self.participants.values_mut() {
            let level = p.speaker.level();
            if (level - p.speaker.reported).abs() > f32::EPSILON {
                p.speaker.reported = level;
                changes.push(SpeakerInfo {
                    sid: p.sid.to_string(),
                    level,
                    active: level > 0.0,
                });
            }
        }
        self.send_speakers(&changes);
    }

    pub(super) fn send_speakers(&mut self, changes: &[SpeakerInfo]) {
        if changes.is_empty() {
            return;
        }
        for p in self.participants.values_mut() {
            let hears = |sid: &str| {
                *p.sid == *sid
                    || p.subscriber
                        .as_ref()
                        .is_some_and(|s| s.subscriptions.hears(sid))
            };
            let mut speakers: Vec<SpeakerInfo> =
                changes.iter().filter(|c| hears(&c.sid)).cloned().collect();
            if !speakers.is_empty() {
                speakers.sort_by(|a, b| b.level.total_cmp(&a.level));
                p.send(Message::SpeakersChanged(SpeakersChanged { speakers }));
            }
        }
    }

    /// A token with what the participant is now, for it to come back with.
    pub(super) fn refresh_token(&mut self, sid: &str) {
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        p.next_refresh = Instant::now() + REFRESH_INTERVAL;
        let mut claims = p.claims.clone();
        claims.sub = p.identity.to_string();
        claims.name.clone_from(&p.name);
        claims.metadata.clone_from(&p.metadata);
        claims.attributes.clone_from(&p.attributes);
        let mut grants = claims.video_grants();
        grants.set_permission(&p.permission);
        claims.video = Some(grants);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let remaining = Duration::from_secs(claims.exp.unwrap_or_default().saturating_sub(now));
        let key = claims.iss.clone();
        let Some(secret) = self.state.keys.secret(&key) else {
            return;
        };
        if let Ok(token) = AccessToken::from_claims(key, secret, claims)
            .ttl(remaining.max(REFRESH_TTL))
            .to_jwt()
        {
            p.send(Message::RefreshToken(token));
        }
    }
}
