//! Finding by meaning: the passages' vectors, and how what they find is joined with what words find.

use std::sync::Arc;

use antiphon_agent::provider::Embedder;

use crate::base::Candidates;
use crate::vectors::Vectors;

/// So many of the best by words and by meaning are joined.
pub(crate) const CANDIDATES: usize = 20;
/// Passages whose cosine with the question is lower are not about it. Measured with MiniLM (`examples/recall.rs`): of 20 questions about
/// something else 19 stay below, and no right passage is lost.
pub(crate) const MIN_COSINE: f64 = 0.20;
/// What words count beside the cosine when all of the question's stand in a passage: nearly as much as a cosine of 1. Measured on eight sets of
/// questions with `examples/recall.rs`: with 0.3 a trade's 60 questions were found less often than by words alone (42 of 49), with 0.65 to 1
/// as often, and more in all the others but one; 0.8 was then the best on a set that was not looked at before (28 of 36; 26 with 0.3, 19
/// by words).
const WORDS_WEIGHT: f64 = 0.8;
/// What is this far behind the best is left out.
pub(crate) const RELATIVE_FLOOR: f64 = 0.5;

/// Passages' vectors and who made them.
#[derive(Clone)]
pub struct Meaning {
    /// Makes the questions' vectors.
    pub embedder: Arc<dyn Embedder>,
    /// One for each passage, by its number.
    pub vectors: Arc<Vectors>,
}

impl std::fmt::Debug for Meaning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meaning")
            .field("model", &self.embedder.info().model)
            .field("vectors", &self.vectors.len())
            .finish_non_exhaustive()
    }
}

/// The passages that fit a question, best first, from those by words (with BM25's scores) and by meaning (with cosines).
pub(crate) fn join(
    words: &Candidates,
    by_meaning: &[(usize, f64)],
    cosine: impl Fn(usize) -> f64,
) -> Vec<(usize, f64)> {
    let best = words
        .found
        .iter()
        .map(|(_, score)| f64::from(*score))
        .fold(0.0, f64::max);
    let perfect = words.perfect.map_or(best, f64::from).max(best);
    let mut joined: Vec<(usize, f64)> = by_meaning
        .iter()
        .filter(|(_, cosine)| *cosine >= MIN_COSINE)
        .copied()
        .collect();
    for (number, score) in &words.found {
        let part = WORDS_WEIGHT * f64::from(*score) / perfect.max(f64::MIN_POSITIVE);
        match joined.iter_mut().find(|(known, _)| known == number) {
            Some((_, score)) => *score += part,
            None => joined.push((*number, cosine(*number).max(0.0) + part)),
        }
    }
    joined.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let floor = joined
        .first()
        .map_or(0.0, |(_, best)| best * RELATIVE_FLOOR);
    joined.retain(|(_, score)| *score >= floor);
    joined
}
