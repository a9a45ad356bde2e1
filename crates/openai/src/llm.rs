//! [`OpenAiLlm`]: streamed chat completions with function tools.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxStream, ChatChunk, Llm, ProviderInfo, ToolDefinition};
use antiphon_chat::ChatRequest;
use antiphon_chat::Usage;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::chat::answer::{Answer, AnswerError, Ending};
use crate::chat::refused::{self, Refused};
use crate::chat::request;
use crate::chat::spoken::Opening;
use crate::client::{Attempt, Body, Failure, HttpClient, PROVIDER, attempts, unexpected};
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
/// A model that thinks is said to be alive so often.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(1);
/// So many words without anything in them that can be said are an answer: nobody asks for them twice.
const MAX_UNCERTAIN_BYTES: usize = 16 * 1024;
/// Warnings of one answer that are told; a server that complains more has nothing new to say.
const MAX_WARNINGS: usize = 8;

/// Chat completions of OpenAI or any server that speaks them. The request is sent when the stream is first polled and
/// cancelled when it is dropped.
#[derive(Clone, Debug)]
pub struct OpenAiLlm {
    config: Arc<LlmConfig>,
    client: HttpClient,
    learned: Arc<Mutex<Learned>>,
}

/// What was learned of this model at this server.
#[derive(Clone, Debug, Default)]
struct Learned {
    /// The first that the server lists, if none is configured.
    model: Option<String>,
    refused: Refused,
    opening: Opening,
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
        let learned = Learned {
            opening: expected_opening(&config.model),
            ..Learned::default()
        };
        Ok(Self {
            config: Arc::new(config),
            client,
            learned: Arc::new(Mutex::new(learned)),
        })
    }

    /// What `antiphon doctor` prints: is the server there, does it take the key, does it know the model?
    pub async fn probe(&self) -> Vec<Finding> {
        probe::probe(&self.client, &self.config.model).await
    }
}

/// The templates of these open the thoughts themselves, so that an answer begins in the middle of them. A wrong guess costs
/// one answer that comes late; what the model really does is learned from it.
fn expected_opening(model: &str) -> Opening {
    let name = model.to_ascii_lowercase();
    let thinks = ["deepseek-r1", "qwq", "-thinking"]
        .iter()
        .any(|known| name.contains(known));
    if thinks {
        Opening::Thoughts
    } else {
        Opening::Words
    }
}

impl Llm for OpenAiLlm {
    fn info(&self) -> ProviderInfo {
        let listed = self
            .learned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .model
            .clone();
        ProviderInfo {
            provider: PROVIDER,
            model: listed.unwrap_or_else(|| self.config.model.clone()),
        }
    }

    fn chat(&self, request: ChatRequest, tools: Arc<[ToolDefinition]>) -> BoxStream<Item> {
        let body = request::body(&self.config, &request, &tools);
        let client = self.client.clone();
        let learned = self.learned.clone();
        generate(move |items| async move {
            let total = client.endpoint.timeouts.total;
            let mut run = Run {
                client: &client,
                learned: &learned,
                tools,
                items,
                has_called: false,
                words: String::new(),
                told_text: false,
                told_alive: Instant::now(),
                warnings: Vec::new(),
                usage: None,
            };
            let outcome = timeout_at(Instant::now() + total, run.answer(body)).await;
            let error = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => ProviderError::Timeout {
                    provider: PROVIDER,
                    after: total,
                },
            };
            // Nobody listens any more: nobody to tell.
            let _ = run.items.send(Err(error.named(client.name))).await;
        })
    }

    fn prewarm(&self) {
        self.client.prewarm();
    }
}

struct Run<'a> {
    client: &'a HttpClient,
    learned: &'a Mutex<Learned>,
    tools: Arc<[ToolDefinition]>,
    items: mpsc::Sender<Item>,
    /// Calls were given out.
    has_called: bool,
    /// The words that were given out, up to [`MAX_UNCERTAIN_BYTES`].
    words: String,
    /// Text was given out, speakable or not.
    told_text: bool,
    told_alive: Instant,
    warnings: Vec<String>,
    /// Of all requests that were answered.
    usage: Option<Usage>,
}

impl Attempt for Run<'_> {
    const WHAT: &'static str = "chat completion";

    /// Calls, or words of which something can be said: only all of them together show whether they are more than a rule, a smile
    /// or a tag.
    fn given_out(&self) -> bool {
        self.has_called
            || self.words.len() >= MAX_UNCERTAIN_BYTES
            || antiphon_text::has_speech(&self.words)
    }

    async fn attempt(&mut self, body: &Value) -> Result<(), ProviderError> {
        let mut body = body.as_object().cloned().unwrap_or_default();
        let mut was_unreadable = false;
        loop {
            self.learned().refused.leave_out(&mut body);
            let Err(failure) = self.once(&Value::Object(body.clone())).await else {
                return Ok(());
            };
            let Failure { error, said } = failure.named(self.client.name);
            let given_out = self.given_out();
            let is_unreadable = !given_out && refused::is_unreadable_call(&said);
            if is_unreadable && !std::mem::replace(&mut was_unreadable, true) {
                tracing::warn!(provider = PROVIDER, %error, "the server could not read the model's call: asked again");
                continue;
            }
            let named = if given_out {
                Vec::new()
            } else {
                self.learned().refused.learn(&error, &said, &body)
            };
            if named.is_empty() {
                return Err(refused::as_setup(error, &said, &body));
            }
            // what it refuses is not in the next body, so this ends
            let names = named.join(", ");
            tracing::warn!(provider = PROVIDER, %error, "the server refuses {names}: asked again without");
            self.warn(format!(
                "the server refuses {names}; it is asked without from now on (write leave_out = [{}] under [llm] to spare the first try): {error}",
                named.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
            ));
        }
    }
}

impl Run<'_> {
    /// The whole answer. One in which there is nothing is asked for once more; nothing again is what the model wants to say.
    async fn answer(&mut self, mut body: Map<String, Value>) -> Result<(), ProviderError> {
        if body.get("model").and_then(Value::as_str) == Some("") {
            body.insert(
                "model".to_owned(),
                Value::String(self.listed_model().await?),
            );
        }
        let body = Value::Object(body);
        attempts(self, &body).await?;
        if !self.given_out() {
            tracing::warn!(provider = PROVIDER, "the answer was empty: asked again");
            self.tell(ChatChunk::Thinking).await;
            attempts(self, &body).await?;
        }
        for warning in std::mem::take(&mut self.warnings) {
            self.tell(ChatChunk::Warning(warning)).await;
        }
        if let Some(usage) = self.usage {
            self.tell(ChatChunk::Usage(usage)).await;
        }
        Ok(())
    }

    /// The model of a server that was named without one.
    async fn listed_model(&self) -> Result<String, ProviderError> {
        if let Some(model) = self.learned().model.clone() {
            return Ok(model);
        }
        let listed = probe::first_of(self.client).await;
        let model = listed.map_err(|why| {
            unexpected(format!(
                "no model is set under [llm], and the server was asked for one: {why}"
            ))
        })?;
        self.learned().model = Some(model.clone());
        Ok(model)
    }

    async fn once(&mut self, body: &Value) -> Result<(), Failure> {
        // what the last try told is nothing that can be said
        self.words.clear();
        if std::mem::take(&mut self.told_text) {
            self.tell(ChatChunk::Withdrawn).await;
        }
        let timeouts = self.client.endpoint.timeouts;
        let first_chunk = Instant::now() + timeouts.first_chunk;
        let response = self
            .client
            .ask("/chat/completions", Some(body), first_chunk)
            .await?;
        let mut reader = Reader::new(Body::new(response, MAX_RESPONSE_BYTES));
        let opening = self.learned().opening;
        let mut answer = Answer::new(self.tools.clone(), opening);
        let mut alive = false;
        loop {
            let wait = match (alive, answer.is_finished()) {
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
                Err(ProviderError::Timeout { .. }) if !alive => {
                    return Err(Failure::from(ProviderError::Timeout {
                        provider: PROVIDER,
                        after: timeouts.first_chunk,
                    }));
                }
                Err(error) => return Err(error.into()),
            };
            alive = true;
            let mut chunks = Vec::new();
            let mut outcome = Ok(());
            for event in &events {
                outcome = outcome.and_then(|()| answer.push(event, &mut chunks));
            }
            let is_over = outcome.is_ok() && (ended || answer.is_done());
            if !is_over {
                self.give_out(chunks).await;
                outcome.map_err(|error| self.in_our_words(error))?;
                continue;
            }
            let ending = answer.finish(&mut chunks);
            self.give_out(chunks).await;
            // The connection can be used again only when its end has been read; that is mostly there already.
            let _ = reader.body.next(WAIT_FOR_END).await;
            let ending = ending.map_err(|error| self.in_our_words(error))?;
            self.note(ending);
            return Ok(());
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&mut self, warning: String) {
        let warning = self.client.clean(warning);
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn note(&mut self, ending: Ending) {
        let before = std::mem::replace(&mut self.learned().opening, ending.opening);
        if before != ending.opening && ending.opening == Opening::Thoughts {
            self.warn(
                "the model ended its thoughts and had not opened them; from now on what comes before their end is not spoken"
                    .to_owned(),
            );
        }
        for warning in ending.warnings {
            self.warn(warning);
        }
        if let Some(usage) = ending.usage {
            let all = self.usage.get_or_insert_default();
            all.prompt_tokens = all.prompt_tokens.saturating_add(usage.prompt_tokens);
            all.cached_tokens = all.cached_tokens.saturating_add(usage.cached_tokens);
            all.completion_tokens = all
                .completion_tokens
                .saturating_add(usage.completion_tokens);
        }
    }

    /// What one read has brought. Words that were taken back in the same moment are not given out at all.
    async fn give_out(&mut self, mut chunks: Vec<ChatChunk>) {
        if let Some(at) = chunks
            .iter()
            .rposition(|chunk| *chunk == ChatChunk::Withdrawn)
        {
            chunks.drain(..at);
            self.words.clear();
            self.has_called = false;
            if !std::mem::take(&mut self.told_text) {
                chunks.remove(0);
            }
        }
        let sign = self.told_alive.elapsed() >= SIGN_OF_LIFE_EVERY;
        if chunks.is_empty() && sign {
            self.tell(ChatChunk::Thinking).await;
        }
        for chunk in chunks {
            match &chunk {
                ChatChunk::Text(words) => {
                    self.told_text = true;
                    if self.words.len() < MAX_UNCERTAIN_BYTES {
                        self.words.push_str(words);
                    }
                }
                ChatChunk::ToolCall(_) | ChatChunk::RefusedCall { .. } => self.has_called = true,
                ChatChunk::Thinking
                | ChatChunk::Withdrawn
                | ChatChunk::Warning(_)
                | ChatChunk::Usage(_) => {}
            }
            self.tell(chunk).await;
        }
    }

    async fn tell(&mut self, chunk: ChatChunk) {
        self.told_alive = Instant::now();
        let _ = self.items.send(Ok(chunk)).await;
    }

    fn in_our_words(&self, error: AnswerError) -> Failure {
        let said = match &error {
            AnswerError::Reported(error) => error.message.clone(),
            AnswerError::Malformed(_) | AnswerError::Unfinished => String::new(),
        };
        let error = self.provider_error(error);
        Failure { error, said }
    }

    fn provider_error(&self, error: AnswerError) -> ProviderError {
        let status = |status: Option<u16>, message| ProviderError::Status {
            provider: PROVIDER,
            status: status.unwrap_or(500),
            message: self.client.clean(message),
        };
        match error {
            AnswerError::Malformed(message) => unexpected(self.client.clean(message)),
            AnswerError::Reported(error) if error.status == Some(429) => {
                ProviderError::RateLimited {
                    provider: PROVIDER,
                    retry_after: None,
                    message: self.client.clean(error.message),
                }
            }
            AnswerError::Reported(error) => status(error.status, error.message),
            AnswerError::Unfinished => ProviderError::Connection {
                provider: PROVIDER,
                message: "it ended before the answer did".to_owned(),
            },
        }
    }
}

/// Events of an answer, streamed or not, whatever its headers say.
struct Reader {
    body: Body,
    parser: SseParser,
}

impl Reader {
    fn new(body: Body) -> Self {
        Self {
            body,
            parser: SseParser::default(),
        }
    }

    /// The next events, possibly none, and whether the answer has ended.
    async fn next(&mut self, wait: Duration) -> Result<(Vec<String>, bool), ProviderError> {
        let bytes = self.body.next(wait).await?;
        let mut events = Vec::new();
        match &bytes {
            Some(bytes) => self
                .parser
                .push(bytes, |event| events.push(event))
                .map_err(|_| unexpected(format!("an event longer than {MAX_EVENT_BYTES} bytes")))?,
            None => self.parser.finish(|event| events.push(event)),
        }
        Ok((events, bytes.is_none()))
    }
}
