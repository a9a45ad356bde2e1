//! The relay's sockets and streams.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Relay;
use super::client::{Client, Outcome};
use crate::config::Turn;
use crate::connections::Connections;
use crate::error::ServerError;
use crate::limits::{MAX_TURN_MESSAGE_BYTES, TURN_ALLOCATE_TIMEOUT, TURN_QUEUE};
use crate::state::State;
use crate::tls::Certificate;

/// After accepting failed (no file descriptors left), not at once again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// One write that takes longer: the client does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the relay listens.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    pub(crate) udp: Vec<SocketAddr>,
    pub(crate) tls: Vec<SocketAddr>,
}

/// Clients over UDP that have an allocation.
type Clients = Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>>>;

/// What every listener needs.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) relay: Arc<Relay>,
    pub(super) state: Arc<State>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Front {
    pub(super) async fn listen(
        &self,
        ip: IpAddr,
        turn: &Turn,
        certificate: Option<&Arc<Certificate>>,
        listening: &mut Listening,
    ) -> Result<(), ServerError> {
        let failed = |address, source| ServerError::Turn { address, source };
        if let Some(port) = turn.udp_port {
            let address = SocketAddr::new(ip, port);
            let socket = UdpSocket::bind(address)
                .await
                .map_err(|e| failed(address, e))?;
            listening.udp.extend(socket.local_addr().ok());
            self.tasks.spawn(self.clone().udp(Arc::new(socket)));
        }
        let acceptor = certificate
            .map(|certificate| certificate.acceptor(b""))
            .transpose()?;
        if let Some(port) = turn.tls_port {
            let address = SocketAddr::new(ip, port);
            let listener = TcpListener::bind(address)
                .await
                .map_err(|e| failed(address, e))?;
            listening.tls.extend(listener.local_addr().ok());
            self.tasks.spawn(self.clone().accept(listener, acceptor));
        }
        Ok(())
    }

    async fn udp(self, socket: Arc<UdpSocket>) {
        let clients = Clients::default();
        // One more than allowed: what is longer shows.
        let mut buffer = vec![0; MAX_TURN_MESSAGE_BYTES + 1];
        loop {
            let received = tokio::select! {
                () = self.stop.cancelled() => return,
                received = socket.recv_from(&mut buffer) => received,
            };
            // An error is that of an earlier answer which nobody took.
            let Ok((length, client)) = received else {
                continue;
            };
            let Some(message) = buffer
                .get(..length)
                .filter(|_| length <= MAX_TURN_MESSAGE_BYTES)
            else {
                continue;
            };
            let known = clients
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&client)
                .cloned();
            if let Some(known) = known {
                // Too many: as a router would drop them.
                let _ = known.try_send(message.to_vec());
                continue;
            }
            if self
                .state
                .rates
                .stranger_asks(client.ip().to_canonical())
                .is_err()
            {
                continue;
            }
            let seen = SocketAddr::new(client.ip().to_canonical(), client.port());
            let mut stranger = Client::new(&self.relay, seen, false);
            if let Some(reply) = stranger.handle(message).reply {
                let _ = socket.send_to(&reply, client).await;
            }
            if stranger.has_allocation() {
                let (inbox, messages) = mpsc::channel(TURN_QUEUE);
                clients
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(client, inbox);
                let (clients, socket, stop) =
                    (Arc::clone(&clients), Arc::clone(&socket), self.stop.clone());
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = datagrams(stranger, messages, &socket, client) => {}
                    }
                    clients
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&client);
                });
            }
        }
    }

    async fn accept(self, listener: TcpListener, acceptor: Option<TlsAcceptor>) {
        let connections = Arc::new(Connections::new(
            &self.state.config.limits,
            self.state.config.trusted_proxies.clone(),
            Arc::clone(&self.state.repeated),
            |_| {},
        ));
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let Some(counted) = connections.count(peer.ip()) else {
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (front, acceptor) = (self.clone(), acceptor.clone());
            self.tasks.spawn(async move {
                let ended = tokio::select! {
                    () = front.stop.cancelled() => "the server stops",
                    ended = front.stream(stream, peer, acceptor) => ended,
                };
                tracing::debug!(%peer, ended, "connection to the relay ended");
                drop(counted);
            });
        }
    }

    async fn stream(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        acceptor: Option<TlsAcceptor>,
    ) -> &'static str {
        let client = Client::new(&self.relay, peer, true);
        match acceptor {
            None => messages(client, stream).await,
            Some(acceptor) => {
                match tokio::time::timeout(TURN_ALLOCATE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => messages(client, stream).await,
                    Ok(Err(_)) | Err(_) => "no TLS",
                }
            }
        }
    }
}

/// One client over UDP, until its allocation ends.
async fn datagrams(
    mut client: Client,
    mut inbox: mpsc::Receiver<Vec<u8>>,
    socket: &UdpSocket,
    to: SocketAddr,
) {
    loop {
        let deadline = client.deadline().unwrap_or_else(Instant::now);
        tokio::select! {
            message = inbox.recv() => {
                let Some(message) = message else { return };
                let Outcome { reply, ended } = client.handle(&message);
                if let Some(reply) = reply {
                    let _ = socket.send_to(&reply, to).await;
                }
                if ended {
                    return;
                }
            }
            sent = client.sent() => {
                let Some(message) = sent else { return };
                let _ = socket.send_to(&message, to).await;
            }
            () = tokio::time::sleep_until(deadline.into()) => return,
        }
    }
}

/// One client over a stream, until either side ends it.
async fn messages(mut client: Client, stream: impl AsyncRead + AsyncWrite) -> &'static str {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut messages = Messages::default();
    let mut buffer = vec![0; MAX_TURN_MESSAGE_BYTES];
    let allocate_by = Instant::now() + TURN_ALLOCATE_TIMEOUT;
    loop {
        let deadline = client.deadline().unwrap_or(allocate_by);
        let out = tokio::select! {
            read = reader.read(&mut buffer) => {
                let Ok(count @ 1..) = read else { return "closed by the client" };
                messages.push(buffer.get(..count).unwrap_or_default());
                let mut out = Vec::new();
                loop {
                    match messages.next() {
                        Ok(Some(message)) => {
                            let Outcome { reply, ended } = client.handle(&message);
                            out.extend(reply.unwrap_or_default());
                            if ended {
                                return "the client gave its allocation back";
                            }
                        }
                        Ok(None) => break,
                        Err(NoMessage) => return "this is no TURN",
                    }
                }
                out
            }
            sent = client.sent() => match sent {
                Some(message) => message,
                None => return "its peer has gone",
            },
            () = tokio::time::sleep_until(deadline.into()) => return "its time was over",
        };
        if !out.is_empty() {
            let written = tokio::time::timeout(WRITE_TIMEOUT, async {
                writer.write_all(&out).await?;
                writer.flush().await
            });
            if !matches!(written.await, Ok(Ok(()))) {
                return "the client does not read";
            }
        }
    }
}

/// Messages in a stream: STUN's say their length, and so do channels' (RFC 8656 3.4).
#[derive(Debug, Default)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
}

/// Neither of both, or longer than a message of WebRTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMessage;

impl Messages {
    /// More of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, NoMessage> {
        let Some(&[first, _, high, low]) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let whole = match first {
            // STUN's lengths are multiples of four (RFC 8489 5).
            0x00..0x40 if length.is_multiple_of(4) => 20 + length,
            0x40..0x80 => (4 + length).next_multiple_of(4),
            _ => return Err(NoMessage),
        };
        if whole > MAX_TURN_MESSAGE_BYTES {
            return Err(NoMessage);
        }
        let Some(message) = self.bytes.get(..whole) else {
            return Ok(None);
        };
        let message = message.to_vec();
        self.bytes.drain(..whole);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use antiphon_telemetry::names::SERVER_CONNECTIONS;
    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    use super::*;
    use crate::config::ServerConfig;

    /// The names of the gauges that were set.
    #[derive(Default)]
    struct Gauges(Mutex<Vec<String>>);

    impl Recorder for Gauges {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.0.lock().unwrap().push(key.name().to_owned());
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[tokio::test]
    async fn connections_to_the_relay_are_not_shown_as_connections_to_the_http_port() {
        let gauges = Gauges::default();
        let _recorded = metrics::set_default_local_recorder(&gauges);
        let config = ServerConfig::dev().any_ports();
        let engine = antiphon_rtc::Engine::start(config.engine()).unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let state = State::new(config, engine, &stop).unwrap();
        let turn = Turn {
            tls_port: Some(0),
            bind: vec![Ipv4Addr::LOCALHOST.into()],
            ..Turn::default()
        };
        let (listening, _) = super::super::start(&turn, &state, &stop, &tasks)
            .await
            .unwrap();
        let at = *listening.tls.first().unwrap();
        let mut client = TcpStream::connect(at).await.unwrap();
        let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        client.write_all(&request).await.unwrap();
        // It is counted before it is answered.
        client.read_u8().await.unwrap();
        let shown = gauges.0.lock().unwrap();
        assert!(!shown.iter().any(|name| name == SERVER_CONNECTIONS));
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let stun: Vec<u8> = [
            &[0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42][..],
            &[7; 12],
            &[1, 2, 3, 4],
        ]
        .concat();
        let channel: Vec<u8> = vec![0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        let stream: Vec<u8> = [&stun[..], &channel, &stun, &channel].concat();
        for cut in [1, 3, 4, 7, 1000] {
            let (mut messages, mut seen) = (Messages::default(), Vec::new());
            for piece in stream.chunks(cut) {
                messages.push(piece);
                while let Ok(Some(message)) = messages.next() {
                    seen.push(message);
                }
            }
            assert_eq!(
                seen,
                [&stun[..], &channel, &stun, &channel],
                "pieces of {cut}"
            );
        }
    }

    #[test]
    fn what_is_no_turn_ends_the_connection_at_its_first_bytes() {
        for wrong in [
            &b"GET / HTTP/1.1"[..],
            &[0x16, 3, 1, 0xff, 0xff],
            &[0, 1, 0xff, 0xff],
            &[0x40, 0, 0xff, 0xff],
        ] {
            let mut messages = Messages::default();
            messages.push(wrong);
            assert_eq!(messages.next(), Err(NoMessage), "{wrong:?}");
        }
    }
}
