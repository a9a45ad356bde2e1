//! The page's files. They are carried compressed, and given out so to whoever takes it.

use std::borrow::Cow;
use std::io::Read;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use rust_embed::{EmbeddedFile, RustEmbed};

/// Written by the build script, each file with gzip (RFC 1952) under its own name.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/playground"]
struct Files;

/// Nothing but ourselves and the sockets of this server; the page has no inline script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
     style-src 'self' 'unsafe-inline'; media-src 'self' blob: mediastream:; worker-src 'self' blob:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The file, for a client that sent these headers.
pub(super) fn respond(path: &str, request: &HeaderMap) -> Response {
    let Some(EmbeddedFile { data, metadata, .. }) = Files::get(path) else {
        return (StatusCode::NOT_FOUND, "not found").into_response();
    };
    let kind = HeaderValue::from_str(metadata.mimetype())
        .unwrap_or(HeaderValue::from_static("text/plain"));
    // Files under assets/ carry their hash in their name.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if is_gzip_accepted(request) {
        let encoding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        return (headers, encoding, body(data)).into_response();
    }
    let mut plain = Vec::new();
    match GzDecoder::new(data.as_ref()).read_to_end(&mut plain) {
        Ok(_) => (headers, plain).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// RFC 9110, section 12.5.3: a coding that is named with a weight other than 0, or `*` for all that are not named.
fn is_gzip_accepted(request: &HeaderMap) -> bool {
    let mut any = false;
    for value in request.get_all(header::ACCEPT_ENCODING) {
        for coding in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start();
            let weight = weight.strip_prefix('=').map(str::trim);
            let is_accepted = weight
                .and_then(|weight| weight.parse::<f32>().ok())
                .is_some_and(|weight| weight > 0.0);
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => return is_accepted,
                "*" => any = is_accepted,
                _ => {}
            }
        }
    }
    any
}

fn body(data: Cow<'static, [u8]>) -> axum::body::Body {
    match data {
        Cow::Borrowed(data) => axum::body::Bytes::from_static(data).into(),
        Cow::Owned(data) => data.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetched(path: &str, accept_encoding: Option<&'static str>) -> (HeaderMap, Vec<u8>) {
        let mut request = HeaderMap::new();
        if let Some(value) = accept_encoding {
            request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        let response = respond(path, &request);
        assert_eq!(response.status(), StatusCode::OK);
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("whole");
        (parts.headers, body.to_vec())
    }

    #[tokio::test]
    async fn the_page_is_the_same_compressed_and_not() {
        let (headers, plain) = fetched("index.html", None).await;
        assert!(plain.starts_with(b"<!") && !headers.contains_key(header::CONTENT_ENCODING));
        assert_eq!(headers[header::VARY], "accept-encoding");
        let (headers, packed) = fetched("index.html", Some("gzip, deflate, br")).await;
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert_eq!(headers[header::CONTENT_TYPE], "text/html");
        assert!(packed.len() < plain.len());
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.as_slice())
            .read_to_end(&mut unpacked)
            .expect("gzip");
        assert_eq!(unpacked, plain);
    }

    #[test]
    fn only_who_takes_gzip_gets_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("br;q=1.0, GZIP;q=0.8, *;q=0.1", true),
            ("*", true),
            ("gzip ; q = 0.001", true),
            ("", false),
            ("identity", false),
            ("br, deflate", false),
            ("gzip;q=0, *", false),
            ("gzip;q=none", false),
            ("*;q=0", false),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(is_gzip_accepted(&request), accepted, "{value:?}");
        }
        assert!(!is_gzip_accepted(&HeaderMap::new()));
    }

    #[test]
    fn only_files_of_the_page_are_given_out() {
        let status = |path| respond(path, &HeaderMap::new()).status();
        assert_eq!(status("index.html"), StatusCode::OK);
        assert_eq!(status("../Cargo.toml"), StatusCode::NOT_FOUND);
    }
}
