//! The routes that the binary adds to the room server: metrics, health and, in `dev`, the page.

use std::net::SocketAddr;

use antiphon_agent::provider::Secret;
use antiphon_telemetry::metrics::Metrics;
use anyhow::Context as _;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
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
    /// Who has this user name and password, as the header says them (RFC 7617).
    Basic(Secret),
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

    /// A user name and a password.
    fn basic(name: &str, password: &str) -> Self {
        let both = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        Secret::new(&both).map_or(Self::Closed, Self::Basic)
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        let given = |scheme: &str| {
            let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
            Some(value.strip_prefix(scheme)?.trim())
        };
        match self {
            Self::Open => true,
            Self::Closed => false,
            Self::Token(token) => {
                given("Bearer ").is_some_and(|given| is_same(given, token.expose()))
            }
            Self::Basic(both) => given("Basic ").is_some_and(|given| is_same(given, both.expose())),
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
    let challenge = match access {
        MetricsAccess::Basic(_) => "Basic realm=\"metrics\"",
        MetricsAccess::Open | MetricsAccess::Token(_) | MetricsAccess::Closed => "Bearer",
    };
    let challenge = [(header::WWW_AUTHENTICATE, challenge)];
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
    let mut routes = self::metrics(metrics.clone(), MetricsAccess::Open);
    if address.ip().is_loopback() {
        routes = routes.layer(from_fn(own_names));
    }
    tracing::info!(address = %listener.local_addr()?, "metrics are served");
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    }))))
}

/// Metrics at LiveKit's `prometheus.port`, with its user name and password if it has them, until the handle is dropped.
pub(super) async fn prometheus(
    metrics: &Metrics,
    settings: &super::serve::Settings,
) -> anyhow::Result<Option<AbortOnDropHandle<()>>> {
    let Some((port, user)) = settings.livekit.prometheus() else {
        return Ok(None);
    };
    let ip = settings.server.bind.first().copied();
    let address = SocketAddr::new(ip.unwrap_or([0, 0, 0, 0].into()), port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot bind {address} for metrics; choose another prometheus.port")
    })?;
    let access = match user {
        None => MetricsAccess::Open,
        Some((name, password)) => MetricsAccess::basic(&name, &password),
    };
    let routes = self::metrics(metrics.clone(), access);
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    }))))
}

/// At an address that only this machine reaches: not for pages whose owner points a name at it (DNS rebinding).
async fn own_names(request: Request, next: Next) -> Response {
    if is_called_by_own_name(request.headers()) {
        return next.run(request).await;
    }
    let hint = "this address answers to localhost and to addresses\n";
    (StatusCode::FORBIDDEN, hint).into_response()
}

fn is_called_by_own_name(headers: &HeaderMap) -> bool {
    headers.get(header::HOST).is_none_or(|host| {
        host.to_str()
            .is_ok_and(|host| antiphon_server::is_own_name(host, &[]))
    })
}

/// Details that only this machine and who has the token of the metrics may read. The listener must tell the peer's address.
pub fn details(routes: Router, access: MetricsAccess) -> Router {
    routes.layer(from_fn(move |request: Request, next: Next| {
        let answer = if is_local(&request) || access.allows(request.headers()) {
            Ok(next.run(request))
        } else {
            let hint = format!(
                "not for everybody: ask on this machine, or send the token of {TOKEN_VARIABLE} (Authorization: Bearer …)\n"
            );
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            Err((StatusCode::UNAUTHORIZED, challenge, hint).into_response())
        };
        async move {
            match answer {
                Ok(answer) => answer.await,
                Err(refused) => refused,
            }
        }
    }))
}

/// From this machine, by no proxy and no page.
fn is_local(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let headers = request.headers();
    peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
        && ["forwarded", "x-forwarded-for", "origin"]
            .iter()
            .all(|name| !headers.contains_key(*name))
        && is_called_by_own_name(headers)
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
            let request = axum::http::Request::get(path).body(Body::empty()).unwrap();
            let answer = health(draining.clone()).oneshot(request).await.unwrap();
            answer.status().as_u16()
        };
        assert_eq!((ask("/healthz").await, ask("/ready").await), (200, 200));
        draining.cancel();
        assert_eq!((ask("/healthz").await, ask("/ready").await), (200, 503));
    }

    #[tokio::test]
    async fn how_busy_a_worker_is_is_told_on_its_machine_and_to_who_has_the_token_alone() {
        let token = MetricsAccess::Token(Secret::new("scrape-me").unwrap());
        let routes = Router::new().route("/worker", get(async || "busy"));
        let ask = async |access: &MetricsAccess, peer: &str, headers: &[(&str, &str)]| {
            let mut request = axum::http::Request::get("/worker");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut request = request.body(Body::empty()).unwrap();
            let peer: SocketAddr = peer.parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = details(routes.clone(), access.clone()).oneshot(request);
            answer.await.unwrap().status().as_u16()
        };
        let (own, other) = ("127.0.0.1:5", "192.168.1.9:5");
        let host = ("host", "localhost:8081");
        for access in [&token, &MetricsAccess::Closed] {
            assert_eq!(ask(access, own, &[host]).await, 200);
            assert_eq!(ask(access, "[::ffff:127.0.0.1]:5", &[]).await, 200);
            assert_eq!(ask(access, other, &[host]).await, 401);
            for strange in [
                ("x-forwarded-for", "9.9.9.9"),
                ("host", "evil.example:8081"),
                ("origin", "https://evil.example"),
            ] {
                assert_eq!(ask(access, own, &[strange]).await, 401, "{strange:?}");
            }
        }
        let scraper = ("authorization", "Bearer scrape-me");
        assert_eq!(ask(&token, other, &[scraper]).await, 200);
        assert_eq!(ask(&MetricsAccess::Closed, other, &[scraper]).await, 401);
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
        let basic = MetricsAccess::basic("user", "pass");
        assert!(basic.allows(&with("Basic dXNlcjpwYXNz")));
        assert!(
            !basic.allows(&with("Basic dXNlcjpwYXNa"))
                && !basic.allows(&with("Bearer dXNlcjpwYXNz"))
        );
        assert!(!token.allows(&HeaderMap::new()));
        assert!(!MetricsAccess::Closed.allows(&with("Bearer scrape-me")));
        assert!(MetricsAccess::Open.allows(&HeaderMap::new()));
    }
}
