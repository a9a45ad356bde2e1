//! How the server is set up. Everything is checked before a port is bound.

mod network;
mod webhooks;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use antiphon_protocol::Keys;

use crate::acme::Acme;
use crate::error::ServerError;
use crate::limits::Limits;
pub use network::{DEFAULT_TURN_TTL, Network, Turn, TurnAccess, TurnProtocol, TurnServer};
pub use webhooks::Webhooks;

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
    /// Ask a STUN server which address others see, and advertise that one. `node_ip` wins.
    pub use_external_ip: bool,
    /// Name loopback addresses to clients too.
    pub loopback_candidate: bool,
    /// Only answer ICE checks, as a server whose addresses everybody can reach may (RFC 8445 2.5).
    pub ice_lite: bool,
    /// Media threads; default: the number of cores. Each has a UDP port of its own.
    pub shards: usize,
    /// Encryption of HTTP and signalling. Media is always encrypted.
    pub tls: Option<Tls>,
    /// How rooms are made unless the request says otherwise.
    pub rooms: RoomDefaults,
    /// What one client may use up.
    pub limits: Limits,
    /// Believe `X-Forwarded-For` of these peers (reverse proxies); nobody by default.
    pub trusted_proxies: TrustedProxies,
    /// With [`tls`](Self::tls): listen without encryption on a free port of 127.0.0.1 too, for an agent in the same process, which
    /// has no reason to trust the certificate. See [`Running::inside_url`](crate::Running::inside_url). Default no.
    pub plain_inside: bool,
    /// Whose pages may use the server from a browser.
    pub origins: Origins,
    /// How clients reach media where plain UDP does not get through.
    pub network: Network,
    /// Where this server is, as the operator calls it; participants' information says so.
    pub region: String,
    /// Who is told what happens in rooms.
    pub webhooks: Webhooks,
    /// For work on one machine: short secrets are accepted without a warning.
    pub dev: bool,
}

/// Reverse proxies whose `X-Forwarded-For` is believed: addresses and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Proxies>);

impl TrustedProxies {
    /// Is nobody believed?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is this address one of theirs?
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|proxies| proxies.contains(address))
    }
}

impl FromIterator<Proxies> for TrustedProxies {
    fn from_iter<T: IntoIterator<Item = Proxies>>(proxies: T) -> Self {
        Self(proxies.into_iter().collect())
    }
}

/// One address, `10.0.0.1`, or all of a network, `10.0.0.0/8` (RFC 4632, RFC 4291 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxies {
    network: IpAddr,
    /// Bits that are the same in all of its addresses.
    prefix: u8,
}

impl Proxies {
    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.network.is_ipv4()
            && masked(address, self.prefix) == masked(self.network, self.prefix)
    }
}

/// The first `prefix` bits of an address.
fn masked(address: IpAddr, prefix: u8) -> u128 {
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    bits.checked_shr(width - u32::from(prefix)).unwrap_or(0)
}

impl std::str::FromStr for Proxies {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(a, p)| (a, Some(p)));
        let network: Option<IpAddr> = address.parse().ok();
        // As a peer's address is looked at; `to_canonical` would change what the prefix counts from.
        let network = network.map(|network| {
            if prefix.is_none() {
                network.to_canonical()
            } else {
                network
            }
        });
        let parsed = network.and_then(|network| {
            let width = if network.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(width), |prefix| prefix.parse().ok())?;
            (prefix <= width).then_some(Self { network, prefix })
        });
        parsed.ok_or_else(|| ServerError::Config {
            setting: "trusted_proxies",
            problem: format!("`{text}` is neither an address, as 10.0.0.1, nor a network, as 10.0.0.0/8; a name is not looked up"),
        })
    }
}

/// Whose pages may use the server from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's, as LiveKit has it: a page needs a token, and only someone with the secret can make one.
    Any,
    /// Those of this machine. For a public key (`devkey`): otherwise every page that a developer happens to look at could
    /// make itself a token and talk with the agent at the developer's expense.
    ThisMachine {
        /// These as well, for example `https://app.example`.
        also: Vec<String>,
    },
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// An ACME server certifies names.
    Acme(Acme),
}

impl Tls {
    /// Can it be used? Reads the files; [`Server::start`](crate::Server::start) does the same.
    ///
    /// # Errors
    /// [`ServerError::File`] and [`ServerError::Tls`]: a file that cannot be read, is not PEM, or a key of another certificate.
    /// [`ServerError::Config`]: a name that no authority can certify.
    pub fn check(&self) -> Result<(), ServerError> {
        crate::tls::Certificate::new(self).map(drop)
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
    /// May participants keep small pieces of data here for others to fetch (LiveKit's data blobs)? Default no.
    pub data_blobs: bool,
}

impl Default for RoomDefaults {
    fn default() -> Self {
        Self {
            auto_create: true,
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            max_participants: 0,
            enable_remote_unmute: false,
            data_blobs: false,
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
            use_external_ip: false,
            loopback_candidate: false,
            ice_lite: false,
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            tls: None,
            rooms: RoomDefaults::default(),
            limits: Limits::default(),
            trusted_proxies: TrustedProxies::default(),
            plain_inside: false,
            origins: Origins::Any,
            network: Network::default(),
            region: String::new(),
            webhooks: Webhooks::default(),
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
        self.webhooks.validate(&self.keys)?;
        self.network.validate()?;
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
            loopback: self.dev || self.loopback_candidate || address.is_loopback(),
            shards: self.shards,
            max_peers: self.limits.max_peers,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
    fn a_proxy_is_an_address_or_a_network() {
        let holds = |proxies: &str, address: &str| {
            proxies
                .parse()
                .is_ok_and(|proxies: Proxies| proxies.contains(address.parse().unwrap()))
        };
        assert!(holds("10.0.0.1", "10.0.0.1") && !holds("10.0.0.1", "10.0.0.2"));
        assert!(holds("10.0.0.0/8", "10.255.3.4") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.9.9.9/8", "10.0.0.1") && holds("0.0.0.0/0", "9.9.9.9"));
        assert!(holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("::1/128", "::1") && holds("::/0", "2001:db8::1"));
        assert!(!holds("::/0", "10.0.0.1") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::ffff:10.0.0.1", "10.0.0.1"));
        for wrong in [
            "",
            "proxy",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0/8",
            "/8",
            "10.0.0.0/-1",
        ] {
            let error = wrong.parse::<Proxies>().unwrap_err().to_string();
            assert!(
                error.contains("trusted_proxies") && error.contains("10.0.0.0/8"),
                "{error}"
            );
        }
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
