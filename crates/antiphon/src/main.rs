//! The binary: reads the command line, sets up logs, runs a verb, and says what went wrong in words.

use std::process::ExitCode;

use antiphon::cli::{Cli, TokenVerb, Verb};
use antiphon::config::Secrets;
use antiphon::verbs;
use clap::Parser as _;

fn main() -> ExitCode {
    let verb = Cli::parse().verb;
    if matches!(verb, Verb::PocketSphinx) {
        return antiphon_local::worker::main();
    }
    // Before any thread starts: .env fills the environment of this process.
    let secrets = Secrets::from_env();
    // One crypto library for all of TLS; it cannot be set already, since nothing has run.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return failed(&anyhow::anyhow!(
                "the async runtime cannot be started: {error}"
            ));
        }
    };
    match runtime.block_on(run(verb, &secrets)) {
        Ok(code) => {
            // Children of blocking pools (a DNS look-up) may not hold up the end.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            code
        }
        Err(error) => failed(&error),
    }
}

async fn run(verb: Verb, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Dev(args) => verbs::dev::run(args, secrets).await?,
        Verb::Serve(args) => verbs::serve::run(args).await?,
        Verb::Start(args) => verbs::start::run(args, secrets).await?,
        Verb::Connect(args) => verbs::connect::run(args, secrets).await?,
        Verb::Console(args) => verbs::console::run(args, secrets).await?,
        Verb::Token(TokenVerb::Create(args)) => {
            let (token, warning) = verbs::token::create(args)?;
            verbs::print_line(&token);
            if let Some(warning) = warning {
                verbs::print_note(&format!("note: {warning}"));
            }
        }
        Verb::Doctor(args) => return verbs::doctor::run(args, secrets).await,
        Verb::PocketSphinx => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    verbs::print_note(&format!("error: {error:#}"));
    ExitCode::FAILURE
}
