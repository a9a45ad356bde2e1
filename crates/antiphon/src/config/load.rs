//! Reading the file.

use std::path::{Path, PathBuf};

use super::Config;

/// The largest configuration file: instructions are text, not a library.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// A name is offered when at least this similar (Jaro-Winkler).
const NEAREST_NAME: f64 = 0.7;

/// The configuration cannot be used. The text says where and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; name an antiphon.toml that this user can read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("{path} is larger than 1 MiB; put long texts into the knowledge folder")]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("{path}:{line}: {message}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong and the nearest right name.
        message: String,
    },
    /// Values that cannot be.
    #[error("{path}: {}", .findings.join("\n  "))]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Each with its fix.
        findings: Vec<String>,
    },
}

/// Read and check a file.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let read_error = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(read_error)?.len();
    if length > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = std::fs::read_to_string(path).map_err(read_error)?;
    parse(&text, path)
}

/// Read and check the text of a file that stands (or would stand) at `path`.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let mut config: Config = toml::from_str(text).map_err(|error| ConfigError::Parse {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        message: with_nearest_name(error.message()),
    })?;
    config.folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let findings = super::check(&config);
    if findings.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Invalid {
            path: path.to_owned(),
            findings,
        })
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// ``unknown field `greting`, expected one of `name`, `greeting` `` → ``unknown key `greting`; did you mean `greeting`?``
fn with_nearest_name(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = ["unknown field", "unknown variant"]
        .iter()
        .find(|start| message.starts_with(**start));
    let (Some(start), Some(wrong)) = (unknown, names.next()) else {
        return message.to_owned();
    };
    let what = if *start == "unknown field" {
        "key"
    } else {
        "value"
    };
    let known: Vec<&str> = names.collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(similarity, _)| *similarity >= NEAREST_NAME)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => format!("unknown {what} `{wrong}`; did you mean `{name}`?"),
        None => format!("unknown {what} `{wrong}`; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text, Path::new("antiphon.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_typo_is_refused_with_the_nearest_name_and_its_line() {
        assert_eq!(
            error("name = \"x\"\ngreting = \"hi\""),
            "antiphon.toml:2: unknown key `greting`; did you mean `greeting`?"
        );
        assert_eq!(
            error("[turn]\nmin_endpoint_delay = 1"),
            "antiphon.toml:2: unknown key `min_endpoint_delay`; did you mean `min_endpointing_delay`?"
        );
        assert!(error("[stt]\nprovider = \"deepgrm\"").contains("did you mean `deepgram`?"));
    }

    #[test]
    fn a_key_that_resembles_nothing_lists_what_is_known() {
        assert!(
            error("[knowledge]\npath = \"k\"\nzzz = 1")
                .contains("known here: path, budget, top_k, automatic")
        );
    }

    #[test]
    fn times_that_cannot_be_are_refused() {
        for bad in ["-1", "nan", "inf", "1e9"] {
            assert!(
                error(&format!("[turn]\nmin_endpointing_delay = {bad}"))
                    .contains("number of seconds"),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_empty_file_is_an_agent_with_defaults() {
        let config = parse("", Path::new("antiphon.toml")).unwrap();
        assert_eq!(config.name, "antiphon");
        assert_eq!(config.greeting, None);
    }
}
