//! How a room is joined.

use std::time::Duration;

use antiphon_rtc::ShardId;

/// Which remote tracks are subscribed without being asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoSubscribe {
    /// Every track.
    All,
    /// Audio tracks: what a voice agent wants.
    #[default]
    AudioOnly,
    /// None; see [`Room::set_subscribed`](crate::Room::set_subscribed).
    None,
}

/// How a room is joined.
#[derive(Clone, Debug)]
pub struct RoomOptions {
    /// Which remote tracks are subscribed. Default: audio.
    pub auto_subscribe: AutoSubscribe,
    /// Negotiate RED (redundant Opus): survives loss for 20 kbit/s more. Default: yes, as the SDKs do.
    pub red: bool,
    /// One peer connection for both directions, where the server knows how (LiveKit's `/rtc/v1`); otherwise, and when this is
    /// false, two. Default: yes, as the SDKs do.
    pub single_connection: bool,
    /// TCP, TLS and WebSocket upgrade together. Default 5 s, LiveKit's.
    pub connect_timeout: Duration,
    /// Attempts to come back after a loss. Default 10, LiveKit's.
    pub reconnect_attempts: u32,
    /// The engine's thread for both peer connections. Default: the least loaded one.
    pub shard: Option<ShardId>,
}

impl Default for RoomOptions {
    fn default() -> Self {
        Self {
            auto_subscribe: AutoSubscribe::default(),
            red: true,
            single_connection: true,
            connect_timeout: Duration::from_secs(5),
            reconnect_attempts: 10,
            shard: None,
        }
    }
}
