//! What must be seen, and what must not.

use super::show::KINDS;
use super::words::{Words, instant, unknown};
use antiphon_chat::time::{Duration, Instant};

/// A thing expected at one instant may be so much earlier or later.
const TOLERANCE: Duration = Duration::from_millis(50);
/// The agent's states as `states` lists them.
const STATES: [&str; 5] = ["initializing", "idle", "listening", "thinking", "speaking"];

/// A line that says what must be seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expectation {
    /// In the file, from 1.
    pub(crate) line: usize,
    pub(crate) what: Expect,
}

/// Something that must be seen, or must not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expect {
    Seen { when: When, text: String },
    Once { when: When, text: String },
    Never { when: When, text: String },
    States { states: Vec<String> },
    History { lines: Vec<String> },
}

/// In which span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) from: Option<Instant>,
    pub(crate) to: Option<Instant>,
}

impl When {
    /// `3.0` (50 ms more or less), `3.0-4.5`, `3.0-`, or no time at all.
    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        let before = *words;
        let word = words.word();
        if !word.starts_with(|first: char| first.is_ascii_digit()) {
            *words = before;
            return Ok(Self {
                from: None,
                to: None,
            });
        }
        let (from, to) = match word.split_once('-') {
            None => {
                let at = instant(word)?;
                (at.back(TOLERANCE), Some(at + TOLERANCE))
            }
            Some((from, "")) => (instant(from)?, None),
            Some((from, to)) => (instant(from)?, Some(instant(to)?)),
        };
        if to.is_some_and(|to| to < from) {
            return Err(format!("{word}: the end is earlier than the beginning"));
        }
        Ok(Self {
            from: Some(from),
            to,
        })
    }

    pub(crate) fn holds(&self, at: Instant) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }
}

impl Expectation {
    /// After its first word was read.
    pub(super) fn read(line: usize, first: &str, words: &mut Words<'_>) -> Result<Self, String> {
        let what = match first {
            "states" => Expect::States {
                states: states(words)?,
            },
            "history" => Expect::History { lines: Vec::new() },
            _ => {
                let when = When::read(words)?;
                let text = pattern(words)?;
                match first {
                    "once" => Expect::Once { when, text },
                    "never" => Expect::Never { when, text },
                    _ => Expect::Seen { when, text },
                }
            }
        };
        Ok(Self { line, what })
    }
}

fn states(words: &mut Words<'_>) -> Result<Vec<String>, String> {
    let mut states = Vec::new();
    loop {
        match words.word() {
            "" => return Ok(states),
            state if STATES.contains(&state) => states.push(state.to_owned()),
            other => return Err(unknown("state", other, &STATES)),
        }
    }
}

/// A part of a line of the timeline. Its first word must be one that lines of the timeline hold, or a typo in `never` would
/// never be found.
fn pattern(words: &mut Words<'_>) -> Result<String, String> {
    let text = std::mem::take(&mut words.rest).trim().to_owned();
    let first = text.split_whitespace().next().unwrap_or_default();
    if first.starts_with('"') || KINDS.contains(&first) {
        return Ok(text);
    }
    Err(unknown("word of the timeline", first, &KINDS))
}
