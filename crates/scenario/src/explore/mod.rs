//! Looking for what a scenario does not say: its caller, program and providers again and again, but late, twice, not at
//! all or failing, as dice decide. Every promise is checked after every step, and now and then the first one is proved:
//! that the agent answers again. One seed is one conversation, the same on every machine.

mod dice;
mod failure;
mod liveness;
mod mischief;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub use failure::Failure;
pub use liveness::lives;
pub(super) use mischief::Mischief;

use super::check::prepare;
use super::parse::Scenario;
use antiphon_chat::time::Duration;
use antiphon_dialogue::event::AgentState;
use antiphon_dialogue::options::Options;

use dice::Dice;

/// Life is proved after each such stretch of a conversation, if the dice say so.
const STRETCH: Duration = Duration::from_secs(2);
/// In one stretch of this many.
const PROOFS: u64 = 4;

/// What came of it.
#[derive(Debug)]
pub struct Explored {
    /// Conversations that kept every promise.
    pub runs: u64,
    /// Inputs of these.
    pub steps: usize,
    /// The first that broke one, and its seed.
    pub failure: Option<(u64, Box<Failure>)>,
}

/// Conversations with the seeds from this one on, until they have had this many inputs or one breaks a promise.
pub fn explore(
    scenario: &Scenario,
    options: &Options,
    instructions: &Arc<str>,
    seed: u64,
    steps: usize,
) -> Explored {
    let mut explored = Explored {
        runs: 0,
        steps: 0,
        failure: None,
    };
    while explored.steps < steps {
        let seed = seed.wrapping_add(explored.runs);
        match converse(scenario, options, instructions, seed) {
            Ok(told) => explored.steps += told.max(1),
            Err(failure) => {
                explored.failure = Some((seed, failure));
                break;
            }
        }
        explored.runs += 1;
    }
    explored
}

/// One conversation; how many inputs it had.
fn converse(
    scenario: &Scenario,
    options: &Options,
    instructions: &Arc<str>,
    seed: u64,
) -> Result<usize, Box<Failure>> {
    let mut dice = Dice::new(seed);
    let mischief = Mischief::new(&mut dice);
    let (mut simulation, until) = prepare(scenario, options, instructions.clone(), Some(mischief));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        while simulation.now < until {
            simulation.run_until((simulation.now + STRETCH).min(until));
            if let Some(violation) = simulation.violations.first() {
                return Err(violation.clone());
            }
            let is_open = simulation.dialogue.agent_state() != AgentState::Initializing;
            if is_open && dice.one_in(PROOFS) {
                let (dialogue, observer) = (&simulation.dialogue, simulation.observer());
                lives(dialogue, observer, simulation.now, dice.one_in(2))?;
            }
        }
        Ok(())
    }));
    let problem = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(problem)) => Some(problem),
        Err(_) => Some("panic: in the dialogue".into()),
    };
    let inputs = simulation.told.take().unwrap_or_default();
    match problem {
        None => Ok(inputs.len()),
        Some(problem) => Err(Box::new(Failure {
            options: scenario.options_over(options),
            instructions: instructions.clone(),
            inputs,
            problem,
        })),
    }
}
