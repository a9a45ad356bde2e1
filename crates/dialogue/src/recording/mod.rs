//! The flight recorder's file: everything one session's machine was told, and what it asked for, so that the conversation
//! can be repeated bit for bit, offline, against this or a newer version. Only the text is made and read here; files and
//! clocks are the driver's.
//!
//! One JSON value a line:
//!
//! ```text
//! {"antiphon_recording":1,"version":"0.1.0","session":"AS_…","started":"2026-01-31T12:00:00Z","options":{…},"instructions":"…"}
//! {"t_us":0,"input":"started","actions":[…]}
//! {"t_us":1520000,"frame":[1,320000,0]}          a voice activity frame: speaking, speech and silence in µs
//! {"t_us":2000000,"input":{"stt":{"interim":"A table"}}}
//! {"dropped":3}                                   so many steps are missing here: the disk was too slow
//! {"end":"complete"}                              or "full": the size limit; "broken": the session panicked
//! ```
//!
//! `t_us` is the driver's clock as [`Dialogue::handle`](crate::Dialogue::handle) was given it. `actions` is missing where
//! there were none; of a request to the model it holds a hash instead of the whole history.

mod line;
mod replay;

use thiserror::Error;

pub use line::{Ending, Header, Line, Step};
pub use replay::{Divergence, Replayed, replay, replay_with, resume};

/// The format's version. A reader takes no other.
pub const FORMAT: u32 = 1;
/// Bytes of a recording that are read: more than the recorder writes.
pub const MAX_RECORDING_BYTES: usize = 256 * 1024 * 1024;

/// A recording cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordingError {
    /// Nothing in it.
    #[error(
        "the file is empty: the process ended before the session's first line was written; take another recording"
    )]
    Empty,
    /// It does not begin as one.
    #[error(
        "line 1: this is no recording of `antiphon` ({0}); recordings begin with {{\"antiphon_recording\":{FORMAT},…}}"
    )]
    NotARecording(String),
    /// Of another format.
    #[error(
        "line 1: the recording has format {format}, this version reads {FORMAT}; replay it with the version that wrote it, {version}"
    )]
    Format {
        /// Its format.
        format: u64,
        /// Who wrote it, as far as it says.
        version: String,
    },
    /// Not one of the lines that a recording has.
    #[error(
        "line {line}: {problem}; the file is damaged there: a copy of the {} lines before it can be replayed", line - 1
    )]
    Damaged {
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Larger than [`MAX_RECORDING_BYTES`].
    #[error("the file is larger than {MAX_RECORDING_BYTES} bytes")]
    TooLarge,
}
