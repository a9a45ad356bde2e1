//! Logs and metrics: the one place that names every metric and every log field.
//!
//! | module | what |
//! |---|---|
//! | [`logs`] | structured logs |
//! | [`names`] | every metric: name, kind, help |
//! | [`metrics`] | the Prometheus recorder |
//! | [`secrets`] | what is in no line of a log |
//! | [`process`] | memory, CPU, threads of this process |

mod json;
mod lines;
pub mod logs;
pub mod metrics;
pub mod names;
pub mod process;
mod secret;
pub mod secrets;

pub use secret::Secret;
