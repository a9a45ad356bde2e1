//! What a peer has to report and its reader has no time for yet.

use std::collections::VecDeque;

use crate::limits::{MAX_BACKLOG_BYTES, MAX_BACKLOG_EVENTS};
use crate::{PeerEvent, channels};

/// Events for a reader that is busy.
#[derive(Default)]
pub(crate) struct Backlog {
    pub(crate) events: VecDeque<PeerEvent>,
    pub(crate) bytes: usize,
}

impl Backlog {
    pub(crate) fn push(&mut self, event: PeerEvent) {
        self.bytes += event_bytes(&event);
        self.events.push_back(event);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events.len() > MAX_BACKLOG_EVENTS || self.bytes > MAX_BACKLOG_BYTES
    }
}

pub(crate) fn event_bytes(event: &PeerEvent) -> usize {
    match event {
        PeerEvent::Data { data, .. } => data.len(),
        PeerEvent::Connected
        | PeerEvent::Disconnected
        | PeerEvent::Closed { .. }
        | PeerEvent::ChannelOpen { .. }
        | PeerEvent::MediaReceiving { .. }
        | PeerEvent::MediaFlowing { .. }
        | PeerEvent::Rtp(_)
        | PeerEvent::AudioLevels(_)
        | PeerEvent::Statistics(_) => 0,
    }
}

/// Is it worth nothing later?
pub(crate) fn is_perishable(event: &PeerEvent) -> bool {
    match event {
        PeerEvent::Rtp(_) | PeerEvent::AudioLevels(_) | PeerEvent::Statistics(_) => true,
        PeerEvent::Data { label, .. } => channels::is_lossy(label),
        PeerEvent::Connected
        | PeerEvent::Disconnected
        | PeerEvent::Closed { .. }
        | PeerEvent::ChannelOpen { .. }
        | PeerEvent::MediaReceiving { .. }
        | PeerEvent::MediaFlowing { .. } => false,
    }
}
