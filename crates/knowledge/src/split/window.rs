//! LlamaIndex's `SentenceWindowNodeParser`: every sentence is a node, and its metadata have the sentences around it, which the model is
//! given in its place.

use super::punkt::{self, Nltk};

/// Sentences on each side; LlamaIndex's default.
pub const WINDOW: usize = 3;

/// A sentence, and what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windowed {
    /// The sentence, as it stands in the text.
    pub original: String,
    /// It and those around it.
    pub window: String,
}

/// The sentences of a text with `size` on each side.
pub fn split(text: &str, size: usize, nltk: Nltk) -> Vec<Windowed> {
    let sentences = punkt::sentences(text, nltk);
    (0..sentences.len())
        .map(|at| {
            // as LlamaIndex counts, one more behind than before
            let around =
                sentences.get(at.saturating_sub(size)..(at + size + 1).min(sentences.len()));
            Windowed {
                original: sentences.get(at).copied().unwrap_or_default().to_owned(),
                window: around.unwrap_or_default().join(" "),
            }
        })
        .collect()
}
