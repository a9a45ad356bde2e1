//! The worker's WebSocket: protobuf in binary frames.

use std::time::Duration;

use antiphon_protocol::{AccessToken, VideoGrants};
use antiphon_room::parse_server_url;
use futures_util::{SinkExt, StreamExt};
use livekit_protocol::{ServerMessage, WorkerMessage, worker_message};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::task::AbortOnDropHandle;

use crate::{WorkerError, WorkerOptions};

/// Messages waiting in one direction (LiveKit's 128); the connection is given up when more pile up.
const QUEUE: usize = 128;
/// The largest message, LiveKit's limit.
const MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// Connection, TLS and upgrade together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// WebSocket pings keep proxies awake and find dead connections.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Our own token is needed for the upgrade only.
const TOKEN_TTL: Duration = Duration::from_secs(600);
/// A goodbye must not hold up the end of the process.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Text of the server in our errors.
const SERVER_MESSAGE_CHARS: usize = 200;

/// An open connection; `incoming` ends when it is lost.
#[derive(Debug)]
pub(crate) struct Socket {
    outgoing: mpsc::Sender<WorkerMessage>,
    pub(crate) incoming: mpsc::Receiver<ServerMessage>,
    writer: AbortOnDropHandle<()>,
    _reader: AbortOnDropHandle<()>,
}

impl Socket {
    /// Queue a message. False: the connection is gone or does not take any more.
    pub(crate) fn send(&self, message: worker_message::Message) -> bool {
        self.outgoing
            .try_send(WorkerMessage {
                message: Some(message),
            })
            .is_ok()
    }

    /// Send what is queued (how the last jobs ended), then close.
    pub(crate) async fn close(self) {
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

/// Connect.
pub(crate) async fn open(options: &WorkerOptions) -> Result<Socket, WorkerError> {
    let mut url = parse_server_url(&options.url)?;
    let path = format!("{}/agent", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let server = format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    );
    let unreachable = |reason: String| WorkerError::Unreachable {
        server: server.clone(),
        reason,
    };
    let token = AccessToken::new(&options.api_key, &options.api_secret)
        .grants(VideoGrants {
            agent: true,
            ..Default::default()
        })
        .ttl(TOKEN_TTL)
        .to_jwt()
        .map_err(|error| WorkerError::Token(error.to_string()))?;
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|error| unreachable(error.to_string()))?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|error| WorkerError::Token(error.to_string()))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let connecting =
        tokio_tungstenite::connect_async_tls_with_config(request, Some(config), true, None);
    let (socket, _) = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Err(_) => return Err(unreachable(format!("no answer within {CONNECT_TIMEOUT:?}"))),
        Ok(Err(Error::Http(response))) => {
            let body = response
                .body()
                .as_deref()
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            let message = body.chars().take(SERVER_MESSAGE_CHARS).collect();
            return Err(WorkerError::Refused {
                server,
                status: response.status().as_u16(),
                message,
            });
        }
        Ok(Err(Error::Io(error))) if is_about_certificate(&error) => {
            return Err(WorkerError::Certificate {
                server,
                reason: error.to_string(),
            });
        }
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Ok(Ok(connected)) => connected,
    };
    let (mut sink, mut source) = socket.split();
    let (outgoing, mut requests) = mpsc::channel::<WorkerMessage>(QUEUE);
    let (responses, incoming) = mpsc::channel(QUEUE);
    let writer = tokio::spawn(async move {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            let message = tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => Message::binary(request.encode_to_vec()),
                    None => break,
                },
                _ = heartbeat.tick() => Message::Ping(bytes::Bytes::new()),
            };
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    });
    let reader = tokio::spawn(async move {
        while let Some(Ok(message)) = source.next().await {
            let Message::Binary(bytes) = message else {
                continue;
            };
            match ServerMessage::decode(bytes) {
                Ok(message) => {
                    if responses.send(message).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a message of the server could not be read and was ignored")
                }
            }
        }
    });
    Ok(Socket {
        outgoing,
        incoming,
        writer: AbortOnDropHandle::new(writer),
        _reader: AbortOnDropHandle::new(reader),
    })
}

/// Did the handshake fail because of who the server says it is? Another attempt would fail in the same way.
fn is_about_certificate(error: &std::io::Error) -> bool {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}
