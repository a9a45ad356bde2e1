//! What one client may use up: sizes, counts and rates, each with its reason.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::Claims;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::ServerError;
use crate::signal::SignalRates;

/// Largest signal message, as LiveKit's; an SDP of hundreds of sections fits.
pub const MAX_SIGNAL_BYTES: usize = 2 * 1024 * 1024;
/// Largest API body; LiveKit's 10 MiB would hold no more than rooms can use of it.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// LiveKit's limit of names of rooms, identities and participants, bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// LiveKit's limit of a participant's or room's metadata, bytes.
pub const MAX_METADATA_BYTES: usize = 512 * 1024;
/// LiveKit's limit of all attributes of a participant together, bytes.
pub const MAX_ATTRIBUTES_BYTES: usize = 64 * 1024;
/// LiveKit's limit of tracks announced but not yet negotiated.
pub const MAX_PENDING_TRACKS: usize = 20;
/// Tracks of one participant; nobody publishes this many.
pub const MAX_TRACKS: usize = 50;
/// Data tracks of one participant; nobody publishes this many.
pub const MAX_DATA_TRACKS: usize = 50;
/// Data tracks that one participant is subscribed to. More: they are not subscribed.
pub const MAX_DATA_SUBSCRIPTIONS: usize = 500;
/// Media sections in an offer: more would cost the media thread more than a call is worth.
pub const MAX_SDP_SECTIONS: usize = 200;
/// Candidates that one client may name at once for one connection: libwebrtc on a host with many interfaces sends up to 600.
/// More are left out. The media engine takes the first 64 of them.
pub const CANDIDATE_BURST: u32 = 1000;
/// And per second.
pub const CANDIDATE_RATE: u32 = 20;
/// Bytes of session descriptions that one client may send at once: half a dozen of the largest that clients make for ordinary
/// calls, or one of the largest at all. A client that sends more is read more slowly.
pub const SDP_BURST_BYTES: u32 = 512 * 1024;
/// And per second: one or two hundredths of a core's time.
pub const SDP_BYTES_PER_SECOND: u32 = 64 * 1024;
/// Tracks that one participant is subscribed to, audio first; the media engine has 512 sections. A room may have more tracks:
/// who would get more of them is told which are left out.
pub const MAX_SUBSCRIPTIONS: usize = 500;
/// How many of them may be video: a section once used for video carries no audio later.
pub const MAX_VIDEO_SUBSCRIPTIONS: usize = 200;
/// Messages waiting for one client's socket; a client that reads nothing for this long is disconnected.
pub const OUTGOING_QUEUE: usize = 512;
/// Requests waiting for one room; senders wait.
pub const ROOM_QUEUE: usize = 1024;
/// Events waiting from one peer connection, about a second of data packets.
pub const PEER_QUEUE: usize = 512;
/// Signal messages of one client per second, and at once: an SDK sends a few dozen at the start of a call. A client that
/// sends more is read more slowly.
pub const SIGNAL_RATE: u32 = 100;
/// See [`SIGNAL_RATE`].
pub const SIGNAL_BURST: u32 = 400;
/// How many bytes of reliable packets are kept for a participant that has joined and is not connected yet. That takes seconds
/// on a busy machine, and others already see the participant and call its methods. More: the newest are left out.
pub const DATA_JOIN_BYTES: usize = 256 * 1024;
/// How long reliable packets are kept for participants whose connection is away.
pub const DATA_REPLAY_TIME: Duration = Duration::from_secs(2);
/// How many bytes of them, in a room.
pub const DATA_REPLAY_BYTES: usize = 100 * 1024;
/// A participant must be connected after this long.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(60);
/// An offer of ours must be answered after this long.
pub const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(15);
/// So long an offer that came with the join of a Go client waits: longer than that client takes to note that it has offered,
/// and not longer than livekit-server takes when it is busy.
pub const GO_OFFER_DELAY: Duration = Duration::from_millis(100);
/// A participant whose media connection ended may still say that it leaves for this long; then it is told to join anew.
pub const MEDIA_GRACE: Duration = Duration::from_secs(1);
/// A participant without signalling is kept for this long, for it to come back.
pub const RESUME_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a participant that left is remembered for those who come back: a lost connection is noticed after
/// [`PING_TIMEOUT`] at the latest, and may be resumed for [`RESUME_TIMEOUT`].
pub const DEPARTED_TIME: Duration = Duration::from_secs(30);
/// Participants that left, remembered by a room. More: the oldest is forgotten.
pub const MAX_DEPARTED: usize = 1_024;
/// Clients are told to ping this often.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);
/// A client that sent nothing for this long is gone.
pub const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// WebSocket pings go out this often, for proxies that close quiet connections.
pub const SOCKET_PING_INTERVAL: Duration = Duration::from_secs(10);
/// An agent is asked this often whether it is there: its caller hears nothing while it is not.
pub const AGENT_PING_INTERVAL: Duration = Duration::from_secs(2);
/// An agent of which nothing is heard for this long, neither by signalling nor by media, does not answer its caller. Media
/// connections check each other about every three seconds.
pub const AGENT_SILENCE: Duration = Duration::from_secs(4);
/// One write to a client's socket may take this long.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The other side may take this long to finish the closing handshake; then the socket is dropped.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Tokens are refreshed this often.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// A refreshed token is valid for at least this long.
pub const REFRESH_TTL: Duration = Duration::from_secs(600);
/// The request line and headers must be there after this long.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// The whole body must be there after this long, once its sender has shown a token.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest request line and headers: a token with as much metadata and attributes as LiveKit allows.
pub const MAX_HEAD_BYTES: usize = antiphon_protocol::token::MAX_TOKEN_BYTES + 64 * 1024;
/// Larger ones need one of few places.
pub const SMALL_HEAD_BYTES: usize = 16 * 1024;
/// This many of them are read at once: 70 MiB at most. One more takes the place of the one that has been coming for longest:
/// whoever sends at once is served, whoever dawdles is not.
pub const MAX_LARGE_HEADS: usize = 64;
/// And from one address that is no trusted proxy's.
pub const MAX_LARGE_HEADS_PER_NETWORK: usize = 8;
/// The longest path and query that the HTTP library reads.
pub const MAX_URI_BYTES: usize = 65_534;
/// Largest body of a request to what the binary adds (the playground asks for a token).
pub const MAX_PAGE_BODY_BYTES: usize = 16 * 1024;
/// What a WebSocket reads at once; its library sets this many bytes aside for each, and grows for a larger message.
pub const SOCKET_READ_BYTES: usize = 4 * 1024;
/// All data blobs of one participant, with their keys; LiveKit's. Further ones are refused.
pub(crate) const MAX_DATA_BLOBS_BYTES: usize = 64_000;
/// The key of a data blob; LiveKit's.
pub(crate) const MAX_DATA_BLOB_KEY_BYTES: usize = 256;
/// Namespaces of workers that answer one dispatch, each with an agent of its own. Further ones wait until one is free.
pub(crate) const MAX_NAMESPACES: usize = 8;
/// Agents that one token, or the request that makes a room, may ask for. More: refused.
pub const MAX_AGENTS_ASKED: usize = 10;
/// Dispatches of one room.
pub const MAX_DISPATCHES: usize = 100;
/// Webhooks that wait for one address: a restart of its program must not cost memory without end. More: the newest are dropped.
pub const MAX_WEBHOOKS: usize = 10_000;
/// Of these, those of one room; LiveKit's.
pub const MAX_WEBHOOKS_OF_ROOM: usize = 200;
/// Webhooks on their way to one address at once, each of another room.
pub const MAX_WEBHOOK_POSTS: usize = 32;
/// Attempts for one webhook; LiveKit's.
pub const WEBHOOK_ATTEMPTS: u32 = 5;
/// One attempt takes at most this long.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// A webhook that is older is dropped: nobody acts upon it any more. LiveKit's.
pub const WEBHOOK_MAX_AGE: Duration = Duration::from_secs(30);
/// Addresses for webhooks.
pub const MAX_WEBHOOK_URLS: usize = 16;
/// Allocations at the relay at once; each holds a port. More: refused.
pub const MAX_TURN_ALLOCATIONS: usize = 4_000;
/// Of these, those of one participant: two connections, for each address of the client's and each of our ports one.
pub const MAX_TURN_ALLOCATIONS_PER_PARTICIPANT: usize = 32;
/// Addresses that one allocation may reach; we have a few.
pub const MAX_TURN_PERMISSIONS: usize = 16;
/// Channels of one allocation.
pub const MAX_TURN_CHANNELS: usize = 16;
/// Longest message to the relay: a datagram of WebRTC with the attributes around it. Longer: the connection is closed.
pub const MAX_TURN_MESSAGE_BYTES: usize = 2_300;
/// Messages waiting for one client of the relay over UDP. More: dropped, as a router would.
pub const TURN_QUEUE: usize = 256;
/// A connection to the relay has an allocation within this long. Longer: closed.
pub const TURN_ALLOCATE_TIMEOUT: Duration = Duration::from_secs(20);
/// Agent workers of one server.
pub const MAX_WORKERS: usize = 1000;
/// Connections of agent workers with one API key, so that no key takes every place.
pub const MAX_WORKERS_PER_KEY: usize = 500;
/// Jobs of one worker at once, whatever it says about itself.
pub const MAX_WORKER_JOBS: usize = 10_000;

/// Limits that depend on the machine and on who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Joins (and validations) of one participant per second, wherever it is; default 10. Without a valid token: of one
    /// address. The one never uses up what the other has.
    pub joins_per_second: u32,
    /// The same at once; default 100, for an office behind one address whose browsers ask the playground for tokens.
    pub joins_burst: u32,
    /// Requests of one address for the page, and API calls without a valid token, per second; default 50.
    pub api_per_second: u32,
    /// The same at once; default 200.
    pub api_burst: u32,
    /// Joins and API calls of one API key per second, and as many joins of its agents and workers; default 500. One
    /// participant has its own share of them ([`joins_per_second`](Self::joins_per_second)).
    pub key_per_second: u32,
    /// Joins and API calls of one API key at once; default 2000.
    pub key_burst: u32,
    /// Connections at once; default 20 000.
    pub max_connections: usize,
    /// Connections of one address at once; default 1000.
    pub max_connections_per_address: usize,
    /// Rooms at once; default 10 000.
    pub max_rooms: usize,
    /// Participants of one room at once, agents included; default 1000.
    pub max_room_participants: usize,
    /// Peer connections at once; default 20 000 (64 kB each).
    pub max_peers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            joins_per_second: 10,
            joins_burst: 100,
            api_per_second: 50,
            api_burst: 200,
            key_per_second: 500,
            key_burst: 2000,
            max_connections: 20_000,
            max_connections_per_address: 1000,
            max_rooms: 10_000,
            max_room_participants: 1000,
            max_peers: 20_000,
        }
    }
}

impl Limits {
    /// Nothing may be zero: it would lock everybody out.
    pub(crate) fn validate(&self) -> Result<(), ServerError> {
        let rates = [
            ("limits.joins_per_second", self.joins_per_second),
            ("limits.joins_burst", self.joins_burst),
            ("limits.api_per_second", self.api_per_second),
            ("limits.api_burst", self.api_burst),
            ("limits.key_per_second", self.key_per_second),
            ("limits.key_burst", self.key_burst),
        ];
        let counts = [
            ("limits.max_connections", self.max_connections),
            (
                "limits.max_connections_per_address",
                self.max_connections_per_address,
            ),
            ("limits.max_rooms", self.max_rooms),
            ("limits.max_room_participants", self.max_room_participants),
            ("limits.max_peers", self.max_peers),
        ];
        let zero = rates.iter().filter(|(_, n)| *n == 0).map(|(name, _)| *name);
        let zero = zero
            .chain(
                counts
                    .iter()
                    .filter(|(_, n)| *n == 0)
                    .map(|(name, _)| *name),
            )
            .next();
        match zero {
            Some(setting) => Err(ServerError::Config {
                setting,
                problem: "must be at least 1".to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// Rates: by address for strangers, by participant and API key for who has shown a valid token. What strangers do uses up
/// nobody else's. The narrowest is asked first, and what it refuses costs the wider ones nothing: nobody spends alone what
/// many share.
#[derive(Debug)]
pub(crate) struct Rates {
    joins: DefaultKeyedRateLimiter<IpAddr>,
    participants: DefaultKeyedRateLimiter<u64>,
    names: RandomState,
    api: DefaultKeyedRateLimiter<IpAddr>,
    keys: DefaultKeyedRateLimiter<Arc<str>>,
    /// Workers and agents, by API key: the callers and API calls of that key do not use up what these have.
    agents: DefaultKeyedRateLimiter<Arc<str>>,
    clock: DefaultClock,
    /// What participants say on their signal connections.
    pub(crate) signals: SignalRates,
}

/// What a verified token is used for. Each has a budget of its own in every API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Callers who join, and calls of the API.
    Call,
    /// Workers who register, and their agents who join.
    Agent,
}

/// Too many: come back after this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) retry_after: Duration,
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let one = NonZeroU32::MIN;
    Quota::per_second(NonZeroU32::new(per_second).unwrap_or(one))
        .allow_burst(NonZeroU32::new(burst).unwrap_or(one))
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            joins: RateLimiter::keyed(quota(limits.joins_per_second, limits.joins_burst)),
            participants: RateLimiter::keyed(quota(limits.joins_per_second, limits.joins_burst)),
            names: RandomState::new(),
            api: RateLimiter::keyed(quota(limits.api_per_second, limits.api_burst)),
            keys: RateLimiter::keyed(quota(limits.key_per_second, limits.key_burst)),
            agents: RateLimiter::keyed(quota(limits.key_per_second, limits.key_burst)),
            clock: DefaultClock::default(),
            signals: SignalRates::new(&DefaultClock::default()),
        }
    }

    /// Somebody without a valid token tried to join, or asked for one.
    pub(crate) fn stranger_joins(&self, address: IpAddr) -> Result<(), TooMany> {
        self.joins
            .check_key(&network(address))
            .map_err(|not_until| self.too_many(&not_until))
    }

    /// Somebody with this verified token asks for something. (Only keys that were verified: an unknown one must not fill the
    /// table.)
    pub(crate) fn with_token(&self, claims: &Claims, used: Use) -> Result<(), TooMany> {
        // A backend's token names nobody: whoever has it could make any other.
        if !claims.participant_identity().is_empty() {
            self.participants
                .check_key(&self.participant(claims))
                .map_err(|not_until| self.too_many(&not_until))?;
        }
        let key = Arc::from(claims.iss.as_str());
        let of_key = match used {
            Use::Call => &self.keys,
            Use::Agent => &self.agents,
        };
        of_key
            .check_key(&key)
            .map_err(|not_until| self.too_many(&not_until))
    }

    /// The participant of a token as a number: names may be long. Two that share a number share a rate.
    pub(crate) fn participant(&self, claims: &Claims) -> u64 {
        let (room, identity) = (claims.video_grants().room, claims.participant_identity());
        self.names.hash_one((&claims.iss, room, identity))
    }

    /// Somebody without a valid token called the API, or asked for the page.
    pub(crate) fn stranger_asks(&self, address: IpAddr) -> Result<(), TooMany> {
        self.api
            .check_key(&network(address))
            .map_err(|not_until| self.too_many(&not_until))
    }

    /// Forget addresses that have all of their burst back. Called every minute.
    pub(crate) fn forget(&self) {
        self.joins.retain_recent();
        self.joins.shrink_to_fit();
        self.participants.retain_recent();
        self.participants.shrink_to_fit();
        self.api.retain_recent();
        self.api.shrink_to_fit();
        self.signals.forget();
    }

    fn too_many(
        &self,
        not_until: &governor::NotUntil<<DefaultClock as Clock>::Instant>,
    ) -> TooMany {
        TooMany {
            retry_after: not_until.wait_time_from(self.clock.now()),
        }
    }
}

/// Who an address belongs to: one IPv6 customer has a whole /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_that_joins_too_often_is_told_when_to_come_back_and_others_are_not_disturbed() {
        let rates = Rates::new(&Limits {
            joins_per_second: 1,
            joins_burst: 2,
            ..Limits::default()
        });
        let (busy, quiet) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert!(rates.stranger_joins(busy).is_ok() && rates.stranger_joins(busy).is_ok());
        let refused = rates.stranger_joins(busy);
        assert!(
            matches!(refused, Err(TooMany { retry_after }) if retry_after <= Duration::from_secs(1)),
            "{refused:?}"
        );
        assert!(rates.stranger_joins(quiet).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_their_limit() {
        assert_eq!(
            network("2001:db8::1".parse().unwrap_or(IpAddr::from([0; 16]))),
            network("2001:db8::2".parse().unwrap_or(IpAddr::from([1; 16])))
        );
        assert_eq!(
            network(IpAddr::from(
                std::net::Ipv4Addr::new(1, 2, 3, 4).to_ipv6_mapped()
            )),
            IpAddr::from([1, 2, 3, 4])
        );
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        assert!(
            Limits {
                max_rooms: 0,
                ..Limits::default()
            }
            .validate()
            .is_err()
        );
        assert!(Limits::default().validate().is_ok());
    }
}
