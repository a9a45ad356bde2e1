//! The neural models that Antiphon runs on the machine itself: which there are, where they come from, and where they lie.
//!
//! | module | what |
//! |---|---|
//! | [`catalogue`] | which models there are, with licence, hashes and sources |
//! | [`store`] | the folder where they lie |
//! | [`fetch`] | how they get there |
//! | [`bert`] | the weights of a sentence encoder, written as ONNX |
//! | [`ort`] | ONNX Runtime's own file format, rewritten as ONNX |
//! | [`optimised`] | ONNX with nodes of ONNX Runtime's optimiser, rewritten without them |
//! | `plain` | nodes of ONNX Runtime's optimiser, as standard nodes |
//! | `share` | weights that stand in a file twice, kept once |
//! | [`whisper`] | the weights of a Whisper, written as ONNX |
//! | `graph` | a graph of ONNX while it is written |
//! | `onnx` | the messages of an ONNX file |
//! | `flatbuffer` | the container of an `.ort` file |

pub mod bert;
pub mod catalogue;
pub mod fetch;
mod flatbuffer;
mod graph;
mod onnx;
pub mod optimised;
pub mod ort;
mod plain;
mod share;
pub mod store;
pub mod whisper;

use std::path::PathBuf;

pub use catalogue::{MODELS, ModelInfo};
pub use fetch::{Fetcher, Progress};
pub use store::Store;

/// What can be wrong with a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The file is not what its name says, or a part of it is missing.
    #[error("the model file is damaged: {what}. Fetch it again with `antiphon models fetch`")]
    Damaged {
        /// What was found.
        what: &'static str,
    },
    /// The file is in order, but has something that this program cannot run.
    #[error(
        "the model has something that cannot be run here: {what}. Use an export with standard ONNX operators"
    )]
    Unsupported {
        /// What was found.
        what: String,
    },
    /// It was not fetched.
    #[error(
        "the model {model} is not on this machine. Fetch it with `antiphon models fetch {model}`"
    )]
    Missing {
        /// Its name.
        model: &'static str,
    },
    /// There is no place for models.
    #[error("no folder for models is known: set ANTIPHON_MODELS, XDG_DATA_HOME or HOME")]
    NoFolder,
    /// A file is not the one that is pinned.
    #[error(
        "{file} is not the expected file: its SHA-256 is {found}, not {expected}. Fetch it again, or from another network"
    )]
    Checksum {
        /// Which file.
        file: &'static str,
        /// Its hash.
        found: String,
        /// The pinned hash.
        expected: &'static str,
    },
    /// A download failed.
    #[error("the download failed: {message}. Check the connection and the proxy, then try again")]
    Network {
        /// The address and the reason.
        message: String,
    },
    /// A registry's command could not bring the package.
    #[error("`{command}` failed: {message}")]
    Command {
        /// The command, with the package's name and version.
        command: String,
        /// What it said.
        message: String,
    },
    /// No source has the model.
    #[error(
        "the model {model} cannot be fetched: {reasons}. With files from elsewhere: `antiphon models fetch --from FOLDER {model}`"
    )]
    Unreachable {
        /// Its name.
        model: &'static str,
        /// Each source and its reason.
        reasons: String,
    },
    /// A folder that was named as the source lacks a file.
    #[error("{} has neither {archives} nor its files ({message}). Put what is published under that name there", folder.display())]
    NotInFolder {
        /// The folder.
        folder: PathBuf,
        /// The archives of its packages.
        archives: String,
        /// The file that was looked for, and the reason.
        message: String,
    },
    /// A package is no archive of its kind, or lacks a file.
    #[error("{} cannot be read as an archive: {message}. Delete it and fetch it again", file.display())]
    Archive {
        /// The archive.
        file: PathBuf,
        /// The reason.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {message}. Check the folder's permissions and space", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The reason.
        message: String,
    },
}
