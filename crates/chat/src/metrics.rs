//! How long things took, message by message: LiveKit's keys.

use serde::{Deserialize, Serialize};

use crate::time::{Duration, Instant};

/// How long things took around one message; what did not happen or is not known is `None`. Every duration is the difference
/// of the two instants named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageMetrics {
    /// The first sound of it: of the caller as VAD heard it (back-dated), of the agent as it was played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_speaking_at: Option<Instant>,
    /// The last sound of it, by the same clocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_speaking_at: Option<Instant>,
    /// Caller: last sound to last final transcript.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcription_delay: Option<Duration>,
    /// Caller: last sound to the commit of the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_of_turn_delay: Option<Duration>,
    /// Caller: what the agent's hook took, which sees a turn before its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_user_turn_completed_delay: Option<Duration>,
    /// Agent: request to the model to its first token or call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_node_ttft: Option<Duration>,
    /// Agent: request to the model to the first words for synthesis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_node_ttfs: Option<Duration>,
    /// Agent: tokens written per second between the request to the model and its end; `None` when the provider does not say
    /// how many, and when the answer was cut off before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_node_tps: Option<f64>,
    /// Agent: request to the voice to the first audio of the message's first words, also when that was before the turn was
    /// committed. Waiting for the model is not part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tts_node_ttfb: Option<Duration>,
    /// Agent: the first frame of the message that was ready to be played, its audio there and nothing of the same speech
    /// before it, to that frame being played. What the voice takes is not part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback_latency: Option<Duration>,
    /// Agent: the caller's last sound to the first audio played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2e_latency: Option<Duration>,
}

impl MessageMetrics {
    /// Is nothing known?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
