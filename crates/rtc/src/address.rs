//! Which addresses stand in candidates, and which of them a datagram came to.

use std::net::{IpAddr, SocketAddr};

use crate::EngineConfig;
use crate::limits::MAX_LOCAL_CANDIDATES;

/// The addresses of this machine and those that we name to others.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// Named in candidates.
    pub(crate) advertised: Vec<IpAddr>,
    /// Real addresses of this machine: only these may be given as the source of a datagram.
    pub(crate) own: Vec<IpAddr>,
}

impl Addresses {
    /// As documented at [`EngineConfig`].
    pub(crate) fn find(config: &EngineConfig) -> Self {
        let bound = config.bind.ip();
        let own: Vec<IpAddr> = if_addrs::get_if_addrs()
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot list this machine's addresses; set the advertised address");
                Vec::new()
            })
            .into_iter()
            .map(|interface| interface.ip())
            .filter(|ip| !is_link_local(ip))
            .collect();
        let advertised = if config.advertise.is_empty() {
            choose(&own, bound, config.loopback)
        } else {
            let loopback = own
                .iter()
                .copied()
                .filter(|ip| config.loopback && ip.is_loopback() && fits(bound, *ip));
            config.advertise.iter().copied().chain(loopback).collect()
        };
        Self {
            advertised: tidy(advertised),
            own,
        }
    }

    /// Host candidates of a socket bound to this port.
    pub(crate) fn candidates(&self, port: u16) -> Vec<SocketAddr> {
        self.advertised
            .iter()
            .map(|ip| SocketAddr::new(*ip, port))
            .collect()
    }
}

/// str0m drops checks whose destination is not one of our candidates: name the candidate a datagram came to. An address
/// that is none of them is that of a machine behind NAT 1:1, which is known to others by the first of its family.
pub(crate) fn arrived_at(
    candidates: &[SocketAddr],
    destination: Option<IpAddr>,
    source: SocketAddr,
) -> Option<SocketAddr> {
    let exact = destination
        .map(|ip| ip.to_canonical())
        .and_then(|ip| candidates.iter().find(|c| c.ip() == ip));
    exact
        .or_else(|| {
            candidates.iter().find(|c| {
                c.is_ipv4() == source.is_ipv4() && c.ip().is_loopback() == source.ip().is_loopback()
            })
        })
        .or_else(|| candidates.iter().find(|c| c.is_ipv4() == source.is_ipv4()))
        .copied()
}

fn choose(own: &[IpAddr], bound: IpAddr, loopback: bool) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound];
    }
    let usable: Vec<IpAddr> = own.iter().copied().filter(|ip| fits(bound, *ip)).collect();
    let only_loopback = usable.iter().all(IpAddr::is_loopback);
    let mut chosen: Vec<IpAddr> = usable
        .into_iter()
        .filter(|ip| !ip.is_loopback() || loopback || only_loopback)
        .collect();
    if chosen.is_empty() {
        chosen.push(IpAddr::from([127, 0, 0, 1]));
    }
    chosen
}

fn fits(bound: IpAddr, ip: IpAddr) -> bool {
    // A socket on [::] takes both families, one on 0.0.0.0 only IPv4.
    bound.is_ipv6() || ip.is_ipv4()
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn tidy(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut out: Vec<IpAddr> = Vec::with_capacity(addresses.len());
    for ip in addresses {
        if !ip.is_unspecified() && !out.contains(&ip) && out.len() < MAX_LOCAL_CANDIDATES {
            out.push(ip);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]))
    }

    #[test]
    fn loopback_is_named_only_when_wanted_or_alone() {
        let own = [ip("127.0.0.1"), ip("10.1.1.1"), ip("2001:db8::1")];
        let any = ip("0.0.0.0");
        assert_eq!(choose(&own, any, false), vec![ip("10.1.1.1")]);
        assert_eq!(
            choose(&own, any, true),
            vec![ip("127.0.0.1"), ip("10.1.1.1")]
        );
        assert_eq!(
            choose(&[ip("127.0.0.1")], any, false),
            vec![ip("127.0.0.1")]
        );
        assert_eq!(
            choose(&own, ip("::"), false),
            vec![ip("10.1.1.1"), ip("2001:db8::1")]
        );
        assert_eq!(choose(&own, ip("127.0.0.1"), false), vec![ip("127.0.0.1")]);
    }

    #[test]
    fn behind_nat_datagrams_arrive_at_the_advertised_address() {
        let public: SocketAddr = SocketAddr::new(ip("203.0.113.5"), 7882);
        let source = SocketAddr::new(ip("198.51.100.7"), 4000);
        assert_eq!(
            arrived_at(&[public], Some(ip("10.0.0.4")), source),
            Some(public)
        );
        let local = SocketAddr::new(ip("127.0.0.1"), 7882);
        assert_eq!(
            arrived_at(&[public, local], Some(ip("127.0.0.1")), source),
            Some(local)
        );
        assert_eq!(
            arrived_at(&[public, local], Some(ip("::ffff:127.0.0.1")), source),
            Some(local)
        );
    }
}
