//! A response that hangs, breaks off or is nonsense.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::json;

use crate::script::FaultKind;

/// A piece of a body, and how long to wait before it.
pub(crate) type Piece = (Duration, Bytes);

/// What the fault makes of the whole response; `None`: the response begins as it should.
pub(crate) async fn instead(fault: Option<&FaultKind>) -> Option<Response> {
    match fault? {
        FaultKind::Status {
            status,
            retry_after_s,
            code,
        } => Some(status_response(*status, *retry_after_s, code.as_deref())),
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Raw { body, content_type } => {
            Some(([(header::CONTENT_TYPE, content_type.clone())], body.clone()).into_response())
        }
        FaultKind::Stall { .. } | FaultKind::Cut { .. } => None,
    }
}

/// The error body of both services at once: OpenAI reads `error`, Deepgram `err_msg`.
pub(crate) fn status_response(
    status: u16,
    retry_after_s: Option<f64>,
    code: Option<&str>,
) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = match status.as_u16() {
        401 => "Incorrect API key provided: sk-sim***lator.",
        429 => "Rate limit reached.",
        _ => "The simulator was told to fail.",
    };
    let body = json!({
        "error": {"message": message, "type": "simulated", "param": null, "code": code},
        "err_code": "SIMULATED", "err_msg": message, "request_id": "simulated",
    });
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = retry_after_s
        && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
    {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
        .headers_mut()
        .insert("dg-error", HeaderValue::from_static(message));
    response
}

/// The pieces as a body, stalled or cut where the fault says.
pub(crate) fn body(pieces: Vec<Piece>, fault: Option<&FaultKind>) -> Body {
    let timed = stream::iter(pieces).then(|(wait, bytes)| async move {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok::<_, Infallible>(bytes)
    });
    match fault {
        Some(FaultKind::Stall { after_chunks }) => {
            Body::from_stream(first(timed, *after_chunks).chain(stream::pending()))
        }
        Some(FaultKind::Cut { after_chunks }) => {
            let first =
                first(timed, *after_chunks).map(|item| item.map_err(|never| match never {}));
            // The pause lets what was sent arrive before the connection is gone.
            let cut = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err::<Bytes, _>(std::io::Error::other("cut by the simulator"))
            });
            Body::from_stream(first.chain(cut))
        }
        _ => Body::from_stream(timed),
    }
}

fn first<S: Stream>(stream: S, count: u64) -> impl Stream<Item = S::Item> {
    stream.take(usize::try_from(count).unwrap_or(usize::MAX))
}
