//! The neural models that Antiphon runs on the machine itself: which there are, where they come from, and where they lie.
//!
//! | module | what |
//! |---|---|
//! | [`ort`] | ONNX Runtime's own file format, rewritten as ONNX |
//! | `plain` | nodes of ONNX Runtime's optimiser, as standard nodes |
//! | `share` | weights that stand in a file twice, kept once |
//! | `onnx` | the messages of an ONNX file |
//! | `flatbuffer` | the container of an `.ort` file |

mod flatbuffer;
mod onnx;
pub mod ort;
mod plain;
mod share;

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
}
