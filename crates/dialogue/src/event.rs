//! What the user of the library sees: LiveKit's events and metrics by their names. Durations are differences of two named
//! instants on the session's clock.

use serde::{Deserialize, Serialize};

use crate::ids::{SegmentId, SpeechId, TurnId};
use crate::metrics::{Metrics, ModelInfo, SessionUsage};
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Item, Passage, ToolCall, ToolOutput};

/// LiveKit's agent states, published as `lk.agent.state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// Not started.
    #[default]
    Initializing,
    /// Started, nobody to talk to.
    Idle,
    /// It hears.
    Listening,
    /// It is about to answer, or waits for a tool.
    Thinking,
    /// Its audio is being played.
    Speaking,
}

/// LiveKit's user states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserState {
    /// Silent.
    #[default]
    Listening,
    /// Speaking.
    Speaking,
    /// Silent for `user_away_timeout`.
    Away,
}

/// Which part of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// Speech recognition.
    Stt,
    /// Language model.
    Llm,
    /// Speech synthesis.
    Tts,
    /// A tool.
    Tool,
    /// What passages are searched in.
    Knowledge,
    /// What plays the agent's voice to the caller.
    Playout,
    /// The session itself: a request that cannot be carried out.
    Session,
}

/// What the user of the library sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The agent's state changed.
    AgentStateChanged {
        /// Before.
        old_state: AgentState,
        /// After.
        new_state: AgentState,
    },
    /// The caller's state changed.
    UserStateChanged {
        /// Before.
        old_state: UserState,
        /// After.
        new_state: UserState,
        /// When the sound began or stopped; the VAD's confirmation comes later.
        created_at: Instant,
    },
    /// Words of the caller. Interims and the final of one turn share `turn`; each carries the whole text of the turn.
    UserInputTranscribed {
        /// Which turn.
        turn: TurnId,
        /// Spoken or typed. What was typed is shown by the client that sent it: nobody publishes it as a transcript.
        modality: InputModality,
        /// Everything said in this turn so far.
        transcript: String,
        /// The turn is committed with exactly this text. A second one for the same turn corrects the first: words that counted
        /// without a final have got one, and it has other words.
        is_final: bool,
        /// The message of the history that holds the words; `None` until the turn is committed. LiveKit has it for realtime
        /// models alone, whose server names messages.
        item_id: Option<String>,
        /// The language (BCP 47): as the recogniser said of these words, else as it was last heard, else the option
        /// `language`. `None`: nobody knows, or the words were typed.
        language: Option<String>,
        /// Who spoke, as the recogniser calls them; `None`: it does not tell speakers apart, or the words were typed.
        speaker_id: Option<String>,
    },
    /// Words of the caller that were shown are not going to be part of a turn, nor of the history.
    UserInputWithdrawn {
        /// The turn whose words they were.
        turn: TurnId,
        /// These words.
        transcript: String,
        /// Why.
        reason: Withdrawal,
    },
    /// Speech of the caller was heard, and no final transcript came within `transcription_timeout`.
    UserTranscriptionTimeout {
        /// From its first sound to its last.
        speech_duration: Duration,
        /// When the first sound was, on the session's clock.
        vad_speech_started_at: Instant,
    },
    /// The caller has said more than `user_turn_max_words`, or for longer than `user_turn_max_duration`, and the agent has not
    /// got a word in. It takes the floor now, unless `user_turn_exceeded_instructions` is empty.
    UserTurnExceeded {
        /// Words of the present turn, which is not committed yet.
        transcript: String,
        /// All words since the agent last spoke, those of the present turn included.
        accumulated_transcript: String,
        /// How many these are.
        accumulated_word_count: usize,
        /// Since the caller's first sound after the agent last spoke.
        duration: Duration,
    },
    /// Words of the agent, as they are played (paced by the playout), to be appended. Ends with `is_final`.
    AgentTranscript {
        /// Which speech.
        speech: SpeechId,
        /// Which segment these words belong to.
        segment: Option<SegmentId>,
        /// The next words.
        delta: String,
        /// The speech is over; the deltas together are what the history holds.
        is_final: bool,
        /// It was cut off.
        interrupted: bool,
    },
    /// Words of the agent that could not be voiced: the caller does not hear them, and the history does not hold them.
    /// Whoever only reads has nothing else.
    AgentWordsNotHeard {
        /// Which speech.
        speech: SpeechId,
        /// Which segment these words are.
        segment: SegmentId,
        /// The words.
        text: String,
    },
    /// The history grew.
    ConversationItemAdded {
        /// By this.
        item: Item,
    },
    /// A summary stands in the history now for its beginning. Nothing of this is said.
    HistorySummarized {
        /// A message of the assistant with `is_summary` in its `extra`.
        summary: Item,
        /// This many items it stands for.
        replaced: usize,
    },
    /// A speech was created.
    SpeechCreated {
        /// Which.
        speech: SpeechId,
        /// The program asked for it, by `say` or `generate_reply`. The answers to the caller and the machine's own words are
        /// not.
        user_initiated: bool,
        /// As LiveKit tells speeches apart.
        source: SpeechSource,
        /// What it is for, more exactly.
        purpose: SpeechPurpose,
    },
    /// A speech is over: played to its end, or interrupted, dropped from the queue or failed. Every speech that was created
    /// ends exactly once.
    SpeechDone {
        /// Which.
        speech: SpeechId,
        /// Not played to its end.
        interrupted: bool,
    },
    /// A pause in the caller's favour turned out to be nothing; the agent went on.
    AgentFalseInterruption {
        /// It went on where it was.
        resumed: bool,
    },
    /// The caller was heard over the agent's voice, and it is decided what that was. `detection_delay` after
    /// `overlap_started_at`.
    OverlappingSpeech {
        /// True: it interrupted the agent. False: a listener's sound, a noise, or the agent had finished before it was sure.
        is_interruption: bool,
        /// The first sound of the caller, as VAD heard it (back-dated).
        overlap_started_at: Instant,
        /// From there to the decision.
        detection_delay: Duration,
        /// The agent was not heard any more when it was decided.
        agent_ended: bool,
    },
    /// The caller interrupted a speech for real; no audio of it is played from here on.
    Interrupted {
        /// Which.
        speech: SpeechId,
    },
    /// A tool starts.
    ToolStarted {
        /// The call.
        call: ToolCall,
    },
    /// A tool that runs has told how far it is; its result comes later.
    ToolUpdated {
        /// The call.
        call_id: String,
        /// What it told.
        message: String,
    },
    /// A tool has ended.
    ToolEnded {
        /// Its one result.
        output: ToolOutput,
        /// How it ended.
        status: ToolStatus,
        /// From start to end.
        duration: Duration,
    },
    /// What becomes of telling the caller what tools in the background have reported. `Scheduled` comes first, and then one of
    /// the others.
    ToolReplyUpdated {
        /// The calls in the history that hold the reports.
        update_ids: Vec<String>,
        /// What becomes of it.
        status: ToolReplyStatus,
        /// The speech that tells it.
        speech: SpeechId,
    },
    /// All calls of one answer have their results; the lists are parallel.
    FunctionToolsExecuted {
        /// The speech that asked for them.
        speech: SpeechId,
        /// What was called.
        function_calls: Vec<ToolCall>,
        /// What came of each.
        function_call_outputs: Vec<ToolOutput>,
    },
    /// Passages used for the coming reply.
    KnowledgeUsed {
        /// With their sources.
        passages: Vec<Passage>,
    },
    /// How long everything took, once per reply to a turn, when its first audio is played.
    TurnMetrics(TurnMetrics),
    /// One measurement of a provider.
    MetricsCollected {
        /// What was measured.
        metrics: Metrics,
        /// Of whom.
        model: ModelInfo,
    },
    /// What the session has used: whenever a request to the model or the voice has ended, and when the recogniser was given
    /// some more seconds of sound. The last word comes just before `Closed`.
    SessionUsageUpdated {
        /// Since its beginning.
        usage: SessionUsage,
    },
    /// Something went wrong. The session goes on unless `Closed` follows.
    Error {
        /// Where.
        component: Component,
        /// What, without secrets.
        message: String,
        /// It may work again by itself.
        recoverable: bool,
    },
    /// The session is over.
    Closed {
        /// Why.
        reason: CloseReason,
        /// With [`CloseReason::Error`]: the message of the failure that ended it, without secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// How the caller's words came (LiveKit's `input_details.modality`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputModality {
    /// Spoken and recognised.
    #[default]
    Audio,
    /// Typed.
    Text,
}

/// Why words of the caller were withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// They were an interim, and the recogniser has found that they were no words.
    Recogniser,
    /// They were the agent's own, heard back from the caller's loudspeaker.
    Echo,
    /// The program has cleared the turn (`clear_user_turn`).
    Program,
    /// They count already: the recogniser has said them once more, and nobody else has.
    Repeated,
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// With its result.
    Done,
    /// It failed, was refused, or took too long.
    Error,
    /// It was stopped: by an interruption, by the model, or by the end of the session.
    Cancelled,
}

impl ToolStatus {
    /// Of a call that was not stopped.
    pub(crate) fn of(is_error: bool) -> Self {
        if is_error { Self::Error } else { Self::Done }
    }
}

/// What becomes of telling what tools have reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolReplyStatus {
    /// The model is asked.
    Scheduled,
    /// It was told to its end.
    Completed,
    /// It was not, or not to its end.
    Interrupted,
    /// The model had nothing to add.
    Skipped,
}

/// Where the words of a speech come from: LiveKit's two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeechSource {
    /// They are given.
    Say,
    /// The model finds them.
    GenerateReply,
}

/// What a speech is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeechPurpose {
    /// The greeting.
    Greeting,
    /// `say`.
    Say,
    /// The model's answer to the caller, or `generate_reply`.
    GenerateReply,
    /// The machine's own words when a provider fails.
    Trouble,
    /// What is said while a tool is slow.
    Filler,
    /// The model's words about what a tool in the background has reported.
    ToolReply,
}

impl SpeechPurpose {
    /// Where its words come from.
    pub fn source(self) -> SpeechSource {
        match self {
            Self::Greeting | Self::Say | Self::Trouble | Self::Filler => SpeechSource::Say,
            Self::GenerateReply | Self::ToolReply => SpeechSource::GenerateReply,
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The program asked for it.
    UserInitiated,
    /// The caller left.
    ParticipantDisconnected,
    /// Too many errors without recovery.
    Error,
    /// The process drains.
    JobShutdown,
    /// What the session was for is done; the program, or a tool of it, says so.
    TaskCompleted,
}

/// Where the time went between the caller's last word and the agent's first. Each is `None` when it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnMetrics {
    /// Which turn; `None` for speech that answers nobody.
    pub turn: Option<TurnId>,
    /// Which speech.
    pub speech: Option<SpeechId>,
    /// End of the caller's speech (VAD, back-dated) to the turn's commit.
    pub end_of_turn_delay: Option<Duration>,
    /// End of the caller's speech to the last final transcript.
    pub transcription_delay: Option<Duration>,
    /// Retrieval, request to passages; overlaps endpointing when speculative.
    pub retrieval: Option<Duration>,
    /// LLM request to first token or tool call of the step that spoke.
    pub llm_ttft: Option<Duration>,
    /// LLM request to the first clause handed to TTS.
    pub llm_ttfs: Option<Duration>,
    /// First synthesis request to first audio.
    pub tts_ttfb: Option<Duration>,
    /// End of the caller's speech to the first frame played: what the caller waits.
    pub e2e_latency: Option<Duration>,
    /// The reply had been started before the turn was committed and was kept.
    pub preemptive: bool,
    /// Tool steps before the words.
    pub tool_steps: u32,
}
