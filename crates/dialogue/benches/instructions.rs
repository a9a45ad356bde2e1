//! The long call once, for counting instructions: `scripts/callgrind.sh` runs it under callgrind, which counts inside
//! [`whole_call`] only, and compares with `instructions.limit`.
#![allow(clippy::print_stdout, missing_docs)]

mod call;

use antiphon_dialogue::{Input, Instant};

fn main() {
    let inputs = call::inputs();
    println!("events {}", inputs.len());
    whole_call(inputs);
}

#[inline(never)]
fn whole_call(inputs: Vec<(Instant, Input)>) {
    let mut machine = call::machine();
    for (at, input) in inputs {
        machine.handle(at, input);
        while let Some(action) = machine.poll() {
            std::hint::black_box(action);
        }
        std::hint::black_box(machine.deadline());
    }
}
