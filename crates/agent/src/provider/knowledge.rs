//! Knowledge: passages for a question.

use antiphon_chat::Passage;

use super::BoxFuture;

/// Something that can be searched.
pub trait Knowledge: Send + Sync + 'static {
    /// The best passages for these words, best first, or none if nothing fits. The search must be quick (see `retrieval_budget`).
    fn search<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Vec<Passage>>;
}
