//! The worker's connection to the server.

use std::time::Duration;

use antiphon_client::parse_server_url;
use antiphon_client::socket::{ConnectFailure, ProtobufSocket, SocketOptions};
use antiphon_protocol::{AccessToken, VideoGrants};
use livekit_protocol::{ServerMessage, WorkerMessage, worker_message};

use crate::{WorkerError, WorkerOptions};

/// Connection, TLS and upgrade together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const SOCKET: SocketOptions = SocketOptions {
    connect_timeout: CONNECT_TIMEOUT,
    // LiveKit's limit
    message_bytes: 2 * 1024 * 1024,
    // LiveKit's; the connection is given up when more pile up
    queue: 128,
    // pings keep proxies awake and find dead connections
    heartbeat: Some(Duration::from_secs(30)),
};
/// Our own token is needed for the upgrade only.
const TOKEN_TTL: Duration = Duration::from_secs(600);
/// Text of the server in our errors.
const SERVER_MESSAGE_CHARS: usize = 200;

/// An open connection; dropping this ends it.
#[derive(Debug)]
pub(crate) struct Socket(ProtobufSocket<WorkerMessage, ServerMessage>);

impl Socket {
    /// Queue a message. False: the connection is gone or does not take any more.
    pub(crate) fn send(&self, message: worker_message::Message) -> bool {
        self.0.send(WorkerMessage {
            message: Some(message),
        })
    }

    /// The server's next message; `None`: the connection is lost.
    pub(crate) async fn recv(&mut self) -> Option<ServerMessage> {
        self.0.incoming.recv().await
    }

    /// Send what is queued (how the last jobs ended), then close.
    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}

/// Connect.
pub(crate) async fn open(options: &WorkerOptions) -> Result<Socket, WorkerError> {
    let mut url = parse_server_url(&options.url)?;
    let path = format!("{}/agent", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let token = AccessToken::new(&options.api_key, &options.api_secret)
        .grants(VideoGrants {
            agent: true,
            ..Default::default()
        })
        .ttl(TOKEN_TTL)
        .to_jwt()
        .map_err(|error| WorkerError::Token(error.to_string()))?;
    let opened = ProtobufSocket::open(&url, &token, SOCKET).await;
    opened.map(Socket).map_err(|failure| {
        let server = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        );
        match failure {
            ConnectFailure::Token => {
                WorkerError::Token("it holds characters that no header may hold".into())
            }
            ConnectFailure::Timeout => WorkerError::Unreachable {
                server,
                reason: format!("no answer within {CONNECT_TIMEOUT:?}"),
            },
            ConnectFailure::Refused {
                status,
                retry_after,
                body,
            } => WorkerError::Refused {
                server,
                status,
                retry_after,
                message: body.chars().take(SERVER_MESSAGE_CHARS).collect(),
            },
            ConnectFailure::Certificate(error) => WorkerError::Certificate {
                server,
                reason: error.to_string(),
            },
            ConnectFailure::Other(reason) => WorkerError::Unreachable { server, reason },
        }
    })
}
