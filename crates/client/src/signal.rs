//! The signalling connection of a room.

use std::time::Duration;

use livekit_protocol::{SignalRequest, SignalResponse, signal_request};
use tokio_tungstenite::tungstenite;
use url::Url;

use crate::address::server_name;
use crate::error::shorten;
use crate::socket::{ConnectFailure, ProtobufSocket, SocketOptions};
use crate::{RoomError, limits};

/// An open connection; dropping this ends it.
#[derive(Debug)]
pub(crate) struct Signal(ProtobufSocket<SignalRequest, SignalResponse>);

impl Signal {
    /// Queue a request. False: the connection is gone or does not take any more.
    pub(crate) fn send(&self, message: signal_request::Message) -> bool {
        self.0.send(SignalRequest {
            message: Some(message),
        })
    }

    /// The server's next message; `None`: the connection is lost.
    pub(crate) async fn recv(&mut self) -> Option<SignalResponse> {
        self.0.incoming.recv().await
    }

    /// Send what is queued, then close.
    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}

/// Open a connection.
pub(crate) async fn open(url: &Url, token: &str, within: Duration) -> Result<Signal, RoomError> {
    let options = SocketOptions {
        connect_timeout: within,
        message_bytes: limits::SIGNAL_MESSAGE_BYTES,
        queue: limits::SIGNAL_QUEUE,
        heartbeat: None,
    };
    let opened = ProtobufSocket::open(url, token, options).await;
    opened.map(Signal).map_err(|failure| {
        let server = server_name(url);
        let reason = match failure {
            ConnectFailure::Timeout => {
                return RoomError::Timeout {
                    what: "connection to the server",
                    after: within,
                };
            }
            ConnectFailure::Refused {
                status,
                retry_after,
                body,
            } => {
                return RoomError::Refused {
                    server,
                    status,
                    retry_after,
                    message: shorten(&body, limits::SERVER_MESSAGE_BYTES),
                };
            }
            ConnectFailure::Token => "the token holds characters that no header may hold".into(),
            ConnectFailure::Certificate(error) => tungstenite::Error::Io(error).to_string(),
            ConnectFailure::Other(reason) => reason,
        };
        RoomError::Unreachable { server, reason }
    })
}
