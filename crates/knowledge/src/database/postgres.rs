//! Connections to PostgreSQL: over TCP or a Unix socket, with TLS, a few of them kept.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as RustlsStream;

/// Most connections of one source: a question takes some milliseconds of one.
const MAX_CONNECTIONS: usize = 4;
/// A database that is there is connected to in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_PORT: u16 = 5432;
/// Nothing is written, and what nobody waits for any more ends.
const SETTINGS: &str = "SET default_transaction_read_only = on; SET statement_timeout = 5000";

/// Why there is no connection, or what the server said.
pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The connections to one database.
pub(super) struct Connections {
    config: Config,
    hosts: Vec<(Host, u16)>,
    tls: TlsConnector,
    idle: Arc<Mutex<Vec<Client>>>,
    permits: Arc<Semaphore>,
}

impl Connections {
    /// To where a connection string points. A server on another machine is asked with TLS unless the string says otherwise, and its
    /// certificate is checked in every mode: an unchecked one keeps nobody out.
    pub(super) fn new(url: &str, password: Option<&str>) -> Result<Self, Error> {
        let is_checked = |mode: &str| url.replace(&format!("sslmode={mode}"), "sslmode=require");
        let plain = ["verify-full", "verify-ca"]
            .into_iter()
            .find(|mode| url.contains(&format!("sslmode={mode}")))
            .map_or_else(|| url.to_owned(), is_checked);
        let mut config: Config = plain.parse()?;
        if let Some(password) = password {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("antiphon");
        }
        let ports = config.get_ports().to_vec();
        let port = |at: usize| ports.get(at).or(ports.first()).copied();
        let hosts: Vec<(Host, u16)> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| (host.clone(), port(at).unwrap_or(DEFAULT_PORT)))
            .collect();
        let is_near = |(host, _): &(Host, u16)| match host {
            Host::Tcp(name) => {
                name == "localhost"
                    || name
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
            #[allow(unreachable_patterns)]
            _ => true,
        };
        if hosts.is_empty() {
            return Err("it names no host".into());
        }
        if !url.contains("sslmode=") && !hosts.iter().all(is_near) {
            config.ssl_mode(SslMode::Require);
        }
        use rustls_platform_verifier::ConfigVerifierExt as _;
        let tls = tokio_rustls::rustls::ClientConfig::with_platform_verifier()?;
        Ok(Self {
            config,
            hosts,
            tls: TlsConnector::from(Arc::new(tls)),
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        })
    }

    /// Where, without user and password.
    pub(super) fn host(&self) -> String {
        match self.hosts.first() {
            Some((Host::Tcp(name), port)) => format!("{name}:{port}"),
            #[cfg(unix)]
            Some((Host::Unix(path), _)) => path.display().to_string(),
            None => String::new(),
        }
    }

    /// A connection for one question, a kept one if there is one.
    pub(super) async fn get(&self) -> Result<Lent, Error> {
        let permit = self.permits.clone().acquire_owned().await?;
        let kept = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|client| !client.is_closed());
            idle.pop()
        };
        let client = match kept {
            Some(client) => client,
            None => tokio::time::timeout(CONNECT_TIMEOUT, self.connect())
                .await
                .map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))??,
        };
        Ok(Lent {
            client: Some(client),
            idle: self.idle.clone(),
            _permit: permit,
        })
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut last: Error = "it names no host".into();
        for (host, port) in &self.hosts {
            match self.connect_to(host, *port).await {
                Ok(client) => return Ok(client),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, host: &Host, port: u16) -> Result<Client, Error> {
        let mut config = self.config.clone();
        let (stream, name): (Socket, &str) = match host {
            Host::Tcp(name) => {
                let stream = TcpStream::connect((name.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                (Socket(Box::new(stream)), name)
            }
            #[cfg(unix)]
            Host::Unix(folder) => {
                config.ssl_mode(SslMode::Disable);
                let stream = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?;
                (Socket(Box::new(stream)), "localhost")
            }
        };
        let tls = Tls {
            connector: self.tls.clone(),
            name: ServerName::try_from(name.to_owned())?,
        };
        let (client, connection) = config.connect_raw(stream, tls).await?;
        // it ends with its client
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL has ended");
            }
        });
        client.batch_execute(SETTINGS).await?;
        Ok(client)
    }
}

/// A connection that goes back when it is dropped, also when nobody waited for the answer.
pub(super) struct Lent {
    client: Option<Client>,
    idle: Arc<Mutex<Vec<Client>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    pub(super) fn client(&self) -> Result<&Client, Error> {
        self.client
            .as_ref()
            .ok_or_else(|| "the connection is gone".into())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.client.take().filter(|client| !client.is_closed()) {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(client);
        }
    }
}

/// What PostgreSQL is spoken to over, TCP or a Unix socket: one type, so that the protocol is compiled once.
struct Socket(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// TLS as the rest of the program has it.
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

struct Encrypted(RustlsStream<Socket>);

impl TlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { Ok(Encrypted(self.connector.connect(self.name, stream).await?)) })
    }
}

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// Reads and writes as what it holds.
macro_rules! streams {
    ($kind:ty) => {
        impl AsyncRead for $kind {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_read(cx, buffer)
            }
        }

        impl AsyncWrite for $kind {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_write(cx, bytes)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_shutdown(cx)
            }
        }
    };
}

streams!(Socket);
streams!(Encrypted);
