//! A program that is an agent: the same command line as `antiphon`, with what the program adds in Rust.

use std::process::ExitCode;

use antiphon_agent::AgentBuilder;

use crate::cli::{Cli, TokenVerb, Verb};
use crate::config::{Secrets, config_argument, load_dotenv};
use crate::verbs;

/// What a program adds to the agent that the file and the environment describe.
type Define = dyn Fn(AgentBuilder) -> AgentBuilder + Send + Sync;

/// What every verb needs.
pub struct App {
    /// Keys and addresses of the environment.
    pub secrets: Secrets,
    /// The program's part of the agent; `None`: the file alone, or the example where there is no file.
    pub define: Option<Box<Define>>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("secrets", &self.secrets)
            .finish_non_exhaustive()
    }
}

/// Be the `antiphon` binary.
pub fn main() -> ExitCode {
    start(None)
}

/// Be a program with an agent of its own: `dev`, `start`, `connect`, `console` and the other verbs run the agent that
/// `define` completes. It is given a builder with the providers that were chosen and everything that an `antiphon.toml`
/// says; what it sets wins.
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     antiphon::run(|agent| agent.instructions("You are a parrot.").greeting("Hello!"))
/// }
/// ```
pub fn run(define: impl Fn(AgentBuilder) -> AgentBuilder + Send + Sync + 'static) -> ExitCode {
    start(Some(Box::new(define)))
}

fn start(define: Option<Box<Define>>) -> ExitCode {
    // Before the command line is read, which takes defaults from the environment, and before any thread starts.
    let loaded = load_dotenv(config_argument(std::env::args_os()).as_deref());
    let verb = Cli::read().verb;
    match &verb {
        Verb::PocketSphinx => return antiphon_local::worker::main(),
        Verb::ReadDocument { end } => return antiphon_knowledge::files::reader::main(end),
        _ => {}
    }
    if let Err(error) = loaded {
        return failed(&error.into());
    }
    let app = App {
        secrets: Secrets::from_env(),
        define,
    };
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
    match runtime.block_on(dispatch(verb, &app)) {
        Ok(code) => {
            // Children of blocking pools (a DNS look-up) may not hold up the end.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            code
        }
        Err(error) => failed(&error),
    }
}

async fn dispatch(verb: Verb, app: &App) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Init(args) => verbs::init::run(&args)?,
        Verb::Dev(args) => verbs::dev::run(args, app).await?,
        Verb::Serve(args) => verbs::serve::run(*args).await?,
        Verb::GenerateKeys => verbs::keys::run(),
        Verb::Start(args) => verbs::start::run(args, app).await?,
        Verb::Connect(args) => verbs::connect::run(args, app).await?,
        Verb::Console(args) => verbs::console::run(args, app).await?,
        Verb::Simulate(args) => return verbs::simulate::run(&args, app),
        Verb::Replay(args) => return verbs::replay::run(&args, app),
        Verb::Token(TokenVerb::Create(args)) => {
            let (token, warning) = verbs::token::create(args)?;
            verbs::print_line(&token);
            if let Some(warning) = warning {
                verbs::print_note(&format!("note: {warning}"));
            }
        }
        Verb::Models(args) => verbs::models::run(args).await?,
        Verb::Knowledge(verb) => verbs::knowledge::run(verb).await?,
        Verb::Turnbench(args) => verbs::turnbench::run(args).await?,
        Verb::Doctor(args) => return verbs::doctor::run(args, app).await,
        Verb::PocketSphinx | Verb::ReadDocument { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    verbs::print_note(&format!("error: {}", with_causes(error)));
    ExitCode::FAILURE
}

/// The error and its causes, each said once: many messages hold their cause already.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match text.as_str() {
            "" => cause,
            said if said.contains(&cause) => text,
            said => format!("{said}: {cause}"),
        }
    })
}
