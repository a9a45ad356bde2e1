//! Where the server is, the key, options of recognition, limits of time. Reading the environment is the binary's business.

use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::Secret;
use url::Url;

use crate::connection::PROVIDER;

/// Deepgram's own address, when `DEEPGRAM_BASE_URL` does not say another one.
pub const DEFAULT_BASE_URL: &str = "https://api.deepgram.com";
/// The best general model for streaming: final words 250 ms after the end of speech.
pub const DEFAULT_MODEL: &str = "nova-3";

/// Configuration of [`DeepgramStt`](crate::DeepgramStt). The defaults are LiveKit's.
#[derive(Clone, Debug)]
pub struct DeepgramConfig {
    /// `https://`, `wss://`, `http://` or `ws://`, with or without `/v1` or `/v1/listen`.
    pub base_url: String,
    /// From `DEEPGRAM_API_KEY`.
    pub api_key: Secret,
    /// [`DEFAULT_MODEL`].
    pub model: String,
    /// BCP 47, or `multi`.
    pub language: String,
    /// Words before they are final.
    pub interim_results: bool,
    /// Punctuation and capitals.
    pub punctuate: bool,
    /// Dates, numbers and currencies as one writes them; costs some latency.
    pub smart_format: bool,
    /// "uh" and "um": they keep a turn open.
    pub filler_words: bool,
    /// Numbers as digits.
    pub numerals: bool,
    /// Stars for bad words.
    pub profanity_filter: bool,
    /// Silence after which Deepgram itself makes words final; zero: never.
    pub endpointing: Duration,
    /// Deepgram's `UtteranceEnd` after a gap between words; at least 1 s.
    pub utterance_end: Option<Duration>,
    /// Names and terms to listen for.
    pub keyterms: Vec<String>,
    /// Do not let Deepgram train on this.
    pub mip_opt_out: bool,
    /// Further parameters of the query, as Deepgram understands them.
    pub extra_query: Vec<(String, String)>,
    /// Limits of time.
    pub timeouts: Timeouts,
}

/// Limits of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP, TLS and the WebSocket's handshake.
    pub connect: Duration,
    /// Without sound for this long, a `KeepAlive` goes out; Deepgram closes after 10 s without either.
    pub keep_alive: Duration,
    /// A ping goes out so often; a server that sends nothing at all for three times as long is dead.
    pub ping: Duration,
    /// First wait before a reconnect; doubled each time, half of it random.
    pub backoff_first: Duration,
    /// Longest wait before a reconnect.
    pub backoff_longest: Duration,
    /// Without a connection for this long, it has failed for good.
    pub give_up: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            keep_alive: Duration::from_secs(4),
            ping: Duration::from_secs(4),
            backoff_first: Duration::from_millis(100),
            backoff_longest: Duration::from_secs(5),
            give_up: Duration::from_secs(120),
        }
    }
}

impl DeepgramConfig {
    /// Deepgram itself with LiveKit's defaults.
    pub fn new(api_key: Secret) -> Self {
        Self {
            base_url: DEFAULT_BASE_URL.to_owned(),
            api_key,
            model: DEFAULT_MODEL.to_owned(),
            language: "en-US".to_owned(),
            interim_results: true,
            punctuate: true,
            smart_format: false,
            filler_words: true,
            numerals: false,
            profanity_filter: false,
            endpointing: Duration::from_millis(25),
            utterance_end: None,
            keyterms: Vec::new(),
            mip_opt_out: false,
            extra_query: Vec::new(),
            timeouts: Timeouts::default(),
        }
    }

    /// With another server.
    pub fn with_base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// With another model.
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// In another language.
    pub fn with_language(mut self, language: impl Into<String>) -> Self {
        self.language = language.into();
        self
    }

    /// The model that is asked for: the English-only ones of nova-2 give way to the general one in other languages.
    pub fn effective_model(&self) -> &str {
        let english = self.language.to_ascii_lowercase().starts_with("en");
        let english_only = self.model.starts_with("nova-2-") && self.model != "nova-2-general";
        if english_only && !english {
            "nova-2-general"
        } else {
            &self.model
        }
    }

    /// Address and query of the stream.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Protocol`] when the base URL is none.
    pub fn listen_url(&self) -> Result<Url, ProviderError> {
        let wrong = |message: String| ProviderError::Protocol {
            provider: PROVIDER,
            message: format!("DEEPGRAM_BASE_URL `{}` {message}", self.base_url),
        };
        let base = self
            .base_url
            .trim()
            .trim_end_matches('/')
            .trim_end_matches("/listen")
            .trim_end_matches("/v1");
        let base = match base.split_once("://") {
            Some(("https" | "wss", rest)) => format!("wss://{rest}"),
            Some(("http" | "ws", rest)) => format!("ws://{rest}"),
            _ => {
                return Err(wrong(
                    "must begin with https://, wss://, http:// or ws://".to_owned(),
                ));
            }
        };
        let mut url = Url::parse(&format!("{base}/v1/listen"))
            .map_err(|error| wrong(format!("is no URL: {error}")))?;
        let flag = |on: bool| if on { "true" } else { "false" };
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("model", self.effective_model())
                .append_pair("language", &self.language)
                .append_pair("encoding", "linear16")
                .append_pair("sample_rate", "16000")
                .append_pair("channels", "1")
                .append_pair("interim_results", flag(self.interim_results))
                .append_pair("punctuate", flag(self.punctuate))
                .append_pair("smart_format", flag(self.smart_format))
                .append_pair("no_delay", "true")
                .append_pair("vad_events", "true")
                .append_pair("filler_words", flag(self.filler_words))
                .append_pair("numerals", flag(self.numerals))
                .append_pair("profanity_filter", flag(self.profanity_filter))
                .append_pair("mip_opt_out", flag(self.mip_opt_out));
            match self.endpointing.as_millis() {
                0 => query.append_pair("endpointing", "false"),
                ms => query.append_pair("endpointing", &ms.to_string()),
            };
            if let Some(gap) = self.utterance_end {
                query.append_pair("utterance_end_ms", &gap.as_millis().max(1000).to_string());
            }
            let keyterm = if self.model.starts_with("nova-3") {
                "keyterm"
            } else {
                "keywords"
            };
            for term in &self.keyterms {
                query.append_pair(keyterm, term);
            }
            for (name, value) in &self.extra_query {
                query.append_pair(name, value);
            }
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config() -> DeepgramConfig {
        DeepgramConfig::new(Secret::new("key").unwrap())
    }

    #[test]
    fn every_way_to_write_the_base_url_leads_to_the_same_place() {
        for base in [
            "https://api.deepgram.com",
            "wss://api.deepgram.com/",
            "https://api.deepgram.com/v1",
            "https://api.deepgram.com/v1/listen",
        ] {
            let url = config().with_base_url(base).listen_url().unwrap();
            assert!(
                url.as_str().starts_with(
                    "wss://api.deepgram.com/v1/listen?model=nova-3&language=en-US&encoding=linear16"
                ),
                "{url}"
            );
        }
        assert!(
            config()
                .with_base_url("http://127.0.0.1:80")
                .listen_url()
                .unwrap()
                .as_str()
                .starts_with("ws://127.0.0.1/v1/")
        );
        assert!(
            config()
                .with_base_url("api.deepgram.com")
                .listen_url()
                .is_err()
        );
    }

    #[test]
    fn options_stand_in_the_query() {
        let mut config = config().with_language("de").with_model("nova-2-phonecall");
        config.endpointing = Duration::ZERO;
        config.keyterms = vec!["crème brûlée".to_owned(), "b".to_owned()];
        let query = config.listen_url().unwrap().query().unwrap().to_owned();
        for part in [
            "model=nova-2-general",
            "endpointing=false",
            "keywords=cr%C3%A8me+br%C3%BBl%C3%A9e&keywords=b",
            "no_delay=true",
        ] {
            assert!(query.contains(part), "{part} in {query}");
        }
    }
}
