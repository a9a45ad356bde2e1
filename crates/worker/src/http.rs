//! Health for orchestrators, as LiveKit's workers have it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::WorkerHandle;

/// `GET /` and `GET /ready`: 200 `OK`, or 503 when the server cannot be reached any more. `GET /healthz`: 200 while the
/// process answers. They say nothing else, so that everybody may ask. Merge your own routes (metrics) into it.
pub fn health_router(worker: WorkerHandle) -> Router {
    Router::new()
        .route("/", get(health))
        .route("/ready", get(health))
        .route("/healthz", get(async || "OK"))
        .with_state(worker)
}

/// `GET /worker`: LiveKit's `WorkerInfo` as JSON, and why it takes no calls. How busy somebody's telephones are is nobody
/// else's business: serve it to those who may read the metrics.
pub fn info_router(worker: WorkerHandle) -> Router {
    Router::new().route("/worker", get(info)).with_state(worker)
}

/// The longest answer of [`look`].
const ANSWER_BYTES: u64 = 16 * 1024;
/// A worker on this machine answers [`look`] within this long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What the worker says that serves [`info_router`] at this address: `GET /worker`. `None`: none does.
pub async fn look(address: SocketAddr) -> Option<Value> {
    let answer = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        let request = format!("GET /worker HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        let mut limited = stream.take(ANSWER_BYTES);
        limited.read_to_string(&mut text).await.ok()?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        let info: Value = serde_json::from_str(body).ok()?;
        info.get("takes_calls").is_some().then_some(info)
    };
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.ok()?
}

async fn health(State(worker): State<WorkerHandle>) -> (StatusCode, &'static str) {
    let status = worker.status();
    if status.failed || !status.connected {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "failed to connect to livekit",
        )
    } else {
        (StatusCode::OK, "OK")
    }
}

async fn info(State(worker): State<WorkerHandle>) -> Json<Value> {
    let status = worker.status();
    Json(json!({
        "worker_type": "JT_ROOM",
        "agent_name": status.agent_name,
        "active_jobs": status.active_jobs,
        "sdk_version": env!("CARGO_PKG_VERSION"),
        "worker_load": status.load,
        "max_jobs": status.max_jobs,
        "connected": status.connected,
        "takes_calls": status.connected && status.full.is_none(),
        "full": status.full.map(|full| full.to_string()),
        "protocol_version": antiphon_protocol::names::AGENT_PROTOCOL_VERSION,
    }))
}
