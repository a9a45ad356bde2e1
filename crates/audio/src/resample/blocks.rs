//! One block after another through its spectrum (overlap-add): it is cut or lengthened there, under a filter that lets nothing
//! through that the lower rate cannot hold.

use std::f32::consts::PI;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, FftError, RealFftPlanner, RealToComplex};

/// Squared, the window of [`filter`] has a main lobe of 16 bins each side. From 14 on it is below -136 dB.
const LOBE_BINS: f32 = 14.0;

/// Blocks of a fixed length in, blocks of a fixed length out, later by half a block.
pub(super) struct Blocks {
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    filter: Vec<Complex32>,
    /// Twice a block, the second half silent: a block and its filter's end.
    time_in: Vec<f32>,
    spectrum_in: Vec<Complex32>,
    spectrum_out: Vec<Complex32>,
    time_out: Vec<f32>,
    scratch: Vec<Complex32>,
    /// What the blocks before have left for the next one.
    overlap: Vec<f32>,
}

impl Blocks {
    /// For blocks of `from` samples, which become `to`.
    pub(super) fn new(from: usize, to: usize) -> Result<Self, FftError> {
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(2 * from);
        let backward = planner.plan_fft_inverse(2 * to);
        let mut time_in = filter(from, to);
        let mut filter = forward.make_output_vec();
        forward.process(&mut time_in, &mut filter)?;
        let scratch = forward.get_scratch_len().max(backward.get_scratch_len());
        Ok(Self {
            filter,
            spectrum_in: forward.make_output_vec(),
            spectrum_out: backward.make_input_vec(),
            time_out: backward.make_output_vec(),
            scratch: vec![Complex32::default(); scratch],
            overlap: vec![0.0; to],
            time_in,
            forward,
            backward,
        })
    }

    pub(super) fn len_in(&self) -> usize {
        self.time_in.len() / 2
    }

    /// By how many samples what comes out is late: half the filter.
    pub(super) fn delay_out(&self) -> usize {
        self.overlap.len() / 2
    }

    /// The next block, `len_in` samples.
    pub(super) fn convert(&mut self, block: &[f32]) -> Result<&[f32], FftError> {
        self.time_in.fill(0.0);
        for (place, sample) in self.time_in.iter_mut().zip(block) {
            *place = *sample;
        }
        self.forward.process_with_scratch(
            &mut self.time_in,
            &mut self.spectrum_in,
            &mut self.scratch,
        )?;
        let shared = self.len_in().min(self.overlap.len());
        self.spectrum_out.fill(Complex32::default());
        let bins = self.spectrum_in.iter().zip(&self.filter).take(shared);
        for (place, (value, filter)) in self.spectrum_out.iter_mut().zip(bins) {
            *place = value * filter;
        }
        self.backward.process_with_scratch(
            &mut self.spectrum_out,
            &mut self.time_out,
            &mut self.scratch,
        )?;
        let (ready, rest) = self.time_out.split_at_mut(self.overlap.len());
        for ((ready, rest), overlap) in ready.iter_mut().zip(rest).zip(&mut self.overlap) {
            *ready += std::mem::replace(overlap, *rest);
        }
        Ok(ready)
    }

    /// Forgets what came before.
    pub(super) fn reset(&mut self) {
        self.overlap.fill(0.0);
    }
}

/// A sine cardinal under a squared Blackman-Harris window (Harris 1978) as long as a block, which ends where the lower rate's band
/// does; and the factor that both transforms leave out.
fn filter(from: usize, to: usize) -> Vec<f32> {
    let lower = from.min(to) as f32;
    let cutoff = (1.0 - LOBE_BINS / lower).max(0.5) * lower / from as f32;
    let mut filter: Vec<f32> = (0..from)
        .map(|index| {
            let turn = 2.0 * PI * index as f32 / from as f32;
            let window = 0.358_75 - 0.488_29 * turn.cos() + 0.141_28 * (2.0 * turn).cos()
                - 0.011_68 * (3.0 * turn).cos();
            let place = (index as f32 - (from / 2) as f32) * cutoff * PI;
            let cardinal = if place == 0.0 {
                1.0
            } else {
                place.sin() / place
            };
            window * window * cardinal
        })
        .collect();
    let sum: f32 = filter.iter().sum();
    for value in &mut filter {
        *value /= sum * 2.0 * from as f32;
    }
    filter.resize(2 * from, 0.0);
    filter
}
