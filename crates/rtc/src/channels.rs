//! Data channels of one peer: which label is which channel, and what waits for room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use str0m::Rtc;
use str0m::channel::{ChannelConfig, ChannelId, Reliability};

use crate::limits::{
    MAX_ALL_QUEUES_BYTES, MAX_CHANNELS, MAX_DATA_MESSAGE_BYTES, MAX_LOSSY_BUFFER_BYTES,
    MAX_RELIABLE_IN_FLIGHT_BYTES, MAX_RELIABLE_QUEUE_BYTES, MAX_RELIABLE_QUEUE_BYTES_WHEN_FULL,
};

/// How a message fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is on its way or waits.
    Taken,
    /// It was dropped, as lossy messages may be.
    Dropped,
    /// It was dropped because the other side takes its reliable messages too slowly.
    TooSlow,
}

/// What waits in all channels of a shard, bytes.
pub(crate) type Waiting = Arc<AtomicUsize>;

/// All channels of one label. The other side may open one under the label of ours: either may be written to.
#[derive(Debug)]
struct Lane {
    label: Arc<str>,
    reliable: bool,
    open: Vec<ChannelId>,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Messages are being left out: the log was told.
    behind: bool,
}

/// The channels of one peer.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    lanes: Vec<Lane>,
    all_waiting: Waiting,
}

impl Drop for Channels {
    fn drop(&mut self) {
        let bytes = self.lanes.iter().map(|lane| lane.waiting_bytes).sum();
        self.all_waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What LiveKit's labels stand for.
pub(crate) fn config_of(label: &str) -> ChannelConfig {
    let lossy = is_lossy(label);
    ChannelConfig {
        label: label.to_owned(),
        ordered: !lossy,
        reliability: if lossy {
            Reliability::MaxRetransmits { retransmits: 0 }
        } else {
            Reliability::Reliable
        },
        ..ChannelConfig::default()
    }
}

pub(crate) fn is_lossy(label: &str) -> bool {
    matches!(label, "_lossy" | "_data_track")
}

impl Channels {
    pub(crate) fn new(all_waiting: Waiting) -> Self {
        Self {
            lanes: Vec::new(),
            all_waiting,
        }
    }

    /// We are going to open a channel; messages may wait for it. False: there are too many.
    pub(crate) fn expect(&mut self, label: &str) -> bool {
        self.lane_mut(label).is_some()
    }

    /// A channel opened. `None`: there are too many.
    pub(crate) fn opened(&mut self, id: ChannelId, label: &str) -> Option<Arc<str>> {
        let open: usize = self.lanes.iter().map(|lane| lane.open.len()).sum();
        if open >= MAX_CHANNELS {
            return None;
        }
        let lane = self.lane_mut(label)?;
        if !lane.open.contains(&id) {
            lane.open.push(id);
        }
        Some(Arc::clone(&lane.label))
    }

    /// A channel closed.
    pub(crate) fn closed(&mut self, id: ChannelId) {
        for lane in &mut self.lanes {
            lane.open.retain(|open| *open != id);
        }
    }

    /// Whose channel is this?
    pub(crate) fn label(&self, id: ChannelId) -> Option<Arc<str>> {
        self.lanes
            .iter()
            .find(|lane| lane.open.contains(&id))
            .map(|lane| Arc::clone(&lane.label))
    }

    /// Send a message, at once or as soon as there is room.
    pub(crate) fn send(&mut self, rtc: &mut Rtc, label: &str, data: Bytes) -> Sent {
        if data.len() > MAX_DATA_MESSAGE_BYTES {
            tracing::warn!(
                label,
                bytes = data.len(),
                "a data message is too long and was dropped"
            );
            return Sent::Dropped;
        }
        let all_waiting = &self.all_waiting;
        let Some(lane) = self.lanes.iter_mut().find(|lane| &*lane.label == label) else {
            return Sent::Dropped;
        };
        if lane.reliable {
            let limit = if all_waiting.load(Ordering::Relaxed) < MAX_ALL_QUEUES_BYTES {
                MAX_RELIABLE_QUEUE_BYTES
            } else {
                MAX_RELIABLE_QUEUE_BYTES_WHEN_FULL
            };
            if lane.waiting_bytes + data.len() > limit {
                if !std::mem::replace(&mut lane.behind, true) {
                    tracing::warn!(
                        label,
                        waiting_bytes = lane.waiting_bytes,
                        "the other side takes its data too slowly; messages to it are left out until it has caught up"
                    );
                }
                return Sent::TooSlow;
            }
            lane.waiting_bytes += data.len();
            all_waiting.fetch_add(data.len(), Ordering::Relaxed);
            lane.waiting.push_back(data);
            lane.flush(rtc, all_waiting);
            Sent::Taken
        } else if lane.write(rtc, &data, MAX_LOSSY_BUFFER_BYTES) {
            Sent::Taken
        } else {
            Sent::Dropped
        }
    }

    #[cfg(test)]
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting_bytes).sum()
    }

    /// Hand over what waits; true: something was written.
    pub(crate) fn flush(&mut self, rtc: &mut Rtc) -> bool {
        let mut any = false;
        for lane in &mut self.lanes {
            any |= lane.flush(rtc, &self.all_waiting);
        }
        any
    }

    fn lane_mut(&mut self, label: &str) -> Option<&mut Lane> {
        let index = match self.lanes.iter().position(|lane| &*lane.label == label) {
            Some(index) => index,
            None if self.lanes.len() >= MAX_CHANNELS => return None,
            None => {
                self.lanes.push(Lane {
                    label: label.into(),
                    reliable: !is_lossy(label),
                    open: Vec::new(),
                    waiting: VecDeque::new(),
                    waiting_bytes: 0,
                    behind: false,
                });
                self.lanes.len() - 1
            }
        };
        self.lanes.get_mut(index)
    }
}

impl Lane {
    /// Write one message unless more than `limit` bytes are under way.
    fn write(&mut self, rtc: &mut Rtc, data: &[u8], limit: usize) -> bool {
        let Some(id) = self.open.first() else {
            return false;
        };
        let Some(mut channel) = rtc.channel(*id) else {
            return false;
        };
        if channel.buffered_amount() + data.len() > limit {
            return false;
        }
        match channel.write(true, data) {
            Ok(taken) => taken,
            Err(error) => {
                // Too long for the other side: no later attempt would fare better.
                tracing::debug!(label = %self.label, %error, "a data message was not taken");
                crate::counters::dropped("data_refused");
                true
            }
        }
    }

    fn flush(&mut self, rtc: &mut Rtc, all_waiting: &AtomicUsize) -> bool {
        let mut any = false;
        while let Some(data) = self.waiting.pop_front() {
            if !self.write(rtc, &data, MAX_RELIABLE_IN_FLIGHT_BYTES) {
                self.waiting.push_front(data);
                break;
            }
            self.waiting_bytes -= data.len();
            all_waiting.fetch_sub(data.len(), Ordering::Relaxed);
            any = true;
        }
        self.behind &= !self.waiting.is_empty();
        any
    }
}
