//! What can go wrong with a provider.

use std::time::Duration;

/// The failure of a provider. A message never holds a key. It says what has happened, after a semicolon what to do, and at the end what the
/// provider or the system said. The page shows the three parts separately.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The key is missing, wrong or not allowed to do this (HTTP 401, 403).
    #[error(
        "{provider} refused the key ({status}); put a valid one into the environment or .env and start again, `antiphon doctor \
         --online` tries it{}",
        details(message)
    )]
    Unauthorized {
        /// Whose.
        provider: &'static str,
        /// HTTP status.
        status: u16,
        /// What the provider said, shortened.
        message: String,
    },
    /// Too many requests (HTTP 429).
    #[error(
        "{provider} limits the rate of requests; wait, or raise the limits of the account{}",
        details(message)
    )]
    RateLimited {
        /// Whose.
        provider: &'static str,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
        /// What the provider said, shortened.
        message: String,
    },
    /// The provider answered with another error status.
    #[error("{provider} answered {status}; {}{}", advice(*status), details(message))]
    Status {
        /// Whose.
        provider: &'static str,
        /// HTTP status.
        status: u16,
        /// What the provider said, shortened.
        message: String,
    },
    /// The provider will not answer until somebody changes something there: an account without credit, a model without tools.
    #[error("{provider} {what}; {fix}{}", details(message))]
    Setup {
        /// Whose.
        provider: &'static str,
        /// What is wrong there, as the rest of a sentence: "has no credit left (429)".
        what: String,
        /// What to do.
        fix: String,
        /// What the provider said, shortened.
        message: String,
    },
    /// The provider's host name cannot be resolved.
    #[error(
        "the address of {provider} cannot be found; check this machine's network and DNS, and the host's name, if one is configured{}",
        details(message)
    )]
    Unresolved {
        /// Whose.
        provider: &'static str,
        /// What the system said.
        message: String,
    },
    /// There is no connection, or it broke.
    #[error(
        "the connection to {provider} failed; check the network and the address, if one is configured{}",
        details(message)
    )]
    Connection {
        /// Whose.
        provider: &'static str,
        /// Why.
        message: String,
    },
    /// There was no answer in time.
    #[error(
        "{provider} did not answer within {after:?}; it is overloaded, or the network is slow: a longer `timeout` can be configured"
    )]
    Timeout {
        /// Whose.
        provider: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The provider answered something that we do not understand.
    #[error("{provider} sent something unexpected: {message}")]
    Protocol {
        /// Whose.
        provider: &'static str,
        /// What.
        message: String,
    },
    /// A local engine is not installed.
    #[error("{engine} is not available: {message}")]
    Unavailable {
        /// Which engine.
        engine: &'static str,
        /// What is missing and how to get it.
        message: String,
    },
}

/// What was said of the failure elsewhere, if anything.
fn details(message: &str) -> String {
    match message.trim().trim_end_matches('.') {
        "" => String::new(),
        message => format!(" (details: {message})"),
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        404 => "check the model's name and the address",
        500.. => "the trouble is on its side, try again later",
        _ => "check the model and its options",
    }
}

impl ProviderError {
    /// The same of a server that goes by another name than its provider's.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        match &mut self {
            Self::Unauthorized { provider, .. }
            | Self::RateLimited { provider, .. }
            | Self::Status { provider, .. }
            | Self::Setup { provider, .. }
            | Self::Unresolved { provider, .. }
            | Self::Connection { provider, .. }
            | Self::Timeout { provider, .. }
            | Self::Protocol { provider, .. } => *provider = name,
            Self::Unavailable { .. } => {}
        }
        self
    }

    /// May the same request succeed when it is tried again? LiveKit's rule: connection errors, time-outs, 408, 429, 5xx.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unauthorized { .. }
            | Self::Setup { .. }
            | Self::Protocol { .. }
            | Self::Unavailable { .. } => false,
            Self::RateLimited { .. }
            | Self::Unresolved { .. }
            | Self::Connection { .. }
            | Self::Timeout { .. } => true,
            Self::Status { status, .. } => *status == 408 || *status >= 500,
        }
    }
}

/// Why an agent cannot be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AgentError {
    /// The agent has no language model.
    #[error("the agent has no language model: give it one with `.llm(…)`")]
    NoLlm,
    /// Providers refuse such a name of a tool.
    #[error("the tool name {0:?} is not allowed: use 1 to 64 letters, digits, `_` and `-`")]
    ToolName(String),
    /// Two tools have the same name: the model could not tell them apart.
    #[error("two tools have the name {0:?}: rename one of them")]
    DuplicateTool(String),
    /// A source of knowledge over HTTP that cannot be asked.
    #[error("the knowledge over HTTP cannot be asked: {0}")]
    Knowledge(String),
    /// Options that contradict each other.
    #[error("the options cannot work: {0}")]
    Options(#[from] antiphon_dialogue::options::OptionsError),
    /// Not a JSON Schema of an object.
    #[error("the parameters of the tool {tool:?} are not a JSON Schema of an object: {message}")]
    ToolSchema {
        /// Which tool.
        tool: String,
        /// Why.
        message: String,
    },
    /// A tool over HTTP that cannot be called as described.
    #[error("the HTTP tool {tool:?} cannot work: {message}")]
    HttpTool {
        /// Which tool.
        tool: String,
        /// Why, and what to change.
        message: String,
    },
}

/// Why a session did not take a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// The session is over.
    #[error("the session is closed: start another one")]
    Closed,
    /// Requests come faster than they are carried out.
    #[error("the session has too many waiting requests: try again in a moment")]
    Busy,
    /// The options are as before.
    #[error("the options are not changed: {0}")]
    Options(#[from] antiphon_dialogue::options::OptionsError),
    /// The tools are as before.
    #[error("the tools are not changed: {0}")]
    Tools(#[from] AgentError),
    /// The agent is as before.
    #[error("the agent is not changed: {0}")]
    Update(#[from] antiphon_dialogue::update::UpdateError),
    /// The present speech goes on, because it may not be interrupted.
    #[error("nothing is interrupted: {0}")]
    NotInterrupted(#[from] antiphon_dialogue::NotInterrupted),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened_then_what_to_do_then_what_was_said_of_it() {
        let error = ProviderError::Unauthorized {
            provider: "OpenAI",
            status: 401,
            message: "Incorrect API key provided. Find yours at https://example.com/api-keys."
                .into(),
        };
        let text = error.to_string();
        let (what, rest) = text.split_once("; ").unwrap_or_default();
        assert_eq!(what, "OpenAI refused the key (401)");
        let (fix, said) = rest.split_once(" (details: ").unwrap_or_default();
        assert!(
            fix.contains(".env") && fix.contains("doctor --online"),
            "{fix}"
        );
        assert!(said.ends_with("api-keys)"), "{said}");
    }
}
