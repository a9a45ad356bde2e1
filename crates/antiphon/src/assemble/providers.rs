//! The chosen providers, made.

use std::borrow::Cow;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use antiphon_agent::provider::{Knowledge, Llm, LlmOptions, Stt, Tts};
use antiphon_agent::{AgentBuilder, ProviderError};
use antiphon_deepgram::{DeepgramConfig, DeepgramStt};
use antiphon_hibari::VoiceTts;
use antiphon_local::{EspeakTts, FliteTts, PocketSphinxStt, RulesLlm};
use antiphon_moonshine::NeuralStt;
use antiphon_neural::Workers;
use antiphon_openai::{Dialect, Endpoint, Finding, Level, OpenAiLlm, OpenAiTts, Timeouts};
use antiphon_silero::{Silero, SileroOptions};
use antiphon_smartturn::SmartTurn;
use anyhow::Context as _;

use crate::choose::{Choice, LlmChoice, SttChoice, TtsChoice};
use crate::config::{Config, LlmProvider, Seconds, Secrets, shown_url};
use crate::playground::AboutProvider;

/// Add them to the agent.
pub(super) fn add(
    builder: AgentBuilder,
    config: &Config,
    secrets: &Secrets,
    choice: &Choice,
    knowledge: Option<&Arc<dyn Knowledge>>,
    workers: &Workers,
) -> anyhow::Result<AgentBuilder> {
    let mut builder = builder.llm(llm(config, secrets, &choice.llm.what, knowledge)?);
    // each may load a model, and nobody is answered before both are there
    let (stt, tts, detector) = std::thread::scope(|scope| {
        let tts = scope.spawn(|| tts(config, secrets, &choice.tts.what, workers));
        let stt = stt(config, secrets, &choice.stt.what, workers);
        let detector = choice
            .detector
            .as_ref()
            .map(|folder| SmartTurn::load(folder, workers.clone()));
        let tts = tts.join().unwrap_or_else(|panic| resume_unwind(panic));
        (stt, tts, detector)
    });
    if let Some(detector) = detector {
        builder = builder.turn_detector(Arc::new(detector?));
    }
    if let Some(stt) = stt? {
        let mut options = silero_options(config);
        if choice.detector.is_some() && config.vad.min_silence_duration.is_none() {
            options.min_silence_duration = SILENCE_FOR_DETECTOR;
        }
        let vad = Silero::new(options).context("the voice activity detector cannot be loaded")?;
        builder = builder.stt(stt).vad(Arc::new(vad));
    }
    if let Some(tts) = tts? {
        builder = builder.tts(tts);
    }
    Ok(builder)
}

fn stt(
    config: &Config,
    secrets: &Secrets,
    choice: &SttChoice,
    workers: &Workers,
) -> anyhow::Result<Option<Arc<dyn Stt>>> {
    Ok(match choice {
        SttChoice::Deepgram => Some(Arc::new(DeepgramStt::new(deepgram(config, secrets)?)?)),
        SttChoice::Moonshine(folder) => Some(Arc::new(NeuralStt::load(folder, workers.clone())?)),
        SttChoice::Whisper(folder) => {
            let stt = NeuralStt::load(folder, workers.clone())?;
            Some(Arc::new(match config.stt.given_language() {
                Some(language) => stt.with_language(language)?,
                None => stt,
            }))
        }
        SttChoice::PocketSphinx => Some(Arc::new(PocketSphinxStt::new()?)),
        SttChoice::None => None,
    })
}

/// Deepgram as configured.
pub(super) fn deepgram(config: &Config, secrets: &Secrets) -> anyhow::Result<DeepgramConfig> {
    let key = secrets
        .deepgram_api_key
        .clone()
        .context("DEEPGRAM_API_KEY is not set")?;
    let mut deepgram = DeepgramConfig::new(key);
    if let Some(base_url) = &secrets.deepgram_base_url {
        deepgram = deepgram.with_base_url(base_url);
    }
    if let Some(model) = &config.stt.model {
        deepgram = deepgram.with_model(model);
    }
    deepgram = deepgram.with_language(config.stt.language());
    if let Some(endpointing) = config.stt.endpointing_ms {
        deepgram.endpointing = std::time::Duration::from_millis(endpointing.into());
    }
    deepgram.keyterms.clone_from(&config.stt.keyterms);
    deepgram.smart_format = config.stt.smart_format;
    Ok(deepgram)
}

fn llm(
    config: &Config,
    secrets: &Secrets,
    choice: &LlmChoice,
    knowledge: Option<&Arc<dyn Knowledge>>,
) -> anyhow::Result<Arc<dyn Llm>> {
    Ok(match choice {
        LlmChoice::BuiltIn => {
            let rules = RulesLlm::new(|| {
                let days = jiff::Zoned::now()
                    .date()
                    .since(jiff::civil::date(1970, 1, 1));
                antiphon_local::Date::from_days(days.map_or(0, |span| i64::from(span.get_days())))
            });
            Arc::new(match knowledge {
                Some(knowledge) => rules.with_knowledge(knowledge.clone()),
                None => rules,
            })
        }
        LlmChoice::OpenAi { base_url, model } => {
            let llm = llm_config(config, secrets, base_url.as_deref(), model.as_deref());
            Arc::new(OpenAiLlm::new(llm)?)
        }
    })
}

/// The server that is asked which model it has: its address is given, and no model. OpenAI's own default is known.
pub(super) fn unnamed(config: &Config, secrets: &Secrets) -> Option<Endpoint> {
    if config.llm.model.is_some() || config.llm.provider == LlmProvider::BuiltIn {
        return None;
    }
    let base_url = config
        .llm
        .base_url
        .as_deref()
        .or(secrets.openai_base_url.as_deref())?;
    let endpoint = endpoint(Some(base_url), secrets, None);
    (endpoint.dialect == Dialect::Compatible).then_some(endpoint)
}

/// The language model as configured.
pub(super) fn llm_config(
    config: &Config,
    secrets: &Secrets,
    base_url: Option<&str>,
    model: Option<&str>,
) -> antiphon_openai::LlmConfig {
    let mut llm = antiphon_openai::LlmConfig::new(endpoint(base_url, secrets, config.llm.timeout))
        .with_options(LlmOptions {
            temperature: config.llm.temperature,
            max_completion_tokens: config.llm.max_completion_tokens,
        });
    if let Some(model) = model {
        llm = llm.with_model(model);
    }
    llm.reasoning_effort
        .clone_from(&config.llm.reasoning_effort);
    llm.service_tier.clone_from(&config.llm.service_tier);
    llm.extra_body = config.llm.extra_fields();
    llm.leave_out = config.llm.leave_out.iter().cloned().collect();
    llm
}

fn tts(
    config: &Config,
    secrets: &Secrets,
    choice: &TtsChoice,
    workers: &Workers,
) -> anyhow::Result<Option<Arc<dyn Tts>>> {
    let voice = config.tts.voice.as_deref();
    let speed = config.tts.speed.unwrap_or(1.0);
    Ok(match choice {
        TtsChoice::OpenAi => Some(Arc::new(OpenAiTts::new(tts_config(config, secrets))?)),
        TtsChoice::Hibari(folder) => {
            Some(Arc::new(VoiceTts::hibari(folder, workers.clone(), speed)?))
        }
        TtsChoice::Kokoro { folder, voice } => {
            let workers = workers.clone();
            Some(Arc::new(VoiceTts::kokoro(folder, voice, workers, speed)?))
        }
        TtsChoice::Flite => Some(Arc::new(FliteTts::new(voice)?)),
        TtsChoice::EspeakNg => Some(Arc::new(EspeakTts::new(voice)?)),
        TtsChoice::None => None,
    })
}

/// OpenAI's speech as configured.
pub(super) fn tts_config(config: &Config, secrets: &Secrets) -> antiphon_openai::TtsConfig {
    let base_url = config
        .tts
        .base_url
        .as_deref()
        .or(secrets.openai_base_url.as_deref());
    let mut tts = antiphon_openai::TtsConfig::new(endpoint(base_url, secrets, config.tts.timeout));
    if let Some(model) = &config.tts.model {
        tts = tts.with_model(model);
    }
    if let Some(voice) = &config.tts.voice {
        tts = tts.with_voice(voice);
    }
    tts.speed = config.tts.speed;
    tts.instructions.clone_from(&config.tts.instructions);
    tts
}

pub(super) fn endpoint(
    base_url: Option<&str>,
    secrets: &Secrets,
    patience: Option<Seconds>,
) -> Endpoint {
    let base_url = base_url.unwrap_or(antiphon_openai::config::DEFAULT_BASE_URL);
    let endpoint = Endpoint::new(base_url, secrets.openai_api_key.clone());
    let Some(Seconds(patience)) = patience else {
        return endpoint;
    };
    // The dialogue gives up after the same time; a provider that gave up before would make a longer one useless.
    let timeouts = Timeouts {
        first_chunk: patience,
        between_chunks: patience,
        total: endpoint.timeouts.total.max(patience),
        ..endpoint.timeouts
    };
    endpoint.with_timeouts(timeouts)
}

/// Silence that ends speech where a detector judges what follows: it is asked then, has its answer 50 ms later, and the caller is
/// answered 200 ms after the last sound. Asked sooner, it is wrong more often (docs/benchmarks.md).
const SILENCE_FOR_DETECTOR: std::time::Duration = std::time::Duration::from_millis(150);

/// Silero as `[vad]` wants it.
pub(crate) fn silero_options(config: &Config) -> SileroOptions {
    let mut options = SileroOptions::default();
    if let Some(threshold) = config.vad.activation_threshold {
        // LiveKit's distance between both thresholds.
        options.activation_threshold = threshold;
        options.deactivation_threshold = (threshold - 0.15).max(0.01);
    }
    if let Some(duration) = config.vad.min_speech_duration {
        options.min_speech_duration = duration.0;
    }
    if let Some(duration) = config.vad.min_silence_duration {
        options.min_silence_duration = duration.0;
    }
    options
}

/// Ask the chosen ones that are elsewhere.
pub(super) async fn probe(
    config: &Config,
    secrets: &Secrets,
    choice: &Choice,
) -> Vec<(&'static str, Vec<Finding>)> {
    let mut findings = Vec::new();
    // what cannot even be asked was refused with its reason when the agent was put together
    let cannot = |error: &dyn std::fmt::Display| {
        vec![Finding {
            level: Level::Error,
            message: error.to_string(),
            fix: Some(
                "correct its address or key in the environment, .env or antiphon.toml".into(),
            ),
        }]
    };
    if choice.stt.what == SttChoice::Deepgram {
        let found = match deepgram(config, secrets).and_then(|config| Ok(DeepgramStt::new(config)?))
        {
            Ok(stt) => vec![asked_deepgram(stt.probe().await)],
            Err(error) => cannot(&error),
        };
        findings.push(("STT", found));
    }
    if let LlmChoice::OpenAi { base_url, model } = &choice.llm.what {
        let found = match OpenAiLlm::new(llm_config(
            config,
            secrets,
            base_url.as_deref(),
            model.as_deref(),
        )) {
            Ok(llm) => shown(llm.probe().await, base_url.as_deref()),
            Err(error) => cannot(&error),
        };
        findings.push(("LLM", found));
    }
    if choice.tts.what == TtsChoice::OpenAi {
        let found = match OpenAiTts::new(tts_config(config, secrets)) {
            Ok(tts) => {
                let address = config.tts.base_url.as_deref();
                let address = address.or(secrets.openai_base_url.as_deref());
                shown(tts.probe().await, address)
            }
            Err(error) => cannot(&error),
        };
        findings.push(("TTS", found));
    }
    findings
}

fn asked_deepgram(answer: Result<(), ProviderError>) -> Finding {
    let (level, message, fix) = match answer {
        Ok(()) => (Level::Ok, "Deepgram accepts the key".to_owned(), None),
        Err(error) => {
            let (level, fix) = match error {
                ProviderError::Unauthorized { .. } => (
                    Level::Error,
                    "put a valid key into DEEPGRAM_API_KEY (or .env), or check the account's credit",
                ),
                ProviderError::RateLimited { .. } => (
                    Level::Warning,
                    "wait, or raise the account's limits; callers will not be heard meanwhile",
                ),
                ProviderError::Setup { .. } => (Level::Error, "change what it says in the account"),
                ProviderError::Unresolved { .. }
                | ProviderError::Connection { .. }
                | ProviderError::Timeout { .. } => (
                    Level::Error,
                    "check the network and DEEPGRAM_BASE_URL, if it is set",
                ),
                ProviderError::Status { .. } | ProviderError::Protocol { .. } => (
                    Level::Error,
                    "check [stt] model, language and options, and that DEEPGRAM_BASE_URL is Deepgram's",
                ),
                ProviderError::Unavailable { .. } => (Level::Error, "install what is missing"),
            };
            (level, error.to_string(), Some(fix.to_owned()))
        }
    };
    Finding {
        level,
        message,
        fix,
    }
}

/// Findings that name the address without what only requests may have of it.
fn shown(mut findings: Vec<Finding>, address: Option<&str>) -> Vec<Finding> {
    let Some(address) = address.map(|address| address.trim_end_matches('/')) else {
        return findings;
    };
    let harmless = shown_url(address);
    for finding in &mut findings {
        finding.message = finding.message.replace(address, &harmless);
        finding.fix = finding
            .fix
            .take()
            .map(|fix| fix.replace(address, &harmless));
    }
    findings
}

/// The last part of a model's folder.
fn name(folder: &Path) -> Cow<'_, str> {
    folder.file_name().unwrap_or_default().to_string_lossy()
}

/// Who does what, for people.
pub(super) fn about(config: &Config, secrets: &Secrets, choice: &Choice) -> Vec<AboutProvider> {
    let stt_server = secrets
        .deepgram_base_url
        .as_deref()
        .map_or("Deepgram".to_owned(), shown_url);
    let stt_folder = match &choice.stt.what {
        SttChoice::Moonshine(folder) | SttChoice::Whisper(folder) => name(folder),
        SttChoice::Deepgram | SttChoice::PocketSphinx | SttChoice::None => Cow::default(),
    };
    let (stt, stt_model) = match &choice.stt.what {
        SttChoice::Deepgram => (
            stt_server.as_str(),
            config.stt.model.as_deref().unwrap_or("nova-3"),
        ),
        SttChoice::Moonshine(_) => ("Moonshine", &*stt_folder),
        SttChoice::Whisper(_) => ("Whisper", &*stt_folder),
        SttChoice::PocketSphinx => ("PocketSphinx", "US English"),
        SttChoice::None => ("typing", ""),
    };
    let (llm, llm_model) = match &choice.llm.what {
        LlmChoice::OpenAi { base_url, model } => {
            let model = match model.as_deref() {
                None => antiphon_openai::config::DEFAULT_LLM_MODEL,
                Some("") => "the first that it lists",
                Some(model) => model,
            };
            let server = base_url.as_deref().map(shown_url);
            (server.unwrap_or("OpenAI".into()), model)
        }
        LlmChoice::BuiltIn => ("built in".to_owned(), "rules"),
    };
    let tts_model = config
        .tts
        .model
        .as_deref()
        .unwrap_or(antiphon_openai::config::DEFAULT_TTS_MODEL);
    let tts_address = config.tts.base_url.as_deref();
    let tts_server = tts_address
        .or(secrets.openai_base_url.as_deref())
        .map_or("OpenAI".to_owned(), shown_url);
    let (tts, tts_model) = match &choice.tts.what {
        TtsChoice::OpenAi => (tts_server.as_str(), tts_model),
        TtsChoice::Hibari(_) => ("hibari", antiphon_hibari::tts::VOICE),
        TtsChoice::Kokoro { voice, .. } => ("Kokoro", voice.as_str()),
        TtsChoice::Flite => ("flite", config.tts.voice.as_deref().unwrap_or("slt")),
        TtsChoice::EspeakNg => ("espeak-ng", config.tts.voice.as_deref().unwrap_or("en-us")),
        TtsChoice::None => ("writing", ""),
    };
    let row = |role, provider: &str, model: &str, why: &str| AboutProvider {
        role,
        provider: provider.to_owned(),
        model: model.to_owned(),
        why: why.to_owned(),
    };
    vec![
        row("STT", stt, stt_model, &choice.stt.why),
        row("LLM", &llm, llm_model, &choice.llm.why),
        row("TTS", tts, tts_model, &choice.tts.why),
    ]
}
