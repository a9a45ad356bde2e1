//! Secrets: from the environment or `.env`, never from the file, never printed.

use antiphon_agent::provider::Secret;

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
    /// Read the environment, after `.env` of this folder or one above it (variables that are set already win).
    pub fn from_env() -> Self {
        // A missing .env is the usual case, and a broken one shows itself as missing keys in `antiphon doctor`.
        let _ = dotenvy::dotenv();
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_never_printed() {
        let secrets = Secrets::from_lookup(|name| Some(format!("{name}-hunter2")));
        let printed = format!("{secrets:?}");
        assert!(!printed.contains("DEEPGRAM_API_KEY-hunter2"), "{printed}");
        assert!(!printed.contains("OPENAI_API_KEY-hunter2"), "{printed}");
        assert!(!printed.contains("LIVEKIT_API_SECRET-hunter2"), "{printed}");
    }

    #[test]
    fn an_empty_variable_counts_as_absent() {
        let secrets =
            Secrets::from_lookup(|name| (name == "OPENAI_API_KEY").then(|| "  ".to_owned()));
        assert!(secrets.openai_api_key.is_none());
    }
}
