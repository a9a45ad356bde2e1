//! When did the sound itself end? The network is slow to let go: after the last word its probability stays above the
//! threshold for about 100 ms, and a caller would wait that much longer for every answer. Loudness tells the end at once,
//! but cannot tell speech from noise; so the network decides *that* speech has ended, and loudness only *when*.

use std::time::Duration;

use crate::network::WINDOW;

/// Loudness is looked at in blocks of 8 ms.
const BLOCK: usize = WINDOW / 4;
const BLOCK_DURATION: Duration = Duration::from_millis((BLOCK / 16) as u64);
/// A block this far below the loudest of the last second is no speech: -26 dB. Weak endings ("s", "f") lie 15 to 20 dB
/// below the vowels.
const QUIET: f32 = 0.05;
/// The loudest block is forgotten with a half-life of one second, so that a cough does not make the words after it quiet.
const DECAY_PER_BLOCK: f32 = 0.994_47;
/// No more than this is taken off: the network's own slowness.
pub(crate) const LONGEST: Duration = Duration::from_millis(128);

/// How long it has been quiet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tail {
    loudest: f32,
    quiet: Duration,
}

impl Tail {
    /// The next window.
    pub(crate) fn push(&mut self, window: &[f32; WINDOW]) {
        for block in window.chunks_exact(BLOCK) {
            let power = block.iter().map(|sample| sample * sample).sum::<f32>() / BLOCK as f32;
            let loudness = power.sqrt();
            self.loudest = (self.loudest * DECAY_PER_BLOCK).max(loudness);
            if loudness > self.loudest * QUIET {
                self.quiet = Duration::ZERO;
            } else {
                self.quiet = self.quiet.saturating_add(BLOCK_DURATION);
            }
        }
    }

    /// The silence at the end of what was pushed.
    pub(crate) fn quiet(&self) -> Duration {
        self.quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: f32) -> [f32; WINDOW] {
        std::array::from_fn(|at| amplitude * (at as f32 * 0.3).sin())
    }

    #[test]
    fn the_end_of_a_word_is_found_within_a_block() {
        let mut tail = Tail::default();
        tail.push(&tone(0.3));
        assert_eq!(tail.quiet(), Duration::ZERO);
        let mut half = tone(0.3);
        half.iter_mut()
            .skip(WINDOW / 2)
            .for_each(|sample| *sample = 0.001);
        tail.push(&half);
        assert_eq!(tail.quiet(), Duration::from_millis(16));
        tail.push(&tone(0.001));
        assert_eq!(tail.quiet(), Duration::from_millis(48));
    }

    #[test]
    fn in_a_noisy_room_nothing_is_guessed() {
        let mut tail = Tail::default();
        tail.push(&tone(0.3));
        tail.push(&tone(0.05));
        assert_eq!(tail.quiet(), Duration::ZERO);
    }

    #[test]
    fn a_cough_is_forgotten() {
        let mut tail = Tail::default();
        tail.push(&tone(1.0));
        for _ in 0..100 {
            tail.push(&tone(0.04));
        }
        assert_eq!(tail.quiet(), Duration::ZERO);
    }
}
