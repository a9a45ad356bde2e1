//! Which providers a process uses, and why: keys, then a server found on this machine, then what is built in.

mod detector;
mod ears;
mod voice;

use std::path::PathBuf;

use antiphon_openai::LocalServer;

use crate::config::{Config, LlmProvider, Secrets};

/// What was found on this machine.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The folder of the recogniser that hears English, when it was fetched.
    pub moonshine: Option<PathBuf>,
    /// The folder of the recogniser that hears many languages, when it was fetched.
    pub whisper: Option<PathBuf>,
    /// The recogniser that `[stt] model` names, or what is wrong with it.
    pub named_ears: Option<Result<SttChoice, String>>,
    /// The folder of the voice, when it was fetched.
    pub hibari: Option<PathBuf>,
    /// The folder of Kokoro with its voices, when it was fetched.
    pub kokoro: Option<PathBuf>,
    /// The folder of the turn detector, when it was fetched.
    pub smart_turn: Option<PathBuf>,
    /// An OpenAI-compatible server.
    pub local_llm: Option<LocalServer>,
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
    /// Moonshine here, its model in this folder.
    Moonshine(PathBuf),
    /// Whisper here, its model in this folder.
    Whisper(PathBuf),
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
    /// The hibari voice here, in this folder.
    Hibari(PathBuf),
    /// A voice of Kokoro here.
    Kokoro {
        /// The model's folder.
        folder: PathBuf,
        /// The voice's name.
        voice: String,
    },
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
    /// The folder of the turn detector; `None`: silence alone ends turns.
    pub detector: Option<PathBuf>,
}

/// Decide, or say what is missing and how to get it (every finding at once).
pub fn choose(config: &Config, secrets: &Secrets, found: &Found) -> Result<Choice, Vec<String>> {
    let mut findings = Vec::new();
    let mut keep = |finding: String| findings.push(finding);
    let stt = ears::stt(config, secrets, found).map_err(&mut keep);
    let llm = llm(config, secrets, found).map_err(&mut keep);
    let tts = voice::tts(config, secrets, found).map_err(&mut keep);
    let detector = detector::detector(config, found).map_err(&mut keep);
    match (stt, llm, tts, detector) {
        (Ok(stt), Ok(llm), Ok(tts), Ok(detector)) => Ok(Choice {
            stt,
            llm,
            tts,
            detector,
        }),
        _ => Err(findings),
    }
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
            Some(server) => Chosen::new(
                LlmChoice::OpenAi {
                    base_url: Some(server.base_url.clone()),
                    model: Some(model.unwrap_or_else(|| server.model.clone())),
                },
                format!(
                    "no OPENAI_API_KEY, but a server was found on this machine where {} usually is",
                    server.name
                ),
            ),
            None => Chosen::new(
                LlmChoice::BuiltIn,
                "no OPENAI_API_KEY or OPENAI_BASE_URL, and no Ollama, llama.cpp, vLLM or LM Studio on this machine; rules, not a language model",
            ),
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use crate::config::parse;

    pub(crate) fn with(text: &str, names: &[&str], found: &Found) -> Result<Choice, Vec<String>> {
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

    pub(crate) fn machine() -> Found {
        Found {
            flite: true,
            espeak_ng: true,
            ..Found::default()
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
    fn turns_are_judged_where_the_file_says_so() {
        let found = Found {
            moonshine: Some("m".into()),
            smart_turn: Some("t".into()),
            ..machine()
        };
        let detector = |text, keys: &[&str]| with(text, keys, &found).unwrap().detector;
        let named = "[turn]\ndetector = \"smart-turn\"";
        assert!(detector(named, &[]).is_some() && detector(named, &["DEEPGRAM_API_KEY"]).is_some());
        assert!(detector("", &[]).is_some());
        assert_eq!(detector("[turn]\ndetector = \"none\"", &[]), None);
        let missing = with(named, &[], &machine()).unwrap_err().join("");
        assert!(missing.contains("models fetch smart-turn"), "{missing}");
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
            local_llm: Some(LocalServer {
                name: "Ollama",
                base_url: "http://localhost:11434/v1".into(),
                model: "llama3".into(),
            }),
            ..machine()
        };
        let why = with("", &[], &found).unwrap().llm.why;
        assert!(why.contains("Ollama"), "{why}");
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
    fn models_that_were_fetched_hear_and_speak_before_the_old_engines_and_after_keys() {
        let found = Found {
            moonshine: Some("m".into()),
            hibari: Some("h".into()),
            ..machine()
        };
        for text in [
            "",
            "[stt]\nprovider = \"local\"\n[tts]\nprovider = \"local\"",
        ] {
            let choice = with(text, &[], &found).unwrap();
            assert_eq!(choice.stt.what, SttChoice::Moonshine("m".into()));
            assert_eq!(choice.tts.what, TtsChoice::Hibari("h".into()));
        }
        let keys = ["DEEPGRAM_API_KEY", "OPENAI_API_KEY"];
        let choice = with("", &keys, &found).unwrap();
        assert_eq!(choice.stt.what, SttChoice::Deepgram);
        assert_eq!(choice.tts.what, TtsChoice::OpenAi);
        let local = "[stt]\nprovider = \"local\"\n[tts]\nprovider = \"local\"";
        let choice = with(local, &keys, &found).unwrap();
        assert_eq!(choice.stt.what, SttChoice::Moonshine("m".into()));
        assert_eq!(choice.tts.what, TtsChoice::Hibari("h".into()));
        let named = with("[tts]\nvoice = \"slt\"", &[], &found).unwrap();
        assert_eq!(named.tts.what, TtsChoice::Flite);
    }

    #[test]
    fn without_models_the_old_engines_say_how_to_fetch_better_ones() {
        let choice = with("", &[], &machine()).unwrap();
        assert!(
            choice.stt.why.contains("antiphon models fetch moonshine"),
            "{}",
            choice.stt.why
        );
        assert!(
            choice.tts.why.contains("antiphon models fetch hibari"),
            "{}",
            choice.tts.why
        );
        for text in [
            "[stt]\nprovider = \"local\"\nmodel = \"moonshine-huge\"",
            "[tts]\nvoice = \"heart\"",
            "[tts]\nvoice = \"heart\"\nprovider = \"local\"",
        ] {
            let findings = with(text, &[], &machine()).unwrap_err();
            assert!(
                findings[0].contains("antiphon models fetch"),
                "{findings:?}"
            );
        }
        let bare = Found {
            pocketsphinx: Some("PocketSphinx is not installed".into()),
            ..Found::default()
        };
        let local = "[stt]\nprovider = \"local\"\n[tts]\nprovider = \"local\"";
        assert_eq!(with(local, &[], &bare).unwrap_err().len(), 2);
    }

    #[test]
    fn a_pace_that_the_local_voice_cannot_speak_is_refused_with_its_range() {
        let found = Found {
            hibari: Some("h".into()),
            ..machine()
        };
        let findings = with("[tts]\nspeed = 3.0", &[], &found).unwrap_err();
        assert!(findings[0].contains("between 0.5 and 2"), "{findings:?}");
        assert!(with("[tts]\nspeed = 1.5", &[], &found).is_ok());
    }

    #[test]
    fn a_voice_of_kokoro_is_used_when_it_is_asked_for_and_one_that_cannot_be_read_to_is_refused_with_the_list()
     {
        let found = Found {
            hibari: Some("h".into()),
            kokoro: Some("k".into()),
            ..machine()
        };
        let asked = |keys: &str| with(&format!("[tts]\nprovider = \"local\"\n{keys}"), &[], &found);
        let kokoro = |voice: &str| TtsChoice::Kokoro {
            folder: "k".into(),
            voice: voice.into(),
        };
        let chosen = |keys: &str| asked(keys).unwrap().tts.what;
        assert_eq!(chosen(""), TtsChoice::Hibari("h".into()));
        assert_eq!(chosen("model = \"kokoro\""), kokoro("af_heart"));
        assert_eq!(
            chosen("model = \"kokoro\"\nvoice = \"bm_george\""),
            kokoro("bm_george")
        );
        let refused = |keys: &str| asked(keys).unwrap_err().join("");
        let japanese = refused("model = \"kokoro\"\nvoice = \"jf_alpha\"");
        assert!(
            japanese.contains("am_michael") && japanese.contains("bf_emma"),
            "{japanese}"
        );
        let path = refused("model = \"kokoro\"\nvoice = \"../af_heart\"");
        assert!(path.contains("am_michael"), "{path}");
        let fast = refused("model = \"kokoro\"\nspeed = 3.0");
        assert!(fast.contains("between 0.5 and 2"), "{fast}");
        let alone = refused("voice = \"am_michael\"");
        assert!(alone.contains("model = \"kokoro\""), "{alone}");
        let unknown = refused("model = \"piper\"");
        assert!(
            unknown.contains("kokoro") && unknown.contains("hibari-heart"),
            "{unknown}"
        );
        let text = "[tts]\nprovider = \"local\"\nmodel = \"kokoro\"";
        let missing = with(text, &[], &machine()).unwrap_err().join("");
        assert!(
            missing.contains("antiphon models fetch kokoro"),
            "{missing}"
        );
        // the name of OpenAI's model does not matter while there is no key
        let auto = with("[tts]\nmodel = \"gpt-4o-mini-tts\"", &[], &found).unwrap();
        assert_eq!(auto.tts.what, TtsChoice::Hibari("h".into()));
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
