//! What the handles ask of a shard.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use mio::{Interest, Token};
use str0m::Candidate;
use str0m::net::{Protocol, TcpType};
use tokio::sync::mpsc;

use super::Shard;
use super::away::Kept;
use crate::command::{Command, PeerId};
use crate::connection::Connection;
use crate::limits::OWN_SOCKET_BUFFER_BYTES;
use crate::pulse::Pulse;
use crate::socket::Socket;
use crate::{PeerConfig, PeerEvent, RtcError, counters};

impl Shard {
    pub(super) fn obey(&mut self, now: Instant) {
        let mut commands = std::mem::take(&mut self.commands);
        self.handle.take(&mut commands);
        for command in commands.drain(..) {
            self.on_command(command, now);
        }
        self.commands = commands;
    }

    pub(super) fn on_command(&mut self, command: Command, now: Instant) {
        if let Some(slot) = self.first_away(command.peers()) {
            self.keep(slot, || Kept::Command(command));
            return;
        }
        match command {
            Command::Create {
                id,
                config,
                events,
                pulse,
            } => self.create(id, config, (events, pulse), now),
            Command::Lend { id, to } => self.lend(id, to),
            Command::Return {
                peer,
                outgoing,
                panicked,
            } => {
                self.outgoing.extend(outgoing);
                self.take_back(peer, panicked, now);
            }
            Command::Arrived { arrival, datagram } => self.arrived(arrival, datagram, now),
            Command::PathEnded { from } => self.path_ended(from),
            Command::NameTcp { candidates } => self.tcp_candidates = candidates,
            Command::RemoteCandidate { id, candidate } => {
                self.with(id, now, |peer| peer.add_candidate(candidate))
            }
            Command::Forward(command) => self.start_forward(&command, now),
            Command::StopForward {
                from,
                from_mid,
                to,
                to_mid,
            } => {
                self.stop_forward(from, &from_mid, to, &to_mid, now);
            }
            Command::SetMuted {
                id,
                from_mid,
                muted,
            } => self.set_muted(id, &from_mid, muted, now),
            Command::SendOpus {
                id,
                mid,
                payload,
                timestamp,
                marker,
                level,
            } => {
                if let Some(slot) = self.by_id.get(&id).copied() {
                    self.guarded(slot, |peer| {
                        peer.write_opus(&mid, &payload, timestamp, marker, level, now)
                    });
                    self.mark(slot);
                }
            }
            Command::SendData { id, label, data } => {
                self.with(id, now, |peer| send_data(peer, &label, data))
            }
            Command::Close { id } => self.with(id, now, |peer| peer.close(now)),
            Command::Shutdown => self.running = false,
            #[cfg(test)]
            #[allow(clippy::panic)]
            Command::Panic { id } => self.with(id, now, |_| panic!("on purpose")),
            #[cfg(test)]
            Command::SendRed {
                id,
                mid,
                payload,
                number,
            } => {
                self.with(id, now, |peer| peer.write_red(&mid, &payload, number, now));
            }
        }
    }

    /// Change a peer, then let it run.
    fn with(&mut self, id: PeerId, now: Instant, change: impl FnOnce(&mut Connection)) {
        if let Some(slot) = self.by_id.get(&id).copied() {
            self.drive(slot, now, |peer| {
                change(peer);
                peer.tick(now);
            });
        }
    }

    fn create(
        &mut self,
        id: PeerId,
        config: PeerConfig,
        (events, pulse): (mpsc::Sender<PeerEvent>, Arc<Pulse>),
        now: Instant,
    ) {
        let slot = self.peers.vacant_key();
        let key = if config.own_socket {
            self.own_socket(slot)
        } else {
            Ok(self.shared)
        };
        let made = key.and_then(|key| {
            let candidates = self.candidates(key);
            let certificate = self.certificate.as_deref();
            let waiting = Arc::clone(&self.waiting);
            catch_unwind(AssertUnwindSafe(|| {
                Connection::new(
                    id,
                    config,
                    events.clone(),
                    (key, &candidates),
                    certificate,
                    waiting,
                    now,
                )
            }))
            .map_err(|_| {
                counters::panicked();
                RtcError::Closed
            })
        });
        match made {
            Ok(mut peer) => {
                peer.pulse = pulse;
                self.peers.insert(Some(Box::new(peer)));
                self.by_id.insert(id, slot);
                self.drive(slot, now, |_| {});
            }
            Err(error) => {
                tracing::error!(%error, "a peer could not be made");
                self.left();
                let _ = events.try_send(PeerEvent::Closed {
                    reason: error.to_string(),
                });
            }
        }
    }

    /// What a peer with this socket names to the other side.
    fn candidates(&self, key: usize) -> Vec<Candidate> {
        let udp = self
            .sockets
            .get(key)
            .map_or(&[][..], |socket| &socket.candidates);
        // Whoever has a socket of its own opens connections instead.
        let tcp = if key == self.shared {
            &self.tcp_candidates[..]
        } else {
            &[]
        };
        let udp = udp
            .iter()
            .map(|address| Candidate::host(*address, Protocol::Udp));
        let tcp = tcp.iter().map(|address| {
            let passive = Candidate::builder().tcp().host(*address);
            passive.tcptype(TcpType::Passive).build()
        });
        udp.chain(tcp)
            .filter_map(|candidate| {
                candidate
                    .inspect_err(|error| tracing::warn!(%error, "not usable as a candidate"))
                    .ok()
            })
            .collect()
    }

    fn own_socket(&mut self, slot: usize) -> Result<usize, RtcError> {
        let address = SocketAddr::new(self.bind.ip(), 0);
        let mut socket = Socket::bind(address, OWN_SOCKET_BUFFER_BYTES)?;
        socket.candidates = self.addresses.candidates(socket.local().port());
        socket.owner = Some(slot);
        let entry = self.sockets.vacant_entry();
        let key = entry.key();
        self.poll
            .registry()
            .register(socket.source(), Token(key), Interest::READABLE)
            .map_err(|source| RtcError::Bind { address, source })?;
        entry.insert(socket);
        Ok(key)
    }
}

fn send_data(peer: &mut Connection, label: &str, data: bytes::Bytes) {
    use crate::channels::Sent;
    if !peer.is_open() {
        return;
    }
    match peer.channels.send(&mut peer.rtc, label, data) {
        Sent::Taken => {}
        Sent::Dropped => counters::dropped("data"),
        Sent::TooSlow => counters::dropped("slow_receiver"),
    }
}
