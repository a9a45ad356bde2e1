//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod knowledge;
mod turnbench;

pub use knowledge::{IndexArgs, KnowledgeVerb, SplitterKind};
pub use turnbench::{BenchDetector, BenchWords, TurnbenchArgs, TurnbenchVerb};

/// A self-hosted voice agent: room server, agent and playground in one binary.
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

impl Cli {
    /// Read the command line, with defaults from the environment; ends the process with a usage message when it cannot be.
    pub fn read() -> Self {
        let arguments = with_livekit_flags(std::env::args_os());
        let matches = without_empty_variables(Self::command()).get_matches_from(arguments);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// LiveKit has a flag for each key of its file, `--rtc.tcp_port 7881`. They are gathered in one of ours.
fn with_livekit_flags(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.peekable();
    let mut read = Vec::new();
    while let Some(argument) = arguments.next() {
        let flag = argument.to_str().and_then(|text| text.strip_prefix("--"));
        let (path, given) = match flag.map(|flag| flag.split_once('=')) {
            Some(Some((path, value))) => (path, Some(value.to_owned())),
            Some(None) => (flag.unwrap_or_default(), None),
            None => ("", None),
        };
        // Flags without a dot or a line below are our own.
        if !path.contains(['.', '_']) || !crate::livekit::is_key(path) {
            read.push(argument);
            continue;
        }
        let is_value = |next: &OsString| !next.to_string_lossy().starts_with("--");
        let value = match given {
            Some(value) => value,
            None => match arguments.next_if(is_value) {
                Some(value) => value.to_string_lossy().into_owned(),
                None => "true".to_owned(),
            },
        };
        read.push(format!("--livekit-key={path}={value}").into());
    }
    read
}

/// An empty variable (`NODE_IP=`, as container files leave it) counts as not set.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &std::ffi::OsStr| {
        std::env::var_os(name).is_some_and(|value| value.to_string_lossy().trim().is_empty())
    };
    command
        .mut_args(|argument| match argument.get_env() {
            Some(name) if is_empty(name) => argument.env(None::<&'static str>),
            _ => argument,
        })
        .mut_subcommands(without_empty_variables)
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write the files of an agent that runs, to begin with
    Init(InitArgs),
    /// Room server, agent and playground in one process, for trying and developing
    Dev(DevArgs),
    /// The room server alone
    Serve(Box<ServeArgs>),
    /// Print a new API key with its secret
    GenerateKeys,
    /// The agent alone, for production: a worker of the LiveKit server at LIVEKIT_URL
    Start(StartArgs),
    /// The agent joins one named room at LIVEKIT_URL directly, without dispatch
    Connect(ConnectArgs),
    /// Talk to the agent in the terminal by typing, or from a WAV file
    Console(ConsoleArgs),
    /// Run scenario files against the agent in virtual time: offline, free, over in a moment
    Simulate(SimulateArgs),
    /// Repeat a recorded session bit for bit, and say where this version would act differently
    Replay(ReplayArgs),
    /// Access tokens
    #[command(subcommand)]
    Token(TokenVerb),
    /// The neural models that hear and speak on this machine: which there are, and fetching them
    Models(ModelsArgs),
    /// Documents as an index that LlamaIndex loads too: build it, and keep it current
    #[command(subcommand)]
    Knowledge(KnowledgeVerb),
    /// Measure turn detectors on turns whose ends are known: false cut-offs against latency
    Turnbench(TurnbenchArgs),
    /// Check configuration, keys, ports, providers and local engines; each finding with its fix
    Doctor(DoctorArgs),
    /// The recogniser's child process; not for people
    #[command(name = "__pocketsphinx", hide = true)]
    PocketSphinx,
    /// One document's reader, a child process; not for people
    #[command(name = "__read_document", hide = true)]
    ReadDocument {
        /// How the document's name ends
        end: String,
    },
}

/// Which agent.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// The agent's file; without it `antiphon.toml` of this folder, else the built-in example
    #[arg(long, short = 'c', value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `antiphon init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where; made if it is not there. Nothing that is there is overwritten
    #[arg(default_value = ".", value_name = "FOLDER")]
    pub folder: PathBuf,
    /// What to begin with
    #[arg(long, value_enum, default_value_t = Example::Minimal)]
    pub example: Example,
}

/// An agent to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Example {
    /// One page of instructions and one document: change every word of it
    Minimal,
    /// The built-in example: the front desk of a restaurant, with documents, a table book and scenarios that test it
    Restaurant,
}

/// `antiphon dev`
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Which agent.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// HTTP and WebSocket port
    #[arg(long)]
    pub port: Option<u16>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long)]
    pub bind: Option<IpAddr>,
    /// API keys, `key: secret`; without them devkey, with a secret of its own when others can reach the server
    #[arg(
        long,
        env = "LIVEKIT_KEYS",
        hide_env_values = true,
        value_name = "KEY: SECRET"
    )]
    pub keys: Option<String>,
    /// Media port (UDP); 0 takes any
    #[arg(long, value_name = "PORT")]
    pub udp_port: Option<u16>,
    /// Record every session, callers' words included, into this folder, for `antiphon replay`
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
}

/// `antiphon serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// LiveKit's YAML file (livekit.yaml), or `antiphon.toml`, of which `[server]`, `[limits]` and `[telemetry]` are used
    #[arg(long, short = 'c', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The text of a LiveKit YAML file
    #[arg(
        long,
        env = "LIVEKIT_CONFIG",
        hide_env_values = true,
        value_name = "YAML"
    )]
    pub config_body: Option<String>,
    /// One key of LiveKit's file: written as there, `--rtc.tcp_port 7881`
    #[arg(long, hide = true, value_name = "KEY=VALUE")]
    pub livekit_key: Vec<String>,
    /// Pass over keys of LiveKit's file that nobody knows
    #[arg(long, hide = true)]
    pub disable_strict_config: bool,
    /// For development: key `devkey`, secret `secret`, listens on 127.0.0.1
    #[arg(long)]
    pub dev: bool,
    /// HTTP and WebSocket port [default: 7880]
    #[arg(long)]
    pub port: Option<u16>,
    /// Address to listen on; may be given several times [default: 0.0.0.0, with --dev 127.0.0.1]
    #[arg(long)]
    pub bind: Vec<IpAddr>,
    /// API keys, `key: secret`, several separated by line breaks
    #[arg(
        long,
        env = "LIVEKIT_KEYS",
        hide_env_values = true,
        value_name = "KEY: SECRET"
    )]
    pub keys: Option<String>,
    /// A file with API keys, `key: secret` on each line, that nobody else may read; wins over all other keys. Read again when
    /// it changes
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// What participants are told about where this server is
    #[arg(long, env = "LIVEKIT_REGION")]
    pub region: Option<String>,
    /// TLS certificate chain of the TURN server (PEM)
    #[arg(long, env = "LIVEKIT_TURN_CERT", value_name = "FILE")]
    pub turn_cert: Option<PathBuf>,
    /// TLS private key of the TURN server (PEM)
    #[arg(long, env = "LIVEKIT_TURN_KEY", value_name = "FILE")]
    pub turn_key: Option<PathBuf>,
    /// LiveKit's; without effect
    #[arg(long, env = "REDIS_HOST", hide = true)]
    pub redis_host: Option<String>,
    /// LiveKit's; without effect
    #[arg(long, env = "REDIS_PASSWORD", hide = true, hide_env_values = true)]
    pub redis_password: Option<String>,
    /// LiveKit's; without effect
    #[arg(long, hide = true)]
    pub cpuprofile: Option<PathBuf>,
    /// LiveKit's; without effect
    #[arg(long, hide = true)]
    pub memprofile: Option<PathBuf>,
    /// Our address as callers see it (behind NAT)
    #[arg(long, env = "NODE_IP")]
    pub node_ip: Option<IpAddr>,
    /// Media port (UDP), or a range with one port for each media thread: 7882-7885; 0 takes any
    #[arg(long, env = "UDP_PORT", value_name = "PORT")]
    pub udp_port: Option<String>,
    /// TLS certificate chain (PEM)
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// TLS private key (PEM)
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// TLS with a certificate made now, which browsers will warn about
    #[arg(long, conflicts_with = "tls_cert")]
    pub tls_self_signed: bool,
    /// TLS with a certificate from Let's Encrypt for this name, whose port 443 leads here; repeat it for more names
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_self_signed"], value_name = "NAME")]
    pub acme_domain: Vec<String>,
    /// Whom the certificate authority writes to when something is wrong
    #[arg(long, requires = "acme_domain", value_name = "ADDRESS")]
    pub acme_email: Option<String>,
    /// Another certificate authority: the address of its ACME directory
    #[arg(long, requires = "acme_domain", value_name = "URL")]
    pub acme_directory: Option<String>,
    /// Who vouches for that directory's own HTTPS (PEM), if this machine does not know it
    #[arg(long, requires = "acme_domain", value_name = "FILE")]
    pub acme_directory_ca: Option<PathBuf>,
}

/// Where a LiveKit server is.
#[derive(Debug, Args)]
pub struct LiveKitArgs {
    /// The LiveKit server, for example wss://example.livekit.cloud
    #[arg(long, env = "LIVEKIT_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// API key
    #[arg(long, env = "LIVEKIT_API_KEY")]
    pub api_key: Option<String>,
    /// API secret
    #[arg(long, env = "LIVEKIT_API_SECRET", hide_env_values = true)]
    pub api_secret: Option<String>,
}

/// `antiphon start`
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Which agent.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// Where.
    #[command(flatten)]
    pub livekit: LiveKitArgs,
    /// Be dispatched only by this name; without it every new room gets the agent
    #[arg(long, env = "LIVEKIT_AGENT_NAME")]
    pub agent_name: Option<String>,
    /// Health and metrics port; 0 takes any
    #[arg(long, default_value_t = 8081)]
    pub port: u16,
    /// How long running calls may go on after SIGTERM, in seconds
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    pub drain_timeout: u64,
    /// Take no new calls while this share (0 to 1) of `[limits] max_sessions` is taken, or of the lateness that its sound
    /// can bear
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    pub load_threshold: f32,
    /// Record every session, callers' words included, into this folder, for `antiphon replay`
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
}

/// `antiphon connect`
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Which agent.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// Where.
    #[command(flatten)]
    pub livekit: LiveKitArgs,
    /// The room
    #[arg(long)]
    pub room: String,
    /// Talk with this participant only; without it with the first caller
    #[arg(long, value_name = "IDENTITY")]
    pub participant_identity: Option<String>,
    /// Record every session, callers' words included, into this folder, for `antiphon replay`
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
}

/// `antiphon console`
#[derive(Debug, Args)]
pub struct ConsoleArgs {
    /// Which agent.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// Speech to hear instead of typed text (WAV)
    #[arg(long, value_name = "FILE")]
    pub audio: Option<PathBuf>,
    /// Where the call is written as stereo WAV: left the caller, right the agent [default: answer.wav]
    #[arg(long, value_name = "FILE", requires = "audio")]
    pub output: Option<PathBuf>,
}

/// `antiphon simulate`
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Scenario files, and folders that are searched for *.scenario
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The agent of all files; without it each file's `agent` line, else `antiphon.toml` of this folder, else the defaults
    #[arg(long, short = 'c', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For machines: one JSON value (docs/simulate.md)
    #[arg(long, conflicts_with = "timeline")]
    pub json: bool,
    /// Draw every file, also those that pass, and list everything that happened
    #[arg(long)]
    pub timeline: bool,
    /// Run nothing: list the scenarios by topic (their folder) with their titles, as Markdown
    #[arg(long, conflicts_with_all = ["config", "json", "timeline", "seed"])]
    pub index: bool,
    /// Look for broken promises: run each file again and again with events that are late, doubled, missing or failing, drawn
    /// from this seed and those after it; the first failure is printed as a scenario
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "timeline"])]
    pub seed: Option<u64>,
    /// With --seed: inputs for each file
    #[arg(long, value_name = "M", default_value_t = 20_000, requires = "seed")]
    pub steps: usize,
}

/// `antiphon replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Repeat it with the options of this agent instead of the recorded ones
    #[arg(long, short = 'c', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For machines: one JSON value (docs/simulate.md)
    #[arg(long, conflicts_with_all = ["timeline", "scenario"])]
    pub json: bool,
    /// Draw it, and list everything that happened
    #[arg(long, conflicts_with = "scenario")]
    pub timeline: bool,
    /// Print it as a scenario for `antiphon simulate`
    #[arg(long)]
    pub scenario: bool,
}

/// `antiphon token`
#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Print an access token
    Create(TokenArgs),
}

/// `antiphon token create`
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The room to join
    #[arg(long)]
    pub room: String,
    /// Who joins
    #[arg(long)]
    pub identity: String,
    /// Name shown to others
    #[arg(long)]
    pub name: Option<String>,
    /// Metadata of the participant
    #[arg(long)]
    pub metadata: Option<String>,
    /// How long it is valid: 30s, 10m, 6h, 7d
    #[arg(long, default_value = "6h", value_parser = duration)]
    pub valid_for: std::time::Duration,
    /// May hear but not speak
    #[arg(long)]
    pub listen_only: bool,
    /// May read the agent's events, tool calls and passages included (canManageAgentSession)
    #[arg(long)]
    pub events: bool,
    /// May manage the room
    #[arg(long)]
    pub admin: bool,
    /// Dispatch the agent of this name into the room
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// API key; the development key without it
    #[arg(long, env = "LIVEKIT_API_KEY")]
    pub api_key: Option<String>,
    /// API secret; the development secret without it
    #[arg(long, env = "LIVEKIT_API_SECRET", hide_env_values = true)]
    pub api_secret: Option<String>,
}

/// `antiphon models`
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// What to do; without it the models are listed
    #[command(subcommand)]
    pub verb: Option<ModelsVerb>,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelsVerb {
    /// List the models: what for, whether they are here, size, licence
    List,
    /// Download models, check them, and keep them in the user's data folder (ANTIPHON_MODELS names another)
    Fetch(FetchArgs),
}

/// `antiphon models fetch`
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Which; without names the usual ones
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Take the files from this folder instead of the network: packages as they are published, or the models' own folders
    #[arg(long, value_name = "FOLDER")]
    pub from: Option<PathBuf>,
}

/// `antiphon doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Which agent.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// Also ask the providers whether the keys work (one small request each)
    #[arg(long)]
    pub online: bool,
    /// The port of `start` on this machine, to ask its worker whether it takes calls
    #[arg(long, default_value_t = 8081, value_name = "PORT")]
    pub worker_port: u16,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let usage = || format!("`{text}` is not a duration such as 30s, 10m, 6h or 7d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| usage())?;
    let seconds = match text.strip_prefix(digits).unwrap_or_default() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(usage()),
    };
    match number.checked_mul(seconds) {
        Some(0) | None => Err(usage()),
        Some(seconds) if seconds > 366 * 86_400 => {
            Err("a token is valid for a year at most".into())
        }
        Some(seconds) => Ok(std::time::Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_flag_of_livekits_is_a_key_of_its_file_with_and_without_a_value() {
        let read = |line: &str| -> Vec<String> {
            with_livekit_flags(line.split(' ').map(OsString::from))
                .into_iter()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect()
        };
        let seen = read(
            "antiphon serve --rtc.tcp_port 7881 --turn.enabled --room.auto_create=false --bind ::1 --udp-port 1",
        );
        let wanted = [
            "antiphon",
            "serve",
            "--livekit-key=rtc.tcp_port=7881",
            "--livekit-key=turn.enabled=true",
            "--livekit-key=room.auto_create=false",
            "--bind",
            "::1",
            "--udp-port",
            "1",
        ];
        assert_eq!(seen, wanted);
        assert_eq!(
            read("antiphon serve --rtc.nothing 1"),
            ["antiphon", "serve", "--rtc.nothing", "1"]
        );
    }

    #[test]
    fn durations_are_read_with_their_units_and_absurd_ones_refused() {
        assert_eq!(duration("90").unwrap().as_secs(), 90);
        assert_eq!(duration("6h").unwrap().as_secs(), 21_600);
        for bad in ["", "h", "0s", "-1h", "1w", "9999999999999999999h", "900d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
