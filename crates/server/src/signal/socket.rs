//! The WebSocket of a participant: frames in, messages out.

use std::sync::Arc;

use antiphon_protocol::proto::SignalRequest;
use axum::extract::ws::{CloseFrame, Message as Ws, WebSocket, close_code};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Admitted;
use super::budget::{Budget, Verdict};
use super::codec::{Encoding, Frame, decode};
use crate::limits::{
    AGENT_PING_INTERVAL, AGENT_SILENCE, CLOSE_TIMEOUT, PING_TIMEOUT, SOCKET_PING_INTERVAL,
    WRITE_TIMEOUT,
};
use crate::room::{Command, RoomHandle, ToSocket};
use crate::state::State;

/// Write one frame; false when the other side is gone or does not read.
pub(crate) async fn write(socket: &mut WebSocket, message: Ws) -> bool {
    matches!(
        tokio::time::timeout(WRITE_TIMEOUT, socket.send(message)).await,
        Ok(Ok(()))
    )
}

/// Serve an admitted participant until its socket or its room ends.
pub(crate) async fn serve(state: Arc<State>, admitted: Admitted, mut socket: WebSocket) {
    let Admitted {
        room,
        sid,
        connection,
        mut outgoing,
        participant,
        is_agent,
    } = admitted;
    let line = Line {
        room: &room,
        sid: &sid,
        connection,
        state: &state,
        budget: Budget::of(participant),
        is_agent,
    };
    let close = pump(&line, &mut socket, &mut outgoing).await;
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

/// From whom to which room.
struct Line<'a> {
    room: &'a RoomHandle,
    sid: &'a Arc<str>,
    connection: u64,
    state: &'a State,
    budget: Budget,
    is_agent: bool,
}

impl Line<'_> {
    /// Tell the room whether anything comes from an agent.
    async fn tell_quiet(&self, quiet: bool) {
        let command = Command::SignalQuiet {
            sid: Arc::clone(self.sid),
            connection: self.connection,
            quiet,
        };
        // A room that has closed is noticed by the next message.
        let _ = self.room.commands.send(command).await;
    }

    /// Is this to be logged?
    fn is_first(&self, kind: &'static str) -> bool {
        let participant = format!("{:016x}", self.budget.participant());
        self.state.repeated.is_first(kind, &participant)
    }
}

/// Give a message to the room, or say until when it has to wait. `None`: the room has closed.
async fn pass(
    line: &Line<'_>,
    request: Box<SignalRequest>,
) -> Option<Option<(Box<SignalRequest>, Instant)>> {
    let sid = line.sid;
    match line.budget.admit(&line.state.rates.signals, &request) {
        Verdict::Now => {
            let command = Command::Signal {
                sid: Arc::clone(sid),
                connection: line.connection,
                request,
            };
            line.room.commands.send(command).await.ok()?;
            Some(None)
        }
        Verdict::After(wait) => {
            tracing::debug!(participant = %sid, ?wait, "much is asked on this signal connection; it is read more slowly");
            Some(Some((request, Instant::now() + wait)))
        }
        Verdict::Ignore => {
            tracing::debug!(participant = %sid, "a candidate too many is left out");
            Some(None)
        }
    }
}

/// The room has closed while the client was saying something: what the room has said before, that it is over, is sent
/// first. A client that is not told joins anew, and makes the room again that was just deleted.
async fn farewell(
    socket: &mut WebSocket,
    outgoing: &mut mpsc::Receiver<ToSocket>,
    encoding: Encoding,
) -> Option<u16> {
    while let Some(ToSocket::Message(message)) = outgoing.recv().await {
        if !write(socket, encoding.encode(message.as_ref())).await {
            return None;
        }
    }
    Some(close_code::NORMAL)
}

/// The code to close with; `None` when the socket is gone already.
async fn pump(
    line: &Line<'_>,
    socket: &mut WebSocket,
    outgoing: &mut mpsc::Receiver<ToSocket>,
) -> Option<u16> {
    let sid = line.sid;
    // A message that has to wait, and until when: nothing more is read before it.
    let mut held: Option<(Box<SignalRequest>, Instant)> = None;
    let mut encoding = Encoding::Protobuf;
    let mut pings = tokio::time::interval(if line.is_agent {
        AGENT_PING_INTERVAL
    } else {
        SOCKET_PING_INTERVAL
    });
    let mut quiet = false;
    let mut last_heard = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(held.as_ref().map_or_else(Instant::now, |(_, until)| *until)), if held.is_some() => {
                last_heard = Instant::now();
                if let Some((request, _)) = held.take() {
                    let Some(next) = pass(line, request).await else {
                        return farewell(socket, outgoing, encoding).await;
                    };
                    held = next;
                }
            }
            frame = socket.recv(), if held.is_none() => {
                let frame = match frame {
                    Some(Ok(frame)) => frame,
                    Some(Err(error)) => {
                        if line.is_first("signal connection broke") {
                            tracing::info!(participant = %sid, %error, "signal connection broke");
                        }
                        return Some(close_code::SIZE);
                    }
                    None => return None,
                };
                last_heard = Instant::now();
                if std::mem::take(&mut quiet) {
                    line.tell_quiet(false).await;
                }
                match decode::<SignalRequest>(&frame) {
                    Frame::Message(request, used) => {
                        encoding = used;
                        let request = Box::new(request);
                        let Some(next) = pass(line, request).await else {
                            return farewell(socket, outgoing, encoding).await;
                        };
                        held = next;
                    }
                    Frame::Control => {}
                    Frame::Close => return None,
                    Frame::Malformed => {
                        if line.is_first("malformed signal message") {
                            tracing::warn!(participant = %sid, "malformed signal message; closed");
                        }
                        return Some(close_code::UNSUPPORTED);
                    }
                }
            }
            message = outgoing.recv() => match message {
                Some(ToSocket::Message(message)) => {
                    if !write(socket, encoding.encode(message.as_ref())).await {
                        return None;
                    }
                }
                Some(ToSocket::Close) | None => return Some(close_code::NORMAL),
            },
            _ = pings.tick() => {
                // Clients send pings of their own every five seconds, and their libraries answer ours.
                if last_heard.elapsed() > PING_TIMEOUT + SOCKET_PING_INTERVAL {
                    tracing::info!(participant = %sid, "nothing heard on the signal connection; closed");
                    return Some(close_code::AWAY);
                }
                if line.is_agent && !quiet && held.is_none() && last_heard.elapsed() > AGENT_SILENCE {
                    quiet = true;
                    line.tell_quiet(true).await;
                }
                if !write(socket, Ws::Ping(bytes::Bytes::new())).await {
                    return None;
                }
            }
        }
    }
}
