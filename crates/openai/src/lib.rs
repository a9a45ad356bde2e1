//! OpenAI's API, and the many servers that speak it (Ollama, llama.cpp, vLLM, LM Studio, Kokoro, …), behind the traits of
//! `antiphon-agent`.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the server's address, the key, time limits, options |
//! | [`llm`] | [`OpenAiLlm`]: streamed chat completions with function tools |
//! | [`convert`] | a history as chat messages and as input of the Responses API |
//! | [`embeddings`] | [`OpenAiEmbedder`]: texts as vectors |
//! | [`tts`] | [`OpenAiTts`]: streamed speech |
//! | [`probe`] | the checks of `antiphon doctor`, and the search for a server on this machine |
//! | `chat` | request and answer of chat completions, without I/O |
//! | `sse` | server-sent events, without I/O |
//! | `pcm` | bytes of speech to frames, without I/O |
//! | `client` | HTTP: errors, retries, limits on time and size |
//! | `generator` | a stream written as a future |

mod chat;
mod client;
pub mod config;
pub mod convert;
pub mod embeddings;
#[doc(hidden)]
pub mod fuzzing;
mod generator;
pub mod llm;
mod pcm;
pub mod probe;
mod sse;
pub mod tts;

pub use config::{Dialect, Endpoint, LlmConfig, Timeouts, TtsConfig};
pub use embeddings::OpenAiEmbedder;
pub use llm::OpenAiLlm;
pub use probe::{Finding, Level, LocalServer, detect_local, first_model};
pub use tts::OpenAiTts;
