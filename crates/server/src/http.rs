//! The routes, and what is checked before any of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, Path, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use tower::ServiceExt;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::auth::{self, Denied, PERMISSIONS_DENIED};
use crate::config::TrustedProxies;
use crate::connections::Counted;
use crate::limits::{
    BODY_TIMEOUT, MAX_PAGE_BODY_BYTES, MAX_SIGNAL_BYTES, MAX_WORKERS_PER_KEY, SOCKET_READ_BYTES,
    TooMany, Use,
};
use crate::room::Command;
use crate::signal::{self, socket};
use crate::state::State;
use crate::{agents, origin, twirp};

/// Browsers may remember for so long that other origins are allowed.
const CORS_MAX_AGE: Duration = Duration::from_secs(86_400);

/// A client with too many connections may try again after this long.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// Who a request comes from; put there by the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// All routes. `extra` has what the binary adds: the page at `/` for browsers, metrics, anything else.
pub(crate) fn router(state: Arc<State>, extra: Router) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([
            Method::OPTIONS,
            Method::HEAD,
            Method::GET,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ])
        // `*` would not cover `Authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(CORS_MAX_AGE);
    let extra = extra.layer(from_fn_with_state(Arc::clone(&state), limit_page));
    let page = extra.clone();
    Router::new()
        .route(
            "/",
            get(move |shared: Shared<Arc<State>>, request: Request| root(shared, page, request)),
        )
        .route("/rtc", any(rtc))
        .route("/rtc/validate", get(validate))
        // The same with a single peer connection, which a client asks for by its `join_request`.
        .route("/rtc/v1", any(rtc))
        .route("/rtc/v1/validate", get(validate))
        .route("/agent", any(agent))
        .route("/twirp/{service}/{method}", post(api))
        // LiveKit's routes alone are open to pages of other origins, as far as the configuration allows.
        .layer(cors)
        .with_state(Arc::clone(&state))
        .fallback_service(extra)
        .layer(from_fn_with_state(state, origin::check))
}

/// What the binary adds (page, metrics, playground) is for everybody, so it is limited by address. A `POST` makes tokens: it
/// counts as a join. Its body is short, and there at once.
async fn limit_page(
    Shared(state): Shared<Arc<State>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    let (rate, reason) = if request.method() == Method::POST {
        (state.rates.stranger_joins(address), "join_rate")
    } else {
        (state.rates.stranger_asks(address), "page_rate")
    };
    if let Err(limit) = rate {
        return too_many(&limit, reason).into_response();
    }
    let (parts, body) = request.into_parts();
    match read_body(body, MAX_PAGE_BODY_BYTES).await {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(status) => status.into_response(),
    }
}

/// The whole body, if it is no longer than that and there in time.
pub(crate) async fn read_body(body: Body, at_most: usize) -> Result<Bytes, StatusCode> {
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, at_most)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// Health for machines, the page for browsers.
async fn root(Shared(state): Shared<Arc<State>>, page: Router, request: Request) -> Response {
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if accept.contains("text/html") {
        let response = page
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {});
        if response.status() != StatusCode::NOT_FOUND {
            return response;
        }
    }
    if state.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "Not Ready").into_response();
    }
    "OK".into_response()
}

async fn not_offered() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found").into_response()
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        with_retry_after(
            (self.status, self.message).into_response(),
            self.retry_after,
        )
    }
}

/// Says when it may be tried again.
pub(crate) fn with_retry_after(mut response: Response, wait: Option<Duration>) -> Response {
    if let Some(wait) = wait {
        let seconds = HeaderValue::from(auth::whole_seconds(wait));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn too_many(limit: &TooMany, reason: &'static str) -> Denied {
    metrics::counter!(antiphon_telemetry::names::SERVER_REFUSED_TOTAL, "reason" => reason)
        .increment(1);
    Denied::too_many(limit)
}

fn refused(state: &State, denied: Denied, address: IpAddr) -> Response {
    let status = denied.status.as_u16();
    if state.repeated.is_first_from("join refused", address) {
        // Only the path is logged: the query holds the token.
        tracing::info!(%address, status, reason = denied.message, "join refused");
    }
    metrics::counter!(antiphon_telemetry::names::SERVER_REFUSED_TOTAL, "reason" => "join")
        .increment(1);
    denied.into_response()
}

async fn rtc(
    Shared(state): Shared<Arc<State>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(counted): Extension<Arc<Counted>>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return not_offered().await;
    };
    let admitted = match signal::admission(&state, &headers, &uri, address) {
        Ok(admission) => admission.join(&state).await,
        Err(denied) => Err(denied),
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(denied) => return refused(&state, denied, address),
    };
    let (room, sid, connection) = (
        admitted.room.clone(),
        Arc::clone(&admitted.sid),
        admitted.connection,
    );
    upgrade
        .max_message_size(MAX_SIGNAL_BYTES)
        .max_frame_size(MAX_SIGNAL_BYTES)
        .read_buffer_size(SOCKET_READ_BYTES)
        .on_failed_upgrade(move |_| {
            tokio::spawn(async move {
                let _ = room
                    .commands
                    .send(Command::SignalClosed { sid, connection })
                    .await;
            });
        })
        .on_upgrade(move |ws| async move {
            socket::serve(state, admitted, ws).await;
            drop(counted);
        })
}

async fn validate(
    Shared(state): Shared<Arc<State>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let outcome = signal::admission(&state, &headers, &uri, address)
        .and_then(|admission| admission.validate(&state));
    match outcome {
        Ok(()) => "success".into_response(),
        Err(denied) => refused(&state, denied, address),
    }
}

async fn agent(
    Shared(state): Shared<Arc<State>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(counted): Extension<Arc<Counted>>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return not_offered().await;
    };
    let claims = auth::claims(&state.keys, &headers, uri.query());
    let claims = claims.and_then(|claims| {
        let may = claims.video_grants().agent;
        may.then_some(claims)
            .ok_or_else(|| Denied::unauthorized(PERMISSIONS_DENIED))
    });
    let claims = match claims {
        Ok(claims) => claims,
        // Who is no worker is a stranger here, whatever else its token is good for.
        Err(denied) => {
            let rate = state.rates.stranger_joins(address);
            return refused(&state, auth::stranger(denied, rate), address);
        }
    };
    if let Err(limit) = state.rates.with_token(&claims, Use::Agent) {
        return too_many(&limit, "worker_rate").into_response();
    }
    // A call that goes on may need another agent.
    if state.is_draining() && state.rooms.count() == 0 {
        return refused(
            &state,
            Denied::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is shutting down",
            ),
            address,
        );
    }
    let Some(place) = state.worker_place(&claims.iss) else {
        if state.repeated.is_first_from("too many workers", address) {
            tracing::warn!(
                key = claims.iss,
                limit = MAX_WORKERS_PER_KEY,
                "too many agent workers with one API key; one was refused"
            );
        }
        return refused(
            &state,
            Denied::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many workers with this API key",
            ),
            address,
        );
    };
    let (agents, info) = (state.agents.clone(), state.server_info());
    upgrade
        .max_message_size(MAX_SIGNAL_BYTES)
        .max_frame_size(MAX_SIGNAL_BYTES)
        .read_buffer_size(SOCKET_READ_BYTES)
        .on_upgrade(move |ws| async move {
            agents::serve(agents, claims.iss, info, ws).await;
            drop((place, counted));
        })
}

async fn api(
    Shared(state): Shared<Arc<State>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Path((service, method)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    twirp::handle(&state, &service, &method, &headers, address, body).await
}

/// Serve one request: its client's address is noted and `//` in its path becomes `/` before any route is looked for.
pub(crate) async fn serve(
    router: Router,
    trusted: &TrustedProxies,
    peer: IpAddr,
    counted: &Arc<Counted>,
    mut request: Request<Body>,
) -> Response {
    let address = client_address(request.headers(), trusted, peer);
    request.extensions_mut().insert(ClientAddress(address));
    // A proxy's connection carries many clients: each is counted by itself, a WebSocket as long as it is open.
    let counted = if trusted.contains(peer) {
        Counted::of_client(counted, address)
    } else {
        Some(Arc::clone(counted))
    };
    let Some(counted) = counted else {
        metrics::counter!(antiphon_telemetry::names::SERVER_REFUSED_TOTAL, "reason" => "connections").increment(1);
        let full = (StatusCode::SERVICE_UNAVAILABLE, "too many connections");
        return with_retry_after(full.into_response(), Some(FULL_RETRY));
    };
    request.extensions_mut().insert(Arc::clone(&counted));
    if request.uri().path().contains("//")
        && let Some(uri) = collapse_slashes(request.uri())
    {
        *request.uri_mut() = uri;
    }
    router
        .oneshot(request)
        .await
        .unwrap_or_else(|never| match never {})
}

fn collapse_slashes(uri: &Uri) -> Option<Uri> {
    let mut path = String::with_capacity(uri.path().len());
    for c in uri.path().chars() {
        if !(c == '/' && path.ends_with('/')) {
            path.push(c);
        }
    }
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    path.parse().ok()
}

/// The address of the client; proxies are believed only if they are trusted, and only about the hop before them. What stands
/// before a hop that cannot be read is nobody's word: then the proxy itself is the client.
fn client_address(headers: &HeaderMap, trusted: &TrustedProxies, peer: IpAddr) -> IpAddr {
    if !trusted.contains(peer) {
        return peer;
    }
    let lists: Vec<&[u8]> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let mut nearest = peer;
    for hop in lists
        .iter()
        .rev()
        .flat_map(|list| list.rsplit(|byte| *byte == b','))
    {
        let Some(hop) = std::str::from_utf8(hop).ok().and_then(forwarded_address) else {
            return nearest;
        };
        if !trusted.contains(hop) {
            return hop;
        }
        nearest = hop;
    }
    nearest
}

/// An address as proxies write it: alone, with a port (`192.0.2.1:4711`, `[2001:db8::1]:4711`), or in brackets.
fn forwarded_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(hop).parse().ok();
    let address = address.or_else(|| hop.parse().ok().map(|with_port: SocketAddr| with_port.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_double_slash_becomes_one_and_the_query_stays() {
        let uri: Uri = "//rtc//validate?access_token=a//b".parse().unwrap();
        assert_eq!(
            collapse_slashes(&uri).unwrap(),
            "/rtc/validate?access_token=a//b"
        );
    }

    #[test]
    fn a_forwarded_address_is_believed_only_from_a_trusted_proxy() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "6.6.6.6, 9.9.9.9".parse().unwrap());
        let trusted: TrustedProxies = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
        let (proxy, stranger) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([1, 2, 3, 4]));
        assert_eq!(
            client_address(&headers, &trusted, proxy),
            IpAddr::from([9, 9, 9, 9])
        );
        assert_eq!(client_address(&headers, &trusted, stranger), stranger);
    }

    #[test]
    fn what_stands_before_a_hop_that_cannot_be_read_is_not_believed() {
        let trusted: TrustedProxies = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()]
            .into_iter()
            .collect();
        let from = |lists: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append("x-forwarded-for", HeaderValue::from_bytes(list).unwrap());
            }
            client_address(&headers, &trusted, IpAddr::from([10, 0, 0, 1])).to_string()
        };
        assert_eq!(from(&[b"6.6.6.6, 9.9.9.10:1234"]), "9.9.9.10");
        assert_eq!(from(&[b"6.6.6.6, [2001:db8::1]:1234"]), "2001:db8::1");
        assert_eq!(from(&[b"6.6.6.6, [2001:db8::1]"]), "2001:db8::1");
        assert_eq!(from(&[b"6.6.6.6,2001:db8::1"]), "2001:db8::1");
        assert_eq!(from(&[b"6.6.6.6, ::ffff:9.9.9.9"]), "9.9.9.9");
        assert_eq!(from(&[b"9.9.9.9, 10.0.0.2"]), "9.9.9.9");
        assert_eq!(from(&[b"6.6.6.6", b"9.9.9.9", b"10.0.0.2:80"]), "9.9.9.9");
        // Nothing that can be read: the nearest proxy that can.
        for unreadable in [
            &b"6.6.6.6, unknown"[..],
            b"6.6.6.6, \xff",
            b"6.6.6.6,",
            b"6.6.6.6, _hidden",
        ] {
            assert_eq!(from(&[unreadable]), "10.0.0.1");
        }
        assert_eq!(from(&[b"6.6.6.6", b"\xff, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(from(&[]), "10.0.0.1");
    }
}
