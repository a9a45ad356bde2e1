//! Texts as vectors.

use super::{BoxFuture, ProviderInfo};
use crate::error::ProviderError;

/// Counts what an embedding cost, for the metric `antiphon_embedding_tokens_total`.
pub fn embedding_tokens(tokens: u64) {
    metrics::counter!(antiphon_telemetry::names::EMBEDDING_TOKENS_TOTAL).increment(tokens);
}

/// What vectors are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedPurpose {
    /// A question that a caller waits for.
    Query,
    /// Passages, before anybody asks.
    Documents,
}

/// Makes vectors of texts: what means the same lies close together.
pub trait Embedder: Send + Sync + 'static {
    /// Who makes them; vectors of two models are never compared.
    fn info(&self) -> ProviderInfo;

    /// Numbers of a vector; `None`: not known before the first.
    fn dimensions(&self) -> Option<usize>;

    /// The only language (ISO 639-1) whose meanings it knows; `None`: many.
    fn language(&self) -> Option<&'static str> {
        None
    }

    /// A vector for each text, in order.
    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbedPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, ProviderError>>;
}
