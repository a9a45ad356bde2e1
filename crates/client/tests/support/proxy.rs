//! A TCP proxy that a test can cut, as a bad network would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Forwards connections to one address.
pub(crate) struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    accepted: Arc<AtomicUsize>,
    refuse_resumes: Arc<AtomicBool>,
    refuse_single: Arc<AtomicBool>,
    held: watch::Sender<bool>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let refuse_resumes = Arc::new(AtomicBool::new(false));
        let refuse_single = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (held, hold) = watch::channel(false);
        let (all, refuse, count) = (
            connections.clone(),
            [refuse_resumes.clone(), refuse_single.clone()],
            accepted.clone(),
        );
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                count.fetch_add(1, Ordering::Relaxed);
                let forwarding =
                    tokio::spawn(forward(client, server, refuse.clone(), hold.clone()));
                all.lock().unwrap().push(forwarding.abort_handle());
            }
        });
        Self {
            address,
            connections,
            accepted,
            refuse_resumes,
            refuse_single,
            held,
            accepting: accepting.abort_handle(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Break every connection that is open now. New ones are accepted.
    pub(crate) fn cut(&self) {
        let open = std::mem::take(&mut *self.connections.lock().unwrap());
        assert!(!open.is_empty(), "there is nothing to cut");
        open.iter().for_each(AbortHandle::abort);
    }

    /// From now on new connections wait, until they need no longer.
    #[allow(dead_code, reason = "not every test holds")]
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// How many connections there were so far.
    #[allow(dead_code, reason = "not every test counts")]
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// From now on be a server that knows nothing of single peer connections.
    #[allow(dead_code, reason = "not every test refuses")]
    pub(crate) fn refuse_single(&self) {
        self.refuse_single.store(true, Ordering::Relaxed);
    }

    /// From now on hang up on those who want to resume a session, so that they must begin anew.
    #[allow(dead_code, reason = "not every test resumes")]
    pub(crate) fn refuse_resumes(&self) {
        self.refuse_resumes.store(true, Ordering::Relaxed);
    }
}

/// Does this request want to come back?
fn resumes(line: &str) -> bool {
    let path = line.split(' ').nth(1).unwrap_or_default();
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    parameters.any(|(name, value)| match &*name {
        "reconnect" => value == "1",
        "join_request" => {
            antiphon_protocol::join_request::read(&value).is_ok_and(|request| request.reconnect)
        }
        _ => false,
    })
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        for connection in &*self.connections.lock().unwrap() {
            connection.abort();
        }
    }
}

async fn forward(
    mut client: TcpStream,
    server: SocketAddr,
    [refuse_resumes, refuse_single]: [Arc<AtomicBool>; 2],
    mut hold: watch::Receiver<bool>,
) {
    if hold.wait_for(|held| !held).await.is_err() {
        return;
    }
    let mut head = vec![0; 16 * 1024];
    let Ok(read) = client.read(&mut head).await else {
        return;
    };
    head.truncate(read);
    let request = String::from_utf8_lossy(&head);
    let line = request.lines().next().unwrap_or_default();
    if refuse_resumes.load(Ordering::Relaxed) && resumes(line) {
        return;
    }
    if refuse_single.load(Ordering::Relaxed) && line.contains("/rtc/v1") {
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = client.write_all(answer).await;
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        return;
    };
    if upstream.write_all(&head).await.is_ok() {
        let _ = copy_bidirectional(&mut client, &mut upstream).await;
    }
}
