//! Running a scenario and comparing what was seen with what was expected.

use super::cast::Outcome;
use super::parse::{Expect, Scenario};
use super::simulate::Simulation;
use crate::chat::{Item, Role};
use crate::input::Input;
use crate::invariants::Observer;
use crate::machine::Dialogue;
use crate::time::{Duration, Instant};

const TOLERANCE: Duration = Duration::from_millis(50);

pub(super) fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}

/// An item as a scenario writes it.
pub(super) fn describe(item: &Item) -> String {
    match item {
        Item::Message(message) => {
            let who = match (message.role, message.interrupted) {
                (Role::Assistant, true) => "agent*",
                (Role::Assistant, false) => "agent",
                (Role::User, _) => "user",
                (Role::System, _) => "system",
            };
            format!("{who} \"{}\"", message.text)
        }
        Item::FunctionCall { call, .. } => format!("call {} {}", call.name, call.arguments),
        Item::FunctionCallOutput { output, .. } if output.is_error => {
            format!("error \"{}\"", output.output)
        }
        Item::FunctionCallOutput { output, .. } => format!("result \"{}\"", output.output),
        Item::AgentHandoff { new_agent_id, .. } => format!("handoff {new_agent_id}"),
    }
}

pub(super) fn run(scenario: &Scenario) -> Outcome {
    let dialogue = Dialogue::new(scenario.options.clone(), "You are a test.");
    let mut simulation = Simulation::new(dialogue, Observer::default(), Instant::ZERO)
        .with_answers(scenario.replies.clone(), scenario.voices.clone());
    simulation.tools.clone_from(&scenario.tools);
    simulation.schedule(Instant::ZERO, Input::Started);
    let mut last = Instant::ZERO;
    for speech in &scenario.speeches {
        let next = scenario
            .speeches
            .iter()
            .map(|other| other.from)
            .filter(|from| *from > speech.from)
            .min();
        simulation.speech(speech, next, scenario.stt_delay);
        last = last.max(speech.to);
    }
    for (at, input) in &scenario.inputs {
        simulation.schedule(*at, input.clone());
        last = last.max(*at);
    }
    simulation.run_until(scenario.end.unwrap_or(last + Duration::from_secs(14)));
    let mut failures = simulation.violations.clone();
    for (line, expectation) in &scenario.expectations {
        if let Err(problem) = check(expectation, &simulation) {
            failures.push(format!("line {line}: {problem}"));
        }
    }
    Outcome {
        timeline: simulation.timeline,
        failures,
    }
}

fn check(expectation: &Expect, simulation: &Simulation) -> Result<(), String> {
    let times = |text: &str| -> Vec<Instant> {
        simulation
            .timeline
            .iter()
            .filter(|line| line.text.contains(text))
            .map(|line| line.at)
            .collect()
    };
    match expectation {
        Expect::Seen { at, text } => {
            let seen = times(text);
            let near = |at: Instant| {
                seen.iter()
                    .any(|seen| seen.since(at) <= TOLERANCE && at.since(*seen) <= TOLERANCE)
            };
            let ok = at.map_or(!seen.is_empty(), near);
            let when: Vec<String> = seen
                .iter()
                .map(|at| format!("{:.3}", seconds(*at)))
                .collect();
            if ok {
                Ok(())
            } else {
                Err(format!("expected `{text}`, seen at [{}]", when.join(", ")))
            }
        }
        Expect::Once { text } => {
            let count = times(text).len();
            if count == 1 {
                Ok(())
            } else {
                Err(format!("expected `{text}` once, seen {count} times"))
            }
        }
        Expect::Never { text } => {
            let seen = times(text);
            seen.first().map_or(Ok(()), |at| {
                Err(format!("`{text}` was seen at {:.3}", seconds(*at)))
            })
        }
        Expect::States { states } => {
            let seen: Vec<&str> = simulation
                .timeline
                .iter()
                .filter_map(|line| line.text.strip_prefix("agent "))
                .collect();
            if seen == *states {
                Ok(())
            } else {
                Err(format!("the agent's states were {seen:?}"))
            }
        }
        Expect::History { lines } => {
            let seen: Vec<String> = simulation.dialogue.history().iter().map(describe).collect();
            if seen == *lines {
                Ok(())
            } else {
                Err(format!("the history is\n  {}", seen.join("\n  ")))
            }
        }
    }
}
