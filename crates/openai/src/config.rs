//! Where the server is, the key, limits of time, options. Reading the environment is the binary's business.

use std::time::Duration;

use antiphon_agent::provider::{LlmOptions, Secret};
use url::Url;

/// OpenAI's own address, when `OPENAI_BASE_URL` does not say another one.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// `gpt-4.1-mini`: no reasoning phase, so the first token comes early (a caller hears a reasoning model as silence), calls
/// tools reliably, and is cheap enough to throw speculative answers away.
pub const DEFAULT_LLM_MODEL: &str = "gpt-4.1-mini";

/// OpenAI's only speech model whose manner of speaking can be described by instructions.
pub const DEFAULT_TTS_MODEL: &str = "gpt-4o-mini-tts";

/// LiveKit's default voice.
pub const DEFAULT_VOICE: &str = "ash";

/// Which server this is: OpenAI takes newer parameters and any order of roles; compatible servers are asked in the way that
/// all of them understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// api.openai.com or Azure: `max_completion_tokens`, `reasoning_effort`, system messages anywhere.
    OpenAi,
    /// Others: `max_tokens`; one system message, at the beginning; user and assistant take turns, the user first, because
    /// the chat templates of several open models refuse anything else.
    Compatible,
}

/// Where the server is and how it is reached.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Up to and with `/v1`, without a slash at the end.
    pub base_url: String,
    /// Sent as bearer token; local servers need none.
    pub api_key: Option<Secret>,
    /// Taken from the host of the base URL unless set.
    pub dialect: Dialect,
    /// Limits of time.
    pub timeouts: Timeouts,
}

/// Limits of time. A caller is waiting: better to say that there is trouble than to hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS.
    pub connect: Duration,
    /// From the request to the first sign of life of the answer. LiveKit's value.
    pub first_chunk: Duration,
    /// Between two signs of life: any byte counts, also of thoughts and of comments that only keep the connection alive, so
    /// that a model may think for long.
    pub between_chunks: Duration,
    /// The whole answer, so that a server that drips for ever ends. Reasoning models take minutes for hard questions; nobody
    /// waits longer on the telephone.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_chunk: Duration::from_secs(10),
            between_chunks: Duration::from_secs(10),
            total: Duration::from_secs(180),
        }
    }
}

impl Endpoint {
    /// OpenAI itself.
    pub fn openai(api_key: Secret) -> Self {
        Self::new(DEFAULT_BASE_URL, Some(api_key))
    }

    /// Any server; a slash at the end of the URL is taken off.
    pub fn new(base_url: &str, api_key: Option<Secret>) -> Self {
        let base_url = base_url.trim().trim_end_matches('/').to_owned();
        let host = Url::parse(&base_url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_ascii_lowercase));
        let openai = host.is_some_and(|host| {
            host == "openai.com"
                || host.ends_with(".openai.com")
                || host.ends_with(".openai.azure.com")
        });
        Self {
            base_url,
            api_key,
            dialect: if openai {
                Dialect::OpenAi
            } else {
                Dialect::Compatible
            },
            timeouts: Timeouts::default(),
        }
    }

    /// With another dialect than the host suggests (a proxy in front of OpenAI).
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// With other limits of time.
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Host and port, as messages name the server.
    pub(crate) fn host(&self) -> Option<String> {
        let url = Url::parse(&self.base_url).ok()?;
        let host = url.host_str()?;
        Some(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    pub(crate) fn is_loopback(&self) -> bool {
        Url::parse(&self.base_url)
            .ok()
            .is_some_and(|url| match url.host() {
                Some(url::Host::Domain(name)) => {
                    name == "localhost" || name.ends_with(".localhost")
                }
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            })
    }
}

/// Configuration of [`OpenAiLlm`](crate::OpenAiLlm).
#[derive(Clone, Debug)]
pub struct LlmConfig {
    /// Where.
    pub endpoint: Endpoint,
    /// [`DEFAULT_LLM_MODEL`]. Empty: the first that the server lists and that can talk, asked for when it is needed.
    pub model: String,
    /// What every model has.
    pub options: LlmOptions,
    /// `none`, `minimal`, `low`, …; unset: the least that the model allows, because the caller waits.
    pub reasoning_effort: Option<String>,
    /// `priority` shortens the wait for the first token; unset: the account's default.
    pub service_tier: Option<String>,
    /// Further fields of the request body, as the server understands them; they win over ours.
    pub extra_body: serde_json::Map<String, serde_json::Value>,
    /// Fields of the request body that are never sent, for servers that refuse them.
    pub leave_out: std::collections::BTreeSet<String>,
}

impl LlmConfig {
    /// The default model at this endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            model: DEFAULT_LLM_MODEL.to_owned(),
            options: LlmOptions::default(),
            reasoning_effort: None,
            service_tier: None,
            extra_body: serde_json::Map::new(),
            leave_out: std::collections::BTreeSet::new(),
        }
    }

    /// With another model.
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// With these options.
    pub fn with_options(mut self, options: LlmOptions) -> Self {
        self.options = options;
        self
    }
}

/// Configuration of [`OpenAiTts`](crate::OpenAiTts).
#[derive(Clone, Debug)]
pub struct TtsConfig {
    /// Where.
    pub endpoint: Endpoint,
    /// [`DEFAULT_TTS_MODEL`].
    pub model: String,
    /// [`DEFAULT_VOICE`].
    pub voice: String,
    /// 0.25 to 4; unset: the server's own, 1.
    pub speed: Option<f32>,
    /// How to speak (gpt-4o-mini-tts): "calm and friendly".
    pub instructions: Option<String>,
}

impl TtsConfig {
    /// The default model and voice at this endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            model: DEFAULT_TTS_MODEL.to_owned(),
            voice: DEFAULT_VOICE.to_owned(),
            speed: None,
            instructions: None,
        }
    }

    /// With another model.
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// With another voice.
    pub fn with_voice(mut self, voice: impl Into<String>) -> Self {
        self.voice = voice.into();
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_dialect_follows_the_host_and_not_a_lookalike() {
        let dialect = |url| Endpoint::new(url, None).dialect;
        assert_eq!(dialect("https://api.openai.com/v1/"), Dialect::OpenAi);
        assert_eq!(dialect("https://eu.api.openai.com/v1"), Dialect::OpenAi);
        assert_eq!(
            dialect("https://mine.openai.azure.com/openai/v1"),
            Dialect::OpenAi
        );
        assert_eq!(dialect("http://localhost:11434/v1"), Dialect::Compatible);
        assert_eq!(dialect("https://notopenai.com/v1"), Dialect::Compatible);
    }

    #[test]
    fn a_configuration_can_be_logged_without_its_key() {
        let config = LlmConfig::new(Endpoint::openai(Secret::new("sk-very-secret").unwrap()));
        assert!(!format!("{config:?}").contains("very-secret"));
    }
}
