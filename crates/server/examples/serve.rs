//! The room server alone, on this machine, for trying clients out: `cargo run -p antiphon-server --example serve -- 7880`.
#![allow(clippy::print_stdout)]

use antiphon_server::{Server, ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let config = ServerConfig {
        port,
        ..ServerConfig::dev().any_ports()
    };
    let running = Server::start(config, axum::Router::new()).await?;
    println!("{}", running.url());
    tokio::signal::ctrl_c().await?;
    running.shutdown().await;
    Ok(())
}
