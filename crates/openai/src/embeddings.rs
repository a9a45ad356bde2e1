//! Texts as vectors by `/v1/embeddings`: OpenAI, Azure, Ollama, vLLM, TEI and others.

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, EmbedPurpose, Embedder, ProviderInfo, embedding_tokens};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{Attempt, Body, HttpClient, attempts, unexpected};
use crate::config::Endpoint;

/// OpenAI's small model of today; LlamaIndex's default is the older `text-embedding-ada-002`.
pub const DEFAULT_EMBEDDING_MODEL: &str = "text-embedding-3-small";
/// Texts of one request, as LlamaIndex sends them; OpenAI takes 2,048.
const BATCH: usize = 100;
/// Characters of one request: OpenAI refuses more than 300,000 tokens together, and dense languages have one for each character.
const MAX_BATCH_CHARS: usize = 250_000;
/// 100 vectors of 3,072 numbers are 7 MB of JSON.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// What is sent of a text: OpenAI refuses more than 8,191 tokens, which is more than this many characters of any language but the
/// densest, and a passage has some 1,000.
const MAX_TEXT_CHARS: usize = 24_000;

/// The embeddings of one server. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct OpenAiEmbedder {
    client: HttpClient,
    model: String,
    dimensions: Option<usize>,
}

impl OpenAiEmbedder {
    /// `dimensions`: ask for vectors of this many numbers (OpenAI's `text-embedding-3` models can).
    ///
    /// # Errors
    /// When the TLS stack cannot be set up.
    pub fn new(
        endpoint: Endpoint,
        model: impl Into<String>,
        dimensions: Option<usize>,
    ) -> Result<Self, ProviderError> {
        Ok(Self {
            client: HttpClient::new(endpoint)?,
            model: model.into(),
            dimensions,
        })
    }

    async fn batch(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ProviderError> {
        // as LlamaIndex does: vectors of an index that it made differ otherwise
        let input: Vec<String> = texts
            .iter()
            .map(|text| text.chars().take(MAX_TEXT_CHARS).collect::<String>())
            .map(|text| text.replace('\n', " "))
            // an empty text is refused
            .map(|text| if text.is_empty() { " ".into() } else { text })
            .collect();
        let mut body = json!({"model": self.model, "input": input, "encoding_format": "float"});
        if let (Some(dimensions), Some(body)) = (self.dimensions, body.as_object_mut()) {
            body.insert("dimensions".into(), dimensions.into());
        }
        let mut request = Request {
            embedder: self,
            count: texts.len(),
            vectors: Vec::new(),
        };
        attempts(&mut request, &body).await?;
        Ok(request.vectors)
    }
}

/// How many of these texts go into one request.
fn batch(texts: &[String]) -> usize {
    let mut chars = 0;
    let fits = |text: &&String| {
        chars += text.chars().count().min(MAX_TEXT_CHARS);
        chars <= MAX_BATCH_CHARS
    };
    texts.iter().take(BATCH).take_while(fits).count()
}

struct Request<'a> {
    embedder: &'a OpenAiEmbedder,
    count: usize,
    vectors: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Row>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Default, Deserialize)]
struct Usage {
    #[serde(default)]
    total_tokens: u64,
}

impl Attempt for Request<'_> {
    const WHAT: &'static str = "embedding";

    fn given_out(&self) -> bool {
        false
    }

    async fn attempt(&mut self, body: &Value) -> Result<(), ProviderError> {
        let client = &self.embedder.client;
        let timeouts = client.endpoint.timeouts;
        let deadline = Instant::now() + timeouts.first_chunk;
        let response = client.send("/embeddings", Some(body), deadline).await?;
        let bytes = Body::new(response, MAX_ANSWER_BYTES)
            .collect(timeouts.between_chunks)
            .await?;
        self.vectors = read(&bytes, self.count, &self.embedder.model)?;
        Ok(())
    }
}

/// The vectors of an answer, in the order of the texts.
fn read(bytes: &[u8], count: usize, model: &str) -> Result<Vec<Vec<f32>>, ProviderError> {
    let answer: Answer = serde_json::from_slice(bytes)
        .map_err(|_| unexpected("no embeddings; is the model an embedding model?"))?;
    let mut rows: Vec<(usize, Vec<f32>)> = answer
        .data
        .into_iter()
        .enumerate()
        .map(|(at, row)| (row.index.unwrap_or(at), row.embedding))
        .collect();
    rows.sort_by_key(|(index, _)| *index);
    if !rows.iter().map(|(index, _)| *index).eq(0..count) {
        return Err(unexpected(format!(
            "{} embeddings for {count} texts",
            rows.len()
        )));
    }
    tracing::debug!(
        model,
        texts = count,
        tokens = answer.usage.total_tokens,
        "embedded"
    );
    embedding_tokens(answer.usage.total_tokens);
    Ok(rows.into_iter().map(|(_, vector)| vector).collect())
}

impl Embedder for OpenAiEmbedder {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: crate::client::PROVIDER,
            model: self.model.clone(),
        }
    }

    fn dimensions(&self) -> Option<usize> {
        self.dimensions
    }

    fn embed(
        &self,
        texts: Vec<String>,
        _: EmbedPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, ProviderError>> {
        Box::pin(async move {
            let mut vectors = Vec::with_capacity(texts.len());
            let mut rest = texts.as_slice();
            while let Some((batch, after)) = rest.split_at_checked(batch(rest)) {
                if batch.is_empty() {
                    break;
                }
                vectors.extend(self.batch(batch).await?);
                rest = after;
            }
            Ok(vectors)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn vectors_come_in_the_order_of_the_texts_whatever_that_of_the_answer() {
        let answer = br#"{"data": [{"index": 1, "embedding": [0.5]}, {"index": 0, "embedding": [1]}], "usage": {"total_tokens": 7}}"#;
        assert_eq!(read(answer, 2, "m").unwrap(), [vec![1.0], vec![0.5]]);
        // servers that number nothing
        let bare = br#"{"data": [{"embedding": [1]}, {"embedding": [2]}]}"#;
        assert_eq!(read(bare, 2, "m").unwrap(), [vec![1.0], vec![2.0]]);
    }

    #[test]
    fn long_texts_do_not_make_a_request_that_is_refused() {
        assert_eq!(batch(&vec!["short".into(); 250]), BATCH);
        let long = vec!["語".repeat(30_000); 250];
        assert_eq!(batch(&long) * MAX_TEXT_CHARS, 240_000);
        assert_eq!(batch(&[]), 0);
    }

    #[test]
    fn an_answer_without_a_vector_for_each_text_is_an_error() {
        let answer = br#"{"data": [{"index": 0, "embedding": [1]}]}"#;
        assert!(
            read(answer, 2, "m")
                .unwrap_err()
                .to_string()
                .contains("1 embeddings for 2 texts")
        );
        assert!(
            read(b"{}", 1, "m")
                .unwrap_err()
                .to_string()
                .contains("embedding model")
        );
    }
}
