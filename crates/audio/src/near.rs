//! Whether a voice comes from as near as the caller's own: who speaks in the same room, and not into the microphone, is far quieter.
//!
//! Sans-I/O. It knows nothing until the caller has spoken, and forgets what was louder once than the caller is now.

use std::collections::VecDeque;

use crate::Frame16k;
use crate::level::decibels;

/// A voice that is this much quieter than the caller's is not the caller's, in dB: somebody at the next desk is ten times as far away, and
/// people speak 6 dB more quietly at times.
const FARTHER: f32 = 15.0;
/// The loudest of this many frames counts, 0.3 s: syllables differ.
const SYLLABLES: usize = 15;
/// Before this many frames of the caller, 0.5 s, nothing is known.
const LEAST: u32 = 25;
/// This much of the caller's loudness is forgotten with each frame of speech, in dB: 1 dB a second.
const FORGOTTEN: f32 = 0.02;

/// How loud the caller is.
#[derive(Debug, Default)]
pub struct Nearness {
    /// In dB.
    own: f32,
    learned: u32,
    last: VecDeque<f32>,
}

impl Nearness {
    /// Is what is heard now, frame by frame, far quieter than the caller? All frames are given, 20 ms each.
    pub fn is_far(&mut self, frame: &Frame16k) -> bool {
        if self.last.len() >= SYLLABLES {
            self.last.pop_front();
        }
        self.last.push_back(level(frame.samples()));
        self.learned >= LEAST && self.loudest() < self.own - FARTHER
    }

    /// The frame that was given last belongs to what the caller says.
    pub fn is_caller(&mut self) {
        self.learned = self.learned.saturating_add(1);
        self.own = self.loudest().max(self.own - FORGOTTEN);
    }

    fn loudest(&self) -> f32 {
        self.last.iter().copied().fold(f32::MIN, f32::max)
    }
}

/// In dB of a 16-bit sample.
fn level(samples: &[i16]) -> f32 {
    let energy = samples.iter().map(|s| f32::from(*s).powi(2)).sum();
    decibels(energy, samples.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second at this amplitude: for how many frames it is far.
    fn far(near: &mut Nearness, amplitude: i16, is_caller: bool) -> usize {
        let frame = Frame16k::new(vec![amplitude; 320]);
        (0..40)
            .filter(|_| {
                let is_far = near.is_far(&frame);
                if is_caller {
                    near.is_caller();
                }
                is_far
            })
            .count()
    }

    #[test]
    fn a_neighbour_is_far_once_the_caller_has_spoken_and_a_caller_who_speaks_quietly_is_not() {
        let mut near = Nearness::default();
        assert_eq!(far(&mut near, 100, false), 0, "nobody has spoken yet");
        assert_eq!(far(&mut near, 2_000, true), 0);
        far(&mut near, 0, false);
        assert_eq!(far(&mut near, 200, false), 40);
        assert_eq!(far(&mut near, 1_000, false), 0, "at once");
    }

    #[test]
    fn a_caller_who_has_moved_away_is_the_caller_again_after_a_few_seconds_of_speech() {
        let mut near = Nearness::default();
        far(&mut near, 4_000, true);
        for _ in 0..10 {
            far(&mut near, 500, true);
        }
        assert_eq!(far(&mut near, 500, false), 0);
    }
}
