//! A retriever of one's own, over HTTP: a Python service with LlamaIndex behind it, for one.
//!
//! `POST url` with `{"query", "before", "top_k", "filter", "tenant"}`; the answer is `{"passages": [{"text", "source", "page", "score"}]}`,
//! best first. All but `text` may be missing.

use std::time::Duration;

use antiphon_chat::Passage;
use antiphon_dialogue::limits::MAX_PASSAGES;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BoxFuture, Found, Knowledge, Query};
use crate::error::AgentError;

/// Bytes of an answer that are read; 20 passages have 100 kB.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Without a budget.
const PATIENCE: Duration = Duration::from_secs(10);

/// The retriever. Its connections are kept.
#[derive(Clone, Debug)]
pub struct RemoteKnowledge {
    client: reqwest::Client,
    url: reqwest::Url,
    headers: HeaderMap,
}

#[derive(Deserialize)]
struct Answer {
    passages: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    page: Option<Value>,
    #[serde(default)]
    score: Option<f32>,
}

impl RemoteKnowledge {
    /// At this address. It is the operator's, so it may be in a private network.
    ///
    /// # Errors
    /// When the address or a header is none, or the TLS stack cannot be set up.
    pub fn new<'a>(
        url: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, AgentError> {
        let wrong = |what: String| AgentError::Knowledge(what);
        let url = reqwest::Url::parse(url)
            .map_err(|error| wrong(format!("{url} is no address: {error}")))?;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let named = HeaderName::try_from(name)
                .map_err(|_| wrong(format!("`{name}` is no name of a header")))?;
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| wrong(format!("the value of the header `{name}` cannot be sent")))?;
            value.set_sensitive(true);
            map.insert(named, value);
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(PATIENCE)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            client,
            url,
            headers: map,
        })
    }

    async fn ask(&self, query: &Query) -> Result<Vec<Passage>, String> {
        let body = json!({"query": query.text, "before": query.before, "top_k": query.top_k, "filter": query.filter, "tenant": query.tenant});
        let request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone());
        let request = request
            .timeout(query.budget.unwrap_or(PATIENCE))
            .json(&body);
        let response = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let mut response = response.map_err(|error| error.without_url().to_string())?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| error.without_url().to_string())?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER_BYTES {
                return Err(format!("its answer has more than {MAX_ANSWER_BYTES} bytes"));
            }
        }
        read(&bytes)
    }
}

fn read(bytes: &[u8]) -> Result<Vec<Passage>, String> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| {
        format!("its answer is not {{\"passages\": [{{\"text\": …}}]}}: {error}")
    })?;
    let passage = |found: Row| Passage {
        text: found.text,
        source: found.source.unwrap_or_default(),
        page: found.page.and_then(|page| match page {
            Value::String(page) => Some(page),
            Value::Number(page) => Some(page.to_string()),
            _ => None,
        }),
        score: found.score.unwrap_or_default(),
    };
    let passages = answer.passages.into_iter().map(passage);
    Ok(passages
        .filter(|passage| !passage.text.trim().is_empty())
        .take(MAX_PASSAGES)
        .collect())
}

impl Knowledge for RemoteKnowledge {
    fn search(&self, query: Query) -> BoxFuture<'_, Found> {
        Box::pin(async move {
            let host = self.url.host_str().unwrap_or_default();
            match self.ask(&query).await {
                Ok(passages) => passages.into(),
                Err(reason) => Found::failed(format!("the knowledge at {host}: {reason}")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_answer_needs_no_more_than_texts() {
        let found = read(
            br#"{"passages": [{"text": "Open until ten.", "page": 3}, {"text": " "}], "more": 1}"#,
        )
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().unwrap().page.as_deref(), Some("3"));
        assert!(read(b"[]").unwrap_err().contains("passages"));
    }
}
