//! The energy gate: which sound is worth decoding. It follows the noise floor and opens well below the level of a quiet
//! caller; the real decision about speech is the VAD's.

use std::collections::VecDeque;

/// 20 ms at 16 kHz.
const BLOCK: usize = 320;
/// Sound given before the gate opened, so that first consonants are whole: 300 ms.
const PRE_ROLL: usize = 4_800;
/// Loud blocks in a row that open the gate: 60 ms, longer than a click.
const OPEN_BLOCKS: u32 = 3;
/// Quiet blocks in a row that end an utterance: 0.6 s.
const CLOSE_BLOCKS: u32 = 30;
/// Lowest level that counts as loud, of 32,768.
const MIN_LEVEL: f32 = 120.0;
/// Loud means so many times the noise floor.
const OVER_FLOOR: f32 = 3.0;

/// What to do with the sound just heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Silence,
    /// Decode this.
    Speech(Vec<i16>),
    /// The utterance is over.
    End,
}

/// The gate of one caller's sound at 16 kHz.
#[derive(Debug)]
pub struct Gate {
    past: VecDeque<i16>,
    block: Vec<i16>,
    floor: f32,
    loud: u32,
    quiet: u32,
    open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            past: VecDeque::new(),
            block: Vec::new(),
            floor: MIN_LEVEL / OVER_FLOOR,
            loud: 0,
            quiet: 0,
            open: false,
        }
    }
}

impl Gate {
    /// Back to silence: the utterance was ended from outside.
    pub fn close(&mut self) {
        self.open = false;
        self.loud = 0;
        self.quiet = 0;
    }

    /// Samples since the last loud block of the utterance under way.
    #[must_use]
    pub fn quiet_samples(&self) -> usize {
        self.quiet as usize * BLOCK
    }

    /// Hear more, any length.
    pub fn push(&mut self, samples: &[i16]) -> Step {
        let was_open = self.open;
        for &sample in samples {
            self.block.push(sample);
            if self.block.len() == BLOCK {
                self.judge();
            }
            if !was_open {
                self.past.push_back(sample);
            }
        }
        match (was_open, self.open) {
            (false, true) => Step::Speech(self.past.drain(..).collect()),
            (false, false) => {
                let excess = self.past.len().saturating_sub(PRE_ROLL);
                self.past.drain(..excess);
                Step::Silence
            }
            (true, true) => Step::Speech(samples.to_vec()),
            (true, false) => Step::End,
        }
    }

    fn judge(&mut self) {
        let energy: f32 = self
            .block
            .iter()
            .map(|&sample| f32::from(sample) * f32::from(sample))
            .sum();
        let level = (energy / BLOCK as f32).sqrt();
        self.block.clear();
        let loud = level > (self.floor * OVER_FLOOR).max(MIN_LEVEL);
        // down at once, up by 10 dB in about 10 s, and never above a level that would hide a voice
        self.floor = if level < self.floor {
            level
        } else {
            (self.floor * 1.0023 + 0.01).min(400.0)
        };
        if loud {
            self.loud += 1;
            self.quiet = 0;
        } else {
            self.quiet += 1;
            self.loud = 0;
        }
        if !self.open && self.loud >= OPEN_BLOCKS {
            self.open = true;
        } else if self.open && self.quiet >= CLOSE_BLOCKS {
            self.close();
        }
    }
}
