//! `antiphon replay`: a recorded session again, through this version's dialogue.

use std::fmt::Write as _;
use std::process::ExitCode;

use antiphon_recording::MAX_RECORDING_BYTES;
use antiphon_scenario::from_inputs;
use antiphon_scenario::{Divergence, Replayed, replay_with};
use anyhow::Context as _;
use serde_json::{Value, json};

use super::simulate::draw::draw;
use super::{print_line, terminal};
use crate::app::App;
use crate::assemble::offline;
use crate::cli::ReplayArgs;
use crate::config::load;

/// The schema's name and version; a change that breaks readers raises it.
const SCHEMA: &str = "antiphon.replay/1";
/// Characters of an action that are shown to people.
const SHOWN: usize = 400;

/// Repeat the file; fails when something is different, or missing.
pub fn run(args: &ReplayArgs, app: &App) -> anyhow::Result<ExitCode> {
    let name = args.file.display();
    let unreadable = |error: std::io::Error| {
        anyhow::anyhow!(
            "cannot read {name}: {error}; name a recording, one of the files that `--record FOLDER` makes"
        )
    };
    let length = std::fs::metadata(&args.file).map_err(unreadable)?.len();
    anyhow::ensure!(
        length <= MAX_RECORDING_BYTES as u64,
        "{name} is larger than {MAX_RECORDING_BYTES} bytes: no recording is; name one of the files that `--record FOLDER` makes"
    );
    let bytes = std::fs::read(&args.file).map_err(unreadable)?;
    // A damaged file is told by its line, not by its encoding.
    let text = String::from_utf8_lossy(&bytes);
    let today = args
        .config
        .as_deref()
        .map(|path| -> anyhow::Result<_> { offline(&load(path)?, app) })
        .transpose()?;
    let replayed = replay_with(&text, |header| {
        if let Some(agent) = &today {
            // Not its instructions: they hold the date, and would differ in every request.
            header.options = agent.options().clone();
        }
    })
    .with_context(|| name.to_string())?;
    if args.scenario {
        let title = format!("recording {}", replayed.header.session);
        let inputs = replayed.inputs.iter().map(|(at, input)| (*at, input));
        print_line(&from_inputs(&title, &replayed.header.options, inputs));
    } else if args.json {
        print_line(&serde_json::to_string_pretty(&to_json(&replayed))?);
    } else {
        print_line(&to_text(&replayed, args.timeline));
    }
    let same =
        replayed.diverged == 0 && replayed.violations.is_empty() && replayed.incomplete.is_none();
    Ok(if same || args.scenario {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn to_text(replayed: &Replayed, listed: bool) -> String {
    let look = terminal::look();
    let header = &replayed.header;
    let mut text = format!(
        "session {} of {}, recorded by version {}: {} inputs in {:.1} s",
        header.session,
        header.started,
        header.version,
        replayed.steps,
        seconds(replayed.until.as_micros())
    );
    if listed {
        let _ = write!(text, "\n\n{}\n", draw(replayed.lanes.spans(), &look));
        for line in &replayed.timeline {
            let _ = write!(
                text,
                "\n{:>9.3}  {}",
                seconds(line.at.as_micros()),
                line.text
            );
        }
        text.push('\n');
    }
    for violation in &replayed.violations {
        let _ = write!(text, "\n{} {violation}", look.red("a promise is broken:"));
    }
    match replayed.divergences.first() {
        None => {
            let _ = write!(
                text,
                "\n{}: this version acts as was recorded",
                look.green("identical")
            );
        }
        Some(first) => {
            let _ = write!(text, "\n{} {}", look.red("different"), difference(first));
            let more = replayed.diverged - 1;
            if more > 0 {
                let _ = write!(
                    text,
                    "\nand at {more} later inputs, which may follow from it"
                );
            }
        }
    }
    if let Some(incomplete) = &replayed.incomplete {
        let _ = write!(text, "\n{} {incomplete}", look.red("incomplete:"));
    }
    text
}

fn difference(divergence: &Divergence) -> String {
    let shown = |action: &Option<Value>| match action {
        None => "nothing".to_owned(),
        Some(action) => action.to_string().chars().take(SHOWN).collect(),
    };
    let input = serde_json::to_string(&divergence.input).unwrap_or_default();
    let place = match divergence.pointer.as_str() {
        "" => String::new(),
        pointer => format!("\n  first at     {pointer}"),
    };
    format!(
        "at {:.6} s (line {})\n  told         {}\n  recorded     {}\n  now          {}{place}",
        seconds(divergence.at.as_micros()),
        divergence.line,
        input.chars().take(SHOWN).collect::<String>(),
        shown(&divergence.expected),
        shown(&divergence.actual),
    )
}

fn to_json(replayed: &Replayed) -> Value {
    let divergences: Vec<Value> = replayed
        .divergences
        .iter()
        .map(|divergence| {
            json!({
                "line": divergence.line,
                "t_us": divergence.at.as_micros(),
                "input": divergence.input,
                "action": divergence.action,
                "pointer": divergence.pointer,
                "expected": divergence.expected,
                "actual": divergence.actual,
            })
        })
        .collect();
    let timeline: Vec<Value> = replayed
        .timeline
        .iter()
        .map(|line| json!({"t_us": line.at.as_micros(), "text": line.text}))
        .collect();
    json!({
        "schema": SCHEMA,
        "session": replayed.header.session,
        "started": replayed.header.started,
        "version": replayed.header.version,
        "identical": replayed.diverged == 0,
        "complete": replayed.incomplete.is_none(),
        "incomplete": replayed.incomplete,
        "inputs": replayed.steps,
        "duration_us": replayed.until.as_micros(),
        "diverged": replayed.diverged,
        "divergences": divergences,
        "violations": replayed.violations,
        "timeline": timeline,
        "spans": replayed.lanes.spans(),
    })
}
