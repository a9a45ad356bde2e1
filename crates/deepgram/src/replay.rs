//! The last seconds of sound, sent again after a reconnect, without I/O.

use std::collections::VecDeque;

/// 16 kHz: what goes out.
pub(crate) const RATE_HZ: u64 = 16_000;
/// So much is kept at most, the newest: two seconds. Older words are lost with the connection; repeating more would delay the
/// new ones.
pub(crate) const MAX_SAMPLES: usize = 2 * RATE_HZ as usize;

/// Positions count samples since the caller's stream began.
#[derive(Debug, Default)]
pub(crate) struct ReplayBuffer {
    samples: VecDeque<i16>,
    /// Position behind the newest sample.
    end: u64,
    /// Position of the first sample of this connection.
    connection_start: u64,
}

impl ReplayBuffer {
    /// Keep these too.
    pub(crate) fn push(&mut self, samples: &[i16]) {
        self.end += samples.len() as u64;
        self.samples.extend(samples);
        let excess = self.samples.len().saturating_sub(MAX_SAMPLES);
        self.samples.drain(..excess);
    }

    /// The sound up to this second of the connection is not needed any more.
    pub(crate) fn sure_until(&mut self, seconds: f64) {
        // Saturating: a float from outside.
        let position = self
            .connection_start
            .saturating_add((seconds.max(0.0) * RATE_HZ as f64) as u64);
        let begin = self.end - self.samples.len() as u64;
        let count = usize::try_from(position.saturating_sub(begin))
            .unwrap_or(usize::MAX)
            .min(self.samples.len());
        self.samples.drain(..count);
    }

    /// Forget all.
    pub(crate) fn clear(&mut self) {
        self.samples.clear();
    }

    /// A new connection begins with what is kept.
    pub(crate) fn reconnected(&mut self) -> Vec<i16> {
        self.connection_start = self.end - self.samples.len() as u64;
        self.samples.iter().copied().collect()
    }

    /// How many seconds this connection has been given.
    pub(crate) fn connection_seconds(&self) -> f64 {
        (self.end - self.connection_start) as f64 / RATE_HZ as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_not_yet_final_is_sent_again() {
        let mut buffer = ReplayBuffer::default();
        buffer.push(&[1; 16_000]);
        buffer.push(&[2; 8_000]);
        buffer.sure_until(1.0);
        assert_eq!(buffer.reconnected(), [2; 8_000]);
        buffer.push(&[3; 4_000]);
        buffer.sure_until(0.5);
        assert_eq!(buffer.reconnected(), [3; 4_000]);
        assert!(buffer.connection_seconds() - 0.25 < 1e-9);
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_two_seconds(steps in prop::collection::vec((0..50_000_usize, any::<f64>(), any::<bool>()), 0..12)) {
            let mut buffer = ReplayBuffer::default();
            for (length, seconds, reconnect) in steps {
                buffer.push(&vec![0; length]);
                buffer.sure_until(seconds);
                if reconnect {
                    prop_assert!(buffer.reconnected().len() <= MAX_SAMPLES);
                }
                prop_assert!(buffer.samples.len() <= MAX_SAMPLES);
            }
        }
    }
}
