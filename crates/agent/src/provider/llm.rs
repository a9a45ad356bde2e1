//! Language models.

use std::sync::Arc;

use antiphon_chat::Usage;
use antiphon_chat::{ChatRequest, ToolCall};

use super::{BoxStream, ProviderInfo};
use crate::ProviderError;

/// A language model.
pub trait Llm: Send + Sync + 'static {
    /// Provider and model.
    fn info(&self) -> ProviderInfo;

    /// Sends a request. The stream ends after the answer or after its first error. Dropping the stream cancels the request. The provider
    /// retries by itself, and only before it has given out the first chunk.
    fn chat(
        &self,
        request: ChatRequest,
        tools: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>>;

    /// Opens a connection before it is needed. Cheap, best effort.
    fn prewarm(&self) {}
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatChunk {
    /// More text.
    Text(String),
    /// One complete call. The answer with the call has ended properly.
    ToolCall(ToolCall),
    /// A call that must not run: it was cut off, or the tool was not offered.
    RefusedCall {
        /// The call, as far as it arrived.
        call: ToolCall,
        /// What the model reads as its result.
        why: String,
    },
    /// The model is at work and has nothing for the caller yet. At most one a second.
    Thinking,
    /// All text so far was not meant for the caller.
    Withdrawn,
    /// Something about this answer that whoever looks after the agent should know, without secrets: it was cut off, or the
    /// server refused a parameter.
    Warning(String),
    /// The tokens that were used: the last chunk, if the provider counts them.
    Usage(Usage),
}

/// A tool as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDefinition {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of the arguments, an object.
    pub parameters: serde_json::Value,
}

/// Options that every OpenAI-compatible model has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LlmOptions {
    /// Sampling temperature; `None` leaves it to the provider.
    pub temperature: Option<f32>,
    /// The longest answer in tokens.
    pub max_completion_tokens: Option<u32>,
}
