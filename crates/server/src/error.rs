//! What can go wrong while the server starts. Failures of requests are HTTP statuses and never end the server.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A setting makes no sense.
    #[error("{setting}: {problem}")]
    Config {
        /// Which one.
        setting: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The HTTP port is taken or not allowed.
    #[error("cannot listen on {address}: {source}. Is another server running? Choose another port")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A port of the TURN server is taken or not allowed.
    #[error(
        "cannot listen on {address} for TURN: {source}. Choose another port in the section `turn`"
    )]
    Turn {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The media engine did not start.
    #[error(transparent)]
    Media(#[from] antiphon_rtc::RtcError),
    /// A TLS file could not be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Certificate and key are unusable.
    #[error("TLS certificate or key is unusable: {0}")]
    Tls(String),
    /// An ACME server gave no certificate; it is asked again.
    #[error("{0}")]
    Acme(String),
}
