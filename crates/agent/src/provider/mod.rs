//! The traits of providers. One provider is one crate (`antiphon-openai`, `antiphon-deepgram`, `antiphon-silero`,
//! `antiphon-moonshine`, `antiphon-hibari`, `antiphon-local`, `antiphon-knowledge`). All are shared by all sessions behind an `Arc`; what belongs to one session is
//! made by `open`, `session` or the call itself. Dropping what a call returned cancels it.

mod knowledge;
mod llm;
mod stt;
mod tts;
mod turn;
mod vad;

use std::future::Future;
use std::pin::Pin;

use futures_util::Stream;

pub use antiphon_telemetry::Secret;
pub use knowledge::Knowledge;
pub use llm::{ChatChunk, Llm, LlmOptions, ToolDefinition};
pub use stt::{Stt, SttEvent, SttInput, SttSession};
pub use tts::{Tts, TtsChunk};
pub use turn::{Evidence, PresentTurn, TurnDetector};
pub use vad::{Vad, VadModel};

/// A future that can be an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A stream that can be an object.
pub type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send + 'static>>;

/// Who a provider is, for logs, metrics and `antiphon doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// `openai`, `deepgram`, `silero`, `pocketsphinx`, …
    pub provider: &'static str,
    /// The model, voice or engine version.
    pub model: String,
}
