//! Secrets: from the environment or `.env`, never from the file, never printed.

use antiphon_agent::provider::Secret;

use super::Config;
use super::address::has_host;
use super::template::{Piece, pieces};

/// What the environment holds.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// `DEEPGRAM_API_KEY`
    pub deepgram_api_key: Option<Secret>,
    /// `DEEPGRAM_BASE_URL`
    pub deepgram_base_url: Option<String>,
    /// `OPENAI_API_KEY`
    pub openai_api_key: Option<Secret>,
    /// `OPENAI_BASE_URL`
    pub openai_base_url: Option<String>,
    /// `LIVEKIT_URL`
    pub livekit_url: Option<String>,
    /// `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`
    pub livekit: Option<LiveKitKeys>,
}

/// One API key of a LiveKit server.
#[derive(Clone, Debug)]
pub struct LiveKitKeys {
    /// The token's issuer.
    pub api_key: String,
    /// What tokens are signed with.
    pub api_secret: Secret,
}

impl Secrets {
    /// Read the environment, which [`load_dotenv`](super::load_dotenv) has filled.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Read from any source of names; empty values count as absent.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| {
            lookup(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let secret = |name: &str| text(name).and_then(|key| Secret::new(&key));
        let livekit = text("LIVEKIT_API_KEY")
            .zip(secret("LIVEKIT_API_SECRET"))
            .map(|(api_key, api_secret)| LiveKitKeys {
                api_key,
                api_secret,
            });
        Self {
            deepgram_api_key: secret("DEEPGRAM_API_KEY"),
            deepgram_base_url: text("DEEPGRAM_BASE_URL"),
            openai_api_key: secret("OPENAI_API_KEY"),
            openai_base_url: text("OPENAI_BASE_URL"),
            livekit_url: text("LIVEKIT_URL"),
            livekit,
        }
    }

    /// Everything that stands neither in a log nor in a recording: the keys, and what the headers of this agent's tools take
    /// from the environment.
    pub fn hidden(&self, config: &Config) -> Vec<Secret> {
        self.hidden_with(config, |name| std::env::var(name).ok())
    }

    fn hidden_with(&self, config: &Config, lookup: impl Fn(&str) -> Option<String>) -> Vec<Secret> {
        let livekit = self.livekit.as_ref().map(|keys| keys.api_secret.clone());
        let keys = [
            self.deepgram_api_key.clone(),
            self.openai_api_key.clone(),
            livekit,
        ];
        let headers = config.tools.iter().flat_map(|tool| tool.headers.values());
        let of_tools = headers
            .flat_map(|value| pieces(value))
            .filter_map(|piece| match piece {
                Piece::Variable(name) => Secret::new(&lookup(name)?),
                Piece::Text(_) | Piece::Unclosed => None,
            });
        keys.into_iter().flatten().chain(of_tools).collect()
    }

    /// Addresses that are none, each with its fix. They may hold a password and are not repeated.
    pub fn findings(&self) -> Vec<String> {
        let addresses = [
            (
                "OPENAI_BASE_URL",
                &self.openai_base_url,
                &["http", "https"][..],
                "http://localhost:11434/v1",
            ),
            (
                "DEEPGRAM_BASE_URL",
                &self.deepgram_base_url,
                &["http", "https", "ws", "wss"],
                "https://api.deepgram.com",
            ),
        ];
        addresses
            .into_iter()
            .filter(|(_, value, schemes, _)| {
                value
                    .as_deref()
                    .is_some_and(|value| !has_host(value, schemes))
            })
            .map(|(name, _, _, example)| {
                format!("{name} is not an address; write it like {example}, or leave it unset")
            })
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    #[test]
    fn what_a_tools_header_takes_from_the_environment_is_hidden_like_a_key() {
        let text = "[[tool]]\nname = \"t\"\ndescription = \"d\"\nurl = \"https://example.com/\"\n\
                    headers = { authorization = \"Basic ${USER}:${PASSWORD}\", accept = \"text/plain\" }\n";
        let config = parse(text, Path::new("antiphon.toml")).unwrap();
        let secrets =
            Secrets::from_lookup(|name| (name == "OPENAI_API_KEY").then(|| "sk-1".into()));
        let hidden = secrets.hidden_with(&config, |name| Some(format!("of {name}")));
        let hidden: Vec<&str> = hidden.iter().map(Secret::expose).collect();
        assert_eq!(hidden, ["sk-1", "of USER", "of PASSWORD"]);
    }

    #[test]
    fn keys_are_never_printed() {
        let secrets = Secrets::from_lookup(|name| Some(format!("{name}-hunter2")));
        let printed = format!("{secrets:?}");
        assert!(!printed.contains("DEEPGRAM_API_KEY-hunter2"), "{printed}");
        assert!(!printed.contains("OPENAI_API_KEY-hunter2"), "{printed}");
        assert!(!printed.contains("LIVEKIT_API_SECRET-hunter2"), "{printed}");
    }

    #[test]
    fn a_base_url_that_is_none_is_refused_without_repeating_it() {
        let secrets = Secrets::from_lookup(|name| {
            name.ends_with("BASE_URL")
                .then(|| "user:hunter2@host".to_owned())
        });
        let findings = secrets.findings();
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(
            findings
                .iter()
                .all(|finding| finding.contains("write it like") && !finding.contains("hunter2"))
        );
        let good = |name: &str| match name {
            "OPENAI_BASE_URL" => Some("http://user:hunter2@host/v1".to_owned()),
            "DEEPGRAM_BASE_URL" => Some("ws://127.0.0.1:1".to_owned()),
            _ => None,
        };
        assert_eq!(Secrets::from_lookup(good).findings(), Vec::<String>::new());
    }

    #[test]
    fn an_empty_variable_counts_as_absent() {
        let secrets =
            Secrets::from_lookup(|name| (name == "OPENAI_API_KEY").then(|| "  ".to_owned()));
        assert!(secrets.openai_api_key.is_none());
    }
}
