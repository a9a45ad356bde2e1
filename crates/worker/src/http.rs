//! Health for orchestrators, as LiveKit's workers have it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::WorkerHandle;

/// `GET /` and `GET /ready`: 200 `OK`, or 503 when the server cannot be reached any more. `GET /healthz`: 200 while the
/// process answers. `GET /worker`: LiveKit's `WorkerInfo` as JSON.
/// Merge your own routes (metrics) into it.
pub fn health_router(worker: WorkerHandle) -> Router {
    Router::new()
        .route("/", get(health))
        .route("/ready", get(health))
        .route("/healthz", get(async || "OK"))
        .route("/worker", get(info))
        .with_state(worker)
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
        "protocol_version": antiphon_protocol::names::AGENT_PROTOCOL_VERSION,
    }))
}
