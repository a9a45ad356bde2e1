//! Random interleavings of everything that can be said to the machine, late, doubled, missing and failing events included.
//! At least a million steps; `STEPS=n` runs another number, `SEED=n` one conversation, `FROM=n` begins at another seed.
//! A conversation that breaks a promise is made as short as it can be and printed as a scenario.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "threads, and what the environment asks for"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::print_stdout
)]

mod interleave;

use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use antiphon_dialogue::Input;
use antiphon_scenario::Failure;
use interleave::Run;
use rand::SeedableRng;
use rand::rngs::StdRng;

const MILLION: usize = 1_000_000;
const THREADS: usize = 2;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value}: expected a number")),
    )
}

/// Most conversations are short, so that many different ones begin; a few are so long that the history is full of them.
fn length(seed: u64) -> usize {
    if seed % 100 == 99 { 8000 } else { 400 }
}

fn converse(seed: u64) -> Result<Run, (u64, Box<Failure>)> {
    interleave::run(&mut StdRng::seed_from_u64(seed), length(seed))
        .map_err(|failure| (seed, failure))
}

/// Makes it as short as it can be and says so.
fn tell((seed, failure): (u64, Box<Failure>)) -> ! {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // shrinking panics again and again
    // written before it panics: writing it repeats the panic
    let failure = failure.shrink().to_string();
    std::panic::set_hook(hook);
    panic!("\nSEED={seed}: {failure}");
}

#[test]
fn whatever_happens_the_agent_answers_again_and_keeps_its_promises() {
    if let Some(seed) = number("SEED") {
        converse(seed).unwrap_or_else(|failure| tell(failure));
        return;
    }
    let wanted = number("STEPS").map_or(MILLION, |steps| steps as usize);
    let from = number("FROM").unwrap_or(0);
    let seeds = AtomicU64::new(from);
    let (steps, proofs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seen = Mutex::new(BTreeSet::new());
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while steps.load(Ordering::Relaxed) < wanted && failed.lock().unwrap().is_none() {
                    match converse(seeds.fetch_add(1, Ordering::Relaxed)) {
                        Ok(run) => {
                            steps.fetch_add(run.steps, Ordering::Relaxed);
                            proofs.fetch_add(run.proofs, Ordering::Relaxed);
                            seen.lock().unwrap().extend(run.seen);
                        }
                        Err(failure) => *failed.lock().unwrap() = Some(failure),
                    }
                }
            });
        }
    });
    if let Some(failure) = failed.into_inner().unwrap() {
        tell(failure);
    }
    let seen = seen.into_inner().unwrap();
    println!(
        "{} steps, {} conversations, life proved from {} states, {} kinds of actions and events",
        steps.load(Ordering::Relaxed),
        seeds.load(Ordering::Relaxed) - from,
        proofs.load(Ordering::Relaxed),
        seen.len()
    );
    let unseen: Vec<&str> = EVERYTHING
        .into_iter()
        .filter(|kind| !seen.contains(*kind))
        .collect();
    assert!(
        wanted < MILLION || unseen.is_empty(),
        "never happened: {unseen:?}"
    );
}

/// Failing seeds are kept, and calls recorded, as JSON.
#[test]
fn every_kind_of_input_is_written_and_read_again() {
    let (mut kinds, mut commands) = (HashSet::new(), HashSet::new());
    for seed in 0..100 {
        let inputs = interleave::inputs(&mut StdRng::seed_from_u64(seed), 400);
        for (_, input) in inputs {
            let text = serde_json::to_string(&input).unwrap();
            assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), input);
            kinds.insert(std::mem::discriminant(&input));
            if let Input::Command(command) = input {
                commands.insert(std::mem::discriminant(&command));
            }
        }
    }
    assert_eq!(kinds.len(), 16);
    // the options of an agent are changed as those of the session are
    assert_eq!(commands.len(), 17, "all but `override_options`");
}

/// Nothing that the machine can do is out of reach of the dice.
const EVERYTHING: [&str; 44] = [
    "Retrieve",
    "CompleteUserTurn",
    "CompleteTools",
    "StartLlm",
    "CancelLlm",
    "Synthesize",
    "CancelSynthesis",
    "Play",
    "PausePlayout",
    "ResumePlayout",
    "ClearPlayout",
    "PredictTurn",
    "CancelPrediction",
    "UserTranscriptionTimeout",
    "UserTurnExceeded",
    "FinalizeStt",
    "ClearStt",
    "MuteStt",
    "RunTool",
    "SwitchAgent",
    "TaskEnded",
    "NotInterrupted",
    "StepSpoken",
    "CancelTool",
    "Close",
    "AgentStateChanged",
    "UserStateChanged",
    "UserInputTranscribed",
    "AgentTranscript",
    "ConversationItemAdded",
    "SpeechCreated",
    "SpeechDone",
    "AgentFalseInterruption",
    "Interrupted",
    "OverlappingSpeech",
    "ToolStarted",
    "ToolUpdated",
    "ToolReplyUpdated",
    "ToolEnded",
    "TurnMetrics",
    "SessionUsageUpdated",
    "MetricsCollected",
    "FunctionToolsExecuted",
    "Error",
];
