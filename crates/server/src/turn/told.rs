//! What clients are told about servers for ICE, as LiveKit tells them.

use std::net::IpAddr;
use std::time::Duration;

use antiphon_protocol::proto::IceServer;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::access::User;
use super::now;
use crate::config::{TurnAccess, TurnProtocol, TurnServer};
use crate::state::State;

/// The servers that this participant may use, with credentials of its own. `api_key` is the key of its token.
pub(crate) fn ice_servers(state: &State, api_key: &str, participant: &str) -> Vec<IceServer> {
    let now = now().unix;
    let network = &state.config.network;
    let own = own(state, api_key, participant, now);
    let others = network
        .turn_servers
        .iter()
        .map(|server| of_others(server, participant, now));
    let stun = (!network.stun_servers.is_empty()).then(|| IceServer {
        urls: network
            .stun_servers
            .iter()
            .map(|server| format!("stun:{server}"))
            .collect(),
        ..IceServer::default()
    });
    own.into_iter().chain(others).chain(stun).collect()
}

fn own(state: &State, api_key: &str, participant: &str, now: Duration) -> Option<IceServer> {
    let turn = state.config.network.turn.as_ref()?;
    let listening = state.relay.get()?;
    let port = |bound: &[std::net::SocketAddr]| bound.first().map(|address| address.port());
    let mut urls = Vec::new();
    for ip in state.engine.advertised() {
        let host = host(ip);
        if let Some(port) = port(&listening.udp) {
            urls.push(format!("turn:{host}:{port}?transport=udp"));
        }
    }
    if !listening.tls.is_empty() {
        let (domain, port) = (&turn.domain, turn.tls_port_told);
        urls.push(format!("turns:{domain}:{port}?transport=tcp"));
    }
    let user = User::new(api_key, participant, now + turn.ttl);
    let credential = user.password(&state.keys)?;
    Some(IceServer {
        urls,
        username: user.name,
        credential,
    })
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn of_others(server: &TurnServer, participant: &str, now: Duration) -> IceServer {
    let (scheme, transport) = match server.protocol {
        TurnProtocol::Udp => ("turn", "udp"),
        TurnProtocol::Tcp => ("turn", "tcp"),
        TurnProtocol::Tls => ("turns", "tcp"),
    };
    let (username, credential) = match &server.access {
        TurnAccess::Static {
            username,
            credential,
        } => (username.clone(), credential.clone()),
        TurnAccess::Secret { secret, ttl } => {
            // "A REST API For Access To TURN Services", as coturn reads it.
            let username = format!("{}:{participant}", (now + *ttl).as_secs());
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
            let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
            (username, credential)
        }
    };
    IceServer {
        urls: vec![format!(
            "{scheme}:{}:{}?transport={transport}",
            server.host, server.port
        )],
        username,
        credential,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_secret_makes_the_password_that_coturn_expects() {
        let server = TurnServer {
            host: "turn.example.com".into(),
            port: 443,
            protocol: TurnProtocol::Tls,
            access: TurnAccess::Secret {
                secret: "north".into(),
                ttl: Duration::from_secs(60),
            },
        };
        let told = of_others(&server, "PA_1", Duration::from_secs(1_000));
        assert_eq!(told.urls, ["turns:turn.example.com:443?transport=tcp"]);
        assert_eq!(told.username, "1060:PA_1");
        // printf '1060:PA_1' | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(told.credential, "gf9jYeZItsmLGUlA0eOMFgDAWOM=");
    }
}
