//! Everything the machine is told. Each variant is a fact from outside, with the driver's clock beside it in
//! [`Dialogue::handle`](crate). Events about ids that are gone are dropped without effect.

use antiphon_chat::Usage;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agents::AgentSpec;
use crate::ids::{
    BatchId, GenerationId, PredictionId, RetrievalId, SegmentId, SpeechId, TaskId, TurnId,
};
use crate::options::{Filler, ToolOptions};
use crate::patch::OptionsPatch;
use antiphon_chat::time::Duration;
use antiphon_chat::{Item, Message, Passage, ToolCall, ToolChoice};

/// A fact from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The caller can hear us (our track is subscribed): greet if there is a greeting.
    Started,
    /// Voice activity.
    Vad(Vad),
    /// Speech recognition.
    Stt(Stt),
    /// The turn detector's answer: probability that the caller has finished.
    TurnPrediction {
        /// Which question.
        id: PredictionId,
        /// 0 to 1, and the threshold it is to be compared with.
        probability: f32,
        /// The language's threshold.
        threshold: f32,
    },
    /// Passages found, possibly none; a failed or late retrieval is an empty one.
    Retrieved {
        /// Which retrieval.
        id: RetrievalId,
        /// Best first.
        passages: Vec<Passage>,
        /// What could not be searched, and why, without secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// The language model.
    Llm {
        /// Which request.
        id: GenerationId,
        /// What it sent.
        event: Llm,
    },
    /// Speech synthesis.
    Tts {
        /// Which request.
        id: SegmentId,
        /// What it sent.
        event: Tts,
    },
    /// What has really been played to the caller.
    Playout(Playout),
    /// A tool call has ended (or failed, or timed out in the driver).
    ToolFinished {
        /// The call.
        call_id: String,
        /// What the model is to read, or the error text it is to read.
        result: Result<ToolValue, String>,
    },
    /// A tool that runs tells how far it is. The first time this is the result of its call, so that the model can say it and
    /// the conversation goes on; what it tells later, and its own result, are told to the model when there is silence.
    ToolUpdated {
        /// The call.
        call_id: String,
        /// What the model is to read.
        message: String,
    },
    /// The agent's hook has seen a turn that is over.
    UserTurnCompleted {
        /// Which.
        turn: TurnId,
        /// What is to become of it.
        verdict: TurnVerdict,
    },
    /// The agent's hook has seen the results of an answer's calls.
    ToolsCompleted {
        /// Which.
        id: BatchId,
        /// What is to become of them.
        verdict: ToolsVerdict,
    },
    /// The caller typed something (`lk.chat`).
    UserText(String),
    /// A request of the program or the agent's author.
    Command(Command),
    /// What only the driver can measure: sound and time that went into models beside the dialogue.
    Measured(Measured),
    /// A deadline has come; nothing else happened.
    Time,
}

/// What the agent's hook makes of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnVerdict {
    /// It is answered.
    Reply {
        /// Instead of the caller's words; `None`, or nothing but spaces: they stay.
        #[serde(default)]
        text: Option<String>,
        /// What the model reads before them, for this answer alone. They do not enter the history.
        #[serde(default)]
        messages: Vec<Message>,
    },
    /// It is remembered and not answered (LiveKit's `StopResponse`).
    Stop,
}

impl TurnVerdict {
    /// The turn is answered as it is.
    pub fn unchanged() -> Self {
        Self::Reply {
            text: None,
            messages: Vec::new(),
        }
    }
}

/// What the agent's hook makes of the results of an answer's calls. They stay in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolsVerdict {
    /// The model says something about them, if they want that. False is LiveKit's `cancel_tool_reply`.
    pub reply: bool,
    /// Another agent takes over, if one of them was an agent. False is LiveKit's `cancel_agent_handoff`.
    pub handoff: bool,
}

impl ToolsVerdict {
    /// Nothing is cancelled.
    pub fn unchanged() -> Self {
        Self {
            reply: true,
            handoff: true,
        }
    }
}

/// What a model took since it was last said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "measured", rename_all = "snake_case")]
pub enum Measured {
    /// Recognition, every few seconds.
    Stt {
        /// Sound that the recogniser was given.
        audio: Duration,
    },
    /// Voice activity detection, about once a second.
    Vad {
        /// Since the last speech ended; zero while the caller speaks.
        idle: Duration,
        /// Time that the model took.
        inference: Duration,
        /// How often it was asked.
        count: u32,
    },
}

/// Voice activity, at audio rate: handling it allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vad {
    /// Enough speech in a row (`min_speech_duration`); it began `speech` ago.
    SpeechStarted {
        /// How much speech has been heard when this is reported.
        speech: Duration,
    },
    /// One 32 ms window was judged (LiveKit's INFERENCE_DONE).
    Frame {
        /// Between start and end of speech.
        speaking: bool,
        /// Speech accumulated without a pause, raw.
        speech: Duration,
        /// Silence accumulated since the last speech window, raw.
        silence: Duration,
    },
    /// Silence lasted `min_silence_duration`.
    SpeechEnded {
        /// How much speech there was.
        speech: Duration,
        /// How much silence has passed since its end.
        silence: Duration,
    },
}

/// Speech recognition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stt {
    /// The recogniser's own start of speech.
    SpeechStarted,
    /// Words so far, may still change; replaces the previous interim.
    Interim(String),
    /// Probably final (eager end of turn): good enough to start a speculative reply.
    Preflight(String),
    /// Words that will not change; appended to the turn.
    Final {
        /// The words.
        text: String,
        /// How sure the recogniser is, 0 to 1; `None`: it does not say.
        #[serde(default)]
        confidence: Option<f32>,
    },
    /// The recogniser's own end of speech.
    SpeechEnded,
    /// The language (BCP 47) of the words that follow, when it recognises languages.
    Language(String),
    /// Who says the words that follow, when it tells speakers apart (diarization): its own name of them.
    Speaker(String),
    /// The connection is lost; the provider keeps trying.
    Degraded(String),
    /// It works again.
    Recovered,
    /// It will not come back (bad key, retries exhausted).
    Failed(String),
}

/// The language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Llm {
    /// More text.
    Text(String),
    /// One whole tool call.
    ToolCall(ToolCall),
    /// A call that must not run: it was cut off, or the tool was not offered.
    RefusedCall {
        /// As far as it came.
        call: ToolCall,
        /// What the model reads as its result.
        why: String,
    },
    /// It is at work and has nothing for the caller yet: it thinks, or its server says that it is still there.
    Thinking,
    /// The words so far were not meant for the caller. What was not heard of them is not said.
    Withdrawn,
    /// Something about this answer that whoever looks after the agent should know. The answer goes on.
    Warning(String),
    /// The answer is complete.
    Finished {
        /// Tokens, when the provider says.
        usage: Option<Usage>,
    },
    /// It failed for good (retries are the provider's business and are over).
    Failed(String),
}

/// Speech synthesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tts {
    /// The first audio has arrived.
    FirstAudio,
    /// When words begin within the segment, if the provider says; offsets from the segment's first sample.
    Words(Vec<(String, Duration)>),
    /// All audio has arrived; so much of it.
    Finished {
        /// Length of the whole segment.
        duration: Duration,
    },
    /// It failed, and what has come of it is all there is. It may be asked for once more, under the same id.
    Failed(String),
}

/// What has really been played to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Playout {
    /// The first frame of a segment left.
    Started {
        /// Which.
        id: SegmentId,
    },
    /// So much of the segment has been played; sent at least every 100 ms while playing, not needed for correctness.
    Progress {
        /// Which.
        id: SegmentId,
        /// Audio played since its beginning.
        played: Duration,
    },
    /// The segment was played to its end.
    Finished {
        /// Which.
        id: SegmentId,
        /// Its whole length.
        played: Duration,
    },
    /// The segment was dropped by `ClearPlayout`; `played` is zero when nothing of it was heard.
    Cleared {
        /// Which.
        id: SegmentId,
        /// Audio played since its beginning.
        played: Duration,
    },
}

/// What a tool gave back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolValue {
    /// What the model reads.
    pub output: String,
    /// Does the model have to answer after it? False: stop without reply.
    pub reply: bool,
}

/// A request of the program or the agent's author.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Speak this text; no LLM.
    Say(Say),
    /// Have the model say something.
    GenerateReply(GenerateReply),
    /// Stop speaking: the present speech, those that wait for tools, and the waiting ones up to the first that may not be
    /// interrupted. When the present one may not, nothing happens but [`Action::NotInterrupted`](crate::Action). `force`
    /// stops all.
    Interrupt {
        /// Even uninterruptible speech.
        force: bool,
    },
    /// Stop one speech, wherever it is; [`Action::NotInterrupted`](crate::Action) when it may not be interrupted.
    InterruptSpeech {
        /// Which.
        speech: SpeechId,
        /// Even when it may not be interrupted.
        force: bool,
    },
    /// From here on this speech may, or may not, be interrupted.
    AllowInterruptions {
        /// Which.
        speech: SpeechId,
        /// May it?
        allow: bool,
    },
    /// What is said while this call is slow, instead of what the tool's options say; `None`: nothing.
    SetFiller {
        /// The call.
        call_id: String,
        /// What to say, and when.
        filler: Option<Filler>,
    },
    /// The present agent's instructions are these, from the next request on. Refused with an `Error` event when they are too
    /// long.
    UpdateInstructions {
        /// All of them.
        instructions: Arc<str>,
    },
    /// The present agent's tools are these, from the next request on; calls that run get their result. The tools themselves
    /// are the driver's. Refused with an `Error` event when they are too many.
    UpdateTools {
        /// Their names, and how each is run.
        tools: BTreeMap<String, ToolOptions>,
    },
    /// The present agent knows this instead of what was said so far, from the next request on. Calls without a result and
    /// results without a call are left out, and of a very long one the beginning. A turn that is not answered yet, and the
    /// answer that is being given, it knows whatever stands here. The history stays complete.
    UpdateChatCtx {
        /// Times are instants of this session.
        items: Vec<Item>,
    },
    /// Another agent takes over, after everything that waits to be said now. Tasks that have the floor then end without a
    /// result.
    UpdateAgent {
        /// Who.
        agent: Box<AgentSpec>,
    },
    /// The call is about to end with an agent as its result: it takes over when the speech of the call is over.
    HandOff {
        /// The call.
        call_id: String,
        /// Who.
        agent: Box<AgentSpec>,
    },
    /// The call waits for a task: another agent that has the floor until `EndTask`. `TaskEnded` answers, also when the task
    /// cannot begin.
    StartTask {
        /// The driver's name of it.
        task: TaskId,
        /// The call.
        call_id: String,
        /// Who.
        agent: Box<AgentSpec>,
    },
    /// A task has its result, or is given up.
    EndTask {
        /// Which.
        task: TaskId,
        /// With a result.
        completed: bool,
    },
    /// The caller has finished, whatever the turn detection thinks (with manual turn detection nothing else says so).
    CommitUserTurn {
        /// Wait this long for final words; `None`: the option `transcript_timeout`.
        transcript_timeout: Option<Duration>,
        /// The words enter the history, and nothing is answered.
        skip_reply: bool,
    },
    /// Manual turn detection: forget what was said.
    ClearUserTurn,
    /// Change the session's options. Refused with an `Error` event when the result would contradict itself.
    UpdateOptions(Box<OptionsPatch>),
    /// What the present agent wants otherwise than the session; replaces what the agent before it wanted.
    OverrideOptions(Box<OptionsPatch>),
    /// End the session; with `drain` when everything is said that waits to be said.
    Close {
        /// Finish speaking first.
        drain: bool,
    },
}

/// The place of a speech among those that wait: higher first, then the older. It never stops one that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Priority(pub u8);

impl Priority {
    /// After everything else. LiveKit's `SPEECH_PRIORITY_LOW`.
    pub const LOW: Self = Self(0);
    /// As an answer to the caller. LiveKit's `SPEECH_PRIORITY_NORMAL`.
    pub const NORMAL: Self = Self(5);
    /// Before answers. LiveKit's `SPEECH_PRIORITY_HIGH`.
    pub const HIGH: Self = Self(10);
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// A given text to be spoken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Say {
    /// The program's own name of it; `None`: the machine gives one.
    #[serde(default)]
    pub id: Option<SpeechId>,
    /// The words.
    pub text: String,
    /// May the caller interrupt it? `None`: as the option `allow_interruptions` says.
    #[serde(default)]
    pub allow_interruptions: Option<bool>,
    /// Does it enter the history?
    pub add_to_history: bool,
    /// Before or after what else waits.
    #[serde(default)]
    pub priority: Priority,
}

impl Say {
    /// This text, as the options say, part of the history.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            id: None,
            text: text.into(),
            allow_interruptions: None,
            add_to_history: true,
            priority: Priority::NORMAL,
        }
    }
}

impl From<&str> for Say {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Say {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// A reply that the program asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerateReply {
    /// The program's own name of it; `None`: the machine gives one.
    pub id: Option<SpeechId>,
    /// As if the caller had said it.
    pub user_input: Option<String>,
    /// For this reply alone.
    pub instructions: Option<String>,
    /// May the caller interrupt it? `None`: as the option `allow_interruptions` says.
    pub allow_interruptions: Option<bool>,
    /// May the model call tools? After tools it is `Auto`, or `None` if it was.
    pub tool_choice: ToolChoice,
    /// Only these tools; `None`: all.
    pub tools: Option<Vec<String>>,
    /// Before or after what else waits.
    pub priority: Priority,
}
