//! What a program that defines an agent needs.

pub use antiphon_agent::tool::{FunctionTool, Tool, ToolContext, ToolError, ToolReply};
pub use antiphon_agent::{
    Agent, AgentBuilder, AgentSession, AudioOutput, CompletedTurn, ExecutedTools, SessionIo,
    SpeechHandle, SpeechOutcome, StopResponse, TaskHandle, tool,
};
pub use antiphon_dialogue::event::CloseReason;
pub use antiphon_dialogue::input::{GenerateReply, Priority, Say};
pub use antiphon_dialogue::{Event, Options, OptionsPatch};
