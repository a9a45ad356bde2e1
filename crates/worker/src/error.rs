//! What can go wrong with a worker. No message holds a key or a token.

use antiphon_client::socket::is_passing;
use antiphon_client::{DisconnectReason, RoomError};

/// What to do about a refusal.
fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => ". Check LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
        404 => ". Check LIVEKIT_URL: nothing there takes agent workers",
        passing if is_passing(passing) => "",
        _ => ". Check LIVEKIT_URL and what stands between",
    }
}

/// A failure of the worker.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The room failed.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// No token could be made.
    #[error("no token could be made: {0}. Check LIVEKIT_API_KEY and LIVEKIT_API_SECRET")]
    Token(String),
    /// The server refused the worker.
    #[error("{server} refused the worker ({status}): {message}{}", advice(*.status))]
    Refused {
        /// Host and port.
        server: String,
        /// HTTP status.
        status: u16,
        /// When it may be tried again, if the server says so.
        retry_after: Option<std::time::Duration>,
        /// Its text, shortened.
        message: String,
    },
    /// No connection.
    #[error("cannot reach the server {server}: {reason}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server is not who it says it is, as far as anybody can tell.
    #[error(
        "the certificate of {server} is not trusted: {reason}. Give the server a certificate of a public authority \
         (--tls-cert, --tls-key, or a proxy such as Caddy), or use ws:// inside a private network"
    )]
    Certificate {
        /// Host and port.
        server: String,
        /// Why.
        reason: String,
    },
    /// It did not come back.
    #[error("gave up after {attempts} attempts to reach the server: {last}")]
    GaveUp {
        /// How many.
        attempts: u32,
        /// The last failure.
        last: Box<WorkerError>,
    },
    /// The server did something that the protocol does not allow.
    #[error("the server sent something unexpected: {0}")]
    Protocol(String),
    /// The room was left without anybody's wish.
    #[error("the connection to the room was lost ({reason:?}) and did not come back")]
    Lost {
        /// Why.
        reason: DisconnectReason,
    },
    /// The codec refused to start.
    #[error("no audio codec: {0}")]
    Audio(#[from] antiphon_audio::AudioError),
    /// The caller returned just when the agent's place was given to another caller.
    #[error(
        "the worker is full: the agent's place was given to another caller; the server looks for another agent"
    )]
    SeatTaken,
    /// Jobs did not end in time while draining.
    #[error("{jobs} jobs were still running when the drain time was over")]
    DrainTimeout {
        /// How many.
        jobs: usize,
    },
}
