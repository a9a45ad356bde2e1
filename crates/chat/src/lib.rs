//! What was said and heard, as every part of Antiphon reads and writes it. LiveKit's item types and field names.
//!
//! | module | what |
//! |---|---|
//! | here | items of the history, the request to a model, found passages, counted tokens |
//! | [`ChatContext`] | a history: built, copied, merged, cut, read and written as LiveKit's JSON |
//! | [`time`] | instants on the session's clock |

mod context;
mod json;
mod metrics;
pub mod time;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use context::{ChatContext, Exclude};
pub use json::ContextError;
pub use metrics::MessageMetrics;

use crate::time::{Duration, Instant};

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the agent's author.
    System,
    /// The same, under the name that newer models of OpenAI use.
    Developer,
    /// The caller.
    User,
    /// The agent.
    Assistant,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `item_…`, unique in the session.
    pub id: String,
    /// Who speaks.
    pub role: Role,
    /// For an assistant exactly the text whose audio was played.
    pub text: String,
    /// The caller cut this message off.
    #[serde(default)]
    pub interrupted: bool,
    /// How sure the recogniser was, 0 to 1; `None` for what nobody spoke to it or when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_confidence: Option<f32>,
    /// How long things took.
    #[serde(default, skip_serializing_if = "MessageMetrics::is_empty")]
    pub metrics: MessageMetrics,
    /// What else belongs to it: LiveKit's `is_summary`, a provider's own fields.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// When it began.
    pub created_at: Instant,
}

impl Message {
    /// Words, and nothing known about them but who spoke when.
    pub fn new(
        id: impl Into<String>,
        role: Role,
        text: impl Into<String>,
        created_at: Instant,
    ) -> Self {
        Self {
            id: id.into(),
            role,
            text: text.into(),
            interrupted: false,
            transcript_confidence: None,
            metrics: MessageMetrics::default(),
            extra: Map::new(),
            created_at,
        }
    }
}

/// A tool call that the model asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id, unique in the session (the machine renames a duplicate).
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// JSON text of the arguments, canonical after repair.
    pub arguments: String,
}

/// The one result of a tool call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolOutput {
    /// Which call.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// What the model reads.
    pub output: String,
    /// The tool failed, was cancelled, or was called wrongly.
    #[serde(default)]
    pub is_error: bool,
    /// Does the model have to say something about it? False when the tool asked for no reply.
    #[serde(default = "yes")]
    pub reply_required: bool,
}

fn yes() -> bool {
    true
}

/// One item of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "most items of a history are messages: a box would be one more allocation for each"
)]
pub enum Item {
    /// Something said or written.
    Message(Message),
    /// A tool call.
    FunctionCall {
        /// The id of the message that the model wrote with it, and `/fnc_` and a number: calls of one answer belong together.
        #[serde(default)]
        id: String,
        /// The call.
        #[serde(flatten)]
        call: ToolCall,
        /// When the model asked for it.
        created_at: Instant,
    },
    /// Its result.
    FunctionCallOutput {
        /// The call's, and `/output`.
        #[serde(default)]
        id: String,
        /// The result.
        #[serde(flatten)]
        output: ToolOutput,
        /// When it was known.
        created_at: Instant,
    },
    /// Another agent took over. Not part of requests.
    AgentHandoff {
        /// `item_…`, unique in the session.
        id: String,
        /// Who spoke before; `None` at the beginning.
        old_agent_id: Option<String>,
        /// Who speaks from here on.
        new_agent_id: String,
        /// When.
        created_at: Instant,
    },
    /// From here on the agent has other instructions or tools. Not part of requests, which carry the present ones.
    AgentConfigUpdate {
        /// `item_…`, unique in the session.
        id: String,
        /// The new instructions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instructions: Option<String>,
        /// Names of tools that it has from here on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tools_added: Vec<String>,
        /// Names of tools that it has no longer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tools_removed: Vec<String>,
        /// When.
        created_at: Instant,
    },
}

impl Item {
    /// Its name, unique in the session.
    pub fn id(&self) -> &str {
        match self {
            Self::Message(Message { id, .. })
            | Self::FunctionCall { id, .. }
            | Self::FunctionCallOutput { id, .. }
            | Self::AgentHandoff { id, .. }
            | Self::AgentConfigUpdate { id, .. } => id,
        }
    }

    /// When it was.
    pub fn created_at(&self) -> Instant {
        match self {
            Self::Message(Message { created_at, .. })
            | Self::FunctionCall { created_at, .. }
            | Self::FunctionCallOutput { created_at, .. }
            | Self::AgentHandoff { created_at, .. }
            | Self::AgentConfigUpdate { created_at, .. } => *created_at,
        }
    }

    /// Does a model read it?
    pub fn is_for_models(&self) -> bool {
        match self {
            Self::Message(_) | Self::FunctionCall { .. } | Self::FunctionCallOutput { .. } => true,
            Self::AgentHandoff { .. } | Self::AgentConfigUpdate { .. } => false,
        }
    }
}

/// A passage found in the knowledge: data, never instruction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The text as the model reads it.
    pub text: String,
    /// Where it comes from: a file name and heading, or a node's source.
    pub source: String,
    /// The page, slide or sheet there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// The retriever's score; comparable only within one retrieval.
    pub score: f32,
}

/// What one LLM request is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The agent's instructions: the only text in the system role.
    pub instructions: Arc<str>,
    /// The history, oldest first; every call in it has its output.
    pub items: Vec<Item>,
    /// Found passages, to be put beside the newest user message as data with their sources.
    pub passages: Vec<Passage>,
    /// Instructions for this reply alone (`generate_reply(instructions=…)`).
    pub reply_instructions: Option<String>,
    /// May the model call tools?
    pub tool_choice: ToolChoice,
    /// Only the tools of these names; `None`: all.
    #[serde(default)]
    pub tools: Option<Vec<String>>,
}

/// May the model call tools in this step?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tools: the step after the last allowed one, or a drain.
    None,
    /// It must call some tool.
    Required,
    /// It must call this one.
    Function(String),
}

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u32,
    /// Of these from the provider's cache.
    pub cached_tokens: u32,
    /// Tokens written.
    pub completion_tokens: u32,
}

impl Usage {
    /// Tokens written per second of this time; `None`: it took no time.
    pub fn written_per_second(self, time: Duration) -> Option<f64> {
        (!time.is_zero()).then(|| f64::from(self.completion_tokens) / time.as_secs_f64())
    }
}
