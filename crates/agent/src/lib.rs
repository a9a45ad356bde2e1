//! `Agent` and `AgentSession`: what a voice agent is made of, the traits of its providers, its tools, and the driver that
//! runs a dialogue.
//!
//! | module | what |
//! |---|---|
//! | [`agent`] | [`Agent`]: words, options, providers, tools |
//! | [`session`] | [`AgentSession`]: starts a conversation, and changes who speaks in it |
//! | `handle` | all other orders to a running conversation and everything that is known of it; knows neither agents nor tools |
//! | [`speech`] | [`SpeechHandle`]: the handle of one utterance |
//! | `hooks` | what an agent does when it comes, goes, or before it answers: [`CompletedTurn`], [`ExecutedTools`], [`StopResponse`] |
//! | [`io`] | where its sound comes from and goes to |
//! | [`task`] | an agent that finds something out for a tool |
//! | [`tool`] | what the model can call: `#[tool]`, closures, HTTP |
//! | [`provider`] | traits of VAD, STT, LLM, TTS, turn detector and knowledge |
//! | [`error`] | what can go wrong |
//! | `roster` | the agents and tasks that the dialogue knows by number |
//! | `driver` | moves bytes between providers and the dialogue; decides nothing |
//! | `measure` | every metric of a session is recorded there |

extern crate self as antiphon_agent; // so that `#[tool]` works inside this crate, too

pub mod agent;
mod driver;
pub mod error;
mod handle;
mod hooks;
pub mod io;
mod measure;
pub mod provider;
mod roster;
pub mod session;
pub mod speech;
pub mod task;
pub mod tool;
mod usage;

pub use agent::{Agent, AgentBuilder};

pub use antiphon_macros::tool;
pub use antiphon_recording::{Recorder, RecorderOptions};
pub use driver::CLOSES_WITHIN;
pub use error::{AgentError, ProviderError, SessionError};
pub use hooks::{CompletedTurn, ExecutedTools, StopResponse};
pub use io::{AudioOutput, NoOutput, SessionIo};
pub use session::{AgentSession, Events, WeakSession};
pub use speech::{SpeechHandle, SpeechOutcome};
pub use task::TaskHandle;
pub use tool::{FunctionTool, HttpTool, Tool, ToolContext, ToolError, ToolReply};
pub use usage::usage_json;

pub use antiphon_dialogue::NotInterrupted;
pub use antiphon_dialogue::options::{
    DuplicateScope, Filler, OnDuplicate, ToolInterruption, ToolOptions,
};

/// What the code that `#[tool]` writes refers to. Not for direct use.
#[doc(hidden)]
pub mod __private {
    pub use schemars;
    pub use serde;
    pub use serde_json;

    pub use crate::tool::convert::{
        ErrorByDisplay, ErrorByInto, ReplyByInto, ReplyBySerialize, Wrap,
    };
    pub use crate::tool::function::{definition_of, parse};
}
