//! Connections that stand although nobody is at the other end any more: a phone without network, a host without power.

use super::dispatch::Worker;
use super::*;
use tokio::io::AsyncReadExt;

/// Read what comes and answer nothing, no ping either, until the server ends it.
async fn ended_for_silence(mut socket: Socket) -> bool {
    // Nothing but the clock goes on from here, so it jumps from one deadline to the next.
    tokio::time::pause();
    let stream = socket.get_mut();
    let (mut buffer, hour) = ([0; 1024], Duration::from_secs(3600));
    let end = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    let ended = tokio::time::timeout(hour, end).await.is_ok();
    tokio::time::resume();
    ended
}

#[tokio::test]
async fn who_answers_no_ping_is_gone_though_the_connection_stands() {
    let server = server(Limits::default()).await;
    let (caller, _) = join(&server, "ann", "hall").await;
    assert!(ended_for_silence(caller).await, "dual peer connection");
    let jwt = token("bob", "hall").to_jwt().unwrap();
    let path = single::path(None, Vec::new());
    let caller = socket(&server, &path, &jwt).await.unwrap();
    assert!(ended_for_silence(caller).await, "single peer connection");
    let worker = Worker::register(&server, "agent").await;
    assert!(ended_for_silence(worker.socket).await, "worker");
}
