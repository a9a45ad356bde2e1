//! The routes that the binary adds to the room server: metrics, health and, in `dev`, the page.

use std::net::SocketAddr;

use antiphon_agent::provider::Secret;
use antiphon_telemetry::metrics::Metrics;
use anyhow::Context as _;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The variable with the token that opens `/metrics` beside everything else.
const TOKEN_VARIABLE: &str = "ANTIPHON_METRICS_TOKEN";

/// Who may read the metrics at a listener.
#[derive(Clone, Debug)]
pub enum MetricsAccess {
    /// Whoever reaches it.
    Open,
    /// Who sends this token (`Authorization: Bearer …`).
    Token(Secret),
    /// Nobody.
    Closed,
}

impl MetricsAccess {
    /// At a listener that others reach as well: with `ANTIPHON_METRICS_TOKEN`, or nobody. `private`: only this machine
    /// reaches it.
    pub fn beside_others(private: bool) -> Self {
        let token = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
        match Secret::new(token.trim()) {
            Some(token) => {
                antiphon_telemetry::secrets::hide([token.expose()]);
                Self::Token(token)
            }
            None if private => Self::Open,
            None => Self::Closed,
        }
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Open => true,
            Self::Closed => false,
            Self::Token(token) => headers
                .get(header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
                .is_some_and(|given| is_same(given.trim(), token.expose())),
        }
    }
}

/// In a time that does not tell how much of it is right.
fn is_same(given: &str, wanted: &str) -> bool {
    let different = given
        .bytes()
        .zip(wanted.bytes())
        .fold(0, |different, (one, other)| different | (one ^ other));
    given.len() == wanted.len() && different == 0
}

/// `GET /metrics` in Prometheus' text format.
pub fn metrics(metrics: Metrics, access: MetricsAccess) -> Router {
    let render = move |headers: HeaderMap| {
        let answer = answer(&metrics, &access, &headers);
        async move { answer }
    };
    Router::new().route("/metrics", get(render))
}

fn answer(metrics: &Metrics, access: &MetricsAccess, headers: &HeaderMap) -> Response {
    if access.allows(headers) {
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        return ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response();
    }
    let hint = format!(
        "metrics are not for everybody: send the token of {TOKEN_VARIABLE} (Authorization: Bearer …), or read them at the \
         address of [telemetry] metrics_bind\n"
    );
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, hint).into_response()
}

/// Metrics at an address of their own, when one is configured, until the handle is dropped.
pub async fn metrics_apart(
    metrics: &Metrics,
    bind: Option<SocketAddr>,
) -> anyhow::Result<Option<AbortOnDropHandle<()>>> {
    let Some(address) = bind else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot bind {address} for metrics; choose another [telemetry] metrics_bind")
    })?;
    let routes = self::metrics(metrics.clone(), MetricsAccess::Open);
    tracing::info!(address = %listener.local_addr()?, "metrics are served");
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    }))))
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

    fn with(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        headers
    }

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

    #[test]
    fn strangers_read_no_metrics_and_who_has_the_token_does() {
        let token = MetricsAccess::Token(Secret::new("scrape-me").unwrap());
        assert!(token.allows(&with("Bearer scrape-me")));
        for wrong in [
            "Bearer scrape-m",
            "Bearer scrape-me2",
            "scrape-me",
            "Bearer ",
        ] {
            assert!(!token.allows(&with(wrong)), "{wrong}");
        }
        assert!(!token.allows(&HeaderMap::new()));
        assert!(!MetricsAccess::Closed.allows(&with("Bearer scrape-me")));
        assert!(MetricsAccess::Open.allows(&HeaderMap::new()));
    }
}
