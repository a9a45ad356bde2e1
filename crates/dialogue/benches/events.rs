//! How long the machine takes for one event over a long call: the median must be under 5 µs. Prints every kind of input with
//! its median and its longest. Run with `cargo bench -p antiphon-dialogue --bench events`.

#![allow(clippy::disallowed_methods, reason = "a bench measures time")]
#![allow(clippy::print_stdout, missing_docs)]

mod call;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use antiphon_dialogue::Input;
use antiphon_dialogue::input::Vad;

/// The longest that one event may take at the median.
const MEDIAN: Duration = Duration::from_micros(5);
/// The call is repeated; the second time and later the caches are warm, as in a worker with many sessions.
const CALLS: usize = 5;

fn main() -> ExitCode {
    let inputs = call::inputs();
    let mut all = Vec::new();
    let mut kinds: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut items = 0;
    for _ in 0..CALLS {
        let mut machine = call::machine();
        for (at, input) in inputs.clone() {
            let kind = kind(&input);
            let begun = Instant::now();
            machine.handle(at, input);
            while let Some(action) = machine.poll() {
                std::hint::black_box(action);
            }
            let _due = std::hint::black_box(machine.deadline());
            let took = begun.elapsed();
            all.push(took);
            kinds.entry(kind).or_default().push(took);
        }
        items = machine.history().len();
    }
    println!(
        "{} events a call, {items} items in the history at its end",
        inputs.len()
    );
    for (kind, mut times) in kinds {
        let count = times.len() / CALLS;
        let (median, longest) = median_and_longest(&mut times);
        println!("{kind:>12} {count:>7} times  median {median:>9.2?}  longest {longest:>9.2?}");
    }
    let (median, longest) = median_and_longest(&mut all);
    println!(
        "{:>12} {:>7} times  median {median:>9.2?}  longest {longest:>9.2?}",
        "all",
        inputs.len()
    );
    if median < MEDIAN {
        ExitCode::SUCCESS
    } else {
        println!("the median is not under {MEDIAN:?}");
        ExitCode::FAILURE
    }
}

fn median_and_longest(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    (median, times.last().copied().unwrap_or_default())
}

fn kind(input: &Input) -> &'static str {
    match input {
        Input::Started => "started",
        Input::Vad(Vad::Frame { .. }) => "vad frame",
        Input::Vad(_) => "vad change",
        Input::Stt(_) => "stt",
        Input::TurnPrediction { .. } => "prediction",
        Input::Retrieved { .. } => "retrieved",
        Input::Llm { .. } => "llm",
        Input::Tts { .. } => "tts",
        Input::Playout(_) => "playout",
        Input::ToolFinished { .. } | Input::ToolUpdated { .. } => "tool",
        Input::UserText(_) => "typed",
        Input::Command(_) => "command",
        Input::UserTurnCompleted { .. } => "user turn completed",
        Input::ToolsCompleted { .. } => "tools completed",
        Input::Measured(_) => "measured",
        Input::Time => "time",
    }
}
