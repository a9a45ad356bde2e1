//! How clients reach the server's media: TCP, TURN, and servers of others.

use std::net::IpAddr;
use std::time::Duration;

use super::Tls;
use crate::error::ServerError;

/// How clients reach media where plain UDP does not get through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// ICE over TCP (RFC 6544) on this port; LiveKit's is 7881. `None`: not offered; 0 takes any.
    pub tcp_port: Option<u16>,
    /// STUN servers that clients are told of, as `host:port`.
    pub stun_servers: Vec<String>,
    /// TURN servers of others that clients are told of.
    pub turn_servers: Vec<TurnServer>,
    /// Our own TURN server.
    pub turn: Option<Turn>,
    /// Clients are told to use relays only.
    pub force_relay: bool,
}

/// A TURN server of somebody else.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What lies below.
    pub protocol: TurnProtocol,
    /// How clients prove that they may use it.
    pub access: TurnAccess,
}

/// What lies below TURN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TurnProtocol {
    /// `turn:…?transport=udp`
    Udp,
    /// `turn:…?transport=tcp`
    #[default]
    Tcp,
    /// `turns:…?transport=tcp`
    Tls,
}

/// How clients prove that they may use a TURN server of somebody else.
#[derive(Clone, PartialEq, Eq)]
pub enum TurnAccess {
    /// The same for everybody.
    Static {
        /// User name.
        username: String,
        /// Password.
        credential: String,
    },
    /// Made for each participant with a secret that the TURN server knows too (coturn's `use-auth-secret`).
    Secret {
        /// The secret.
        secret: String,
        /// For this long.
        ttl: Duration,
    },
}

impl std::fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// Our own TURN server (RFC 8656). It relays to this server's media and to nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The name that TLS clients connect to; it stands in the certificate.
    pub domain: String,
    /// UDP, and STUN with it; LiveKit's is 3478, and 443 gets through most firewalls. 0 takes any.
    pub udp_port: Option<u16>,
    /// TURN over TLS; clients are sent to port 443 of `domain` unless `tls_port_told` says otherwise. 0 takes any.
    pub tls_port: Option<u16>,
    /// The certificate for `tls_port`. `None`: somebody before us ends TLS (LiveKit's `external_tls`).
    pub tls: Option<Tls>,
    /// Which port clients are told for TLS; LiveKit's 443.
    pub tls_port_told: u16,
    /// Where it listens; default as HTTP.
    pub bind: Vec<IpAddr>,
    /// How long the credentials open new allocations; LiveKit's 300 s.
    pub ttl: Duration,
}

/// LiveKit's `turn.ttl_seconds`.
pub const DEFAULT_TURN_TTL: Duration = Duration::from_secs(300);
/// The port that firewalls leave open: LiveKit sends TLS clients there.
const TURN_TLS_PORT: u16 = 443;

impl Default for Turn {
    fn default() -> Self {
        Self {
            domain: String::new(),
            udp_port: None,
            tls_port: None,
            tls: None,
            tls_port_told: TURN_TLS_PORT,
            bind: Vec::new(),
            ttl: DEFAULT_TURN_TTL,
        }
    }
}

impl Network {
    pub(super) fn validate(&self) -> Result<(), ServerError> {
        if let Some(turn) = &self.turn {
            turn.validate()?;
        }
        if self.force_relay && self.turn.is_none() && self.turn_servers.is_empty() {
            let problem =
                "there is no relay; enable `turn`, or name one in `rtc.turn_servers`".to_owned();
            return Err(ServerError::Config {
                setting: "force_relay",
                problem,
            });
        }
        for (at, server) in self.turn_servers.iter().enumerate() {
            if server.host.is_empty() || server.port == 0 {
                return Err(ServerError::Config {
                    setting: "rtc.turn_servers",
                    problem: format!("entry {} needs a host and a port", at + 1),
                });
            }
        }
        Ok(())
    }
}

impl Turn {
    fn validate(&self) -> Result<(), ServerError> {
        let wrong = |setting, problem: &str| {
            Err(ServerError::Config {
                setting,
                problem: problem.to_owned(),
            })
        };
        if self.udp_port.is_none() && self.tls_port.is_none() {
            return wrong(
                "turn",
                "it is enabled and has no port; set turn.udp_port (3478, or 443 to get through firewalls) or turn.tls_port",
            );
        }
        if self.tls_port.is_some() && !is_domain(&self.domain) {
            return wrong(
                "turn.domain",
                "TURN over TLS needs the name that stands in its certificate, for example turn.example.com",
            );
        }
        if let Some(Tls::Acme(_)) = &self.tls {
            return wrong(
                "turn.tls",
                "an ACME server looks at the HTTPS port alone; give turn.cert_file and turn.key_file",
            );
        }
        if let Some(tls) = &self.tls {
            tls.check()?;
        }
        Ok(())
    }
}

/// A name with at least one dot, or `localhost`.
fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name == "localhost" || (name.contains('.') && name.len() <= 253 && name.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(network: &Network) -> String {
        network
            .validate()
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_turn_server_that_nobody_could_use_is_refused_with_the_fix() {
        let with = |turn: Turn| Network {
            turn: Some(turn),
            ..Network::default()
        };
        let text = problem(&with(Turn::default()));
        assert!(text.contains("turn.udp_port"), "{text}");
        let tls = Turn {
            tls_port: Some(5349),
            ..Turn::default()
        };
        let text = problem(&with(tls.clone()));
        assert!(
            text.contains("turn.domain") && text.contains("turn.example.com"),
            "{text}"
        );
        let named = Turn {
            domain: "turn.example.com".into(),
            ..tls
        };
        assert_eq!(problem(&with(named)), "");
        let relay = Network {
            force_relay: true,
            ..Network::default()
        };
        assert!(problem(&relay).contains("turn_servers"));
    }

    #[test]
    fn secrets_of_turn_servers_are_not_shown() {
        let server = TurnServer {
            host: "turn.example.com".into(),
            port: 3478,
            protocol: TurnProtocol::Udp,
            access: TurnAccess::Secret {
                secret: "never-print".into(),
                ttl: DEFAULT_TURN_TTL,
            },
        };
        assert!(!format!("{server:?}").contains("never-print"));
    }
}
