//! What the simulator was asked, so that a test can look at it. Keys are taken out.

use std::collections::{BTreeMap, VecDeque};

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

/// More are forgotten, the oldest first: a bench makes many.
pub const MAX_RECORDED: usize = 10_000;
/// Messages of one WebSocket beyond this are only counted.
pub const MAX_MESSAGES: usize = 1000;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recorded {
    /// `POST`, `GET`, or `WS`.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, decoded pairs in order.
    pub query: Vec<(String, String)>,
    /// Headers, lower case; keys redacted.
    pub headers: BTreeMap<String, String>,
    /// The JSON body, `null` when there is none.
    pub body: Value,
    /// Of a WebSocket: the types of the text messages in order (`KeepAlive`, `Finalize`, `CloseStream`).
    pub messages: Vec<String>,
    /// Of a WebSocket or a REST request: bytes of sound.
    pub audio_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    requests: VecDeque<Recorded>,
    dropped: u64,
}

impl Log {
    /// Adds a request; the number finds it again.
    pub(crate) fn push(&mut self, request: Recorded) -> u64 {
        if self.requests.len() == MAX_RECORDED {
            self.requests.pop_front();
            self.dropped += 1;
        }
        self.requests.push_back(request);
        self.dropped + self.requests.len() as u64 - 1
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Recorded> {
        let index = usize::try_from(number.checked_sub(self.dropped)?).ok()?;
        self.requests.get_mut(index)
    }

    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.requests.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.dropped += self.requests.len() as u64;
        self.requests.clear();
    }
}

pub(crate) fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |name: &str, value: &axum::http::HeaderValue| {
        let value = value.to_str().unwrap_or("(not text)");
        if !matches!(name, "authorization" | "api-key" | "sec-websocket-protocol") {
            return value.to_owned();
        }
        let (scheme, _) = value.split_once(' ').unwrap_or(("", value));
        format!("{scheme} [key]")
    };
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(name.as_str(), value)))
        .collect()
}
