//! Simulators of OpenAI and Deepgram on loopback, for tests and benches only. The official clients work against them unmodified. A script
//! says what they hear and say, and they can be slow, refuse, hang, or break off in mid-stream on demand.
//!
//! | module | what |
//! |---|---|
//! | [`script`] | what the simulator does: words heard, answers, delays, faults; also as JSON over HTTP |
//! | [`server`] | [`Simulator`]: start, stop, read back the requests |
//! | [`record`] | the requests that it got, without keys |
//! | `openai` | `/v1/chat/completions`, `/v1/audio/speech`, `/v1/embeddings`, `/v1/models` |
//! | `deepgram` | `/v1/listen`, as WebSocket and as REST |
//! | `recogniser` | which word is heard when, without I/O |
//! | `speech` | a voice: flite where it is installed, tones otherwise |
//! | `fault` | responses that hang, break off or are nonsense |
//!
//! A test in Rust:
//!
//! ```no_run
//! # async fn test() -> Result<(), antiphon_simulator::SimulatorError> {
//! use antiphon_simulator::{Script, Simulator};
//! let script = Script { utterances: vec!["when are you open".to_owned()], ..Script::default() };
//! let simulator = Simulator::start(script).await?;
//! let (openai, deepgram) = (simulator.openai_base_url(), simulator.deepgram_base_url());
//! # Ok(()) }
//! ```
//!
//! From other languages: run `antiphon-simulator`, read the address from its first line, `POST /_simulator/script`,
//! `GET /_simulator/requests`, `DELETE /_simulator/requests`.

mod deepgram;
mod fault;
mod openai;
mod recogniser;
pub mod record;
pub mod script;
pub mod server;
mod speech;

pub use record::Recorded;
pub use script::{Delays, Endpoint, Fault, FaultKind, LlmRule, Script, ToolCallScript};
pub use server::{Simulator, SimulatorError};
