//! Measures turn detectors on turns whose ends are known, in the terms of eot-bench (LiveKit, Apache-2.0): every silence of a turn is a
//! decision; all but the last are pauses that must be listened through. A detector scores each of them with what was heard until
//! then, and a sweep over policies says how long the agent waits at the end of a turn when it may cut this many pauses off.
//!
//! | module | what |
//! |---|---|
//! | [`turns`] | turns with their silences, in eot-bench's schema |
//! | [`score`] | a detector's probability in every silence |
//! | [`sweep`] | policies, false cut-offs and latency |
//! | [`make`] | a set of turns from recordings and the voice of this machine |
//! | [`room`] | a loudspeaker that the agent hears itself from |
//! | [`conversation`] | event times of a conversation, in TurnBench's format |

pub mod conversation;
pub mod make;
pub mod room;
pub mod score;
pub mod sweep;
pub mod turns;

use std::path::PathBuf;

/// What can go wrong in a measurement.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BenchError {
    /// A file cannot be read or written.
    #[error("{}: {message}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The reason.
        message: String,
    },
    /// A row is not as eot-bench writes it.
    #[error("{} line {line}: {message}. A row has id, language, audio (a WAV file beside it) and silence_spans", path.display())]
    Row {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The voice or a sound cannot be used.
    #[error("{0}")]
    Sound(String),
    /// The detector failed.
    #[error("the turn detector failed: {0}")]
    Detector(String),
}

impl BenchError {
    pub(crate) fn file(path: &std::path::Path, error: &dyn std::fmt::Display) -> Self {
        Self::File {
            path: path.to_owned(),
            message: error.to_string(),
        }
    }

    pub(crate) fn sound(error: &dyn std::fmt::Display) -> Self {
        Self::Sound(error.to_string())
    }
}
