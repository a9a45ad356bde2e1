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
id!(
    /// One utterance of the agent; it may span several tool steps (LiveKit's speech handle).
    SpeechId, "speech_");
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
