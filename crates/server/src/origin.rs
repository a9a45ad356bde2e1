//! Which pages may talk with this server. A browser says with every WebSocket and every `POST` which page sent it
//! (`Origin`); programs that are no browsers send nothing, and pass. With a page's own `GET` a browser does not say it, so the
//! name by which the server is called (`Host`) has to be one that nobody else can point at this machine.

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use url::{Host, Url};

use crate::config::Origins;
use crate::state::State;

/// Refuse requests of pages that may not make any.
pub(crate) async fn check(
    Shared(state): Shared<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    if is_allowed(request.headers(), &state.config.origins) {
        return next.run(request).await;
    }
    metrics::counter!(antiphon_telemetry::names::SERVER_REFUSED_TOTAL, "reason" => "origin")
        .increment(1);
    (
        StatusCode::FORBIDDEN,
        "the key of this server is public, so only pages of this machine may use it, under its own names; \
         list the page's origin in [server] allowed_origins, or give the server a key of its own",
    )
        .into_response()
}

fn is_allowed(headers: &HeaderMap, origins: &Origins) -> bool {
    let also = match origins {
        Origins::Any => return true,
        Origins::ThisMachine { also } => also,
    };
    let host = headers.get(header::HOST).map(|host| host.to_str());
    let host = match host.transpose() {
        Ok(host) => host,
        Err(_) => return false,
    };
    host.is_none_or(|host| is_own_name(host, also))
        && headers.get_all(header::ORIGIN).iter().all(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| is_of_this_machine(origin, host) || is_listed(origin, also))
        })
}

/// Is this a name of ours? `localhost`; an address; a name that only this network's own resolver knows; the name of a listed
/// origin (`https://app.example`). Any other may belong to somebody who points it here (DNS rebinding).
#[must_use]
pub fn is_own_name(host: &str, also: &[String]) -> bool {
    let Ok(called) = Url::parse(&format!("http://{host}")) else {
        return false;
    };
    match called.host() {
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Some(Host::Domain(name)) => {
            is_localhost(name)
                || is_of_this_network(name)
                || also.iter().any(|listed| {
                    Url::parse(listed).is_ok_and(|listed| listed.host_str() == Some(name))
                })
        }
        None => false,
    }
}

/// A name without a dot, or below a name that nobody can have in public: `host.docker.internal`, `antiphon.svc.cluster.local`
/// (ICANN's resolution 2024.07.29.06; RFC 6762, 6761 and 8375).
fn is_of_this_network(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.')
        || [".internal", ".local", ".test", ".home.arpa"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn is_localhost(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_listed(origin: &str, also: &[String]) -> bool {
    also.iter()
        .any(|listed| listed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// Is this an origin as browsers write it (RFC 6454, 6.2)? `Err`: how it would be written, if that can be told.
///
/// # Errors
/// The origin that was probably meant; `None`: nothing is known of it.
pub fn check_origin(listed: &str) -> Result<(), Option<String>> {
    let listed = listed.strip_suffix('/').unwrap_or(listed);
    let written = |url: &Url| match url.origin() {
        origin if origin.is_tuple() => Some(origin.ascii_serialization()),
        // Of an application with a scheme of its own: `tauri://localhost`.
        _ => url.host_str().filter(|host| !host.is_empty()).map(|host| {
            let port = url
                .port()
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            format!("{}://{host}{port}", url.scheme())
        }),
    };
    let of = |text: &str| Url::parse(text).ok().as_ref().and_then(written);
    let is_name = |text: &&str| !text.is_empty() && !text.contains('*');
    let meant = if listed.contains(":/") {
        Some(listed).filter(is_name).and_then(of)
    } else {
        Some(listed)
            .filter(is_name)
            .and_then(|name| of(&format!("https://{name}")))
    };
    match meant {
        Some(origin) if origin.eq_ignore_ascii_case(listed) => Ok(()),
        meant => Err(meant),
    }
}

/// A page of `localhost`, whatever its port; or of the address by which this server was called. A name counts for nothing:
/// its owner can let it point at this machine (DNS rebinding).
fn is_of_this_machine(origin: &str, host: Option<&str>) -> bool {
    let Ok(page) = Url::parse(origin) else {
        return false;
    };
    let address = match page.host() {
        Some(Host::Domain(name)) => return is_localhost(name),
        Some(Host::Ipv4(address)) => std::net::IpAddr::V4(address),
        Some(Host::Ipv6(address)) => std::net::IpAddr::V6(address),
        None => return false,
    };
    let called = host.and_then(|host| Url::parse(&format!("http://{host}")).ok());
    address.is_loopback() || called.is_some_and(|called| called.host() == page.host())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn allowed(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let also = vec!["https://app.example".to_owned()];
        is_allowed(&headers, &Origins::ThisMachine { also })
    }

    #[test]
    fn a_page_from_elsewhere_cannot_use_a_public_key() {
        for (host, origin) in [
            ("localhost:7880", "https://evil.example"),
            ("localhost:7880", "http://evil.example:7880"),
            ("localhost:7880", "null"),
            ("localhost:7880", "http://localhost.evil.example"),
            ("localhost:7880", "http://192.168.1.5:7880"),
            // DNS rebinding: the page's own name, pointed at this machine
            ("evil.example:7880", "http://evil.example:7880"),
        ] {
            assert!(!allowed(host, Some(origin)), "{host} {origin}");
        }
    }

    #[test]
    fn a_name_that_somebody_else_may_own_is_not_answered_even_without_an_origin() {
        for host in [
            "evil.example",
            "evil.example:7880",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "app.example.evil.example",
            "",
        ] {
            assert!(!allowed(host, None), "{host}");
        }
    }

    #[test]
    fn programs_pages_of_this_machine_and_listed_ones_can() {
        for (host, origin) in [
            ("localhost:7880", None),
            ("antiphon:7880", None),
            ("host.docker.internal:7880", None),
            ("antiphon.default.svc.cluster.local.", None),
            ("localhost:7880", Some("http://localhost:7880")),
            ("localhost:7880", Some("http://localhost:3000")),
            ("127.0.0.1:7880", Some("http://localhost:7880")),
            ("[::1]:7880", Some("http://[::1]:5173")),
            ("192.168.1.5:7880", Some("http://192.168.1.5:3000")),
            ("localhost:7880", Some("https://app.example")),
            ("app.example", Some("https://app.example")),
            ("APP.example:443", None),
        ] {
            assert!(allowed(host, origin), "{host} {origin:?}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_no_origin_and_the_right_form_is_known() {
        for right in [
            "https://app.example",
            "https://App.Example/",
            "http://localhost:3000",
            "http://[::1]:3000",
            "http://10.0.0.1",
            "tauri://localhost",
        ] {
            assert_eq!(check_origin(right), Ok(()), "{right}");
        }
        for (wrong, meant) in [
            ("app.example", Some("https://app.example")),
            ("app.example:8443", Some("https://app.example:8443")),
            ("https://app.example:443", Some("https://app.example")),
            ("https://app.example/call", Some("https://app.example")),
            (
                "https://b\u{fc}cher.example",
                Some("https://xn--bcher-kva.example"),
            ),
            ("https://user@app.example", Some("https://app.example")),
            ("*", None),
            ("https://*.app.example", None),
            ("", None),
            ("null", Some("https://null")),
            ("https://", None),
        ] {
            assert_eq!(
                check_origin(wrong),
                Err(meant.map(str::to_owned)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn with_a_key_of_its_own_every_page_may() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, "https://a.example".parse().unwrap());
        assert!(is_allowed(&headers, &Origins::Any));
    }
}
