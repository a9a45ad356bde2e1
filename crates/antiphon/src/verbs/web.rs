//! The routes that the binary adds to the room server: metrics, health and, in `dev`, the page.

use antiphon_telemetry::metrics::Metrics;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio_util::sync::CancellationToken;

/// `GET /metrics` in Prometheus' text format.
pub fn metrics(metrics: Metrics) -> Router {
    let render = move || {
        let metrics = metrics.clone();
        async move {
            (
                [(
                    header::CONTENT_TYPE,
                    "text/plain; version=0.0.4; charset=utf-8",
                )],
                metrics.render(),
            )
        }
    };
    Router::new().route("/metrics", get(render))
}

/// What orchestrators ask: `GET /healthz` is 200 while the process answers, `GET /ready` is 503 from when it drains.
pub fn health(draining: CancellationToken) -> Router {
    let ready = move || {
        let draining = draining.is_cancelled();
        async move {
            if draining {
                (StatusCode::SERVICE_UNAVAILABLE, "draining")
            } else {
                (StatusCode::OK, "OK")
            }
        }
    };
    Router::new()
        .route("/healthz", get(async || "OK"))
        .route("/ready", get(ready))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_process_that_drains_is_alive_and_not_ready() {
        let draining = CancellationToken::new();
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let answer = health(draining.clone()).oneshot(request).await.unwrap();
            answer.status().as_u16()
        };
        assert_eq!((ask("/healthz").await, ask("/ready").await), (200, 200));
        draining.cancel();
        assert_eq!((ask("/healthz").await, ask("/ready").await), (200, 503));
    }
}
