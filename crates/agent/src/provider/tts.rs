//! Speech synthesis.

use antiphon_audio::Frame24k;
use std::time::Duration;

use super::{BoxStream, ProviderInfo};
use crate::ProviderError;

/// A speech synthesiser.
pub trait Tts: Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// Speak a clause or sentence; audio comes as it is made. Dropping the stream cancels. Retries happen inside, and only
    /// before the first audio was given out.
    fn synthesize(&self, text: String) -> BoxStream<Result<TtsChunk, ProviderError>>;

    /// Open a connection before it is needed. Cheap, best effort.
    fn prewarm(&self) {}
}

/// A piece of speech.
#[derive(Clone, Debug, PartialEq)]
pub enum TtsChunk {
    /// More sound; any length.
    Audio(Frame24k),
    /// When words begin, offsets from the first sample, if the provider says.
    Words(Vec<(String, Duration)>),
}
