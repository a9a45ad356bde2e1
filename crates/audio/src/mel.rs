//! Sound as Whisper's encoder sees it: the logarithm of the energy in bands, 100 times a second. Models of other makers, which
//! grew out of that encoder, see the same.
//!
//! Source: the description of `WhisperFeatureExtractor` (Hugging Face Transformers, Apache-2.0); the bands are Slaney's.

use std::f32::consts::TAU;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

const SAMPLE_RATE: usize = 16_000;
const WINDOW: usize = 400;
/// Samples from one column to the next.
pub const HOP: usize = 160;
const BINS: usize = WINDOW / 2 + 1;
const FLOOR: f32 = 1e-10;
/// Eight powers of ten below the loudest, everything is silence.
const RANGE: f32 = 8.0;

/// Makes pictures of sound at 16 kHz.
pub struct LogMel {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// For each band its first frequency and the weights from there on.
    bands: Vec<(usize, Vec<f32>)>,
}

impl std::fmt::Debug for LogMel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogMel").finish_non_exhaustive()
    }
}

impl LogMel {
    /// Pictures with so many rows: 80, and 128 for the largest Whispers.
    #[must_use]
    pub fn new(bands: usize) -> Self {
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(WINDOW),
            window: (0..WINDOW)
                .map(|at| 0.5 - 0.5 * (TAU * at as f32 / WINDOW as f32).cos())
                .collect(),
            bands: slaney(bands),
        }
    }

    /// The picture of `sound` (-1 to 1), silence behind it when it is shorter than `columns`: one row after another, each of
    /// `columns`. Before column `first` nothing changes, so these columns are those at `first`: who has silence there says so.
    #[must_use]
    pub fn picture(&self, sound: &[f32], columns: usize, first: usize) -> Vec<f32> {
        let half = WINDOW / 2;
        let last = (columns * HOP) as isize - 1;
        // the edges are mirrored
        let at = |place: isize| {
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
        let mut picture = vec![FLOOR.log10(); self.bands.len() * columns];
        let mut loudest = FLOOR.log10();
        // behind the sound there is nothing to hear
        let end = columns.min((sound.len() + half).div_ceil(HOP));
        for column in first..end {
            let start = (column * HOP) as isize - half as isize;
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
                if let Some(cell) = picture.get_mut(band * columns + column) {
                    *cell = log;
                }
            }
        }
        for row in picture.chunks_exact_mut(columns.max(1)) {
            let still = row.get(first).copied().unwrap_or_default();
            row.iter_mut().take(first).for_each(|cell| *cell = still);
        }
        picture
            .iter()
            .map(|log| (log.max(loudest - RANGE) + 4.0) / 4.0)
            .collect()
    }
}

/// Slaney's bands: triangles, equally wide below 1 kHz and growing above, each of unit area.
fn slaney(bands: usize) -> Vec<(usize, Vec<f32>)> {
    let step = 6.4_f64.ln() / 27.0;
    let hertz = |mel: f64| {
        if mel < 15.0 {
            200.0 * mel / 3.0
        } else {
            1_000.0 * (step * (mel - 15.0)).exp()
        }
    };
    let top = 15.0 + (SAMPLE_RATE as f64 / 2.0 / 1_000.0).ln() / step;
    let edge = |index: usize| hertz(top * index as f64 / (bands + 1) as f64);
    (0..bands)
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
mod tests;
