//! A key that cannot be printed by mistake.

use std::fmt;

/// A key of this many bytes is nobody's word.
const MIN_ANYWHERE_BYTES: usize = 8;

/// An API key. `Debug` shows only that it is there, there is no `Display`, and it does not serialise, so it can stand in
/// configuration structs that are logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A key; white space around it (a line end from a file) is taken off. `None` when nothing is left.
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// The key itself, to be put into a request header and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the key, for messages of providers that quote it. A short one (`x`, `ollama`: many servers take any) is
    /// looked for as a word of its own, or it would be found in every other.
    pub fn scrub(&self, text: &str) -> String {
        if self.0.len() >= MIN_ANYWHERE_BYTES {
            return text.replace(&self.0, "[key]");
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(&self.0) {
            let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
            // what was said of this text so far ends here
            let is_within = before
                .chars()
                .next_back()
                .or(out.chars().next_back())
                .is_some_and(is_of_word)
                || after.starts_with(is_of_word);
            out.push_str(before);
            out.push_str(if is_within { &self.0 } else { "[key]" });
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([key])")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Secret;

    #[test]
    fn a_key_is_never_printed() {
        let key = Secret::new(" sk-123456\n").unwrap();
        assert_eq!(key.expose(), "sk-123456");
        assert!(!format!("{key:?}").contains("123456"));
        assert_eq!(key.scrub("bad key sk-123456."), "bad key [key].");
    }

    #[test]
    fn a_short_key_does_not_spoil_other_words() {
        let key = Secret::new("x").unwrap();
        assert_eq!(
            key.scrub("max_x x, x_y: xx (x)"),
            "max_x [key], x_y: xx ([key])"
        );
        let key = Secret::new("max").unwrap();
        assert_eq!(key.scrub("max_tokens, max"), "max_tokens, [key]");
    }

    #[test]
    fn an_empty_key_is_no_key() {
        assert_eq!(Secret::new("  "), None);
    }
}
