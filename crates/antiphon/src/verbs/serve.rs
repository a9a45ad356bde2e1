//! `antiphon serve`: the room server alone.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use antiphon_protocol::Keys;
use antiphon_server::{Limits, Origins, Running, ServerConfig, Tls};
use antiphon_telemetry::metrics::Metrics;
use anyhow::Context as _;

use super::{DEV_KEY, DEV_SECRET, init_logs, ports, print_line, print_note, signals, web};
use crate::cli::ServeArgs;
use crate::config::{Config, LogFormat, load};

/// How long rooms may go on after SIGTERM: as LiveKit's Helm chart has it, five hours, so that no call is cut.
const DRAIN: Duration = Duration::from_secs(5 * 3600);

/// A configured rate may be used up for so many seconds at once: a page that reloads, or an office that comes back after lunch,
/// must not be refused.
const BURST_SECONDS: u32 = 4;

/// Run until SIGTERM.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => load(path)?,
        None => Config::default(),
    };
    init_logs(
        &config.telemetry,
        if args.dev {
            LogFormat::Text
        } else {
            LogFormat::Json
        },
    )?;
    let keys = match given_keys(args.keys.as_deref())? {
        Some(keys) => keys,
        None if args.dev => Keys::single(DEV_KEY, DEV_SECRET),
        None => anyhow::bail!(
            "no API keys; give --keys \"key: secret\" or LIVEKIT_KEYS (a secret: `openssl rand -base64 32`), or --dev to try it"
        ),
    };
    let mut server = with_sections(ServerConfig::new(keys), &config);
    if args.dev {
        server.dev = true;
        server.bind = vec![
            config
                .server
                .bind
                .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ];
    }
    server.port = args.port.unwrap_or(server.port);
    if let Some(bind) = args.bind {
        server.bind = vec![bind];
    }
    if let Some(node_ip) = args.node_ip {
        server.node_ip = vec![node_ip];
    }
    server.rtc_udp_port = args.udp_port.unwrap_or(server.rtc_udp_port);
    if let (Some(certificate), Some(key)) = (args.tls_cert, args.tls_key) {
        server.tls = Some(Tls::Files { certificate, key });
    } else if args.tls_self_signed {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        names.extend(server.node_ip.iter().map(IpAddr::to_string));
        server.tls = Some(Tls::SelfSigned { names });
    }
    warn_of_short_secrets(&server);
    let names: Vec<String> = server
        .keys
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    let metrics = Metrics::install().context("metrics")?;
    let signals = signals::listen()?;
    let private = is_private(&server);
    if args.dev && args.keys.is_none() && !private {
        print_note(&format!(
            "warning: others can reach this server, and the secret of {DEV_KEY} is known to everybody; give --keys"
        ));
    }
    let _metrics = web::metrics_apart(&metrics, config.telemetry.metrics_bind).await?;
    let access = web::MetricsAccess::beside_others(args.dev && private);
    let extra = web::metrics(metrics, access).merge(web::health(signals.drain.clone()));
    let (running, _) = ports::start(server, extra, ports::Media::AsTold).await?;
    print_line(&format!(
        "Antiphon's room server is listening: {}",
        http_url(&running)
    ));
    if args.dev {
        print_line(&keys_in_use(args.keys.as_deref(), &names));
    }
    signals.drain.cancelled().await;
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
    if let Some((certificate, key)) = config.tls_files() {
        server.tls = Some(Tls::Files { certificate, key });
    }
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
fn keys_in_use(given: Option<&str>, names: &[String]) -> String {
    match given {
        None => format!("  API key {DEV_KEY}, secret {DEV_SECRET}"),
        Some(_) => format!(
            "  API key {}, with the secret that was given (--keys or LIVEKIT_KEYS)",
            names.join(", ")
        ),
    }
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
        let given = keys_in_use(Some("abc: never-print"), &["abc".to_owned()]);
        assert!(
            given.contains("abc") && !given.contains("never-print") && !given.contains(DEV_KEY),
            "{given}"
        );
        assert!(keys_in_use(None, &[DEV_KEY.to_owned()]).contains("secret secret"));
    }
}
