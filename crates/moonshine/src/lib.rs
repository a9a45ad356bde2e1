//! Speech recognition on the machine itself, run by rten: Moonshine (Useful Sensors, MIT for English) and Whisper (OpenAI, MIT).
//!
//! | module | what |
//! |---|---|
//! | [`stt`] | the provider: a stream of sound to a stream of words |
//! | [`transcriber`] | sound to text in one go, by whichever model lies in a folder |
//! | `moonshine`, `whisper` | each of them |
//! | `decoder` | a decoder in the layouts in which it is usually exported |
//! | `folder` | which files an export has, and under which names |
//! | `tokenizer` | token ids to text |
//! | `words` | scores to tokens; loops |

use std::path::PathBuf;

mod decoder;
mod folder;
mod moonshine;
pub mod stt;
mod tokenizer;
pub mod transcriber;
mod whisper;
mod words;

pub use stt::{NeuralStt, SURE};
pub use transcriber::{ModelKind, Spoken, Transcriber, Transcript, kind_of};

/// What can be wrong with the recogniser.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SttError {
    /// The folder holds no model of a known kind.
    #[error(
        "{} holds no recogniser: name a folder with encoder_model.onnx, decoder_model_merged.onnx and a tokenizer (an ONNX export of \
         Moonshine or Whisper), or with model.bin and tokenizer.json (faster-whisper), or a model that `antiphon models fetch` brings",
        .0.display()
    )]
    NoModel(PathBuf),
    /// A part of the model is not in the folder.
    #[error("{} has no {file}: copy the whole export there, or fetch the model again with `antiphon models fetch`", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file's usual name.
        file: String,
    },
    /// A file cannot be loaded.
    #[error("{} cannot be loaded: {message}. Fetch it with `antiphon models fetch`, or export it anew", file.display())]
    Model {
        /// Which file.
        file: PathBuf,
        /// The reason.
        message: String,
    },
    /// The vocabulary is damaged.
    #[error("{0} is damaged. Fetch the model again with `antiphon models fetch`")]
    Tokenizer(&'static str),
    /// Inputs, outputs or marks are not those of an export that is known.
    #[error(
        "the model is no export of Moonshine or Whisper as Hugging Face's optimum makes it: {0}"
    )]
    Export(String),
    /// The model does not know the language that is spoken.
    #[error(
        "the recogniser does not know the language \"{language}\"; it knows {known}. Set [stt] language to one of these, or name \
         another model"
    )]
    Language {
        /// BCP 47.
        language: String,
        /// All that it knows.
        known: String,
    },
    /// The model stopped while it ran.
    #[error("the model cannot be run: {0}")]
    Run(String),
}

impl SttError {
    #[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
    fn run(error: rten::RunError) -> Self {
        Self::Run(error.to_string())
    }
}
