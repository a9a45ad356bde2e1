//! Reading the file.

use std::io::{ErrorKind, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::Config;

/// The largest configuration file: instructions are text, not a library.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// A name is offered when at least this similar (Jaro-Winkler).
const NEAREST_NAME: f64 = 0.7;

/// More mistakes than a reader mends in one go.
const MAX_MISTAKES: usize = 20;
/// A line of the file that is shown with a mistake, at most.
const EXCERPT_CHARS: usize = 120;

/// The configuration cannot be used. The text says where and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there.
    #[error("cannot read {path}: {source}; `antiphon init` writes one, or name another with -c")]
    Missing {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder was named.
    #[error("{path} is a folder; name the file in it: -c {}", path.join("antiphon.toml").display())]
    Folder {
        /// Which.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; let this user read it, or name another with -c")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not UTF-8: UTF-16 as some editors save it, or an older encoding.
    #[error("{path}:{line}: this is not UTF-8 text; save the file as UTF-8")]
    NotUtf8 {
        /// Which.
        path: PathBuf,
        /// The first line that is not, from 1.
        line: usize,
    },
    /// The file is too large.
    #[error("{path} is larger than 1 MiB; put long texts into the knowledge folder")]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// Not TOML, or unknown keys and values of the wrong kind.
    #[error("{}", shown(path, mistakes))]
    Parse {
        /// Which file.
        path: PathBuf,
        /// In the order of the file; at least one.
        mistakes: Vec<Mistake>,
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

/// What is wrong at one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and the nearest right name.
    pub message: String,
    /// The line with a mark below the mistake; without the value where that may be a secret.
    pub excerpt: String,
}

fn shown(path: &Path, mistakes: &[Mistake]) -> String {
    let one = |mistake: &Mistake| {
        let Mistake {
            line,
            message,
            excerpt,
        } = mistake;
        format!("{}:{line}: {message}\n{excerpt}", path.display())
    };
    mistakes.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Read and check a file.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let bytes = bytes(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        ConfigError::NotUtf8 {
            path: path.to_owned(),
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
        }
    })?;
    parse(text, path)
}

fn bytes(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let failed = |source: std::io::Error| {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound => ConfigError::Missing { path, source },
            ErrorKind::IsADirectory => ConfigError::Folder { path },
            _ => ConfigError::Read { path, source },
        }
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// Read and check the text of a file that stands (or would stand) at `path`.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let mut config = read(text).map_err(|mistakes| ConfigError::Parse {
        path: path.to_owned(),
        mistakes,
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

/// The file's values, or everything that is not understood: what is wrong is left out, and the rest is read again.
fn read(text: &str) -> Result<Config, Vec<Mistake>> {
    let one = |error: &toml::de::Error| mistake(text, error.message(), error.span());
    let mut table = DeTable::parse(text).map_err(|error| vec![one(&error)])?;
    let mut mistakes = Vec::new();
    loop {
        let error = match Config::deserialize(Deserializer::from(table.clone())) {
            Ok(config) if mistakes.is_empty() => return Ok(config),
            Ok(_) => break,
            Err(error) => error,
        };
        let wrong = error.span();
        let is_left_out = wrong
            .clone()
            .is_some_and(|wrong| leave_out(table.get_mut(), &wrong));
        // A key that must be there is missed only if it was not left out just now.
        if is_left_out || mistakes.is_empty() {
            mistakes.push(one(&error));
        }
        if !is_left_out || mistakes.len() >= MAX_MISTAKES {
            break;
        }
    }
    mistakes.sort_by_key(|mistake| mistake.line);
    Err(mistakes)
}

/// Takes the key that stands there, or whose value does, out of the table. False: there is none.
fn leave_out(table: &mut DeTable<'_>, wrong: &Range<usize>) -> bool {
    let is_it = |key: &Range<usize>, value: &Spanned<DeValue<'_>>| {
        *key == *wrong || (value.span() == *wrong && !holds_more(value.get_ref()))
    };
    let found = table
        .iter()
        .find(|(key, value)| is_it(&key.span(), value))
        .map(|(key, _)| key.get_ref().to_string());
    if let Some(key) = found {
        return table.remove(key.as_str()).is_some();
    }
    table
        .iter_mut()
        .any(|(_, value)| leave_out_of(value.get_mut(), wrong))
}

/// Tables are looked into first.
fn holds_more(value: &DeValue<'_>) -> bool {
    matches!(value, DeValue::Table(_))
}

fn leave_out_of(value: &mut DeValue<'_>, wrong: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => leave_out(table, wrong),
        DeValue::Array(items) => items
            .iter_mut()
            .any(|item| leave_out_of(item.get_mut(), wrong)),
        _ => false,
    }
}

fn mistake(text: &str, message: &str, span: Option<Range<usize>>) -> Mistake {
    let span = span.unwrap_or(0..0);
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let whole = text.get(begin..).unwrap_or_default();
    let whole = whole.lines().next().unwrap_or_default();
    let (from, marked) = (span.start - begin, span.len());
    // A key that we do not know, or whose name says so, may have a secret for its value.
    let shown = match whole.split_once('=') {
        Some((key, _)) if message.starts_with("unknown field") || is_secretive(key) => {
            format!("{}= …", key)
        }
        _ => whole.to_owned(),
    };
    let shown: String = shown.chars().take(EXCERPT_CHARS).collect();
    let column = whole.get(..from).unwrap_or_default().chars().count();
    let width = whole
        .get(from..)
        .unwrap_or_default()
        .get(..marked)
        .map_or(1, |marked| marked.chars().count());
    let left = shown.chars().count().saturating_sub(column);
    let mark = "^".repeat(width.clamp(1, left.max(1)));
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let excerpt = if column <= shown.chars().count() {
        format!(
            "  {number} | {shown}\n  {margin} | {}{mark}",
            " ".repeat(column)
        )
    } else {
        format!("  {number} | {shown}")
    };
    Mistake {
        line,
        message: with_nearest_name(message),
        excerpt,
    }
}

fn is_secretive(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["key", "secret", "token", "password", "auth"]
        .iter()
        .any(|word| key.contains(word))
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
            "antiphon.toml:2: unknown key `greting`; did you mean `greeting`?\n  2 | greting = …\n    | ^^^^^^^"
        );
        assert!(error("[turn]\nmin_endpoint_delay = 1").starts_with(
            "antiphon.toml:2: unknown key `min_endpoint_delay`; did you mean `min_endpointing_delay`?"
        ));
        assert!(error("[stt]\nprovider = \"deepgrm\"").contains("did you mean `deepgram`?"));
    }

    #[test]
    fn a_key_that_resembles_nothing_lists_what_is_known() {
        assert!(
            error("[knowledge]\npath = \"k\"\nzzz = 1")
                .contains("known here: path, index_id, budget, top_k, automatic")
        );
    }

    #[test]
    fn all_that_is_not_understood_is_said_at_once_in_the_order_of_the_file() {
        let text = "nme = \"x\"\n[llm]\ntemperature = \"hot\"\nmodell = \"m\"\n[turn]\nmin_endpointing_delay = -1\n\
                    [[tool]]\nname = \"a\"\ndescriptoin = \"d\"\n[knowlege]\npath = \"k\"";
        let said = error(text);
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("antiphon.toml:"))
            .collect();
        let places: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.split(':').nth(1))
            .collect();
        assert_eq!(places, ["1", "3", "4", "6", "9", "10"], "{said}");
        assert!(
            said.contains("  3 | temperature = \"hot\"\n    |               ^^^^^"),
            "{said}"
        );
    }

    #[test]
    fn a_key_of_a_provider_that_stands_in_the_file_is_not_printed() {
        for text in [
            "[llm]\napi_key = \"sk-never-print\"",
            "api_key = sk-never-print",
            "[stt]\nmodel = \"m\"\nsecret = \"never-print\"",
        ] {
            let said = error(text);
            assert!(!said.contains("never-print"), "{said}");
        }
    }

    #[test]
    fn a_missing_name_is_told_but_nothing_is_missing_when_a_path_was_wrong() {
        assert!(error("[[knowledge.sources]]\npath = \"k\"").contains("missing field `name`"));
        let said = error("[knowledge]\npath = 7");
        assert!(!said.contains("missing"), "{said}");
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

    #[test]
    fn a_file_that_cannot_be_read_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| load(path).unwrap_err().to_string();
        let file = folder.path().join("a.toml");
        assert!(said(&file).contains("antiphon init"), "{}", said(&file));
        assert!(said(folder.path()).contains("is a folder; name the file in it: -c "));
        std::fs::write(&file, b"name = \"x\"\ngreeting = \"Gr\xfc\xdf Gott\"\n").unwrap();
        let text = said(&file);
        assert!(
            text.contains("a.toml:2") && text.contains("save the file as UTF-8"),
            "{text}"
        );
        std::fs::write(&file, b"\xff\xfen\0a\0").unwrap();
        assert!(said(&file).contains("save the file as UTF-8"));
        std::fs::write(&file, b"\xef\xbb\xbfname = \"x\"\n").unwrap();
        assert_eq!(load(&file).unwrap().name, "x");
    }
}
