//! The network's spectrum to sound.
//!
//! For each frame of 12.5 ms the network gives, for each of 601 frequencies, a harmonic part (a filter on the voice's own
//! pulses), noise, and a part with a phase of its own. Their sum is brought back by one inverse short-time Fourier transform
//! (window of 1,200 samples, step of 300, 24 kHz). Source: the description in hibari's package (Apache-2.0).

use std::f32::consts::{PI, TAU};
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rten_simd::SimdUnaryOp;
use rten_vecmath::{Cos, Exp, Sin, Tanh};

/// Samples a second.
pub const SAMPLE_RATE: u32 = 24_000;
/// Samples in a frame.
pub const HOP: usize = 300;
const WINDOW: usize = 1_200;
const HALF: usize = WINDOW / 2;
/// Frequencies of a frame.
pub(crate) const BINS: usize = WINDOW / 2 + 1;
/// Below this pitch a frame has no voice, in hertz.
const MIN_PITCH: f32 = 40.0;
/// The highest harmonic of the pulses, in hertz.
const MAX_HARMONIC: f32 = 11_000.0;
/// Exponents above this would be a fault of the network, and loud.
const MAX_LOG: f32 = 7.0;

/// What the network says of a clause: each of [`BINS`] rows of `frames` values, and the pitch of each frame in hertz.
pub(crate) struct Spectrum<'a> {
    pub(crate) frames: usize,
    pub(crate) harmonic_log: &'a [f32],
    pub(crate) harmonic_phase: &'a [f32],
    pub(crate) noise_log: &'a [f32],
    pub(crate) free_log: &'a [f32],
    pub(crate) free_phase: &'a [f32],
    pub(crate) pitch: &'a [f32],
}

/// The transforms and their window. Shared by all callers.
pub(crate) struct Vocoder {
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    window: Vec<f32>,
}

impl std::fmt::Debug for Vocoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocoder").finish_non_exhaustive()
    }
}

impl Vocoder {
    pub(crate) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let window = (0..WINDOW)
            .map(|index| 0.5 - 0.5 * (TAU * index as f32 / WINDOW as f32).cos())
            .collect();
        Self {
            forward: planner.plan_fft_forward(WINDOW),
            backward: planner.plan_fft_inverse(WINDOW),
            window,
        }
    }

    /// The sound, [`HOP`] samples a frame. `noise` is the seed of its noise.
    pub(crate) fn sound(&self, spectrum: &Spectrum<'_>, noise: u64) -> Vec<f32> {
        let frames = spectrum.frames;
        let padded = reflected(&pulses(spectrum.pitch));
        let mut noise = Noise(noise | 1);
        let mut sum = vec![0.0; (frames + WINDOW / HOP) * HOP];
        let mut weight = vec![0.0; sum.len()];
        let mut time = self.forward.make_input_vec();
        let mut frequency = self.forward.make_output_vec();
        for frame in 0..frames {
            let start = frame * HOP;
            for ((value, sample), window) in time
                .iter_mut()
                .zip(padded.iter().skip(start))
                .zip(&self.window)
            {
                // so that a pulse train's harmonic has the magnitude 1
                *value = sample * window / (WINDOW / 4) as f32;
            }
            // the lengths are the plan's own, so neither transform fails
            if self.forward.process(&mut time, &mut frequency).is_err() {
                continue;
            }
            spectrum.shape(frame, &mut frequency, &mut noise);
            // a real signal has no imaginary part at both ends
            for end in [0, BINS - 1] {
                if let Some(value) = frequency.get_mut(end) {
                    value.im = 0.0;
                }
            }
            if self.backward.process(&mut frequency, &mut time).is_err() {
                continue;
            }
            let place = sum.iter_mut().zip(&mut weight).skip(start);
            for (((sum, weight), sample), window) in place.zip(&time).zip(&self.window) {
                *sum += sample / WINDOW as f32 * window;
                *weight += window * window;
            }
        }
        sum.iter()
            .zip(&weight)
            .skip(HALF)
            .take(frames * HOP)
            .map(|(sum, weight)| sum / weight.max(1e-11))
            .collect()
    }
}

impl Spectrum<'_> {
    /// Makes the frame's pulses, which are in `frequency`, into its whole spectrum.
    fn shape(&self, frame: usize, frequency: &mut [Complex32], noise: &mut Noise) {
        let mut turn = self.column(self.harmonic_phase, frame);
        Tanh {}.map_mut(&mut turn);
        for turn in &mut turn {
            *turn *= PI;
        }
        let harmonic = polar(self.magnitudes(self.harmonic_log, frame), turn);
        let free = polar(
            self.magnitudes(self.free_log, frame),
            self.column(self.free_phase, frame),
        );
        let noisy = self.magnitudes(self.noise_log, frame);
        let parts = harmonic.zip(free).zip(noisy);
        for (value, ((harmonic, free), noisy)) in frequency.iter_mut().zip(parts) {
            *value = *value * harmonic + noise.normal() * noisy + free;
        }
    }

    /// What a part says of one frame.
    fn column(&self, part: &[f32], frame: usize) -> [f32; BINS] {
        std::array::from_fn(|bin| {
            part.get(bin * self.frames + frame)
                .copied()
                .unwrap_or_default()
        })
    }

    fn magnitudes(&self, logs: &[f32], frame: usize) -> [f32; BINS] {
        let mut values = self.column(logs, frame).map(|log| log.min(MAX_LOG));
        Exp {}.map_mut(&mut values);
        values
    }
}

fn polar(magnitudes: [f32; BINS], turns: [f32; BINS]) -> impl Iterator<Item = Complex32> {
    let (mut sines, mut cosines) = (turns, turns);
    Sin::new().map_mut(&mut sines);
    Cos::new().map_mut(&mut cosines);
    let turns = cosines.into_iter().zip(sines);
    let both = magnitudes.into_iter().zip(turns);
    both.map(|(magnitude, (cosine, sine))| Complex32::new(magnitude * cosine, magnitude * sine))
}

/// The vocal cords: all harmonics of the pitch below [`MAX_HARMONIC`], equally strong; nothing where there is no voice.
fn pulses(pitch: &[f32]) -> Vec<f32> {
    let mut pulses = Vec::with_capacity(pitch.len() * HOP);
    let mut cycles = 0.0_f64;
    for (frame, here) in pitch.iter().enumerate() {
        let before = frame
            .checked_sub(1)
            .and_then(|before| pitch.get(before))
            .unwrap_or(here);
        let after = pitch.get(frame + 1).unwrap_or(here);
        for sample in 0..HOP {
            // a frame's pitch is that of its middle; between middles it moves in a straight line
            let place = (sample as f32 + 0.5) / HOP as f32;
            let hertz = if sample < HOP / 2 {
                before * (0.5 - place) + here * (0.5 + place)
            } else {
                here * (1.5 - place) + after * (place - 0.5)
            };
            let is_voiced = hertz > MIN_PITCH;
            let hertz = hertz.max(MIN_PITCH);
            cycles = (cycles + f64::from(hertz) / f64::from(SAMPLE_RATE)).fract();
            pulses.push(if is_voiced {
                all_harmonics((cycles * std::f64::consts::TAU) as f32, hertz)
            } else {
                0.0
            });
        }
    }
    pulses
}

/// `cos(t) + cos(2t) + … + cos(Ht)` in closed form (Dirichlet's kernel), with as many harmonics as the pitch leaves room for.
fn all_harmonics(phase: f32, hertz: f32) -> f32 {
    let harmonics = (MAX_HARMONIC / hertz).floor() + 0.5;
    let below = 2.0 * (phase / 2.0).sin();
    let ratio = if below.abs() <= 2e-3 {
        harmonics
    } else {
        (harmonics * phase).sin() / below
    };
    ratio - 0.5
}

/// The signal with half a window of its mirror image at both ends.
fn reflected(signal: &[f32]) -> Vec<f32> {
    let mirror = |index: usize| signal.get(index).copied().unwrap_or_default();
    let before = (1..=HALF).rev().map(mirror);
    let after = (0..HALF).map(|index| (signal.len()).checked_sub(index + 2).map_or(0.0, mirror));
    before.chain(signal.iter().copied()).chain(after).collect()
}

/// Pseudo-random numbers (xorshift64*, Marsaglia 2003): the same seed makes the same sound.
struct Noise(u64);

impl Noise {
    /// Between 0 (never reached) and 1.
    fn uniform(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40;
        (bits as f32 + 0.5) / (1 << 24) as f32
    }

    /// A complex number with independent normal parts (Box and Muller 1958).
    fn normal(&mut self) -> Complex32 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        Complex32::from_polar(radius, TAU * self.uniform())
    }
}
