//! Conversations out of bytes, with every promise of the dialogue checked after every step.

#[path = "../../crates/dialogue/tests/interleave/mod.rs"]
mod random;

use crate::bytes::Bytes;

const MAX_STEPS: usize = 400;
/// An input takes about so many draws.
const BYTES_PER_STEP: usize = 3;

pub fn interleave(data: &[u8]) {
    let steps = (data.len() / BYTES_PER_STEP).min(MAX_STEPS);
    if let Err(problem) = random::run(&mut Bytes(data), steps) {
        panic!("{problem}");
    }
}
