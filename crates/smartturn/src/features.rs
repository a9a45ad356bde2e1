//! Sound as Smart Turn's encoder, which is Whisper's, sees it: a picture of 8 s instead of 30.
//!
//! Source: the description of `WhisperFeatureExtractor` (Hugging Face Transformers, Apache-2.0), with `do_normalize`.

use antiphon_audio::mel::{HOP, LogMel};

use crate::SAMPLE_RATE;

/// Sound that is judged: its last 8 s.
pub(crate) const SAMPLES: usize = 8 * SAMPLE_RATE;
/// Columns of the picture.
pub(crate) const FRAMES: usize = SAMPLES / HOP;
/// Rows of the picture.
pub(crate) const BANDS: usize = 80;
/// A column's window reaches so many samples to each side.
const REACH: usize = 200;
/// Silence has no spread to divide by.
const VARIANCE_FLOOR: f32 = 1e-7;

pub(crate) struct Features(LogMel);

impl Features {
    pub(crate) fn new() -> Self {
        Self(LogMel::new(BANDS))
    }

    /// The picture of the last [`SAMPLES`] of `audio`, silence before it when it is shorter: [`BANDS`] rows of [`FRAMES`].
    pub(crate) fn of(&self, audio: &[i16]) -> Vec<f32> {
        // columns before the sound are all the same one: a short turn costs little
        let before = SAMPLES.saturating_sub(audio.len());
        let first = before.saturating_sub(REACH) / HOP;
        self.0.picture(&normalized(audio), FRAMES, first)
    }
}

/// Exactly [`SAMPLES`], the sound at their end, without offset and of unit spread.
fn normalized(audio: &[i16]) -> Vec<f32> {
    let audio = audio
        .get(audio.len().saturating_sub(SAMPLES)..)
        .unwrap_or(audio);
    let mut sound = vec![0.0_f32; SAMPLES - audio.len()];
    sound.extend(audio.iter().map(|sample| f32::from(*sample) / 32_768.0));
    let mean = sound.iter().sum::<f32>() / SAMPLES as f32;
    let variance = sound
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f32>()
        / SAMPLES as f32;
    let scale = 1.0 / (variance + VARIANCE_FLOOR).sqrt();
    for value in &mut sound {
        *value = (*value - mean) * scale;
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_before_the_sound_looks_the_same_whether_it_was_recorded_or_not() {
        let features = Features::new();
        let sound: Vec<i16> = (0..20_000).map(|at| ((at * at) % 4_001) as i16).collect();
        for length in [0, 1, 199, 201, 20_000] {
            let sound: Vec<i16> = sound.iter().take(length).copied().collect();
            let mut recorded = vec![0; SAMPLES - length];
            recorded.extend(&sound);
            assert_eq!(features.of(&sound), features.of(&recorded), "{length}");
        }
    }
}
