//! Who recognises speech.

use antiphon_models::catalogue::{MOONSHINE_TINY_EN, WHISPER_BASE};

use super::{Chosen, Found, SttChoice};
use crate::config::{Config, Secrets, SttProvider};

pub(super) fn stt(
    config: &Config,
    secrets: &Secrets,
    found: &Found,
) -> Result<Chosen<SttChoice>, String> {
    let key = secrets.deepgram_api_key.is_some();
    let language = config.stt.language.as_deref();
    let other = language.filter(|language| !is_english(language));
    // what is fetched must know the language, or the next start refuses it
    let fetched = match other {
        None => MOONSHINE_TINY_EN.name,
        Some(_) => WHISPER_BASE.name,
    };
    // these know English only
    let here = |what, why: String| match other {
        None => Ok(Chosen::new(what, why)),
        Some(language) => Err(format!(
            "[stt] language is \"{language}\" but that recogniser on this machine knows English only; {}, take the key language out, \
             or use provider = \"none\"",
            other_ears(config)
        )),
    };
    let says_so = "antiphon.toml says so";
    match config.stt.provider {
        SttProvider::Deepgram if key => Ok(Chosen::new(SttChoice::Deepgram, says_so)),
        SttProvider::Deepgram => Err(
            "[stt] provider is \"deepgram\" but DEEPGRAM_API_KEY is not set; set it in the \
             environment or .env, or use provider = \"auto\""
                .into(),
        ),
        SttProvider::PocketSphinx => match &found.pocketsphinx {
            Some(missing) if other.is_none() => Err(format!(
                "[stt] provider is \"pocketsphinx\" but {missing}; install it, or use provider = \"auto\""
            )),
            _ => here(SttChoice::PocketSphinx, says_so.into()),
        },
        SttProvider::None => Ok(Chosen::new(
            SttChoice::None,
            "antiphon.toml says so; callers type",
        )),
        SttProvider::Auto if key => Ok(Chosen::new(SttChoice::Deepgram, "DEEPGRAM_API_KEY is set")),
        SttProvider::Auto | SttProvider::Local => {
            let is_named = config.stt.provider == SttProvider::Local;
            let why = if is_named {
                says_so
            } else {
                "no DEEPGRAM_API_KEY"
            };
            if is_named && let Some(model) = config.stt.model.as_deref() {
                // neither fetching it nor mending it helps who speaks another language
                if model == MOONSHINE_TINY_EN.name && other.is_some() {
                    return here(SttChoice::None, why.into());
                }
                return match &found.named_ears {
                    Some(Ok(ears)) if model == MOONSHINE_TINY_EN.name => {
                        here(ears.clone(), why.into())
                    }
                    // a folder is the user's own: who puts it there knows what it hears
                    Some(Ok(ears)) => {
                        Ok(Chosen::new(ears.clone(), format!("{why}; on this machine")))
                    }
                    Some(Err(message)) => Err(format!("[stt] model is \"{model}\" but {message}")),
                    None => Err(format!(
                        "[stt] model is \"{model}\" but there is no such model on this machine; fetch it with `antiphon models fetch`, \
                         or name a folder with an export of Moonshine or Whisper"
                    )),
                };
            }
            // who knows English only hears it as well, and sooner
            if let Some(folder) = &found.whisper
                && (other.is_some() || found.moonshine.is_none())
            {
                return Ok(Chosen::new(
                    SttChoice::Whisper(folder.clone()),
                    format!("{why}; on this machine, many languages"),
                ));
            }
            // PocketSphinx would not help who speaks another language
            let nobody = |missing: &str| match other {
                None => missing.to_owned(),
                Some(language) => format!("no recogniser of \"{language}\" is here"),
            };
            match (&found.moonshine, &found.pocketsphinx) {
                (Some(folder), _) => here(
                    SttChoice::Moonshine(folder.clone()),
                    format!("{why}; on this machine, English"),
                ),
                (None, None) => here(
                    SttChoice::PocketSphinx,
                    format!(
                        "{why}; on this machine, US English, modest accuracy (`antiphon models fetch {}` hears far better)",
                        MOONSHINE_TINY_EN.name
                    ),
                ),
                (None, Some(missing)) if is_named => Err(format!(
                    "[stt] provider is \"local\" but no recogniser is on this machine; `antiphon models fetch {fetched}` fetches one ({})",
                    nobody(missing)
                )),
                (None, Some(missing)) => Ok(Chosen::new(
                    SttChoice::None,
                    format!(
                        "{why} and {}; callers type (`antiphon models fetch {fetched}` fetches a better recogniser)",
                        nobody(missing)
                    ),
                )),
            }
        }
    }
}

/// How to have a recogniser of another language than English: what must change follows from the provider that the file names.
fn other_ears(config: &Config) -> String {
    let model = WHISPER_BASE.name;
    let fetch = format!("fetch one for many languages with `antiphon models fetch {model}`");
    let key = "DEEPGRAM_API_KEY in the environment or .env";
    let is_model_named = config.stt.model.is_some();
    match config.stt.provider {
        SttProvider::PocketSphinx => {
            format!("use provider = \"auto\" and {fetch}, or with {key}")
        }
        SttProvider::Local if is_model_named => format!(
            "{fetch} and set model = \"{model}\", use provider = \"deepgram\" with {key} and take the key model out"
        ),
        SttProvider::Local => format!("{fetch}, use provider = \"deepgram\" with {key}"),
        SttProvider::Auto | SttProvider::Deepgram | SttProvider::None => {
            format!("{fetch}, set {key}")
        }
    }
}

/// BCP-47: `en`, `en-US`, …
fn is_english(language: &str) -> bool {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    primary.eq_ignore_ascii_case("en")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{machine, with};
    use super::*;

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
    fn a_caller_who_speaks_spanish_is_heard_without_a_key_when_whisper_is_here() {
        let found = Found {
            moonshine: Some("m".into()),
            whisper: Some("w".into()),
            ..machine()
        };
        let whisper = SttChoice::Whisper("w".into());
        let chosen = |text, keys: &[&str]| with(text, keys, &found).unwrap().stt;
        for text in ["[stt]\nlanguage = \"es\"", "[stt]\nlanguage = \"multi\""] {
            let spanish = chosen(text, &[]);
            assert_eq!(spanish.what, whisper);
            assert!(spanish.why.contains("many languages"), "{}", spanish.why);
            assert_eq!(
                chosen(text, &["DEEPGRAM_API_KEY"]).what,
                SttChoice::Deepgram
            );
        }
        let english = chosen("[stt]\nlanguage = \"en-GB\"", &[]).what;
        assert_eq!(english, SttChoice::Moonshine("m".into()));
        assert_eq!(chosen("", &[]).what, english);
        let alone = Found {
            moonshine: None,
            ..found.clone()
        };
        assert_eq!(with("", &[], &alone).unwrap().stt.what, whisper);
    }

    #[test]
    fn a_recogniser_that_is_named_is_used_and_one_that_is_damaged_says_why() {
        let named = |ears: Option<Result<SttChoice, String>>, text: &str| {
            let found = Found {
                named_ears: ears,
                whisper: Some("w".into()),
                ..machine()
            };
            with(&format!("[stt]\nprovider = \"local\"\n{text}"), &[], &found)
        };
        let moonshine = SttChoice::Moonshine("models/moonshine-base-es".into());
        let text = "model = \"models/moonshine-base-es\"\nlanguage = \"es\"";
        assert_eq!(
            named(Some(Ok(moonshine.clone())), text).unwrap().stt.what,
            moonshine
        );
        let english = "model = \"moonshine-tiny-en\"\nlanguage = \"es\"";
        let refused = named(Some(Ok(moonshine)), english).unwrap_err().join("");
        assert!(refused.contains("models fetch whisper-base"), "{refused}");
        let damaged = named(
            Some(Err("it has no tokenizer.json".into())),
            "model = \"x\"",
        );
        let damaged = damaged.unwrap_err().join("");
        assert!(
            damaged.contains("\"x\" but it has no tokenizer.json"),
            "{damaged}"
        );
    }
    #[test]
    fn advice_is_followed_once_and_the_next_start_hears_the_language() {
        let bare = Found {
            pocketsphinx: Some("PocketSphinx is not installed".into()),
            ..machine()
        };
        let said = |text: &str, found: &Found| match with(text, &[], found) {
            Ok(choice) => choice.stt.why,
            Err(findings) => findings.join(""),
        };
        for language in ["es", "de-AT", "multi"] {
            for provider in ["auto", "local"] {
                let text = format!("[stt]\nprovider = \"{provider}\"\nlanguage = \"{language}\"");
                let why = said(&text, &bare);
                assert!(why.contains("models fetch whisper-base"), "{why}");
                assert!(!why.contains("moonshine"), "{why}");
                assert!(!why.contains("PocketSphinx"), "{why}");
            }
            // here the file must change, whatever is fetched
            for found in [&bare, &machine()] {
                let text = format!("[stt]\nprovider = \"pocketsphinx\"\nlanguage = \"{language}\"");
                let why = said(&text, found);
                assert!(why.contains("use provider = \"auto\""), "{why}");
                assert!(!why.contains("key model out"), "{why}");
                assert!(!why.contains("install it"), "{why}");
            }
            let named = format!(
                "[stt]\nprovider = \"local\"\nmodel = \"moonshine-tiny-en\"\nlanguage = \"{language}\""
            );
            let why = said(&named, &bare);
            assert!(why.contains("set model = \"whisper-base\""), "{why}");
            assert!(why.contains("provider = \"deepgram\""), "{why}");
        }
        let english = said("[stt]\nlanguage = \"en-US\"", &bare);
        assert!(english.contains("fetch moonshine-tiny-en"), "{english}");
    }
}
