//! A UDP socket that is read in batches.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use mio::net::UdpSocket;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use str0m::net::Protocol;

use crate::RtcError;

/// One datagram at most: WebRTC stays below an Ethernet frame.
const DATAGRAM_BYTES: usize = 2_048;
/// Longest run of datagrams handed to the kernel in one call; it takes 64.
const MAX_SEGMENTS: usize = 32;
/// Longest such run in bytes: a UDP payload.
const MAX_RUN_BYTES: usize = 60_000;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Host candidates of this socket.
    pub(crate) candidates: Vec<SocketAddr>,
    /// The slot of the only peer that uses it; `None`: shared by all.
    pub(crate) owner: Option<usize>,
}

/// Where batches are read into; one a shard.
pub(crate) struct ReceiveBuffers {
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    each: usize,
}

/// A datagram to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    /// Key of the socket.
    pub(crate) socket: usize,
    /// Under which protocol.
    pub(crate) protocol: Protocol,
    /// To whom.
    pub(crate) destination: SocketAddr,
    /// From which of our candidates.
    pub(crate) source: SocketAddr,
    /// What.
    pub(crate) contents: Vec<u8>,
}

impl ReceiveBuffers {
    /// Room for one batch, each place wide enough for what the kernel may have merged (GRO).
    pub(crate) fn new(gro_segments: usize) -> Self {
        let each = DATAGRAM_BYTES * gro_segments.max(1);
        Self {
            bytes: vec![0; each * BATCH_SIZE],
            metas: [RecvMeta::default(); BATCH_SIZE],
            each,
        }
    }

    /// The first `count` datagrams' descriptions and bytes.
    pub(crate) fn filled(&self, count: usize) -> impl Iterator<Item = (&RecvMeta, &[u8])> {
        self.metas
            .iter()
            .zip(self.bytes.chunks(self.each))
            .take(count)
            .map(|(meta, bytes)| (meta, bytes.get(..meta.len).unwrap_or_default()))
    }
}

impl Socket {
    /// Bind and prepare; `buffer` is the size of the kernel's buffers in bytes, as far as the system allows.
    pub(crate) fn bind(address: SocketAddr, buffer: usize) -> Result<Self, RtcError> {
        let failed = |source| RtcError::Bind { address, source };
        let io = std::net::UdpSocket::bind(address).map_err(failed)?;
        let options = socket2::SockRef::from(&io);
        // Smaller buffers than asked for are only less tolerant of bursts.
        let _ = options.set_recv_buffer_size(buffer);
        let _ = options.set_send_buffer_size(buffer);
        let state = UdpSocketState::new(UdpSockRef::from(&io)).map_err(failed)?;
        let local = io.local_addr().map_err(failed)?;
        Ok(Self {
            io: UdpSocket::from_std(io),
            state,
            local,
            candidates: Vec::new(),
            owner: None,
        })
    }

    /// Where it is bound.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// For the poll.
    pub(crate) fn source(&mut self) -> &mut UdpSocket {
        &mut self.io
    }

    /// How many datagrams the kernel may merge.
    pub(crate) fn gro_segments(&self) -> usize {
        self.state.gro_segments()
    }

    /// Read a batch; `Ok(0)`: nothing there.
    pub(crate) fn receive(&self, buffers: &mut ReceiveBuffers) -> io::Result<usize> {
        let mut slices: Vec<IoSliceMut<'_>> = buffers
            .bytes
            .chunks_mut(buffers.each)
            .map(IoSliceMut::new)
            .collect();
        match self
            .state
            .recv(UdpSockRef::from(&self.io), &mut slices, &mut buffers.metas)
        {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Send a run of datagrams of one length (the last may be shorter) to one destination.
    fn send_run(
        &self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        bytes: &[u8],
        each: usize,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: self.on_wire(destination),
            ecn: None,
            contents: bytes,
            segment_size: (bytes.len() > each).then_some(each),
            src_ip: source
                .filter(|_| self.local.ip().is_unspecified())
                .map(|ip| self.ip_on_wire(ip)),
        };
        self.state.try_send(UdpSockRef::from(&self.io), &transmit)
    }

    fn on_wire(&self, address: SocketAddr) -> SocketAddr {
        match (self.local, address) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
            }
            (SocketAddr::V6(_) | SocketAddr::V4(_), same) => same,
        }
    }

    fn ip_on_wire(&self, ip: IpAddr) -> IpAddr {
        match (self.local, ip) {
            (SocketAddr::V6(_), IpAddr::V4(v4)) => IpAddr::V6(v4.to_ipv6_mapped()),
            (SocketAddr::V6(_) | SocketAddr::V4(_), same) => same,
        }
    }

    /// Send datagrams that are all of this socket, in order; runs of equal length to one destination go in one call.
    /// `own` are this machine's addresses. Returns how many were dropped: the kernel's buffer was full or the network
    /// refused, and the protocols above repeat what matters.
    pub(crate) fn send_all(
        &self,
        outgoing: &[Datagram],
        own: &[IpAddr],
        scratch: &mut Vec<u8>,
    ) -> u64 {
        let mut dropped = 0;
        let mut rest = outgoing;
        while let Some(first) = rest.first() {
            let count = run_length(rest, self.state.max_gso_segments().min(MAX_SEGMENTS));
            let (run, after) = rest.split_at(count);
            rest = after;
            let ip = first.source.ip();
            let source = own.contains(&ip).then_some(ip);
            let result = if run.len() == 1 {
                self.send_run(
                    first.destination,
                    source,
                    &first.contents,
                    first.contents.len(),
                )
            } else {
                scratch.clear();
                for one in run {
                    scratch.extend_from_slice(&one.contents);
                }
                self.send_run(first.destination, source, scratch, first.contents.len())
            };
            if let Err(error) = result {
                tracing::trace!(%error, "datagrams dropped");
                dropped += run.len() as u64;
            }
        }
        dropped
    }
}

fn run_length(outgoing: &[Datagram], most: usize) -> usize {
    let Some(first) = outgoing.first() else {
        return 0;
    };
    let mut count = 1;
    let mut bytes = first.contents.len();
    for next in outgoing.iter().skip(1).take(most.saturating_sub(1)) {
        let fits = next.destination == first.destination
            && next.source == first.source
            && next.contents.len() <= first.contents.len()
            && bytes + next.contents.len() <= MAX_RUN_BYTES;
        if !fits {
            break;
        }
        count += 1;
        bytes += next.contents.len();
        if next.contents.len() < first.contents.len() {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_at_another_length_or_destination() {
        let to = |port: u16, bytes: usize| Datagram {
            socket: 0,
            protocol: Protocol::Udp,
            destination: SocketAddr::from(([127, 0, 0, 1], port)),
            source: SocketAddr::from(([127, 0, 0, 1], 7882)),
            contents: vec![0; bytes],
        };
        let list = [
            to(1, 100),
            to(1, 100),
            to(1, 50),
            to(1, 50),
            to(2, 50),
            to(2, 60),
        ];
        assert_eq!(run_length(&list, 32), 3, "the last of a run may be shorter");
        assert_eq!(run_length(list.get(3..).unwrap_or_default(), 32), 1);
        assert_eq!(
            run_length(list.get(4..).unwrap_or_default(), 32),
            1,
            "a longer one starts anew"
        );
        assert_eq!(run_length(&list, 2), 2);
    }
}
