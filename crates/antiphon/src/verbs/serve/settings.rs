//! File, flags and variables become settings. A flag wins over the file; LiveKit's names mean what they mean there.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use antiphon_protocol::Keys;
use antiphon_server::{Acme, ServerConfig, Tls};
use anyhow::Context as _;

use super::{DEV_KEY, DEV_SECRET, given_keys, with_sections};
use crate::cli::ServeArgs;
use crate::config::{Config, LogFormat, TelemetryConfig, acme, load};
use crate::livekit::{LiveKitConfig, Sources, read_key_file};

/// LiveKit's port for ICE over TCP.
const DEFAULT_TCP_PORT: u16 = 7881;

/// Everything that `serve` is told.
pub(crate) struct Settings {
    pub(crate) server: ServerConfig,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) livekit: LiveKitConfig,
    pub(crate) dev: bool,
    /// Read again when it changes.
    pub(crate) key_file: Option<PathBuf>,
    /// What has no effect, and why.
    pub(crate) notes: Vec<String>,
}

impl Settings {
    /// Read and check everything; no port is bound yet.
    ///
    /// # Errors
    /// The first thing that cannot be, with its fix.
    pub(crate) fn gather(args: &ServeArgs) -> anyhow::Result<Self> {
        let config = match &args.config {
            Some(path) if !is_yaml(path) => load(path)?,
            Some(_) | None => Config::default(),
        };
        let mut livekit = LiveKitConfig::read(&sources(args, &config)?)?;
        if let (Some(certificate), Some(key)) = (&args.turn_cert, &args.turn_key) {
            livekit.set_turn_certificate(certificate, key);
        }
        let mut notes = livekit.notes.clone();
        notes.extend(without_effect(args));
        let dev = args.dev || livekit.development();
        let key_file = args.key_file.clone().or_else(|| livekit.key_file());
        let keys = keys(args, &livekit, key_file.as_deref(), dev)?;
        let mut server = with_sections(ServerConfig::new(keys), &config);
        if dev {
            server.dev = true;
            server.bind = vec![
                config
                    .server
                    .bind
                    .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            ];
        }
        server.network.tcp_port = Some(DEFAULT_TCP_PORT);
        server = livekit.apply(server)?;
        with_flags(&mut server, args)?;
        // Whoever takes any port for media takes any for this too.
        if server.rtc_udp_port == 0 && !livekit.names_tcp_port() {
            server.network.tcp_port = Some(0);
        }
        server.validate()?;
        Ok(Self {
            telemetry: telemetry(&config, &livekit),
            server,
            livekit,
            dev,
            key_file,
            notes,
        })
    }
}

pub(super) fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// Where LiveKit's configuration stands. As there, a text given directly wins over a file.
fn sources(args: &ServeArgs, config: &Config) -> anyhow::Result<Sources> {
    let file = args.config.as_deref().filter(|path| is_yaml(path));
    let named = config.livekit_file();
    let mut sources = match (&args.config_body, file.or(named.as_deref())) {
        (Some(text), _) => Sources {
            text: Some(("LIVEKIT_CONFIG".to_owned(), text.clone())),
            ..Sources::default()
        },
        (None, Some(path)) => Sources::file(path)?,
        (None, None) => Sources::default(),
    };
    sources.lenient = args.disable_strict_config;
    sources.variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let pair = |flag: &String| {
        let (key, value) = flag
            .split_once('=')
            .context("write it as --rtc.tcp_port 7881")?;
        anyhow::Ok((key.to_owned(), value.to_owned()))
    };
    sources.flags = args
        .livekit_key
        .iter()
        .map(pair)
        .collect::<anyhow::Result<_>>()?;
    Ok(sources)
}

/// Flags of livekit-server that are taken and do nothing.
fn without_effect(args: &ServeArgs) -> Vec<String> {
    let redis = args.redis_host.is_some() || args.redis_password.is_some();
    let profile = args.cpuprofile.is_some() || args.memprofile.is_some();
    let note = |given: bool, text: &str| given.then(|| text.to_owned());
    [
        note(
            redis,
            "--redis-host and --redis-password have no effect: one server serves all rooms; there is no cluster",
        ),
        note(
            profile,
            "--cpuprofile and --memprofile have no effect: there is no Go runtime to look into; see /metrics",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A key file wins over flags and variables, and these over the section `keys`, as with LiveKit.
pub(super) fn keys(
    args: &ServeArgs,
    livekit: &LiveKitConfig,
    key_file: Option<&Path>,
    dev: bool,
) -> anyhow::Result<Keys> {
    let keys = match key_file {
        Some(path) => Some(read_key_file(path)?),
        None => match given_keys(args.keys.as_deref())? {
            Some(keys) => Some(keys),
            None => livekit.keys()?,
        },
    };
    let keys = match keys {
        Some(keys) => keys,
        None if dev => Keys::single(DEV_KEY, DEV_SECRET),
        None => anyhow::bail!(
            "no API keys; give --keys \"key: secret\" or LIVEKIT_KEYS, --key-file, or `keys` in livekit.yaml (`antiphon generate-keys` \
             makes one), or --dev to try it"
        ),
    };
    antiphon_telemetry::secrets::hide(keys.iter().map(|(_, secret)| secret));
    Ok(keys)
}

fn with_flags(server: &mut ServerConfig, args: &ServeArgs) -> anyhow::Result<()> {
    server.port = args.port.unwrap_or(server.port);
    if !args.bind.is_empty() {
        server.bind.clone_from(&args.bind);
    }
    if let Some(node_ip) = args.node_ip {
        server.node_ip = vec![node_ip];
    }
    if let Some(ports) = &args.udp_port {
        let (first, last) = crate::livekit::ports(ports).context("--udp-port or UDP_PORT")?;
        // A single port was always the first of as many as there are media threads.
        if last > first {
            server.shards = server.shards.min(usize::from(last - first) + 1);
        }
        server.rtc_udp_port = first;
    }
    if let Some(region) = &args.region {
        server.region.clone_from(region);
    }
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        server.tls = Some(Tls::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        });
    } else if args.tls_self_signed {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        names.extend(server.node_ip.iter().map(IpAddr::to_string));
        server.tls = Some(Tls::SelfSigned { names });
    } else if !args.acme_domain.is_empty() {
        server.tls = Some(Tls::Acme(Acme {
            email: args.acme_email.clone(),
            directory_ca: args.acme_directory_ca.clone(),
            ..acme(&args.acme_domain, args.acme_directory.as_deref())
        }));
    }
    Ok(())
}

fn telemetry(config: &Config, livekit: &LiveKitConfig) -> TelemetryConfig {
    let (level, json) = livekit.logging();
    let form = |json| {
        if json {
            LogFormat::Json
        } else {
            LogFormat::Text
        }
    };
    TelemetryConfig {
        log_level: level.or_else(|| config.telemetry.log_level.clone()),
        log_format: json.map(form).or(config.telemetry.log_format),
        ..config.telemetry.clone()
    }
}
