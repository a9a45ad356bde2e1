//! ICE over TCP: passive candidates (RFC 6544), datagrams in frames (RFC 4571), for clients behind firewalls that block UDP.
//!
//! A stranger may open a connection and nothing more: it is closed unless a check for one of our peers comes in time, each
//! address has few of them, and no frame is longer than a datagram.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::command::ShardHandle;
use crate::limits::{
    MAX_FRAME_BYTES, MAX_TCP_PATHS, MAX_TCP_PATHS_PER_ADDRESS, PATH_CLAIM_TIMEOUT,
};
use crate::path::{Path, Sent, Via};

/// After accepting failed (no file descriptors left), not at once again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// One write that takes longer: the other side does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Frames in a stream of bytes: two bytes of length, then the datagram.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

/// A frame that is longer than any datagram of WebRTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Frames {
    /// More of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*head));
        if length > MAX_FRAME_BYTES {
            return Err(TooLong);
        }
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = frame.to_vec();
        self.bytes.drain(..2 + length);
        Ok(Some(frame))
    }

    /// What is not read yet; bounded by one frame and one read.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len()
    }
}

/// A datagram as a frame; `None`: it is longer than a frame can be.
pub(crate) fn frame(datagram: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(datagram.len()).ok()?;
    let mut framed = Vec::with_capacity(2 + datagram.len());
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(datagram);
    Some(framed)
}

/// How many connections each address has.
#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One counted connection.
struct Place {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
}

impl Place {
    fn take(open: &Arc<Mutex<Open>>, peer: IpAddr) -> Option<Self> {
        let address = network(peer);
        let mut counts = open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.total >= MAX_TCP_PATHS || own >= MAX_TCP_PATHS_PER_ADDRESS {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, own + 1);
        drop(counts);
        Some(Self {
            open: Arc::clone(open),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        let own = counts
            .by_address
            .get(&self.address)
            .copied()
            .unwrap_or_default();
        if own <= 1 {
            counts.by_address.remove(&self.address);
        } else {
            counts.by_address.insert(self.address, own - 1);
        }
    }
}

/// Who has one IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// Accept connections for as long as the shards are there. `candidates` are the addresses that clients were told.
pub(crate) async fn listen(
    listener: TcpListener,
    shards: Vec<Arc<ShardHandle>>,
    candidates: Vec<SocketAddr>,
    stop: Arc<tokio::sync::Notify>,
) {
    let open = Arc::new(Mutex::new(Open::default()));
    loop {
        let accepted = tokio::select! {
            () = stop.notified() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "an ICE connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let Some(place) = Place::take(&open, peer.ip()) else {
            crate::counters::dropped("tcp_connections");
            continue;
        };
        let local = stream.local_addr().ok().map(|local| local.ip());
        let Some(to) = crate::address::arrived_at(&candidates, local, peer) else {
            continue;
        };
        let (path, sent) = Path::new(shards.clone(), Via::Tcp, peer);
        tokio::spawn(async move {
            let ended = serve(stream, path, to, sent).await;
            tracing::debug!(%peer, ended, "ICE connection over TCP ended");
            drop(place);
        });
    }
}

async fn serve(
    stream: TcpStream,
    mut path: Path,
    to: SocketAddr,
    mut sent: mpsc::Receiver<Sent>,
) -> &'static str {
    let _ = stream.set_nodelay(true);
    let (mut reader, mut writer) = stream.into_split();
    let mut frames = Frames::default();
    let mut buffer = vec![0; MAX_FRAME_BYTES];
    let unclaimed = tokio::time::sleep(PATH_CLAIM_TIMEOUT);
    let mut unclaimed = std::pin::pin!(unclaimed);
    loop {
        tokio::select! {
            read = reader.read(&mut buffer) => {
                let Ok(count @ 1..) = read else { return "closed by the client" };
                frames.push(buffer.get(..count).unwrap_or_default());
                loop {
                    match frames.next() {
                        Ok(Some(datagram)) => path.deliver(to, datagram),
                        Ok(None) => break,
                        Err(TooLong) => return "a frame was too long",
                    }
                }
            }
            sent = sent.recv() => {
                let Some(framed) = sent.and_then(|sent| frame(&sent.datagram)) else { return "its peer has gone" };
                match tokio::time::timeout(WRITE_TIMEOUT, writer.write_all(&framed)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return "it could not be written to",
                    Err(_) => return "the client does not read",
                }
            }
            () = &mut unclaimed, if !path.is_taken() => return "no check came",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_stream_is_cut() {
        let datagrams: [&[u8]; 4] = [b"one", b"", b"three", &[7; 1200]];
        let stream: Vec<u8> = datagrams.iter().flat_map(|d| frame(d).unwrap()).collect();
        for cut in [1, 2, 3, 7, 500, stream.len()] {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                frames.push(piece);
                while let Some(frame) = frames.next().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, datagrams, "pieces of {cut}");
            assert_eq!(frames.waiting(), 0);
        }
    }

    #[test]
    fn a_frame_longer_than_a_datagram_ends_the_connection() {
        let mut frames = Frames::default();
        frames.push(&[0xff, 0xff, 0]);
        assert_eq!(frames.next(), Err(TooLong));
        assert_eq!(frame(&vec![0; 70_000]), None);
    }

    #[test]
    fn one_address_has_few_connections_and_all_ipv6_addresses_of_a_house_are_one() {
        let open = Arc::new(Mutex::new(Open::default()));
        let address = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let held: Vec<_> = (0..MAX_TCP_PATHS_PER_ADDRESS)
            .map(|n| Place::take(&open, address(u16::try_from(n).unwrap())).unwrap())
            .collect();
        assert!(Place::take(&open, address(0xffff)).is_none());
        assert!(Place::take(&open, IpAddr::from([10, 0, 0, 1])).is_some());
        drop(held);
        assert!(Place::take(&open, address(1)).is_some());
        assert_eq!(open.lock().unwrap().total, 0);
    }
}
