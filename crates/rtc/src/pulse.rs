//! When a peer was heard last, for whoever asks from another thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Beats with every datagram of a peer.
#[derive(Debug)]
pub(crate) struct Pulse {
    start: Instant,
    /// The last beat, in milliseconds since the start.
    last_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }
}

impl Pulse {
    /// A datagram came.
    pub(crate) fn beat(&self, now: Instant) {
        self.last_ms.store(self.millis(now), Ordering::Relaxed);
    }

    /// How long nothing has come; since it was made, if nothing ever has.
    pub(crate) fn quiet_for(&self, now: Instant) -> Duration {
        let last = self.last_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.millis(now).saturating_sub(last))
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_quiet_from_its_last_datagram_on() {
        let pulse = Pulse::default();
        let at = |seconds| pulse.start + Duration::from_secs(seconds);
        assert_eq!(pulse.quiet_for(at(3)), Duration::from_secs(3));
        pulse.beat(at(4));
        assert_eq!(pulse.quiet_for(at(4)), Duration::ZERO);
        assert_eq!(pulse.quiet_for(at(9)), Duration::from_secs(5));
    }
}
