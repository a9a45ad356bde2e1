//! How many connections there are, in all and by network. A connection counts until its last byte, also as a WebSocket, and
//! until it has shown a token it may make us hold a few kilobytes only.

use std::collections::{BTreeMap, HashMap};
use std::future::Future as _;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::config::TrustedProxies;
use crate::limits::{
    Limits, MAX_LARGE_HEADS, MAX_LARGE_HEADS_PER_NETWORK, MAX_URI_BYTES, SMALL_HEAD_BYTES, network,
};
use crate::repeated::Repeated;

/// What is told to a connection whose large head took too long.
const GIVE_WAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-type: text/plain\r\n\
    content-length: 62\r\nconnection: close\r\n\r\nmany large requests at once, and this one came slowly; again?\n";
/// What is told about a request line that the HTTP library does not read.
const URI_TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\ncontent-type: text/plain\r\ncontent-length: 157\r\n\
    connection: close\r\n\r\nthe path and query may have 65534 bytes; send a longer token as `Authorization: Bearer`, \
    or set the metadata with UpdateParticipant instead of in the token\n\n";

/// What is open.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    max_per_network: usize,
    /// Proxies, behind which are many clients: only the whole is limited for them.
    trusted: TrustedProxies,
    repeated: Arc<Repeated>,
    /// Shows how many there are. A gauge has one owner: each setting overwrites the one before.
    show: fn(usize),
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_network: HashMap<IpAddr, usize>,
    /// Heads that are longer than most and not there yet, in the order in which they began to be.
    large_heads: BTreeMap<u64, Large>,
    begun: u64,
}

#[derive(Debug)]
struct Large {
    network: IpAddr,
    is_proxys: bool,
    give_way: CancellationToken,
}

/// One counted connection.
#[derive(Debug)]
pub(crate) struct Counted {
    connections: Arc<Connections>,
    network: IpAddr,
    is_proxys: bool,
    /// The proxy's connection, for a client behind it.
    through: Option<Arc<Counted>>,
}

impl Connections {
    pub(crate) fn new(
        limits: &Limits,
        trusted: TrustedProxies,
        repeated: Arc<Repeated>,
        show: fn(usize),
    ) -> Self {
        Self {
            max: limits.max_connections,
            max_per_network: limits.max_connections_per_address,
            trusted,
            repeated,
            show,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        // Counts are whole after every statement below.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Count a connection of this peer; `None`: there are too many.
    pub(crate) fn count(self: &Arc<Self>, peer: IpAddr) -> Option<Counted> {
        let (network, is_proxys) = (network(peer), self.trusted.contains(peer));
        let mut open = self.open();
        let here = open.by_network.get(&network).map_or(0, |here| *here);
        let many_here = here >= self.max_per_network && !is_proxys;
        if open.total >= self.max || many_here {
            return None;
        }
        open.total += 1;
        open.by_network.insert(network, here + 1);
        (self.show)(open.total);
        Some(Counted {
            connections: Arc::clone(self),
            network,
            is_proxys,
            through: None,
        })
    }
}

impl Counted {
    /// A client behind the proxy whose connection this is; `None`: it has too many.
    pub(crate) fn of_client(proxys: &Arc<Self>, client: IpAddr) -> Option<Arc<Self>> {
        let connections = &proxys.connections;
        if connections.trusted.contains(client) {
            return Some(Arc::clone(proxys));
        }
        let network = network(client);
        let mut open = connections.open();
        let here = open.by_network.entry(network).or_default();
        if *here >= connections.max_per_network {
            return None;
        }
        *here += 1;
        Some(Arc::new(Self {
            connections: Arc::clone(connections),
            network,
            is_proxys: false,
            through: Some(Arc::clone(proxys)),
        }))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        if let Some(here) = open.by_network.get_mut(&self.network) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                open.by_network.remove(&self.network);
            }
        }
        // A client behind a proxy has no connection of its own.
        if self.through.is_none() {
            open.total = open.total.saturating_sub(1);
            (self.connections.show)(open.total);
        }
    }
}

/// Connections to the HTTP port, as a metric.
#[expect(
    clippy::cast_precision_loss,
    reason = "no machine has that many connections"
)]
pub(crate) fn show_http(connections: usize) {
    metrics::gauge!(antiphon_telemetry::names::SERVER_CONNECTIONS).set(connections as f64);
}

impl Open {
    /// Which large head has to go before this network may begin another, if any: of its own if it has its share, else of
    /// those who have most, proxies last. The oldest: whoever sends at once is done by then.
    fn in_the_way(&self, network: IpAddr, is_proxys: bool) -> Option<u64> {
        let of = |network: IpAddr| {
            self.large_heads
                .values()
                .filter(move |l| l.network == network)
        };
        if !is_proxys && of(network).count() >= MAX_LARGE_HEADS_PER_NETWORK {
            let own = self.large_heads.iter().find(|(_, l)| l.network == network);
            return own.map(|(id, _)| *id);
        }
        if self.large_heads.len() < MAX_LARGE_HEADS {
            return None;
        }
        let share = |large: &Large| (!large.is_proxys, of(large.network).count());
        let most = self.large_heads.values().map(share).max()?;
        let oldest = self.large_heads.iter().find(|(_, l)| share(l) == most);
        oldest.map(|(id, _)| *id)
    }
}

/// The head of a request that is longer than most, counted.
#[derive(Debug)]
struct LargeHead {
    counted: Arc<Counted>,
    id: u64,
    /// Another has its place now.
    gives_way: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl LargeHead {
    /// There is always a place; the head that had it has to go.
    fn take(counted: &Arc<Counted>) -> Self {
        let (network, is_proxys) = (counted.network, counted.is_proxys);
        let give_way = CancellationToken::new();
        let mut open = counted.connections.open();
        if let Some(id) = open.in_the_way(network, is_proxys)
            && let Some(large) = open.large_heads.remove(&id)
        {
            large.give_way.cancel();
        }
        let id = open.begun;
        open.begun += 1;
        let gives_way = Box::pin(give_way.clone().cancelled_owned());
        let large = Large {
            network,
            is_proxys,
            give_way,
        };
        open.large_heads.insert(id, large);
        Self {
            counted: Arc::clone(counted),
            id,
            gives_way,
        }
    }
}

impl Drop for LargeHead {
    fn drop(&mut self) {
        self.counted.connections.open().large_heads.remove(&self.id);
    }
}

/// Whether a connection is sending the head of a request. A head beyond a few kilobytes (a token with much metadata) needs
/// one of few places, so that many strangers together cannot make us hold much. The newest gets one always, so that they
/// cannot keep others out either.
#[derive(Debug)]
pub(crate) struct Head {
    counted: Arc<Counted>,
    reading: Mutex<Option<Reading>>,
}

#[derive(Debug, Default)]
struct Reading {
    bytes: usize,
    line: RequestLine,
    large: Option<LargeHead>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RequestLine {
    #[default]
    Comes,
    Ended,
    /// It is longer than the HTTP library reads, which says so when the head is there.
    TooLong,
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

    /// These bytes were read.
    fn read(&self, bytes: &[u8]) {
        let mut reading = self.reading();
        let Some(reading) = reading.as_mut() else {
            return;
        };
        if reading.line == RequestLine::Comes {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let length = reading.bytes + end.unwrap_or(bytes.len());
            reading.line = match end {
                _ if length > MAX_URI_BYTES + AROUND_URI_BYTES => RequestLine::TooLong,
                Some(_) => RequestLine::Ended,
                None => RequestLine::Comes,
            };
        }
        reading.bytes += bytes.len();
        if reading.bytes > SMALL_HEAD_BYTES && reading.large.is_none() {
            reading.large = Some(LargeHead::take(&self.counted));
        }
    }

    /// Is it a large head whose place another has now? Wakes the reader when it comes to that.
    fn poll_gives_way(&self, cx: &mut Context<'_>) -> bool {
        let mut reading = self.reading();
        let large = reading.as_mut().and_then(|reading| reading.large.as_mut());
        large.is_some_and(|large| large.gives_way.as_mut().poll(cx).is_ready())
    }

    fn is_line_too_long(&self) -> bool {
        let reading = self.reading();
        reading
            .as_ref()
            .is_some_and(|reading| reading.line == RequestLine::TooLong)
    }

    /// For the log, once an interval.
    fn refuse(&self, reason: &'static str) {
        metrics::counter!(antiphon_telemetry::names::SERVER_REFUSED_TOTAL, "reason" => reason)
            .increment(1);
        let address = self.counted.network;
        let repeated = &self.counted.connections.repeated;
        if repeated.is_first_from(reason, address) {
            tracing::info!(%address, reason, "a request was refused before its head was there");
        }
    }
}

/// Method, spaces and version beside the path and query.
const AROUND_URI_BYTES: usize = "OPTIONS  HTTP/1.1\r".len();

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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.poll_gives_way(cx) {
            self.head.refuse("large_heads");
            // Its client sends too slowly to have filled its side; nobody waits until this is read.
            let _ = Pin::new(&mut self.inner).poll_write(cx, GIVE_WAY);
            let _ = Pin::new(&mut self.inner).poll_flush(cx);
            return Poll::Ready(Err(io::Error::other(
                "too many requests with large heads at once",
            )));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.head
            .read(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.head.is_line_too_long() {
            // The HTTP library's answer to this has no text. Ours goes out in one piece: nothing was sent before it.
            ready!(Pin::new(&mut self.inner).poll_write(cx, URI_TOO_LONG))?;
            self.head.refuse("uri_too_long");
            self.head.passed();
            return Poll::Ready(Ok(buf.len()));
        }
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
        if self.head.is_line_too_long() {
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            return self.poll_write(cx, &all);
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn connections(max: usize, per_network: usize) -> Arc<Connections> {
        let limits = Limits {
            max_connections: max,
            max_connections_per_address: per_network,
            ..Limits::default()
        };
        let proxies = ["10.0.0.9".parse().unwrap()].into_iter().collect();
        Arc::new(Connections::new(&limits, proxies, Arc::default(), |_| {}))
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

    /// Heads that have sent this much.
    fn sending(connections: &Arc<Connections>, last: u8, bytes: usize) -> Head {
        let counted = connections.count(IpAddr::from([10, 0, 0, last])).unwrap();
        let head = Head::new(Arc::new(counted));
        head.read(&vec![b'a'; bytes]);
        head
    }

    fn gives_way(head: &Head) -> bool {
        head.poll_gives_way(&mut Context::from_waker(std::task::Waker::noop()))
    }

    const LARGE: usize = SMALL_HEAD_BYTES + 1;

    #[test]
    fn few_large_heads_are_read_at_once_and_a_new_one_takes_the_oldest_ones_place() {
        let connections = connections(1000, 1000);
        let ordinary = sending(&connections, 1, SMALL_HEAD_BYTES);
        let here = MAX_LARGE_HEADS_PER_NETWORK;
        let large: Vec<Head> = (0..here).map(|_| sending(&connections, 1, LARGE)).collect();
        let other = sending(&connections, 2, LARGE);
        assert!(!large.iter().chain([&other, &ordinary]).any(gives_way));
        ordinary.read(b"a");
        assert!(gives_way(&large[0]), "its network has all of its places");
        assert!(!large[1..].iter().chain([&other, &ordinary]).any(gives_way));
        large[1].passed();
        let _more = sending(&connections, 1, LARGE);
        assert!(!large[1..].iter().any(gives_way), "a free place");
    }

    #[test]
    fn when_all_places_are_taken_those_who_have_most_give_way_and_a_proxy_last() {
        let connections = connections(1000, 1000);
        let proxy = 9;
        let of_proxy: Vec<Head> = (0..MAX_LARGE_HEADS - 8)
            .map(|_| sending(&connections, proxy, LARGE))
            .collect();
        let single = sending(&connections, 1, LARGE);
        let many: Vec<Head> = (0..7).map(|_| sending(&connections, 2, LARGE)).collect();
        let newcomer = sending(&connections, 3, LARGE);
        assert!(gives_way(&many[0]));
        assert!(!of_proxy.iter().chain([&single, &newcomer]).any(gives_way));
        assert_eq!(connections.open().large_heads.len(), MAX_LARGE_HEADS);
        drop((of_proxy, single, many, newcomer));
        assert!(connections.open().large_heads.is_empty());
    }

    #[test]
    fn clients_behind_a_proxy_are_counted_one_by_one() {
        let connections = connections(5, 2);
        let proxys = Arc::new(connections.count(IpAddr::from([10, 0, 0, 9])).unwrap());
        let client = |last: u8| Counted::of_client(&proxys, IpAddr::from([9, 9, 9, last]));
        let first = client(1).unwrap();
        let _second = client(1).unwrap();
        assert!(client(1).is_none());
        let _other = client(2).unwrap();
        drop(first);
        assert!(client(1).is_some());
        assert_eq!(connections.open().total, 1);
    }

    #[test]
    fn answers_of_our_own_are_as_long_as_they_say() {
        for answer in [GIVE_WAY, URI_TOO_LONG] {
            let text = std::str::from_utf8(answer).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let said = head.split("content-length: ").nth(1).unwrap();
            let said: usize = said.split("\r\n").next().unwrap().parse().unwrap();
            assert_eq!(said, body.len(), "{body}");
        }
    }
}
