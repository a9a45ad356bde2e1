//! Speech recognition on the machine itself: Moonshine (Useful Sensors, MIT for English), run by rten.
//!
//! | module | what |
//! |---|---|
//! | [`stt`] | the provider: a stream of sound to a stream of words |
//! | [`transcriber`] | sound to text in one go |
//! | `tokenizer` | token ids to text |

use std::path::PathBuf;

pub mod stt;
mod tokenizer;
pub mod transcriber;

pub use stt::{MoonshineStt, SURE};
pub use transcriber::{Transcriber, Transcript};

/// What can be wrong with the recogniser.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MoonshineError {
    /// A file is missing or cannot be loaded.
    #[error("{} cannot be loaded: {message}. Fetch it with `antiphon models fetch`", file.display())]
    Model {
        /// Which file.
        file: PathBuf,
        /// The reason.
        message: String,
    },
    /// The vocabulary is damaged.
    #[error("tokenizer.bin is damaged. Fetch it again with `antiphon models fetch`")]
    Tokenizer,
    /// Inputs or outputs are not those of a Moonshine export.
    #[error(
        "the model is no Moonshine export: it needs input_ids, encoder_hidden_states, use_cache_branch and past_key_values"
    )]
    Shape,
    /// The model stopped while it ran.
    #[error("the model cannot be run: {0}")]
    Run(String),
}

impl MoonshineError {
    #[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
    fn run(error: rten::RunError) -> Self {
        Self::Run(error.to_string())
    }
}
