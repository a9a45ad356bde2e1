//! What each verb of the command line does.
//!
//! | module | verb |
//! |---|---|
//! | [`dev`] | room server, agent and playground in one process |
//! | [`serve`] | the room server alone |
//! | [`keys`] | a new API key |
//! | [`start`] | the agent alone: a LiveKit worker |
//! | [`connect`] | the agent in one named room |
//! | [`console`] | the agent in the terminal |
//! | [`token`] | access tokens |
//! | [`init`] | the files of a first agent |
//! | [`knowledge`] | indexes of documents |
//! | [`models`] | the neural models of this machine |
//! | [`doctor`] | what is wrong and how to mend it |
//! | [`simulate`] | scenario files in virtual time |
//! | [`replay`] | a recorded session again |
//! | `ports` | ports that are taken, and free ones |
//! | [`turnbench`] | turn detectors, measured |
//! | [`terminal`] | width and colours |
//! | [`signals`] | SIGTERM and Ctrl-C |
//! | [`web`] | the routes that the binary adds: page, metrics |

pub mod connect;
pub mod console;
pub mod dev;
pub mod doctor;
pub mod init;
pub mod keys;
pub mod knowledge;
pub mod models;
mod ports;
pub mod replay;
pub mod serve;
pub mod signals;
pub mod simulate;
pub mod start;
pub mod terminal;
pub mod token;
pub mod turnbench;
pub mod web;

use std::io::Write as _;
use std::path::PathBuf;

use antiphon_agent::Agent;
use antiphon_rtc::{Engine, EngineConfig};
use antiphon_telemetry::logs;
use anyhow::Context as _;

use crate::cli::LiveKitArgs;
use crate::config::{Config, EventReaders, LogFormat, TelemetryConfig, is_server};

/// The key of `dev` and `serve --dev`, the same as livekit-server's.
pub const DEV_KEY: &str = "devkey";
/// Its secret.
pub const DEV_SECRET: &str = "secret";

/// Where a page of the documentation is. Whoever has only the binary has no folder `docs`.
pub(crate) fn docs(page: &str) -> String {
    format!("{}/blob/main/docs/{page}", env!("CARGO_PKG_REPOSITORY"))
}

/// A line for programs and people: standard output. A closed pipe is no reason to fail.
pub fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line for people: standard error.
pub fn print_note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Logs as `[telemetry]` says, else in this format.
fn init_logs(telemetry: &TelemetryConfig, format: LogFormat) -> anyhow::Result<()> {
    let format = match telemetry.log_format.unwrap_or(format) {
        LogFormat::Text => logs::Format::Text,
        LogFormat::Json => logs::Format::Json,
    };
    let level = telemetry.log_level.as_deref().unwrap_or("info");
    logs::init(format, level).context("[telemetry] log_level")
}

/// Who reads what happens in a session, as `[telemetry] events` says.
fn event_readers(config: &Config) -> antiphon_worker::EventReaders {
    match config.telemetry.events {
        EventReaders::Granted => antiphon_worker::EventReaders::Granted,
        EventReaders::Everyone => antiphon_worker::EventReaders::Everyone,
        EventReaders::Nobody => antiphon_worker::EventReaders::Nobody,
    }
}

/// The media engine of an agent: any port, every address.
fn agent_engine() -> anyhow::Result<Engine> {
    Engine::start(EngineConfig {
        bind: ([0, 0, 0, 0], 0).into(),
        advertise: Vec::new(),
        // The room server may be on this machine.
        loopback: true,
        shards: std::thread::available_parallelism().map_or(1, usize::from),
        max_peers: MAX_AGENT_PEERS,
    })
    .context("the media engine cannot be started")
}

/// Two peer connections a call: this many calls are more than one machine's cores carry.
const MAX_AGENT_PEERS: usize = 4_000;

/// Calls that an agent takes at once for each core unless `[limits] max_sessions` says otherwise: half of what was measured.
pub(crate) const SESSIONS_A_CORE: usize = 50;

fn default_max_sessions() -> usize {
    SESSIONS_A_CORE * std::thread::available_parallelism().map_or(1, usize::from)
}

/// The LiveKit server of `start` and `connect`.
struct LiveKit {
    url: String,
    api_key: String,
    api_secret: String,
}

impl LiveKit {
    /// All three, or which are missing.
    fn from_args(args: LiveKitArgs) -> anyhow::Result<Self> {
        let present =
            |value: Option<String>| value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let (url, api_key, api_secret) = (
            present(args.url),
            present(args.api_key),
            present(args.api_secret),
        );
        match (url, api_key, api_secret) {
            (Some(url), Some(api_key), Some(api_secret)) => {
                antiphon_telemetry::secrets::hide([&api_secret]);
                anyhow::ensure!(
                    is_server(&url),
                    "LIVEKIT_URL (--url) is not the address of a server; write it like wss://example.livekit.cloud or \
                     ws://localhost:7880"
                );
                Ok(Self {
                    url,
                    api_key,
                    api_secret,
                })
            }
            (url, key, secret) => {
                let missing: Vec<&str> = [
                    ("LIVEKIT_URL", url),
                    ("LIVEKIT_API_KEY", key),
                    ("LIVEKIT_API_SECRET", secret),
                ]
                .into_iter()
                .filter(|(_, value)| value.is_none())
                .map(|(name, _)| name)
                .collect();
                anyhow::bail!(
                    "{} not set; set {} in the environment or .env (with `antiphon serve --dev`: ws://localhost:7880, \
                     {DEV_KEY}, {DEV_SECRET})",
                    missing.join(" and ") + if missing.len() == 1 { " is" } else { " are" },
                    if missing.len() == 1 { "it" } else { "them" },
                )
            }
        }
    }
}

/// `--record FOLDER` instead of `[telemetry] record`.
fn record(config: &mut Config, folder: Option<PathBuf>) -> anyhow::Result<()> {
    if let Some(folder) = folder {
        // The file's paths begin at its folder, those of the command line here.
        config.telemetry.record = Some(std::path::absolute(folder).context("--record")?);
    }
    Ok(())
}

/// What a user wants to read at the start.
fn announce(assembled: &crate::assemble::Assembled) {
    for provider in &assembled.providers {
        let model = if provider.model.is_empty() {
            String::new()
        } else {
            format!(" {}", provider.model)
        };
        print_line(&format!(
            "  {}  {}{model}: {}",
            provider.role, provider.provider, provider.why
        ));
    }
    for note in &assembled.notes {
        print_line(&format!("  note: {note}"));
    }
    prewarm(&assembled.agent);
}

/// At the end: what was recorded is on the disk.
fn flush(agent: &Agent) {
    if let Some(recorder) = agent.recorder() {
        recorder.flush();
    }
}

/// The first caller should not wait for the first TLS handshake.
fn prewarm(agent: &Agent) {
    agent.prewarm();
}
