//! Texts as vectors on the machine itself, behind the trait [`Embedder`](antiphon_agent::provider::Embedder).
//!
//! | module | what |
//! |---|---|
//! | [`wordpiece`] | text → the numbers of its word pieces, as BERT's tokenizer does it |
//! | [`minilm`] | all-MiniLM-L6-v2: numbers → a vector of length 1 |

pub mod minilm;
pub mod wordpiece;

use std::path::PathBuf;

pub use minilm::{MODEL, MiniLm};

/// What can be wrong with an embedding model.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddingError {
    /// A file of the model is missing or damaged.
    #[error("{}: {message}. Fetch it again with `antiphon models fetch minilm`", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// The reason.
        message: String,
    },
    /// The network cannot be run.
    #[error("the embedding cannot be computed: {0}")]
    Run(String),
}
