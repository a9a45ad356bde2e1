//! Measurements under LiveKit's names: one struct for each kind of provider, and what a session has used in all. Every
//! duration is the difference of the two instants named beside it, both on the session's clock.

use serde::{Deserialize, Serialize};

use crate::ids::{GenerationId, SegmentId, SpeechId, TurnId};
use antiphon_chat::Usage;
use antiphon_chat::time::Duration;

/// One measurement (LiveKit's `metrics_collected`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Metrics {
    /// One request to the language model.
    LlmMetrics(LlmMetrics),
    /// A stretch of recognition.
    SttMetrics(SttMetrics),
    /// One request to the voice.
    TtsMetrics(TtsMetrics),
    /// A stretch of voice activity detection.
    VadMetrics(VadMetrics),
    /// The end of one turn of the caller.
    EouMetrics(EouMetrics),
    /// What the turn detector took in one turn of the caller.
    EotInferenceMetrics(EotInferenceMetrics),
    /// The caller's voice over the agent's.
    InterruptionMetrics(InterruptionMetrics),
}

/// Who was measured; empty when nobody said. The machine does not know its providers: whoever drives it fills this in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// For instance `gpt-4.1-mini`.
    pub model_name: String,
    /// For instance `openai`.
    pub model_provider: String,
}

/// One request to the language model that ended or was cancelled. One that failed is an error event instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlmMetrics {
    /// Which request.
    pub request_id: GenerationId,
    /// The speech it was for; `None` for a speculation whose turn was not committed, and for summaries.
    pub speech_id: Option<SpeechId>,
    /// Request to its end.
    pub duration: Duration,
    /// Request to the first token or call; `None`: none came.
    pub ttft: Option<Duration>,
    /// It was cancelled before its end.
    pub cancelled: bool,
    /// Tokens, when the provider says.
    pub usage: Option<Usage>,
    /// Tokens written per second between the request and its end, when the provider says how many.
    pub tokens_per_second: Option<f64>,
}

/// A stretch of recognition by a stream: reported every few seconds of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SttMetrics {
    /// Sound that the recogniser was given.
    pub audio_duration: Duration,
}

/// One request to the voice that ended or was cancelled. One that failed is an error event instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TtsMetrics {
    /// Which request: one clause or sentence.
    pub segment_id: SegmentId,
    /// The speech it was for; `None` for a speculation whose turn was not committed.
    pub speech_id: Option<SpeechId>,
    /// Request to the first audio; `None`: none came.
    pub ttfb: Option<Duration>,
    /// Request to its end.
    pub duration: Duration,
    /// Length of the sound; zero when it was cancelled.
    pub audio_duration: Duration,
    /// It was cancelled before its end.
    pub cancelled: bool,
    /// Characters of its text.
    pub characters_count: u32,
}

/// A stretch of voice activity detection: reported about once a second of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VadMetrics {
    /// From the end of the last speech to the end of the stretch; zero while the caller speaks.
    pub idle_time: Duration,
    /// Time that the model took in this stretch.
    pub inference_duration_total: Duration,
    /// How often it was asked in this stretch.
    pub inference_count: u32,
}

/// The end of one turn of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EouMetrics {
    /// Which turn.
    pub turn: TurnId,
    /// The speech that answers it; `None`: nobody is to answer it, or a newer turn is answered with it.
    #[serde(default)]
    pub speech_id: Option<SpeechId>,
    /// The caller's last sound to the commit of the turn.
    pub end_of_utterance_delay: Duration,
    /// The caller's last sound to the last final transcript; `None`: there was none, the interim counted.
    pub transcription_delay: Option<Duration>,
    /// What the agent's hook took, which sees a turn before its answer; `None`: it has none.
    #[serde(default)]
    pub on_user_turn_completed_delay: Option<Duration>,
}

/// The turn detector in one turn of the caller: reported when the turn is committed, if it was asked. LiveKit reports every
/// answer by itself; here it is one a turn, so that it tells what the turn has waited for. What nobody waited for any more,
/// because the caller went on or it came too late, is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EotInferenceMetrics {
    /// Which turn.
    pub turn: TurnId,
    /// The first question of the turn to the last answer; what the caller said between them is part of it. `None`: there
    /// was no answer.
    pub total_duration: Option<Duration>,
    /// The caller's last sound before the last answer to that answer.
    pub detection_delay: Option<Duration>,
    /// The question that was answered last to its answer.
    pub prediction_duration: Option<Duration>,
    /// How often it was asked, those times included to which there was no answer.
    pub num_requests: u32,
}

/// One time that the caller was heard over the agent's voice. No model is asked what that was, so there is no
/// `prediction_duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterruptionMetrics {
    /// The first sound of the caller to the decision what it was.
    pub detection_delay: Duration,
    /// One when it interrupted the agent.
    pub num_interruptions: u32,
    /// One when it did not.
    pub num_backchannels: u32,
}

/// What a session has used so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionUsage {
    /// Requests to the language model, cancelled and failed ones included.
    pub llm_requests: u32,
    /// Tokens read.
    pub llm_prompt_tokens: u64,
    /// Of these from the provider's cache.
    pub llm_prompt_cached_tokens: u64,
    /// Tokens written. Providers do not say for requests that were cancelled.
    pub llm_completion_tokens: u64,
    /// Characters given to the voice, those of cancelled requests included.
    pub tts_characters_count: u64,
    /// Sound that the voice has made.
    pub tts_audio_duration: Duration,
    /// Sound that the recogniser was given.
    pub stt_audio_duration: Duration,
    /// The same for every model, in the order in which they were first used. The machine does not know its providers: whoever
    /// drives it fills this in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_usage: Vec<ModelUsage>,
}

/// What one model was used for (LiveKit's `model_usage`, whose names these are but `requests`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ModelUsage {
    /// A language model.
    LlmUsage {
        /// For instance `openai`.
        provider: String,
        /// For instance `gpt-4.1-mini`.
        model: String,
        /// Requests, cancelled and failed ones included.
        requests: u32,
        /// Tokens read.
        input_tokens: u64,
        /// Of these from the provider's cache.
        input_cached_tokens: u64,
        /// Tokens written. Providers do not say for requests that were cancelled.
        output_tokens: u64,
    },
    /// A voice.
    TtsUsage {
        /// For instance `openai`.
        provider: String,
        /// For instance `gpt-4o-mini-tts`.
        model: String,
        /// Characters that it was given, those of cancelled requests included.
        characters_count: u64,
        /// Sound that it has made.
        audio_duration: Duration,
    },
    /// A recogniser.
    SttUsage {
        /// For instance `deepgram`.
        provider: String,
        /// For instance `nova-3`.
        model: String,
        /// Sound that it was given.
        audio_duration: Duration,
    },
}

impl ModelUsage {
    /// Whose model it is.
    pub fn provider(&self) -> &str {
        match self {
            Self::LlmUsage { provider, .. }
            | Self::TtsUsage { provider, .. }
            | Self::SttUsage { provider, .. } => provider,
        }
    }

    /// Its name.
    pub fn model(&self) -> &str {
        match self {
            Self::LlmUsage { model, .. }
            | Self::TtsUsage { model, .. }
            | Self::SttUsage { model, .. } => model,
        }
    }

    /// Is this about the same model for the same purpose?
    pub fn is_of(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && (self.provider(), self.model()) == (other.provider(), other.model())
    }
}
