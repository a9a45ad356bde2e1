//! HTTP: errors in our words, retries, limits of time and size.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::Secret;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::chat::failure::{self, ServerError};
use crate::config::{Dialect, Endpoint};

/// The name in errors, logs and metrics.
pub(crate) const PROVIDER: &str = "openai";
/// How often a request is sent at most. LiveKit's policy, one try less: the caller waits.
pub(crate) const MAX_ATTEMPTS: u32 = 3;
/// A `Retry-After` beyond this means: not in this turn.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);
/// How much of an error's body is read.
const MAX_ERROR_BYTES: usize = 16 * 1024;
/// How much of it is told.
const MAX_MESSAGE_CHARS: usize = 300;
/// A little below the time after which servers and load balancers drop idle connections.
const POOL_IDLE: Duration = Duration::from_secs(55);

/// One server, its connections kept warm.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    http: Client,
    pub(crate) endpoint: Endpoint,
    /// In messages: `openai`, or the host of somebody's own server.
    pub(crate) name: &'static str,
}

/// Why a request failed.
pub(crate) struct Failure {
    pub(crate) error: ProviderError,
    /// All that the server said, for us to read: nothing for a log.
    pub(crate) said: String,
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let said = String::new();
        Self { error, said }
    }
}

impl Failure {
    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.error = self.error.named(name);
        self
    }
}

/// The name of a server in messages. Errors hold `&'static str`; a process knows the few servers of its configuration, so each
/// name is kept once and for ever.
fn name_of(endpoint: &Endpoint) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let host = match endpoint.host() {
        Some(host) if endpoint.dialect == Dialect::Compatible => host,
        Some(_) | None => return PROVIDER,
    };
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(host.as_str()) {
        return known;
    }
    let name: &'static str = Box::leak(host.into_boxed_str());
    names.insert(name);
    name
}

impl HttpClient {
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, ProviderError> {
        let mut builder = Client::builder()
            .connect_timeout(endpoint.timeouts.connect)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("antiphon/", env!("CARGO_PKG_VERSION")))
            // A redirected POST becomes a GET; a wrong base URL is better said than followed.
            .redirect(reqwest::redirect::Policy::none());
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| connection_error(&error))?;
        let name = name_of(&endpoint);
        Ok(Self {
            http,
            endpoint,
            name,
        })
    }

    /// Send once; the answer's head must be there before `deadline`.
    pub(crate) async fn send(
        &self,
        path: &str,
        body: Option<&Value>,
        deadline: Instant,
    ) -> Result<Response, ProviderError> {
        let sent = self.ask(path, body, deadline).await;
        sent.map_err(|failure| failure.named(self.name).error)
    }

    /// The same, with all that the server says when it refuses.
    pub(crate) async fn ask(
        &self,
        path: &str,
        body: Option<&Value>,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let method = if body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.endpoint.base_url));
        if let Some(key) = &self.endpoint.api_key {
            request = request.bearer_auth(key.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let after = deadline.saturating_duration_since(Instant::now());
        let response = match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_timeout() && error.is_connect() => {
                return Err(Failure::from(ProviderError::Timeout {
                    provider: PROVIDER,
                    after: self.endpoint.timeouts.connect,
                }));
            }
            Ok(Err(error)) => return Err(connection_error(&error).into()),
            Err(_) => {
                return Err(Failure::from(ProviderError::Timeout {
                    provider: PROVIDER,
                    after,
                }));
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.status_error(response).await)
    }

    /// Ask for the list of models, which costs nothing, so that a connection is open when it is needed.
    pub(crate) fn prewarm(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let client = self.clone();
        runtime.spawn(async move {
            let deadline = Instant::now() + client.endpoint.timeouts.connect;
            match client.send("/models", None, deadline).await {
                // The connection goes back to the pool only when the body has been read.
                Ok(response) => drop(
                    timeout_at(
                        deadline,
                        Body::new(response, MAX_PREWARM_BYTES).collect(POOL_IDLE),
                    )
                    .await,
                ),
                Err(error) => tracing::debug!(provider = PROVIDER, %error, "prewarming failed"),
            }
        });
    }

    async fn status_error(&self, response: Response) -> Failure {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let location = response
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = Body::new(response, MAX_ERROR_BYTES)
            .collect(Duration::from_secs(2))
            .await
            .unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let said = failure::of_body(&body);
        let no_credit = status == StatusCode::PAYMENT_REQUIRED || lacks_credit(status, &said);
        let message = self.clean(location.map_or(said.message, |to| {
            format!("moved to {to}; set OPENAI_BASE_URL to it")
        }));
        let error = match status {
            // trying again does not help, and the fix is the account's
            _ if no_credit => ProviderError::Setup {
                provider: PROVIDER,
                what: format!("has no credit left ({})", status.as_u16()),
                fix: format!(
                    "look at the account's billing and limits{}, add credit or raise the limit",
                    match self.endpoint.dialect {
                        Dialect::OpenAi =>
                            " (https://platform.openai.com/settings/organization/billing)",
                        Dialect::Compatible => "",
                    }
                ),
                message,
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ProviderError::Unauthorized {
                provider: PROVIDER,
                status: status.as_u16(),
                message,
            },
            StatusCode::TOO_MANY_REQUESTS => ProviderError::RateLimited {
                provider: PROVIDER,
                retry_after,
                message,
            },
            other => ProviderError::Status {
                provider: PROVIDER,
                status: other.as_u16(),
                message,
            },
        };
        Failure { error, said: body }
    }

    /// Providers quote parts of keys in their messages.
    pub(crate) fn clean(&self, message: String) -> String {
        clean(&message, self.endpoint.api_key.as_ref())
    }
}

/// Does a refusal mean that there is nothing left to pay with?
fn lacks_credit(status: StatusCode, said: &ServerError) -> bool {
    let codes = [
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
        "insufficient_balance",
        "insufficient_credits",
    ];
    let words = [
        "exceeded your current quota",
        "insufficient balance",
        "insufficient credit",
        "insufficient funds",
        "credit balance is too low",
        "out of credit",
    ];
    let message = said.message.to_ascii_lowercase();
    status.is_client_error()
        && (said
            .code
            .as_ref()
            .is_some_and(|code| codes.contains(&code.as_str()))
            || words.iter().any(|words| message.contains(words)))
}

/// The list of models is about 10 kB at OpenAI, more at aggregators, which then pay with a new connection.
const MAX_PREWARM_BYTES: usize = 512 * 1024;

/// A body with a limit of size.
pub(crate) struct Body {
    response: Response,
    left: usize,
    limit: usize,
}

impl Body {
    pub(crate) fn new(response: Response, limit_bytes: usize) -> Self {
        Self {
            response,
            left: limit_bytes,
            limit: limit_bytes,
        }
    }

    pub(crate) fn content_type(&self) -> String {
        let value = self
            .response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    }

    /// The next bytes, within `wait`; `None` at the proper end.
    pub(crate) async fn next(&mut self, wait: Duration) -> Result<Option<Bytes>, ProviderError> {
        let bytes = match timeout(wait, self.response.chunk()).await {
            Err(_) => {
                return Err(ProviderError::Timeout {
                    provider: PROVIDER,
                    after: wait,
                });
            }
            Ok(Err(error)) => return Err(connection_error(&error)),
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(bytes))) => bytes,
        };
        match self.left.checked_sub(bytes.len()) {
            Some(left) => self.left = left,
            None => {
                return Err(unexpected(format!(
                    "an answer longer than {} bytes",
                    self.limit
                )));
            }
        }
        Ok(Some(bytes))
    }

    /// All of it.
    pub(crate) async fn collect(mut self, wait: Duration) -> Result<Vec<u8>, ProviderError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next(wait).await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}

/// One streamed request that may be tried again.
pub(crate) trait Attempt: Send {
    /// What it asks for, for the log.
    const WHAT: &'static str;

    /// Something was given out: another try would say it twice.
    fn given_out(&self) -> bool;

    /// Try it once.
    fn attempt(&mut self, body: &Value) -> impl Future<Output = Result<(), ProviderError>> + Send;
}

/// Try until it works, nothing more is to be hoped for, or something was given out.
pub(crate) async fn attempts<A: Attempt>(run: &mut A, body: &Value) -> Result<(), ProviderError> {
    let mut attempt = 1;
    loop {
        let Err(error) = run.attempt(body).await else {
            return Ok(());
        };
        let delay = retry_delay(&error, attempt).filter(|_| !run.given_out());
        let Some(delay) = delay else {
            return Err(error);
        };
        tracing::warn!(provider = PROVIDER, attempt, %error, "{} failed, trying again", A::WHAT);
        tokio::time::sleep(delay).await;
        attempt += 1;
    }
}

/// How long to wait before the next try; `None`: give up. `attempt` is 1 after the first failure.
fn retry_delay(error: &ProviderError, attempt: u32) -> Option<Duration> {
    if attempt >= MAX_ATTEMPTS || !error.retryable() {
        return None;
    }
    let usual = if attempt == 1 {
        Duration::from_millis(100)
    } else {
        Duration::from_secs(2)
    };
    match error {
        ProviderError::RateLimited {
            retry_after: Some(after),
            ..
        } if *after > MAX_RETRY_AFTER => None,
        ProviderError::RateLimited {
            retry_after: Some(after),
            ..
        } => Some((*after).max(usual)),
        _ => Some(usual),
    }
}

pub(crate) fn unexpected(message: impl Into<String>) -> ProviderError {
    ProviderError::Protocol {
        provider: PROVIDER,
        message: message.into(),
    }
}

fn connection_error(error: &reqwest::Error) -> ProviderError {
    // The outermost message holds the URL and says "error sending request"; the reason is the innermost one.
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let message = shortened(&reason.to_string());
    // the resolver has no kind of its own
    let lower = message.to_ascii_lowercase();
    let resolver = [
        "lookup address",
        "dns",
        "name or service",
        "resolve",
        "no such host",
    ];
    if error.is_connect() && resolver.iter().any(|words| lower.contains(words)) {
        return ProviderError::Unresolved {
            provider: PROVIDER,
            message,
        };
    }
    ProviderError::Connection {
        provider: PROVIDER,
        message,
    }
}

/// Seconds (OpenAI also says milliseconds, more exactly). A date is rare and means long: left to the usual delay.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms")
        .map(|ms| ms / 1000.0)
        .or_else(|| number(RETRY_AFTER.as_str()))?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn clean(message: &str, key: Option<&Secret>) -> String {
    let message = key.map_or_else(|| message.to_owned(), |key| key.scrub(message));
    let words = message
        .split_whitespace()
        .map(|word| if word.contains("sk-") { "[key]" } else { word });
    shortened(&words.collect::<Vec<_>>().join(" "))
}

fn shortened(message: &str) -> String {
    let mut short: String = message.chars().take(MAX_MESSAGE_CHARS).collect();
    if short.is_empty() {
        short.push_str("no reason given");
    }
    short
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn limited(seconds: u64) -> ProviderError {
        let retry_after = Some(Duration::from_secs(seconds));
        ProviderError::RateLimited {
            provider: PROVIDER,
            retry_after,
            message: String::new(),
        }
    }

    #[test]
    fn a_request_is_tried_three_times_and_retry_after_is_honoured_up_to_a_limit() {
        let broken = ProviderError::Connection {
            provider: PROVIDER,
            message: String::new(),
        };
        assert_eq!(retry_delay(&broken, 1), Some(Duration::from_millis(100)));
        assert_eq!(retry_delay(&broken, 2), Some(Duration::from_secs(2)));
        assert_eq!(retry_delay(&broken, 3), None);
        assert_eq!(retry_delay(&limited(3), 1), Some(Duration::from_secs(3)));
        assert_eq!(retry_delay(&limited(60), 1), None);
        assert_eq!(retry_delay(&unexpected("x"), 1), None);
    }

    #[test]
    fn a_key_quoted_by_the_provider_is_not_repeated() {
        let key = Secret::new("local-key").unwrap();
        let text = clean(
            "Incorrect API key provided: sk-abcd****wxyz. Or local-key?",
            Some(&key),
        );
        assert_eq!(text, "Incorrect API key provided: [key] Or [key]?");
    }
}
