//! The signalling WebSocket: protobuf in binary frames.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use livekit_protocol::{SignalRequest, SignalResponse, signal_request};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::address::server_name;
use crate::error::shorten;
use crate::{RoomError, limits};

/// An open connection. `incoming` ends when it is lost; dropping this ends it.
#[derive(Debug)]
pub(crate) struct Signal {
    outgoing: mpsc::Sender<SignalRequest>,
    pub(crate) incoming: mpsc::Receiver<SignalResponse>,
    writer: AbortOnDropHandle<()>,
    _reader: AbortOnDropHandle<()>,
}

impl Signal {
    /// Queue a request. False: the connection is gone or does not take any more.
    pub(crate) fn send(&self, message: signal_request::Message) -> bool {
        self.outgoing
            .try_send(SignalRequest {
                message: Some(message),
            })
            .is_ok()
    }

    /// Send what is queued, then close.
    pub(crate) async fn close(self) {
        let Self {
            outgoing,
            incoming,
            writer,
            _reader,
        } = self;
        drop((outgoing, incoming));
        let _ = tokio::time::timeout(Duration::from_secs(1), writer).await;
    }
}

/// Open a connection.
pub(crate) async fn open(url: &Url, token: &str, within: Duration) -> Result<Signal, RoomError> {
    let server = server_name(url);
    let unreachable = |reason: String| RoomError::Unreachable {
        server: server.clone(),
        reason,
    };
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|error| unreachable(error.to_string()))?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| unreachable("the token holds characters that no header may hold".into()))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::SIGNAL_MESSAGE_BYTES))
        .max_frame_size(Some(limits::SIGNAL_MESSAGE_BYTES));
    // Only the first caller of the process decides; everything here is built on the same library.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let connecting =
        tokio_tungstenite::connect_async_tls_with_config(request, Some(config), true, None);
    let (socket, _) = match tokio::time::timeout(within, connecting).await {
        Err(_) => {
            return Err(RoomError::Timeout {
                what: "connection to the server",
                after: within,
            });
        }
        Ok(Err(Error::Http(response))) => {
            let body = response
                .body()
                .as_deref()
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            return Err(RoomError::Refused {
                server,
                status: response.status().as_u16(),
                message: shorten(&body, limits::SERVER_MESSAGE_BYTES),
            });
        }
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Ok(Ok(connected)) => connected,
    };
    let (mut sink, mut source) = socket.split();
    let (outgoing, mut requests) = mpsc::channel::<SignalRequest>(limits::SIGNAL_QUEUE);
    let (responses, incoming) = mpsc::channel(limits::SIGNAL_QUEUE);
    let writer = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            if sink
                .send(Message::binary(request.encode_to_vec()))
                .await
                .is_err()
            {
                return;
            }
        }
        let _ = sink.close().await;
    }));
    let reader = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(Ok(message)) = source.next().await {
            let Message::Binary(bytes) = message else {
                continue;
            };
            match SignalResponse::decode(bytes) {
                Ok(response) => {
                    if responses.send(response).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a signal message could not be read and was ignored")
                }
            }
        }
    }));
    Ok(Signal {
        outgoing,
        incoming,
        writer,
        _reader: reader,
    })
}
