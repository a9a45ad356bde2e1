//! The loop while connected.

use std::time::{SystemTime, UNIX_EPOCH};

use antiphon_rtc::{MediaChange, PeerEvent};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{MuteTrackRequest, Ping, ReconnectReason, SessionDescription, SignalTarget};
use tokio::time::{Instant, sleep_until};

use super::link::Link;
use super::{Actor, Command, Exit};
use crate::address::Topology;
use crate::outbox::{LOSSY, RELIABLE};
use crate::transport::Change;
use crate::{RoomError, limits};

impl Actor {
    /// Serve this connection until it ends.
    pub(super) async fn serve(&mut self, link: &mut Link) -> Exit {
        let mut heard = Instant::now();
        let mut ping = tokio::time::interval(link.ping_interval);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if self.overflow {
                tracing::error!(
                    limit = limits::EVENTS,
                    "the events of the room are not read; leaving"
                );
                return Exit::Asked(None);
            }
            let silence = heard + link.ping_timeout;
            let deadline = Deadline::of(link);
            let exit = tokio::select! {
                response = link.signal.recv() => match response {
                    None => Some(Exit::Resume(ReconnectReason::RrSignalDisconnected)),
                    Some(response) => {
                        heard = Instant::now();
                        match response.message {
                            Some(message) => self.response(link, message).await,
                            None => None,
                        }
                    }
                },
                event = link.peer_events.recv(), if link.broken.is_none() || !link.peer_events.is_closed() => match event {
                    Some((target, event)) => self.peer_event(link, target, event),
                    None => {
                        link.broken.get_or_insert_with(Instant::now);
                        None
                    }
                },
                command = self.commands.recv() => match command {
                    Some(command) => self.command(link, command).await,
                    None => Some(Exit::Asked(None)),
                },
                _ = ping.tick() => {
                    let timestamp = unix_ms();
                    link.signal.send(Request::PingReq(Ping { timestamp, rtt: 0 }));
                    None
                }
                () = sleep_until(silence) => Some(Exit::Resume(ReconnectReason::RrSignalDisconnected)),
                exit = deadline.passed() => Some(exit),
            };
            if let Some(exit) = exit {
                return exit;
            }
        }
    }

    async fn command(&mut self, link: &mut Link, command: Command) -> Option<Exit> {
        match command {
            Command::Close { reply } => return Some(Exit::Asked(Some(reply))),
            Command::Publish {
                name,
                source,
                reply,
            } => self.publish(Some(link), name, source, reply),
            Command::Mute { track_sid, muted } => {
                self.local_muted(&track_sid, muted);
                link.signal.send(Request::Mute(MuteTrackRequest {
                    sid: track_sid,
                    muted,
                }));
            }
            Command::Subscribe {
                track_sid,
                subscribed,
            } => self.want(Some(link), track_sid, subscribed),
            Command::Describe {
                metadata,
                attributes,
            } => {
                self.remember_description(metadata, &attributes);
                self.describe(link, attributes);
            }
            Command::Send(packet) => self.send(Some(link), packet),
            Command::Call { request, call } => self.call(Some(link), request, call),
            Command::ForgetCall { id } => self.calls.forget(&id),
            Command::Register {
                method,
                handler,
                reply,
            } => self.register(method, handler, reply),
        }
        None
    }

    /// The same while there is no connection: what can wait waits. The answer: leave.
    pub(super) fn command_offline(
        &mut self,
        command: Command,
    ) -> Option<Option<tokio::sync::oneshot::Sender<()>>> {
        match command {
            Command::Close { reply } => return Some(Some(reply)),
            Command::Publish {
                name,
                source,
                reply,
            } => self.publish(None, name, source, reply),
            Command::Mute { track_sid, muted } => self.local_muted(&track_sid, muted),
            Command::Subscribe {
                track_sid,
                subscribed,
            } => self.want(None, track_sid, subscribed),
            Command::Describe {
                metadata,
                attributes,
            } => self.remember_description(metadata, &attributes),
            Command::Send(packet) => self.send(None, packet),
            Command::Call { request, call } => self.call(None, request, call),
            Command::ForgetCall { id } => self.calls.forget(&id),
            Command::Register {
                method,
                handler,
                reply,
            } => self.register(method, handler, reply),
        }
        None
    }

    fn remember_description(
        &mut self,
        metadata: Option<String>,
        attributes: &std::collections::HashMap<String, String>,
    ) {
        if let Some(metadata) = metadata {
            self.metadata = metadata;
        }
        self.attributes.extend(
            attributes
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }

    fn peer_event(
        &mut self,
        link: &mut Link,
        target: SignalTarget,
        event: PeerEvent,
    ) -> Option<Exit> {
        let lost = match target {
            SignalTarget::Publisher => &mut link.publisher_lost,
            SignalTarget::Subscriber => &mut link.subscriber_lost,
        };
        match event {
            PeerEvent::Connected => {
                tracing::debug!(?target, "the peer connection is up");
                *lost = None;
                link.ice_restarted &=
                    link.publisher_lost.is_some() || link.subscriber_lost.is_some();
            }
            PeerEvent::Disconnected => *lost = Some(Instant::now()),
            PeerEvent::Closed { reason } => {
                tracing::warn!(?target, reason, "a peer connection ended");
                link.broken.get_or_insert_with(Instant::now);
            }
            PeerEvent::ChannelOpen { label } => {
                if target == SignalTarget::Publisher {
                    self.outbox.channel_open(&label);
                    self.flush(link);
                }
            }
            PeerEvent::Data { label, data } => {
                if *label == *RELIABLE || *label == *LOSSY {
                    self.data(link, &label, data);
                }
            }
            PeerEvent::MediaReceiving { .. }
            | PeerEvent::MediaFlowing { .. }
            | PeerEvent::Rtp(_)
            | PeerEvent::AudioLevels(_)
            | PeerEvent::Statistics(_) => {}
        }
        None
    }

    /// Offer the data channels, at the beginning of every new connection.
    pub(super) async fn open_publisher(&mut self, link: &mut Link) -> Result<(), RoomError> {
        let channel = |label: &str| Change {
            change: MediaChange::AddChannel {
                label: label.into(),
            },
            cid: None,
        };
        if link.topology() == Topology::Single {
            link.publisher.ask_for_offer(limits::FIRST_SECTIONS, 0);
        }
        self.negotiate(link, vec![channel(LOSSY), channel(RELIABLE)])
            .await
    }

    /// Offer these changes of the publisher now, or when the answer that is waited for has come.
    pub(super) async fn negotiate(
        &mut self,
        link: &mut Link,
        changes: Vec<Change>,
    ) -> Result<(), RoomError> {
        let Some(offer) = link.publisher.offer(changes).await? else {
            return Ok(());
        };
        for (cid, mid) in offer.sections {
            if let Some(track) = self.local_tracks.get_mut(&cid) {
                track.mid = Some(mid);
            }
        }
        link.publisher_sdp = Some(offer.sdp.clone());
        let description = SessionDescription {
            r#type: "offer".into(),
            sdp: offer.sdp,
            id: offer.id,
            ..Default::default()
        };
        link.signal.send(Request::Offer(description));
        Ok(())
    }
}

/// What must not take longer: lost ICE, an answer to our offer.
struct Deadline {
    at: Option<Instant>,
    exit: Exit,
}

impl Deadline {
    fn of(link: &Link) -> Self {
        let lost = [link.publisher_lost, link.subscriber_lost, link.broken];
        let ice = lost
            .into_iter()
            .flatten()
            .min()
            .map(|lost| lost + limits::ICE_GRACE);
        let at = ice
            .into_iter()
            .chain(link.publisher.answer_deadline())
            .min();
        let exit = if ice != at || link.ice_restarted || link.broken.is_some() {
            Exit::Full
        } else if link.publisher_lost.is_some() {
            Exit::Resume(ReconnectReason::RrPublisherFailed)
        } else {
            Exit::Resume(ReconnectReason::RrSubscriberFailed)
        };
        Self { at, exit }
    }

    async fn passed(self) -> Exit {
        match self.at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
        tracing::warn!(exit = ?self.exit, "the media connection does not work");
        self.exit
    }
}

pub(super) fn unix_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}
