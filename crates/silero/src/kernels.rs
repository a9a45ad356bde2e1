//! The few loops in which the time goes, written so that LLVM turns them into vector code. Everything is `inline(always)`, so
//! that it is compiled once for the baseline and once for AVX2 with FMA, inside the two copies of the forward pass.

// Fixed-size arrays and indices bounded by their lengths; `get` would hide the arithmetic, and in the hot loops cost it.
#![allow(clippy::indexing_slicing)]

/// Frames (columns) of one window.
pub(crate) const FRAMES: usize = 4;
/// Samples of one STFT frame.
pub(crate) const FRAME_LEN: usize = 256;
/// Samples from one STFT frame to the next.
pub(crate) const HOP: usize = 128;
/// Frequencies of the STFT.
pub(crate) const BINS: usize = FRAME_LEN / 2 + 1;

const HALF: usize = FRAME_LEN / 2;

/// One row of a panel of weights, on a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Row<const N: usize>(pub(crate) [f32; N]);

/// `a * b + c`, fused only where the machine can: the fallback would be a function call.
#[inline(always)]
fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Add to column `to` of `sums` the product of the panel and column `from` of the input, for every pair (`to`, `from`).
#[inline(always)]
pub(crate) fn add_product<
    const FMA: bool,
    const N: usize,
    const IN: usize,
    const OUT: usize,
    const PAIRS: usize,
>(
    panel: &[Row<N>],
    input: &[[f32; IN]],
    sums: &mut [[f32; N]; OUT],
    pairs: [(usize, usize); PAIRS],
) {
    // A copy, so that it lives in registers for the length of the loop.
    let mut local = *sums;
    for (row, columns) in panel.iter().zip(input) {
        for (to, from) in pairs {
            // In vectors of eight and not in one loop over N, which LLVM unrolls into scalars when N is large.
            let (sums, _) = local[to].as_chunks_mut::<8>();
            let (weights, _) = row.0.as_chunks::<8>();
            for (sum, weight) in sums.iter_mut().zip(weights) {
                let before = *sum;
                *sum = std::array::from_fn(|n| {
                    multiply_add::<FMA>(columns[from], weight[n], before[n])
                });
            }
        }
    }
    *sums = local;
}

/// e^x within 2e-7 (relative), for |x| up to 87, beyond which it stops growing or shrinking. Branch-free.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    /// 1.5 * 2^23: adding and subtracting it rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    // Not `clamp`, whose treatment of NaN keeps the loops around from becoming vector code.
    #[allow(clippy::manual_clamp)]
    let x = x.max(-87.0).min(87.0);
    let shifted = multiply_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    // ln 2 in two parts, so that the rest is exact.
    let rest = multiply_add::<FMA>(whole, -0.693_359_4, x);
    let rest = multiply_add::<FMA>(whole, 2.121_944_4e-4, rest);
    // Taylor to the sixth degree: |rest| <= ln 2 / 2.
    let mut sum = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = multiply_add::<FMA>(sum, rest, coefficient);
    }
    let power_of_two =
        f32::from_bits(((shifted.to_bits() as i32).wrapping_sub(0x4b40_0000 - 127) as u32) << 23);
    sum * power_of_two
}

#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp::<FMA>(2.0 * x))
}

/// Tables of the short-time Fourier transform. The network's first layer is a convolution with a Hann-windowed DFT
/// (tools/extract_weights.py checks it), which as an FFT needs a tenth of the work and no weights.
pub(crate) struct Stft {
    window: [f32; FRAME_LEN],
    /// Cosine and minus sine of 2πk/256.
    turns: [(f32, f32); HALF],
    /// Where sample pair n goes (bit reversal of 7 bits).
    places: [u8; HALF],
}

impl Stft {
    pub(crate) fn new() -> Self {
        let angle = |k: usize| std::f64::consts::TAU * k as f64 / FRAME_LEN as f64;
        Self {
            window: std::array::from_fn(|n| (0.5 - 0.5 * angle(n).cos()) as f32),
            turns: std::array::from_fn(|k| (angle(k).cos() as f32, -angle(k).sin() as f32)),
            places: std::array::from_fn(|n| (n as u8).reverse_bits() >> 1),
        }
    }

    /// Magnitudes of all frames, the four frames side by side in every operation.
    #[inline(always)]
    pub(crate) fn magnitudes(
        &self,
        samples: &[f32; HOP * (FRAMES + 1)],
        out: &mut [[f32; FRAMES]; BINS],
    ) {
        // A real transform of 256 as a complex one of 128: even samples are the real part, odd ones the imaginary.
        let (mut re, mut im) = ([[0.0_f32; FRAMES]; HALF], [[0.0_f32; FRAMES]; HALF]);
        for n in 0..HALF {
            let place = usize::from(self.places[n]) % HALF;
            for t in 0..FRAMES {
                re[place][t] = samples[t * HOP + 2 * n] * self.window[2 * n];
                im[place][t] = samples[t * HOP + 2 * n + 1] * self.window[2 * n + 1];
            }
        }
        let mut half = 1;
        while half < HALF {
            for start in (0..HALF).step_by(2 * half) {
                for j in 0..half {
                    let (cos, sin) = self.turns[j * (HALF / half)];
                    let (a, b) = (start + j, start + j + half);
                    for t in 0..FRAMES {
                        let (x, y) = (
                            re[b][t] * cos - im[b][t] * sin,
                            re[b][t] * sin + im[b][t] * cos,
                        );
                        (re[b][t], im[b][t]) = (re[a][t] - x, im[a][t] - y);
                        (re[a][t], im[a][t]) = (re[a][t] + x, im[a][t] + y);
                    }
                }
            }
            half *= 2;
        }
        // Take even and odd samples' spectra apart and put them together as one of twice the length.
        for t in 0..FRAMES {
            out[0][t] = (re[0][t] + im[0][t]).abs();
            out[HALF][t] = (re[0][t] - im[0][t]).abs();
        }
        for k in 1..HALF {
            let (cos, sin) = self.turns[k];
            let m = HALF - k;
            for t in 0..FRAMES {
                let (even_re, even_im) = (0.5 * (re[k][t] + re[m][t]), 0.5 * (im[k][t] - im[m][t]));
                let (odd_re, odd_im) = (0.5 * (im[k][t] + im[m][t]), 0.5 * (re[m][t] - re[k][t]));
                let x = even_re + odd_re * cos - odd_im * sin;
                let y = even_im + odd_re * sin + odd_im * cos;
                out[k][t] = (x * x + y * y).sqrt();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fft_equals_the_convolution_it_replaces() {
        let samples: [f32; HOP * (FRAMES + 1)] =
            std::array::from_fn(|n| ((n * n) as f32 * 0.013).sin());
        let mut out = [[0.0; FRAMES]; BINS];
        Stft::new().magnitudes(&samples, &mut out);
        for (k, bin) in out.iter().enumerate() {
            for (t, magnitude) in bin.iter().enumerate() {
                let (mut re, mut im) = (0.0_f64, 0.0_f64);
                for n in 0..FRAME_LEN {
                    let angle = std::f64::consts::TAU * (n as f64) / FRAME_LEN as f64;
                    let sample = f64::from(samples[t * HOP + n]) * (0.5 - 0.5 * angle.cos());
                    re += sample * (angle * k as f64).cos();
                    im += sample * (angle * k as f64).sin();
                }
                let wanted = re.hypot(im);
                assert!(
                    (f64::from(*magnitude) - wanted).abs() < 2e-5,
                    "bin {k}, frame {t}: {magnitude}, {wanted}"
                );
            }
        }
    }

    #[test]
    fn sigmoid_and_tanh_are_exact_to_six_digits_and_finite_everywhere() {
        for step in -2_000..=2_000 {
            let x = step as f32 * 0.01;
            let wanted = 1.0 / (1.0 + f64::from(-x).exp());
            assert!(
                (f64::from(sigmoid::<false>(x)) - wanted).abs() < 1e-6,
                "{x}"
            );
            assert!(
                (f64::from(tanh::<false>(x)) - f64::from(x).tanh()).abs() < 1e-6,
                "{x}"
            );
        }
        for x in [f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(sigmoid::<false>(x).is_finite() && tanh::<false>(x).is_finite());
        }
    }
}
