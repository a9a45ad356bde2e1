//! The API keys, which may be replaced while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use antiphon_protocol::{Claims, Keys, TokenError, Verifier};

/// The API keys that are valid now. They are looked up for each use: a key that was taken away opens nothing more.
#[derive(Debug)]
pub(crate) struct KeyRing(RwLock<Arc<Verifier>>);

impl KeyRing {
    pub(crate) fn new(keys: Keys) -> Self {
        Self(RwLock::new(Arc::new(Verifier::new(keys))))
    }

    /// From now on these. Are they others than before?
    pub(crate) fn replace(&self, keys: Keys) -> bool {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *current.keys() != keys;
        *current = Arc::new(Verifier::new(keys));
        changed
    }

    fn current(&self) -> Arc<Verifier> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The secret of a key, if it is still valid.
    pub(crate) fn secret(&self, key: &str) -> Option<String> {
        self.current().keys().secret(key).map(str::to_owned)
    }

    /// Check a token.
    pub(crate) fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.current().verify(token)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use antiphon_protocol::AccessToken;

    #[test]
    fn a_key_that_was_taken_away_opens_nothing_more_and_a_new_one_does() {
        let token = |key: &str, secret: &str| {
            AccessToken::new(key, secret)
                .identity("ann")
                .to_jwt()
                .unwrap()
        };
        let ring = KeyRing::new(Keys::single("old", "secret of old"));
        assert!(ring.verify(&token("old", "secret of old")).is_ok());
        assert!(ring.replace(Keys::single("new", "secret of new")));
        assert!(ring.verify(&token("old", "secret of old")).is_err());
        assert!(ring.verify(&token("new", "secret of new")).is_ok());
        assert_eq!(
            (ring.secret("old"), ring.secret("new").as_deref()),
            (None, Some("secret of new"))
        );
    }
}
