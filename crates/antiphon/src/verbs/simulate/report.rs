//! What a run says: for people and, with `--json`, for machines. The JSON is documented in docs/simulate.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use antiphon_scenario::{Outcome, Span};
use serde::Serialize;

use super::draw;
use crate::verbs::terminal::Look;

/// The schema's name and version; a change that breaks readers raises it.
const SCHEMA: &str = "antiphon.simulation/1";

/// The whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: &'static str,
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) files: Vec<FileReport>,
}

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    /// In the scenario's file, from 1; null: the file as a whole.
    pub(super) line: Option<usize>,
    pub(super) problem: String,
}

/// One file.
#[derive(Debug, Serialize)]
pub(super) struct FileReport {
    file: String,
    pub(super) title: Option<String>,
    pub(super) agent: String,
    pub(super) passed: bool,
    pub(super) failures: Vec<Failure>,
    pub(super) notes: Vec<String>,
    duration_us: u64,
    timeline: Vec<Moment>,
    spans: Vec<Span>,
}

#[derive(Debug, Serialize)]
struct Moment {
    t_us: u64,
    text: String,
}

impl Failure {
    /// Where nothing can go on without this file.
    pub(super) fn named(self, path: &Path) -> anyhow::Error {
        let name = path.display();
        match self.line {
            Some(line) => anyhow::anyhow!("{name}: line {line}: {}", self.problem),
            None => anyhow::anyhow!("{name} {}", self.problem),
        }
    }

    pub(super) fn whole(problem: String) -> Self {
        Self {
            line: None,
            problem,
        }
    }

    /// `line 3: …` as the dialogue says it.
    pub(super) fn of(text: &str) -> Self {
        let numbered = text
            .strip_prefix("line ")
            .and_then(|rest| rest.split_once(": "))
            .and_then(|(line, problem)| Some((line.parse().ok()?, problem)));
        match numbered {
            Some((line, problem)) => Self {
                line: Some(line),
                problem: problem.to_owned(),
            },
            None => Self::whole(format!("a promise is broken at {text}")),
        }
    }
}

impl Report {
    pub(super) fn of(files: Vec<FileReport>) -> Self {
        let passed = files.iter().filter(|file| file.passed).count();
        Self {
            schema: SCHEMA,
            passed,
            failed: files.len() - passed,
            files,
        }
    }

    pub(super) fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// How many passed and failed: of each topic (the folder of a file) when there are several, and of all.
    pub(super) fn summary(&self) -> String {
        let mut topics: BTreeMap<&Path, (usize, usize)> = BTreeMap::new();
        for file in &self.files {
            let topic = Path::new(&file.file).parent().unwrap_or(Path::new(""));
            let (passed, failed) = topics.entry(topic).or_default();
            *(if file.passed { passed } else { failed }) += 1;
        }
        let mut text = String::new();
        if topics.len() > 1 {
            for (topic, (passed, failed)) in topics {
                let topic = topic.display();
                let _ = writeln!(text, "{passed:>4} passed, {failed} failed  {topic}");
            }
        }
        let _ = write!(text, "{} passed, {} failed", self.passed, self.failed);
        text
    }
}

impl FileReport {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            file: path.display().to_string(),
            title: None,
            agent: String::new(),
            passed: false,
            failures: Vec::new(),
            notes: Vec::new(),
            duration_us: 0,
            timeline: Vec::new(),
            spans: Vec::new(),
        }
    }

    pub(super) fn refused(mut self, failure: Failure) -> Self {
        self.failures.push(failure);
        self
    }

    pub(super) fn done(mut self, outcome: Outcome) -> Self {
        self.passed = self.failures.is_empty();
        self.duration_us = outcome.until.as_micros();
        self.timeline = outcome
            .timeline
            .into_iter()
            .map(|line| Moment {
                t_us: line.at.as_micros(),
                text: line.text,
            })
            .collect();
        self.spans = outcome.lanes.spans().to_vec();
        self
    }

    /// For people; with the drawing, and with every line of the timeline.
    pub(super) fn to_text(&self, look: &Look, drawn: bool, listed: bool) -> String {
        let verdict = if self.passed {
            look.green("ok  ")
        } else {
            look.red("FAIL")
        };
        let mut text = format!("{verdict} {}", self.file);
        if let Some(title) = &self.title {
            let _ = write!(text, ": {title}");
        }
        for failure in &self.failures {
            let problem = failure.problem.replace('\n', "\n       ");
            let _ = match failure.line {
                Some(line) => write!(text, "\n     line {line}: {problem}"),
                None => write!(text, "\n     {problem}"),
            };
        }
        for note in &self.notes {
            let _ = write!(text, "\n     note: {note}");
        }
        if drawn && !self.spans.is_empty() {
            let _ = write!(text, "\n\n{}", draw::draw(&self.spans, look));
        }
        if listed {
            for moment in &self.timeline {
                let seconds = moment.t_us as f64 / 1e6;
                let _ = write!(text, "\n{seconds:>9.3}  {}", moment.text);
            }
            text.push('\n');
        }
        text
    }
}
