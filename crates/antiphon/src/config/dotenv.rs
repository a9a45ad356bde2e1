//! `.env`: fills the environment of this process before anything reads it. Variables that are set already win.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A `.env` that is there and cannot be used. No value of it is in the text: they are secrets.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}; make it readable for this user, or remove it")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is no assignment.
    #[error(
        "{path}:{line}: this is not NAME=value; put values with spaces, quotes or `#` between single quotes, and close them"
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
}

/// Load `.env` of the working folder, then the one beside the agent's file. Folders above are not looked at: what lies
/// there belongs to somebody else.
///
/// # Errors
/// A file is there and cannot be used; nothing of it was loaded.
pub fn load_dotenv(config: Option<&Path>) -> Result<(), DotenvError> {
    let here = PathBuf::from(".env");
    let beside = config
        .and_then(Path::parent)
        .map(|folder| folder.join(".env"))
        .filter(|path| *path != here);
    for path in std::iter::once(here).chain(beside) {
        load(&path)?;
    }
    Ok(())
}

/// The agent's file on this command line. The real reading of it comes later, since it takes defaults from the environment.
pub fn config_argument(arguments: impl IntoIterator<Item = OsString>) -> Option<PathBuf> {
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--config" || text == "-c" {
            return arguments.next().map(PathBuf::from);
        }
        let joined = text
            .strip_prefix("--config=")
            .or_else(|| text.strip_prefix("-c").filter(|_| !text.starts_with("--")));
        if let Some(path) = joined {
            return Some(PathBuf::from(path.trim_start_matches('=')));
        }
    }
    None
}

fn load(path: &Path) -> Result<(), DotenvError> {
    // Some tools keep a folder of this name.
    if !path.is_file() {
        return Ok(());
    }
    let read = |source| DotenvError::Read {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(read)?;
    let text = text.trim_start_matches('\u{feff}');
    let wrong = |line| DotenvError::Line {
        path: path.to_owned(),
        line,
    };
    if let Some(line) = bad_line(text) {
        return Err(wrong(line));
    }
    dotenvy::from_read_iter(text.as_bytes())
        .load()
        .map_err(|_| wrong(1))
}

/// The first line that is no assignment, from 1.
fn bad_line(text: &str) -> Option<usize> {
    let error = dotenvy::from_read_iter(text.as_bytes()).find_map(Result::err)?;
    let dotenvy::Error::LineParse(wrong, _) = error else {
        return Some(1);
    };
    let first = wrong.lines().next().unwrap_or_default().trim();
    // What the error holds begins where the parser stopped, somewhere in the line.
    let is_wrong = |line: &str| dotenvy::from_read_iter(line.as_bytes()).any(|item| item.is_err());
    let at = text
        .lines()
        .position(|line| line.contains(first) && is_wrong(line));
    Some(at.unwrap_or(0) + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_file_is_found_on_the_command_line_however_it_is_written() {
        for line in [
            "antiphon dev --config a/b.toml",
            "antiphon dev --config=a/b.toml --port 1",
            "antiphon dev -c a/b.toml",
            "antiphon dev -ca/b.toml",
        ] {
            let words = line.split(' ').map(OsString::from);
            assert_eq!(config_argument(words), Some("a/b.toml".into()), "{line}");
        }
        let none = ["antiphon", "dev", "--port", "1"].map(OsString::from);
        assert_eq!(config_argument(none), None);
    }

    #[test]
    fn a_bad_line_of_dotenv_is_named_without_its_value() {
        assert_eq!(bad_line("A=1\n# note\nB='two words'\n"), None);
        assert_eq!(bad_line("A=1\nOPENAI_API_KEY: sk-never-print\n"), Some(2));
        assert_eq!(bad_line("A=1\n\nB='never closed\nC=1\n"), Some(3));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "A_NAME_OF_NOBODY=1\nB=never-print c d\n").unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(
            error.contains(".env:2") && !error.contains("never-print"),
            "{error}"
        );
    }
}
