//! One event on its way: signed, sent, repeated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_protocol::proto::WebhookEvent;
use antiphon_protocol::{AccessToken, Claims};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};

use crate::error::ServerError;
use crate::keys::KeyRing;
use crate::limits::{WEBHOOK_ATTEMPTS, WEBHOOK_MAX_AGE, WEBHOOK_TIMEOUT};

/// LiveKit's: a receiver checks the signature before it reads the body as JSON.
const MEDIA_TYPE: &str = "application/webhook+json";
/// The signature is valid for this long; LiveKit's.
const TOKEN_TTL: Duration = Duration::from_secs(300);
/// The pause before the second attempt; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, whatever the receiver asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Posts to one address.
pub(super) struct Poster {
    client: reqwest::Client,
    url: String,
    api_key: String,
    keys: Arc<KeyRing>,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    /// It may be taken another time.
    Again,
    /// It will not.
    Refused,
}

/// The client that all addresses share. It follows no redirect: a signed message goes where the operator said.
pub(super) fn client() -> Result<reqwest::Client, ServerError> {
    reqwest::Client::builder()
        .timeout(WEBHOOK_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("antiphon/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ServerError::Config {
            setting: "webhook",
            problem: format!("no HTTP client could be made: {error}"),
        })
}

impl Poster {
    pub(super) fn new(
        client: reqwest::Client,
        url: String,
        api_key: String,
        keys: Arc<KeyRing>,
    ) -> Self {
        Self {
            client,
            url,
            api_key,
            keys,
        }
    }

    /// Send it until it is taken, refused, too old, or tried too often. The outcome is a label.
    pub(super) async fn deliver(&self, event: &WebhookEvent, since: Instant) -> &'static str {
        let Ok(body) = serde_json::to_vec(event) else {
            return "failed";
        };
        for attempt in 1..=WEBHOOK_ATTEMPTS {
            let (verdict, why, asked) = self.once(&body).await;
            match verdict {
                Verdict::Taken => return "sent",
                Verdict::Refused => {
                    tracing::warn!(
                        event = event.event,
                        id = event.id,
                        url = self.shown(),
                        why,
                        "a webhook was refused"
                    );
                    return "refused";
                }
                Verdict::Again => {
                    let pause = pause(attempt, asked);
                    let late = since.elapsed() + pause > WEBHOOK_MAX_AGE;
                    if attempt == WEBHOOK_ATTEMPTS || late {
                        tracing::warn!(
                            event = event.event,
                            id = event.id,
                            url = self.shown(),
                            attempt,
                            why,
                            "a webhook was given up"
                        );
                        return "failed";
                    }
                    tracing::debug!(event = event.event, attempt, why, "a webhook is sent again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
        "failed"
    }

    async fn once(&self, body: &[u8]) -> (Verdict, String, Option<Duration>) {
        let Some(signature) = self.signature(body) else {
            let why = format!("the API key {} is no longer known", self.api_key);
            return (Verdict::Refused, why, None);
        };
        let sent = self
            .client
            .post(&self.url)
            .header(AUTHORIZATION, signature)
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .body(body.to_vec())
            .send()
            .await;
        match sent {
            Ok(response) => {
                let status = response.status();
                let asked = retry_after(response.headers());
                (verdict(status), format!("status {status}"), asked)
            }
            // The address may hold a password.
            Err(error) => (Verdict::Again, error.without_url().to_string(), None),
        }
    }

    /// A token that holds the body's hash, signed with the key's secret.
    fn signature(&self, body: &[u8]) -> Option<String> {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
        let claims = Claims {
            sha256: STANDARD.encode(hash),
            ..Claims::default()
        };
        AccessToken::from_claims(&self.api_key, self.keys.secret(&self.api_key)?, claims)
            .ttl(TOKEN_TTL)
            .to_jwt()
            .ok()
    }

    /// For logs: without a query, which may hold a secret.
    fn shown(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }
}

/// As LiveKit's client: what may be a passing trouble is tried again.
fn verdict(status: StatusCode) -> Verdict {
    if status.is_success() {
        Verdict::Taken
    } else if (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
    {
        Verdict::Again
    } else {
        Verdict::Refused
    }
}

fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let own = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(8));
    asked.map_or(own, |asked| asked.max(own)).min(LONGEST_PAUSE)
}

/// In seconds; a date is not looked at.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passing_trouble_is_tried_again_and_a_refusal_is_not() {
        let of = |code| verdict(StatusCode::from_u16(code).unwrap_or_default());
        assert_eq!([200, 204].map(of), [Verdict::Taken; 2]);
        assert_eq!([408, 429, 500, 502, 503].map(of), [Verdict::Again; 5]);
        assert_eq!(
            [301, 400, 401, 404, 410, 501].map(of),
            [Verdict::Refused; 6]
        );
    }

    #[test]
    fn pauses_grow_and_the_receiver_may_ask_for_longer_ones_up_to_a_limit() {
        let seconds =
            |attempt, asked: Option<u64>| pause(attempt, asked.map(Duration::from_secs)).as_secs();
        assert_eq!([1, 2, 3, 4].map(|n| seconds(n, None)), [1, 2, 4, 8]);
        assert_eq!(seconds(1, Some(7)), 7);
        assert_eq!(seconds(3, Some(1)), 4);
        assert_eq!(seconds(1, Some(86_400)), LONGEST_PAUSE.as_secs());
    }
}
