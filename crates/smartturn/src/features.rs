//! Sound as Whisper's encoder sees it: the logarithm of the energy in 80 bands, 100 times a second.
//!
//! Source: the description of `WhisperFeatureExtractor` (Hugging Face Transformers, Apache-2.0) with 8 s instead of 30; the bands
//! are Slaney's.

use std::f32::consts::TAU;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use crate::SAMPLE_RATE;

/// Sound that is judged: its last 8 s.
pub(crate) const SAMPLES: usize = 8 * SAMPLE_RATE;
const WINDOW: usize = 400;
const HOP: usize = 160;
/// Columns of the picture.
pub(crate) const FRAMES: usize = SAMPLES / HOP;
/// Rows of the picture.
pub(crate) const BANDS: usize = 80;
const BINS: usize = WINDOW / 2 + 1;
const FLOOR: f32 = 1e-10;
/// Silence has no spread to divide by.
const VARIANCE_FLOOR: f32 = 1e-7;
/// Eight powers of ten below the loudest, everything is silence.
const RANGE: f32 = 8.0;

pub(crate) struct Features {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// For each band its first frequency and the weights from there on.
    bands: Vec<(usize, Vec<f32>)>,
}

impl Features {
    pub(crate) fn new() -> Self {
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(WINDOW),
            window: (0..WINDOW)
                .map(|at| 0.5 - 0.5 * (TAU * at as f32 / WINDOW as f32).cos())
                .collect(),
            bands: bands(),
        }
    }

    /// The picture of the last [`SAMPLES`] of `audio`, silence before it when it is shorter: [`BANDS`] rows of [`FRAMES`].
    pub(crate) fn of(&self, audio: &[i16]) -> Vec<f32> {
        let sound = normalized(audio);
        let half = WINDOW / 2;
        // the edges are mirrored
        let at = |place: isize| {
            let last = SAMPLES as isize - 1;
            let inside = if place > last {
                2 * last - place
            } else {
                place.abs()
            };
            sound.get(inside as usize).copied().unwrap_or_default()
        };
        let mut input = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut picture = vec![0.0_f32; BANDS * FRAMES];
        let mut loudest = f32::NEG_INFINITY;
        // columns before the sound are all the same one: a short turn costs little
        let before = SAMPLES.saturating_sub(audio.len());
        let first = before.saturating_sub(half) / HOP;
        for frame in first..FRAMES {
            let start = (frame * HOP) as isize - half as isize;
            for (index, (value, weight)) in input.iter_mut().zip(&self.window).enumerate() {
                *value = at(start + index as isize) * weight;
            }
            // lengths are those of the plan
            let _ = self
                .fft
                .process_with_scratch(&mut input, &mut spectrum, &mut scratch);
            for (band, (first, weights)) in self.bands.iter().enumerate() {
                let energy: f32 = spectrum
                    .iter()
                    .skip(*first)
                    .zip(weights)
                    .map(|(value, weight)| value.norm_sqr() * weight)
                    .sum();
                let log = energy.max(FLOOR).log10();
                loudest = loudest.max(log);
                if let Some(cell) = picture.get_mut(band * FRAMES + frame) {
                    *cell = log;
                }
            }
        }
        for row in picture.chunks_exact_mut(FRAMES) {
            let silence = row.get(first).copied().unwrap_or_default();
            row.iter_mut().take(first).for_each(|cell| *cell = silence);
        }
        picture
            .iter()
            .map(|log| (log.max(loudest - RANGE) + 4.0) / 4.0)
            .collect()
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

/// Slaney's bands: triangles, equally wide below 1 kHz and growing above, each of unit area.
fn bands() -> Vec<(usize, Vec<f32>)> {
    let step = 6.4_f64.ln() / 27.0;
    let hertz = |mel: f64| {
        if mel < 15.0 {
            200.0 * mel / 3.0
        } else {
            1_000.0 * (step * (mel - 15.0)).exp()
        }
    };
    let top = 15.0 + (SAMPLE_RATE as f64 / 2.0 / 1_000.0).ln() / step;
    let edge = |index: usize| hertz(top * index as f64 / (BANDS + 1) as f64);
    (0..BANDS)
        .map(|band| {
            let (low, middle, high) = (edge(band), edge(band + 1), edge(band + 2));
            let weight = |bin: usize| {
                let frequency = (bin * SAMPLE_RATE) as f64 / WINDOW as f64;
                let rising = (frequency - low) / (middle - low);
                let falling = (high - frequency) / (high - middle);
                rising.min(falling).max(0.0) * 2.0 / (high - low)
            };
            let first = (0..BINS).find(|bin| weight(*bin) > 0.0).unwrap_or(0);
            let weights = (first..BINS)
                .map(weight)
                .take_while(|weight| *weight > 0.0)
                .map(|weight| weight as f32)
                .collect();
            (first, weights)
        })
        .collect()
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
