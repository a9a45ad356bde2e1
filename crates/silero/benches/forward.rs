//! Time of one window (32 ms of sound), median and spread over runs. `tools/expected_probabilities.py` prints onnxruntime's
//! figure on the same machine.
#![allow(clippy::print_stdout, clippy::indexing_slicing)]

use std::hint::black_box;
use std::time::Instant;

use antiphon_silero::network::{Network, State, WINDOW};

const RUNS: usize = 200;
const WINDOWS_PER_RUN: usize = 100;

fn measure(name: &str, network: &Network) {
    let windows: Vec<[f32; WINDOW]> = (0..16)
        .map(|w| std::array::from_fn(|n| (((w * WINDOW + n) as f32) * 0.05).sin() * 0.3))
        .collect();
    let mut state = State::default();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            for index in 0..WINDOWS_PER_RUN {
                black_box(
                    network.probability(&mut state, black_box(&windows[index % windows.len()])),
                );
            }
            start.elapsed().as_secs_f64() * 1e6 / WINDOWS_PER_RUN as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |quantile: usize| times[quantile * (RUNS - 1) / 100];
    println!(
        "{name:9} best {:5.1} us   median {:5.1} us   p10 {:5.1}   p90 {:5.1}   {:.0} callers per core",
        at(0),
        at(50),
        at(10),
        at(90),
        32_000.0 / at(50)
    );
}

fn main() {
    measure("machine", &Network::load());
    measure("portable", &Network::load_portable());
}
