//! The history: what was said and heard, tool calls and their results. LiveKit's item types and field names.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Instant;

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the agent's author.
    System,
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
    /// When it began.
    pub created_at: Instant,
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
}

/// One item of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// Something said or written.
    Message(Message),
    /// A tool call.
    FunctionCall {
        /// The call.
        #[serde(flatten)]
        call: ToolCall,
        /// When the model asked for it.
        created_at: Instant,
    },
    /// Its result.
    FunctionCallOutput {
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
}

/// A passage found in the knowledge: data, never instruction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The text as the model reads it.
    pub text: String,
    /// Where it comes from: a file name and heading, or a node's source.
    pub source: String,
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
