//! The routes that the binary adds to the room server: metrics and, in `dev`, the page.

use antiphon_telemetry::metrics::Metrics;
use axum::Router;
use axum::http::header;
use axum::routing::get;

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
