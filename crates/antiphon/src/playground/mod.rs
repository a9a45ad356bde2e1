//! The playground: one page, embedded in the binary, and the requests that it makes.

mod documents;
mod files;

use std::sync::Arc;

use antiphon_protocol::{AccessToken, VideoGrants};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

pub use self::documents::Documents;

/// How long a playground token may be used to join.
const TOKEN_TTL: std::time::Duration = std::time::Duration::from_secs(600);

/// What the page shows about the agent, and what it needs to make tokens.
#[derive(Debug)]
pub struct Playground {
    /// Signs the tokens of the page's callers.
    pub api_key: String,
    /// Its secret.
    pub api_secret: String,
    /// Serve pages of any host name. Otherwise only `localhost` and addresses: a name that somebody else points at this machine
    /// (DNS rebinding) gets no token.
    pub any_host: bool,
    /// What passages come from.
    pub documents: Documents,
    /// What `GET api/playground` answers.
    pub about: About,
}

/// What the page shows about the agent.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// The agent.
    pub agent: AboutAgent,
    /// Who does what, and why.
    pub providers: Vec<AboutProvider>,
    /// Things to say first.
    pub suggestions: Vec<String>,
}

/// The agent on the page.
#[derive(Clone, Debug, Serialize)]
pub struct AboutAgent {
    /// Its name.
    pub name: String,
}

/// A provider on the page.
#[derive(Clone, Debug, Serialize)]
pub struct AboutProvider {
    /// `STT`, `LLM`, `TTS`.
    pub role: &'static str,
    /// Who.
    pub provider: String,
    /// Which model or voice.
    pub model: String,
    /// Why this one.
    pub why: String,
}

/// LiveKit's answer of a token endpoint.
#[derive(Debug, Serialize)]
struct Connection {
    server_url: String,
    room_name: String,
    participant_name: String,
    participant_token: String,
}

/// The page's routes. The room server passes `GET /` on only for requests that ask for HTML; health checks get its `OK`.
pub fn router(playground: Arc<Playground>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/api/playground", get(about))
        .route("/api/playground/connect", post(connect))
        .route("/api/playground/document", get(document))
        .route("/assets/{*path}", get(file))
        .route("/icon.svg", get(file))
        .with_state(playground)
}

async fn page(headers: HeaderMap) -> Response {
    files::respond("index.html", &headers)
}

async fn about(State(playground): State<Arc<Playground>>) -> Json<About> {
    Json(playground.about.clone())
}

async fn connect(State(playground): State<Arc<Playground>>, headers: HeaderMap) -> Response {
    if !is_same_origin(&headers) {
        return (
            StatusCode::FORBIDDEN,
            "only this server's own page may ask for this",
        )
            .into_response();
    }
    if !playground.any_host && !is_this_machine(&headers) {
        return (
            StatusCode::FORBIDDEN,
            "this server answers to localhost; open it by that name, or start it with --bind",
        )
            .into_response();
    }
    let room = format!("playground-{:08x}", rand::random::<u32>());
    let identity = format!("caller-{:08x}", rand::random::<u32>());
    let token = AccessToken::new(&playground.api_key, &playground.api_secret)
        .identity(&identity)
        .name("Caller")
        .grants(VideoGrants {
            // The page shows tool calls, passages and times.
            can_manage_agent_session: Some(true),
            ..VideoGrants::join(&room)
        })
        .ttl(TOKEN_TTL)
        .to_jwt();
    let (Ok(participant_token), Some(server_url)) = (token, url_of(&headers)) else {
        return (
            StatusCode::BAD_REQUEST,
            "the request has no usable Host header",
        )
            .into_response();
    };
    Json(Connection {
        server_url,
        room_name: room,
        participant_name: identity,
        participant_token,
    })
    .into_response()
}

#[derive(Deserialize)]
struct Asked {
    source: String,
}

/// The document that a passage comes from. Whoever reaches this machine by another name or address gets passages, not documents.
async fn document(
    State(playground): State<Arc<Playground>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    if playground.any_host || !is_this_machine(&headers) || !is_same_origin(&headers) {
        return (
            StatusCode::FORBIDDEN,
            "documents are shown on the machine that they are on; open the page there, at localhost",
        )
            .into_response();
    }
    playground.documents.respond(&asked.source).await
}

/// Browsers send the page's origin with every POST; programs send none.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text =
        |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_ascii_lowercase();
    let Some(origin) = headers.get(header::ORIGIN).map(text) else {
        return true;
    };
    let host = headers.get(header::HOST).map(text).unwrap_or_default();
    origin
        .split_once("://")
        .is_some_and(|(_, of_page)| of_page == host)
}

/// Is the server called `localhost` or by an address, not by a name that others can give it?
fn is_this_machine(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let Some(url) = host.and_then(|host| url::Url::parse(&format!("http://{host}")).ok()) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Where the page's own server is, as the page sees it.
fn url_of(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok())
        .unwrap_or("http://");
    let scheme = if origin.starts_with("https://") {
        "wss"
    } else {
        "ws"
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-.:[]_".contains(c);
    (!host.is_empty() && host.chars().all(allowed)).then(|| format!("{scheme}://{host}"))
}

async fn file(uri: Uri, headers: HeaderMap) -> Response {
    files::respond(uri.path().trim_start_matches('/'), &headers)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse().expect("a name"),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_page_is_told_to_connect_where_it_came_from() {
        assert_eq!(
            url_of(&headers(&[("host", "localhost:7880")])).as_deref(),
            Some("ws://localhost:7880")
        );
        let https = headers(&[
            ("host", "voice.example.com"),
            ("origin", "https://voice.example.com"),
        ]);
        assert_eq!(url_of(&https).as_deref(), Some("wss://voice.example.com"));
        assert_eq!(url_of(&headers(&[("host", "a\"b")])), None);
        assert_eq!(url_of(&headers(&[])), None);
    }

    #[test]
    fn a_page_of_another_origin_gets_no_token() {
        let own = [
            ("host", "localhost:7880"),
            ("origin", "http://localhost:7880"),
        ];
        assert!(is_same_origin(&headers(&own)));
        assert!(is_same_origin(&headers(&[("host", "localhost:7880")])));
        for origin in ["https://evil.example", "http://localhost:3000", "null"] {
            assert!(
                !is_same_origin(&headers(&[("host", "localhost:7880"), ("origin", origin)])),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_foreign_name_for_this_machine_gets_no_token() {
        for (host, good) in [
            ("localhost:7880", true),
            ("127.0.0.1:7880", true),
            ("[::1]:7880", true),
            ("evil.example:7880", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(is_this_machine(&headers(&[("host", host)])), good, "{host}");
        }
    }
}
