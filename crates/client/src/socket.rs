//! A WebSocket of protobuf messages with a bearer token: what both the signalling of a room and LiveKit's worker protocol
//! stand on.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use prost::Message as Protobuf;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// A goodbye must not hold up the end of the process.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is read at once; the library sets this many bytes aside, and grows for a larger message.
const READ_BYTES: usize = 4 * 1024;

/// How a connection is made and bounded.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// TCP, TLS and upgrade together.
    pub connect_timeout: Duration,
    /// The largest message; a larger one ends the connection.
    pub message_bytes: usize,
    /// Messages that may wait in one direction; [`ProtobufSocket::send`] refuses more.
    pub queue: usize,
    /// WebSocket pings at this interval, and nothing heard for one and a half of them is the end: a network that went away
    /// closes no connection. `None`: the protocol has pings of its own.
    pub heartbeat: Option<Duration>,
}

/// Why there is no connection. Holds no token.
#[derive(Debug)]
pub enum ConnectFailure {
    /// The token holds characters that no header may hold.
    Token,
    /// No answer within the connect time-out.
    Timeout,
    /// An answer, but no upgrade.
    Refused {
        /// HTTP status.
        status: u16,
        /// When it may be tried again, if the server says so.
        retry_after: Option<Duration>,
        /// What the server said, whole.
        body: String,
    },
    /// The server's certificate is not trusted: another attempt would fail in the same way.
    Certificate(io::Error),
    /// Anything else on the way.
    Other(String),
}

/// Does a refusal with this HTTP status pass? The server is busy, restarting, or asks for patience (RFC 9110, RFC 6585,
/// RFC 8470); any other refusal means the request itself.
#[must_use]
pub fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

/// An open connection. `incoming` ends when it is lost; dropping this ends it.
#[derive(Debug)]
pub struct ProtobufSocket<Out, In> {
    outgoing: mpsc::Sender<Out>,
    /// What the server sends; messages that cannot be read are left out and logged.
    pub incoming: mpsc::Receiver<In>,
    writer: AbortOnDropHandle<()>,
    _reader: AbortOnDropHandle<()>,
}

impl<Out, In> ProtobufSocket<Out, In>
where
    Out: Protobuf + 'static,
    In: Protobuf + Default + 'static,
{
    /// Connect.
    ///
    /// # Errors
    /// See [`ConnectFailure`].
    pub async fn open(
        url: &Url,
        token: &str,
        options: SocketOptions,
    ) -> Result<Self, ConnectFailure> {
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|error| ConnectFailure::Other(error.to_string()))?;
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ConnectFailure::Token)?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(options.message_bytes))
            .max_frame_size(Some(options.message_bytes));
        // Only the first caller of the process decides; everything here is built on the same library.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let connecting =
            tokio_tungstenite::connect_async_tls_with_config(request, Some(config), true, None);
        let (socket, _) = tokio::time::timeout(options.connect_timeout, connecting)
            .await
            .map_err(|_| ConnectFailure::Timeout)?
            .map_err(failure)?;
        let (mut sink, mut source) = socket.split();
        let (outgoing, mut requests) = mpsc::channel::<Out>(options.queue);
        let (responses, incoming) = mpsc::channel(options.queue);
        let writer = tokio::spawn(async move {
            let mut heartbeat = options.heartbeat.map(tokio::time::interval);
            loop {
                let beat = async {
                    match &mut heartbeat {
                        Some(heartbeat) => heartbeat.tick().await,
                        None => std::future::pending().await,
                    }
                };
                let message = tokio::select! {
                    request = requests.recv() => match request {
                        Some(request) => Message::binary(request.encode_to_vec()),
                        None => break,
                    },
                    _ = beat => Message::Ping(Bytes::new()),
                };
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            let _ = sink.close().await;
        });
        let silence = options.heartbeat.map(|beat| beat * 3 / 2);
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = within(silence, source.next()).await {
                let Message::Binary(bytes) = message else {
                    continue;
                };
                match In::decode(bytes) {
                    Ok(response) => {
                        if responses.send(response).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a message of the server could not be read and was ignored")
                    }
                }
            }
        });
        Ok(Self {
            outgoing,
            incoming,
            writer: AbortOnDropHandle::new(writer),
            _reader: AbortOnDropHandle::new(reader),
        })
    }

    /// Queue a message. False: the connection is gone or does not take any more.
    pub fn send(&self, message: Out) -> bool {
        self.outgoing.try_send(message).is_ok()
    }

    /// Send what is queued, then close.
    pub async fn close(self) {
        let Self {
            outgoing,
            incoming,
            writer,
            _reader,
        } = self;
        drop((outgoing, incoming));
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, writer).await;
    }
}

/// What comes within this time; `None` as if the connection had ended.
async fn within<T>(limit: Option<Duration>, next: impl Future<Output = Option<T>>) -> Option<T> {
    let Some(limit) = limit else {
        return next.await;
    };
    let came = tokio::time::timeout(limit, next).await;
    came.unwrap_or_else(|_| {
        tracing::warn!(
            ?limit,
            "nothing is heard of the server any more, not even an answer to a ping"
        );
        None
    })
}

fn failure(error: Error) -> ConnectFailure {
    match error {
        Error::Http(response) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy);
            ConnectFailure::Refused {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers()),
                body: body.unwrap_or_default().into_owned(),
            }
        }
        Error::Io(error) if is_about_certificate(&error) => ConnectFailure::Certificate(error),
        other => ConnectFailure::Other(other.to_string()),
    }
}

/// `Retry-After` in seconds; the other form, a date, no server of LiveKit's protocol sends.
fn retry_after(headers: &tokio_tungstenite::tungstenite::http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// Did the handshake fail because of who the server says it is?
fn is_about_certificate(error: &io::Error) -> bool {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::pending;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_that_answers_no_ping_any_more_is_lost_though_its_connection_stands() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            // Nobody reads what comes, so nothing is answered.
            let _open = tokio_tungstenite::accept_async(stream).await.unwrap();
            pending::<()>().await;
        });
        let options = SocketOptions {
            connect_timeout: Duration::from_secs(60),
            message_bytes: 1024,
            queue: 8,
            heartbeat: Some(Duration::from_millis(20)),
        };
        let url = Url::parse(&url).unwrap();
        type Socket =
            ProtobufSocket<livekit_protocol::WorkerMessage, livekit_protocol::ServerMessage>;
        let mut socket = Socket::open(&url, "token", options).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(60), socket.incoming.recv());
        assert_eq!(
            heard.await.ok(),
            Some(None),
            "the connection is still taken for a good one"
        );
        served.abort();
    }
}
