//! How the server is set up. Everything is checked before a port is bound.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use antiphon_protocol::Keys;

use crate::error::ServerError;
use crate::limits::Limits;

/// LiveKit's port for HTTP and signalling.
pub const DEFAULT_PORT: u16 = 7880;
/// LiveKit's port for media over UDP; shards take the ports after it.
pub const DEFAULT_RTC_UDP_PORT: u16 = 7882;
/// Secrets shorter than this can be guessed; LiveKit warns about the same.
pub const MIN_SECRET_CHARS: usize = 32;

/// Settings of a server. Make one with [`ServerConfig::new`] or [`ServerConfig::dev`] and change fields.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// API keys and secrets.
    pub keys: Keys,
    /// Where HTTP is bound, one listener each.
    pub bind: Vec<IpAddr>,
    /// HTTP port; 0 takes any.
    pub port: u16,
    /// UDP port of the first media shard; 0 takes any.
    pub rtc_udp_port: u16,
    /// The address that clients reach media at, when it is not one of this machine's own (NAT).
    pub node_ip: Vec<IpAddr>,
    /// Media threads; default: the number of cores.
    pub shards: usize,
    /// Encryption of HTTP and signalling. Media is always encrypted.
    pub tls: Option<Tls>,
    /// How rooms are made unless the request says otherwise.
    pub rooms: RoomDefaults,
    /// What one client may use up.
    pub limits: Limits,
    /// Believe `X-Forwarded-For` of these peers (reverse proxies); nobody by default.
    pub trusted_proxies: Vec<IpAddr>,
    /// With [`tls`](Self::tls): listen without encryption on a free port of 127.0.0.1 too, for an agent in the same process, which
    /// has no reason to trust the certificate. See [`Running::inside_url`](crate::Running::inside_url). Default no.
    pub plain_inside: bool,
    /// Whose pages may use the server from a browser.
    pub origins: Origins,
    /// For work on one machine: short secrets are accepted without a warning.
    pub dev: bool,
}

/// Whose pages may use the server from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's, as LiveKit has it: a page needs a token, and only who has the secret makes one.
    Any,
    /// Those of this machine. For a public key (`devkey`): otherwise every page that a developer happens to look at could
    /// make itself a token and talk with the agent at the developer's expense.
    ThisMachine {
        /// These as well, for example `https://app.example`.
        also: Vec<String>,
    },
}

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Tls {
    /// PEM files.
    Files {
        /// Certificate chain.
        certificate: PathBuf,
        /// Private key.
        key: PathBuf,
    },
    /// Made at start for these names; browsers warn about it.
    SelfSigned {
        /// Host names and addresses.
        names: Vec<String>,
    },
}

impl Tls {
    /// Can it be used? Reads the files; [`Server::start`](crate::Server::start) does the same.
    ///
    /// # Errors
    /// [`ServerError::File`] and [`ServerError::Tls`]: a file that cannot be read, is not PEM, or a key of another certificate.
    pub fn check(&self) -> Result<(), ServerError> {
        crate::tls::acceptor(self).map(drop)
    }
}

/// How rooms are made unless the request says otherwise.
#[derive(Clone, Debug)]
pub struct RoomDefaults {
    /// Make a room when the first participant asks for it; default yes.
    pub auto_create: bool,
    /// Close a room that nobody ever joined; LiveKit's 300 s.
    pub empty_timeout: Duration,
    /// Close a room that everybody left; LiveKit's 20 s.
    pub departure_timeout: Duration,
    /// Most participants, agents not counted; 0: no limit.
    pub max_participants: u32,
    /// May the API unmute somebody's microphone? Default no.
    pub enable_remote_unmute: bool,
}

impl Default for RoomDefaults {
    fn default() -> Self {
        Self {
            auto_create: true,
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            max_participants: 0,
            enable_remote_unmute: false,
        }
    }
}

impl ServerConfig {
    /// All interfaces, LiveKit's ports, these keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            bind: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            port: DEFAULT_PORT,
            rtc_udp_port: DEFAULT_RTC_UDP_PORT,
            node_ip: Vec::new(),
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            tls: None,
            rooms: RoomDefaults::default(),
            limits: Limits::default(),
            trusted_proxies: Vec::new(),
            plain_inside: false,
            origins: Origins::Any,
            dev: false,
        }
    }

    /// `devkey` with `secret`, this machine only: for development and tests.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            origins: Origins::ThisMachine { also: Vec::new() },
            dev: true,
            ..Self::new(Keys::single("devkey", "secret"))
        }
    }

    /// Any free ports, for tests that run side by side.
    #[must_use]
    pub fn any_ports(mut self) -> Self {
        self.port = 0;
        self.rtc_udp_port = 0;
        self
    }

    /// Is everything usable? Called by [`Server::start`](crate::Server::start) too.
    ///
    /// # Errors
    /// [`ServerError::Config`] names the setting and what would be right.
    pub fn validate(&self) -> Result<(), ServerError> {
        let wrong = |setting, problem: &str| {
            Err(ServerError::Config {
                setting,
                problem: problem.to_owned(),
            })
        };
        if self.keys.is_empty() {
            return wrong(
                "keys",
                "at least one API key with its secret is needed; `--dev` uses devkey and secret",
            );
        }
        if self.bind.is_empty() {
            return wrong("bind", "name at least one address, for example 0.0.0.0");
        }
        if self.shards == 0 {
            return wrong("shards", "at least one media thread is needed");
        }
        if self.node_ip.iter().any(IpAddr::is_unspecified) {
            return wrong(
                "node_ip",
                "0.0.0.0 is nobody's address; name the one that clients can reach",
            );
        }
        self.limits.validate()?;
        if !self.dev
            && self
                .keys
                .iter()
                .any(|(_, secret)| secret.chars().count() < MIN_SECRET_CHARS)
        {
            tracing::warn!(
                min_chars = MIN_SECRET_CHARS,
                "an API secret is short enough to be guessed; use a longer one"
            );
        }
        Ok(())
    }

    /// The engine that these settings ask for.
    pub(crate) fn engine(&self) -> antiphon_rtc::EngineConfig {
        let address = self
            .bind
            .first()
            .copied()
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        antiphon_rtc::EngineConfig {
            bind: SocketAddr::new(address, self.rtc_udp_port),
            advertise: self.node_ip.clone(),
            loopback: self.dev || address.is_loopback(),
            shards: self.shards,
            max_peers: self.limits.max_peers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_keys_does_not_start() {
        let error = ServerConfig::new(Keys::default()).validate();
        assert!(
            matches!(
                error,
                Err(ServerError::Config {
                    setting: "keys",
                    ..
                })
            ),
            "{error:?}"
        );
    }

    #[test]
    fn the_development_settings_are_valid_and_local() {
        let config = ServerConfig::dev();
        assert!(config.validate().is_ok());
        assert!(config.bind.iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn an_unspecified_node_ip_is_refused() {
        let config = ServerConfig {
            node_ip: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            ..ServerConfig::dev()
        };
        assert!(config.validate().is_err());
    }
}
