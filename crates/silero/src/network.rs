//! The network: 64 + 512 samples in, one probability out.
//!
//! ```text
//! 64 samples of context + 512 new, 64 reflected at the end
//!   STFT 256, hop 128, magnitude     129 x 4
//!   conv 3, ReLU                     128 x 4
//!   conv 3, stride 2, ReLU            64 x 2
//!   conv 3, stride 2, ReLU            64 x 1
//!   conv 3, ReLU                     128 x 1
//!   LSTM 128 (gates i, f, g, o)      128
//!   ReLU, 1 output, sigmoid            1
//! ```
//!
//! Weights: `weights/README.md`. Layout: `tools/extract_weights.py`.

// Fixed-size arrays and constant indices; see kernels.rs.
#![allow(clippy::indexing_slicing)]

use crate::kernels::{BINS, FRAMES, HOP, Row, Stft, add_product, sigmoid, tanh};

/// New samples per window: 32 ms at 16 kHz.
pub const WINDOW: usize = 512;
/// Samples of the window before that the network sees again.
pub const CONTEXT: usize = 64;
const HIDDEN: usize = 128;
const GATES: usize = 4 * HIDDEN;
/// Panel width of the LSTM; the convolutions' are in the types of [`Network`].
const LSTM_PANEL: usize = 64;

static WEIGHTS: &[u8] = include_bytes!("../weights/silero_vad_v6_16k.f32");
const NUMBERS: usize = (3 * BINS + 1) * 128
    + (3 * 128 + 1) * 64
    + (2 * 64 + 1) * 64
    + (64 + 1) * 128
    + (2 * HIDDEN + 1) * GATES
    + HIDDEN
    + 1;
const _: () = assert!(
    WEIGHTS.len() == 4 * NUMBERS,
    "the weights file does not fit the network"
);

/// What a caller's detector remembers between windows: 1280 bytes.
#[derive(Clone)]
pub struct State {
    hidden: [f32; HIDDEN],
    cell: [f32; HIDDEN],
    context: [f32; CONTEXT],
}

impl Default for State {
    fn default() -> Self {
        Self {
            hidden: [0.0; HIDDEN],
            cell: [0.0; HIDDEN],
            context: [0.0; CONTEXT],
        }
    }
}

/// The weights (0.9 MB), loaded once and shared. Immutable.
pub struct Network {
    stft: Stft,
    fma: bool,
    conv1: [Vec<Row<16>>; 3],
    bias1: [f32; 128],
    conv2: [Vec<Row<32>>; 3],
    bias2: [f32; 64],
    /// Second and third tap; the first only meets padding.
    conv3: [Vec<Row<64>>; 2],
    bias3: [f32; 64],
    /// Second tap; the others only meet padding.
    conv4: Vec<Row<64>>,
    bias4: [f32; 128],
    /// 128 inputs and 128 of the state, one matrix.
    lstm: Vec<Row<LSTM_PANEL>>,
    lstm_bias: [f32; GATES],
    out: [f32; HIDDEN],
    out_bias: f32,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("fma", &self.fma)
            .finish_non_exhaustive()
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::load()
    }
}

impl Network {
    /// The network of the weights in the binary, for this machine's best instructions.
    pub fn load() -> Self {
        Self::load_for(machine_has_fma())
    }

    /// The network without AVX2, as on a machine that has none. For tests and measurements.
    pub fn load_portable() -> Self {
        Self::load_for(false)
    }

    fn load_for(fma: bool) -> Self {
        let (numbers, _) = WEIGHTS.as_chunks::<4>();
        let mut numbers = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let numbers = &mut numbers;
        // In the order of the file, which is the order of evaluation here.
        Self {
            stft: Stft::new(),
            fma,
            conv1: std::array::from_fn(|_| rows(numbers, BINS * 128)),
            bias1: take(numbers),
            conv2: std::array::from_fn(|_| rows(numbers, 128 * 64)),
            bias2: take(numbers),
            conv3: std::array::from_fn(|_| rows(numbers, 64 * 64)),
            bias3: take(numbers),
            conv4: rows(numbers, 64 * 128),
            bias4: take(numbers),
            lstm: rows(numbers, 2 * HIDDEN * GATES),
            lstm_bias: take(numbers),
            out: take(numbers),
            out_bias: take::<1>(numbers)[0],
        }
    }

    /// Probability that these 512 samples (-1.0 to 1.0) hold speech, 0 to 1. Allocates nothing.
    pub fn probability(&self, state: &mut State, window: &[f32; WINDOW]) -> f32 {
        #[cfg(target_arch = "x86_64")]
        if self.fma {
            // The same Rust compiled for AVX2 and FMA is several times faster than for the SSE2 that every x86-64 has
            // (`cargo bench -p antiphon-silero` prints both), and calling it is `unsafe` because the compiler cannot know
            // the machine. SAFETY: `fma` is true only if the machine reported both.
            #[allow(unsafe_code)]
            return unsafe { self.probability_avx2(state, window) };
        }
        self.forward::<false>(state, window)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn probability_avx2(&self, state: &mut State, window: &[f32; WINDOW]) -> f32 {
        self.forward::<true>(state, window)
    }

    #[inline(always)]
    fn forward<const FMA: bool>(&self, state: &mut State, window: &[f32; WINDOW]) -> f32 {
        let mut samples = [0.0; HOP * (FRAMES + 1)];
        let (context, rest) = samples.split_at_mut(CONTEXT);
        let (new, reflected) = rest.split_at_mut(WINDOW);
        context.copy_from_slice(&state.context);
        new.copy_from_slice(window);
        for (to, from) in reflected.iter_mut().zip(window.iter().rev().skip(1)) {
            *to = *from;
        }
        state.context.copy_from_slice(&window[WINDOW - CONTEXT..]);

        let mut spectrum = [[0.0; FRAMES]; BINS];
        self.stft.magnitudes(&samples, &mut spectrum);

        let mut first = [[0.0; 4]; 128];
        for panel in 0..128 / 16 {
            let mut sums = [part(&self.bias1, panel); 4];
            let [before, here, after] = self.conv1.each_ref().map(|tap| panel_of(tap, panel, BINS));
            add_product::<FMA, 16, 4, 4, 3>(before, &spectrum, &mut sums, [(1, 0), (2, 1), (3, 2)]);
            add_product::<FMA, 16, 4, 4, 4>(
                here,
                &spectrum,
                &mut sums,
                [(0, 0), (1, 1), (2, 2), (3, 3)],
            );
            add_product::<FMA, 16, 4, 4, 3>(after, &spectrum, &mut sums, [(0, 1), (1, 2), (2, 3)]);
            store_relu(&sums, &mut first, panel);
        }
        let mut second = [[0.0; 2]; 64];
        for panel in 0..64 / 32 {
            let mut sums = [part(&self.bias2, panel); 2];
            let [before, here, after] = self.conv2.each_ref().map(|tap| panel_of(tap, panel, 128));
            add_product::<FMA, 32, 4, 2, 1>(before, &first, &mut sums, [(1, 1)]);
            add_product::<FMA, 32, 4, 2, 2>(here, &first, &mut sums, [(0, 0), (1, 2)]);
            add_product::<FMA, 32, 4, 2, 2>(after, &first, &mut sums, [(0, 1), (1, 3)]);
            store_relu(&sums, &mut second, panel);
        }
        let mut third = [[0.0; 1]; 64];
        let mut sums = [self.bias3];
        add_product::<FMA, 64, 2, 1, 1>(&self.conv3[0], &second, &mut sums, [(0, 0)]);
        add_product::<FMA, 64, 2, 1, 1>(&self.conv3[1], &second, &mut sums, [(0, 1)]);
        store_relu(&sums, &mut third, 0);

        // The LSTM's input: the last convolution's output, then the state.
        let mut input = [[0.0; 1]; 2 * HIDDEN];
        let (fourth, hidden) = input.split_at_mut(HIDDEN);
        for panel in 0..128 / 64 {
            let mut sums = [part(&self.bias4, panel)];
            add_product::<FMA, 64, 1, 1, 1>(
                panel_of(&self.conv4, panel, 64),
                &third,
                &mut sums,
                [(0, 0)],
            );
            store_relu(&sums, fourth, panel);
        }
        for (to, from) in hidden.iter_mut().zip(&state.hidden) {
            *to = [*from];
        }
        self.recur::<FMA>(state, &input)
    }

    #[inline(always)]
    fn recur<const FMA: bool>(&self, state: &mut State, input: &[[f32; 1]; 2 * HIDDEN]) -> f32 {
        let mut gates = [[0.0; HIDDEN]; 4];
        for panel in 0..GATES / LSTM_PANEL {
            let mut sums = [part::<LSTM_PANEL>(&self.lstm_bias, panel)];
            let weights = panel_of(&self.lstm, panel, 2 * HIDDEN);
            add_product::<FMA, LSTM_PANEL, 1, 1, 1>(weights, input, &mut sums, [(0, 0)]);
            let start = panel * LSTM_PANEL;
            gates[start / HIDDEN][start % HIDDEN..][..LSTM_PANEL].copy_from_slice(&sums[0]);
        }
        let [write, keep, new, show] = gates;
        let mut logit = [0.0; 8];
        for n in 0..HIDDEN {
            let cell = sigmoid::<FMA>(keep[n]) * state.cell[n]
                + sigmoid::<FMA>(write[n]) * tanh::<FMA>(new[n]);
            state.cell[n] = cell;
            state.hidden[n] = sigmoid::<FMA>(show[n]) * tanh::<FMA>(cell);
        }
        for n in 0..HIDDEN {
            logit[n % 8] += state.hidden[n].max(0.0) * self.out[n];
        }
        sigmoid::<FMA>(logit.iter().sum::<f32>() + self.out_bias)
    }
}

#[cfg(target_arch = "x86_64")]
fn machine_has_fma() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Other machines' baseline (NEON) is what the portable code is compiled for.
#[cfg(not(target_arch = "x86_64"))]
fn machine_has_fma() -> bool {
    false
}

/// The rows of one panel of a matrix with `inputs` inputs.
#[inline(always)]
fn panel_of<const N: usize>(matrix: &[Row<N>], panel: usize, inputs: usize) -> &[Row<N>] {
    &matrix[panel * inputs..][..inputs]
}

/// The numbers of a vector that belong to one panel.
#[inline(always)]
fn part<const N: usize>(vector: &[f32], panel: usize) -> [f32; N] {
    std::array::from_fn(|n| vector[panel * N + n])
}

/// ReLU, from columns of a panel to rows of the next layer's input.
#[inline(always)]
fn store_relu<const N: usize, const T: usize>(
    sums: &[[f32; N]; T],
    to: &mut [[f32; T]],
    panel: usize,
) {
    for (n, row) in to[panel * N..][..N].iter_mut().enumerate() {
        for (t, value) in row.iter_mut().enumerate() {
            *value = sums[t][n].max(0.0);
        }
    }
}

// The file's length is checked at compile time, so the numbers never run out.

fn take<const N: usize>(numbers: &mut impl Iterator<Item = f32>) -> [f32; N] {
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

fn rows<const N: usize>(numbers: &mut impl Iterator<Item = f32>, count: usize) -> Vec<Row<N>> {
    (0..count / N).map(|_| Row(take(numbers))).collect()
}
