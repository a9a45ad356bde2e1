//! `antiphon serve`: the room server alone.
//!
//! | module | what |
//! |---|---|
//! | `settings` | file, flags and variables become settings |
//! | `reload` | keys and certificates that have changed are read again |

mod reload;
mod settings;

use std::net::IpAddr;
use std::time::Duration;

use antiphon_protocol::Keys;
use antiphon_server::{Limits, Origins, Running, ServerConfig};
use antiphon_telemetry::metrics::Metrics;
use anyhow::Context as _;

use super::{DEV_KEY, DEV_SECRET, init_logs, ports, print_line, print_note, signals, web};
use crate::cli::ServeArgs;
use crate::config::{Config, LogFormat};
pub(crate) use settings::Settings;

/// How long rooms may go on after SIGTERM: as LiveKit's Helm chart has it, five hours, so that no call is cut.
const DRAIN: Duration = Duration::from_secs(5 * 3600);

/// A configured rate may be used up for this many seconds at once: a page that reloads, or an office that comes back after lunch,
/// must not be refused.
const BURST_SECONDS: u32 = 4;

/// Run until SIGTERM.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let settings = Settings::gather(&args)?;
    init_logs(
        &settings.telemetry,
        if settings.dev {
            LogFormat::Text
        } else {
            LogFormat::Json
        },
    )?;
    for note in &settings.notes {
        print_note(&format!("note: {note}"));
    }
    let server = settings.server.clone();
    warn_of_short_secrets(&server);
    let names: Vec<String> = server
        .keys
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    let metrics = Metrics::install().context("metrics")?;
    let signals = signals::listen()?;
    let hangup = reload::Hangup::listen()?;
    let private = is_private(&server);
    let public_secret = server.keys.secret(DEV_KEY) == Some(DEV_SECRET);
    if public_secret && !private {
        print_note(&format!(
            "warning: others can reach this server, and the secret of {DEV_KEY} is known to everybody; give --keys"
        ));
    }
    let _metrics = web::metrics_apart(&metrics, settings.telemetry.metrics_bind).await?;
    let _prometheus = web::prometheus(&metrics, &settings).await?;
    let access = web::MetricsAccess::beside_others(settings.dev && private);
    let extra = web::metrics(metrics, access).merge(web::health(signals.drain.clone()));
    let media = if settings.livekit.names_tcp_port() {
        ports::Media::AsTold
    } else {
        ports::Media::AsToldButTcp
    };
    let (running, note) = ports::start(server, extra, media).await?;
    if let Some(note) = note {
        print_note(&format!("note: {note}"));
    }
    print_line(&format!(
        "Antiphon's room server is listening: {}",
        http_url(&running)
    ));
    if settings.dev {
        print_line(&keys_in_use(public_secret, &names));
    }
    let reloading = reload::reload(&running, &args, &settings, hangup);
    tokio::select! {
        () = signals.drain.cancelled() => {}
        never = reloading => match never {},
    }
    print_note("draining: no new rooms; a second signal ends at once");
    tokio::select! {
        _ = running.drain(DRAIN) => {}
        () = signals.end.cancelled() => {}
    }
    running.shutdown().await;
    Ok(())
}

/// The server's settings with those of the file.
pub(crate) fn with_sections(mut server: ServerConfig, config: &Config) -> ServerConfig {
    let (section, limits) = (&config.server, &config.limits);
    server.port = section.port.unwrap_or(server.port);
    if let Some(bind) = section.bind {
        server.bind = vec![bind];
    }
    if let Some(node_ip) = section.node_ip {
        server.node_ip = vec![node_ip];
    }
    server.rtc_udp_port = section.rtc_udp_port.unwrap_or(server.rtc_udp_port);
    server.tls = config.tls().or(server.tls);
    server.network.force_relay = section.force_relay;
    server.trusted_proxies.clone_from(&section.trusted_proxies);
    // Whoever reads our documentation can make tokens of the development key.
    if server.keys.secret(DEV_KEY) == Some(DEV_SECRET) {
        server.origins = Origins::ThisMachine {
            also: section.allowed_origins.clone(),
        };
    }
    let defaults = Limits::default();
    let rate = |configured: Option<u32>, default: u32, burst: u32| match configured {
        Some(rate) => (rate, rate.saturating_mul(BURST_SECONDS)),
        None => (default, burst),
    };
    let joins = rate(
        limits.joins_per_second,
        defaults.joins_per_second,
        defaults.joins_burst,
    );
    let api = rate(
        limits.api_per_second,
        defaults.api_per_second,
        defaults.api_burst,
    );
    let key = rate(
        limits.key_per_second,
        defaults.key_per_second,
        defaults.key_burst,
    );
    server.limits = Limits {
        joins_per_second: joins.0,
        joins_burst: joins.1,
        api_per_second: api.0,
        api_burst: api.1,
        key_per_second: key.0,
        key_burst: key.1,
        max_connections: limits.max_connections.unwrap_or(defaults.max_connections),
        max_connections_per_address: limits
            .max_connections_per_address
            .unwrap_or(defaults.max_connections_per_address),
        max_rooms: limits.max_rooms.unwrap_or(defaults.max_rooms),
        ..defaults
    };
    server
}

/// Where browsers and people find it. Browsers give the microphone to `localhost` and https only.
pub(super) fn http_url(running: &Running) -> String {
    let url = running.url().replacen("ws", "http", 1);
    if running.local_addr().ip().is_loopback() {
        url.replace("127.0.0.1", "localhost")
    } else {
        url
    }
}

/// Does nobody but this machine reach it, as far as the server can know?
pub(super) fn is_private(server: &ServerConfig) -> bool {
    server.bind.iter().all(IpAddr::is_loopback) && server.trusted_proxies.is_empty()
}

/// The keys of `--keys` or `LIVEKIT_KEYS`, if any.
pub(super) fn given_keys(text: Option<&str>) -> anyhow::Result<Option<Keys>> {
    let Some(text) = text else {
        return Ok(None);
    };
    let keys = Keys::parse(text).context("--keys or LIVEKIT_KEYS")?;
    antiphon_telemetry::secrets::hide(keys.iter().map(|(_, secret)| secret));
    Ok(Some(keys))
}

/// What `--dev` prints. The development secret is known to everybody; given ones are never printed.
fn keys_in_use(public: bool, names: &[String]) -> String {
    if public {
        return format!("  API key {DEV_KEY}, secret {DEV_SECRET}");
    }
    format!(
        "  API key {}, with the secret that was given",
        names.join(", ")
    )
}

fn warn_of_short_secrets(server: &ServerConfig) {
    let short = |secret: &str| secret.chars().count() < antiphon_server::config::MIN_SECRET_CHARS;
    for (key, _) in server
        .keys
        .iter()
        .filter(|(_, secret)| !server.dev && short(secret))
    {
        print_note(&format!(
            "warning: the secret of API key {key} is shorter than 32 characters and can be guessed"
        ));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn limits(text: &str) -> Limits {
        let config = parse(text, Path::new("antiphon.toml")).unwrap();
        with_sections(ServerConfig::dev(), &config).limits
    }

    #[test]
    fn one_join_a_second_does_not_let_a_hundred_through_at_once() {
        let slow = limits("[limits]\njoins_per_second = 1\napi_per_second = 2\nkey_per_second = 3");
        assert_eq!(
            (slow.joins_per_second, slow.joins_burst),
            (1, BURST_SECONDS)
        );
        assert_eq!(
            (slow.api_burst, slow.key_burst),
            (2 * BURST_SECONDS, 3 * BURST_SECONDS)
        );
        assert_eq!(limits(""), Limits::default());
    }

    #[test]
    fn the_printed_key_is_the_one_in_use_and_a_given_secret_is_not_printed() {
        let given = keys_in_use(false, &["abc".to_owned()]);
        assert!(
            given.contains("abc") && !given.contains("never-print") && !given.contains(DEV_KEY),
            "{given}"
        );
        assert!(keys_in_use(true, &[DEV_KEY.to_owned()]).contains("secret secret"));
    }
}
