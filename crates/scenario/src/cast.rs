//! What the providers and the caller of a scenario do.

use super::lanes::Lanes;
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Passage, ToolCall};
use antiphon_dialogue::input::{ToolValue, ToolsVerdict, TurnVerdict};

const MS: Duration = Duration::from_millis(1);

/// What the model answers to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// In the file, from 1; 0 for one that no file holds.
    pub line: usize,
    /// Its words.
    pub text: String,
    /// Its tool calls, after the words.
    pub calls: Vec<ToolCall>,
    /// Until the first word.
    pub first: Duration,
    /// From the request to the end.
    pub lasting: Duration,
    /// It fails after the words.
    pub fails: bool,
    /// Nothing ever comes after the words.
    pub hangs: bool,
}

impl Default for Reply {
    fn default() -> Self {
        Self {
            line: 0,
            text: String::new(),
            calls: Vec::new(),
            first: 100 * MS,
            lasting: 300 * MS,
            fails: false,
            hangs: false,
        }
    }
}

/// How TTS speaks one segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    /// Until the first audio.
    pub first: Duration,
    /// Of the audio; without it by the number of characters.
    pub length: Option<Duration>,
    /// It fails instead.
    pub fails: bool,
    /// Nothing ever comes.
    pub hangs: bool,
}

impl Default for Voice {
    fn default() -> Self {
        Self {
            first: 200 * MS,
            length: None,
            fails: false,
            hangs: false,
        }
    }
}

/// What one search of the knowledge finds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) passages: Vec<Passage>,
    pub(crate) after: Duration,
    pub(crate) hangs: bool,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            passages: Vec::new(),
            after: 20 * MS,
            hangs: false,
        }
    }
}

/// What the turn detector answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prediction {
    /// That the caller has finished, compared with 0.5; without it no answer comes.
    pub(crate) probability: Option<f32>,
    /// After the question.
    pub(crate) after: Duration,
}

impl Default for Prediction {
    fn default() -> Self {
        Self {
            probability: Some(1.0),
            after: 50 * MS,
        }
    }
}

/// What the agent's hook makes of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hook {
    pub(crate) after: Duration,
    /// Without it no answer comes.
    pub(crate) verdict: Option<TurnVerdict>,
}

impl Default for Hook {
    fn default() -> Self {
        Self {
            after: 50 * MS,
            verdict: Some(TurnVerdict::unchanged()),
        }
    }
}

/// What the agent's hook makes of the results of an answer's tool calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolsHook {
    pub(crate) after: Duration,
    /// Without it no answer comes.
    pub(crate) verdict: Option<ToolsVerdict>,
}

impl Default for ToolsHook {
    fn default() -> Self {
        Self {
            after: 50 * MS,
            verdict: Some(ToolsVerdict::unchanged()),
        }
    }
}

/// How a tool ends; without a result it hangs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) after: Duration,
    /// What it tells meanwhile, and how long after its start.
    pub(crate) updates: Vec<(Duration, String)>,
    pub(crate) result: Option<Result<ToolValue, String>>,
    pub(crate) deed: Deed,
}

/// What a tool does beside giving its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Nothing.
    #[default]
    Nothing,
    /// Its result is another agent, of this name and greeting.
    HandsTo(String, String),
    /// It gives a task to another agent, and its result when that is over.
    Asks(String, String),
    /// The task that it belongs to has its result.
    Completes,
}

/// The caller speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Speech {
    /// First sound.
    pub from: Instant,
    /// Last sound.
    pub to: Instant,
    /// Empty for a noise.
    pub text: String,
    /// Until the final transcript; without it the scenario's.
    pub final_after: Option<Duration>,
    /// The microphone is switched off at the end: nobody hears the silence after it.
    pub muted: bool,
    /// The recogniser says word by word what it has understood so far.
    pub interims: bool,
}

/// How the voice activity detector hears: what `[vad]` says, or the values of LiveKit's own scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hearing {
    /// So much speech before it has begun. 50 ms.
    pub min_speech: Duration,
    /// So much silence before it has ended. 500 ms.
    pub min_silence: Duration,
}

impl Default for Hearing {
    fn default() -> Self {
        Self {
            min_speech: Duration::from_millis(50),
            min_silence: Duration::from_millis(500),
        }
    }
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// What.
    pub text: String,
}

/// How a scenario ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Everything seen.
    pub timeline: Vec<Line>,
    /// What was expected and not seen, or seen and not expected; empty when all is well.
    pub failures: Vec<String>,
    /// What the file leaves open and the simulation answered by itself, and answers that nobody asked for.
    pub notes: Vec<String>,
    /// Everything seen, to be drawn.
    pub lanes: Lanes,
    /// When the simulation stopped.
    pub until: Instant,
}
