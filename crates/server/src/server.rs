//! Starting, draining and stopping; listeners and connections.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::proto::DisconnectReason;
use antiphon_rtc::Engine;
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ServerConfig;
use crate::connections::{Connections, Counted, Head, Metered, show_http};
use crate::error::ServerError;
use crate::limits::{HEADER_TIMEOUT, MAX_HEAD_BYTES};
use crate::state::State;
use crate::{acme, external, http, repeated, tls, turn};

/// How often draining looks whether the callers have left.
const DRAIN_POLL: Duration = Duration::from_millis(200);
/// Sockets may take this long to say goodbye at shutdown.
const GOODBYE: Duration = Duration::from_secs(2);
/// Accepting failed (no file descriptors, for example): try again so much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a connection beyond the limit is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The room server.
#[derive(Debug)]
pub struct Server;

/// A running server. Dropping it stops it at once.
pub struct Running {
    addresses: Vec<SocketAddr>,
    inside: Option<SocketAddr>,
    encrypted: bool,
    certificates: Vec<Arc<tls::Certificate>>,
    state: Arc<State>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the server is doing, for health pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// Open rooms.
    pub rooms: usize,
    /// Registered agent workers.
    pub workers: usize,
    /// No new rooms are accepted.
    pub draining: bool,
}

impl Server {
    /// Check the settings, bind the ports, serve. `extra` has the routes that the caller adds: `/` for browsers, metrics.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn start(mut config: ServerConfig, extra: Router) -> Result<Running, ServerError> {
        config.validate()?;
        if config.use_external_ip && config.node_ip.is_empty() {
            config.node_ip = vec![external::address(&config.network.stun_servers).await?];
        }
        let certificate = config.tls.as_ref().map(tls::Certificate::new).transpose()?;
        let acceptor = certificate
            .as_ref()
            .map(|certificate| certificate.acceptor(b"http/1.1"))
            .transpose()?;
        let mut listeners = Vec::new();
        let mut port = config.port;
        for address in &config.bind {
            let address = SocketAddr::new(*address, port);
            let listener = TcpListener::bind(address)
                .await
                .map_err(|source| ServerError::Bind { address, source })?;
            // With port 0 all addresses share the port that the first one got.
            port = listener
                .local_addr()
                .map_err(|source| ServerError::Bind { address, source })?
                .port();
            listeners.push(listener);
        }
        let inside = match &acceptor {
            Some(_) if config.plain_inside => Some(bind_inside().await?),
            Some(_) | None => None,
        };
        let engine = Engine::start(config.engine())?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        if let Some(port) = config.network.tcp_port {
            engine.accept_tcp(SocketAddr::new(config.engine().bind.ip(), port))?;
        }
        let state = State::new(config, engine, &stop)?;
        let mut certificates: Vec<_> = certificate.into_iter().collect();
        if let Some(turn) = &state.config.network.turn {
            let (listening, certificate) = turn::start(turn, &state, &stop, &tasks).await?;
            certificates.extend(certificate);
            state.relay.get_or_init(|| listening);
        }
        let addresses = listeners
            .iter()
            .filter_map(|l| l.local_addr().ok())
            .collect::<Vec<_>>();
        let router = http::router(Arc::clone(&state), extra);
        let connections = Arc::new(Connections::new(
            &state.config.limits,
            state.config.trusted_proxies.clone(),
            Arc::clone(&state.repeated),
            show_http,
        ));
        let inside_address = inside.as_ref().and_then(|l| l.local_addr().ok());
        let encrypted = acceptor.is_some();
        let all = listeners
            .into_iter()
            .map(|listener| (listener, acceptor.clone()))
            .chain(inside.map(|listener| (listener, None)));
        for (listener, acceptor) in all {
            let front = Front {
                router: router.clone(),
                state: Arc::clone(&state),
                acceptor,
                connections: Arc::clone(&connections),
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            tasks.spawn(front.accept(listener));
        }
        tasks.spawn(forget_addresses(Arc::clone(&state), stop.clone()));
        for certificate in &certificates {
            if let Some(acme) = certificate.acme() {
                tasks.spawn(acme::keep(
                    acme.clone(),
                    Arc::clone(certificate),
                    stop.clone(),
                ));
            }
        }
        tracing::info!(?addresses, media = ?state.engine.udp_addresses(), "room server is listening");
        Ok(Running {
            addresses,
            inside: inside_address,
            encrypted,
            certificates,
            state,
            stop,
            tasks,
        })
    }
}

impl Running {
    /// Where HTTP is bound (the first address).
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses
            .first()
            .copied()
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// What clients of this machine connect to: `ws://127.0.0.1:7880`.
    #[must_use]
    pub fn url(&self) -> String {
        let address = self.local_addr();
        let scheme = if self.encrypted { "wss" } else { "ws" };
        if address.ip().is_unspecified() {
            return format!("{scheme}://127.0.0.1:{}", address.port());
        }
        format!("{scheme}://{address}")
    }

    /// What an agent in this process connects to: [`url`](Self::url), without encryption where that was asked for
    /// (`ServerConfig::plain_inside`).
    #[must_use]
    pub fn inside_url(&self) -> String {
        match self.inside {
            Some(address) => format!("ws://{address}"),
            None => self.url(),
        }
    }

    /// Tokens of these keys are accepted from now on, and of no others. Who is in a room stays. Are they others than before?
    pub fn replace_keys(&self, keys: antiphon_protocol::Keys) -> bool {
        self.state.keys.replace(keys)
    }

    /// The files that certificates are read from.
    #[must_use]
    pub fn certificate_files(&self) -> Vec<PathBuf> {
        let files = self.certificates.iter().map(|c| c.files());
        files.flatten().collect()
    }

    /// Read the certificates again; connections that are open stay. Is one of them another?
    ///
    /// # Errors
    /// One cannot be used; the one from before stays in use.
    pub fn reload_certificates(&self) -> Result<bool, ServerError> {
        let mut changed = false;
        for certificate in &self.certificates {
            changed |= certificate.reload()?;
        }
        Ok(changed)
    }

    /// What it is doing.
    pub async fn state(&self) -> ServerState {
        ServerState {
            rooms: self.state.rooms.count(),
            workers: self.state.agents.workers().await,
            draining: self.state.is_draining(),
        }
    }

    /// Accept no new rooms and wait until all callers have left those that are open, at most this long. True if they have.
    /// A room that is only kept for somebody who might come back, or has only agents in it, is not waited for.
    pub async fn drain(&self, at_most: Duration) -> bool {
        self.state.start_draining();
        tracing::info!(
            rooms = self.state.rooms.count(),
            "draining: no new rooms are accepted"
        );
        let empty = async {
            while self.state.rooms.occupied().await {
                tokio::time::sleep(DRAIN_POLL).await;
            }
        };
        tokio::time::timeout(at_most, empty).await.is_ok()
    }

    /// Tell everybody to leave, then stop.
    pub async fn shutdown(self) {
        self.state.start_draining();
        self.state
            .rooms
            .close_all(DisconnectReason::ServerShutdown)
            .await;
        let _ = tokio::time::timeout(GOODBYE, async {
            while self.state.rooms.count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        // The last that is said is that the rooms are over.
        let _ = tokio::time::timeout(GOODBYE, self.state.hooks.idle()).await;
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(GOODBYE, self.tasks.wait()).await;
        tracing::info!("room server stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

async fn bind_inside() -> Result<TcpListener, ServerError> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    TcpListener::bind(address)
        .await
        .map_err(|source| ServerError::Bind { address, source })
}

/// Addresses whose limits are all restored are forgotten, and what they did again and again is summed up.
async fn forget_addresses(state: Arc<State>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(repeated::INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                state.rates.forget();
                state.repeated.sum_up();
            }
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Front {
    router: Router,
    state: Arc<State>,
    acceptor: Option<TlsAcceptor>,
    connections: Arc<Connections>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Front {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer.ip().to_canonical()),
                Err(error) => {
                    if self.state.repeated.is_first("not accepted", "us") {
                        tracing::warn!(%error, "a connection could not be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: IpAddr) {
        let Some(counted) = self.connections.count(peer) else {
            metrics::counter!(antiphon_telemetry::names::SERVER_REFUSED_TOTAL, "reason" => "connections").increment(1);
            if self
                .state
                .repeated
                .is_first_from("too many connections", peer)
            {
                tracing::info!(%peer, "too many connections; one was closed");
            }
            if self.acceptor.is_none() {
                // Nobody waits until it is read: it costs nothing, and says more than a closed door.
                let _ = stream.try_write(FULL);
            }
            return;
        };
        let _ = stream.set_nodelay(true);
        let front = self.clone();
        self.tasks.spawn(async move {
            match &front.acceptor {
                None => front.serve(stream, peer, counted).await,
                Some(acceptor) => {
                    match tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => front.serve(stream, peer, counted).await,
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                    }
                }
            }
        });
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        peer: IpAddr,
        counted: Counted,
    ) {
        // A WebSocket outlives this function: whoever serves it holds the count, which every request carries.
        let counted = Arc::new(counted);
        let head = Arc::new(Head::new(Arc::clone(&counted)));
        let stream = Metered::new(stream, Arc::clone(&head));
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let (router, state, head) = (
                self.router.clone(),
                Arc::clone(&self.state),
                Arc::clone(&head),
            );
            let counted = Arc::clone(&counted);
            head.passed();
            async move {
                let response = http::serve(
                    router,
                    &state.config.trusted_proxies,
                    peer,
                    &counted,
                    request.map(Body::new),
                )
                .await;
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    head.again();
                }
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}
