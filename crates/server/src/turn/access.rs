//! Who may use the relay: credentials that are made for a participant when it joins, and the server's nonces. Nothing is
//! stored: both can be computed again (RFC 8656 5, RFC 8489 9.2).

use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use turn_types::stun::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, MessageIntegrityCredentials,
};

use crate::keys::KeyRing;

/// LiveKit's.
pub(super) const REALM: &str = "livekit";
/// A nonce is good for this long (RFC 8489 recommends at most an hour).
const NONCE_TTL: Duration = Duration::from_secs(3600);
/// Bytes of a nonce's signature: more than enough for an hour.
const NONCE_TAG_BYTES: usize = 12;
/// What is signed with the API secret for a password, so that no other signature is one.
const PURPOSE: &str = "turn";

/// A user name and what it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    /// Whom it was made for.
    pub(super) participant: String,
    /// Whose key signed it.
    api_key: String,
    /// Unix time; no new allocation after it.
    pub(super) expires: Duration,
}

impl User {
    pub(super) fn new(api_key: &str, participant: &str, expires: Duration) -> Self {
        let text = format!("{api_key}|{participant}|{}", expires.as_secs());
        Self {
            name: URL_SAFE_NO_PAD.encode(text),
            participant: participant.to_owned(),
            api_key: api_key.to_owned(),
            expires,
        }
    }

    /// As it stands in a message; nothing of it is believed until the password was right.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
        // From the end: a key may hold anything.
        let mut parts = text.rsplitn(3, '|');
        let expires = Duration::from_secs(parts.next()?.parse().ok()?);
        let participant = parts.next()?.to_owned();
        let api_key = parts.next()?.to_owned();
        Some(Self {
            name: name.to_owned(),
            participant,
            api_key,
            expires,
        })
    }

    /// `None`: the key is not known any more.
    pub(super) fn password(&self, keys: &KeyRing) -> Option<String> {
        let secret = keys.secret(&self.api_key)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let text = format!("{PURPOSE}|{}|{}", self.participant, self.expires.as_secs());
        Some(URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())))
    }

    /// What its messages are signed with.
    pub(super) fn integrity(&self, keys: &KeyRing) -> Option<IntegrityKey> {
        let password = self.password(keys)?;
        let credentials =
            LongTermKeyCredentials::new(self.name.clone(), password, REALM.to_owned());
        Some(MessageIntegrityCredentials::from(credentials).make_key(IntegrityAlgorithm::Sha1))
    }
}

/// Makes and knows nonces.
pub(super) struct Nonces(hmac::Key);

impl Nonces {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// For this client, from now (Unix time) on.
    pub(super) fn make(&self, client: SocketAddr, now: Duration) -> String {
        let seconds = now.as_secs();
        format!("{seconds:x}.{}", self.tag(client, seconds))
    }

    pub(super) fn is_fresh(&self, nonce: &str, client: SocketAddr, now: Duration) -> bool {
        let Some((seconds, tag)) = nonce.split_once('.') else {
            return false;
        };
        let Ok(made) = u64::from_str_radix(seconds, 16) else {
            return false;
        };
        let age = now.as_secs().checked_sub(made);
        age.is_some_and(|age| age <= NONCE_TTL.as_secs()) && tag == self.tag(client, made)
    }

    fn tag(&self, client: SocketAddr, seconds: u64) -> String {
        let signed = hmac::sign(&self.0, format!("{client}|{seconds}").as_bytes());
        URL_SAFE_NO_PAD.encode(signed.as_ref().get(..NONCE_TAG_BYTES).unwrap_or_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use antiphon_protocol::Keys;

    use super::*;

    #[test]
    fn a_password_belongs_to_one_participant_one_time_and_one_key() {
        let keys = KeyRing::new(Keys::single("a|key", "secret"));
        let user = User::new("a|key", "PA_1", Duration::from_secs(100));
        let read = User::parse(&user.name).unwrap();
        assert_eq!(read, user);
        let password = user.password(&keys).unwrap();
        assert_eq!(read.password(&keys).unwrap(), password);
        for other in [
            User::new("a|key", "PA_2", Duration::from_secs(100)),
            User::new("a|key", "PA_1", Duration::from_secs(101)),
        ] {
            assert_ne!(other.password(&keys).unwrap(), password);
        }
        assert_eq!(User::new("b", "PA_1", Duration::ZERO).password(&keys), None);
        for wrong in ["", "x", "!!", &URL_SAFE_NO_PAD.encode("a|b")] {
            assert_eq!(User::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_nonce_is_good_for_its_client_and_its_hour() {
        let nonces = Nonces::new(&[7; 32]);
        let client = SocketAddr::from(([10, 0, 0, 1], 5000));
        let at = Duration::from_secs;
        let nonce = nonces.make(client, at(1000));
        assert!(
            nonces.is_fresh(&nonce, client, at(1000)) && nonces.is_fresh(&nonce, client, at(4600))
        );
        assert!(
            !nonces.is_fresh(&nonce, client, at(4601)) && !nonces.is_fresh(&nonce, client, at(999))
        );
        assert!(!nonces.is_fresh(&nonce, SocketAddr::from(([10, 0, 0, 1], 5001)), at(1000)));
        assert!(!Nonces::new(&[8; 32]).is_fresh(&nonce, client, at(1000)));
        assert!(
            !nonces.is_fresh("", client, at(1000)) && !nonces.is_fresh("zz.zz", client, at(1000))
        );
    }
}
