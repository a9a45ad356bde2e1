//! Who speaks.

use antiphon_hibari::tts::{KOKORO_VOICE, MAX_SPEED, MIN_SPEED, VOICE};
use antiphon_models::catalogue::{HIBARI_HEART, KOKORO, kokoro_voices};

use super::{Chosen, Found, TtsChoice};
use crate::config::{Config, Secrets, TtsProvider};

pub(super) fn tts(
    config: &Config,
    secrets: &Secrets,
    found: &Found,
) -> Result<Chosen<TtsChoice>, String> {
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
        TtsProvider::Auto => local_voice(config, found, "no OPENAI_API_KEY")
            .map(|chosen| chosen.unwrap_or_else(|| silent("no OPENAI_API_KEY, and no voice here"))),
        TtsProvider::Local => local_voice(config, found, says_so)?.ok_or_else(|| {
            format!(
                "[tts] provider is \"local\" but no voice is on this machine; `antiphon models fetch {}` fetches one, or \
                 apt-get install flite",
                HIBARI_HEART.name
            )
        }),
    }
}

fn silent(why: &str) -> Chosen<TtsChoice> {
    let fetch = HIBARI_HEART.name;
    Chosen::new(
        TtsChoice::None,
        format!(
            "{why}; answers are written (`antiphon models fetch {fetch}`, or apt-get install flite)"
        ),
    )
}

/// The pace, if a neural voice of this machine can speak it.
fn check_speed(config: &Config) -> Result<(), String> {
    match config.tts.speed {
        Some(speed) if !(MIN_SPEED..=MAX_SPEED).contains(&speed) => Err(format!(
            "[tts] speed is {speed}, but the voices on this machine speak between {MIN_SPEED} and {MAX_SPEED}; choose a value \
             between them"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Kokoro with the voice that is asked for.
fn kokoro(config: &Config, found: &Found, why: &str) -> Result<Chosen<TtsChoice>, String> {
    let name = KOKORO.name;
    let voice = config.tts.voice.as_deref().unwrap_or(KOKORO_VOICE);
    if !kokoro_voices().any(|known| known == voice) {
        let known: Vec<&str> = kokoro_voices().collect();
        return Err(format!(
            "[tts] voice is \"{voice}\", but Kokoro's voices of American and British English are {}; choose one of them",
            known.join(", ")
        ));
    }
    let folder = found.kokoro.clone().ok_or_else(|| {
        format!(
            "[tts] model is \"{name}\" but it is not on this machine; fetch it with `antiphon models fetch {name}`"
        )
    })?;
    check_speed(config)?;
    let voice = voice.to_owned();
    let why = format!("{why}; on this machine");
    Ok(Chosen::new(TtsChoice::Kokoro { folder, voice }, why))
}

/// The best voice of this machine that has the name that `[tts] voice` asks for, if it asks.
fn local_voice(
    config: &Config,
    found: &Found,
    why: &str,
) -> Result<Option<Chosen<TtsChoice>>, String> {
    let is_local = config.tts.provider == TtsProvider::Local;
    match config.tts.model.as_deref() {
        Some(model) if model == KOKORO.name => return kokoro(config, found, why).map(Some),
        // the name of a model elsewhere, which is used when there is a key
        Some(_) if !is_local => {}
        Some(model) if model == HIBARI_HEART.name => {}
        Some(model) => {
            return Err(format!(
                "[tts] model is \"{model}\", but the voices on this machine are {} and {}; choose one of them, or leave model out",
                HIBARI_HEART.name, KOKORO.name
            ));
        }
        None => {}
    }
    if let Some(voice) = config.tts.voice.as_deref()
        && kokoro_voices().any(|known| known == voice)
    {
        return Err(format!(
            "[tts] voice is \"{voice}\", a voice of Kokoro; set model = \"{}\" beside it, too",
            KOKORO.name
        ));
    }
    let is_hibari = config.tts.voice.as_deref().is_none_or(|v| v == VOICE);
    if let (true, Some(folder)) = (is_hibari, &found.hibari) {
        check_speed(config)?;
        let why = format!("{why}; on this machine");
        return Ok(Some(Chosen::new(TtsChoice::Hibari(folder.clone()), why)));
    }
    if config.tts.voice.as_deref() == Some(VOICE) {
        return Err(format!(
            "[tts] voice is \"{VOICE}\" but it is not on this machine; fetch it with `antiphon models fetch {}`",
            HIBARI_HEART.name
        ));
    }
    let better = match &found.hibari {
        Some(_) => String::new(),
        None => format!(
            " (`antiphon models fetch {}` has a far better voice)",
            HIBARI_HEART.name
        ),
    };
    Ok(match (found.flite, found.espeak_ng) {
        (true, _) => Some(Chosen::new(
            TtsChoice::Flite,
            format!("{why}; on this machine{better}"),
        )),
        (false, true) => Some(Chosen::new(
            TtsChoice::EspeakNg,
            format!("{why} and no flite; on this machine{better}"),
        )),
        (false, false) => None,
    })
}
