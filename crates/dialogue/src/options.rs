//! LiveKit's options with LiveKit's defaults (livekit-agents 1.7, `voice/turn.py` and `voice/agent_session.py`) unless
//! another reason is given.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use antiphon_chat::time::Duration;

/// All that the machine can be told about how to behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Who decides that the caller has finished.
    pub turn_detection: TurnDetection,
    /// After the last word: wait at least this long. `None`: 0.5 s, or 0.3 s with a turn detector that hears.
    pub min_endpointing_delay: Option<Duration>,
    /// Wait this long when the turn detector thinks that the caller goes on. `None`: 3 s, or 2.5 s with a turn detector
    /// that hears.
    pub max_endpointing_delay: Option<Duration>,
    /// Whether the least delay is fixed or learned from the caller's pauses? As given.
    pub endpointing: Endpointing,
    /// How slowly a learned delay moves: its weight against each new pause, 0 to 1. 0.9.
    pub endpointing_alpha: f64,
    /// May the caller interrupt at all? Yes.
    pub allow_interruptions: bool,
    /// Speech shorter than this does not interrupt. 0.5 s. An order to be silent, and nothing else ("stop"), does if it stays.
    pub min_interruption_duration: Duration,
    /// Fewer words than this do not interrupt. 0: no minimum.
    pub min_interruption_words: u32,
    /// Final words of which the recogniser is less sure (0 to 1) wait until the agent has finished, but for an order to be silent: some
    /// recognisers make words of a laugh. 0: however unsure.
    pub min_interruption_confidence: f32,
    /// While the agent thinks and nothing of its reply is heard: speech shorter than this does not hold the reply back.
    /// 0: any sound does, as in LiveKit, because nothing is lost by waiting.
    pub min_thinking_interruption_duration: Duration,
    /// While the agent thinks: fewer words than this do not replace its reply; they are answered after it. `None`, the
    /// default: `min_interruption_words`, as in LiveKit.
    pub min_thinking_interruption_words: Option<u32>,
    /// A "yeah" that begins so shortly after the agent has begun to speak is the end of what the caller was saying, not a
    /// backchannel. 1 s; 0: it is one at once.
    pub backchannel_boundary_start: Duration,
    /// A "yeah" so shortly before the agent's last word is answered as soon as it falls silent, whatever it has said. 1 s.
    pub backchannel_boundary_end: Duration,
    /// Pause first, and go on after a false alarm. Yes.
    pub resume_false_interruption: bool,
    /// Silence without words after which an interruption was false. 2 s. LiveKit's `None` is `resume_false_interruption` off.
    pub false_interruption_timeout: Duration,
    /// Start the reply before the turn is committed. Yes.
    pub preemptive_generation: bool,
    /// Speculative replies per turn. 3.
    pub preemptive_max_retries: u32,
    /// Consecutive tool rounds per turn; then one reply without tools. 3.
    pub max_tool_steps: u32,
    /// The first seconds of the agent's first speech cannot be interrupted by sound, while the caller's echo canceller
    /// learns. LiveKit: 3 s; here 0.5 s at the beginning of each utterance raises the bar instead.
    pub echo_guard: Duration,
    /// Both silent for this long: the caller is away. 15 s; `None` never.
    pub user_away_timeout: Option<Duration>,
    /// The longest a retrieval may hold up a reply. 80 ms.
    pub retrieval_budget: Duration,
    /// The longest wait for the LLM's first token, or between tokens, before it counts as failed. 10 s.
    pub llm_timeout: Duration,
    /// The longest wait for TTS audio before it counts as failed. 10 s, LiveKit's value for one try. A piece of which nothing
    /// was heard is asked for again after half of it: voices that answer at all begin within a second or two, and LiveKit's
    /// four tries of 10 s each are longer than anybody stays on the telephone.
    pub tts_timeout: Duration,
    /// The longest a tool may run without a sign. LiveKit waits for ever; here 30 s, because a tool that hangs would leave
    /// the caller in silence. A tool that reports its progress begins anew.
    pub tool_timeout: Duration,
    /// What is said first; `None` waits for the caller.
    pub greeting: Option<String>,
    /// What is said when a provider fails.
    pub trouble_message: String,
    /// Search the knowledge for every turn.
    pub retrieval: bool,
    /// The agent has a hook that sees every turn before it is answered. No.
    pub on_user_turn_completed: bool,
    /// The longest wait for it; then the turn is answered as it is. LiveKit waits for ever; here 5 s, because a caller who
    /// hears nothing for longer asks whether anybody is there.
    pub on_user_turn_completed_timeout: Duration,
    /// The agent has a hook that sees the results of every answer's tool calls before anything follows from them. No.
    pub on_function_tools_executed: bool,
    /// The longest wait for it; then nothing is cancelled. As for the other hook: 5 s.
    pub on_function_tools_executed_timeout: Duration,
    /// Is there a turn detector to ask at 200 ms of silence, and what does it judge? None.
    pub turn_detector: TurnDetectorKind,
    /// The longest wait for its answer. 1 s: LiveKit's for a detector that hears. For one that reads LiveKit waits 3 s, which
    /// is longer than any endpointing delay and is heard as a dead line.
    pub turn_detector_timeout: Duration,
    /// After the end of speech: the longest wait for a final transcript before the interim counts. 2 s.
    pub transcript_timeout: Duration,
    /// At the end of the session: the longest wait for the final transcript of what the caller has just said. It enters the
    /// history, unanswered. 2 s, at most 2.5 s.
    pub session_close_transcript_timeout: Duration,
    /// The language spoken (BCP 47) until the recogniser names another. Unknown, as with `multi`, `auto` or `und`: the recogniser
    /// says which one it hears.
    pub language: Option<String>,
    /// Say so when speech was heard and no final transcript came within this time after its end. `None`: never.
    pub transcription_timeout: Option<Duration>,
    /// A caller who says more words than this before the agent gets to speak is interrupted. `None`: never.
    pub user_turn_max_words: Option<u32>,
    /// A caller who speaks for longer than this before the agent gets to speak is interrupted. `None`: never.
    pub user_turn_max_duration: Option<Duration>,
    /// What the model is told when the caller has exceeded these limits. Empty: the event is all, and what follows is the
    /// program's business.
    pub user_turn_exceeded_instructions: String,
    /// The least pause between two speeches of the agent. 0.
    pub min_consecutive_speech_delay: Duration,
    /// Synthesize the first clause of a speculative reply too. LiveKit: no; here yes, because it hides the time to the
    /// first audio and costs one clause.
    pub preemptive_tts: bool,
    /// No speculation for turns longer than this. 10 s.
    pub preemptive_max_speech_duration: Duration,
    /// While the recogniser is known not to hear, speech of the caller over the agent that lasts this long is an
    /// interruption without words: 1.5 s, so that a dead recogniser does not make the agent deaf. While it hears, a sound
    /// without words only pauses the agent, as with LiveKit.
    pub sure_interruption_duration: Duration,
    /// Phrases of a listener, which do not stop the agent while it speaks. They are in the history all the same, and are
    /// answered when the agent falls silent after a question, or when the caller then waits for `max_endpointing_delay`.
    /// `None`, the default: those of the language that is heard.
    pub backchannels: Option<Vec<String>>,
    /// A VAD that hears a voice for this long, while the recogniser finds no word in it, is stuck: a fan, or music. Until it
    /// says otherwise or words come, its voice holds nothing back. LiveKit waits for ever; here 90 s, because the agent
    /// would never speak again, and nobody speaks for longer without a word that a recogniser notices.
    pub stuck_vad_timeout: Duration,
    /// While the agent cannot be interrupted the recogniser hears silence. LiveKit: yes; here no, because what the
    /// caller says then is answered afterwards instead of being lost.
    pub discard_audio_if_uninterruptible: bool,
    /// Audio is there and the playout reports nothing for this long: it counts as broken. 5 s.
    pub playout_timeout: Duration,
    /// A history of more items than this gets a summary in the place of its beginning, written by the model in the
    /// background. `None`, the default as with LiveKit: never, because it costs requests that nobody asked for.
    pub summarize_over_items: Option<u32>,
    /// The same for a history of about this many tokens.
    pub summarize_over_tokens: Option<u32>,
    /// This many of the caller's last turns, with all that followed them, stay as they are. 2, at least 1.
    pub summarize_keep_turns: u32,
    /// What happens to running tools when their speech is interrupted.
    pub tool_interruption: ToolInterruption,
    /// Exceptions for single tools, by name.
    pub tools: BTreeMap<String, ToolOptions>,
    /// Consecutive failures of a provider after which the session ends. LiveKit: 3; here `None`, never, because a caller who
    /// is told may try again, and providers come back; a line that goes dead after three failures of seconds does not.
    pub max_unrecoverable_errors: Option<u32>,
}

/// What happens to running tools when their speech is interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolInterruption {
    /// It runs on; its result enters the history. The only safe default for tools that change something.
    #[default]
    Detach,
    /// It is told to stop, and the history says that it was cancelled.
    Cancel,
    /// The caller cannot interrupt while it runs.
    Protect,
}

/// Exceptions for one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolOptions {
    /// Instead of `tool_timeout`.
    pub timeout: Option<Duration>,
    /// Instead of `tool_interruption`.
    pub interruption: Option<ToolInterruption>,
    /// What is said while it is slow. `None`: nothing.
    pub filler: Option<Filler>,
    /// What happens when it is called while it runs.
    pub on_duplicate: OnDuplicate,
    /// What counts as the same call.
    pub duplicate_scope: DuplicateScope,
    /// The model may stop it: it is given `lk_agents_cancel_task` and `lk_agents_get_running_tasks`. No.
    pub cancellable: bool,
}

impl ToolOptions {
    /// These, where they say something, else the others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        let default = Self::default();
        Self {
            timeout: self.timeout.or(others.timeout),
            interruption: self.interruption.or(others.interruption),
            filler: self.filler.or(others.filler),
            on_duplicate: if self.on_duplicate == default.on_duplicate {
                others.on_duplicate
            } else {
                self.on_duplicate
            },
            duplicate_scope: if self.duplicate_scope == default.duplicate_scope {
                others.duplicate_scope
            } else {
                self.duplicate_scope
            },
            cancellable: self.cancellable || others.cancellable,
        }
    }
}

/// What is said while a tool is slow, whenever nobody has said anything for a while. It is never said over anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filler {
    /// Said in turn; after the last the first again.
    pub texts: Vec<String>,
    /// Silence of everybody, since the call or the last word, before the first. LiveKit: 0; here 1 s, so that a quick tool
    /// is not announced.
    pub delay: Duration,
    /// The same before each one after the first. `None`: it is said once.
    pub interval: Option<Duration>,
    /// At most this many. `None`: as long as the tool runs.
    pub max: Option<u32>,
}

impl Default for Filler {
    fn default() -> Self {
        Self {
            texts: Vec::new(),
            delay: Duration::from_secs(1),
            interval: None,
            max: None,
        }
    }
}

impl From<&str> for Filler {
    fn from(text: &str) -> Self {
        Self {
            texts: vec![text.into()],
            ..Self::default()
        }
    }
}

/// With this argument, true, the model calls a tool again although it runs ([`OnDuplicate::Confirm`]). LiveKit's name.
pub const CONFIRM_DUPLICATE: &str = "lk_agents_confirm_duplicate";
/// The tool with which the model stops one that runs, by its `call_id`. LiveKit's name.
pub const CANCEL_TASK: &str = "lk_agents_cancel_task";
/// The tool with which the model sees what runs. LiveKit's name.
pub const RUNNING_TASKS: &str = "lk_agents_get_running_tasks";

/// What happens when a tool is called while a call of it runs. An interrupted call that does exactly the same is never
/// repeated, whatever stands here: the new one waits for its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// Both run.
    #[default]
    Allow,
    /// The model reads that it runs already.
    Reject,
    /// The one that runs is cancelled.
    Replace,
    /// The model reads that it runs already, and may call it again with `lk_agents_confirm_duplicate`.
    Confirm,
}

/// What counts as the same call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateScope {
    /// Every call of the tool.
    #[default]
    Name,
    /// Only one with the same arguments, in whatever order they are written.
    NameAndArgs,
}

/// Who decides that the caller has finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnDetection {
    /// Voice activity and endpointing delays.
    #[default]
    Vad,
    /// The recogniser's end of speech.
    Stt,
    /// `commit_user_turn`.
    Manual,
}

/// Where the least endpointing delay comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpointing {
    /// As given.
    #[default]
    Fixed,
    /// Learned from the caller's pauses, between the given least and longest delay.
    Dynamic,
}

/// What a turn detector judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnDetectorKind {
    /// There is none.
    #[default]
    None,
    /// The history and the words so far; it is asked anew when the words change.
    Text,
    /// The sound of the present turn; it is asked once in a silence.
    Audio,
    /// Both; it is asked in every silence, and anew when the words change.
    AudioAndText,
}

impl TurnDetectorKind {
    /// Does it judge the sound?
    pub fn hears(self) -> bool {
        matches!(self, Self::Audio | Self::AudioAndText)
    }

    /// Does it judge the words?
    pub fn reads(self) -> bool {
        matches!(self, Self::Text | Self::AudioAndText)
    }
}

impl Options {
    /// The least endpointing delay, as given or by the kind of turn detector (LiveKit's defaults; for one of sound and words, which
    /// LiveKit does not have, those that docs/benchmarks.md finds best).
    pub fn min_endpointing_delay(&self) -> Duration {
        self.min_endpointing_delay
            .unwrap_or(match self.turn_detector {
                TurnDetectorKind::None | TurnDetectorKind::Text => Duration::from_millis(500),
                TurnDetectorKind::Audio => Duration::from_millis(300),
                TurnDetectorKind::AudioAndText => Duration::from_millis(200),
            })
    }

    /// The longest endpointing delay; never shorter than the least one.
    pub fn max_endpointing_delay(&self) -> Duration {
        self.max_endpointing_delay
            .unwrap_or(match self.turn_detector {
                TurnDetectorKind::None | TurnDetectorKind::Text => Duration::from_millis(3000),
                TurnDetectorKind::Audio => Duration::from_millis(2500),
                TurnDetectorKind::AudioAndText => Duration::from_millis(2000),
            })
            .max(self.min_endpointing_delay())
    }

    /// Do they make sense together?
    ///
    /// # Errors
    /// The first contradiction, with its fix.
    pub fn check(&self) -> Result<(), OptionsError> {
        if let (Some(min), Some(max)) = (self.min_endpointing_delay, self.max_endpointing_delay)
            && min > max
        {
            return Err(OptionsError::Endpointing { min, max });
        }
        if !(0.0..=1.0).contains(&self.endpointing_alpha) {
            return Err(OptionsError::Alpha(self.endpointing_alpha));
        }
        if !(0.0..=1.0).contains(&self.min_interruption_confidence) {
            return Err(OptionsError::Confidence(self.min_interruption_confidence));
        }
        if self
            .backchannels
            .iter()
            .flatten()
            .any(|phrase| !phrase.chars().any(char::is_alphanumeric))
        {
            return Err(OptionsError::EmptyBackchannel);
        }
        if self.user_turn_max_words == Some(0) {
            return Err(OptionsError::NoWords);
        }
        if self.user_turn_max_duration == Some(Duration::ZERO) {
            return Err(OptionsError::NoTime);
        }
        for (name, patience) in [
            ("llm_timeout", self.llm_timeout),
            ("tts_timeout", self.tts_timeout),
        ] {
            if patience.is_zero() {
                return Err(OptionsError::NoPatience(name));
            }
        }
        Ok(())
    }
}

/// Options that contradict each other or themselves.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum OptionsError {
    /// No delay could be both.
    #[error(
        "min_endpointing_delay ({min:?}) is longer than max_endpointing_delay ({max:?}); swap them or give one only"
    )]
    Endpointing {
        /// The least.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Not a weight.
    #[error(
        "endpointing_alpha is {0}; it must be between 0 (only the last pause counts) and 1 (nothing is learned)"
    )]
    Alpha(f64),
    /// Nobody is surer than sure.
    #[error("min_interruption_confidence is {0}; it must be between 0 (however unsure) and 1")]
    Confidence(f32),
    /// Nobody could say anything.
    #[error("user_turn_max_words is 0: the caller could say nothing; leave it out for no limit")]
    NoWords,
    /// The same in time.
    #[error("user_turn_max_duration is 0: the caller could say nothing; leave it out for no limit")]
    NoTime,
    /// No provider answers in no time.
    #[error("{0} is 0: every answer would come too late; the default is 10 s")]
    NoPatience(&'static str),
    /// Nobody can say it.
    #[error("backchannels has an empty phrase, one without a letter or digit; remove it")]
    EmptyBackchannel,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            turn_detection: TurnDetection::Vad,
            min_endpointing_delay: None,
            max_endpointing_delay: None,
            endpointing: Endpointing::Fixed,
            endpointing_alpha: 0.9,
            allow_interruptions: true,
            min_interruption_duration: Duration::from_millis(500),
            min_interruption_words: 0,
            min_interruption_confidence: 0.0,
            min_thinking_interruption_duration: Duration::ZERO,
            min_thinking_interruption_words: None,
            backchannel_boundary_start: Duration::from_secs(1),
            backchannel_boundary_end: Duration::from_secs(1),
            resume_false_interruption: true,
            false_interruption_timeout: Duration::from_millis(2000),
            preemptive_generation: true,
            preemptive_max_retries: 3,
            max_tool_steps: 3,
            echo_guard: Duration::from_millis(500),
            user_away_timeout: Some(Duration::from_secs(15)),
            retrieval_budget: Duration::from_millis(80),
            llm_timeout: Duration::from_secs(10),
            tts_timeout: Duration::from_secs(10),
            tool_timeout: Duration::from_secs(30),
            greeting: None,
            trouble_message: "Sorry, I have some trouble right now. Could you say that again?"
                .into(),
            retrieval: false,
            on_user_turn_completed: false,
            on_user_turn_completed_timeout: Duration::from_secs(5),
            on_function_tools_executed: false,
            on_function_tools_executed_timeout: Duration::from_secs(5),
            turn_detector: TurnDetectorKind::None,
            turn_detector_timeout: Duration::from_secs(1),
            transcript_timeout: Duration::from_secs(2),
            session_close_transcript_timeout: Duration::from_secs(2),
            language: None,
            transcription_timeout: None,
            user_turn_max_words: None,
            user_turn_max_duration: None,
            user_turn_exceeded_instructions: TURN_EXCEEDED.into(),
            min_consecutive_speech_delay: Duration::ZERO,
            preemptive_tts: true,
            preemptive_max_speech_duration: Duration::from_secs(10),
            sure_interruption_duration: Duration::from_millis(1500),
            backchannels: None,
            stuck_vad_timeout: Duration::from_secs(90),
            discard_audio_if_uninterruptible: false,
            playout_timeout: Duration::from_secs(5),
            summarize_over_items: None,
            summarize_over_tokens: None,
            summarize_keep_turns: 2,
            tool_interruption: ToolInterruption::Detach,
            tools: BTreeMap::new(),
            max_unrecoverable_errors: None,
        }
    }
}

/// What the model is told about a caller who does not stop.
const TURN_EXCEEDED: &str = "The caller has been talking for a long time without a pause. Politely take the floor: in one \
    short sentence say back what you understood so far, or ask for the one thing that you need to know.";
