//! Logs and metrics: the one place that names every metric and every log field.
//!
//! | module | what |
//! |---|---|
//! | [`logs`] | structured logs |
//! | [`names`] | every metric: name, kind, unit, help |
//! | [`redact`] | secrets and tokens never reach a log |

pub mod logs;
pub mod names;
pub mod redact;
