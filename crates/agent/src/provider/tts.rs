//! Speech synthesis.

use antiphon_audio::Frame24k;
use std::time::Duration;

use super::{BoxStream, ProviderInfo};
use crate::ProviderError;

/// A speech synthesiser.
pub trait Tts: Send + Sync + 'static {
    /// Provider and model.
    fn info(&self) -> ProviderInfo;

    /// Synthesises a clause or a sentence; the audio arrives while it is made. Dropping the stream cancels the request. The provider
    /// retries by itself, and only before it has given out the first audio.
    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>>;

    /// Opens a connection before it is needed. Cheap, best effort.
    fn prewarm(&self) {}
}

/// A piece of speech.
#[derive(Clone, Debug, PartialEq)]
pub enum TtsChunk {
    /// More sound; any length.
    Audio(Frame24k),
    /// When words begin, as offsets from the first sample, if the provider tells them.
    Words(Vec<(String, Duration)>),
}
