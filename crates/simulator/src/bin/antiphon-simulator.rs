//! The simulator alone, for tests in other languages. Its first line of output is its address.

use std::io::Write;
use std::path::PathBuf;

use antiphon_simulator::{Script, Simulator};
use clap::Parser;

/// OpenAI and Deepgram on loopback, for tests.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "ANTIPHON_SIMULATOR_BIND", default_value = "127.0.0.1:0")]
    bind: String,
    /// A script as JSON; without it everything answers at once and as it should.
    #[arg(long, env = "ANTIPHON_SIMULATOR_SCRIPT")]
    script: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let script = match &arguments.script {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => Script::default(),
    };
    let simulator = Simulator::start_at(&arguments.bind, script).await?;
    let mut out = std::io::stdout();
    writeln!(out, "http://{}", simulator.address())?;
    out.flush()?;
    simulator.run().await;
    Ok(())
}
