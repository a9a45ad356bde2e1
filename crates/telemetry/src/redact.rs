//! Secrets and tokens never reach a log: a type that does not print itself, and URLs without their secret parts.

use std::fmt;

/// What is printed instead of a secret.
const HIDDEN: &str = "[redacted]";

/// Query parameters that carry credentials, lower case.
const SECRET_PARAMETERS: [&str; 11] = [
    "access_token",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "key",
    "secret",
    "password",
    "sig",
    "signature",
    "join_request",
];

/// A key, token or password. `Debug` and `Display` hide it; it has no `Serialize`; it is read where it is used, by
/// [`Secret::expose`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Hide this.
    pub const fn new(secret: T) -> Self {
        Self(secret)
    }

    /// The secret itself: for a header, a signature, a comparison; never for a message.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(secret: T) -> Self {
        Self(secret)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A URL that may be logged: without user and password, without the values of parameters that carry credentials. Works on
/// any text, so that also a malformed URL is safe to log.
pub fn redact_url(url: &str) -> String {
    let (rest, fragment) = url
        .split_once('#')
        .map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
    let (base, query) = rest
        .split_once('?')
        .map_or((rest, None), |(base, query)| (base, Some(query)));
    let mut out = without_user(base);
    for (mark, part) in [('?', query), ('#', fragment)] {
        if let Some(part) = part {
            out.push(mark);
            out.push_str(&redact_parameters(part));
        }
    }
    out
}

fn without_user(base: &str) -> String {
    let (scheme, rest) = base
        .split_once("://")
        .map_or(("", base), |(scheme, rest)| (scheme, rest));
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map(|(_, host)| host);
    match (scheme, host) {
        ("", None) => base.to_owned(),
        ("", Some(host)) => format!("{HIDDEN}@{host}{path}"),
        (scheme, None) => format!("{scheme}://{authority}{path}"),
        (scheme, Some(host)) => format!("{scheme}://{HIDDEN}@{host}{path}"),
    }
}

fn redact_parameters(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn is_secret(name: &str) -> bool {
    // A name with percent signs may be any name.
    let name = name.to_ascii_lowercase();
    name.contains('%')
        || SECRET_PARAMETERS
            .iter()
            .any(|secret| name == *secret || name.ends_with(&format!("_{secret}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new(String::from("sk-very-secret"));
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "[redacted] [redacted] Some([redacted])"
        );
        assert_eq!(secret.expose(), "sk-very-secret");
    }

    #[test]
    fn urls_are_logged_without_tokens_and_passwords() {
        let cases = [
            (
                "wss://a.example/rtc?access_token=eyJ.x.y&auto_subscribe=1",
                "wss://a.example/rtc?access_token=[redacted]&auto_subscribe=1",
            ),
            (
                "https://u:p@a.example:8443/x",
                "https://[redacted]@a.example:8443/x",
            ),
            (
                "https://a.example/x#token=abc",
                "https://a.example/x#token=[redacted]",
            ),
            ("/rtc?ACCESS_TOKEN=abc", "/rtc?ACCESS_TOKEN=[redacted]"),
            ("/rtc?access%5Ftoken=abc", "/rtc?access%5Ftoken=[redacted]"),
            (
                "https://a.example/x?X-Amz_Signature=abc&q=tokens",
                "https://a.example/x?X-Amz_Signature=[redacted]&q=tokens",
            ),
            ("not a url", "not a url"),
            (
                "https://a.example/@home?q=a@b",
                "https://a.example/@home?q=a@b",
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(redact_url(url), expected);
        }
    }
}
