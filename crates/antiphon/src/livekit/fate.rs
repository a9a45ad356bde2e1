//! What becomes of every key that LiveKit knows: used, or why not. What is not used is said at the start, by name.

use serde_json::Value;

use super::{LiveKitError, Sources};

/// What becomes of a key, and of all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does here what it does there.
    Used,
    /// It has no effect here, for this reason.
    Without(&'static str),
}
use Fate::{Used, Without};

const ONE_NODE: &str = "one server serves all rooms; there is no cluster";
const OWN_MEDIA: &str = "the media engine is another one and has no such setting";
const SPEAKERS: &str = "LiveKit's defaults are built in";
const GO: &str = "there is no Go runtime to look into; see /metrics";
const ELSEWHERE: &str = "egress, ingress and SIP are not offered";
const MEASURED: &str = "the server does not measure it that way";
const FIXED: &str = "the limit is fixed at LiveKit's default";

/// Every key of livekit-server 1.13.5. A key stands for all below it.
const KEYS: &[(&str, Fate)] = &[
    ("port", Used),
    ("bind_addresses", Used),
    ("prometheus_port", Used),
    ("prometheus.port", Used),
    ("prometheus.username", Used),
    ("prometheus.password", Used),
    ("debug_handler", Without(GO)),
    ("debug_handler_port", Without(GO)),
    ("rtc.udp_port", Used),
    ("rtc.tcp_port", Used),
    ("rtc.port_range_start", Used),
    ("rtc.port_range_end", Used),
    ("rtc.use_external_ip", Used),
    ("rtc.node_ip", Used),
    ("rtc.stun_servers", Used),
    ("rtc.turn_servers", Used),
    ("rtc.enable_loopback_candidate", Used),
    ("rtc.use_ice_lite", Used),
    (
        "rtc.external_ip_only",
        Without("with use_external_ip only the external address is named"),
    ),
    (
        "rtc.advertise_internal_ip",
        Without("name the addresses in node_ip instead, separated by commas"),
    ),
    (
        "rtc.skip_external_ip_validation",
        Without("the external address is taken as the STUN server told it"),
    ),
    ("rtc.use_stun_port_as_ice", Without(OWN_MEDIA)),
    (
        "rtc.interfaces",
        Without("name the addresses in node_ip instead"),
    ),
    ("rtc.ips", Without("name the addresses in node_ip instead")),
    (
        "rtc.use_mdns",
        Without("candidates are never named by mDNS"),
    ),
    ("rtc.force_tcp", Without("it is for LiveKit's own tests")),
    (
        "rtc.batch_io",
        Without("datagrams are always sent in batches"),
    ),
    ("rtc.congestion_control", Without(OWN_MEDIA)),
    (
        "rtc.allow_tcp_fallback",
        Without("clients choose among all candidates from the start"),
    ),
    (
        "rtc.tcp_fallback_rtt_threshold",
        Without("clients choose among all candidates from the start"),
    ),
    (
        "rtc.allow_udp_unstable_fallback",
        Without("clients choose among all candidates from the start"),
    ),
    ("rtc.strict_acks", Without(OWN_MEDIA)),
    ("rtc.packet_buffer_size", Without(OWN_MEDIA)),
    ("rtc.packet_buffer_size_video", Without(OWN_MEDIA)),
    ("rtc.packet_buffer_size_audio", Without(OWN_MEDIA)),
    ("rtc.pli_throttle", Without(OWN_MEDIA)),
    ("rtc.reconnect_on_publication_error", Without(OWN_MEDIA)),
    ("rtc.reconnect_on_subscription_error", Without(OWN_MEDIA)),
    ("rtc.reconnect_on_data_channel_error", Without(OWN_MEDIA)),
    ("rtc.data_channel_max_buffered_amount", Without(OWN_MEDIA)),
    ("rtc.datachannel_slow_threshold", Without(OWN_MEDIA)),
    ("rtc.datachannel_lossy_target_latency", Without(OWN_MEDIA)),
    (
        "rtc.datachannel_data_track_target_latency",
        Without(OWN_MEDIA),
    ),
    ("rtc.forward_stats", Without(MEASURED)),
    (
        "rtc.enable_rtp_stream_restart_detection",
        Without(OWN_MEDIA),
    ),
    ("rtc.sctp_min_cwnd", Without(OWN_MEDIA)),
    ("rtc.sctp_fast_rtx_wnd", Without(OWN_MEDIA)),
    ("rtc.sctp_cwnd_ca_step", Without(OWN_MEDIA)),
    ("rtc.host_acceptance_min_wait", Without(OWN_MEDIA)),
    ("rtc.srflx_acceptance_min_wait", Without(OWN_MEDIA)),
    ("rtc.prflx_acceptance_min_wait", Without(OWN_MEDIA)),
    ("rtc.relay_acceptance_min_wait", Without(OWN_MEDIA)),
    ("redis", Without(ONE_NODE)),
    ("audio", Without(SPEAKERS)),
    ("video", Without(OWN_MEDIA)),
    ("room.auto_create", Used),
    ("room.empty_timeout", Used),
    ("room.departure_timeout", Used),
    ("room.max_participants", Used),
    ("room.enable_remote_unmute", Used),
    (
        "room.enabled_codecs",
        Without("every codec that is offered by default is offered"),
    ),
    ("room.playout_delay", Without(OWN_MEDIA)),
    ("room.sync_streams", Without(OWN_MEDIA)),
    (
        "room.create_room_timeout",
        Without("a room is there at once"),
    ),
    (
        "room.create_room_attempts",
        Without("a room is there at once"),
    ),
    ("room.update_batch_target_size", Without(FIXED)),
    ("room.max_metadata_size", Without(FIXED)),
    ("room.max_room_name_length", Without(FIXED)),
    ("room.max_participant_identity_length", Without(FIXED)),
    (
        "room.room_configurations",
        Without("presets are not offered; tokens carry `roomConfig`"),
    ),
    ("turn.enabled", Used),
    ("turn.domain", Used),
    ("turn.cert_file", Used),
    ("turn.key_file", Used),
    ("turn.tls_port", Used),
    ("turn.udp_port", Used),
    ("turn.external_tls", Used),
    ("turn.bind_addresses", Used),
    ("turn.ttl_seconds", Used),
    (
        "turn.relay_range_start",
        Without("relayed packets reach the media engine without ports of their own"),
    ),
    (
        "turn.relay_range_end",
        Without("relayed packets reach the media engine without ports of their own"),
    ),
    (
        "turn.allow_restricted_peer_cidrs",
        Without("the relay reaches this server's own media and nothing else"),
    ),
    (
        "turn.deny_peer_cidrs",
        Without("the relay reaches this server's own media and nothing else"),
    ),
    ("ingress", Without(ELSEWHERE)),
    ("sip", Without(ELSEWHERE)),
    ("webhook.urls", Used),
    ("webhook.api_key", Used),
    ("webhook.filter_params", Used),
    (
        "webhook.url_notifier",
        Without("webhooks have LiveKit's default limits"),
    ),
    (
        "webhook.resource_url_notifier",
        Without("webhooks have LiveKit's default limits"),
    ),
    ("node_selector", Without(ONE_NODE)),
    ("node_stats", Without(ONE_NODE)),
    ("signal_relay", Without(ONE_NODE)),
    ("psrpc", Without(ONE_NODE)),
    ("key_file", Used),
    ("keys", Used),
    ("region", Used),
    ("log_level", Used),
    ("logging.level", Used),
    ("logging.json", Used),
    (
        "logging",
        Without("logs have a level and a form, and nothing else to set"),
    ),
    (
        "limit",
        Without("limits of this server stand in `[limits]` of antiphon.toml"),
    ),
    (
        "agents",
        Without("workers tell how busy they are, and are asked by that"),
    ),
    ("development", Used),
    ("metric", Without(MEASURED)),
    ("trace", Without("there is no tracing; see the logs")),
    ("api", Without(ONE_NODE)),
    ("enable_data_tracks", Without("it is not a choice")),
    ("enable_participant_data_blob", Used),
];

/// The fate of a key, by its own row or that of one above it.
pub(super) fn of(path: &str) -> Option<Fate> {
    let row = |path: &str| {
        KEYS.iter()
            .find(|(key, _)| *key == path)
            .map(|(_, fate)| *fate)
    };
    let mut path = path;
    loop {
        if let Some(fate) = row(path) {
            return Some(fate);
        }
        path = path.rsplit_once('.')?.0;
    }
}

/// The key that a variable (without `LIVEKIT_`) stands for. Lists and maps have none, as with LiveKit.
pub(super) fn of_variable(name: &str) -> Option<String> {
    /// They are no keys of the file.
    const OTHERS: [&str; 6] = [
        "KEYS",
        "CONFIG",
        "TURN_CERT",
        "TURN_KEY",
        "API_KEY",
        "API_SECRET",
    ];
    if OTHERS.contains(&name) {
        return None;
    }
    let upper = |key: &str| key.to_uppercase().replace('.', "_");
    let exact = KEYS.iter().find(|(key, _)| upper(key) == name);
    if let Some((key, _)) = exact {
        return Some((*key).to_owned());
    }
    // Below a key whose parts have no rows of their own.
    KEYS.iter().find_map(|(key, fate)| {
        let rest = name.strip_prefix(&format!("{}_", upper(key)))?;
        matches!(fate, Without(_)).then(|| format!("{key}.{}", rest.to_lowercase()))
    })
}

/// The notes for keys without effect; unknown ones are an error unless the sources are lenient.
pub(super) fn check(tree: &Value, sources: &Sources) -> Result<Vec<String>, LiveKitError> {
    let mut walk = Walk::default();
    walk.below("", tree);
    if !walk.unknown.is_empty() && !sources.lenient {
        return Err(LiveKitError::Unknown {
            name: sources.name().to_owned(),
            keys: walk.unknown.iter().map(|key| with_nearest(key)).collect(),
        });
    }
    let unknown = walk
        .unknown
        .into_iter()
        .map(|key| format!("{key}: LiveKit has no such key"));
    Ok(walk.notes.into_iter().chain(unknown).collect())
}

#[derive(Default)]
struct Walk {
    notes: Vec<String>,
    unknown: Vec<String>,
}

impl Walk {
    fn below(&mut self, path: &str, value: &Value) {
        let Some(object) = value.as_object() else {
            if !path.is_empty() && !value.is_null() {
                self.unknown.push(path.to_owned());
            }
            return;
        };
        for (name, value) in object {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let has_parts = KEYS
                .iter()
                .any(|(key, _)| key.starts_with(&format!("{path}.")));
            match of(&path) {
                // A part of it may have a row of its own.
                _ if has_parts && value.is_object() => self.below(&path, value),
                Some(Used) => {}
                Some(Without(why)) => self.notes.push(format!("{path} has no effect: {why}")),
                None if has_parts => self.below(&path, value),
                None => self.unknown.push(path),
            }
        }
    }
}

fn with_nearest(key: &str) -> String {
    // Sections are names too; what is as deep is nearest.
    let depth = key.split('.').count();
    let as_deep = |known: &'static str| {
        let end = known.match_indices('.').nth(depth - 1);
        known
            .get(..end.map_or(known.len(), |(at, _)| at))
            .unwrap_or(known)
    };
    let nearest = KEYS
        .iter()
        .map(|(known, _)| as_deep(known))
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(near, _)| *near > 0.8);
    match nearest {
        Some((_, known)) => format!("{key} (did you mean {known}?)"),
        None => key.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(tree: &Value) -> Vec<String> {
        check(tree, &Sources::default()).unwrap()
    }

    #[test]
    fn what_has_no_effect_is_said_by_name_and_what_has_one_is_not() {
        let tree = json!({"port": 7880, "redis": {"address": "redis:6379"}, "rtc": {"udp_port": "7882-7885", "use_mdns": true},
            "room": {"auto_create": false}, "keys": {"a": "b"}, "webhook": {"urls": ["http://x"], "filter_params": {"include_events": []}}});
        let notes = told(&tree);
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes
                .iter()
                .any(|note| note.starts_with("redis has no effect: one server")),
            "{notes:?}"
        );
        assert!(
            notes
                .iter()
                .any(|note| note.starts_with("rtc.use_mdns has no effect")),
            "{notes:?}"
        );
    }

    #[test]
    fn a_key_that_livekit_does_not_have_is_refused_with_the_nearest_name() {
        let tree = json!({"prot": 7880, "rtc": {"tcp_prot": 1, "node_ip": "1.2.3.4"}, "logging": {"lvl": 1}});
        let error = check(&tree, &Sources::default()).unwrap_err().to_string();
        assert!(
            error.contains("prot (did you mean port?)")
                && error.contains("rtc.tcp_prot (did you mean rtc.tcp_port?)"),
            "{error}"
        );
        let lenient = Sources {
            lenient: true,
            ..Sources::default()
        };
        assert!(!check(&tree, &lenient).unwrap().is_empty());
    }

    #[test]
    fn a_variable_names_its_key() {
        assert_eq!(of_variable("RTC_TCP_PORT").unwrap(), "rtc.tcp_port");
        assert_eq!(of_variable("TURN_KEY_FILE").unwrap(), "turn.key_file");
        assert_eq!(of_variable("REDIS_ADDRESS").unwrap(), "redis.address");
        for other in [
            "URL",
            "API_KEY",
            "API_SECRET",
            "AGENT_NAME",
            "KEYS",
            "CONFIG",
            "TURN_CERT",
        ] {
            assert_eq!(of_variable(other), None, "{other}");
        }
    }
}
