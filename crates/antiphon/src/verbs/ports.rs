//! Ports. Who starts a second one and says `--port` should not have to know that media has ports too.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use antiphon_rtc::RtcError;
use antiphon_server::{Running, Server, ServerConfig, ServerError};
use axum::Router;

/// Media ports are looked for so often; whoever runs more servers on one machine names their ports.
const MEDIA_TRIES: u16 = 20;
/// This many ports are tried for one to advise.
const TRIED_FOR_ADVICE: u16 = 100;

/// May the media ports be others than those of the settings?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// Somebody named them.
    AsTold,
    /// Somebody named them, but not that for ICE over TCP, without which clients behind ordinary networks connect too.
    AsToldButTcp,
    /// They are the default, which nobody relies on.
    MayMove,
}

/// Start the server. Media ports that are taken are passed over, and a note says so.
///
/// # Errors
/// What cannot be bound, with the flag that chooses another.
pub(super) async fn start(
    mut config: ServerConfig,
    extra: Router,
    media: Media,
) -> anyhow::Result<(Running, Option<String>)> {
    let wanted = config.rtc_udp_port;
    let mut without_tcp = None;
    for _ in 0..MEDIA_TRIES {
        match Server::start(config.clone(), extra.clone()).await {
            Ok(running) if without_tcp.is_some() => return Ok((running, without_tcp)),
            Ok(running) => {
                let note = (config.rtc_udp_port != wanted).then(|| {
                    format!(
                        "port {wanted}/udp is taken, by another Antiphon perhaps: media uses {}/udp and up",
                        config.rtc_udp_port
                    )
                });
                return Ok((running, note));
            }
            Err(ServerError::Media(RtcError::Bind { address, source }))
                if media == Media::MayMove && source.kind() == ErrorKind::AddrInUse =>
            {
                config.rtc_udp_port = address.port().saturating_add(1);
            }
            Err(ServerError::Media(RtcError::BindTcp { address, source }))
                if media == Media::AsToldButTcp && source.kind() == ErrorKind::AddrInUse =>
            {
                config.network.tcp_port = None;
                without_tcp = Some(format!(
                    "port {}/tcp is taken: media has no TCP port, for clients whose network blocks UDP; set rtc.tcp_port",
                    address.port()
                ));
            }
            Err(error) => return Err(explained(error, &config)),
        }
    }
    anyhow::bail!(
        "the ports {wanted} to {}/udp are taken; choose another with --udp-port, or --udp-port 0 for any that is free",
        config.rtc_udp_port.saturating_sub(1)
    )
}

/// With the flag that chooses another port, and one that is free.
fn explained(error: ServerError, config: &ServerConfig) -> anyhow::Error {
    match &error {
        ServerError::Bind { address, source } if source.kind() == ErrorKind::AddrInUse => {
            let free = free_after(*address, |port| {
                config.bind.iter().all(|ip| is_free_tcp(*ip, port))
            });
            taken(*address, "tcp", "--port", free)
        }
        ServerError::Media(RtcError::Bind { address, source })
            if source.kind() == ErrorKind::AddrInUse =>
        {
            // Each media thread has its own port, one after another.
            let more = u16::try_from(config.shards.saturating_sub(1)).unwrap_or(u16::MAX);
            let free = free_after(*address, |port| {
                port.checked_add(more)
                    .is_some_and(|last| (port..=last).all(|port| is_free_udp(address.ip(), port)))
            });
            taken(*address, "udp", "--udp-port", free)
        }
        _ => error.into(),
    }
}

/// Why this address of health and metrics cannot be bound.
pub(super) fn not_bound(address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::AddrInUse {
        let free = free_after(address, |port| is_free_tcp(address.ip(), port));
        return taken(address, "tcp", "--port", free);
    }
    anyhow::Error::from(error).context(format!(
        "cannot bind {address} for health and metrics; choose another with --port"
    ))
}

fn taken(address: SocketAddr, kind: &str, flag: &str, free: u16) -> anyhow::Error {
    let any = if free == 0 { " (any that is free)" } else { "" };
    anyhow::anyhow!(
        "port {}/{kind} is taken on {}, by another Antiphon perhaps; choose another: {flag} {free}{any}",
        address.port(),
        address.ip(),
    )
}

/// The next port that is free just now; 0, which takes any, if none of the next ones is.
fn free_after(address: SocketAddr, is_free: impl Fn(u16) -> bool) -> u16 {
    let next = address.port().saturating_add(1);
    let last = next.saturating_add(TRIED_FOR_ADVICE);
    (next..last).find(|port| is_free(*port)).unwrap_or(0)
}

fn is_free_tcp(ip: IpAddr, port: u16) -> bool {
    TcpListener::bind((ip, port)).is_ok()
}

fn is_free_udp(ip: IpAddr, port: u16) -> bool {
    UdpSocket::bind((ip, port)).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn config(udp: u16, tcp: u16) -> ServerConfig {
        let mut config = ServerConfig::dev();
        config.bind = vec![Ipv4Addr::LOCALHOST.into()];
        config.port = tcp;
        config.rtc_udp_port = udp;
        config
    }

    fn taken() -> (UdpSocket, u16) {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        (socket, port)
    }

    #[tokio::test]
    async fn a_second_dev_finds_media_ports_of_its_own() {
        let (_socket, port) = taken();
        let (running, note) = start(config(port, 0), Router::new(), Media::MayMove)
            .await
            .unwrap();
        let note = note.unwrap();
        assert!(
            note.contains(&format!("port {port}/udp is taken")),
            "{note}"
        );
        running.shutdown().await;
    }

    #[tokio::test]
    async fn a_media_port_that_was_named_does_not_move_and_the_flag_is_named() {
        let (_socket, port) = taken();
        let error = start(config(port, 0), Router::new(), Media::AsTold)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("{port}/udp")) && error.contains("--udp-port"),
            "{error}"
        );
    }

    /// As many ports in a row as that, all free.
    fn free_row(length: u16) -> u16 {
        (20_000..60_000)
            .find(|first| {
                (*first..first + length).all(|p| {
                    is_free_tcp(Ipv4Addr::LOCALHOST.into(), p)
                        && is_free_udp(Ipv4Addr::LOCALHOST.into(), p)
                })
            })
            .unwrap()
    }

    #[tokio::test]
    async fn the_port_that_is_advised_was_tried() {
        let first = free_row(12);
        let held: Vec<_> = (first..first + 3)
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap())
            .collect();
        let told = start(config(0, first), Router::new(), Media::AsTold).await;
        let told = told.unwrap_err().to_string();
        assert!(told.ends_with(&format!("--port {}", first + 3)), "{told}");
        // Two media threads need two ports.
        let media = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let _held = (held, media(first), media(first + 2));
        let mut two = config(first, 0);
        two.shards = 2;
        let told = start(two, Router::new(), Media::AsTold).await;
        let told = told.unwrap_err().to_string();
        assert!(
            told.ends_with(&format!("--udp-port {}", first + 3)),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_taken_page_port_is_named_with_the_flag_and_another_port() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = start(config(0, port), Router::new(), Media::MayMove)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("{port}/tcp")) && error.contains("--port"),
            "{error}"
        );
    }
}
