//! Which agent a scenario is for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_agent::Agent;
use antiphon_dialogue::Options;
use antiphon_scenario::{Hearing, Scenario};

use super::report::Failure;
use crate::app::App;
use crate::assemble::{offline, silero_options};
use crate::config::{Config, load, parse};

/// An agent as far as a simulation needs it.
#[derive(Clone, Debug)]
pub(super) struct Simulated {
    /// Where it comes from, for people.
    pub(super) name: String,
    pub(super) options: Options,
    pub(super) hearing: Hearing,
    pub(super) instructions: Arc<str>,
    /// `None`: no configuration; then any tool may be called.
    agent: Option<Agent>,
}

/// Agents by their configurations, each put together once.
pub(super) struct Agents<'a> {
    /// `--config`: for all files.
    named: Option<&'a Path>,
    app: &'a App,
    made: HashMap<Option<PathBuf>, Simulated>,
}

impl<'a> Agents<'a> {
    pub(super) fn new(named: Option<&'a Path>, app: &'a App) -> Self {
        Self {
            named,
            app,
            made: HashMap::new(),
        }
    }

    /// The agent of `--config`, else of the scenario's `agent` line, else of `antiphon.toml` in this folder, else the
    /// program's own, else the defaults.
    pub(super) fn of(&mut self, file: &Path, scenario: &Scenario) -> anyhow::Result<&Simulated> {
        let standard = Path::new("antiphon.toml");
        let path = match (self.named, scenario.agent.as_deref()) {
            (Some(named), _) => Some(named.to_owned()),
            (None, Some("none")) => None,
            (None, Some(path)) => Some(file.parent().unwrap_or(Path::new("")).join(path)),
            (None, None) if standard.exists() => Some(standard.to_owned()),
            (None, None) if self.app.define.is_some() => Some(PathBuf::new()),
            (None, None) => None,
        };
        if !self.made.contains_key(&path) {
            let simulated = make(path.as_deref(), self.app)?;
            self.made.insert(path.clone(), simulated);
        }
        self.made
            .get(&path)
            .ok_or_else(|| anyhow::anyhow!("the agent cannot be put together"))
    }
}

fn make(path: Option<&Path>, app: &App) -> anyhow::Result<Simulated> {
    let Some(path) = path else {
        return Ok(Simulated {
            name: "defaults".into(),
            options: Options::default(),
            hearing: Hearing::default(),
            instructions: "You are a test.".into(),
            agent: None,
        });
    };
    let (config, name) = if path.as_os_str().is_empty() {
        (parse("", Path::new("antiphon.toml"))?, "the program".into())
    } else {
        (load(path)?, path.display().to_string())
    };
    let agent = offline(&config, app)?;
    Ok(Simulated {
        name,
        options: agent.options().clone(),
        hearing: hearing(&config),
        instructions: agent.instructions().into(),
        agent: Some(agent),
    })
}

/// What `[vad]` says, and Silero's own values where it says nothing.
fn hearing(config: &Config) -> Hearing {
    let silero = silero_options(config);
    Hearing {
        min_speech: silero.min_speech_duration,
        min_silence: silero.min_silence_duration,
    }
}

/// Do the scenario's tools fit the agent's? What cannot be is a failure; what the model would be told is a note.
pub(super) fn compare(scenario: &Scenario, agent: &Simulated) -> (Vec<Failure>, Vec<String>) {
    let (mut failures, mut notes) = (Vec::new(), Vec::new());
    let Some(tools) = agent.agent.as_ref().map(Agent::tools) else {
        return (failures, notes);
    };
    for (line, name) in scenario.tools() {
        if let Err(problem) = tools.check(name, None) {
            failures.push(Failure {
                line: Some(line),
                problem,
            });
        }
    }
    for (line, call) in scenario.calls() {
        if let Err(problem) = tools.check(&call.name, Some(&call.arguments)) {
            notes.push(format!(
                "line {line}: in a call the model would be told: {problem}"
            ));
        }
    }
    (failures, notes)
}
