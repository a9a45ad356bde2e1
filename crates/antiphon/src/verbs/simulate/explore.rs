//! `antiphon simulate --seed N`: what the scenarios do not say. Standard output is a scenario file: what is no line of one is
//! a comment.

use std::path::PathBuf;
use std::process::ExitCode;

use antiphon_scenario::explore;

use super::agents::Agents;
use super::read;
use crate::verbs::print_line;

/// Every file with seeds from this one on, until it has had this many inputs. Ends with the first promise that is broken.
pub(super) fn run(
    files: &[PathBuf],
    agents: &mut Agents<'_>,
    seed: u64,
    steps: usize,
) -> anyhow::Result<ExitCode> {
    // What panics is told as a broken promise, and tried again and again while the conversation is made shorter.
    std::panic::set_hook(Box::new(|_| {}));
    for path in files {
        let name = path.display();
        let mut scenario = read(path).map_err(|failure| failure.named(path))?;
        let agent = agents.of(path, &scenario)?;
        scenario.hearing = agent.hearing;
        let explored = explore(&scenario, &agent.options, &agent.instructions, seed, steps);
        let Some((seed, failure)) = explored.failure else {
            let (runs, steps) = (explored.runs, explored.steps);
            print_line(&format!(
                "# ok   {name}: {steps} inputs in {runs} conversations"
            ));
            continue;
        };
        print_line(&format!("# FAIL {name}: --seed {seed} breaks a promise"));
        let failure = failure.shrink();
        for line in failure.problem.lines() {
            print_line(&format!("#      {line}"));
        }
        print_line(failure.scenario().trim_end());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
