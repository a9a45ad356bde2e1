//! `antiphon doctor`: what is wrong, and how to mend it.

use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;

use antiphon_models::{MODELS, ModelInfo, Store};
use antiphon_openai::Level;

use super::{docs, print_line};
use crate::app::{App, with_causes};
use crate::assemble::{assemble, configuration};
use crate::cli::DoctorArgs;
use crate::config::{ConfigError, Findings, Mistake, Secrets};
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
    findings.extend(models());
    findings.extend(worker(args.worker_port).await);
    match configuration(args.agent.config.as_deref(), app) {
        Err(error) => findings.extend(explained("configuration", &error)),
        Ok((config, is_example)) => {
            let name = if is_example {
                "no antiphon.toml: the built-in example runs".to_owned()
            } else {
                format!("agent {}", config.name)
            };
            findings.push(Finding::ok(format!("configuration: {name}")));
            findings.extend(ports(&config));
            match assemble(config.clone(), is_example, app).await {
                Err(error) => findings.extend(explained("agent", &error)),
                Ok(assembled) => {
                    for provider in &assembled.providers {
                        findings.push(Finding::ok(format!(
                            "{}: {} {} ({})",
                            provider.role, provider.provider, provider.model, provider.why
                        )));
                    }
                    findings.extend(assembled.notes.iter().map(|note| noted(note)));
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

/// Most notes hold their fix behind a semicolon; the others are about a file of the knowledge.
fn noted(note: &str) -> Finding {
    let (problem, fix) = split_fix(note).unwrap_or((
        note,
        "repair that file, or take it out of the folder that [knowledge] path names",
    ));
    Finding::warning(problem, fix)
}

/// What is wrong, and behind the first semicolon what to do; one in brackets or quotation marks belongs to what somebody else
/// said.
fn split_fix(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' | '`' => quoted = !quoted,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 && !quoted => {
                let (problem, fix) = text.split_at(at);
                if let Some(fix) = fix.strip_prefix("; ") {
                    return Some((problem, fix));
                }
            }
            _ => {}
        }
    }
    None
}

fn is_elsewhere(provider: &AboutProvider) -> bool {
    matches!(provider.provider.as_str(), "Deepgram" | "OpenAI") || provider.provider.contains("://")
}

/// One finding for each thing that is wrong, with its fix: most texts hold it behind a semicolon or in brackets.
fn explained(what: &str, error: &anyhow::Error) -> Vec<Finding> {
    let see = format!(
        "correct that part of antiphon.toml; every key: {}",
        docs("configuration.md")
    );
    let several = match error.downcast_ref() {
        Some(ConfigError::Invalid { findings, .. }) => Some(findings.clone()),
        // Where in the file, and what would be right there, belong together.
        Some(ConfigError::Parse { path, mistakes }) => {
            let place = |mistake: &Mistake| {
                let Mistake { line, message, .. } = mistake;
                Finding::error(
                    format!("{what}: {}:{line}: {message}", path.display()),
                    &see,
                )
            };
            return mistakes.iter().map(place).collect();
        }
        Some(
            ConfigError::Missing { .. }
            | ConfigError::Folder { .. }
            | ConfigError::Read { .. }
            | ConfigError::NotUtf8 { .. }
            | ConfigError::TooLarge { .. },
        )
        | None => error
            .downcast_ref()
            .map(|Findings(findings)| findings.clone()),
    };
    several
        .unwrap_or_else(|| vec![with_causes(error)])
        .iter()
        .map(|text| {
            let split = split_fix(text).or_else(|| text.strip_suffix(')')?.rsplit_once(" ("));
            let (problem, fix) = split.unwrap_or((text.as_str(), see.as_str()));
            Finding::error(format!("{what}: {problem}"), fix)
        })
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

fn models() -> Vec<Finding> {
    let store = match Store::of_user() {
        Ok(store) => store,
        Err(error) => {
            return vec![Finding::warning(error.to_string(), "set ANTIPHON_MODELS")];
        }
    };
    let look = |model: &ModelInfo| {
        if store.has(model) {
            return Finding::ok(format!("model {} is here", model.name));
        }
        Finding::warning(
            format!(
                "model {}, which {}, is not here",
                model.name,
                model.purpose.as_str()
            ),
            format!("antiphon models fetch {}", model.name),
        )
    };
    let is_of_interest = |model: &&ModelInfo| model.is_usual || store.has(model);
    MODELS.iter().filter(is_of_interest).map(look).collect()
}

/// Does a worker on this machine take calls, and if not, why?
async fn worker(port: u16) -> Option<Finding> {
    let info = antiphon_worker::http::look((std::net::Ipv4Addr::LOCALHOST, port).into()).await?;
    Some(told_by_worker(port, &info))
}

fn told_by_worker(port: u16, info: &serde_json::Value) -> Finding {
    let number = |name: &str| {
        info.get(name)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    let (jobs, max) = (number("active_jobs"), number("max_jobs"));
    let is = |name: &str| info.get(name).and_then(serde_json::Value::as_bool) == Some(true);
    let what = format!("the worker here (port {port}) has {jobs} of {max} calls");
    if is("takes_calls") {
        return Finding::ok(format!("{what} and takes more"));
    }
    if !is("connected") {
        return Finding::warning(
            format!("{what} and gets no new ones: it has no connection to its server"),
            "its log says why; check LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
        );
    }
    let why = info.get("full").and_then(|full| full.as_str());
    Finding::warning(
        format!(
            "{what} and takes no new ones: {}",
            why.unwrap_or("it does not say why")
        ),
        "wait until calls have ended, raise [limits] max_sessions, or start another worker on another machine",
    )
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn every_finding_of_the_file_is_a_line_with_its_own_fix() {
        let text =
            "[limits]\nmax_rooms = 0\n[telemetry]\nlog_level = \"loud\"\n[llm]\ntemperature = 9.0";
        let error = parse(text, std::path::Path::new("antiphon.toml")).unwrap_err();
        let findings = explained("configuration", &error.into());
        assert_eq!(findings.len(), 3);
        for (finding, fix) in
            findings
                .iter()
                .zip(["between 0 and 2", "leave it out", "use error, warn"])
        {
            assert!(
                finding.fix.as_deref().unwrap().contains(fix),
                "{}",
                finding.what
            );
        }
    }

    #[test]
    fn what_somebody_else_said_is_not_cut_at_its_semicolon() {
        let text = "the list could not be read (details: no; \"a; b\" [c; d]); start the server";
        assert_eq!(
            split_fix(text),
            Some((
                "the list could not be read (details: no; \"a; b\" [c; d])",
                "start the server"
            ))
        );
        assert_eq!(split_fix("nothing to do (a; b)"), None);
    }

    #[test]
    fn a_worker_that_takes_no_calls_says_why() {
        let info = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let full = told_by_worker(
            8081,
            &info(
                r#"{"active_jobs":2,"max_jobs":2,"connected":true,"takes_calls":false,"full":"it has 2 of 2 sessions"}"#,
            ),
        );
        assert_eq!(full.level, Level::Warning);
        assert!(
            full.what.contains("it has 2 of 2 sessions"),
            "{}",
            full.what
        );
        let cut_off = told_by_worker(
            8081,
            &info(
                r#"{"active_jobs":1,"max_jobs":2,"connected":false,"takes_calls":false,"full":null}"#,
            ),
        );
        assert!(cut_off.what.contains("no connection"), "{}", cut_off.what);
        let fine = told_by_worker(
            8081,
            &info(r#"{"active_jobs":1,"max_jobs":2,"connected":true,"takes_calls":true}"#),
        );
        assert_eq!(fine.level, Level::Ok);
    }

    #[test]
    fn a_cause_is_said_once() {
        let missing = crate::config::load(std::path::Path::new("/nowhere/a.toml")).unwrap_err();
        let findings = explained("configuration", &missing.into());
        assert_eq!(
            findings[0].what.matches("No such file").count(),
            1,
            "{}",
            findings[0].what
        );
    }
}
