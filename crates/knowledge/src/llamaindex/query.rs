//! A vector index asked as `VectorIndexRetriever` asks a `SimpleVectorStore`: the same nodes in the same order with the same scores.

use antiphon_agent::provider::Filter;

use super::VectorStore;
use crate::filter;
use crate::vectors::marginal;

/// LlamaIndex's `VectorStoreQueryMode`, as far as its simple store has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mode {
    /// By similarity.
    #[default]
    Similarity,
    /// By marginal relevance, with its `mmr_threshold` (0.5 by default).
    Mmr(f64),
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct VectorQuery<'a> {
    /// The question's vector.
    pub vector: &'a [f32],
    /// `similarity_top_k`.
    pub top_k: usize,
    /// Only nodes that fit.
    pub filter: Option<&'a Filter>,
    /// How they are ranked.
    pub mode: Mode,
}

/// Why a question cannot be answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Vectors of two models.
    #[error(
        "the question's vector has {asked} numbers, those of the index have {stored}: embed it with the model that the index was made with"
    )]
    Width {
        /// Of the question.
        asked: usize,
        /// Of the index.
        stored: usize,
    },
    /// Nothing to filter by.
    #[error(
        "this index was persisted without metadata, so it cannot be filtered; build it again with LlamaIndex 0.10 or later"
    )]
    NoMetadata,
}

impl VectorStore {
    /// Ids and scores, best first.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn query(&self, query: &VectorQuery<'_>) -> Result<Vec<(&str, f64)>, QueryError> {
        if query.vector.len() != self.vectors.dimensions() {
            return Err(QueryError::Width {
                asked: query.vector.len(),
                stored: self.vectors.dimensions(),
            });
        }
        if query.filter.is_some() && self.metadata.is_empty() {
            return Err(QueryError::NoMetadata);
        }
        let may = |number: usize| {
            let Some(filter) = query.filter else {
                return true;
            };
            let metadata = self.ids.get(number).and_then(|id| self.metadata.get(id));
            metadata.is_some_and(|metadata| filter::fits(filter, metadata))
        };
        let found = match query.mode {
            Mode::Similarity => self.vectors.closest(query.vector, query.top_k, may),
            Mode::Mmr(threshold) => {
                marginal(&self.vectors, query.vector, query.top_k, threshold, may)
            }
        };
        let named = |(number, score): (usize, f64)| Some((self.ids.get(number)?.as_str(), score));
        Ok(found.into_iter().filter_map(named).collect())
    }
}
