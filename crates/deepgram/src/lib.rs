//! Deepgram's streaming speech recognition behind the `Stt` trait of `antiphon-agent`.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the server's address, the key, recognition options, time limits |
//! | [`stt`] | [`DeepgramStt`] and the supervisor of one caller's stream |
//! | `connection` | one WebSocket: the handshake, and what its failures mean |
//! | `replay` | the last seconds of sound, which are sent again after a reconnect, without I/O |
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
