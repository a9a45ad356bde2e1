//! `antiphon connect`: the agent joins one named room, without dispatch.

use antiphon_worker::{BindOptions, ConnectOptions, connect_room};

use super::{
    LiveKit, agent_engine, announce, event_readers, flush, init_logs, print_line, record, signals,
};
use crate::app::App;
use crate::assemble::{assemble, configuration};
use crate::cli::ConnectArgs;
use crate::config::{LogFormat, shown_url};

/// Run until the conversation is over.
pub async fn run(args: ConnectArgs, app: &App) -> anyhow::Result<()> {
    let livekit = LiveKit::from_args(args.livekit)?;
    let (mut config, is_example) = configuration(args.agent.config.as_deref(), app)?;
    record(&mut config, args.record)?;
    init_logs(&config.telemetry, LogFormat::Text)?;
    let events = event_readers(&config);
    let assembled = assemble(config, is_example, app).await?;
    let signals = signals::listen()?;
    let engine = agent_engine()?;
    print_line(&format!(
        "agent {} joins room {} at {}",
        assembled.agent.name(),
        args.room,
        shown_url(&livekit.url)
    ));
    announce(&assembled);
    let options = ConnectOptions {
        url: livekit.url,
        api_key: livekit.api_key,
        api_secret: livekit.api_secret,
        room: args.room,
        identity: format!("agent-{:08x}", rand::random::<u32>()),
        bind: BindOptions {
            participant_identity: args.participant_identity,
            events,
            ..assembled.config.room.bind_options()
        },
    };
    let ended = connect_room(&assembled.agent, &engine, options, signals.drain).await;
    flush(&assembled.agent);
    Ok(ended?)
}
