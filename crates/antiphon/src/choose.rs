//! Which providers a process uses, and why: keys, then a server found on this machine, then what is built in.

use crate::config::{Config, LlmProvider, Secrets, SttProvider, TtsProvider};

/// What was found on this machine.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// An OpenAI-compatible server: base URL and model.
    pub local_llm: Option<(String, String)>,
    /// The model of the server whose address is given without a model, or why there is none. `None`: it was not asked.
    pub listed_model: Option<Result<String, String>>,
    /// PocketSphinx and its model; otherwise what is missing.
    pub pocketsphinx: Option<String>,
    /// flite can be run.
    pub flite: bool,
    /// espeak-ng can be run.
    pub espeak_ng: bool,
}

/// Who does one part, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen<T> {
    /// Who.
    pub what: T,
    /// Why, and how to switch: shown to the user.
    pub why: String,
}

impl<T> Chosen<T> {
    fn new(what: T, why: impl Into<String>) -> Self {
        Self {
            what,
            why: why.into(),
        }
    }
}

/// Who recognises speech.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SttChoice {
    /// Deepgram.
    Deepgram,
    /// PocketSphinx here.
    PocketSphinx,
    /// Nobody: typed text only.
    None,
}

/// Who thinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LlmChoice {
    /// OpenAI or a server that speaks its protocol.
    OpenAi {
        /// Absent: OpenAI itself.
        base_url: Option<String>,
        /// Absent: the default. Empty: the first that the server lists.
        model: Option<String>,
    },
    /// The responder by rules.
    BuiltIn,
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TtsChoice {
    /// OpenAI or a server that speaks its protocol.
    OpenAi,
    /// flite here.
    Flite,
    /// espeak-ng here.
    EspeakNg,
    /// Nobody: written answers only.
    None,
}

/// All three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Speech recognition.
    pub stt: Chosen<SttChoice>,
    /// Language model.
    pub llm: Chosen<LlmChoice>,
    /// Speech synthesis.
    pub tts: Chosen<TtsChoice>,
}

/// Decide, or say what is missing and how to get it (every finding at once).
pub fn choose(config: &Config, secrets: &Secrets, found: &Found) -> Result<Choice, Vec<String>> {
    let mut findings = Vec::new();
    let mut keep = |finding: String| findings.push(finding);
    let stt = stt(config, secrets, found).map_err(&mut keep);
    let llm = llm(config, secrets, found).map_err(&mut keep);
    let tts = tts(config, secrets, found).map_err(&mut keep);
    match (stt, llm, tts) {
        (Ok(stt), Ok(llm), Ok(tts)) => Ok(Choice { stt, llm, tts }),
        _ => Err(findings),
    }
}

fn stt(config: &Config, secrets: &Secrets, found: &Found) -> Result<Chosen<SttChoice>, String> {
    let key = secrets.deepgram_api_key.is_some();
    let language = config.stt.language.as_deref();
    let other = language.filter(|language| !is_english(language));
    let here = || match other {
        None => Ok(SttChoice::PocketSphinx),
        Some(language) => Err(format!(
            "[stt] language is \"{language}\" but PocketSphinx knows US English only; set DEEPGRAM_API_KEY in the environment \
             or .env, take the key language out, or use provider = \"none\""
        )),
    };
    match config.stt.provider {
        SttProvider::Deepgram if key => {
            Ok(Chosen::new(SttChoice::Deepgram, "antiphon.toml says so"))
        }
        SttProvider::Deepgram => Err(
            "[stt] provider is \"deepgram\" but DEEPGRAM_API_KEY is not set; set it in the \
             environment or .env, or use provider = \"auto\""
                .into(),
        ),
        SttProvider::PocketSphinx => match &found.pocketsphinx {
            None => here().map(|what| Chosen::new(what, "antiphon.toml says so")),
            Some(missing) => Err(format!(
                "[stt] provider is \"pocketsphinx\" but {missing}; install it, or use provider = \"auto\""
            )),
        },
        SttProvider::None => Ok(Chosen::new(
            SttChoice::None,
            "antiphon.toml says so; callers type",
        )),
        SttProvider::Auto if key => Ok(Chosen::new(SttChoice::Deepgram, "DEEPGRAM_API_KEY is set")),
        SttProvider::Auto => match &found.pocketsphinx {
            None => here().map(|what| {
                Chosen::new(
                    what,
                    "no DEEPGRAM_API_KEY; on this machine, US English, modest accuracy",
                )
            }),
            Some(missing) => Ok(Chosen::new(
                SttChoice::None,
                format!("no DEEPGRAM_API_KEY and {missing}; callers type"),
            )),
        },
    }
}

/// BCP-47: `en`, `en-US`, …
fn is_english(language: &str) -> bool {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    primary.eq_ignore_ascii_case("en")
}

fn llm(config: &Config, secrets: &Secrets, found: &Found) -> Result<Chosen<LlmChoice>, String> {
    let key = secrets.openai_api_key.is_some();
    let base_url = config
        .llm
        .base_url
        .clone()
        .or_else(|| secrets.openai_base_url.clone());
    let openai = |model: Option<String>, why: &str| {
        Ok(Chosen::new(
            LlmChoice::OpenAi {
                base_url: base_url.clone(),
                model,
            },
            why,
        ))
    };
    // an empty name: the server is asked again when the model is needed
    let listed = || match &found.listed_model {
        Some(Ok(model)) => Some(model.clone()),
        Some(Err(_)) => Some(String::new()),
        None => None,
    };
    let model = config.llm.model.clone().or_else(listed);
    match config.llm.provider {
        LlmProvider::BuiltIn => Ok(Chosen::new(
            LlmChoice::BuiltIn,
            "antiphon.toml says so; rules, not a language model",
        )),
        LlmProvider::OpenAi if key || base_url.is_some() => openai(model, "antiphon.toml says so"),
        LlmProvider::OpenAi => Err(
            "[llm] provider is \"openai\" but neither OPENAI_API_KEY nor OPENAI_BASE_URL is set; \
             set one in the environment or .env, or use provider = \"auto\""
                .into(),
        ),
        LlmProvider::Auto if key && base_url.is_some() => {
            openai(model, "OPENAI_API_KEY and a base URL are set")
        }
        LlmProvider::Auto if key => openai(model, "OPENAI_API_KEY is set"),
        LlmProvider::Auto if base_url.is_some() => openai(model, "a base URL is set"),
        LlmProvider::Auto => Ok(match &found.local_llm {
            Some((url, first)) => Chosen::new(
                LlmChoice::OpenAi {
                    base_url: Some(url.clone()),
                    model: Some(model.unwrap_or_else(|| first.clone())),
                },
                "no OPENAI_API_KEY, but a server was found on this machine",
            ),
            None => Chosen::new(
                LlmChoice::BuiltIn,
                "no OPENAI_API_KEY, OPENAI_BASE_URL or local server; rules, not a language model",
            ),
        }),
    }
}

fn tts(config: &Config, secrets: &Secrets, found: &Found) -> Result<Chosen<TtsChoice>, String> {
    let key = secrets.openai_api_key.is_some();
    let address = config.tts.base_url.is_some();
    let says_so = "antiphon.toml says so";
    match config.tts.provider {
        TtsProvider::OpenAi if key || address || secrets.openai_base_url.is_some() => {
            Ok(Chosen::new(TtsChoice::OpenAi, says_so))
        }
        TtsProvider::OpenAi => Err(
            "[tts] provider is \"openai\" but OPENAI_API_KEY is not set; set it in the \
             environment or .env, or use provider = \"auto\""
                .into(),
        ),
        TtsProvider::Flite if found.flite => Ok(Chosen::new(TtsChoice::Flite, says_so)),
        TtsProvider::Flite => {
            Err("[tts] provider is \"flite\" but it is not installed; apt-get install flite".into())
        }
        TtsProvider::EspeakNg if found.espeak_ng => Ok(Chosen::new(TtsChoice::EspeakNg, says_so)),
        TtsProvider::EspeakNg => Err(
            "[tts] provider is \"espeak-ng\" but it is not installed; apt-get install espeak-ng"
                .into(),
        ),
        TtsProvider::None => Ok(Chosen::new(
            TtsChoice::None,
            "antiphon.toml says so; answers are written",
        )),
        TtsProvider::Auto if key => Ok(Chosen::new(TtsChoice::OpenAi, "OPENAI_API_KEY is set")),
        TtsProvider::Auto if address => Ok(Chosen::new(TtsChoice::OpenAi, "[tts] base_url is set")),
        TtsProvider::Auto if found.flite => Ok(Chosen::new(
            TtsChoice::Flite,
            "no OPENAI_API_KEY; on this machine",
        )),
        TtsProvider::Auto if found.espeak_ng => Ok(Chosen::new(
            TtsChoice::EspeakNg,
            "no OPENAI_API_KEY and no flite; on this machine",
        )),
        TtsProvider::Auto => Ok(Chosen::new(
            TtsChoice::None,
            "no OPENAI_API_KEY, flite or espeak-ng; answers are written (apt-get install flite)",
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn with(text: &str, names: &[&str], found: &Found) -> Result<Choice, Vec<String>> {
        let config = parse(text, std::path::Path::new("antiphon.toml")).unwrap();
        let secrets = Secrets::from_lookup(|name| {
            names.contains(&name).then(|| {
                if name.ends_with("URL") {
                    "http://localhost:1".into()
                } else {
                    "k".into()
                }
            })
        });
        choose(&config, &secrets, found)
    }

    fn machine() -> Found {
        Found {
            listed_model: None,
            local_llm: None,
            pocketsphinx: None,
            flite: true,
            espeak_ng: true,
        }
    }

    #[test]
    fn without_keys_everything_runs_on_this_machine_and_says_so() {
        let choice = with("", &[], &machine()).unwrap();
        assert_eq!(choice.stt.what, SttChoice::PocketSphinx);
        assert_eq!(choice.llm.what, LlmChoice::BuiltIn);
        assert!(choice.llm.why.contains("not a language model"));
        assert_eq!(choice.tts.what, TtsChoice::Flite);
    }

    #[test]
    fn with_keys_the_same_command_uses_deepgram_and_openai() {
        let choice = with("", &["DEEPGRAM_API_KEY", "OPENAI_API_KEY"], &machine()).unwrap();
        assert_eq!(choice.stt.what, SttChoice::Deepgram);
        assert_eq!(
            choice.llm.what,
            LlmChoice::OpenAi {
                base_url: None,
                model: None
            }
        );
        assert_eq!(choice.tts.what, TtsChoice::OpenAi);
    }

    #[test]
    fn a_local_server_thinks_when_there_is_no_key_but_never_before_one() {
        let found = Found {
            local_llm: Some(("http://localhost:11434/v1".into(), "llama3".into())),
            ..machine()
        };
        let LlmChoice::OpenAi { base_url, model } = with("", &[], &found).unwrap().llm.what else {
            panic!("the local server is not used")
        };
        assert_eq!(
            (base_url.as_deref(), model.as_deref()),
            (Some("http://localhost:11434/v1"), Some("llama3"))
        );
        let LlmChoice::OpenAi { base_url, .. } =
            with("", &["OPENAI_API_KEY"], &found).unwrap().llm.what
        else {
            panic!("the key is not used")
        };
        assert_eq!(base_url, None);
    }

    #[test]
    fn a_server_whose_address_is_given_says_which_model_it_has() {
        let asked = |listed: Result<&str, &str>, text: &str| {
            let found = Found {
                listed_model: Some(listed.map(str::to_owned).map_err(str::to_owned)),
                ..machine()
            };
            with(text, &["OPENAI_BASE_URL"], &found).map(|choice| choice.llm.what)
        };
        let model = |choice| match choice {
            Ok(LlmChoice::OpenAi { model, .. }) => model,
            other => panic!("{other:?}"),
        };
        assert_eq!(model(asked(Ok("m"), "")).as_deref(), Some("m"));
        let named = "[llm]\nmodel = \"n\"";
        assert_eq!(model(asked(Err("gone"), named)).as_deref(), Some("n"));
        assert_eq!(model(asked(Err("gone"), "")).as_deref(), Some(""));
    }

    #[test]
    fn a_provider_that_is_asked_for_without_its_key_is_refused_with_the_fix() {
        let findings = with(
            "[stt]\nprovider = \"deepgram\"\n[tts]\nprovider = \"openai\"",
            &[],
            &machine(),
        )
        .unwrap_err();
        assert_eq!(findings.len(), 2);
        assert!(findings[0].contains("DEEPGRAM_API_KEY") && findings[1].contains("OPENAI_API_KEY"));
    }

    #[test]
    fn a_language_that_the_local_recogniser_does_not_know_is_refused_with_the_fix() {
        for provider in ["auto", "pocketsphinx"] {
            let text = format!("[stt]\nprovider = \"{provider}\"\nlanguage = \"de\"");
            let findings = with(&text, &[], &machine()).unwrap_err();
            assert!(findings[0].contains("DEEPGRAM_API_KEY"), "{findings:?}");
        }
        let german = "[stt]\nlanguage = \"de\"";
        assert!(with(german, &["DEEPGRAM_API_KEY"], &machine()).is_ok());
        assert!(with("[stt]\nlanguage = \"en-GB\"", &[], &machine()).is_ok());
    }

    #[test]
    fn a_bare_machine_still_runs_by_typing() {
        let found = Found {
            pocketsphinx: Some("PocketSphinx is not installed".into()),
            ..Found::default()
        };
        let choice = with("", &[], &found).unwrap();
        assert_eq!(
            (choice.stt.what, choice.tts.what),
            (SttChoice::None, TtsChoice::None)
        );
    }
}
