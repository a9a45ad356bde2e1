//! One client of the relay with its path to the media.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use antiphon_rtc::{Path, Sent, Via};
use tokio::sync::mpsc;

use super::session::{Act, Session};
use super::{Relay, Relayed, now};

/// What a message led to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// For the client.
    pub(super) reply: Option<Vec<u8>>,
    /// The allocation is over.
    pub(super) ended: bool,
}

/// One client.
pub(super) struct Client {
    relay: Arc<Relay>,
    session: Session,
    open: Option<Open>,
}

/// An allocation.
struct Open {
    path: Path,
    sent: mpsc::Receiver<Sent>,
    _relayed: Relayed,
}

impl Client {
    /// `padded`: over a stream.
    pub(super) fn new(relay: &Arc<Relay>, address: SocketAddr, padded: bool) -> Self {
        Self {
            relay: Arc::clone(relay),
            session: Session::new(address, padded),
            open: None,
        }
    }

    pub(super) fn has_allocation(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    /// A message of the client.
    pub(super) fn handle(&mut self, message: &[u8]) -> Outcome {
        let act = self.session.handle(&self.relay.rules, now(), message);
        self.carry_out(act)
    }

    fn carry_out(&mut self, act: Option<Act>) -> Outcome {
        match act {
            None => Outcome::default(),
            Some(Act::Reply(reply)) => Outcome {
                reply: Some(reply),
                ended: false,
            },
            Some(Act::Relay { peer, data }) => {
                if let Some(open) = &mut self.open {
                    open.path.deliver(peer, data);
                }
                Outcome::default()
            }
            Some(Act::End) => Outcome {
                reply: None,
                ended: true,
            },
            Some(Act::Allocate { participant, ipv6 }) => {
                let relayed = self.relay.reserve(&participant, ipv6);
                let address = relayed.as_ref().map(|relayed| relayed.address);
                self.open = relayed.map(|relayed| {
                    let (path, sent) = self.relay.engine.path(Via::Relay, relayed.address);
                    tracing::debug!(participant, relayed = %relayed.address, "relay allocated");
                    Open {
                        path,
                        sent,
                        _relayed: relayed,
                    }
                });
                let act = self.session.allocated(now(), address);
                self.carry_out(act)
            }
        }
    }

    /// What our media sends next, as the client reads it. Never ends while there is no allocation. `None`: the peer has gone.
    pub(super) async fn sent(&mut self) -> Option<Vec<u8>> {
        loop {
            let Some(open) = &mut self.open else {
                std::future::pending::<()>().await;
                return None;
            };
            let Sent { from, datagram } = open.sent.recv().await?;
            if let Some(message) = self.session.indicate(now(), from, &datagram) {
                return Some(message);
            }
        }
    }
}
