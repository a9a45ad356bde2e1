//! Scenarios whose events come late, twice, not at all or as failures.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)] // scenarios are files

use std::sync::Arc;

use antiphon_chat::time::Duration;
use antiphon_dialogue::input::{Command, Vad};
use antiphon_dialogue::{Input, Instant, Options};
use antiphon_scenario::{Failure, Scenario, explore, run};

mod files;

/// Inputs for each scenario; `make test` takes this many random ones beside these.
const STEPS: usize = 500;

#[test]
fn whatever_goes_wrong_in_our_scenarios_every_promise_is_kept() {
    let instructions: Arc<str> = "Be brief.".into();
    for (name, file) in files::scenarios() {
        let scenario = Scenario::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        let explored = explore(&scenario, &Options::default(), &instructions, 1, STEPS);
        if let Some((seed, failure)) = explored.failure {
            let failure = failure.shrink().to_string();
            panic!("{name}: seed {seed}: {failure}");
        }
        assert!(explored.steps >= STEPS && explored.runs > 0);
    }
}

#[test]
fn a_seed_is_the_same_conversations_again() {
    let text = "llm \"Hello.\"\n0.5-2.0 says \"Hello there\"\ntool t gives \"x\"\n";
    let scenario = Scenario::parse(text).unwrap();
    let from = |seed| {
        let explored = explore(&scenario, &Options::default(), &"".into(), seed, 2000);
        (explored.runs, explored.steps)
    };
    assert_eq!(from(7), from(7));
    assert_ne!(from(7), from(12)); // two may be equally long by chance, as 7 and 11 are
}

fn failure(inputs: Vec<(Instant, Input)>, problem: &str) -> Failure {
    Failure {
        options: Options::default(),
        instructions: "Be brief.".into(),
        inputs,
        problem: problem.into(),
    }
}

/// Where nobody asks, nobody sees that there is no answer.
#[test]
fn a_scenario_of_an_agent_that_fell_silent_asks_it_and_fails_until_it_answers() {
    let closed = Input::Command(Command::Close { drain: false });
    let ended = Input::Vad(Vad::SpeechEnded {
        speech: Duration::from_secs(1),
        silence: Duration::from_millis(500),
    });
    let mute = vec![
        (Instant::ZERO, Input::Started),
        (Instant::from_millis(500), ended),
        (Instant::from_millis(1000), closed),
    ];
    let text = failure(mute.clone(), "never mute: it never answers again\nmore").scenario();
    assert!(
        text.starts_with(
            "title never mute: it never answers again\nagent none\nrecorded until 1\n"
        ),
        "{text}"
    );
    // a session that is closed is as silent as one that is broken
    let outcome = run(&Scenario::parse(&text).unwrap());
    assert_eq!(outcome.failures.len(), 1, "{:?}", outcome.failures);
    let answers = failure(mute.into_iter().take(2).collect(), "never mute: x").scenario();
    let outcome = run(&Scenario::parse(&answers).unwrap());
    assert_eq!(outcome.failures, Vec::<String>::new());
    let other = failure(Vec::new(), "never talk over: x").scenario();
    assert!(!other.contains("expect"), "{other}");
}
