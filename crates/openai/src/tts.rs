//! [`OpenAiTts`]: speech, given out while it arrives.

use std::sync::Arc;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxStream, ProviderInfo, Tts, TtsChunk};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::client::{Attempt, Body, HttpClient, PROVIDER, attempts, unexpected};
use crate::config::TtsConfig;
use crate::generator::generate;
use crate::pcm::PcmReader;
use crate::probe::{self, Finding};

/// OpenAI's limit for one request; longer text is spoken in several.
pub const MAX_INPUT_CHARS: usize = 4096;
/// Ten minutes of speech: more than 4096 characters can be.
pub const MAX_RESPONSE_BYTES: usize = 10 * 60 * 24_000 * 2;
/// How much of an answer that is no sound is told.
const MAX_EXCERPT_BYTES: usize = 4096;

/// Speech of OpenAI or any server with `/audio/speech` that answers PCM or WAV. The request is sent when the stream is first
/// polled and cancelled when it is dropped.
#[derive(Clone, Debug)]
pub struct OpenAiTts {
    config: Arc<TtsConfig>,
    client: HttpClient,
}

type Item = Result<TtsChunk, ProviderError>;

impl OpenAiTts {
    /// A voice that opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Connection`] when the system has no usable certificates.
    pub fn new(config: TtsConfig) -> Result<Self, ProviderError> {
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

    fn body(&self, text: &str) -> Value {
        let mut body = json!({
            "model": self.config.model, "voice": self.config.voice, "input": text, "response_format": "pcm",
        });
        if let Some(fields) = body.as_object_mut() {
            if let Some(speed) = self.config.speed {
                fields.insert(
                    "speed".to_owned(),
                    json!((f64::from(speed) * 100.0).round() / 100.0),
                );
            }
            if let Some(instructions) = &self.config.instructions {
                fields.insert("instructions".to_owned(), json!(instructions));
            }
        }
        body
    }
}

impl Tts for OpenAiTts {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: PROVIDER,
            model: format!("{} {}", self.config.model, self.config.voice),
        }
    }

    fn synthesize(&self, text: String) -> BoxStream<Item> {
        let bodies: Vec<Value> = pieces(&text)
            .into_iter()
            .map(|piece| self.body(piece))
            .collect();
        let client = self.client.clone();
        generate(move |items| async move {
            let mut run = Run {
                client: &client,
                items,
                given_out: false,
            };
            for body in &bodies {
                let total = client.endpoint.timeouts.total;
                let error = match timeout_at(Instant::now() + total, attempts(&mut run, body)).await
                {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error,
                    Err(_) => ProviderError::Timeout {
                        provider: PROVIDER,
                        after: total,
                    },
                };
                let _ = run.items.send(Err(error.named(client.name))).await;
                return;
            }
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
    const WHAT: &'static str = "speech";

    fn given_out(&self) -> bool {
        self.given_out
    }

    async fn attempt(&mut self, body: &Value) -> Result<(), ProviderError> {
        let timeouts = self.client.endpoint.timeouts;
        let first_chunk = Instant::now() + timeouts.first_chunk;
        let response = self
            .client
            .send("/audio/speech", Some(body), first_chunk)
            .await?;
        let mut response = Body::new(response, MAX_RESPONSE_BYTES);
        let kind = response.content_type();
        if kind.starts_with("text/") || kind.starts_with("application/json") {
            let start = response
                .next(timeouts.between_chunks)
                .await?
                .unwrap_or_default();
            let start = String::from_utf8_lossy(start.get(..MAX_EXCERPT_BYTES).unwrap_or(&start))
                .into_owned();
            return Err(unexpected(
                self.client
                    .clean(format!("{kind} instead of speech: {start}")),
            ));
        }
        let mut reader = PcmReader::default();
        let mut heard = false;
        loop {
            let wait = if heard {
                timeouts.between_chunks
            } else {
                first_chunk.saturating_duration_since(Instant::now())
            };
            let bytes = match response.next(wait).await {
                Err(ProviderError::Timeout { .. }) if !heard => {
                    return Err(ProviderError::Timeout {
                        provider: PROVIDER,
                        after: timeouts.first_chunk,
                    });
                }
                other => other?,
            };
            let frame = match &bytes {
                Some(bytes) => reader.push(bytes).map_err(unexpected)?,
                None => std::mem::take(&mut reader).finish(),
            };
            if let Some(frame) = frame {
                heard = true;
                self.given_out = true;
                let _ = self.items.send(Ok(TtsChunk::Audio(frame))).await;
            }
            if bytes.is_none() {
                let nothing = || ProviderError::Connection {
                    provider: PROVIDER,
                    message: "it ended before any sound".to_owned(),
                };
                return heard.then_some(()).ok_or_else(nothing);
            }
        }
    }
}

/// The text in pieces of at most [`MAX_INPUT_CHARS`], cut at white space where there is some; nothing to say, no piece.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest
            .char_indices()
            .nth(MAX_INPUT_CHARS)
            .map_or(rest.len(), |(at, _)| at);
        let (head, tail) = rest.split_at(end);
        let cut = if tail.is_empty() {
            end
        } else {
            head.rfind(char::is_whitespace)
                .filter(|&at| at > 0)
                .unwrap_or(end)
        };
        let (piece, tail) = rest.split_at(cut);
        pieces.push(piece.trim_end());
        rest = tail.trim_start();
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_words_and_nothing_is_lost() {
        let text = "word ".repeat(2000);
        let cut = pieces(&text);
        assert_eq!(cut.len(), 3);
        assert!(
            cut.iter()
                .all(|piece| piece.chars().count() <= MAX_INPUT_CHARS && piece.ends_with("word"))
        );
        assert_eq!(cut.join(" "), text.trim());
        assert_eq!(pieces(&"ü".repeat(5000)).len(), 2);
        assert!(pieces(" \n").is_empty());
    }
}
