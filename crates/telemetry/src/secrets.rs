//! Keys never stand in a log line, whoever quotes them: a provider, a tool's server, a library.

use std::sync::{PoisonError, RwLock};

use crate::lines::Lines;

/// A shorter secret is none: it would be found in ordinary words.
pub const SHORTEST_SECRET: usize = 8;
/// Stands in a secret's place.
const HIDDEN: &str = "[secret]";

/// As they may stand in a line, the longest first, so that none that is part of another leaves the rest of it.
static HIDE: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From here on these texts are left out of every line that [`logs::init`](crate::logs::init) has written. Those shorter than
/// [`SHORTEST_SECRET`] are not looked for.
pub fn hide(secrets: impl IntoIterator<Item = impl AsRef<str>>) {
    let mut hide = HIDE.write().unwrap_or_else(PoisonError::into_inner);
    for secret in secrets {
        let secret = secret.as_ref();
        if secret.len() < SHORTEST_SECRET {
            continue;
        }
        // Fields stand in quotes: in text as Rust writes them, in JSON nearly so.
        let quoted = format!("{secret:?}");
        let inside = quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        for form in [Some(secret), inside].into_iter().flatten() {
            if !hide.iter().any(|known| known == form) {
                hide.push(form.to_owned());
            }
        }
    }
    hide.sort_by_key(|form| std::cmp::Reverse(form.len()));
}

/// The text without what [`hide`] was given: for what is shown to people in another way than by a log line.
#[must_use]
pub fn hidden(text: &str) -> String {
    let hide = HIDE.read().unwrap_or_else(PoisonError::into_inner);
    without(text, &hide).unwrap_or_else(|| text.to_owned())
}

/// The line without secrets; `None`: there was none in it.
fn without(line: &str, hide: &[String]) -> Option<String> {
    let found: Vec<&String> = hide
        .iter()
        .filter(|secret| line.contains(secret.as_str()))
        .collect();
    (!found.is_empty()).then(|| {
        found.into_iter().fold(line.to_owned(), |line, secret| {
            line.replace(secret.as_str(), HIDDEN)
        })
    })
}

/// Writes lines without secrets.
pub(crate) fn hiding<W>(out: W) -> Lines<W> {
    Lines {
        out,
        change: |line| without(line, &HIDE.read().unwrap_or_else(PoisonError::into_inner)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_key_that_somebody_quotes_is_not_in_the_log() {
        hide(["hunter2-hunter2", "hunter2-hunter2-and-\"more\"", "short"]);
        let mut written = Vec::new();
        let mut log = hiding(&mut written);
        log.write_all(b"a short line: the server said hunter2-hunter2 is wrong\n")
            .unwrap();
        log.write_all(br#"{"error":"hunter2-hunter2-and-\"more\" is wrong"}"#)
            .unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "a short line: the server said [secret] is wrong\n{\"error\":\"[secret] is wrong\"}"
        );
    }
}
