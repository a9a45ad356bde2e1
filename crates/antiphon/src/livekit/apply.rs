//! From LiveKit's keys to the server's settings.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_server::config::DEFAULT_TURN_TTL;
use antiphon_server::{ServerConfig, Tls, Turn, TurnAccess, TurnProtocol, TurnServer, Webhooks};

use super::section::{self, File, NodeIp, Ports};
use super::{LiveKitError, keyfile};

/// How long credentials of a TURN server with a shared secret are valid; LiveKit's.
const DEFAULT_SECRET_TTL: Duration = Duration::from_secs(14_400);

pub(super) fn apply(file: &File, mut server: ServerConfig) -> Result<ServerConfig, LiveKitError> {
    server.port = file.port.unwrap_or(server.port);
    if !file.bind_addresses.is_empty() {
        server.bind = addresses("bind_addresses", &file.bind_addresses)?;
    }
    server.region.clone_from(&file.region);
    server.webhooks = Webhooks {
        urls: file.webhook.urls.clone(),
        api_key: file.webhook.api_key.clone(),
        include_events: file.webhook.filter_params.include_events.clone(),
        exclude_events: file.webhook.filter_params.exclude_events.clone(),
    };
    room(&file.room, &mut server);
    server.rooms.data_blobs = file.enable_participant_data_blob;
    rtc(&file.rtc, &mut server)?;
    server.network.turn = turn(&file.turn)?;
    Ok(server)
}

fn room(room: &section::Room, server: &mut ServerConfig) {
    let rooms = &mut server.rooms;
    rooms.auto_create = room.auto_create.unwrap_or(rooms.auto_create);
    let seconds = |given: Option<u32>, default| {
        given.map_or(default, |seconds| Duration::from_secs(seconds.into()))
    };
    rooms.empty_timeout = seconds(room.empty_timeout, rooms.empty_timeout);
    rooms.departure_timeout = seconds(room.departure_timeout, rooms.departure_timeout);
    rooms.max_participants = room.max_participants.unwrap_or(rooms.max_participants);
    rooms.enable_remote_unmute = room.enable_remote_unmute;
}

fn rtc(rtc: &section::Rtc, server: &mut ServerConfig) -> Result<(), LiveKitError> {
    let range = match &rtc.udp_port {
        Some(ports) => Some(("rtc.udp_port", ports_of(ports)?)),
        None if rtc.port_range_start != 0 => {
            let last = rtc.port_range_end.max(rtc.port_range_start);
            Some(("rtc.port_range_end", (rtc.port_range_start, last)))
        }
        None => None,
    };
    if let Some((key, (first, last))) = range {
        set_ports(server, key, first, last)?;
    }
    if let Some(port) = rtc.tcp_port {
        // 0 is LiveKit's way to say none.
        server.network.tcp_port = (port != 0).then_some(port);
    }
    if let Some(node_ip) = &rtc.node_ip {
        server.node_ip = node_ips(node_ip)?;
    }
    server.use_external_ip = rtc.use_external_ip;
    server.loopback_candidate = rtc.enable_loopback_candidate;
    server.ice_lite = rtc.use_ice_lite;
    server.network.stun_servers.clone_from(&rtc.stun_servers);
    server.network.turn_servers = rtc
        .turn_servers
        .iter()
        .enumerate()
        .map(|(at, entry)| turn_server(at, entry))
        .collect::<Result<_, _>>()?;
    Ok(())
}

/// One media thread for each port, and no more of them than there are cores.
fn set_ports(
    server: &mut ServerConfig,
    key: &str,
    first: u16,
    last: u16,
) -> Result<(), LiveKitError> {
    let Some(count) = last.checked_sub(first).map(|more| usize::from(more) + 1) else {
        return Err(LiveKitError::Value {
            key: key.to_owned(),
            problem: format!("{last} comes before {first}; write the lower port first"),
        });
    };
    server.rtc_udp_port = first;
    server.shards = server.shards.min(count);
    Ok(())
}

/// Also used for `--udp-port` and `UDP_PORT`.
pub(super) fn ports_of(ports: &Ports) -> Result<(u16, u16), LiveKitError> {
    let text = match ports {
        Ports::One(port) => return Ok((*port, *port)),
        Ports::Range { start, end } => return Ok((*start, (*end).max(*start))),
        Ports::Text(text) => text,
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => Ok((first, last)),
        _ => Err(LiveKitError::Value {
            key: "rtc.udp_port".to_owned(),
            problem: format!("`{text}` is neither a port, as 7882, nor a range, as 7882-7892"),
        }),
    }
}

fn node_ips(node_ip: &NodeIp) -> Result<Vec<IpAddr>, LiveKitError> {
    let list: Vec<String> = match node_ip {
        NodeIp::Text(text) => text.split(',').map(str::to_owned).collect(),
        NodeIp::Families { ipv4, ipv6 } => vec![ipv4.clone(), ipv6.clone()],
    };
    let given: Vec<String> = list
        .into_iter()
        .filter(|ip| !ip.trim().is_empty())
        .collect();
    addresses("rtc.node_ip", &given)
}

fn addresses(key: &str, texts: &[String]) -> Result<Vec<IpAddr>, LiveKitError> {
    let address = |text: &String| {
        text.trim().parse().map_err(|_| LiveKitError::Value {
            key: key.to_owned(),
            problem: format!("`{text}` is not an IP address; names are not looked up"),
        })
    };
    texts.iter().map(address).collect()
}

fn turn_server(at: usize, entry: &section::TurnServer) -> Result<TurnServer, LiveKitError> {
    let wrong = |problem: String| LiveKitError::Value {
        key: format!("rtc.turn_servers[{at}]"),
        problem,
    };
    let protocol = match entry.protocol.as_str() {
        "udp" => TurnProtocol::Udp,
        "tcp" | "" => TurnProtocol::Tcp,
        "tls" => TurnProtocol::Tls,
        other => {
            return Err(wrong(format!(
                "protocol `{other}` is none of udp, tcp and tls"
            )));
        }
    };
    let secret = if entry.secret.is_empty() && !entry.secret_file.is_empty() {
        keyfile::secret_text(Path::new(&entry.secret_file))?
            .trim()
            .to_owned()
    } else {
        entry.secret.clone()
    };
    antiphon_telemetry::secrets::hide([secret.as_str(), entry.credential.as_str()]);
    let access = if secret.is_empty() {
        TurnAccess::Static {
            username: entry.username.clone(),
            credential: entry.credential.clone(),
        }
    } else {
        TurnAccess::Secret {
            secret,
            ttl: match entry.ttl {
                0 => DEFAULT_SECRET_TTL,
                seconds => Duration::from_secs(seconds),
            },
        }
    };
    Ok(TurnServer {
        host: entry.host.clone(),
        port: entry.port,
        protocol,
        access,
    })
}

fn turn(turn: &section::Turn) -> Result<Option<Turn>, LiveKitError> {
    if !turn.enabled {
        return Ok(None);
    }
    let port = |port: u16| (port != 0).then_some(port);
    let tls = match (turn.cert_file.as_str(), turn.key_file.as_str()) {
        _ if turn.tls_port == 0 || turn.external_tls => None,
        ("", _) | (_, "") => {
            return Err(LiveKitError::Value {
                key: "turn.cert_file".to_owned(),
                problem: "turn.tls_port needs cert_file and key_file, or external_tls: true when a load balancer ends TLS"
                    .to_owned(),
            });
        }
        (certificate, key) => Some(Tls::Files {
            certificate: PathBuf::from(certificate),
            key: PathBuf::from(key),
        }),
    };
    Ok(Some(Turn {
        domain: turn.domain.clone(),
        udp_port: port(turn.udp_port),
        tls_port: port(turn.tls_port),
        tls,
        bind: addresses("turn.bind_addresses", &turn.bind_addresses)?,
        ttl: match turn.ttl_seconds {
            0 => DEFAULT_TURN_TTL,
            seconds => Duration::from_secs(seconds),
        },
        ..Turn::default()
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{LiveKitConfig, Sources};
    use super::*;

    fn read(text: &str) -> LiveKitConfig {
        LiveKitConfig::read(&sources(text)).unwrap()
    }

    fn sources(text: &str) -> Sources {
        Sources {
            text: Some(("livekit.yaml".into(), text.into())),
            ..Sources::default()
        }
    }

    fn applied(text: &str) -> Result<ServerConfig, LiveKitError> {
        read(text).apply(ServerConfig::dev())
    }

    #[test]
    fn an_operators_file_sets_what_it_sets_there() {
        let file = read(
            "port: 7900\nbind_addresses: [0.0.0.0, '::']\nregion: here\nkeys:\n  APIone: a secret\n  APItwo: 77\nlog_level: debug\n\
             logging: {json: true}\nprometheus: {port: 6789, username: u, password: p}\nrtc:\n  udp_port: 7882-7883\n  tcp_port: 7881\n  \
             node_ip: 203.0.113.5\n  stun_servers: ['stun.example.com:3478']\n  turn_servers:\n    - {host: t.example.com, port: 443, protocol: tls, secret: s, ttl: 60}\n\
             room: {auto_create: false, empty_timeout: 7, max_participants: 3, enable_remote_unmute: true}\nturn: {enabled: true, udp_port: 3478, ttl_seconds: 90}\n\
             webhook: {api_key: APIone, urls: ['https://example.com/hook']}\n",
        );
        assert!(file.notes.is_empty(), "{:?}", file.notes);
        let server = file
            .apply(ServerConfig {
                shards: 8,
                ..ServerConfig::dev()
            })
            .unwrap();
        assert_eq!(
            (server.port, server.rtc_udp_port, server.shards),
            (7900, 7882, 2)
        );
        assert_eq!(server.bind.len(), 2);
        assert_eq!(server.node_ip, ["203.0.113.5".parse::<IpAddr>().unwrap()]);
        assert_eq!(server.network.tcp_port, Some(7881));
        assert_eq!(
            (
                server.rooms.auto_create,
                server.rooms.empty_timeout.as_secs()
            ),
            (false, 7)
        );
        assert_eq!(server.network.turn.unwrap().udp_port, Some(3478));
        assert!(
            matches!(server.network.turn_servers[0].access, TurnAccess::Secret { ttl, .. } if ttl.as_secs() == 60)
        );
        assert_eq!(server.webhooks.api_key, "APIone");
        assert_eq!(file.keys().unwrap().unwrap().secret("APItwo"), Some("77"));
        assert_eq!(
            file.prometheus().unwrap(),
            (6789, Some(("u".into(), "p".into())))
        );
        assert_eq!(file.logging(), (Some("debug".into()), Some(true)));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named_by_its_key_and_not_repeated() {
        for (text, key) in [
            ("port: never-print", "port"),
            ("rtc: {tcp_port: never-print}", "rtc.tcp_port"),
            ("room: {empty_timeout: [1]}", "room.empty_timeout"),
        ] {
            let error = LiveKitConfig::read(&sources(text)).unwrap_err().to_string();
            assert!(
                error.contains(key) && !error.contains("never-print"),
                "{error}"
            );
        }
        for (text, part) in [
            ("rtc: {udp_port: 9-7}", "lower port first"),
            ("rtc: {udp_port: x}", "7882-7892"),
            ("rtc: {node_ip: host}", "not an IP address"),
            (
                "turn: {enabled: true, tls_port: 5349, domain: t.example.com}",
                "external_tls",
            ),
            (
                "rtc: {turn_servers: [{host: a, port: 1, protocol: quic}]}",
                "udp, tcp and tls",
            ),
        ] {
            let error = applied(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        for text in ["", "# a comment", "rtc:\nroom:\n"] {
            assert!(read(text).is_empty(), "{text}");
        }
    }
}
