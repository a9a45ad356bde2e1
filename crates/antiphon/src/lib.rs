//! Antiphon: a self-hosted voice agent in one binary. This crate is the binary (`antiphon dev`, `serve`, `start`, …) and the
//! facade through which an agent is written in Rust:
//!
//! ```no_run
//! use antiphon::prelude::*;
//!
//! /// Looks up the weather.
//! #[tool]
//! async fn weather(
//!     /// The city's name.
//!     city: String,
//! ) -> String {
//!     format!("It is sunny in {city}.")
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     antiphon::run(|agent| agent.instructions("You talk about the weather.").tool(weather))
//! }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`prelude`] | what a program that defines an agent needs |
//! | [`app`] | [`run`]: a program that is an agent, with the same command line |
//! | [`cli`] | the command line |
//! | [`config`] | `antiphon.toml` and the secrets of the environment |
//! | [`livekit`] | LiveKit's own configuration, flags and variables |
//! | [`choose`] | which providers are used, and why |
//! | [`assemble`] | the agent of a configuration |
//! | [`playground`] | the page |
//! | [`verbs`] | what each verb of the command line does |

/// The agent library, under the name that `#[tool]` refers to.
pub use antiphon_agent as agent;
pub use app::{main, run};

pub mod app;
pub mod assemble;
pub mod choose;
pub mod cli;
pub mod config;
pub mod livekit;
pub mod playground;
pub mod prelude;
pub mod verbs;
