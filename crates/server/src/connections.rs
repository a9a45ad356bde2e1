//! How many connections there are, in all and by network. A connection counts until its last byte, also as a WebSocket, and
//! until it has shown a token it may make us hold a few kilobytes only.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::{
    Limits, MAX_LARGE_HEADS, MAX_LARGE_HEADS_PER_NETWORK, SMALL_HEAD_BYTES, network,
};

/// What is open.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    max_per_network: usize,
    /// Proxies, behind which are many clients: only the whole is limited for them.
    trusted: Vec<IpAddr>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    large_heads: usize,
    by_network: HashMap<IpAddr, Here>,
}

#[derive(Debug, Default)]
struct Here {
    open: usize,
    large_heads: usize,
}

/// One counted connection.
#[derive(Debug)]
pub(crate) struct Counted {
    connections: Arc<Connections>,
    network: IpAddr,
}

impl Connections {
    pub(crate) fn new(limits: &Limits, trusted: Vec<IpAddr>) -> Self {
        Self {
            max: limits.max_connections,
            max_per_network: limits.max_connections_per_address,
            trusted,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        // Counts are whole after every statement below.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Count a connection of this peer; `None`: there are too many.
    pub(crate) fn count(self: &Arc<Self>, peer: IpAddr) -> Option<Counted> {
        let network = network(peer);
        let mut open = self.open();
        let here = open.by_network.get(&network).map_or(0, |here| here.open);
        let many_here = here >= self.max_per_network && !self.trusted.contains(&peer);
        if open.total >= self.max || many_here {
            return None;
        }
        open.total += 1;
        open.by_network.entry(network).or_default().open += 1;
        gauge(open.total);
        Some(Counted {
            connections: Arc::clone(self),
            network,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.total = open.total.saturating_sub(1);
        if let Some(here) = open.by_network.get_mut(&self.network) {
            here.open = here.open.saturating_sub(1);
            if here.open == 0 {
                open.by_network.remove(&self.network);
            }
        }
        gauge(open.total);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no machine has that many connections"
)]
fn gauge(connections: usize) {
    metrics::gauge!(antiphon_telemetry::names::SERVER_CONNECTIONS).set(connections as f64);
}

/// The head of a request that is longer than most, counted.
#[derive(Debug)]
struct LargeHead(Arc<Counted>);

impl LargeHead {
    fn take(counted: &Arc<Counted>) -> Option<Self> {
        let mut open = counted.connections.open();
        let Open {
            large_heads,
            by_network,
            ..
        } = &mut *open;
        let here = by_network.get_mut(&counted.network)?;
        if *large_heads >= MAX_LARGE_HEADS || here.large_heads >= MAX_LARGE_HEADS_PER_NETWORK {
            return None;
        }
        *large_heads += 1;
        here.large_heads += 1;
        Some(Self(Arc::clone(counted)))
    }
}

impl Drop for LargeHead {
    fn drop(&mut self) {
        let mut open = self.0.connections.open();
        open.large_heads = open.large_heads.saturating_sub(1);
        if let Some(here) = open.by_network.get_mut(&self.0.network) {
            here.large_heads = here.large_heads.saturating_sub(1);
        }
    }
}

/// Whether a connection is sending the head of a request. A head beyond a few kilobytes (a token with much metadata) needs
/// one of few places, so that many strangers together cannot make us hold much.
#[derive(Debug)]
pub(crate) struct Head {
    counted: Arc<Counted>,
    reading: Mutex<Option<Reading>>,
}

#[derive(Debug, Default)]
struct Reading {
    bytes: usize,
    large: Option<LargeHead>,
}

impl Head {
    pub(crate) fn new(counted: Arc<Counted>) -> Self {
        Self {
            counted,
            reading: Mutex::new(Some(Reading::default())),
        }
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Option<Reading>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head is there and its request is being answered: what comes now is read only for who may send it.
    pub(crate) fn passed(&self) {
        *self.reading() = None;
    }

    /// The next request may come.
    pub(crate) fn again(&self) {
        *self.reading() = Some(Reading::default());
    }

    /// So many bytes more were read. False: too many.
    fn read(&self, bytes: usize) -> bool {
        let mut reading = self.reading();
        let Some(reading) = reading.as_mut() else {
            return true;
        };
        reading.bytes += bytes;
        if reading.bytes > SMALL_HEAD_BYTES && reading.large.is_none() {
            reading.large = LargeHead::take(&self.counted);
            return reading.large.is_some();
        }
        true
    }
}

/// A stream whose request heads are counted.
pub(crate) struct Metered<S> {
    inner: S,
    head: Arc<Head>,
}

impl<S> Metered<S> {
    pub(crate) fn new(inner: S, head: Arc<Head>) -> Self {
        Self { inner, head }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if !self.head.read(buf.filled().len() - before) {
            metrics::counter!(antiphon_telemetry::names::SERVER_REFUSED_TOTAL, "reason" => "large_heads")
                .increment(1);
            return Poll::Ready(Err(io::Error::other(
                "too many requests with large heads at once",
            )));
        }
        Poll::Ready(outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn connections(max: usize, per_network: usize) -> Arc<Connections> {
        let limits = Limits {
            max_connections: max,
            max_connections_per_address: per_network,
            ..Limits::default()
        };
        Arc::new(Connections::new(&limits, vec![IpAddr::from([10, 0, 0, 9])]))
    }

    #[test]
    fn one_ipv6_network_counts_as_one_and_a_proxy_is_limited_by_the_whole_only() {
        let connections = connections(5, 2);
        let address = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let first = connections.count(address(1)).unwrap();
        let _second = connections.count(address(2)).unwrap();
        assert!(connections.count(address(3)).is_none());
        drop(first);
        let _third = connections.count(address(4)).unwrap();
        let proxy = IpAddr::from([10, 0, 0, 9]);
        let _of_proxy: Vec<_> = (0..3).map(|_| connections.count(proxy).unwrap()).collect();
        assert!(connections.count(proxy).is_none(), "five in all");
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let connections = connections(5, 5);
        for last in 0..100 {
            drop(connections.count(IpAddr::from([10, 0, 0, last])));
        }
        let open = connections.open();
        assert_eq!((open.total, open.by_network.len()), (0, 0));
    }

    #[test]
    fn few_large_heads_are_read_at_once_and_their_place_is_free_when_they_are_there() {
        let connections = connections(1000, 1000);
        let head = |last| {
            let counted = connections.count(IpAddr::from([10, 0, 0, last])).unwrap();
            Head::new(Arc::new(counted))
        };
        let ordinary = head(1);
        assert!(ordinary.read(SMALL_HEAD_BYTES));
        let large: Vec<Head> = (0..MAX_LARGE_HEADS_PER_NETWORK).map(|_| head(1)).collect();
        assert!(large.iter().all(|one| one.read(SMALL_HEAD_BYTES + 1)));
        assert!(!ordinary.read(1), "this network has all of its places");
        assert!(head(2).read(SMALL_HEAD_BYTES + 1), "another has its own");
        large.first().unwrap().passed();
        assert!(head(1).read(SMALL_HEAD_BYTES + 1));
    }
}
