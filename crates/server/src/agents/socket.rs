//! The WebSocket of a worker.

use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::proto::{
    JobType, RegisterWorkerRequest, RegisterWorkerResponse, ServerMessage, WorkerMessage,
    server_message, worker_message,
};
use axum::extract::ws::WebSocket;
use tokio::sync::{mpsc, oneshot};

use super::{Agents, Command};
use crate::limits::SOCKET_PING_INTERVAL;
use crate::signal::codec::{Encoding, Frame, decode};
use crate::signal::socket::{finish, write};

/// The first message must be there after this long; LiveKit's.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages waiting for a worker; one that reads nothing for this long is gone.
const OUTGOING: usize = 256;
/// LiveKit's limit of a deployment's name.
const MAX_DEPLOYMENT_BYTES: usize = 64;

/// Serve a worker whose token was checked until it goes.
pub(crate) async fn serve(
    agents: Agents,
    key: String,
    server_info: antiphon_protocol::proto::ServerInfo,
    mut socket: WebSocket,
) {
    let mut encoding = Encoding::Protobuf;
    let Some(request) = registration(&mut socket, &mut encoding).await else {
        return;
    };
    let (outgoing, mut inbox) = mpsc::channel::<ServerMessage>(OUTGOING);
    let (reply, answer) = oneshot::channel();
    agents
        .send(Command::Register {
            key,
            request: Box::new(request),
            outgoing,
            reply,
        })
        .await;
    let Ok(worker_id) = answer.await else { return };
    let id: Arc<str> = Arc::from(worker_id.as_str());
    let response = RegisterWorkerResponse {
        worker_id,
        server_info: Some(server_info),
        ..Default::default()
    };
    let first = ServerMessage {
        message: Some(server_message::Message::Register(response)),
    };
    if write(&mut socket, encoding.encode(&first)).await {
        pump(&agents, &id, &mut socket, &mut inbox, &mut encoding).await;
    }
    agents.send(Command::Gone { id }).await;
    finish(&mut socket).await;
}

async fn registration(
    socket: &mut WebSocket,
    encoding: &mut Encoding,
) -> Option<RegisterWorkerRequest> {
    let first = tokio::time::timeout(REGISTER_TIMEOUT, first_message(socket));
    let (message, used) = first.await.ok()??;
    *encoding = used;
    let Some(worker_message::Message::Register(request)) = message.message else {
        tracing::info!("a worker did not begin with its registration; closed");
        return None;
    };
    let deployment = &request.deployment;
    let valid = JobType::try_from(request.r#type).is_ok()
        && deployment.len() <= MAX_DEPLOYMENT_BYTES
        && !deployment.contains(|c: char| c == '_' || c.is_whitespace());
    if !valid {
        tracing::info!(
            kind = request.r#type,
            "a worker's registration is invalid; closed"
        );
        return None;
    }
    Some(request)
}

/// The first frame that is not a ping: libraries with a heartbeat send one whenever they like.
async fn first_message(socket: &mut WebSocket) -> Option<(WorkerMessage, Encoding)> {
    loop {
        match decode::<WorkerMessage>(&socket.recv().await?.ok()?) {
            Frame::Message(message, used) => return Some((message, used)),
            Frame::Control => {}
            Frame::Close | Frame::Malformed => return None,
        }
    }
}

async fn pump(
    agents: &Agents,
    id: &Arc<str>,
    socket: &mut WebSocket,
    inbox: &mut mpsc::Receiver<ServerMessage>,
    encoding: &mut Encoding,
) {
    let mut pings = tokio::time::interval(SOCKET_PING_INTERVAL);
    let mut last_heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            frame = socket.recv() => {
                let Some(Ok(frame)) = frame else { return };
                last_heard = tokio::time::Instant::now();
                match decode::<WorkerMessage>(&frame) {
                    Frame::Message(message, used) => {
                        *encoding = used;
                        agents.send(Command::Worker { id: Arc::clone(id), message: Box::new(message) }).await;
                    }
                    Frame::Control => {}
                    Frame::Close => return,
                    Frame::Malformed => {
                        tracing::warn!(worker = %id, "malformed message of a worker; closed");
                        return;
                    }
                }
            }
            message = inbox.recv() => {
                let Some(message) = message else { return };
                if !write(socket, encoding.encode(&message)).await {
                    return;
                }
            }
            _ = pings.tick() => {
                // Every WebSocket library answers pings, so three unanswered ones mean that nobody is there.
                if last_heard.elapsed() > SOCKET_PING_INTERVAL * 3 {
                    tracing::warn!(worker = %id, "the worker does not answer; closed");
                    return;
                }
                if !write(socket, axum::extract::ws::Message::Ping(bytes::Bytes::new())).await {
                    return;
                }
            }
        }
    }
}
