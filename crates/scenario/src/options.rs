//! The `option` lines of a scenario: changes to whatever options the agent has.

use serde_json::{Map, Value};

use super::words::{Words, duration, unknown};
use antiphon_dialogue::options::Options;

/// Changes, each checked when it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes(Map<String, Value>);

impl Changes {
    /// `option KEY VALUE`.
    pub(super) fn read(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let key = words.word().to_owned();
        let text = std::mem::take(&mut words.rest).trim();
        let Value::Object(known) = all(&Options::default())? else {
            return Err("options are no object".into());
        };
        if !known.contains_key(&key) {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(unknown("option", &key, &names));
        }
        let mut alone = Map::new();
        alone.insert(key.clone(), value(text));
        over(&Options::default(), &alone).map_err(|error| {
            format!(
                "`{key}` cannot be `{text}` ({error}); values look like 500ms, 2s, true, 3, \"text\", none"
            )
        })?;
        self.0.append(&mut alone);
        Ok(())
    }

    /// These options, changed.
    pub(crate) fn over(&self, options: &Options) -> Options {
        // Each change was tried on its own, and they do not depend on each other.
        over(options, &self.0).unwrap_or_else(|_| options.clone())
    }
}

fn all(options: &Options) -> Result<Value, String> {
    serde_json::to_value(options).map_err(|error| error.to_string())
}

fn over(options: &Options, changes: &Map<String, Value>) -> Result<Options, String> {
    let mut all = all(options)?;
    if let Value::Object(map) = &mut all {
        map.extend(changes.clone());
    }
    serde_json::from_value(all).map_err(|error| error.to_string())
}

/// As a value of an option is written.
pub(super) fn value(text: &str) -> Value {
    if text == "none" {
        return Value::Null;
    }
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    duration(text)
        .ok()
        .and_then(|duration| serde_json::to_value(duration).ok())
        .unwrap_or_else(|| Value::String(text.to_owned()))
}
