//! The keys that are used, with their types and LiveKit's names.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::LiveKitError;

/// The file, as far as it is used. Absent keys leave the server's own defaults.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub(super) port: Option<u16>,
    pub(super) bind_addresses: Vec<String>,
    pub(super) prometheus_port: u16,
    pub(super) prometheus: Prometheus,
    pub(super) rtc: Rtc,
    pub(super) room: Room,
    pub(super) turn: Turn,
    pub(super) webhook: Webhook,
    pub(super) key_file: String,
    pub(super) keys: BTreeMap<String, Value>,
    pub(super) region: String,
    pub(super) log_level: String,
    pub(super) logging: Logging,
    pub(super) development: bool,
    pub(super) enable_participant_data_blob: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Prometheus {
    pub(super) port: u16,
    pub(super) username: String,
    pub(super) password: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Rtc {
    pub(super) udp_port: Option<Ports>,
    pub(super) tcp_port: Option<u16>,
    pub(super) port_range_start: u16,
    pub(super) port_range_end: u16,
    pub(super) use_external_ip: bool,
    pub(super) node_ip: Option<NodeIp>,
    pub(super) stun_servers: Vec<String>,
    pub(super) turn_servers: Vec<TurnServer>,
    pub(super) enable_loopback_candidate: bool,
    pub(super) use_ice_lite: bool,
}

/// `7882`, `7882-7892`, or `{start: 7882, end: 7892}`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Ports {
    One(u16),
    Text(String),
    Range {
        #[serde(default)]
        start: u16,
        #[serde(default)]
        end: u16,
    },
}

/// Addresses separated by commas, or one for each family.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum NodeIp {
    Text(String),
    Families {
        #[serde(default)]
        ipv4: String,
        #[serde(default)]
        ipv6: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct TurnServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) protocol: String,
    pub(super) username: String,
    pub(super) credential: String,
    pub(super) secret: String,
    pub(super) secret_file: String,
    pub(super) ttl: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Room {
    pub(super) auto_create: Option<bool>,
    pub(super) empty_timeout: Option<u32>,
    pub(super) departure_timeout: Option<u32>,
    pub(super) max_participants: Option<u32>,
    pub(super) enable_remote_unmute: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Turn {
    pub(super) enabled: bool,
    pub(super) domain: String,
    pub(super) cert_file: String,
    pub(super) key_file: String,
    pub(super) tls_port: u16,
    pub(super) udp_port: u16,
    pub(super) external_tls: bool,
    pub(super) bind_addresses: Vec<String>,
    pub(super) ttl_seconds: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Webhook {
    pub(super) urls: Vec<String>,
    pub(super) api_key: String,
    pub(super) filter_params: Filter,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    pub(super) include_events: Vec<String>,
    pub(super) exclude_events: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Logging {
    pub(super) level: String,
    pub(super) json: Option<bool>,
}

impl File {
    pub(super) fn from_tree(tree: Value) -> Result<Self, LiveKitError> {
        let text = serde_json::to_vec(&tree).unwrap_or_default();
        // `key:` without a value is the same as no key.
        antiphon_protocol::json::from_slice(&text).map_err(|error| LiveKitError::Value {
            key: antiphon_protocol::json::wrong_key::<Self>(&text)
                .unwrap_or_else(|| "the configuration".to_owned()),
            // The error's own words may repeat a secret.
            problem: match error.classify() {
                serde_json::error::Category::Data => {
                    "the value is not of the kind that this key takes (docs/coming-from-livekit.md)"
                }
                _ => "it cannot be read",
            }
            .to_owned(),
        })
    }
}
