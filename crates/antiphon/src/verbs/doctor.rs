//! `antiphon doctor`: what is wrong, and how to mend it.

use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;

use antiphon_openai::Level;

use super::print_line;
use crate::app::App;
use crate::assemble::{assemble, configuration};
use crate::cli::DoctorArgs;
use crate::config::Secrets;
use crate::playground::AboutProvider;

/// One thing that was looked at.
struct Finding {
    level: Level,
    what: String,
    fix: Option<String>,
}

impl Finding {
    fn ok(what: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            what: what.into(),
            fix: None,
        }
    }

    fn warning(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            what: what.into(),
            fix: Some(fix.into()),
        }
    }

    fn error(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            what: what.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Look at everything; the exit code is a failure when something cannot work.
pub async fn run(args: DoctorArgs, app: &App) -> anyhow::Result<ExitCode> {
    let mut findings = keys(&app.secrets);
    findings.extend(engines().await);
    match configuration(args.agent.config.as_deref(), app) {
        Err(error) => findings.push(Finding::error(
            format!("configuration: {error:#}"),
            "correct the file; see docs/configuration.md",
        )),
        Ok((config, is_example)) => {
            let name = if is_example {
                "no antiphon.toml: the built-in example runs".to_owned()
            } else {
                format!("agent {}", config.name)
            };
            findings.push(Finding::ok(format!("configuration: {name}")));
            findings.extend(ports(&config));
            match assemble(config.clone(), is_example, app).await {
                Err(error) => findings.extend(not_assembled(&format!("{error:#}"))),
                Ok(assembled) => {
                    for provider in &assembled.providers {
                        findings.push(Finding::ok(format!(
                            "{}: {} {} ({})",
                            provider.role, provider.provider, provider.model, provider.why
                        )));
                    }
                    findings.extend(assembled.notes.iter().map(|note| {
                        Finding::warning(
                            note,
                            "repair it or take it out of the folder that [knowledge] path names",
                        )
                    }));
                    if !args.online && assembled.providers.iter().any(is_elsewhere) {
                        findings.push(Finding::ok(
                            "keys and addresses were not tried: `antiphon doctor --online` asks the providers",
                        ));
                    }
                }
            }
            if args.online {
                findings.extend(online(&config, &app.secrets).await);
            }
        }
    }
    Ok(report(&findings))
}

fn is_elsewhere(provider: &AboutProvider) -> bool {
    matches!(provider.provider.as_str(), "Deepgram" | "OpenAI")
        || provider.provider.starts_with("http")
}

/// Errors of putting the agent together: one a line, most of them with their fix behind a semicolon or in brackets.
fn not_assembled(errors: &str) -> Vec<Finding> {
    let finding = |line: &str| {
        let split = line
            .split_once("; ")
            .or_else(|| line.strip_suffix(')')?.rsplit_once(" ("));
        let (what, fix) = split.unwrap_or((
            line,
            "correct that part of antiphon.toml; docs/configuration.md has every key",
        ));
        Finding::error(format!("agent: {what}"), fix)
    };
    errors
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(finding)
        .collect()
}

fn report(findings: &[Finding]) -> ExitCode {
    for finding in findings {
        let mark = match finding.level {
            Level::Ok => "ok     ",
            Level::Warning => "warning",
            Level::Error => "ERROR  ",
        };
        print_line(&format!("{mark}  {}", finding.what));
        if let Some(fix) = &finding.fix {
            print_line(&format!("         fix: {fix}"));
        }
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .count();
    let warnings = findings
        .iter()
        .filter(|finding| finding.level == Level::Warning)
        .count();
    print_line(&format!("{errors} errors, {warnings} warnings"));
    if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn keys(secrets: &Secrets) -> Vec<Finding> {
    let key = |present: bool, name: &str, without: &str| {
        if present {
            Finding::ok(format!("{name} is set"))
        } else {
            Finding::warning(
                format!("{name} is not set: {without}"),
                format!("set {name} in the environment or .env, if you have one"),
            )
        }
    };
    let mut findings = vec![
        key(
            secrets.deepgram_api_key.is_some(),
            "DEEPGRAM_API_KEY",
            "speech is recognised on this machine",
        ),
        key(
            secrets.openai_api_key.is_some(),
            "OPENAI_API_KEY",
            "a local server or the built-in responder answers",
        ),
    ];
    if secrets.livekit_url.is_some() && secrets.livekit.is_none() {
        findings.push(Finding::error(
            "LIVEKIT_URL is set but LIVEKIT_API_KEY or LIVEKIT_API_SECRET is not",
            "set all three; `start` and `connect` need them",
        ));
    }
    findings
}

async fn engines() -> Vec<Finding> {
    let engines = tokio::task::spawn_blocking(antiphon_local::detect)
        .await
        .unwrap_or_default();
    let missing = engines.missing();
    if missing.is_empty() {
        return vec![Finding::ok("local speech engines are installed")];
    }
    missing
        .into_iter()
        .map(|(engine, install)| Finding::warning(format!("{engine} is not installed"), install))
        .collect()
}

fn ports(config: &crate::config::Config) -> Vec<Finding> {
    let bind = config
        .server
        .bind
        .unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
    let http = config
        .server
        .port
        .unwrap_or(antiphon_server::config::DEFAULT_PORT);
    let udp = config
        .server
        .rtc_udp_port
        .unwrap_or(antiphon_server::config::DEFAULT_RTC_UDP_PORT);
    let free = |result: std::io::Result<()>, what: String, flag: &str| match result {
        Ok(()) => Finding::ok(format!("port {what} is free")),
        Err(error) => Finding::warning(
            format!("port {what} cannot be bound: {error}"),
            format!("stop what uses it (another Antiphon?), or choose another with {flag}"),
        ),
    };
    vec![
        free(
            TcpListener::bind((bind, http)).map(drop),
            format!("{http}/tcp"),
            "--port",
        ),
        free(
            UdpSocket::bind((bind, udp)).map(drop),
            format!("{udp}/udp"),
            "--udp-port",
        ),
    ]
}

async fn online(config: &crate::config::Config, secrets: &Secrets) -> Vec<Finding> {
    use crate::assemble::probe;
    let mut findings = Vec::new();
    for (role, found) in probe(config, secrets).await {
        findings.extend(found.into_iter().map(|finding| Finding {
            level: finding.level,
            what: format!("{role}: {}", finding.message),
            fix: finding.fix,
        }));
    }
    findings
}
