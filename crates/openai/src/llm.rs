//! [`OpenAiLlm`]: streamed chat completions with function tools.

use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxStream, ChatChunk, Llm, ProviderInfo, ToolDefinition};
use antiphon_dialogue::chat::ChatRequest;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::chat::answer::{Answer, AnswerError};
use crate::chat::request;
use crate::client::{Attempt, Body, HttpClient, PROVIDER, attempts, unexpected};
use crate::config::LlmConfig;
use crate::generator::generate;
use crate::probe::{self, Finding};
use crate::sse::{MAX_EVENT_BYTES, SseParser};

/// A spoken answer is a few kB; each token costs some 250 bytes on the wire.
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// After the finish reason only the count of tokens follows.
const WAIT_FOR_USAGE: Duration = Duration::from_secs(1);
/// After `[DONE]` nothing follows but the end.
const WAIT_FOR_END: Duration = Duration::from_millis(20);

/// Chat completions of OpenAI or any server that speaks them. The request is sent when the stream is first polled and
/// cancelled when it is dropped.
#[derive(Clone, Debug)]
pub struct OpenAiLlm {
    config: Arc<LlmConfig>,
    client: HttpClient,
}

type Item = Result<ChatChunk, ProviderError>;

impl OpenAiLlm {
    /// A model that opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Connection`] when the system has no usable certificates.
    pub fn new(config: LlmConfig) -> Result<Self, ProviderError> {
        let client = HttpClient::new(config.endpoint.clone())?;
        Ok(Self {
            config: Arc::new(config),
            client,
        })
    }

    /// What `antiphon doctor` prints: is the server there, does it take the key, does it know the model?
    pub async fn probe(&self) -> Vec<Finding> {
        probe::probe(&self.client, &self.config.model).await
    }
}

impl Llm for OpenAiLlm {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: PROVIDER,
            model: self.config.model.clone(),
        }
    }

    fn chat(&self, request: ChatRequest, tools: Arc<[ToolDefinition]>) -> BoxStream<Item> {
        let body = request::body(&self.config, &request, &tools);
        let client = self.client.clone();
        generate(move |items| async move {
            let total = client.endpoint.timeouts.total;
            let mut run = Run {
                client: &client,
                items,
                given_out: false,
            };
            let outcome = timeout_at(Instant::now() + total, attempts(&mut run, &body)).await;
            let error = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => ProviderError::Timeout {
                    provider: PROVIDER,
                    after: total,
                },
            };
            // Nobody listens any more: nobody to tell.
            let _ = run.items.send(Err(error)).await;
        })
    }

    fn prewarm(&self) {
        self.client.prewarm();
    }
}

struct Run<'a> {
    client: &'a HttpClient,
    items: mpsc::Sender<Item>,
    /// Something was given out: another try would say it twice.
    given_out: bool,
}

impl Attempt for Run<'_> {
    const WHAT: &'static str = "chat completion";

    fn given_out(&self) -> bool {
        self.given_out
    }

    async fn attempt(&mut self, body: &Value) -> Result<(), ProviderError> {
        let timeouts = self.client.endpoint.timeouts;
        let first_chunk = Instant::now() + timeouts.first_chunk;
        let response = self
            .client
            .send("/chat/completions", Some(body), first_chunk)
            .await?;
        let mut reader = Reader::new(Body::new(response, MAX_RESPONSE_BYTES));
        let mut answer = Answer::default();
        let mut heard = false;
        loop {
            // Comments that keep the connection alive do not count as the first chunk; thoughts that are not spoken do.
            let wait = match (heard, answer.is_finished()) {
                (_, true) => WAIT_FOR_USAGE,
                (true, false) => timeouts.between_chunks,
                (false, false) => first_chunk.saturating_duration_since(Instant::now()),
            };
            let (events, ended) = match reader.next(wait).await {
                Ok(read) => read,
                // A connection torn down or left open after the last word is no reason to complain.
                Err(ProviderError::Connection { .. } | ProviderError::Timeout { .. })
                    if answer.is_finished() =>
                {
                    (Vec::new(), true)
                }
                Err(ProviderError::Timeout { .. }) if !heard => {
                    return Err(ProviderError::Timeout {
                        provider: PROVIDER,
                        after: timeouts.first_chunk,
                    });
                }
                Err(error) => return Err(error),
            };
            heard |= !events.is_empty();
            let mut chunks = Vec::new();
            for event in &events {
                let pushed = answer.push(event, &mut chunks);
                self.give_out(&mut chunks).await;
                pushed.map_err(|error| self.in_our_words(error))?;
            }
            if ended || answer.is_done() {
                let finished = answer.finish(&mut chunks);
                self.give_out(&mut chunks).await;
                // The connection can be used again only when its end has been read; that is mostly there already.
                let _ = reader.body.next(WAIT_FOR_END).await;
                return finished.map_err(|error| self.in_our_words(error));
            }
        }
    }
}

impl Run<'_> {
    async fn give_out(&mut self, chunks: &mut Vec<ChatChunk>) {
        for chunk in chunks.drain(..) {
            self.given_out = true;
            let _ = self.items.send(Ok(chunk)).await;
        }
    }

    fn in_our_words(&self, error: AnswerError) -> ProviderError {
        match error {
            AnswerError::Malformed(message) => unexpected(self.client.clean(message)),
            AnswerError::Reported {
                status: Some(429),
                message,
            } => ProviderError::RateLimited {
                provider: PROVIDER,
                retry_after: None,
                message: self.client.clean(message),
            },
            AnswerError::Reported { status, message } => ProviderError::Status {
                provider: PROVIDER,
                status: status.unwrap_or(500),
                message: self.client.clean(message),
            },
            AnswerError::Unfinished => ProviderError::Connection {
                provider: PROVIDER,
                message: "it ended in the middle of the answer".to_owned(),
            },
        }
    }
}

/// Events of an answer, streamed or not.
struct Reader {
    body: Body,
    parser: SseParser,
    /// The whole of an answer that was not streamed.
    whole: Option<Vec<u8>>,
}

impl Reader {
    fn new(body: Body) -> Self {
        let whole = body
            .content_type()
            .starts_with("application/json")
            .then(Vec::new);
        Self {
            body,
            parser: SseParser::default(),
            whole,
        }
    }

    /// The next events, possibly none, and whether the answer has ended.
    async fn next(&mut self, wait: Duration) -> Result<(Vec<String>, bool), ProviderError> {
        let bytes = self.body.next(wait).await?;
        let mut events = Vec::new();
        match (&bytes, &mut self.whole) {
            (Some(bytes), Some(whole)) => whole.extend_from_slice(bytes),
            (None, Some(whole)) => events.push(String::from_utf8_lossy(whole).into_owned()),
            (Some(bytes), None) => self
                .parser
                .push(bytes, |event| events.push(event))
                .map_err(|_| unexpected(format!("an event longer than {MAX_EVENT_BYTES} bytes")))?,
            (None, None) => self.parser.finish(|event| events.push(event)),
        }
        Ok((events, bytes.is_none()))
    }
}
