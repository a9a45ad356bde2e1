//! A subscribed track's packets, and our published track. Sound passes neither the actor nor its queues.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use antiphon_rtc::{Peer, RtpPacket};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use crate::actor::Command;
use crate::{RoomError, limits};

/// The packets of one subscribed track, by arrival. When the reader is slow the oldest is dropped and counted.
#[derive(Debug)]
pub struct AudioStream {
    ring: Arc<Ring>,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct AudioSink {
    ring: Arc<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    packets: Mutex<VecDeque<RtpPacket>>,
    news: Notify,
    closed: AtomicBool,
    dropped: AtomicU64,
}

/// A ring for one track.
pub(crate) fn audio_channel() -> (AudioSink, AudioStream) {
    let ring = Arc::new(Ring::default());
    (AudioSink { ring: ring.clone() }, AudioStream { ring })
}

impl AudioSink {
    pub(crate) fn push(&self, packet: RtpPacket) {
        let mut packets = self
            .ring
            .packets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if packets.len() >= limits::AUDIO_PACKETS {
            packets.pop_front();
            self.ring.dropped.fetch_add(1, Ordering::Relaxed);
        }
        packets.push_back(packet);
        drop(packets);
        self.ring.news.notify_one();
    }
}

impl Drop for AudioSink {
    fn drop(&mut self) {
        self.ring.closed.store(true, Ordering::Release);
        self.ring.news.notify_one();
    }
}

impl AudioStream {
    /// The next packet; `None` when the track is gone. Safe to cancel.
    pub async fn recv(&mut self) -> Option<RtpPacket> {
        loop {
            let closed = self.ring.closed.load(Ordering::Acquire);
            if let Some(packet) = self.try_recv() {
                return Some(packet);
            }
            if closed {
                return None;
            }
            self.ring.news.notified().await;
        }
    }

    /// The next packet if one is there.
    pub fn try_recv(&mut self) -> Option<RtpPacket> {
        self.ring
            .packets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// The track is gone; what is still in here can be read.
    pub fn is_closed(&self) -> bool {
        self.ring.closed.load(Ordering::Acquire)
    }

    /// How many packets this reader was too slow for.
    pub fn dropped(&self) -> u64 {
        self.ring.dropped.load(Ordering::Relaxed)
    }
}

/// Our published track. It stays valid across reconnects; what is sent while there is no connection is dropped, as on any
/// telephone.
#[derive(Clone, Debug)]
pub struct LocalAudioTrack {
    pub(crate) shared: Arc<LocalShared>,
    pub(crate) commands: mpsc::Sender<Command>,
}

/// What the actor and the handles of one local track share.
#[derive(Debug)]
pub(crate) struct LocalShared {
    /// The publisher peer and our section in it, while connected.
    pub(crate) route: RwLock<Option<(Peer, String)>>,
    /// The track's sid; a new one after a full reconnect.
    pub(crate) sid: RwLock<String>,
    /// Does anybody hear it?
    pub(crate) subscribed: watch::Sender<bool>,
    /// For people to read.
    pub(crate) name: String,
}

impl LocalShared {
    pub(crate) fn new(name: String) -> Self {
        Self {
            route: RwLock::default(),
            sid: RwLock::default(),
            subscribed: watch::Sender::new(false),
            name,
        }
    }

    pub(crate) fn set_route(&self, route: Option<(Peer, String)>) {
        *self.route.write().unwrap_or_else(PoisonError::into_inner) = route;
    }

    pub(crate) fn set_sid(&self, sid: String) {
        *self.sid.write().unwrap_or_else(PoisonError::into_inner) = sid;
    }

    pub(crate) fn sid(&self) -> String {
        self.sid
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl LocalAudioTrack {
    /// `TR_…`; changes with a full reconnect.
    pub fn sid(&self) -> String {
        self.shared.sid()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Send one Opus packet. `timestamp` counts 48 kHz samples and is the caller's to keep; `marker` at the beginning of a
    /// talk spurt; `level` is its loudness in -dBov (0 the loudest, 127 silence). Never blocks.
    pub fn send_opus(&self, payload: Bytes, timestamp: u64, marker: bool, level: u8) {
        let route = self
            .shared
            .route
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((peer, mid)) = route.as_ref() {
            peer.send_opus(mid, payload, timestamp, marker, level);
        }
    }

    /// Returns when somebody hears this track (LiveKit's `wait_for_subscription`).
    pub async fn wait_for_subscription(&self) {
        let mut subscribed = self.shared.subscribed.subscribe();
        // The sender lives in `self.shared`, so this cannot fail.
        let _ = subscribed.wait_for(|subscribed| *subscribed).await;
    }

    /// Announce that the track is silent by choice, or not any more.
    pub async fn set_muted(&self, muted: bool) -> Result<(), RoomError> {
        let command = Command::Mute {
            track_sid: self.sid(),
            muted,
        };
        self.commands
            .send(command)
            .await
            .map_err(|_| RoomError::Closed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Instant;

    fn packet(sequence: u64) -> RtpPacket {
        RtpPacket {
            mid: "1".into(),
            sequence,
            timestamp: sequence * 960,
            marker: false,
            received: Instant::now(),
            payload: Bytes::new(),
        }
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_oldest_packets_and_can_see_how_many() {
        let (sink, mut stream) = audio_channel();
        for sequence in 0..limits::AUDIO_PACKETS as u64 + 3 {
            sink.push(packet(sequence));
        }
        assert_eq!(stream.recv().await.unwrap().sequence, 3);
        assert_eq!(stream.dropped(), 3);
    }

    #[tokio::test]
    async fn what_arrived_before_the_end_is_still_read() {
        let (sink, mut stream) = audio_channel();
        sink.push(packet(7));
        drop(sink);
        assert_eq!(stream.recv().await.unwrap().sequence, 7);
        assert!(stream.recv().await.is_none());
    }
}
