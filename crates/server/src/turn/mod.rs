//! A TURN server for clients whose networks let nothing else through: UDP, TCP, and TLS on the port that every firewall
//! leaves open. It is part of the room server: what a client relays reaches this server's media and nothing else, without a
//! socket in between, so there is no open relay to misuse and no way back through a NAT to find.
//!
//! | module | what |
//! |---|---|
//! | `access` | credentials and nonces |
//! | `session` | one client: a machine without I/O |
//! | `client` | one client with its path to the media |
//! | `wire` | sockets and streams |
//! | `told` | what clients are told about servers for ICE |

mod access;
mod client;
mod session;
#[cfg(test)]
mod tests;
mod told;
mod wire;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use antiphon_rtc::Engine;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Turn;
use crate::error::ServerError;
use crate::limits::{MAX_TURN_ALLOCATIONS, MAX_TURN_ALLOCATIONS_PER_PARTICIPANT};
use crate::state::State;
use crate::tls::Certificate;
use access::Nonces;
use session::{Now, Rules};

pub(crate) use told::ice_servers;
pub(crate) use wire::Listening;

/// What all clients of the relay share.
pub(crate) struct Relay {
    rules: Rules,
    engine: Engine,
    allocations: Mutex<Allocations>,
}

#[derive(Default)]
struct Allocations {
    total: usize,
    by_participant: HashMap<String, usize>,
}

/// A relayed address. Its port is bound, so that nobody on this machine can be taken for it; nothing is read from it.
struct Relayed {
    address: SocketAddr,
    participant: String,
    relay: Arc<Relay>,
    _port: UdpSocket,
}

impl Drop for Relayed {
    fn drop(&mut self) {
        let mut allocations = self.relay.allocations();
        allocations.total = allocations.total.saturating_sub(1);
        if let Some(count) = allocations.by_participant.get_mut(&self.participant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                allocations.by_participant.remove(&self.participant);
            }
        }
    }
}

impl Relay {
    fn new(state: &State) -> Arc<Self> {
        Arc::new(Self {
            rules: Rules {
                keys: Arc::clone(&state.keys),
                nonces: Nonces::new(&rand::random()),
                peers: state.engine.candidates().to_vec(),
            },
            engine: state.engine.clone(),
            allocations: Mutex::default(),
        })
    }

    fn allocations(&self) -> std::sync::MutexGuard<'_, Allocations> {
        // Numbers change one at a time.
        self.allocations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// An address of ours with a port that nobody else has. `None`: there are too many, or no port is left.
    fn reserve(self: &Arc<Self>, participant: &str, ipv6: bool) -> Option<Relayed> {
        let ip = self
            .rules
            .peers
            .iter()
            .map(SocketAddr::ip)
            .find(|ip| ip.is_ipv6() == ipv6)?;
        let any: IpAddr = if ipv6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        let mut allocations = self.allocations();
        let own = allocations
            .by_participant
            .get(participant)
            .copied()
            .unwrap_or_default();
        if allocations.total >= MAX_TURN_ALLOCATIONS || own >= MAX_TURN_ALLOCATIONS_PER_PARTICIPANT
        {
            return None;
        }
        let socket = UdpSocket::bind((any, 0)).ok()?;
        let port = socket.local_addr().ok()?.port();
        // Connected to itself: the kernel keeps nothing that others send there.
        let own_ip: IpAddr = if ipv6 {
            Ipv6Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        };
        let _ = socket.connect((own_ip, port));
        allocations.total += 1;
        allocations
            .by_participant
            .insert(participant.to_owned(), own + 1);
        drop(allocations);
        Some(Relayed {
            address: SocketAddr::new(ip, port),
            participant: participant.to_owned(),
            relay: Arc::clone(self),
            _port: socket,
        })
    }
}

/// For the fuzzer: a client whose messages are the fuzzer's, over a stream and over datagrams.
pub(crate) fn fuzz<'a>(messages: impl Iterator<Item = (bool, &'a [u8])>) {
    let media = SocketAddr::from((Ipv4Addr::LOCALHOST, 7882));
    let keys = antiphon_protocol::Keys::single("devkey", "secret");
    let rules = Rules {
        keys: Arc::new(crate::keys::KeyRing::new(keys)),
        nonces: Nonces::new(&[0; 32]),
        peers: vec![media],
    };
    let mut session = session::Session::new(media, true);
    let mut stream = wire::Messages::default();
    for (streamed, message) in messages {
        let whole = if streamed {
            stream.push(message);
            stream.next().ok().flatten()
        } else {
            Some(message.to_vec())
        };
        let Some(message) = whole else { continue };
        match session.handle(&rules, now(), &message) {
            Some(session::Act::Relay { peer, .. }) => assert_eq!(peer, media, "an open relay"),
            Some(session::Act::Allocate { .. }) => {
                let _ = session.allocated(now(), Some(media));
            }
            Some(session::Act::Reply(_) | session::Act::End) | None => {}
        }
    }
}

/// Now, on both clocks.
fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    }
}

/// Bind the relay's ports and serve them. Returns where it listens, and its certificate.
pub(crate) async fn start(
    turn: &Turn,
    state: &Arc<State>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(Listening, Option<Arc<Certificate>>), ServerError> {
    let certificate = turn.tls.as_ref().map(Certificate::new).transpose()?;
    let relay = Relay::new(state);
    let bind = if turn.bind.is_empty() {
        &state.config.bind
    } else {
        &turn.bind
    };
    let front = wire::Front {
        relay,
        state: Arc::clone(state),
        stop: stop.clone(),
        tasks: tasks.clone(),
    };
    let mut listening = Listening::default();
    for ip in bind {
        front
            .listen(*ip, turn, certificate.as_ref(), &mut listening)
            .await?;
    }
    tracing::info!(?listening, domain = turn.domain, "TURN server is listening");
    Ok((listening, certificate))
}
