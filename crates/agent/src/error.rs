//! What can go wrong with a provider.

use std::time::Duration;

/// A provider's failure. Messages never hold keys.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The key is missing, wrong or not allowed to do this (HTTP 401, 403).
    #[error(
        "{provider} refused the key ({status}): {message}. Check the key in the environment with `antiphon doctor`"
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
    #[error("{provider} limits the rate of requests: {message}")]
    RateLimited {
        /// Whose.
        provider: &'static str,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
        /// What the provider said, shortened.
        message: String,
    },
    /// It answered with another error status.
    #[error("{provider} answered {status}: {message}")]
    Status {
        /// Whose.
        provider: &'static str,
        /// HTTP status.
        status: u16,
        /// What the provider said, shortened.
        message: String,
    },
    /// No connection, or it broke.
    #[error("the connection to {provider} failed: {message}")]
    Connection {
        /// Whose.
        provider: &'static str,
        /// Why.
        message: String,
    },
    /// No answer in time.
    #[error("{provider} did not answer within {after:?}")]
    Timeout {
        /// Whose.
        provider: &'static str,
        /// The limit.
        after: Duration,
    },
    /// It answered something that we do not understand.
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

impl ProviderError {
    /// May the same request succeed when it is tried again? LiveKit's rule: connection errors, time-outs, 408, 429, 5xx.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unauthorized { .. } | Self::Protocol { .. } | Self::Unavailable { .. } => false,
            Self::RateLimited { .. } | Self::Connection { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => *status == 408 || *status >= 500,
        }
    }
}

/// An agent that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AgentError {
    /// Nothing to think with.
    #[error("the agent has no language model: give it one with `.llm(…)`")]
    NoLlm,
    /// Providers refuse such names.
    #[error("the tool name {0:?} is not allowed: use 1 to 64 letters, digits, `_` and `-`")]
    ToolName(String),
    /// The model could not tell them apart.
    #[error("two tools have the name {0:?}: rename one of them")]
    DuplicateTool(String),
    /// Options that contradict each other.
    #[error("the options cannot work: {0}")]
    Options(#[from] antiphon_dialogue::options::OptionsError),
    /// Speech would be over before the turn detector is asked.
    #[error(
        "the VAD ends speech after {0:?} of silence, before the turn detector is asked: set its min_silence_duration to at least 0.25 s"
    )]
    HastyVad(Duration),
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

/// A request that a session could not take.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// It is over.
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
    /// What is being said goes on, for it may not be interrupted.
    #[error("nothing is interrupted: {0}")]
    NotInterrupted(#[from] antiphon_dialogue::NotInterrupted),
}
