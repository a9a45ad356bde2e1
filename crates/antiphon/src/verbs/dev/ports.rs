//! The ports of `dev`. Who starts a second one and says `--port` should not have to know that media has ports too.

use std::io::ErrorKind;
use std::net::SocketAddr;

use antiphon_rtc::RtcError;
use antiphon_server::{Running, Server, ServerConfig, ServerError};
use axum::Router;

/// Media ports are looked for so often; whoever runs more servers on one machine names their ports.
const MEDIA_TRIES: u16 = 20;

/// May the media ports be others than those of the settings?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// Somebody named them.
    AsTold,
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
    for _ in 0..MEDIA_TRIES {
        match Server::start(config.clone(), extra.clone()).await {
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
            Err(error) => return Err(explained(error)),
        }
    }
    anyhow::bail!(
        "the ports {wanted} to {}/udp are taken; choose another with --udp-port, or --udp-port 0 for any that is free",
        config.rtc_udp_port.saturating_sub(1)
    )
}

/// With the flag that chooses another port.
fn explained(error: ServerError) -> anyhow::Error {
    let (address, source, kind, flag) = match &error {
        ServerError::Bind { address, source } => (address, source, "tcp", "--port"),
        ServerError::Media(RtcError::Bind { address, source }) => {
            (address, source, "udp", "--udp-port")
        }
        _ => return error.into(),
    };
    if source.kind() != ErrorKind::AddrInUse {
        return error.into();
    }
    anyhow::anyhow!(
        "port {}/{kind} is taken on {}, by another Antiphon perhaps; choose another: {flag} {}",
        address.port(),
        address.ip(),
        next(*address)
    )
}

fn next(address: SocketAddr) -> u16 {
    address.port().checked_add(1).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};

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
