//! `antiphon start`: the agent alone, for production.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use antiphon_telemetry::metrics::Metrics;
use antiphon_worker::{AgentJobs, BindOptions, Worker, WorkerOptions, health_router, info_router};
use anyhow::Context as _;
use tokio::net::TcpListener;

use super::web::MetricsAccess;
use super::{
    LiveKit, agent_engine, announce, default_max_sessions, event_readers, flush, init_logs, ports,
    print_line, print_note, record, signals, web,
};
use crate::app::App;
use crate::assemble::{assemble, configuration};
use crate::cli::StartArgs;
use crate::config::{LogFormat, shown_url};

/// Run until SIGTERM and the end of the running calls.
pub async fn run(args: StartArgs, app: &App) -> anyhow::Result<()> {
    let livekit = LiveKit::from_args(args.livekit)?;
    let (mut config, is_example) = configuration(args.agent.config.as_deref(), app)?;
    record(&mut config, args.record)?;
    init_logs(&config.telemetry, LogFormat::Json)?;
    // before the knowledge is embedded: what that costs counts
    let metrics = Metrics::install().context("metrics")?;
    let assembled = assemble(config, is_example, app).await?;
    let signals = signals::listen()?;
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, args.port));
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| ports::not_bound(address, error))?;
    let _metrics = web::metrics_apart(&metrics, assembled.config.telemetry.metrics_bind).await?;
    let engine = agent_engine()?;
    let options = WorkerOptions {
        agent_name: args.agent_name.unwrap_or_default(),
        load_threshold: args.load_threshold,
        drain_timeout: Duration::from_secs(args.drain_timeout),
        max_jobs: assembled
            .config
            .limits
            .max_sessions
            .unwrap_or_else(default_max_sessions),
        ..WorkerOptions::new(livekit.url.clone(), livekit.api_key, livekit.api_secret)
    };
    let jobs = AgentJobs {
        agent: assembled.agent.clone(),
        engine,
        options: BindOptions {
            events: event_readers(&assembled.config),
            ..assembled.config.room.bind_options()
        },
    };
    let worker = Worker::new(options, Arc::new(jobs));
    let handle = worker.handle();
    let access = MetricsAccess::beside_others(false);
    let routes = health_router(handle.clone())
        .merge(web::details(info_router(handle.clone()), access.clone()))
        .merge(web::metrics(metrics, access))
        .into_make_service_with_connect_info::<SocketAddr>();
    print_line(&format!(
        "agent {} works for {}; health: http://{}",
        assembled.agent.name(),
        shown_url(&livekit.url),
        listener.local_addr()?
    ));
    announce(&assembled);
    let health = tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut worker = tokio::spawn(worker.run());
    let ended = tokio::select! {
        ended = &mut worker => ended,
        () = signals.drain.cancelled() => {
            print_note("draining: no new calls; a second signal ends at once");
            handle.drain();
            tokio::select! {
                ended = &mut worker => ended,
                () = signals.end.cancelled() => Ok(Ok(())),
            }
        }
    };
    health.abort();
    flush(&assembled.agent);
    ended.context("the worker has panicked")??;
    Ok(())
}
