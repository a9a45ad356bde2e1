//! What the model can call.
//!
//! | module | what |
//! |---|---|
//! | here | [`Tool`], what it gives back |
//! | [`context`] | what a tool knows about its call, and what it can tell meanwhile |
//! | [`arguments`] | the model's JSON: parsed strictly, repaired a little, checked against the schema |
//! | [`schema`] | JSON Schemas as strict providers accept them |
//! | [`function`] | a tool from a closure; the helpers of `#[tool]` |
//! | [`http`] | a tool from a description: an HTTP request |
//! | `management` | what the model is given to look after tools that run |
//! | [`set`] | an agent's tools, checked once |

pub mod arguments;
pub mod context;
pub(crate) mod convert;
pub(crate) mod function;
pub mod http;
mod management;
pub mod schema;
pub mod set;

use antiphon_dialogue::options::ToolOptions;
use serde_json::Value;

pub use context::{Caller, ToolContext};
pub use function::FunctionTool;
pub use http::{HttpMethod, HttpTool, HttpToolOptions};

pub use set::ToolSet;

use crate::agent::Agent;
use crate::provider::{BoxFuture, ToolDefinition};

/// Something that the model can do. Tools are made with `#[tool]`, [`FunctionTool`] or [`HttpTool`], and are shared by all sessions.
pub trait Tool: Send + Sync + 'static {
    /// Name, description and parameters. Called once for each agent.
    fn definition(&self) -> ToolDefinition;

    /// Runs the tool. The arguments fit the schema of the definition. The model reads an error, and can then try again or tell the
    /// caller. A panic becomes an error without details.
    fn call<'a>(
        &'a self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'a, Result<ToolReply, ToolError>>;

    /// How the tool is run: its time limit, what an interruption does to it, what is said while it is slow, and what becomes of a
    /// second call. [`AgentBuilder::tool_options`](crate::AgentBuilder::tool_options) takes precedence.
    fn options(&self) -> ToolOptions {
        ToolOptions::default()
    }
}

/// What a tool returns.
#[derive(Clone, Debug, Default)]
pub struct ToolReply {
    /// What the model reads.
    pub text: String,
    /// The agent says nothing about the result (LiveKit's `StopResponse`).
    pub silent: bool,
    /// The agent that takes the conversation over.
    pub handoff: Option<Agent>,
}

impl PartialEq for ToolReply {
    fn eq(&self, other: &Self) -> bool {
        let name = |reply: &Self| reply.handoff.as_ref().map(|agent| agent.name().to_owned());
        (&self.text, self.silent, name(self)) == (&other.text, other.silent, name(other))
    }
}

impl ToolReply {
    /// The model reads this text and answers.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// This agent takes the conversation over at once.
    pub fn handoff(agent: Agent) -> Self {
        Self {
            text: format!("The conversation is handed over to {}.", agent.name()),
            silent: true,
            handoff: Some(agent),
        }
    }

    /// The present agent tells the caller the result, and then this agent takes the conversation over.
    #[must_use]
    pub fn then_handoff(self, agent: Agent) -> Self {
        Self {
            handoff: Some(agent),
            ..self
        }
    }

    /// The history gets this text, and the agent says nothing.
    pub fn silent(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            silent: true,
            handoff: None,
        }
    }

    /// Any value, as the model reads it: a string as it is, nothing for `()` and `None`, everything else as JSON.
    pub fn from_json(value: Value) -> Self {
        Self::new(match value {
            Value::Null => String::new(),
            Value::String(text) => text,
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                other.to_string()
            }
        })
    }
}

impl From<Agent> for ToolReply {
    fn from(agent: Agent) -> Self {
        Self::handoff(agent)
    }
}

impl From<String> for ToolReply {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for ToolReply {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<()> for ToolReply {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<Value> for ToolReply {
    fn from(value: Value) -> Self {
        Self::from_json(value)
    }
}

/// The failure of a tool. It does not implement `std::error::Error`, so that `?` can turn every such error into [`ToolError::internal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    /// What the model reads.
    message: String,
    /// What only the log reads.
    detail: Option<String>,
}

impl ToolError {
    /// The model reads this: say what was wrong and what to do instead.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            detail: None,
        }
    }

    /// The model only reads that something went wrong inside; the log says what.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self {
            message: String::from("An internal error occurred"),
            detail: Some(detail.to_string()),
        }
    }

    /// What the model reads.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What only the log reads.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl std::fmt::Display for ToolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        Self::internal(error)
    }
}
