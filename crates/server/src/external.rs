//! Which address of ours others see, as a STUN server tells (RFC 8489): for machines of clouds, whose own address is private.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use turn_types::stun::attribute::XorMappedAddress;
use turn_types::stun::message::{BINDING, Message, MessageWriteVec};
use turn_types::stun::prelude::*;

use crate::error::ServerError;

/// LiveKit asks these too, unless the configuration names others.
const DEFAULT_SERVERS: [&str; 3] = [
    "global.stun.twilio.com:3478",
    "stun.l.google.com:19302",
    "stun1.l.google.com:19302",
];
/// Each is asked so often,
const ATTEMPTS: u32 = 3;
/// and has this long to answer.
const TIMEOUT: Duration = Duration::from_millis(700);
/// A STUN answer is short.
const ANSWER_BYTES: usize = 576;

/// Ask the servers, one after another, until one answers.
///
/// # Errors
/// None did; the message says what to set instead.
pub(crate) async fn address(servers: &[String]) -> Result<IpAddr, ServerError> {
    let defaults: Vec<String> = DEFAULT_SERVERS.map(str::to_owned).to_vec();
    let servers = if servers.is_empty() {
        &defaults
    } else {
        servers
    };
    for server in servers {
        if let Some(seen) = ask(server).await {
            tracing::info!(address = %seen, server, "others see this server at this address");
            return Ok(seen);
        }
    }
    Err(ServerError::Config {
        setting: "rtc.use_external_ip",
        problem: format!(
            "no STUN server has told the external address ({}); let UDP to one of them through, name others in rtc.stun_servers, or set \
             rtc.node_ip (NODE_IP) to the address",
            servers.join(", ")
        ),
    })
}

async fn ask(server: &str) -> Option<IpAddr> {
    // Media is IPv4 first, as LiveKit has it.
    let resolved = tokio::time::timeout(TIMEOUT * ATTEMPTS, lookup_host(server)).await;
    let mut found: Vec<SocketAddr> = resolved.ok()?.ok()?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let to = *found.first()?;
    let any: SocketAddr = if to.is_ipv6() {
        ([0u16; 8], 0).into()
    } else {
        ([0u8; 4], 0).into()
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    let request = Message::builder_request(BINDING, MessageWriteVec::new());
    let transaction = request.transaction_id();
    let request = request.finish();
    let mut answer = [0; ANSWER_BYTES];
    for _ in 0..ATTEMPTS {
        socket.send_to(&request, to).await.ok()?;
        let Ok(received) = tokio::time::timeout(TIMEOUT, socket.recv_from(&mut answer)).await
        else {
            continue;
        };
        // Anybody can send to our port: only the answer counts.
        let Ok((length, from)) = received else {
            continue;
        };
        let message = answer
            .get(..length)
            .and_then(|bytes| Message::from_bytes(bytes).ok());
        let Some(message) = message.filter(|m| from == to && m.transaction_id() == transaction)
        else {
            continue;
        };
        let mapped = message.attribute::<XorMappedAddress>().ok()?;
        return Some(mapped.addr(transaction).ip());
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_address_is_the_one_that_the_first_server_with_an_answer_tells() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap().to_string();
        let told: SocketAddr = "203.0.113.9:4000".parse().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; ANSWER_BYTES];
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            let request = Message::from_bytes(&buffer[..length]).unwrap();
            let mut answer = Message::builder_success(&request, MessageWriteVec::new());
            let mapped = XorMappedAddress::new(told, request.transaction_id());
            answer.add_attribute(&mapped).unwrap();
            server.send_to(&answer.finish(), from).await.unwrap();
        });
        let servers = ["no such name".to_owned(), at];
        assert_eq!(address(&servers).await.unwrap(), told.ip());
    }

    #[tokio::test]
    async fn without_an_answer_the_setting_that_helps_is_named() {
        let error = address(&["no such name".to_owned()]).await.unwrap_err();
        assert!(error.to_string().contains("rtc.node_ip"), "{error}");
    }
}
