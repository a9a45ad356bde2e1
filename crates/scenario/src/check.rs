//! Running a scenario and comparing what was seen with what was expected.

use std::sync::Arc;

use super::cast::{Outcome, Speech};
use super::expect::{Expect, When};
use super::explore::Mischief;
use super::parse::Scenario;
use super::simulate::Simulation;
use crate::invariants::Observer;
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Item, Role};
use antiphon_dialogue::Dialogue;
use antiphon_dialogue::input::Input;
use antiphon_dialogue::options::Options;

/// A scenario without `end` runs this long after its last line: longer than an answer takes, shorter than a caller is away.
const AFTER_THE_LAST: Duration = Duration::from_secs(14);

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
                (Role::Developer, _) => "developer",
            };
            format!("{who} \"{}\"", message.text)
        }
        Item::FunctionCall { call, .. } => format!("call {} {}", call.name, call.arguments),
        Item::FunctionCallOutput { output, .. } if output.is_error => {
            format!("error \"{}\"", output.output)
        }
        Item::FunctionCallOutput { output, .. } => format!("result \"{}\"", output.output),
        Item::AgentHandoff { new_agent_id, .. } => format!("handoff {new_agent_id}"),
        Item::AgentConfigUpdate {
            instructions,
            tools_added,
            tools_removed,
            ..
        } => {
            let text = instructions.iter().map(|text| format!(" \"{text}\""));
            let added = tools_added.iter().map(|name| format!(" +{name}"));
            let removed = tools_removed.iter().map(|name| format!(" -{name}"));
            let changes: String = text.chain(added).chain(removed).collect();
            format!("config{changes}")
        }
    }
}

pub(super) fn run(scenario: &Scenario, base: &Options, instructions: Arc<str>) -> Outcome {
    let (mut simulation, until) = prepare(scenario, base, instructions, None);
    simulation.run_until(until);
    let mut failures = simulation.violations.clone();
    for expectation in &scenario.expectations {
        if let Err(problem) = check(&expectation.what, &simulation) {
            failures.push(format!("line {}: {problem}", expectation.line));
        }
    }
    let notes = simulation.notes();
    Outcome {
        timeline: simulation.timeline,
        failures,
        notes,
        lanes: simulation.lanes,
        until,
    }
}

/// Everything that the scenario holds around a machine, and when it ends; with `mischief` it goes wrong.
pub(super) fn prepare(
    scenario: &Scenario,
    base: &Options,
    instructions: Arc<str>,
    mischief: Option<Mischief>,
) -> (Simulation, Instant) {
    let dialogue = Dialogue::new(scenario.options_over(base), instructions);
    let mut simulation = Simulation::new(dialogue, Observer::default(), Instant::ZERO)
        .with_answers(scenario.replies.clone(), scenario.voices.clone());
    simulation.tools.clone_from(&scenario.tools);
    simulation.found = scenario.found.clone().into();
    simulation.hooks = scenario.hooks.clone().into();
    simulation.tools_hooks = scenario.tools_hooks.clone().into();
    simulation.predictions = scenario.predictions.clone().into();
    simulation.hearing = scenario.hearing;
    simulation.told = mischief.is_some().then(Vec::new);
    simulation.mischief = mischief;
    let mut last = Instant::ZERO;
    match scenario.recorded_until {
        Some(until) => {
            let recorded = scenario.inputs.iter().filter(|(at, _)| *at <= until);
            simulation.repeat(recorded.cloned(), until);
            last = until;
        }
        None => simulation.schedule(Instant::ZERO, Input::Started),
    }
    for speech in &scenario.speeches {
        let next = scenario
            .speeches
            .iter()
            .map(|other| other.from)
            .filter(|from| *from > speech.from)
            .min();
        let length = speech.to.since(speech.from);
        let from = simulation.shifted(speech.from);
        let speech = Speech {
            from,
            to: from + length,
            ..speech.clone()
        };
        simulation.speech(
            &speech,
            next.filter(|next| *next > from),
            scenario.stt_delay,
        );
        last = last.max(speech.to);
    }
    for (at, input) in &scenario.inputs {
        if scenario.recorded_until.is_none_or(|until| *at > until) {
            let at = simulation.shifted(*at);
            simulation.schedule(at, input.clone());
            last = last.max(at);
        }
    }
    (simulation, scenario.end.unwrap_or(last + AFTER_THE_LAST))
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
    let within = |when: &When, times: &[Instant]| -> Vec<Instant> {
        times.iter().copied().filter(|at| when.holds(*at)).collect()
    };
    match expectation {
        Expect::Seen { when, text } => {
            let all = times(text);
            if within(when, &all).is_empty() {
                Err(format!("expected `{text}`, {}", seen(&all)))
            } else {
                Ok(())
            }
        }
        Expect::Once { when, text } => {
            let all = times(text);
            match within(when, &all).len() {
                1 => Ok(()),
                _ => Err(format!("expected `{text}` once, {}", seen(&all))),
            }
        }
        Expect::Never { when, text } => match within(when, &times(text)).first() {
            None => Ok(()),
            Some(at) => Err(format!("`{text}` was seen at {:.3}", seconds(*at))),
        },
        Expect::States { states } => {
            let seen: Vec<&str> = simulation
                .timeline
                .iter()
                .filter_map(|line| line.text.strip_prefix("agent "))
                .collect();
            if seen == *states {
                Ok(())
            } else {
                Err(format!("the agent's states were {}", seen.join(" ")))
            }
        }
        Expect::History { lines } => {
            let seen = history(simulation.dialogue.history(), lines);
            if seen == *lines {
                Ok(())
            } else {
                Err(format!("the history is\n  {}", seen.join("\n  ")))
            }
        }
    }
}

/// As it is compared with these lines: the item with which every history begins may be left out of them.
fn history(items: &[Item], lines: &[String]) -> Vec<String> {
    let explicit = lines.first().is_some_and(|first| is_handoff(first));
    let first = |item: &Item| {
        matches!(
            item,
            Item::AgentHandoff {
                old_agent_id: None,
                ..
            }
        )
    };
    let items = items.iter().filter(|item| explicit || !first(item));
    items.map(describe).collect()
}

fn is_handoff(line: &str) -> bool {
    line.split_whitespace().next() == Some("handoff")
}

fn seen(times: &[Instant]) -> String {
    if times.is_empty() {
        return "never seen".into();
    }
    let times: Vec<String> = times
        .iter()
        .map(|at| format!("{:.3}", seconds(*at)))
        .collect();
    format!("seen at {}", times.join(", "))
}
