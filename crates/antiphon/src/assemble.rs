//! The agent of a configuration: the chosen providers, tools and documents put together. Everything that can be wrong is
//! found here, before a port is bound.

#[cfg(test)]
mod documented;
pub(crate) mod embedding;
pub(crate) mod knowledge;
mod providers;
mod tools;

pub(crate) use providers::silero_options;
pub(crate) use tools::user_folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::provider::{BoxStream, ChatChunk, Llm, ProviderInfo, Secret, ToolDefinition};
use antiphon_agent::{Agent, AgentBuilder, ProviderError, Recorder, RecorderOptions};
use antiphon_chat::ChatRequest;
use antiphon_dialogue::Options;
use antiphon_models::Store;
use antiphon_models::catalogue::{
    self, HIBARI_HEART, KOKORO, MOONSHINE_TINY_EN, Purpose, SMART_TURN, WHISPER_BASE,
};
use antiphon_moonshine::ModelKind;
use antiphon_neural::Workers;
use anyhow::Context as _;

use crate::app::App;
use crate::choose::{Choice, Found, SttChoice, choose};
use crate::config::{Config, Findings, Seconds, Secrets, SttProvider, load, parse};
use crate::playground::{AboutProvider, Documents};

/// An agent ready to take calls, and what a user wants to know about it.
#[derive(Debug)]
pub struct Assembled {
    /// The agent.
    pub agent: Agent,
    /// Its configuration.
    pub config: Config,
    /// Who does what, and why.
    pub providers: Vec<AboutProvider>,
    /// Things worth a line at the start: files of the knowledge that could not be read, and the like.
    pub notes: Vec<String>,
    /// It is the example, not the user's own agent.
    pub is_example: bool,
    /// What its knowledge was read from.
    pub documents: Documents,
}

/// The configuration file to use: the named one, else `antiphon.toml` of this folder, else nothing but defaults for
/// a program with an agent of its own, else the example.
///
/// # Errors
/// The file cannot be used; the text says why and how to mend it.
pub fn configuration(file: Option<&Path>, app: &App) -> anyhow::Result<(Config, bool)> {
    let standard = PathBuf::from("antiphon.toml");
    match file {
        Some(path) => Ok((load(path)?, false)),
        None if standard.exists() => Ok((load(&standard)?, false)),
        None if app.define.is_some() => Ok((parse("", &standard)?, false)),
        None => {
            let path = Path::new("the example's antiphon.toml");
            Ok((
                parse(antiphon_restaurant::files::CONFIGURATION, path)?,
                true,
            ))
        }
    }
}

/// Put the agent together.
///
/// # Errors
/// Something is missing (every finding at once, each with its fix) or cannot be read.
pub async fn assemble(config: Config, is_example: bool, app: &App) -> anyhow::Result<Assembled> {
    let secrets = &app.secrets;
    let wrong = secrets.findings();
    if !wrong.is_empty() {
        return Err(Findings(wrong).into());
    }
    let hidden = secrets.hidden(&config);
    antiphon_telemetry::secrets::hide(hidden.iter().map(Secret::expose));
    let found = look_around(&config, secrets).await;
    let choice = choose(&config, secrets, &found).map_err(Findings)?;
    let config = doubting(config, &choice);
    let providers = providers::about(&config, secrets, &choice);
    let mut notes = Vec::new();
    if let Some(Err(why)) = &found.listed_model {
        notes.push(format!(
            "[llm] model is not set, and the server was asked for one in vain: {why}; it is asked again with the first call, or set model"
        ));
    }
    let workers = Workers::for_this_machine().context("the threads of models cannot be started")?;
    let loaded = knowledge::load(&config, is_example, &mut notes)?;
    if let Some(loaded) = &loaded {
        embedding::begin(loaded, &config, secrets, &workers, &mut notes).await?;
    }
    let mut documents = Documents::default();
    if let Some(loaded) = &loaded {
        documents.folders = loaded.folders();
    }
    if is_example {
        documents.texts = antiphon_restaurant::files::documents();
    }
    let knowledge = loaded.and_then(|loaded| loaded.knowledge());
    let mut builder = providers::add(
        described(&config)?,
        &config,
        secrets,
        &choice,
        knowledge.as_ref(),
        &workers,
    )?;
    let automatic = config
        .knowledge
        .as_ref()
        .is_none_or(|k| k.automatic.unwrap_or(true));
    if let Some(knowledge) = knowledge {
        builder = builder.tool(knowledge::tool(knowledge.clone()));
        if automatic {
            builder = builder.knowledge(knowledge);
        }
    }
    builder = tools::add(builder, &config, is_example, &mut notes)?;
    if let Some(recorder) = recorder(&config, hidden)? {
        notes.push(format!(
            "every session is recorded into {}, callers' words included; leave out [telemetry] record to stop that",
            recorder.folder().display()
        ));
        builder = builder.recorder(recorder);
    }
    if let Some(define) = &app.define {
        builder = define(builder);
    }
    let agent = builder
        .build()
        .context("the agent cannot be put together")?;
    Ok(Assembled {
        agent,
        config,
        providers,
        notes,
        is_example,
        documents,
    })
}

/// How it records.
fn recorder_options(config: &Config, hidden: Vec<Secret>) -> Option<RecorderOptions> {
    let telemetry = &config.telemetry;
    let mut options = RecorderOptions::new(config.folder.join(telemetry.record.as_ref()?));
    if let Some(files) = telemetry.record_files {
        options.max_files = files;
    }
    if let Some(days) = telemetry.record_days {
        options.max_age = Duration::from_secs(u64::from(days) * 24 * 3600);
    }
    options.secrets = hidden;
    Some(options)
}

/// The agent of a configuration as far as a simulation needs it: its options, instructions and tools. Nothing is asked,
/// opened or written; its providers cannot be used.
///
/// # Errors
/// The documents or tools cannot be read.
pub fn offline(config: &Config, app: &App) -> anyhow::Result<Agent> {
    let mut config = config.clone();
    for tool in &mut config.tools {
        // No database is opened, and no secret of the environment is needed.
        tool.database = None;
        tool.headers.clear();
    }
    let mut builder = described(&config)?.llm(Arc::new(Nobody));
    let loaded = knowledge::load(&config, false, &mut Vec::new())?;
    if let Some(knowledge) = loaded.and_then(|loaded| loaded.knowledge()) {
        builder = builder.tool(knowledge::tool(knowledge.clone()));
        if config
            .knowledge
            .as_ref()
            .is_none_or(|k| k.automatic.unwrap_or(true))
        {
            builder = builder.knowledge(knowledge);
        }
    }
    builder = tools::add(builder, &config, false, &mut Vec::new())?;
    if let Some(define) = &app.define {
        builder = define(builder);
    }
    builder.build().context("the agent cannot be put together")
}

/// A language model that is never asked.
struct Nobody;

impl Llm for Nobody {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "nobody",
            model: String::new(),
        }
    }

    fn chat(
        &self,
        _: ChatRequest,
        _: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        Box::pin(futures_util::stream::empty())
    }
}

/// Moonshine makes words of a laugh, and knows that it is not sure of them.
fn doubting(mut config: Config, choice: &Choice) -> Config {
    if matches!(choice.stt.what, SttChoice::Moonshine(_)) {
        config
            .turn
            .min_interruption_confidence
            .get_or_insert(antiphon_moonshine::SURE);
    }
    config
}

/// Name, options and instructions.
fn described(config: &Config) -> anyhow::Result<AgentBuilder> {
    let builder = Agent::builder(&config.name).options(options(config)?);
    if config.instructions.trim().is_empty() {
        return Ok(builder);
    }
    let instructions = config.instructions.clone();
    // The process may live for weeks; the date is the one of the call.
    Ok(builder.instructions_with(move || with_date(&instructions)))
}

/// The flight recorder, if it is wanted.
fn recorder(config: &Config, hidden: Vec<Secret>) -> anyhow::Result<Option<Recorder>> {
    let Some(options) = recorder_options(config, hidden) else {
        return Ok(None);
    };
    let folder = options.folder.clone();
    let recorder = Recorder::start(options).with_context(|| {
        format!(
            "[telemetry] record: the folder {} cannot be used; name another",
            folder.display()
        )
    })?;
    Ok(Some(recorder))
}

/// What is there on this machine. Asks for a local language model only when one would be used.
pub async fn look_around(config: &Config, secrets: &Secrets) -> Found {
    let engines = tokio::task::spawn_blocking(antiphon_local::detect)
        .await
        .unwrap_or_default();
    let wanted = config.llm.provider == crate::config::LlmProvider::Auto
        && config.llm.base_url.is_none()
        && secrets.openai_base_url.is_none()
        && secrets.openai_api_key.is_none();
    let local_llm = if wanted {
        antiphon_openai::detect_local().await
    } else {
        None
    };
    let listed_model = match providers::unnamed(config, secrets) {
        Some(endpoint) => Some(antiphon_openai::first_model(endpoint).await),
        None => None,
    };
    let missing = format!(
        "PocketSphinx or its model is not installed ({})",
        antiphon_local::detect::INSTALL_POCKETSPHINX
    );
    let store = Store::of_user().ok();
    let fetched = |model| store.as_ref().and_then(|store| store.get(model).ok());
    Found {
        moonshine: fetched(&MOONSHINE_TINY_EN),
        whisper: fetched(&WHISPER_BASE),
        named_ears: config
            .stt
            .model
            .as_ref()
            .filter(|_| config.stt.provider == SttProvider::Local)
            .and_then(|named| named_ears(named, &config.folder, store.as_ref())),
        hibari: fetched(&HIBARI_HEART),
        kokoro: fetched(&KOKORO),
        smart_turn: fetched(&SMART_TURN),
        local_llm,
        listed_model,
        pocketsphinx: (!engines.pocketsphinx).then_some(missing),
        flite: engines.flite.is_some(),
        espeak_ng: engines.espeak.is_some(),
    }
}

/// The recogniser that is named by its name in the catalogue, or is a folder itself. `None`: there is no such thing.
fn named_ears(
    named: &str,
    beside: &Path,
    store: Option<&Store>,
) -> Option<Result<SttChoice, String>> {
    let folder = match catalogue::find(named) {
        Some(model) if model.purpose != Purpose::Ears => {
            let purpose = model.purpose.as_str();
            return Some(Err(format!("that model {purpose}, it does not hear")));
        }
        Some(model) => store?.get(model).ok()?,
        None => Some(beside.join(named)).filter(|folder| folder.is_dir())?,
    };
    let kind = antiphon_moonshine::kind_of(&folder).map_err(|error| error.to_string());
    Some(kind.map(|kind| match kind {
        ModelKind::Moonshine => SttChoice::Moonshine(folder),
        ModelKind::Whisper => SttChoice::Whisper(folder),
    }))
}

/// Ask the providers that would be used whether keys and addresses work: one small request each.
pub async fn probe(
    config: &Config,
    secrets: &Secrets,
) -> Vec<(&'static str, Vec<antiphon_openai::Finding>)> {
    let found = look_around(config, secrets).await;
    match choose(config, secrets, &found) {
        Ok(choice) => providers::probe(config, secrets, &choice).await,
        Err(_) => Vec::new(),
    }
}

/// The dialogue's options: its defaults, changed where the file says so.
fn options(config: &Config) -> anyhow::Result<Options> {
    let mut options = Options {
        greeting: config.greeting.clone(),
        language: Some(config.stt.language().to_owned()),
        ..Options::default()
    };
    if let Some(message) = &config.trouble_message {
        options.trouble_message.clone_from(message);
    }
    // The providers wait as long; a dialogue that gave up before would make a longer wait useless.
    if let Some(Seconds(patience)) = config.llm.timeout {
        options.llm_timeout = patience;
    }
    if let Some(Seconds(patience)) = config.tts.timeout {
        options.tts_timeout = patience;
    }
    if let Some(Seconds(budget)) = config.knowledge.as_ref().and_then(|k| k.budget) {
        options.retrieval_budget = budget;
    }
    config.turn.patch().onto(&options).context("[turn]")
}

/// Models do not know what day it is, and callers say "tomorrow".
fn with_date(instructions: &str) -> String {
    let now = jiff::Zoned::now();
    format!(
        "{}\n\nToday is {}.",
        instructions.trim(),
        now.strftime("%A, %Y-%m-%d")
    )
}
