//! A conversation's inputs as the text of a scenario: what a failing seed or a recording is kept as.

use serde_json::Value;

use super::words::{LONGEST, write_instant};
use antiphon_chat::time::{Duration, Instant};
use antiphon_dialogue::input::Input;
use antiphon_dialogue::options::Options;

/// The text of a scenario that tells the machine exactly these inputs and nothing else: neither simulated providers nor
/// deadlines speak before `recorded until`, the instant of the last input. Lines may be appended: what happens afterwards
/// (`30-31 says "are you there"`), answered by simulated providers, and what must be seen.
///
/// [`Scenario::parse`](super::Scenario::parse) reads it back to the same options, instants and inputs, provided that `now`
/// never goes back from one input to the next, as the machine asks.
pub fn from_inputs<'a>(
    title: &str,
    options: &Options,
    inputs: impl IntoIterator<Item = (Instant, &'a Input)>,
) -> String {
    let mut lines = Vec::new();
    let mut last = Instant::ZERO;
    for (at, input) in inputs {
        last = last.max(at);
        match serde_json::to_string(input) {
            Ok(json) => lines.push(format!("at {} input {json}", write_instant(at))),
            // Cannot be: an input holds nothing but texts, numbers and lists.
            Err(error) => lines.push(format!("# an input could not be written: {error}")),
        }
    }
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = String::new();
    if !title.is_empty() {
        text += &format!("title {title}\n");
    }
    text += "agent none\n";
    for line in changed(options) {
        text += &line;
        text.push('\n');
    }
    text += &format!("recorded until {}\n", write_instant(last));
    for line in lines {
        text += &line;
        text.push('\n');
    }
    text
}

/// A line for every option that is not the default's.
fn changed(options: &Options) -> Vec<String> {
    let (Ok(Value::Object(own)), Ok(Value::Object(default))) = (
        serde_json::to_value(options),
        serde_json::to_value(Options::default()),
    ) else {
        return Vec::new();
    };
    own.iter()
        .filter(|(key, value)| default.get(*key) != Some(value))
        .map(|(key, value)| format!("option {key} {}", short(value)))
        .collect()
}

/// `1500ms` and `none` for people; anything else is JSON.
fn short(value: &Value) -> String {
    if value.is_null() {
        return "none".into();
    }
    let duration = value
        .is_object()
        .then(|| serde_json::from_value::<Duration>(value.clone()).ok())
        .flatten();
    match duration {
        Some(duration)
            if duration.subsec_nanos().is_multiple_of(1_000_000) && duration <= LONGEST =>
        {
            format!("{}ms", duration.as_millis())
        }
        Some(_) | None => value.to_string(),
    }
}
