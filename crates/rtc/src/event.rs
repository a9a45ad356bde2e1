//! What a peer reports.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::StreamStatistics;

/// What a peer reports, in order, to the channel given at its making. For a slow reader, packets, levels and
/// lossy messages are dropped; everything else waits, up to 4 MiB, and then that peer is closed.
#[derive(Clone, Debug)]
pub enum PeerEvent {
    /// ICE and DTLS are up.
    Connected,
    /// ICE lost the other side; it may come back.
    Disconnected,
    /// The peer is gone for good: closed, failed, or panicked (counted). Nothing follows.
    Closed {
        /// Why, for logs.
        reason: String,
    },
    /// A data channel is open for writing.
    ChannelOpen {
        /// Its label.
        label: Arc<str>,
    },
    /// A message on a data channel.
    Data {
        /// The channel's label.
        label: Arc<str>,
        /// The whole message.
        data: Bytes,
    },
    /// The other side sends (or has stopped sending) in a media section, known from an offer or answer.
    MediaReceiving {
        /// The section.
        mid: Arc<str>,
        /// Audio or video.
        kind: MediaKind,
        /// Does it send now?
        active: bool,
    },
    /// The first RTP packet of a media section arrived.
    MediaFlowing {
        /// The section.
        mid: Arc<str>,
    },
    /// A received packet (only with `deliver_rtp`).
    Rtp(RtpPacket),
    /// Loudness of every receiving audio section since the last report, also while silent.
    AudioLevels(Vec<AudioLevel>),
    /// What was measured since the last such report (only with `statistics_interval`), of some of its sections.
    Statistics(Vec<StreamStatistics>),
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Opus, RED, PCMU, PCMA.
    Audio,
    /// VP8, VP9, H264, AV1.
    Video,
}

/// One received RTP packet; RED is unwrapped, with lost packets recovered from its redundancy in front of it.
#[derive(Clone, Debug)]
pub struct RtpPacket {
    /// The media section.
    pub mid: Arc<str>,
    /// Extended (never wraps), by arrival.
    pub sequence: u64,
    /// RTP time stamp, extended, in the codec's clock (48 kHz for Opus).
    pub timestamp: u64,
    /// The talk spurt begins.
    pub marker: bool,
    /// When it was read from the socket.
    pub received: Instant,
    /// The codec's payload.
    pub payload: Bytes,
}

/// Loudness of one section (RFC 6464), aggregated over the interval.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioLevel {
    /// The media section.
    pub mid: Arc<str>,
    /// The loudest level in -dBov: 0 is the loudest, 127 silence.
    pub loudest: u8,
    /// How much of the interval was at or above LiveKit's active level (35 -dBov), 0 to 1.
    pub active: f32,
}
