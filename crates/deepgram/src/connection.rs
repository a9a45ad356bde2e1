//! One WebSocket: its handshake and what its failures mean.

use std::time::Duration;

use antiphon_agent::ProviderError;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::config::DeepgramConfig;

/// The name in errors, logs and metrics.
pub(crate) const PROVIDER: &str = "deepgram";
/// A larger message is refused: a minute of words with times is some 20 kB.
pub(crate) const MAX_MESSAGE_BYTES: usize = 512 * 1024;
/// How much of an error's text is told.
const MAX_MESSAGE_CHARS: usize = 300;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connect within the time-out.
pub(crate) async fn connect(config: &DeepgramConfig) -> Result<Socket, ProviderError> {
    let mut request = config
        .listen_url()?
        .as_str()
        .into_client_request()
        .map_err(|error| in_our_words(config, error))?;
    let mut key =
        HeaderValue::from_str(&format!("Token {}", config.api_key.expose())).map_err(|_| {
            ProviderError::Unauthorized {
                provider: PROVIDER,
                status: 401,
                message: "the key holds characters that no key has".to_owned(),
            }
        })?;
    key.set_sensitive(true);
    request.headers_mut().insert("Authorization", key);
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let after = config.timeouts.connect;
    match timeout(
        after,
        connect_async_with_config(request, Some(limits), true),
    )
    .await
    {
        Err(_) => Err(ProviderError::Timeout {
            provider: PROVIDER,
            after,
        }),
        Ok(Err(error)) => Err(in_our_words(config, error)),
        Ok(Ok((socket, _))) => Ok(socket),
    }
}

pub(crate) fn broken(message: impl Into<String>) -> ProviderError {
    ProviderError::Connection {
        provider: PROVIDER,
        message: message.into(),
    }
}

/// Errors of both directions.
pub(crate) fn in_our_words(config: &DeepgramConfig, error: Error) -> ProviderError {
    match error {
        Error::Http(response) => refused(config, &response),
        Error::Capacity(error) => broken(format!("too large a message ({error})")),
        Error::Url(error) => ProviderError::Protocol {
            provider: PROVIDER,
            message: format!("DEEPGRAM_BASE_URL: {error}"),
        },
        other => broken(short(&config.api_key.scrub(&other.to_string()))),
    }
}

fn refused(config: &DeepgramConfig, response: &Response<Option<Vec<u8>>>) -> ProviderError {
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let body = response
        .body()
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let reason = header("dg-error")
        .or(json.get("err_msg").and_then(serde_json::Value::as_str))
        .unwrap_or("no reason given");
    let message = short(&config.api_key.scrub(reason));
    let status = response.status().as_u16();
    match status {
        // 402: the account has no money left; the fix is the account's as well.
        401..=403 => ProviderError::Unauthorized {
            provider: PROVIDER,
            status,
            message,
        },
        429 => {
            let seconds = header("retry-after").and_then(|value| value.trim().parse().ok());
            ProviderError::RateLimited {
                provider: PROVIDER,
                retry_after: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
                message,
            }
        }
        _ => ProviderError::Status {
            provider: PROVIDER,
            status,
            message,
        },
    }
}

/// Why the server closed; the reasons are Deepgram's codes.
pub(crate) fn closed(frame: Option<&tungstenite::protocol::CloseFrame>) -> ProviderError {
    match frame {
        None => broken("the server closed it without a reason"),
        Some(frame) => {
            let code = u16::from(frame.code);
            let reason = frame.reason.as_str();
            let meaning = match reason {
                text if text.contains("NET-0001") => " (no sound arrived in time)",
                text if text.contains("DATA-0000") => " (the sound could not be decoded)",
                _ => "",
            };
            broken(format!(
                "the server closed it: {code} {}{meaning}",
                short(reason)
            ))
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARS).collect()
}
