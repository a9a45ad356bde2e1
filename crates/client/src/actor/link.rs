//! One connection: signal and its peers. With a single peer connection we alone offer, sections to receive in included; with
//! two, the server offers what it sends. Older servers know only the latter.

use antiphon_rtc::{Engine, Peer, PeerEvent};
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use livekit_protocol::{
    DisconnectReason, JoinResponse, LeaveRequest, ReconnectResponse, SignalTarget,
};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use url::Url;

use crate::address::{Resume, Topology, signal_url};
use crate::signal::{self, Signal};
use crate::transport::{Change, Routes, Transport};
use crate::{AutoSubscribe, RoomError, RoomOptions, limits};

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) signal: Signal,
    pub(super) publisher: Transport,
    /// By which we receive, if that is a connection of its own.
    pub(super) subscriber: Option<Transport>,
    pub(super) peer_events: mpsc::Receiver<(SignalTarget, PeerEvent)>,
    pub(super) routes: Routes,
    pub(super) participant_sid: String,
    pub(super) ping_interval: Duration,
    pub(super) ping_timeout: Duration,
    /// The last offer and answer about what we receive, for a resume.
    pub(super) subscriber_sdp: Option<(String, String)>,
    /// Our last offer.
    pub(super) publisher_sdp: Option<String>,
    /// Which of the peers have lost ICE, and since when.
    pub(super) publisher_lost: Option<Instant>,
    pub(super) subscriber_lost: Option<Instant>,
    /// Since when a peer has been of no use: it ended, or refused a negotiation. Everything is made anew unless the server says
    /// goodbye meanwhile. It ends peers on purpose, too, and its goodbye over the signal connection may be a moment slower:
    /// a room that was deleted, or in which a second device took this one's place, must not be joined again.
    pub(super) broken: Option<Instant>,
    /// A resume has restarted ICE already; if that does not help, everything is made anew.
    pub(super) ice_restarted: bool,
    /// Changes of the publisher that wait to be offered.
    pub(super) to_offer: Vec<Change>,
}

impl Link {
    /// Join, with a single peer connection if the server knows how.
    pub(super) async fn open(
        engine: &Engine,
        server: &Url,
        token: &str,
        options: &RoomOptions,
    ) -> Result<(Self, JoinResponse), RoomError> {
        if !options.single_connection {
            return Self::join(engine, server, token, options, Topology::Dual).await;
        }
        match Self::join(engine, server, token, options, Topology::Single).await {
            Err(RoomError::Refused { status: 404, .. }) => {
                tracing::debug!("the server knows no single peer connection; joining with two");
                Self::join(engine, server, token, options, Topology::Dual).await
            }
            joined => joined,
        }
    }

    /// Open the signal connection, wait for the join message, make the peers.
    async fn join(
        engine: &Engine,
        server: &Url,
        token: &str,
        options: &RoomOptions,
        topology: Topology,
    ) -> Result<(Self, JoinResponse), RoomError> {
        let all = options.auto_subscribe == AutoSubscribe::All;
        let url = signal_url(server, topology, all, None);
        let mut signal = signal::open(&url, token, options.connect_timeout).await?;
        let join = match first_message(&mut signal).await? {
            Response::Join(join) => join,
            Response::Leave(leave) => {
                return Err(RoomError::JoinRefused {
                    reason: leave.reason(),
                });
            }
            _ => {
                return Err(RoomError::Protocol(
                    "the first message is not `join`".into(),
                ));
            }
        };
        let Some(participant) = &join.participant else {
            return Err(RoomError::Protocol("`join` without participant".into()));
        };
        let shard = options.shard.unwrap_or_else(|| engine.least_loaded_shard());
        let (events, peer_events) = mpsc::channel(limits::PEER_EVENTS);
        let routes = Routes::default();
        let transport = |target, receives| {
            Transport::new(
                engine,
                shard,
                (target, receives),
                options.red,
                routes.clone(),
                events.clone(),
            )
        };
        let (ping_interval, ping_timeout) = ping_times(&join);
        let link = Self {
            publisher: transport(SignalTarget::Publisher, topology == Topology::Single)?,
            subscriber: match topology {
                Topology::Single => None,
                Topology::Dual => Some(transport(SignalTarget::Subscriber, true)?),
            },
            participant_sid: participant.sid.clone(),
            signal,
            peer_events,
            routes,
            ping_interval,
            ping_timeout,
            subscriber_sdp: None,
            publisher_sdp: None,
            publisher_lost: None,
            subscriber_lost: None,
            broken: None,
            ice_restarted: false,
            to_offer: Vec::new(),
        };
        Ok((link, join))
    }

    /// Tell the server that we go, and close everything.
    pub(super) async fn leave(self) {
        self.signal.send(Request::Leave(LeaveRequest {
            reason: DisconnectReason::ClientInitiated as i32,
            action: Action::Disconnect as i32,
            ..Default::default()
        }));
        let peers = self.peers();
        self.signal.close().await;
        peers.iter().for_each(Peer::close);
    }

    /// The media connections.
    pub(super) fn peers(&self) -> Vec<Peer> {
        let subscriber = self.subscriber.as_ref().map(|s| s.peer.clone());
        subscriber
            .into_iter()
            .chain([self.publisher.peer.clone()])
            .collect()
    }

    pub(super) fn topology(&self) -> Topology {
        if self.subscriber.is_some() {
            Topology::Dual
        } else {
            Topology::Single
        }
    }
}

/// A new signal connection for the same session. `Ok(Err(…))`: the server wants everything anew or refuses.
pub(super) async fn resume(
    server: &Url,
    token: &str,
    options: &RoomOptions,
    topology: Topology,
    resume: &Resume,
) -> Result<(Signal, ReconnectResponse, Option<Response>), RoomError> {
    let all = options.auto_subscribe == AutoSubscribe::All;
    let url = signal_url(server, topology, all, Some(resume));
    let mut signal = signal::open(&url, token, options.connect_timeout).await?;
    match first_message(&mut signal).await? {
        Response::Reconnect(response) => Ok((signal, response, None)),
        Response::Leave(leave) => Err(RoomError::JoinRefused {
            reason: leave.reason(),
        }),
        Response::Join(_) => Err(RoomError::Protocol(
            "`join` as the answer to a resume".into(),
        )),
        other => Ok((signal, ReconnectResponse::default(), Some(other))),
    }
}

async fn first_message(signal: &mut Signal) -> Result<Response, RoomError> {
    let after = limits::FIRST_MESSAGE_TIMEOUT;
    let timeout = RoomError::Timeout {
        what: "first message of the server",
        after,
    };
    let message = tokio::time::timeout(after, signal.recv())
        .await
        .map_err(|_| timeout)?;
    message
        .and_then(|response| response.message)
        .ok_or_else(|| {
            RoomError::Protocol("the server closed the connection before the first message".into())
        })
}

/// How often to ping and when to give up; LiveKit's 5 s and 15 s when the server does not say.
fn ping_times(join: &JoinResponse) -> (Duration, Duration) {
    let seconds = |given: i32, default: u64| {
        Duration::from_secs(
            u64::try_from(given)
                .ok()
                .filter(|s| *s > 0)
                .unwrap_or(default),
        )
    };
    (
        seconds(join.ping_interval, 5),
        seconds(join.ping_timeout, 15),
    )
}
