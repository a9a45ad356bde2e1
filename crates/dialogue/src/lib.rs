//! Whose turn is it? The whole of turn-taking as one state machine without I/O, clocks, tasks or randomness.
//!
//! ```text
//! dialogue.handle(now, input);                 // VAD, STT, LLM, TTS, tool, playout, text, command, time
//! while let Some(action) = dialogue.poll() {}  // start or cancel LLM, synthesize, play, pause, clear, run tool, emit
//! let wake = dialogue.deadline();              // the next instant at which it wants to be asked again
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`time`] | instants on the session's clock |
//! | [`ids`] | names of turns, speeches, generations, segments |
//! | [`chat`] | the history: messages, tool calls and their results |
//! | [`input`] | everything the machine is told |
//! | [`action`] | everything it asks for |
//! | [`event`] | everything it reports to users: states, transcripts, metrics |
//! | [`machine`] | [`Dialogue`] itself |
//! | [`options`] | LiveKit's options with LiveKit's defaults |

mod bargein;
mod core;
mod floor;
mod history;
mod queue;
mod reply;
mod segment;
mod speech;
mod text;
mod tools;
mod trouble;
mod turn;
mod user;
mod voice;

pub mod action;
pub mod chat;
pub mod event;
pub mod ids;
pub mod input;
pub mod invariants;
pub mod limits;
pub mod machine;
pub mod options;
pub mod scenario;
pub mod time;

pub use action::Action;
pub use event::Event;
pub use input::Input;
pub use machine::Dialogue;
pub use options::Options;
pub use time::Instant;
