//! `antiphon.toml`: the agent in one file. Every key has a doc comment here and a row in `docs/configuration.md`; unknown
//! keys are refused with the nearest name; everything is checked before a port is bound. Secrets come from the
//! environment or `.env`, never from the file.

mod address;
mod check;
mod dotenv;
mod load;
mod secrets;
pub(crate) mod template;
mod turn;
mod units;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use antiphon_agent::provider::Filter;
use antiphon_agent::{DuplicateScope, OnDuplicate, ToolInterruption};
use antiphon_server::{Acme, LETS_ENCRYPT, Tls, TrustedProxies};
use serde::Deserialize;

pub(crate) use address::is_server;
pub use address::shown_url;
pub use check::{Findings, check};
pub use dotenv::{DotenvError, config_argument, load_dotenv};
pub use load::{ConfigError, Mistake, load, parse};
pub use secrets::{LiveKitKeys, Secrets};
pub use turn::{Boundary, DetectorProvider, TurnConfig};
pub use units::Seconds;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The agent's name: in logs, on the page, beside its words. Dispatch by name is `start --agent-name`.
    #[serde(default = "default_name")]
    pub name: String,
    /// The only text in the system role.
    #[serde(default)]
    pub instructions: String,
    /// Said as soon as the caller can hear; absent: the caller speaks first.
    pub greeting: Option<String>,
    /// Said when a provider fails; empty: nothing. Default: an apology that asks the caller to say it again.
    pub trouble_message: Option<String>,
    /// Speech recognition.
    #[serde(default)]
    pub stt: SttConfig,
    /// Language model.
    #[serde(default)]
    pub llm: LlmConfig,
    /// Speech synthesis.
    #[serde(default)]
    pub tts: TtsConfig,
    /// Voice activity detection.
    #[serde(default)]
    pub vad: VadConfig,
    /// Turn taking.
    #[serde(default)]
    pub turn: TurnConfig,
    /// Function tools.
    #[serde(default, rename = "tool")]
    pub tools: Vec<ToolConfig>,
    /// Documents to answer from.
    pub knowledge: Option<KnowledgeConfig>,
    /// Addresses and TLS of the room server.
    #[serde(default)]
    pub server: ServerConfig,
    /// Whom the agent talks to.
    #[serde(default)]
    pub room: RoomConfig,
    /// What one address, key or session may use.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Logs and metrics.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// Where the file stands; relative paths in it start here.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl Config {
    /// The certificate of `[server]`, if one is wanted.
    pub fn tls(&self) -> Option<Tls> {
        let section = &self.server;
        let path = |path: &PathBuf| self.folder.join(path);
        match (&section.tls_cert, &section.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::Files {
                certificate: path(certificate),
                key: path(key),
            }),
            _ if section.acme_domains.is_empty() => None,
            _ => Some(Tls::Acme(Acme {
                email: section.acme_email.clone(),
                directory_ca: section.acme_directory_ca.as_ref().map(path),
                ..acme(&section.acme_domains, section.acme_directory.as_deref())
            })),
        }
    }

    /// LiveKit's file, when one is named.
    pub fn livekit_file(&self) -> Option<PathBuf> {
        self.server
            .livekit
            .as_ref()
            .map(|path| self.folder.join(path))
    }
}

/// These names, certified by this authority or Let's Encrypt.
pub(crate) fn acme(domains: &[String], directory: Option<&str>) -> Acme {
    Acme {
        domains: domains.to_vec(),
        email: None,
        directory: directory.unwrap_or(LETS_ENCRYPT).to_owned(),
        directory_ca: None,
        folder: crate::assemble::user_folder().join("acme"),
    }
}

fn default_name() -> String {
    "antiphon".into()
}

/// `[stt]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SttConfig {
    /// `auto`: Deepgram when `DEEPGRAM_API_KEY` is set, else as `local`.
    pub provider: SttProvider,
    /// Deepgram's model (default `nova-3`), or with `local` the name or folder of a Moonshine or Whisper model.
    pub model: Option<String>,
    /// BCP-47. Default `en-US`.
    pub language: Option<String>,
    /// Words to expect (Deepgram's `keyterm`), at most 100.
    pub keyterms: Vec<String>,
    /// Deepgram's smart formatting of numbers and dates. Off, as LiveKit has it: it holds words back.
    pub smart_format: bool,
    /// Deepgram's own endpointing in milliseconds. Default 25, as LiveKit has it.
    pub endpointing_ms: Option<u32>,
}

/// What both recognisers are asked for unless the file names another language.
const DEFAULT_LANGUAGE: &str = "en-US";

impl SttConfig {
    /// The language that is spoken, as far as the file knows (BCP 47, or Deepgram's `multi`).
    pub fn language(&self) -> &str {
        self.language.as_deref().unwrap_or(DEFAULT_LANGUAGE)
    }

    /// The language that the file names; `None` when the recogniser is to find out.
    pub fn given_language(&self) -> Option<&str> {
        let given = self.language.as_deref();
        given.filter(|language| !matches!(*language, "multi" | "auto" | ""))
    }
}

/// Who recognises speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SttProvider {
    /// By what is there.
    #[default]
    Auto,
    /// Deepgram, streaming.
    Deepgram,
    /// On this machine: Moonshine or Whisper when they were fetched, else PocketSphinx.
    Local,
    /// PocketSphinx on this machine.
    PocketSphinx,
    /// Nobody: typed text only.
    None,
}

/// `[llm]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LlmConfig {
    /// `auto`: OpenAI (or the server at `OPENAI_BASE_URL`) when a key or base URL is set, else an OpenAI-compatible server
    /// found on this machine, else the built-in responder.
    pub provider: LlmProvider,
    /// Default `gpt-4.1-mini` at OpenAI; elsewhere the first that the server lists and that can talk.
    pub model: Option<String>,
    /// Overrides `OPENAI_BASE_URL`, for example `http://localhost:11434/v1` (Ollama).
    pub base_url: Option<String>,
    /// Sampling temperature, 0 to 2; absent: the provider's.
    pub temperature: Option<f32>,
    /// The longest answer in tokens.
    pub max_completion_tokens: Option<u32>,
    /// The longest silence of the server before and within an answer. Default 10 s; a model that loads slowly needs more.
    pub timeout: Option<Seconds>,
    /// How much a reasoning model thinks: `none`, `minimal`, `low`, … Default: the least that OpenAI's model allows.
    pub reasoning_effort: Option<String>,
    /// OpenAI's `priority`, `flex`, …: what is paid for being served soon.
    pub service_tier: Option<String>,
    /// Any other fields of the request, as the server understands them; they win over ours.
    pub extra_body: toml::Table,
    /// Fields of the request that are not sent, for a server that refuses them.
    pub leave_out: Vec<String>,
}

impl LlmConfig {
    /// `extra_body` as JSON.
    pub fn extra_fields(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(&self.extra_body) {
            Ok(serde_json::Value::Object(fields)) => fields,
            // a table is always an object
            Ok(_) | Err(_) => serde_json::Map::new(),
        }
    }
}

/// Who thinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LlmProvider {
    /// By what is there.
    #[default]
    Auto,
    /// OpenAI or any compatible server.
    OpenAi,
    /// The responder by rules: no language model.
    BuiltIn,
}

/// `[tts]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TtsConfig {
    /// `auto`: OpenAI when `OPENAI_API_KEY` is set, else as `local`.
    pub provider: TtsProvider,
    /// Default `gpt-4o-mini-tts`; on this machine `hibari-heart` or `kokoro`.
    pub model: Option<String>,
    /// Default `ash` (OpenAI), `heart` (hibari), `af_heart` (Kokoro), `slt` (flite), `en-us` (espeak-ng).
    pub voice: Option<String>,
    /// Overrides `OPENAI_BASE_URL` for speech alone.
    pub base_url: Option<String>,
    /// How to speak, in words (models that take instructions).
    pub instructions: Option<String>,
    /// 0.25 to 4, hibari and Kokoro 0.5 to 2. Default 1.
    pub speed: Option<f32>,
    /// The longest wait for the first sound of a sentence and between its pieces. Default 10 s.
    pub timeout: Option<Seconds>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TtsProvider {
    /// By what is there.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// OpenAI or any server with `/audio/speech`.
    #[serde(rename = "openai")]
    OpenAi,
    /// On this machine: hibari when it was fetched, else flite, else espeak-ng.
    #[serde(rename = "local")]
    Local,
    /// flite on this machine.
    #[serde(rename = "flite")]
    Flite,
    /// espeak-ng on this machine.
    #[serde(rename = "espeak-ng")]
    EspeakNg,
    /// Nobody: typed answers only.
    #[serde(rename = "none")]
    None,
}

/// `[vad]` (Silero)
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VadConfig {
    /// Only `silero`.
    pub provider: VadProvider,
    /// Probability from which a window counts as speech. Default 0.5.
    pub activation_threshold: Option<f32>,
    /// Speech before it starts to count. Default 0.05 s.
    pub min_speech_duration: Option<Seconds>,
    /// Silence before speech has ended. Default 0.25 s.
    pub min_silence_duration: Option<Seconds>,
}

/// Who detects voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VadProvider {
    /// Silero v6 in the process.
    #[default]
    Silero,
}

/// `[[tool]]`: either an HTTP tool (`name`, `description`, `method`, `url`, …) or `builtin`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolConfig {
    /// A tool set in the binary: `restaurant_bookings`.
    pub builtin: Option<String>,
    /// Of `restaurant_bookings`: its database file; absent: kept in memory.
    pub database: Option<PathBuf>,
    /// What the model calls it.
    pub name: Option<String>,
    /// What it does and when to use it.
    pub description: Option<String>,
    /// `GET` (default), `POST`, `PUT`, `PATCH`, `DELETE`.
    pub method: Option<String>,
    /// With `{placeholders}` for parameters.
    pub url: Option<String>,
    /// JSON Schema of the arguments.
    pub parameters: Option<toml::Table>,
    /// `${NAME}` in a value is taken from the environment.
    pub headers: BTreeMap<String, String>,
    /// Seconds. Default 10.
    pub timeout: Option<Seconds>,
    /// What an interruption by the caller does: `detach`, `cancel` or `protect`. Default: `tool_interruption` of `[turn]`.
    pub interruption: Option<ToolInterruption>,
    /// What is said while it is slow, or several texts in turn.
    pub filler: Option<Texts>,
    /// Silence before the first one. Default 1.
    pub filler_after: Option<Seconds>,
    /// Silence before each further one. Default: it is said once.
    pub filler_every: Option<Seconds>,
    /// At most this many.
    pub filler_max: Option<u32>,
    /// A call while one runs: `allow` (default), `reject`, `replace` or `confirm`.
    pub on_duplicate: OnDuplicate,
    /// Such a call is one of the same `name` (default) or `name_and_args`.
    pub duplicate_scope: DuplicateScope,
    /// The model may stop it. Default false.
    pub cancellable: bool,
    /// Hosts that may be called. Default: the URL's own host.
    pub allowed_hosts: Vec<String>,
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Texts {
    /// All of them.
    pub fn all(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Several(texts) => texts.clone(),
        }
    }

    /// Nothing to say, or a text without words.
    pub fn is_empty(&self) -> bool {
        let texts = self.all();
        texts.is_empty() || texts.iter().any(|text| text.trim().is_empty())
    }
}

/// `[knowledge]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnowledgeConfig {
    /// A folder of documents, or one that LlamaIndex persisted. Needed unless there are `sources`.
    pub path: Option<PathBuf>,
    /// Which index, if LlamaIndex has persisted several there (`index.index_id`).
    pub index_id: Option<String>,
    /// The longest a retrieval may hold up a reply. Default 0.08 s.
    pub budget: Option<Seconds>,
    /// Passages given to the model. Default `antiphon_knowledge::base::DEFAULT_TOP_K`.
    pub top_k: Option<usize>,
    /// Search for every turn (default true); otherwise only when the model calls `search_knowledge`.
    pub automatic: Option<bool>,
    /// Only passages whose metadata fit, in LlamaIndex's form.
    pub filter: Option<Filter>,
    /// Further sources, each with a name.
    #[serde(default)]
    pub sources: Vec<SourceConfig>,
    /// Finding by meaning.
    #[serde(default)]
    pub embedding: EmbeddingConfig,
}

/// `[[knowledge.sources]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// It stands before the names of its files.
    pub name: String,
    /// A folder, as above.
    pub path: Option<PathBuf>,
    /// Which index there.
    pub index_id: Option<String>,
    /// Or the address of a retriever of one's own, or of a vector database.
    pub url: Option<String>,
    /// What is at that address. Default a retriever of one's own.
    #[serde(default)]
    pub kind: SourceKind,
    /// The collection of a vector database; of pgvector LlamaIndex's `table_name`.
    pub collection: Option<String>,
    /// The schema of pgvector's table. Default `public`.
    pub schema: Option<String>,
    /// Environment variable with the token, key or password for that address.
    pub token_env: Option<String>,
}

/// What is at the address of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A retriever of one's own.
    #[default]
    Http,
    /// A table of PostgreSQL that LlamaIndex's `PGVectorStore` filled.
    PgVector,
    /// A collection of Qdrant.
    Qdrant,
    /// A collection of Chroma.
    Chroma,
    /// A collection of Milvus.
    Milvus,
    /// An index of Elasticsearch.
    Elasticsearch,
    /// Databases that are not read; the start says what to do.
    Redis,
    /// See [`SourceKind::Redis`].
    LanceDb,
}

/// `[knowledge.embedding]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Who makes the vectors.
    pub provider: EmbeddingProvider,
    /// The endpoint's model. Default `text-embedding-3-small`.
    pub model: Option<String>,
    /// The endpoint's address. Default `OPENAI_BASE_URL`, else OpenAI.
    pub base_url: Option<String>,
    /// Vectors of this many numbers.
    pub dimensions: Option<usize>,
}

/// Who makes the vectors of passages and questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum EmbeddingProvider {
    /// The endpoint when its model or address is given, else the local model when it is here, else nobody.
    #[default]
    Auto,
    /// The model on this machine.
    Local,
    /// OpenAI, or a server that speaks as it does.
    OpenAi,
    /// Nobody: words alone.
    None,
}

/// `[server]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// HTTP and WebSocket. Default 7880.
    pub port: Option<u16>,
    /// Default 127.0.0.1 with `--dev` and `dev`, else 0.0.0.0.
    pub bind: Option<IpAddr>,
    /// Our address as callers see it, when it is not one of this machine's (NAT).
    pub node_ip: Option<IpAddr>,
    /// Media over UDP. Default 7882; one port for each core from here on.
    pub rtc_udp_port: Option<u16>,
    /// PEM file; with `tls_key`.
    pub tls_cert: Option<PathBuf>,
    /// PEM file; with `tls_cert`.
    pub tls_key: Option<PathBuf>,
    /// Names that an ACME server certifies; port 443 of each leads here. Default none.
    pub acme_domains: Vec<String>,
    /// Whom the certificate authority writes to when something is wrong.
    pub acme_email: Option<String>,
    /// The authority's directory. Default Let's Encrypt's.
    pub acme_directory: Option<String>,
    /// PEM file: who vouches for that directory's own HTTPS, beside those whom this machine trusts.
    pub acme_directory_ca: Option<PathBuf>,
    /// Reverse proxies whose `X-Forwarded-For` is believed: addresses and networks. Default none.
    #[serde(deserialize_with = "units::proxies")]
    pub trusted_proxies: TrustedProxies,
    /// Clients are told to use relays only (LiveKit's client configuration). Default no.
    pub force_relay: bool,
    /// LiveKit's YAML file with what it sets beside this: webhooks, TURN, rooms. `serve` and `dev`.
    pub livekit: Option<PathBuf>,
    /// With the public key of development: pages that may use the server beside those of this machine. Default none.
    pub allowed_origins: Vec<String>,
}

/// `[room]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomConfig {
    /// Whose words are heard when several callers are in the room. Default `first`.
    pub callers: CallersConfig,
    /// The agent stays this long after its caller has left, for one who returns. Default 10 s.
    pub return_grace: Option<Seconds>,
}

/// Whose words are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallersConfig {
    /// The first caller's; the next one is answered when the first has left.
    #[default]
    First,
    /// Everybody's, in one conversation.
    Any,
}

impl RoomConfig {
    /// As the worker wants it.
    pub fn bind_options(&self) -> antiphon_worker::BindOptions {
        let defaults = antiphon_worker::BindOptions::default();
        antiphon_worker::BindOptions {
            callers: match self.callers {
                CallersConfig::First => antiphon_worker::CallersPolicy::First,
                CallersConfig::Any => antiphon_worker::CallersPolicy::Any,
            },
            return_grace: self
                .return_grace
                .map_or(defaults.return_grace, |grace| grace.0),
            ..defaults
        }
    }
}

/// `[limits]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Joins of one address in a second.
    pub joins_per_second: Option<u32>,
    /// API calls of one address in a second.
    pub api_per_second: Option<u32>,
    /// Joins and API calls with one API key in a second.
    pub key_per_second: Option<u32>,
    /// Connections at once.
    pub max_connections: Option<usize>,
    /// Connections at once of one address.
    pub max_connections_per_address: Option<usize>,
    /// Rooms at once.
    pub max_rooms: Option<usize>,
    /// Calls that this process's agent takes at once. Default: 50 a core.
    pub max_sessions: Option<usize>,
}

/// `[telemetry]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// `text` (default of `dev`) or `json` (default elsewhere).
    pub log_format: Option<LogFormat>,
    /// `error`, `warn`, `info` (default), `debug`, `trace`, or a filter such as `info,antiphon_client=debug`.
    pub log_level: Option<String>,
    /// The flight recorder: a file for each session stands in this folder. Default: nothing is recorded.
    pub record: Option<PathBuf>,
    /// Recordings that are kept. Default 1000.
    pub record_files: Option<usize>,
    /// Days that a recording is kept. Default 30.
    pub record_days: Option<u32>,
    /// Who in the room reads what happens in a session (`antiphon.events`). Default `granted`.
    pub events: EventReaders,
    /// `GET /metrics` on an address of its own. Default: none.
    pub metrics_bind: Option<SocketAddr>,
}

/// Who reads what happens in a session, tool arguments and passages included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventReaders {
    /// Participants whose token grants `canManageAgentSession`.
    #[default]
    Granted,
    /// Everybody in the room.
    Everyone,
    /// Nobody.
    Nobody,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
