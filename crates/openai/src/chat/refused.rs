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

    /// Note what this error says about parameters of this body; none: it is about something else. `said`: all that the server
    /// said, neither shortened nor scrubbed.
    pub(crate) fn learn(
        &mut self,
        error: &ProviderError,
        said: &str,
        body: &Map<String, Value>,
    ) -> Vec<String> {
        let said = Said::of(said);
        if !may_refuse(error, &said) {
            return Vec::new();
        }
        let named: Vec<String> = body
            .iter()
            .filter(|(name, _)| !NECESSARY.contains(&name.as_str()))
            .filter(|(name, value)| said.is_about(name, value))
            .map(|(name, _)| name.clone())
            .collect();
        self.0.extend(named.iter().cloned());
        named
    }
}

/// Is this an error of which a parameter may be the cause?
fn may_refuse(error: &ProviderError, said: &Said) -> bool {
    let status = match error {
        ProviderError::Status { status, .. } | ProviderError::Unauthorized { status, .. } => {
            *status
        }
        ProviderError::RateLimited { .. }
        | ProviderError::Setup { .. }
        | ProviderError::Unresolved { .. }
        | ProviderError::Connection { .. }
        | ProviderError::Timeout { .. }
        | ProviderError::Protocol { .. }
        | ProviderError::Unavailable { .. } => return false,
    };
    let is_plain = matches!(status, 400 | 422);
    // these have other causes too, so it must be said
    let is_possible = matches!(status, 403 | 404 | 405 | 415 | 500 | 501);
    (is_plain || (is_possible && said.refuses())) && !said.is_about_length()
}

/// An error that nobody but the person who runs the server can mend, as what to do about it: a model or a server without tools (an
/// agent that cannot act must not pretend to), without all parameters, or with a template that takes turns.
pub(crate) fn as_setup(
    error: ProviderError,
    said: &str,
    body: &Map<String, Value>,
) -> ProviderError {
    let ProviderError::Status {
        provider,
        status,
        message,
    } = error
    else {
        return error;
    };
    let said = Said::of(said);
    let about_tools = ["tools", "tool use", "jinja", "toolchoice"]
        .iter()
        .any(|topic| said.has(topic));
    let (what, fix) = if said.has("requested parameters") {
        (
            "has nobody behind it who takes all parameters of the request",
            "choose another model, or take options out of [llm] (or name them in leave_out)",
        )
    } else if said.has("roles must alternate") {
        (
            "has a template in which caller and agent must take turns",
            "choose a model or a chat template that takes tools and any order of messages",
        )
    } else if body.contains_key("tools") && about_tools && said.refuses() {
        (
            "cannot call tools as it runs now",
            "choose a model that can, or start the server with them (llama.cpp: --jinja; vLLM: \
             --enable-auto-tool-choice and --tool-call-parser), or take the tools out of the agent",
        )
    } else {
        return ProviderError::Status {
            provider,
            status,
            message,
        };
    };
    ProviderError::Setup {
        provider,
        what: format!("{what} ({status})"),
        fix: fix.to_owned(),
        message,
    }
}

/// The server could not read the call that the model wrote: the next try mostly can be read. Groq.
pub(crate) fn is_unreadable_call(said: &str) -> bool {
    let said = Said::of(said);
    said.has("failed to call a function") || said.has("tool use failed")
}

/// The words of an error in lower case, and what stands before each.
struct Said(Vec<(String, char)>);

impl Said {
    fn of(text: &str) -> Self {
        let mut words: Vec<(String, char)> = Vec::new();
        let mut before = ' ';
        for c in text.chars() {
            match words.last_mut() {
                Some((word, _)) if c.is_ascii_alphanumeric() && before.is_ascii_alphanumeric() => {
                    word.push(c.to_ascii_lowercase());
                }
                _ if c.is_ascii_alphanumeric() => {
                    words.push((c.to_ascii_lowercase().to_string(), before));
                }
                _ => {}
            }
            before = c;
        }
        Self(words)
    }

    /// Do words make this name, whatever parts them? `reasoning effort`, `reasoningEffort`, `reasoning_effort`. A longer name
    /// with an underscore is another.
    fn names(&self, name: &str) -> bool {
        self.holds(name, true)
    }

    fn has(&self, phrase: &str) -> bool {
        self.holds(phrase, false)
    }

    fn holds(&self, name: &str, alone: bool) -> bool {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let mut starts = (0..self.0.len()).filter_map(|from| self.0.get(from..));
        !plain.is_empty()
            && starts.any(|words| {
                let mut rest = plain.as_str();
                let mut words = words.iter().peekable();
                if alone && words.peek().is_some_and(|(_, before)| *before == '_') {
                    return false;
                }
                while let Some((word, _)) = words.next() {
                    match rest.strip_prefix(word.as_str()) {
                        Some("") => {
                            return !alone || words.peek().is_none_or(|(_, before)| *before != '_');
                        }
                        Some(more) => rest = more,
                        None => return false,
                    }
                }
                false
            })
    }

    /// Is a parameter named, something inside it, or what it is for?
    fn is_about(&self, name: &str, value: &Value) -> bool {
        let is_thinking = ["reason", "think"].iter().any(|topic| name.contains(topic));
        let topics = ["thinking", "reasoning"];
        self.names(name)
            || value.as_object().is_some_and(|inside| {
                inside
                    .iter()
                    .any(|(name, value)| self.is_about(name, value))
            })
            || (is_thinking && topics.iter().any(|topic| self.has(topic)))
    }

    fn refuses(&self) -> bool {
        let stems = [
            "support",
            "unknown",
            "unrecogni",
            "unexpected",
            "invalid",
            "permit",
            "allow",
            "extra",
            "disallow",
            "must",
            "require",
            "deprecat",
            "forbid",
            "cannot",
            "unavailable",
        ];
        self.0.iter().any(|(word, _)| {
            stems
                .iter()
                .any(|stem| word.starts_with(stem) || word.contains("support"))
        })
    }

    /// A prompt or an answer that is too long is nobody's parameter.
    fn is_about_length(&self) -> bool {
        [
            "too large",
            "too long",
            "context length",
            "context window",
            "context size",
            "maximum context",
            "reduce the length",
            "token limit",
        ]
        .iter()
        .any(|phrase| self.has(phrase))
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
        Refused::default().learn(&error, message, &body())
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
    fn a_parameter_is_known_however_its_name_is_written_and_whatever_the_status() {
        for (status, message) in [
            (400, "unknown field streamOptions"),
            (400, "Unknown parameter: 'include_usage'."),
            (404, "Unknown parameter stream_options"),
            (403, "stream-options is not supported"),
            (500, "Unsupported param: stream_options"),
            (501, "Stream options are unsupported"),
        ] {
            assert_eq!(learned(status, message), ["stream_options"], "{message}");
        }
        for (status, message) in [
            (400, "\"llama3.2\" does not support thinking"),
            (400, "reasoning effort is not supported with this model"),
            (400, "invalid reasoning value: 'minimal'"),
            (501, "ReasoningEffort is not supported"),
        ] {
            assert_eq!(learned(status, message), ["reasoning_effort"], "{message}");
        }
        let late = format!(
            "{} body.stream_options: Extra inputs",
            "messages.1.content: wrong; ".repeat(40)
        );
        assert_eq!(learned(422, &late), ["stream_options"]);
    }

    #[test]
    fn who_cannot_call_tools_is_told_what_to_change() {
        let error = |message: &str| {
            let error = ProviderError::Status {
                provider: "openai",
                status: 500,
                message: message.to_owned(),
            };
            as_setup(error, message, &body())
        };
        for message in [
            "tools param requires --jinja flag",
            "registry.ollama.ai/library/gemma:2b does not support tools",
            "Template error: template does not support tools",
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
        ] {
            let text = error(message).to_string();
            assert!(
                text.contains("--jinja;") && text.contains("cannot call tools"),
                "{text}"
            );
            assert!(!error(message).retryable());
        }
        assert!(matches!(error("engine died"), ProviderError::Status { .. }));
    }

    #[test]
    fn other_complaints_change_nothing() {
        assert!(learned(500, "stream_options").is_empty());
        assert!(learned(503, "stream_options is not supported").is_empty());
        assert!(learned(500, "Internal error for user 7").is_empty());
        for message in [
            "'max_tokens' or 'max_completion_tokens' is too large: 300. This model's maximum context length is 4096 tokens",
            "context_length_exceeded: max_tokens 300",
            "Prompt is too long; lower max_tokens",
        ] {
            assert!(learned(400, message).is_empty(), "{message}");
        }
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
        assert_eq!(refused.learn(&error, message, &body()), ["max_tokens"]);
        let mut again = body();
        refused.leave_out(&mut again);
        assert_eq!(again.get("max_completion_tokens"), Some(&json!(300)));
        assert!(!again.contains_key("max_tokens"));
        // nor that one
        let message = "max_completion_tokens is unknown";
        assert_eq!(
            refused.learn(&error, message, &again),
            ["max_completion_tokens"]
        );
        let mut last = body();
        refused.leave_out(&mut last);
        assert!(!last.contains_key("max_tokens") && !last.contains_key("max_completion_tokens"));
    }

    #[test]
    fn what_an_aggregator_or_a_template_refuses_is_said_with_what_to_do() {
        for (said, what) in [
            (
                "No endpoints found that support tool use.",
                "cannot call tools",
            ),
            (
                "No endpoints found that can handle the requested parameters.",
                "all parameters",
            ),
            (
                "Conversation roles must alternate user/assistant/user/assistant/...",
                "take turns",
            ),
        ] {
            let error = ProviderError::Status {
                provider: "openai",
                status: 404,
                message: said.to_owned(),
            };
            let error = as_setup(error, said, &body());
            assert!(
                matches!(&error, ProviderError::Setup { what: told, .. } if told.contains(what)),
                "{error:?}"
            );
        }
        assert!(is_unreadable_call(
            "Failed to call a function. Please adjust your prompt."
        ));
        assert!(!is_unreadable_call("The function is unknown."));
    }
}
