//! `antiphon dev`: room server, agent and playground in one process. The agent is a worker of the server beside it and
//! joins rooms through the same public protocol as everybody else.

mod calls;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use antiphon_protocol::Keys;
use antiphon_server::ServerConfig;
use antiphon_telemetry::metrics::Metrics;
use antiphon_worker::{AgentJobs, BindOptions, Watch, Watcher, Worker, WorkerOptions};
use anyhow::Context as _;
use axum::Router;

use super::{
    DEV_KEY, DEV_SECRET, agent_engine, announce, default_max_sessions, docs, event_readers, flush,
    init_logs, ports, print_line, print_note, record, serve, signals, terminal, web,
};
use crate::app::App;
use crate::assemble::{Assembled, assemble, configuration};
use crate::cli::DevArgs;
use crate::config::{LogFormat, TelemetryConfig};
use crate::livekit::{LiveKitConfig, Sources};
use crate::playground::{self, About, AboutAgent, Playground};

/// What is logged without `log_level`. Troubles of a call are among its lines here, where everybody sees them.
const QUIET: &str = "warn,antiphon_agent::measure=error,antiphon_deepgram::stt=off";
/// A developer who stops does not want to wait for the call in the other window.
const DRAIN: Duration = Duration::from_secs(2);

/// Run until SIGTERM or Ctrl-C.
pub async fn run(args: DevArgs, app: &App) -> anyhow::Result<()> {
    let (mut config, is_example) = configuration(args.agent.config.as_deref(), app)?;
    record(&mut config, args.record.clone())?;
    let quiet = TelemetryConfig {
        log_level: config.telemetry.log_level.clone().or(Some(QUIET.into())),
        ..config.telemetry.clone()
    };
    init_logs(&quiet, LogFormat::Text)?;
    // before the knowledge is embedded: what that costs counts
    let metrics = Metrics::install().context("metrics")?;
    let assembled = assemble(config, is_example, app).await?;
    let server = server_config(&args, &assembled)?;
    let (key, secret) = first_key(&server)?;
    let private = serve::is_private(&server);
    let _metrics = web::metrics_apart(&metrics, assembled.config.telemetry.metrics_bind).await?;
    let access = web::MetricsAccess::beside_others(private);
    let signals = signals::listen()?;
    let page = playground::router(Arc::new(about(&assembled, &server, (&key, &secret))));
    let extra = Router::new()
        .merge(web::metrics(metrics, access))
        .merge(web::health(signals.drain.clone()))
        .merge(page);
    let media = match args.udp_port.or(assembled.config.server.rtc_udp_port) {
        Some(_) => ports::Media::AsTold,
        None => ports::Media::MayMove,
    };
    let (running, moved) = ports::start(server, extra, media).await?;

    let engine = agent_engine()?;
    let worker = Worker::new(
        worker_options(&running.inside_url(), &assembled, (&key, &secret)),
        Arc::new(AgentJobs {
            agent: assembled.agent.clone(),
            engine,
            options: BindOptions {
                watcher: Some(Watcher::new(watcher())),
                events: event_readers(&assembled.config),
                ..assembled.config.room.bind_options()
            },
        }),
    );
    let handle = worker.handle();
    let worker = tokio::spawn(worker.run());

    print_line(&format!(
        "Antiphon is running: open {} and speak",
        serve::http_url(&running)
    ));
    print_line(&format!(
        "  agent {}{}",
        assembled.agent.name(),
        if is_example {
            " (the built-in example; `antiphon init` writes one of your own)"
        } else {
            ""
        }
    ));
    announce(&assembled);
    if let Some(note) = moved {
        print_line(&format!("  note: {note}"));
    }
    print_line(&format!("  {}", key_in_use(&args, &key, &secret, private)));
    print_line(&format!(
        "  to use other providers set keys in the environment or .env: {}",
        docs("providers.md")
    ));

    tokio::select! {
        () = signals.drain.cancelled() => {}
        ended = worker => {
            running.shutdown().await;
            ended.context("the agent's worker has panicked")??;
            anyhow::bail!("the agent's worker has ended");
        }
    }
    print_note("stopping");
    handle.drain();
    tokio::select! {
        _ = running.drain(DRAIN) => {}
        () = signals.end.cancelled() => {}
    }
    running.shutdown().await;
    flush(&assembled.agent);
    Ok(())
}

/// Shows every call in the terminal.
fn watcher() -> impl Fn(&str) -> Watch + Send + Sync + 'static {
    let look = terminal::look();
    let calls = AtomicU64::new(0);
    move |room| {
        let number = calls.fetch_add(1, Ordering::Relaxed) + 1;
        let (mut call, first) = calls::CallLines::begin(number, room, look);
        print_line(&first);
        Box::new(move |now, event| {
            if let Some(line) = call.event(now, event) {
                print_line(&line);
            }
        })
    }
}

fn server_config(args: &DevArgs, assembled: &Assembled) -> anyhow::Result<ServerConfig> {
    // Nobody but this machine, unless asked for.
    let bind = args
        .bind
        .or(assembled.config.server.bind)
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let private = bind.is_loopback() && assembled.config.server.trusted_proxies.is_empty();
    let livekit = match assembled.config.livekit_file() {
        Some(path) => LiveKitConfig::read(&Sources::file(&path)?)?,
        None => LiveKitConfig::default(),
    };
    for note in &livekit.notes {
        print_note(&format!("note: {note}"));
    }
    let given = serve::given_keys(args.keys.as_deref())?;
    let keys = match given.map_or_else(|| livekit.keys(), |keys| Ok(Some(keys)))? {
        Some(keys) => keys,
        None => Keys::single(DEV_KEY, dev_secret(private)),
    };
    let base = ServerConfig {
        dev: true,
        plain_inside: true,
        ..ServerConfig::new(keys)
    };
    let mut server = livekit.apply(serve::with_sections(base, &assembled.config))?;
    server.bind = vec![bind];
    server.port = args.port.unwrap_or(server.port);
    server.rtc_udp_port = args.udp_port.unwrap_or(server.rtc_udp_port);
    Ok(server)
}

/// LiveKit's development secret, which everybody knows, as long as nobody else can reach the server. An agent spends its
/// owner's money at the providers.
fn dev_secret(private: bool) -> String {
    if private {
        return DEV_SECRET.to_owned();
    }
    let secret = format!(
        "{:032x}{:032x}",
        rand::random::<u128>(),
        rand::random::<u128>()
    );
    antiphon_telemetry::secrets::hide([&secret]);
    secret
}

fn first_key(server: &ServerConfig) -> anyhow::Result<(String, String)> {
    let (key, secret) = server.keys.first().context("--keys: it names no key")?;
    Ok((key.to_owned(), secret.to_owned()))
}

/// What is printed about the key. Given secrets are never printed.
fn key_in_use(args: &DevArgs, key: &str, secret: &str, private: bool) -> String {
    if args.keys.is_some() {
        format!("API key {key}, with the secret that was given (--keys or LIVEKIT_KEYS)")
    } else if private {
        format!("API key {key}, secret {secret}")
    } else {
        format!(
            "API key {key}, secret {secret} (made for this run, since others can reach this server; --keys for your own)"
        )
    }
}

fn worker_options(url: &str, assembled: &Assembled, key: (&str, &str)) -> WorkerOptions {
    WorkerOptions {
        load_threshold: f32::INFINITY,
        drain_timeout: DRAIN,
        max_jobs: assembled
            .config
            .limits
            .max_sessions
            .unwrap_or_else(default_max_sessions),
        ..WorkerOptions::new(url, key.0, key.1)
    }
}

/// Behind a proxy or open to others the page has whatever name they gave it.
fn about(assembled: &Assembled, server: &ServerConfig, key: (&str, &str)) -> Playground {
    let on_this_machine = serve::is_private(server);
    let suggestions: &[&str] = if assembled.is_example {
        &[
            // the first one is what a newcomer says: the recogniser of this machine understands it
            "What time do you open on Sunday?",
            "A table for two tomorrow at seven, please.",
            "Do you have vegan dishes?",
        ]
    } else {
        &[]
    };
    Playground {
        api_key: key.0.to_owned(),
        api_secret: key.1.to_owned(),
        any_host: !on_this_machine,
        documents: assembled.documents.clone(),
        about: About {
            agent: AboutAgent {
                name: assembled.agent.name().to_owned(),
            },
            providers: assembled.providers.clone(),
            suggestions: suggestions.iter().map(|&words| words.to_owned()).collect(),
        },
    }
}
