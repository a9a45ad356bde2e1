//! Every metric: name, kind, unit, help. Prefix `antiphon_`.

/// Peers that ended by a panic, by `place`.
pub const PANICS_TOTAL: &str = "antiphon_panics_total";
/// Sessions running now.
pub const SESSIONS: &str = "antiphon_sessions";
/// Turns answered, by `outcome`.
pub const TURNS_TOTAL: &str = "antiphon_turns_total";
/// End of user speech to first audio, seconds.
pub const TURN_E2E_SECONDS: &str = "antiphon_turn_e2e_seconds";
/// End of user speech to commit of the turn, seconds.
pub const TURN_END_OF_TURN_SECONDS: &str = "antiphon_turn_end_of_turn_seconds";
/// End of user speech to last final transcript, seconds.
pub const TURN_TRANSCRIPTION_SECONDS: &str = "antiphon_turn_transcription_seconds";
/// Knowledge retrieval, seconds.
pub const TURN_RETRIEVAL_SECONDS: &str = "antiphon_turn_retrieval_seconds";
/// LLM request to first token, seconds.
pub const TURN_LLM_TTFT_SECONDS: &str = "antiphon_turn_llm_ttft_seconds";
/// Synthesis request to first audio, seconds.
pub const TURN_TTS_TTFB_SECONDS: &str = "antiphon_turn_tts_ttfb_seconds";
/// Provider errors, by `component`.
pub const PROVIDER_ERRORS_TOTAL: &str = "antiphon_provider_errors_total";
