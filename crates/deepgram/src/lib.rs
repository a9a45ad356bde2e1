//! Deepgram's streaming speech recognition behind the `Stt` trait of `antiphon-agent`.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | where the server is, the key, options of recognition, limits of time |
//! | [`stt`] | [`DeepgramStt`] and the supervisor of one caller's stream |
//! | `connection` | one WebSocket: its handshake and what its failures mean |
//! | `replay` | the last seconds of sound, sent again after a reconnect, without I/O |
//! | `message` | Deepgram's messages, without I/O |

pub mod config;
mod connection;
#[doc(hidden)]
pub mod fuzzing;
mod message;
mod replay;
pub mod stt;

pub use config::{DeepgramConfig, Timeouts};
pub use stt::DeepgramStt;
