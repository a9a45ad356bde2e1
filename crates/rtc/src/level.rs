//! Loudness of a received section, from the levels that the sender writes into every packet (RFC 6464).

use std::sync::Arc;
use std::time::Duration;

use crate::AudioLevel;

/// At or above this a voice counts as active, in -dBov (LiveKit's default).
const ACTIVE_LEVEL: u8 = 35;
/// Silence, in -dBov.
const SILENCE: u8 = 127;
/// Opus' clock.
const SAMPLES_PER_MS: u64 = 48;
/// What one packet stands for when its neighbours do not tell: 20 ms.
const USUAL_PACKET: u64 = 20 * SAMPLES_PER_MS;
/// Opus packets are at most 120 ms.
const LONGEST_PACKET: u64 = 120 * SAMPLES_PER_MS;

/// Gathers levels until they are reported.
#[derive(Clone, Debug)]
pub(crate) struct LevelMeter {
    loudest: u8,
    active: u64,
    last: Option<u64>,
}

impl Default for LevelMeter {
    fn default() -> Self {
        Self {
            loudest: SILENCE,
            active: 0,
            last: None,
        }
    }
}

impl LevelMeter {
    /// A packet with this level (-dBov) and time stamp arrived.
    pub(crate) fn packet(&mut self, level: u8, timestamp: u64) {
        let step = self
            .last
            .map_or(USUAL_PACKET, |last| timestamp.saturating_sub(last));
        let step = if step == 0 || step > LONGEST_PACKET {
            USUAL_PACKET
        } else {
            step
        };
        self.last = Some(timestamp);
        self.loudest = self.loudest.min(level.min(SILENCE));
        if level <= ACTIVE_LEVEL {
            self.active += step;
        }
    }

    /// What was heard since the last report.
    pub(crate) fn report(&mut self, mid: &Arc<str>, interval: Duration) -> AudioLevel {
        let whole = (interval.as_millis() as u64 * SAMPLES_PER_MS).max(1);
        let active = (self.active as f32 / whole as f32).min(1.0);
        let loudest = self.loudest;
        self.loudest = SILENCE;
        self.active = 0;
        AudioLevel {
            mid: Arc::clone(mid),
            loudest,
            active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_of_speech_is_half_active_and_then_silent() {
        let mid: Arc<str> = "0".into();
        let mut meter = LevelMeter::default();
        for n in 0..25 {
            meter.packet(if n == 3 { 12 } else { 30 }, n * 960);
        }
        for n in 25..50 {
            meter.packet(90, n * 960);
        }
        let heard = meter.report(&mid, Duration::from_secs(1));
        assert_eq!(heard.loudest, 12);
        assert!((heard.active - 0.5).abs() < 0.001, "{}", heard.active);
        let after = meter.report(&mid, Duration::from_secs(1));
        assert_eq!((after.loudest, after.active), (127, 0.0));
    }
}
