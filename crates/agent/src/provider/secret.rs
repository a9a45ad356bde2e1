//! A key that cannot be printed by mistake.

use std::fmt;

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

    /// `text` without the key, for messages of providers that quote it.
    pub fn scrub(&self, text: &str) -> String {
        text.replace(&self.0, "[key]")
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
    fn an_empty_key_is_no_key() {
        assert_eq!(Secret::new("  "), None);
    }
}
