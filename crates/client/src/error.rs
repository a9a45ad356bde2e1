//! What can go wrong with a room. No message holds a token.

use std::time::Duration;

use antiphon_rtc::RtcError;
use livekit_protocol::DisconnectReason;

use crate::RpcError;

/// A failure of the room client.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The server's URL cannot be used.
    #[error(
        "`{url}` is not a server URL ({reason}); write it like wss://example.livekit.cloud or http://localhost:7880"
    )]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// No connection.
    #[error("cannot reach {server}: {reason}. Is the server running, and is the URL right?")]
    Unreachable {
        /// Host and port.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server refused with an HTTP status before the room was joined.
    #[error("{server} refused the connection ({status}): {message}")]
    Refused {
        /// Host and port.
        server: String,
        /// HTTP status.
        status: u16,
        /// When it may be tried again, if the server says so.
        retry_after: Option<Duration>,
        /// Its text, shortened.
        message: String,
    },
    /// The server ended the session instead of letting us in.
    #[error("the server did not let us into the room: {reason:?}")]
    JoinRefused {
        /// Its reason.
        reason: DisconnectReason,
    },
    /// No answer in time.
    #[error("no {what} within {after:?}")]
    Timeout {
        /// What we waited for.
        what: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The server sent something that cannot be.
    #[error("the server sent something unexpected: {0}")]
    Protocol(String),
    /// The media engine failed.
    #[error(transparent)]
    Rtc(#[from] RtcError),
    /// The room is closed.
    #[error("the room is closed")]
    Closed,
    /// The server refused a request (publishing, attributes).
    #[error("the server refused to {what}: {reason}. Check the grants of the token")]
    NotAllowed {
        /// What we asked for.
        what: &'static str,
        /// Its reason.
        reason: String,
    },
    /// More than fits.
    #[error("{what} is too large: {size}, at most {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A remote procedure call failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl RoomError {
    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Can another attempt with the same token succeed?
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Protocol(_) | Self::Rtc(_) => {
                true
            }
            Self::Refused { status, .. } => crate::socket::is_passing(*status),
            Self::JoinRefused { reason } => !matches!(
                reason,
                DisconnectReason::DuplicateIdentity
                    | DisconnectReason::ParticipantRemoved
                    | DisconnectReason::RoomDeleted
                    | DisconnectReason::RoomClosed
            ),
            Self::Url { .. }
            | Self::Closed
            | Self::NotAllowed { .. }
            | Self::TooLarge { .. }
            | Self::Rpc(_) => false,
        }
    }
}

/// A server's text, shortened on a character boundary.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.trim().to_owned();
    }
    let end = (0..=limit)
        .rev()
        .find(|index| text.is_char_boundary(*index))
        .unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default().trim())
}
