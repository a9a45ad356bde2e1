//! `Agent` and `AgentSession`: what a voice agent is made of, the traits of its providers, its tools, and the driver that
//! runs a dialogue.
//!
//! | module | what |
//! |---|---|
//! | [`provider`] | traits of VAD, STT, LLM, TTS, turn detector and knowledge |
//! | [`error`] | what can go wrong with a provider |

pub mod error;
pub mod provider;

pub use error::ProviderError;
