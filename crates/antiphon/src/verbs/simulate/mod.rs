//! `antiphon simulate`: scenario files in virtual time against an agent's configuration. Offline, free, and over in a moment.

mod agents;
pub(super) mod draw;
mod explore;
mod index;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon_scenario::{MAX_SCENARIO_BYTES, Scenario, run_agent};
use anyhow::Context as _;

use super::{print_line, terminal};
use crate::app::App;
use crate::cli::SimulateArgs;
use agents::Agents;
use report::{Failure, FileReport, Report};

/// The end of a scenario's name, looked for in folders.
const EXTENSION: &str = "scenario";
/// Files of one run: more than anybody keeps. Beyond it the run is refused.
const MAX_FILES: usize = 10_000;
/// Folders inside folders.
const MAX_DEPTH: usize = 16;

/// Run every file, or list them; fails when one does.
pub fn run(args: &SimulateArgs, app: &App) -> anyhow::Result<ExitCode> {
    if args.index {
        print_line(index::of(&args.files)?.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let files = scenario_files(&args.files)?;
    let mut agents = Agents::new(args.config.as_deref(), app);
    if let Some(seed) = args.seed {
        return explore::run(&files, &mut agents, seed, args.steps);
    }
    let reports: Vec<FileReport> = files
        .iter()
        .map(|path| simulate(path, &mut agents))
        .collect();
    let report = Report::of(reports);
    if args.json {
        print_line(&report.to_json()?);
    } else {
        let look = terminal::look();
        for file in &report.files {
            let draw = args.timeline || !file.passed || files.len() == 1;
            print_line(&file.to_text(&look, draw, args.timeline));
        }
        print_line(&report.summary());
    }
    Ok(if report.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One file. Whatever is wrong with it is a failure of this file, not of the run.
fn simulate(path: &Path, agents: &mut Agents<'_>) -> FileReport {
    let mut report = FileReport::new(path);
    let mut scenario = match read(path) {
        Ok(scenario) => scenario,
        Err(failure) => return report.refused(failure),
    };
    let agent = match agents.of(path, &scenario) {
        Ok(agent) => agent,
        Err(error) => return report.refused(Failure::whole(format!("{error:#}"))),
    };
    scenario.hearing = agent.hearing;
    let outcome = run_agent(&scenario, &agent.options, agent.instructions.clone());
    report.title.clone_from(&scenario.title);
    report.agent.clone_from(&agent.name);
    let (failures, mut notes) = agents::compare(&scenario, agent);
    report.failures = failures;
    report
        .failures
        .extend(outcome.failures.iter().map(|text| Failure::of(text)));
    notes.extend(outcome.notes.clone());
    report.notes = notes;
    report.done(outcome)
}

fn read(path: &Path) -> Result<Scenario, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::whole(match error.kind() {
            std::io::ErrorKind::InvalidData => "is no text: save it as UTF-8".to_owned(),
            _ => format!("cannot be read: {error}; name scenario files, or folders of them"),
        })
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_SCENARIO_BYTES as u64 {
        return Err(Failure::whole(format!(
            "is larger than {MAX_SCENARIO_BYTES} bytes; cut it into several"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Scenario::parse(&text).map_err(|error| Failure {
        line: Some(error.line),
        problem: error.problem,
    })
}

/// Files as named, and all scenarios in folders, sorted by name.
fn scenario_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            look_into(path, 0, &mut files)?;
            anyhow::ensure!(
                files.len() > before,
                "{} holds no file whose name ends in .{EXTENSION}",
                path.display()
            );
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn look_into(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot read {}", folder.display()))?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth < MAX_DEPTH {
                look_into(&path, depth + 1, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == EXTENSION)
        {
            anyhow::ensure!(
                files.len() < MAX_FILES,
                "more than {MAX_FILES} scenarios; run them in parts"
            );
            files.push(path);
        }
    }
    Ok(())
}
