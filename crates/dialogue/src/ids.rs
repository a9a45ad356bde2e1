//! Names of things inside one session. Numbers are given out in order by the machine and never reused, so a late event
//! about something that is gone is recognised and dropped.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// One turn of the caller.
    TurnId, "turn_");

/// One utterance of the agent; it may span several tool steps (LiveKit's speech handle). The machine numbers its own; a
/// program that asks for a speech may name it itself, so that it can wait for it and stop it from the first moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SpeechId(pub u32);

impl SpeechId {
    const PROGRAM: u32 = 1 << 31;
    /// No speech: the machine counts from 1.
    pub(crate) const NONE: Self = Self(0);

    /// The program's `number`th speech; never one of the machine's own.
    pub const fn of_program(number: u32) -> Self {
        Self(Self::PROGRAM | number)
    }
}

impl std::fmt::Display for SpeechId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 & Self::PROGRAM {
            0 => write!(f, "speech_{}", self.0),
            _ => write!(f, "speech_p{}", self.0 ^ Self::PROGRAM),
        }
    }
}

id!(
    /// An agent, by the driver's numbering; 0 is the one that the session began with.
    AgentKey, "agent_");
id!(
    /// A task that one agent gives to another, by the driver's numbering.
    TaskId, "task_");
id!(
    /// One LLM request.
    GenerationId, "gen_");
id!(
    /// One TTS request: a clause or a sentence.
    SegmentId, "seg_");
id!(
    /// One knowledge retrieval.
    RetrievalId, "ret_");
id!(
    /// One question to the turn detector.
    PredictionId, "eot_");
id!(
    /// All tool calls of one answer of the model.
    BatchId, "tools_");
