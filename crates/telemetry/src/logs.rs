//! Structured logs on standard error, so that standard output stays free for what a command prints.
//!
//! Every line of a session carries its ids: work belonging to a session runs inside [`session_span`]. Field names are the
//! same everywhere: `session`, `room`, `participant`, `turn`, `speech`, `component`, `provider`, `error`.

use std::io::IsTerminal as _;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::json::nesting;
use crate::secrets::hiding;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: one readable line, coloured on a terminal.
    #[default]
    Text,
    /// For machines: one JSON object a line, with the fields of the enclosing spans.
    Json,
}

impl FromStr for Format {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(LogError::Format(other.to_owned())),
        }
    }
}

/// Why there are no logs.
#[derive(Debug)]
pub enum LogError {
    /// Not a format.
    Format(String),
    /// Not a level.
    Level {
        /// What was given.
        given: String,
        /// Why it is not one.
        message: String,
    },
    /// Somebody else has begun to log.
    AlreadyStarted,
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Format(given) => write!(
                f,
                "the log format {given:?} is not known: use \"text\" or \"json\""
            ),
            Self::Level { given, message } => write!(
                f,
                "the log level {given:?} is not understood ({message}); use error, warn, info, debug or trace, or per module \
                 as in \"info,antiphon_agent=debug\""
            ),
            Self::AlreadyStarted => {
                f.write_str("logs were set up twice: call `logs::init` once, at the start")
            }
        }
    }
}

impl std::error::Error for LogError {}

/// Begin to log. `level` is a level or a list as in `info,antiphon_agent=debug`; `RUST_LOG`, when set, is used instead.
/// What [`secrets::hide`](crate::secrets::hide) was given is in no line.
///
/// # Errors
/// A level that is none, or a second call.
pub fn init(format: Format, level: &str) -> Result<(), LogError> {
    let level = std::env::var("RUST_LOG")
        .ok()
        .filter(|level| !level.is_empty())
        .unwrap_or_else(|| level.to_owned());
    let filter = filter(&level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(SystemTime);
    let started = match format {
        Format::Text => builder
            .with_writer(|| hiding(std::io::stderr()))
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        Format::Json => builder
            .with_writer(|| nesting(hiding(std::io::stderr())))
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .try_init(),
    };
    started.map_err(|_| LogError::AlreadyStarted)
}

/// The span that everything of one session happens in.
pub fn session_span(session: &str, agent: &str) -> tracing::Span {
    tracing::info_span!("session", session, agent)
}

/// Is this a level or a list as [`init`] takes it? Stricter than `RUST_LOG`: a single word is a level, not a module, since a
/// misspelt level would silently ask for the lines of a module that does not exist.
///
/// # Errors
/// [`LogError::Level`].
pub fn check_level(level: &str) -> Result<(), LogError> {
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    let unknown = level
        .split(',')
        .map(str::trim)
        .find(|part| !part.contains(['=', '[']) && !known.contains(&part.to_lowercase().as_str()));
    match unknown {
        Some(part) => Err(LogError::Level {
            given: level.to_owned(),
            message: format!("{part:?} is no level"),
        }),
        None => filter(level).map(drop),
    }
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    // Libraries that log every packet are asked only when something is wrong, unless the user names them.
    let quiet = "str0m=warn,hyper=warn,h2=warn,rustls=warn,tungstenite=warn,";
    let level = level.trim();
    EnvFilter::try_new(format!("{quiet}{level}")).map_err(|error| LogError::Level {
        given: level.to_owned(),
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_wrong_level_or_format_is_refused_with_what_to_use() {
        assert!(filter("info").is_ok());
        assert!(filter("info,antiphon_agent=debug").is_ok());
        let error = filter("antiphon=loud").unwrap_err().to_string();
        assert!(
            error.contains("use error, warn, info, debug or trace"),
            "{error}"
        );
        assert!(check_level("info,antiphon_agent=debug").is_ok() && check_level("WARN").is_ok());
        assert!(check_level("loud").is_err() && check_level("").is_err());
        let error = "xml".parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("\"text\" or \"json\""), "{error}");
    }
}
