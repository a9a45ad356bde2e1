//! The way back: a resume if the session may still live on the server, otherwise everything anew.

use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    DataChannelInfo, DataChannelReceiveState, DisconnectReason, ReconnectReason, ReconnectResponse,
    SessionDescription, SignalTarget, SyncState, TrackPublishedResponse, UpdateSubscription,
};
use rand::Rng;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant, sleep};

use antiphon_rtc::{MediaChange, Peer};

use super::link::{Link, resume};
use super::{Actor, Exit};
use crate::address::Resume;
use crate::outbox::{LOSSY, RELIABLE};
use crate::signal::Signal;
use crate::transport::Change;
use crate::{AutoSubscribe, RoomError, RoomEvent, limits};

/// Why and for whom it is over.
type Over = (DisconnectReason, Option<oneshot::Sender<()>>);

/// The first wait; doubled each time, drawn at random below (LiveKit's ladder).
const FIRST_DELAY: Duration = Duration::from_millis(300);
/// The longest wait.
const LONGEST_DELAY: Duration = Duration::from_secs(7);

impl Actor {
    /// Try until it works, the attempts are used up, or a handle wants to leave.
    pub(super) async fn reconnect(&mut self, mut link: Link, exit: Exit) -> Result<Link, Over> {
        let mut reason = match exit {
            Exit::Resume(reason) => Some(reason),
            Exit::Full | Exit::Over(_) | Exit::Asked(_) => None,
        };
        // One moment only: an error of the network usually is over at once.
        let mut attempt = 0;
        let mut asked = Duration::ZERO;
        loop {
            if attempt > 0 {
                let delay = delay(attempt - 1, rand::rng().random()).max(asked);
                let waiting = async {
                    sleep(delay).await;
                    Ok(())
                };
                let _: Result<(), RoomError> = self.meanwhile(waiting).await?;
            }
            attempt += 1;
            let failed = match reason {
                Some(why) => match self.try_resume(&mut link, why).await? {
                    Ok(()) => {
                        self.emit(RoomEvent::Reconnected { full: false });
                        return Ok(link);
                    }
                    Err(error) => {
                        // As LiveKit's SDK: after a failed resume the rest of this cycle is full.
                        reason = None;
                        error
                    }
                },
                None => match self.try_anew(&mut link).await? {
                    Ok(()) => {
                        self.emit(RoomEvent::Reconnected { full: true });
                        return Ok(link);
                    }
                    Err(error) => error,
                },
            };
            tracing::warn!(attempt, error = %failed, "could not come back to the room yet");
            asked = failed
                .retry_after()
                .unwrap_or_default()
                .min(limits::LONGEST_PATIENCE);
            let may_come_back = failed.retryable() || reason.is_none() && attempt == 1;
            if attempt >= self.options.reconnect_attempts || !may_come_back {
                let reason = match failed {
                    RoomError::JoinRefused { reason } => reason,
                    _ => DisconnectReason::ConnectionTimeout,
                };
                return Err((reason, None));
            }
        }
    }

    /// Do this; meanwhile obey commands as far as possible without a connection.
    async fn meanwhile<T>(
        &mut self,
        work: impl Future<Output = Result<T, RoomError>>,
    ) -> Result<Result<T, RoomError>, Over> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return Ok(result),
                command = self.commands.recv() => match command {
                    None => return Err((DisconnectReason::ClientInitiated, None)),
                    Some(command) => if let Some(reply) = self.command_offline(command) {
                        return Err((DisconnectReason::ClientInitiated, reply));
                    },
                },
            }
        }
    }

    async fn try_resume(
        &mut self,
        link: &mut Link,
        reason: ReconnectReason,
    ) -> Result<Result<(), RoomError>, Over> {
        let (server, token, options) = (
            self.server.clone(),
            self.token.clone(),
            self.options.clone(),
        );
        let topology = link.topology();
        let request = Resume {
            participant_sid: link.participant_sid.clone(),
            reason,
        };
        match self
            .meanwhile(resume(&server, &token, &options, topology, &request))
            .await?
        {
            Err(error) => Ok(Err(error)),
            Ok((signal, response, first)) => Ok(self.resumed(link, signal, &response, first).await),
        }
    }

    async fn resumed(
        &mut self,
        link: &mut Link,
        signal: Signal,
        response: &ReconnectResponse,
        first: Option<livekit_protocol::signal_response::Message>,
    ) -> Result<(), RoomError> {
        link.signal = signal;
        let lost = [&mut link.publisher_lost, &mut link.subscriber_lost];
        let ice_lost = lost.iter().any(|lost| lost.is_some());
        for lost in lost.into_iter().flatten() {
            *lost = Instant::now() + limits::SETTLED;
        }
        link.ice_restarted = ice_lost;
        link.signal.send(Request::SyncState(self.sync_state(link)));
        // What was asked for while there was nobody to ask.
        for (cid, track) in &self.local_tracks {
            if track.info.is_none() {
                super::tracks::add_track(link, cid, track);
            }
        }
        if !self.attributes.is_empty() || !self.metadata.is_empty() {
            let attributes = self.attributes.clone();
            self.describe(link, attributes);
        }
        let restart = Change {
            change: MediaChange::RestartIce,
            cid: None,
        };
        if link.publisher.forget_offer() {
            // The offer that was lost cannot be taken back: start anew.
            return Err(RoomError::Protocol(
                "the connection broke during a negotiation".into(),
            ));
        }
        self.negotiate(link, vec![restart]).await?;
        self.outbox.resumed(response.last_message_seq);
        self.flush(link);
        if let Some(message) = first
            && self.response(link, message).await.is_some()
        {
            return Err(RoomError::Protocol(
                "the server ended the session at its resume".into(),
            ));
        }
        Ok(())
    }

    /// What we believe, for the server to compare.
    fn sync_state(&self, link: &Link) -> SyncState {
        let description = |kind: &str, sdp: &str| SessionDescription {
            r#type: kind.into(),
            sdp: sdp.into(),
            ..Default::default()
        };
        let by_default = self.options.auto_subscribe == AutoSubscribe::All;
        let differing = self
            .wanted
            .iter()
            .filter(|(_, wanted)| **wanted != by_default)
            .map(|(sid, _)| sid.clone());
        let channel = |(id, label): (u32, &str)| DataChannelInfo {
            label: label.into(),
            id,
            target: SignalTarget::Publisher as i32,
        };
        SyncState {
            offer: link
                .subscriber_sdp
                .as_ref()
                .map(|(offer, _)| description("offer", offer)),
            answer: link
                .subscriber_sdp
                .as_ref()
                .map(|(_, answer)| description("answer", answer)),
            subscription: Some(UpdateSubscription {
                track_sids: differing.collect(),
                subscribe: !by_default,
                ..Default::default()
            }),
            publish_tracks: self
                .local_tracks
                .iter()
                .filter_map(|(cid, track)| {
                    Some(TrackPublishedResponse {
                        cid: cid.clone(),
                        track: Some(track.info.clone()?),
                    })
                })
                .collect(),
            data_channels: [(0, LOSSY), (1, RELIABLE)]
                .into_iter()
                .map(channel)
                .collect(),
            datachannel_receive_states: self
                .received
                .iter()
                .map(|(sid, last_seq)| DataChannelReceiveState {
                    publisher_sid: sid.clone(),
                    last_seq: *last_seq,
                })
                .collect(),
            ..Default::default()
        }
    }

    async fn try_anew(&mut self, link: &mut Link) -> Result<Result<(), RoomError>, Over> {
        let (engine, server, token) =
            (self.engine.clone(), self.server.clone(), self.token.clone());
        let options = self.options.clone();
        let (new, join) = match self
            .meanwhile(Link::open(&engine, &server, &token, &options))
            .await?
        {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        self.forget_subscriptions(link);
        let old = std::mem::replace(link, new);
        old.peers().iter().for_each(Peer::close);
        self.outbox.restart();
        self.received.clear();
        self.joined(link, &join);
        if let Err(error) = self.open_publisher(link).await {
            return Ok(Err(error));
        }
        self.republish(link);
        // Who stayed is not announced again, so their tracks have to be asked for here.
        let wanted: Vec<(String, bool)> = self
            .wanted
            .iter()
            .map(|(sid, wanted)| (sid.clone(), *wanted))
            .collect();
        for (sid, wanted) in wanted {
            self.want(Some(link), sid, wanted);
        }
        if !self.attributes.is_empty() || !self.metadata.is_empty() {
            let attributes = self.attributes.clone();
            self.describe(link, attributes);
        }
        Ok(Ok(()))
    }
}

/// How long to wait before the next attempt; `luck` is from 0 to 1.
fn delay(failures: u32, luck: f64) -> Duration {
    let ceiling = FIRST_DELAY
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_DELAY);
    ceiling.mul_f64(luck.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_below_seven_seconds() {
        let ceilings: Vec<u128> = (0..7)
            .map(|failures| delay(failures, 1.0).as_millis())
            .collect();
        assert_eq!(ceilings, [300, 600, 1200, 2400, 4800, 7000, 7000]);
        assert_eq!(delay(60, 0.0), Duration::ZERO);
    }
}
