//! Promise 8 from the other side. The observer sees finals, and must guess, as the machine does, which of them the recogniser
//! only says again. Here the caller is ours, so it is known what he said and how often: that much is in the history, whenever
//! he said it, whatever the agent was doing, and however often the recogniser repeated it.
//! `CALLS=n` runs another number, `SEED=n` one of them. A call that goes wrong is printed as a scenario.

#![allow(clippy::disallowed_methods, reason = "what the environment asks for")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write as _;

use antiphon_scenario::{Scenario, run};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// None is a part of another, or of what the agent says.
const PHRASES: [&str; 10] = [
    "yes",
    "okay",
    "no thank you",
    "a table for two",
    "tomorrow evening",
    "by the window please",
    "what time is it",
    "Paris",
    "I would rather have another one",
    "stop",
];
const ANSWERS: [&str; 4] = [
    "Sure.",
    "Shall I reserve it? There is one left in the corner.",
    "We have several places left. The nicest are on the terrace, which is a little windy, and some more are inside.",
    "Our cook recommends fish. It comes from the lake, and is served with rice. Would you like some?",
];

struct Call {
    scenario: String,
    said: Vec<(&'static str, usize)>,
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn call(seed: u64) -> Call {
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut scenario = String::new();
    for _ in 0..8 {
        writeln!(scenario, "llm {:?}", ANSWERS.choose(rng).unwrap()).unwrap();
    }
    let interims = if rng.random() { " interims" } else { "" };
    let mut said: Vec<(&str, usize)> = Vec::new();
    let mut at = 1000;
    for _ in 0..rng.random_range(1..6) {
        let again = said
            .last()
            .filter(|_| rng.random_bool(0.3))
            .map(|(phrase, _)| *phrase);
        let phrase = again.unwrap_or_else(|| PHRASES.choose(rng).unwrap());
        match said.iter_mut().find(|(known, _)| *known == phrase) {
            Some((_, times)) => *times += 1,
            None => said.push((phrase, 1)),
        }
        // 12 to 17 letters a second; a word alone is drawn out
        let lasts = phrase.len() as u64 * rng.random_range(60..85);
        let delay: u64 = *[50, 100, 100, 400].choose(rng).unwrap();
        let until = at + lasts.max(200);
        writeln!(
            scenario,
            "{}-{} says {phrase:?} +{delay}ms{interims}",
            seconds(at),
            seconds(until)
        )
        .unwrap();
        let mut next = until + *[700, 1500, 3000, 5000, 9000].choose(rng).unwrap();
        if rng.random_bool(0.3) {
            // the recogniser says it once more, and nobody has spoken
            let repeated = until + delay + rng.random_range(20..400);
            writeln!(scenario, "at {} final {phrase:?}", seconds(repeated)).unwrap();
            next = next.max(repeated + 300);
        }
        at = next;
    }
    writeln!(scenario, "end {}", seconds(at + 40_000)).unwrap();
    Call { scenario, said }
}

/// What the caller said and how often it is in the history, where that differs.
fn differences(call: &Call) -> Vec<String> {
    let scenario = Scenario::parse(&call.scenario)
        .unwrap_or_else(|error| panic!("{error}: {}", call.scenario));
    let mut heard = String::from(" ");
    for line in run(&scenario).timeline {
        if let Some(text) = line.text.strip_prefix("item user ") {
            let words = text
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty());
            words.for_each(|word| write!(heard, "{} ", word.to_lowercase()).unwrap());
        }
    }
    let count = |phrase: &str| {
        let (mut count, mut rest) = (0, heard.as_str());
        while let Some(at) = rest.find(&format!(" {} ", phrase.to_lowercase())) {
            count += 1;
            rest = rest.get(at + phrase.len() + 1..).unwrap_or_default();
        }
        count
    };
    let wrong = call
        .said
        .iter()
        .filter(|(phrase, times)| count(phrase) != *times);
    wrong
        .map(|(phrase, times)| {
            format!(
                "{phrase:?} was said {times} times, and is in the history {} times",
                count(phrase)
            )
        })
        .collect()
}

#[test]
fn what_the_caller_said_is_in_the_history_as_often_as_he_said_it() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().unwrap())
    };
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CALLS").unwrap_or(3000),
    };
    let (mut report, mut count) = (String::new(), 0);
    for seed in seeds {
        let call = call(seed);
        let differences = differences(&call);
        if !differences.is_empty() {
            count += 1;
            if count <= 5 {
                let lines = run(&Scenario::parse(&call.scenario).unwrap()).timeline;
                let of_caller = lines.iter().filter(|line| {
                    [
                        "user ",
                        "hears",
                        "turn",
                        "item user",
                        "withdrawn",
                        "interrupted",
                    ]
                    .iter()
                    .any(|kind| line.text.starts_with(kind))
                });
                write!(
                    report,
                    "\n== SEED={seed}: {}\n{}",
                    differences.join("; "),
                    call.scenario
                )
                .unwrap();
                for line in of_caller {
                    let at = line.at.as_micros() as f64 / 1e6;
                    writeln!(report, "# {at:.3} {}", line.text).unwrap();
                }
            }
        }
    }
    assert!(count == 0, "{count} calls\n{report}");
}
