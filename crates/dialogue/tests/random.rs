//! Random interleavings of everything that can be said to the machine, late, doubled, missing and failing events included.
//! `SEEDS=n` runs more of them, `SEED=n` one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod interleave;

use rand::SeedableRng;
use rand::rngs::StdRng;

const STEPS: usize = 400;

#[test]
fn whatever_happens_the_agent_answers_again_and_keeps_its_promises() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse::<u64>().ok())
    };
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(400),
    };
    for seed in seeds {
        if let Err(problem) = interleave::run(&mut StdRng::seed_from_u64(seed), STEPS) {
            panic!("SEED={seed}: {problem}");
        }
    }
}
