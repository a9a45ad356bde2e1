//! The WebSocket of a participant: frames in, messages out.

use std::num::NonZeroU32;
use std::sync::Arc;

use antiphon_protocol::proto::SignalRequest;
use axum::extract::ws::{CloseFrame, Message as Ws, WebSocket, close_code};
use governor::{Quota, RateLimiter};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::codec::{Encoding, Frame, decode};
use crate::limits::{
    CLOSE_TIMEOUT, PING_TIMEOUT, SIGNAL_BURST, SIGNAL_RATE, SOCKET_PING_INTERVAL, WRITE_TIMEOUT,
};
use crate::room::{Command, Outgoing, RoomHandle};

/// Write one frame; false when the other side is gone or does not read.
pub(crate) async fn write(socket: &mut WebSocket, message: Ws) -> bool {
    matches!(
        tokio::time::timeout(WRITE_TIMEOUT, socket.send(message)).await,
        Ok(Ok(()))
    )
}

/// Serve an admitted participant until its socket or its room ends.
pub(crate) async fn serve(
    room: RoomHandle,
    sid: Arc<str>,
    connection: u64,
    mut socket: WebSocket,
    mut outgoing: mpsc::Receiver<Outgoing>,
) {
    let close = pump(&room, &sid, connection, &mut socket, &mut outgoing).await;
    if let Some(code) = close {
        let frame = CloseFrame {
            code,
            reason: "".into(),
        };
        let _ = write(&mut socket, Ws::Close(Some(frame))).await;
    }
    let _ = room
        .commands
        .send(Command::SignalClosed { sid, connection })
        .await;
    finish(&mut socket).await;
}

/// The end of the closing handshake (RFC 6455, 7.1.1): reading on sends our answer to a close frame and waits for theirs to
/// ours. A socket that is dropped before is an abnormal closure (1006) for the client, which then reports an error.
pub(crate) async fn finish(socket: &mut WebSocket) {
    let rest = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, rest).await;
}

/// The code to close with; `None` when the socket is gone already.
async fn pump(
    room: &RoomHandle,
    sid: &Arc<str>,
    connection: u64,
    socket: &mut WebSocket,
    outgoing: &mut mpsc::Receiver<Outgoing>,
) -> Option<u16> {
    let one = NonZeroU32::MIN;
    let quota = Quota::per_second(NonZeroU32::new(SIGNAL_RATE).unwrap_or(one));
    let rate = RateLimiter::direct(quota.allow_burst(NonZeroU32::new(SIGNAL_BURST).unwrap_or(one)));
    let mut encoding = Encoding::Protobuf;
    let mut pings = tokio::time::interval(SOCKET_PING_INTERVAL);
    let mut last_heard = Instant::now();
    loop {
        tokio::select! {
            frame = socket.recv() => {
                let frame = match frame {
                    Some(Ok(frame)) => frame,
                    Some(Err(error)) => {
                        tracing::info!(participant = %sid, %error, "signal connection broke");
                        return Some(close_code::SIZE);
                    }
                    None => return None,
                };
                last_heard = Instant::now();
                match decode::<SignalRequest>(&frame) {
                    Frame::Message(request, used) => {
                        if rate.check().is_err() {
                            tracing::warn!(participant = %sid, "too many signal messages; closed");
                            return Some(close_code::POLICY);
                        }
                        encoding = used;
                        let command = Command::Signal { sid: Arc::clone(sid), connection, request: Box::new(request) };
                        room.commands.send(command).await.ok()?;
                    }
                    Frame::Control => {}
                    Frame::Close => return None,
                    Frame::Malformed => {
                        tracing::warn!(participant = %sid, "malformed signal message; closed");
                        return Some(close_code::UNSUPPORTED);
                    }
                }
            }
            message = outgoing.recv() => match message {
                Some(Outgoing::Message(message)) => {
                    if !write(socket, encoding.encode(message.as_ref())).await {
                        return None;
                    }
                }
                Some(Outgoing::Close) | None => return Some(close_code::NORMAL),
            },
            _ = pings.tick() => {
                // Clients send pings of their own every five seconds, and their libraries answer ours.
                if last_heard.elapsed() > PING_TIMEOUT + SOCKET_PING_INTERVAL {
                    tracing::info!(participant = %sid, "nothing heard on the signal connection; closed");
                    return Some(close_code::AWAY);
                }
                if !write(socket, Ws::Ping(bytes::Bytes::new())).await {
                    return None;
                }
            }
        }
    }
}
