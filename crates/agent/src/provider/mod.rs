//! The traits of providers. One provider is one crate (`antiphon-openai`, `antiphon-deepgram`, `antiphon-silero`,
//! `antiphon-moonshine`, `antiphon-hibari`, `antiphon-local`, `antiphon-knowledge`). All sessions share a provider behind an `Arc`. What belongs
//! to one session is made by `open`, by `session` or by the call itself. Dropping what a call has returned cancels the call.

mod embedder;
mod knowledge;
mod llm;
mod remote;
mod stt;
mod tts;
mod turn;
mod vad;

use std::future::Future;
use std::pin::Pin;

use futures_util::Stream;

pub use antiphon_telemetry::Secret;
pub use embedder::{EmbedPurpose, Embedder, embedding_tokens};
pub use knowledge::{
    Filter, FilterCondition, FilterOperator, Found, Knowledge, MetadataFilter, Query,
};
pub use llm::{ChatChunk, Llm, LlmOptions, ToolDefinition};
pub use remote::RemoteKnowledge;
pub use stt::{Stt, SttEvent, SttInput, SttSession};
pub use tts::{Tts, TtsChunk};
pub use turn::{Evidence, PresentTurn, TurnDetector};
pub use vad::{Vad, VadModel};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A boxed stream.
pub type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send + 'static>>;

/// Who a provider is, for logs, metrics and `antiphon doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// `openai`, `deepgram`, `silero`, `pocketsphinx`, …
    pub provider: &'static str,
    /// The model, voice or engine version.
    pub model: String,
}
