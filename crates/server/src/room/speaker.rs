//! Who is speaking: LiveKit's active speakers, from the loudness that clients measure (RFC 6464).

use antiphon_rtc::AudioLevel;

/// How often levels are aggregated and reported.
pub(crate) const UPDATE_INTERVAL_MS: u32 = 400;
/// A participant speaks if this share of the interval was loud.
const MIN_ACTIVE: f32 = 0.4;
/// Exponential smoothing over two intervals: 2 / (N + 1).
const SMOOTHING: f32 = 2.0 / 3.0;
/// Levels are rounded up to multiples of this, so that small changes are not reported.
const STEPS: f32 = 8.0;

/// The smoothed loudness of one participant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Speaker {
    smoothed: f32,
    /// What was last reported: 0 is silent.
    pub(super) reported: f32,
}

impl Speaker {
    /// Take the levels of one interval; muted sections must have been left out.
    pub(super) fn observe(&mut self, levels: &[AudioLevel]) {
        let linear = levels.iter().map(linear).fold(0.0, f32::max);
        self.smoothed += (linear - self.smoothed) * SMOOTHING;
    }

    /// The level to be reported now, 0 to 1.
    pub(super) fn level(&self) -> f32 {
        // Below a thousandth nobody hears it; without this the rounding up would keep a silent speaker active for ever.
        if self.smoothed < 0.001 {
            return 0.0;
        }
        ((self.smoothed * STEPS).ceil() / STEPS).min(1.0)
    }

    /// Silence at once: muted or unpublished.
    pub(super) fn silence(&mut self) {
        self.smoothed = 0.0;
    }
}

fn linear(level: &AudioLevel) -> f32 {
    if level.active < MIN_ACTIVE {
        return 0.0;
    }
    let adjusted = f32::from(level.loudest) - 20.0 * level.active.min(1.0).log10();
    10f32.powf(-adjusted / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(loudest: u8, active: f32) -> AudioLevel {
        AudioLevel {
            mid: "0".into(),
            loudest,
            active,
        }
    }

    #[test]
    fn a_voice_is_active_and_silence_ends_it_within_a_few_intervals() {
        let mut speaker = Speaker::default();
        speaker.observe(&[level(15, 0.9)]);
        assert!(speaker.level() > 0.0);
        for _ in 0..8 {
            speaker.observe(&[level(127, 0.0)]);
        }
        assert!(speaker.level() <= 0.0);
    }

    #[test]
    fn a_short_click_is_not_a_speaker() {
        let mut speaker = Speaker::default();
        speaker.observe(&[level(5, 0.1)]);
        assert!(speaker.level() <= 0.0);
    }

    #[test]
    fn the_loudest_possible_voice_is_one() {
        let mut speaker = Speaker::default();
        for _ in 0..10 {
            speaker.observe(&[level(0, 1.0)]);
        }
        assert!((speaker.level() - 1.0).abs() < 1e-6);
    }
}
