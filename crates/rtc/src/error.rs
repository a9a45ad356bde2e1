//! What can go wrong.

/// A failure of the media engine.
#[derive(Debug, thiserror::Error)]
pub enum RtcError {
    /// A socket could not be bound.
    #[error("cannot bind {address}: {source}. Is another server running? Choose another port")]
    Bind {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The port for ICE over TCP could not be bound.
    #[error(
        "cannot listen on {address} (TCP) for media: {source}. Choose another rtc.tcp_port, or 0 for none"
    )]
    BindTcp {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The session description cannot be used.
    #[error("the session description was not accepted: {0}")]
    Sdp(String),
    /// The candidate cannot be used.
    #[error("the ICE candidate was not accepted: {0}")]
    Candidate(String),
    /// The peer has gone.
    #[error("the peer is closed")]
    Closed,
    /// An offer is pending; wait for its answer.
    #[error("an offer is already waiting for its answer")]
    OfferPending,
    /// The engine is full.
    #[error(
        "no room for another peer ({limit} at most); try again later or raise `limits.max_peers`"
    )]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The shard has more to do than it can.
    #[error("the media engine is overloaded; try again later")]
    Busy,
    /// No such media section or channel.
    #[error("there is no {0}")]
    Unknown(String),
}
