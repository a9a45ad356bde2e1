//! One connection: signal and two peers.

use antiphon_rtc::{Engine, PeerEvent};
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use livekit_protocol::{DisconnectReason, JoinResponse, LeaveRequest, ReconnectResponse};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use url::Url;

use crate::address::{Resume, signal_url};
use crate::signal::{self, Signal};
use crate::transport::{Change, Routes, Target, Transport};
use crate::{AutoSubscribe, RoomError, RoomOptions, limits};

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) signal: Signal,
    pub(super) publisher: Transport,
    pub(super) subscriber: Transport,
    pub(super) peer_events: mpsc::Receiver<(Target, PeerEvent)>,
    pub(super) routes: Routes,
    pub(super) participant_sid: String,
    pub(super) ping_interval: Duration,
    pub(super) ping_timeout: Duration,
    /// The last subscriber offer and our answer, for a resume.
    pub(super) subscriber_sdp: Option<(String, String)>,
    pub(super) publisher_sdp: Option<String>,
    /// Which of the peers have lost ICE, and since when.
    pub(super) publisher_lost: Option<Instant>,
    pub(super) subscriber_lost: Option<Instant>,
    /// A resume has restarted ICE already; if that does not help, everything is made anew.
    pub(super) ice_restarted: bool,
    /// Changes of the publisher that wait to be offered.
    pub(super) to_offer: Vec<Change>,
}

impl Link {
    /// Join: open the signal connection, wait for the join message, make the peers.
    pub(super) async fn open(
        engine: &Engine,
        server: &Url,
        token: &str,
        options: &RoomOptions,
    ) -> Result<(Self, JoinResponse), RoomError> {
        let url = signal_url(server, options.auto_subscribe == AutoSubscribe::All, None);
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
        let transport = |target| {
            Transport::new(
                engine,
                shard,
                target,
                options.red,
                routes.clone(),
                events.clone(),
            )
        };
        let (ping_interval, ping_timeout) = ping_times(&join);
        let link = Self {
            publisher: transport(Target::Publisher)?,
            subscriber: transport(Target::Subscriber)?,
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
        self.signal.close().await;
        self.publisher.peer.close();
        self.subscriber.peer.close();
    }
}

/// A new signal connection for the same session. `Ok(Err(…))`: the server wants everything anew or refuses.
pub(super) async fn resume(
    server: &Url,
    token: &str,
    options: &RoomOptions,
    resume: &Resume,
) -> Result<(Signal, ReconnectResponse, Option<Response>), RoomError> {
    let url = signal_url(
        server,
        options.auto_subscribe == AutoSubscribe::All,
        Some(resume),
    );
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
