//! File, variables and flags become one tree of keys. Flags win over variables, and both over the file, as with LiveKit.

use std::path::Path;

use serde_json::{Map, Value};

use super::{LiveKitError, fate};

/// Configurations are short; more is a mistake.
const MAX_BYTES: u64 = 1 << 20;
/// Flags and variables of single keys begin so.
const VARIABLES: &str = "LIVEKIT_";

/// Where LiveKit's configuration may stand.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The YAML and what it is called in messages.
    pub text: Option<(String, String)>,
    /// Single keys from the command line, as `rtc.tcp_port` and its value.
    pub flags: Vec<(String, String)>,
    /// The environment.
    pub variables: Vec<(String, String)>,
    /// Unknown keys are passed over.
    pub lenient: bool,
}

impl Sources {
    /// A file.
    ///
    /// # Errors
    /// It cannot be read, or is too long.
    pub fn file(path: &Path) -> Result<Self, LiveKitError> {
        let failed = |source| LiveKitError::Read {
            path: path.to_owned(),
            source,
        };
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if length > MAX_BYTES {
            let source = std::io::Error::other("it is larger than 1 MiB");
            return Err(failed(source));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Ok(Self {
            text: Some((path.display().to_string(), text)),
            ..Self::default()
        })
    }

    /// For messages.
    pub(super) fn name(&self) -> &str {
        self.text.as_ref().map_or("LIVEKIT_…", |(name, _)| name)
    }
}

/// Is this the name of one of LiveKit's keys, as its flags have it?
#[must_use]
pub fn is_key(path: &str) -> bool {
    fate::of(path).is_some()
}

pub(super) fn read(sources: &Sources) -> Result<Value, LiveKitError> {
    let mut tree = match &sources.text {
        Some((name, text)) => parse(name, text)?,
        None => Value::Object(Map::new()),
    };
    for (name, value) in &sources.variables {
        let known = name.strip_prefix(VARIABLES).and_then(fate::of_variable);
        if let Some(path) = known.filter(|_| !value.trim().is_empty()) {
            set(&mut tree, &path, scalar(value));
        }
    }
    for (path, value) in &sources.flags {
        set(&mut tree, path, scalar(value));
    }
    Ok(tree)
}

/// YAML as a tree. Nothing at all is an empty one.
pub(super) fn parse(name: &str, text: &str) -> Result<Value, LiveKitError> {
    let wrong = |problem: String| LiveKitError::Yaml {
        name: name.to_owned(),
        problem,
    };
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let tree: Value = serde_saphyr::from_str(text).map_err(|error| {
        // The message may repeat the line, which may hold a secret.
        let place = error.location().map_or_else(String::new, |at| {
            format!("line {}, column {}", at.line(), at.column())
        });
        wrong(place)
    })?;
    match tree {
        Value::Object(_) => Ok(tree),
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(wrong("it has no keys, such as `port: 7880`".to_owned()))
        }
    }
}

fn set(tree: &mut Value, path: &str, value: Value) {
    let mut at = tree;
    for name in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Some(object) = at.as_object_mut() else {
            return;
        };
        at = object.entry(name.to_owned()).or_insert(Value::Null);
    }
    *at = value;
}

/// A flag's value, as YAML would read it.
fn scalar(text: &str) -> Value {
    let text = text.trim();
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_a_variable_and_both_over_the_file() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let sources = Sources {
            text: Some(("a.yaml".into(), "port: 1\nrtc:\n  tcp_port: 2\n".into())),
            variables: vec![
                pair("LIVEKIT_RTC_TCP_PORT", "3"),
                pair("LIVEKIT_ROOM_AUTO_CREATE", "false"),
                pair("LIVEKIT_URL", "ws://elsewhere"),
                pair("LIVEKIT_PORT", ""),
            ],
            flags: vec![pair("rtc.tcp_port", "4")],
            lenient: false,
        };
        let tree = read(&sources).unwrap();
        let wanted =
            serde_json::json!({"port": 1, "rtc": {"tcp_port": 4}, "room": {"auto_create": false}});
        assert_eq!(tree, wanted);
    }

    #[test]
    fn text_that_is_not_yaml_is_refused_by_its_line_and_without_its_words() {
        let error = parse("a.yaml", "port: 7880\nkeys: {a: never-print\nx: [").unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("line") && !error.contains("never-print"),
            "{error}"
        );
        assert!(
            parse("a.yaml", "- 1")
                .unwrap_err()
                .to_string()
                .contains("port: 7880")
        );
        assert_eq!(
            parse("a.yaml", "# nothing\n").unwrap(),
            serde_json::json!({})
        );
    }
}
