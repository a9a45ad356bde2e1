//! Parameters that a server refuses: it is asked again without them, and not given them any more.

use std::collections::BTreeSet;

use antiphon_agent::ProviderError;
use serde_json::{Map, Value};

/// A request is not a request without these; who refuses one of them needs another configuration.
pub(crate) const NECESSARY: [&str; 4] = ["model", "messages", "stream", "tools"];
/// Two names of one parameter: who refuses the one may take the other.
const OTHER_NAMES: [(&str, &str); 2] = [
    ("max_tokens", "max_completion_tokens"),
    ("max_completion_tokens", "max_tokens"),
];

/// Names that this server, asked for this model, has refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused(BTreeSet<String>);

impl Refused {
    /// Take out of a body what is refused; the longest answer goes by its other name, if that is not refused as well.
    pub(crate) fn leave_out(&self, body: &mut Map<String, Value>) {
        for name in &self.0 {
            let Some(value) = body.remove(name) else {
                continue;
            };
            let other = OTHER_NAMES
                .iter()
                .find(|(one, _)| one == name)
                .map(|(_, other)| *other);
            if let Some(other) = other.filter(|other| !self.0.contains(*other)) {
                body.insert(other.to_owned(), value);
            }
        }
    }

    /// Note what this error says about parameters of this body; none: it is about something else.
    pub(crate) fn learn(
        &mut self,
        error: &ProviderError,
        body: &Map<String, Value>,
    ) -> Vec<String> {
        let ProviderError::Status {
            status: 400 | 422,
            message,
            ..
        } = error
        else {
            return Vec::new();
        };
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words: Vec<&str> = message.split(|c| !is_of_name(c)).collect();
        let named: Vec<String> = body
            .keys()
            .filter(|name| !NECESSARY.contains(&name.as_str()))
            .filter(|name| words.contains(&name.as_str()))
            .cloned()
            .collect();
        self.0.extend(named.iter().cloned());
        named
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn body() -> Map<String, Value> {
        let body = json!({
            "model": "m", "messages": [], "stream": true, "tools": [], "stream_options": {"include_usage": true},
            "reasoning_effort": "none", "max_tokens": 300, "user": "u",
        });
        body.as_object().unwrap().clone()
    }

    fn learned(status: u16, message: &str) -> Vec<String> {
        let error = ProviderError::Status {
            provider: "openai",
            status,
            message: message.to_owned(),
        };
        Refused::default().learn(&error, &body())
    }

    #[test]
    fn a_parameter_that_a_server_names_is_left_out() {
        assert_eq!(
            learned(422, "body.stream_options: Extra inputs are not permitted"),
            ["stream_options"]
        );
        assert_eq!(
            learned(
                400,
                "Unsupported value: 'reasoning_effort' does not support 'none' with this model."
            ),
            ["reasoning_effort"]
        );
        assert_eq!(
            learned(
                400,
                "[{'loc': ('body', 'stream_options', 'include_usage')}]"
            ),
            ["stream_options"]
        );
    }

    #[test]
    fn other_complaints_change_nothing() {
        assert!(learned(500, "stream_options").is_empty());
        assert!(learned(400, "messages must not be empty; the model m is unknown").is_empty());
        assert!(learned(400, "tools are not supported").is_empty());
        assert!(learned(400, "stream_options_x and users").is_empty());
    }

    #[test]
    fn the_longest_answer_is_limited_by_its_other_name() {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        let error = ProviderError::Status {
            provider: "openai",
            status: 400,
            message: message.to_owned(),
        };
        let mut refused = Refused::default();
        assert_eq!(refused.learn(&error, &body()), ["max_tokens"]);
        let mut again = body();
        refused.leave_out(&mut again);
        assert_eq!(again.get("max_completion_tokens"), Some(&json!(300)));
        assert!(!again.contains_key("max_tokens"));
        // nor that one
        let error = ProviderError::Status {
            provider: "openai",
            status: 400,
            message: "max_completion_tokens is unknown".to_owned(),
        };
        assert_eq!(refused.learn(&error, &again), ["max_completion_tokens"]);
        let mut last = body();
        refused.leave_out(&mut last);
        assert!(!last.contains_key("max_tokens") && !last.contains_key("max_completion_tokens"));
    }
}
