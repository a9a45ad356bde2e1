//! Making and checking access tokens: JWT signed with HMAC-SHA256, and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::IgnoredAny;

use crate::claims::{Claims, ParticipantKind, kind_name};
use crate::grants::VideoGrants;
use crate::proto::RoomConfiguration;

/// Clocks may differ by this much.
pub const LEEWAY: Duration = Duration::from_secs(60);
/// How long a token made here is valid unless said otherwise; LiveKit's SDKs use the same.
pub const DEFAULT_TTL: Duration = Duration::from_secs(6 * 3600);
/// Longer tokens are refused unread: LiveKit allows 512 KiB of metadata and 64 KiB of attributes, which JSON and base64 make
/// longer. In a query, where HTTP libraries end at 64 KiB, a token must be shorter.
pub const MAX_TOKEN_BYTES: usize = 1024 * 1024;

/// API keys and their secrets. `Debug` shows the keys only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<String, String>);

impl Keys {
    /// One key.
    #[must_use]
    pub fn single(key: impl Into<String>, secret: impl Into<String>) -> Self {
        let mut keys = Self::default();
        keys.insert(key, secret);
        keys
    }

    /// Add or replace a key.
    pub fn insert(&mut self, key: impl Into<String>, secret: impl Into<String>) {
        self.0.insert(key.into(), secret.into());
    }

    /// The form of `LIVEKIT_KEYS`: `key: secret`, several of them separated by line ends or commas.
    ///
    /// # Errors
    /// An entry without `:` or with an empty half. The message never holds the secret.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut keys = Self::default();
        let entries = text
            .split(['\n', ','])
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        for (at, entry) in entries.enumerate() {
            let (key, secret) = entry
                .split_once(':')
                .ok_or(TokenError::Keys { entry: at + 1 })?;
            let (key, secret) = (unquote(key), unquote(secret));
            if key.is_empty() || secret.is_empty() {
                return Err(TokenError::Keys { entry: at + 1 });
            }
            keys.insert(key, secret);
        }
        Ok(keys)
    }

    /// The secret of a key.
    #[must_use]
    pub fn secret(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The first key with its secret: the server's own choice when it signs something itself.
    #[must_use]
    pub fn first(&self) -> Option<(&str, &str)> {
        self.iter().next()
    }

    /// Every key with its secret.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, secret)| (key.as_str(), secret.as_str()))
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn unquote(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'']).trim()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a token was refused or could not be made. Holds neither token nor secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64 with JSON in them.
    #[error("invalid authorization token: it is not a JWT")]
    Malformed,
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("invalid authorization token: it is longer than 1 MiB; give it less metadata")]
    TooLong,
    /// `alg` is `none` or anything other than HS256.
    #[error("invalid authorization token: it must be signed with HS256")]
    Algorithm,
    /// `iss` is not one of our keys.
    #[error("invalid API key: {key}")]
    UnknownKey {
        /// The key it names (at most 64 characters of it).
        key: String,
    },
    /// The signature is not that of the key's secret.
    #[error("invalid authorization token: the signature does not fit the API key's secret")]
    Signature,
    /// `exp` is missing.
    #[error("invalid authorization token: it has no expiry (`exp`)")]
    NoExpiry,
    /// Its time is over.
    #[error("invalid authorization token: it has expired")]
    Expired,
    /// Its time has not come.
    #[error("invalid authorization token: it is not valid yet (`nbf`)")]
    NotYetValid,
    /// A claim has the wrong type.
    #[error("invalid authorization token: the claim `{key}` has the wrong form")]
    Claims {
        /// Which, as `video.canPublish`.
        key: String,
    },
    /// Could not be signed.
    #[error("the token could not be signed")]
    Sign,
    /// Keys could not be read.
    #[error("entry {entry} of the API keys is not of the form `key: secret`")]
    Keys {
        /// Counted from 1.
        entry: usize,
    },
}

/// Makes a token.
///
/// ```
/// use antiphon_protocol::{AccessToken, VideoGrants};
/// let jwt = AccessToken::new("devkey", "secret").identity("ann").grants(VideoGrants::join("hall")).to_jwt().unwrap();
/// assert_eq!(jwt.split('.').count(), 3);
/// ```
#[derive(Clone)]
pub struct AccessToken {
    secret: String,
    claims: Claims,
    ttl: Duration,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl AccessToken {
    /// A token signed by that key, with no grants yet.
    #[must_use]
    pub fn new(api_key: impl Into<String>, api_secret: impl Into<String>) -> Self {
        let claims = Claims {
            iss: api_key.into(),
            ..Claims::default()
        };
        Self {
            secret: api_secret.into(),
            claims,
            ttl: DEFAULT_TTL,
        }
    }

    /// A token with claims made elsewhere; `iss` and the times are replaced.
    #[must_use]
    pub fn from_claims(
        api_key: impl Into<String>,
        api_secret: impl Into<String>,
        claims: Claims,
    ) -> Self {
        let claims = Claims {
            iss: api_key.into(),
            ..claims
        };
        Self {
            secret: api_secret.into(),
            claims,
            ttl: DEFAULT_TTL,
        }
    }

    /// For whom.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.claims.sub = identity.into();
        self
    }

    /// Displayed name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.claims.name = name.into();
        self
    }

    /// Kind of participant.
    #[must_use]
    pub fn kind(mut self, kind: ParticipantKind) -> Self {
        self.claims.kind = kind_name(kind).to_owned();
        self
    }

    /// What it allows.
    #[must_use]
    pub fn grants(mut self, grants: VideoGrants) -> Self {
        self.claims.video = Some(grants);
        self
    }

    /// The participant's metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<String>) -> Self {
        self.claims.metadata = metadata.into();
        self
    }

    /// The participant's attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: HashMap<String, String>) -> Self {
        self.claims.attributes = attributes;
        self
    }

    /// How the room shall be made, agents included, if this participant makes it.
    #[must_use]
    pub fn room_config(mut self, config: RoomConfiguration) -> Self {
        self.claims.room_config = Some(config);
        self
    }

    /// Valid for this long; default 6 h.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sign it, valid from now.
    ///
    /// # Errors
    /// [`TokenError::Sign`], which HMAC never causes.
    pub fn to_jwt(self) -> Result<String, TokenError> {
        self.to_jwt_at(SystemTime::now())
    }

    /// Sign it, valid from `now`.
    ///
    /// # Errors
    /// [`TokenError::Sign`], which HMAC never causes.
    pub fn to_jwt_at(mut self, now: SystemTime) -> Result<String, TokenError> {
        let now = unix_seconds(now);
        self.claims.iat = Some(now);
        self.claims.nbf = Some(now);
        self.claims.exp = Some(now.saturating_add(self.ttl.as_secs()));
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &self.claims, &key)
            .map_err(|_| TokenError::Sign)
    }
}

/// Checks tokens against keys.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Keys,
}

impl Verifier {
    /// Accept tokens of these keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self { keys }
    }

    /// Whose tokens are accepted.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Check a token now.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.verify_at(token, SystemTime::now())
    }

    /// Check a token as of `now`.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify_at(&self, token: &str, now: SystemTime) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        check_algorithm(token)?;
        let key = issuer(token)?;
        let secret = self
            .keys
            .secret(&key)
            .ok_or_else(|| TokenError::UnknownKey {
                key: shown(key.clone()),
            })?;
        let claims = check_signature(token, secret)?;
        check_times(&claims, unix_seconds(now))?;
        Ok(claims)
    }
}

/// The header says HS256. It is read before anything else so that the refusal can say why.
fn check_algorithm(token: &str) -> Result<(), TokenError> {
    #[derive(serde::Deserialize)]
    struct Alg {
        alg: String,
    }
    let header: Alg = part(token, 0)?;
    if header.alg == "HS256" {
        Ok(())
    } else {
        Err(TokenError::Algorithm)
    }
}

/// The key that the token names; not yet trusted.
fn issuer(token: &str) -> Result<String, TokenError> {
    #[derive(serde::Deserialize)]
    struct Iss {
        #[serde(default)]
        iss: String,
    }
    let claims: Iss = part(token, 1)?;
    Ok(claims.iss)
}

fn part<T: serde::de::DeserializeOwned>(token: &str, at: usize) -> Result<T, TokenError> {
    crate::json::from_slice(&part_bytes(token, at)?).map_err(|_| TokenError::Malformed)
}

fn part_bytes(token: &str, at: usize) -> Result<Vec<u8>, TokenError> {
    if token.split('.').count() != 3 {
        return Err(TokenError::Malformed);
    }
    let text = token.split('.').nth(at).ok_or(TokenError::Malformed)?;
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| TokenError::Malformed)
}

/// Of a name from outside, as much as a message needs.
fn shown(name: String) -> String {
    name.chars().take(64).collect()
}

fn check_signature(token: &str, secret: &str) -> Result<Claims, TokenError> {
    use jsonwebtoken::errors::ErrorKind;
    // Times are checked by `check_times`, against a clock that is an argument.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.as_bytes());
    // What it says is read once it is known who says it.
    match jsonwebtoken::decode::<IgnoredAny>(token, &key, &validation) {
        Ok(_) => {
            let json = part_bytes(token, 1)?;
            crate::json::from_slice(&json).map_err(|_| {
                match crate::json::wrong_key::<Claims>(&json) {
                    Some(key) => TokenError::Claims { key: shown(key) },
                    None => TokenError::Malformed,
                }
            })
        }
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => TokenError::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenError::Algorithm,
            _ => TokenError::Malformed,
        }),
    }
}

fn check_times(claims: &Claims, now: u64) -> Result<(), TokenError> {
    let exp = claims.exp.ok_or(TokenError::NoExpiry)?;
    if exp.saturating_add(LEEWAY.as_secs()) < now {
        return Err(TokenError::Expired);
    }
    match claims.nbf {
        Some(nbf) if nbf > now.saturating_add(LEEWAY.as_secs()) => Err(TokenError::NotYetValid),
        _ => Ok(()),
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
