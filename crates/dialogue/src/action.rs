//! Everything the machine asks for. The driver carries each out and reports back by [`Input`](crate::Input); it decides
//! nothing.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::Event;
use crate::ids::{
    AgentKey, BatchId, GenerationId, PredictionId, RetrievalId, SegmentId, SpeechId, TaskId, TurnId,
};
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{ChatRequest, Message, ToolCall, ToolOutput};

/// How one agent comes after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// It takes over; who spoke before has gone.
    Handoff,
    /// It has a task; who spoke before waits for its end.
    TaskBegins,
    /// It is back; the agent of its task has gone.
    TaskEnds,
}

/// Why an order to stop speaking was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case")]
pub enum NotInterrupted {
    /// It was said with `allow_interruptions` off.
    #[error(
        "{0} may not be interrupted: stop it with `force`, or allow its interruption before you stop it"
    )]
    Firm(SpeechId),
    /// One of the tools that run for it forbids that.
    #[error(
        "{0} may not be interrupted while its tool runs, whose `interruption` is `protect`: stop it with `force`, or wait for the tool"
    )]
    Tool(SpeechId),
    /// Not even by force: a task that was asked for in it has the floor.
    #[error("{0} waits for a task and cannot be interrupted: end the task, or close the session")]
    Task(SpeechId),
}

/// A request to the driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Search the knowledge; answer with `Retrieved` within `budget`, empty if there is nothing by then.
    Retrieve {
        /// Which.
        id: RetrievalId,
        /// What the caller said so far.
        query: String,
        /// The caller's turns before, oldest first, at most [`MAX_TURNS_OF_RETRIEVAL`](crate::limits::MAX_TURNS_OF_RETRIEVAL).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        before: Vec<String>,
        /// The longest it may take.
        budget: Duration,
    },
    /// Show a turn to the agent's hook before it is answered; `UserTurnCompleted` answers. After `budget` nobody waits for it.
    CompleteUserTurn {
        /// Which.
        turn: TurnId,
        /// What the caller said; it is not in the history yet.
        message: Message,
        /// The longest it may take.
        budget: Duration,
    },
    /// Show all calls of an answer, with their results, to the agent's hook before anything follows from them;
    /// `ToolsCompleted` answers. After `budget` nobody waits for it.
    CompleteTools {
        /// Which.
        id: BatchId,
        /// What was called.
        function_calls: Vec<ToolCall>,
        /// What came of each.
        function_call_outputs: Vec<ToolOutput>,
        /// The model is going to say something about them.
        reply: bool,
        /// This agent is going to take over.
        handoff: Option<String>,
        /// The longest it may take.
        budget: Duration,
    },
    /// Start an LLM request and stream its answer back.
    StartLlm {
        /// Which.
        id: GenerationId,
        /// What to ask.
        request: ChatRequest,
    },
    /// Drop an LLM request; no event about it is needed any more.
    CancelLlm {
        /// Which.
        id: GenerationId,
    },
    /// Synthesize this text. Its audio is kept until `Play`. Asked again for the same piece after it has failed or while it
    /// hangs, the first try is given up, what had come of it is dropped, and it keeps its place in the playout.
    Synthesize {
        /// Which.
        id: SegmentId,
        /// Plain words, Markdown and emoji removed.
        text: String,
    },
    /// Drop a synthesis and all of its audio that was not played.
    CancelSynthesis {
        /// Which.
        id: SegmentId,
    },
    /// Append this segment to the playout: its audio flows to the caller as it arrives, after the segments before it.
    Play {
        /// Which.
        id: SegmentId,
    },
    /// Hold the playout where it is, within one frame.
    PausePlayout,
    /// Go on where it was held.
    ResumePlayout,
    /// Drop everything in the playout within one frame; a `Cleared` for every segment that was in it and not finished.
    /// A pause stays until `ResumePlayout`, which follows at once when there was one.
    ClearPlayout,
    /// Ask the turn detector whether the caller has finished; answer with `TurnPrediction`.
    PredictTurn {
        /// Which.
        id: PredictionId,
        /// The words of the present turn so far; they are not in the history yet.
        transcript: String,
        /// When the present turn began: sound before it belongs to another one.
        since: Instant,
        /// The silence so far.
        silence: Duration,
        /// The caller's language (BCP 47), if known.
        language: Option<String>,
    },
    /// The answer is not needed any more: the caller goes on, or it is too late.
    CancelPrediction {
        /// Which.
        id: PredictionId,
    },
    /// Tell the recogniser to make its words final now (Deepgram's Finalize).
    FinalizeStt,
    /// Forget the recogniser's pending words (manual `clear_user_turn`).
    ClearStt,
    /// While true the recogniser gets silence instead of the caller (uninterruptible speech, echo guard).
    MuteStt(bool),
    /// This many steps of this speech have been played to the caller; one of them runs a tool that may wait for that.
    StepSpoken {
        /// Which speech.
        speech: SpeechId,
        /// How many, from the first on.
        steps: u32,
    },
    /// Run a tool. Exactly one `ToolFinished` answers it, also after `CancelTool`.
    RunTool {
        /// The call.
        call: ToolCall,
        /// The same for every attempt at the same call: a tool with side effects can use it to act once.
        idempotency_key: String,
        /// Whose words it belongs to.
        speech: SpeechId,
        /// The step of the speech that asked for it, counted from 1; its words are played when `StepSpoken` says so.
        step: u32,
        /// It may run this long without a sign, the time not counted in which tasks have the floor. Then it is cancelled.
        #[serde(default)]
        budget: Duration,
    },
    /// The result is no longer wanted; the tool may stop.
    CancelTool {
        /// The call.
        call_id: String,
    },
    /// From here on this agent's model, voice, tools and knowledge are used.
    SwitchAgent {
        /// Whose.
        key: AgentKey,
        /// What this means for it and for who spoke before.
        how: Switch,
    },
    /// The task is over; who waits for it goes on.
    TaskEnded {
        /// Which.
        task: TaskId,
        /// With a result.
        completed: bool,
    },
    /// An order to stop speaking was not carried out: tell who gave it.
    NotInterrupted(NotInterrupted),
    /// Tell the user of the library.
    Emit(Event),
    /// The session is over.
    Close,
}
