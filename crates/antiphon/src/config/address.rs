//! Addresses: whether they are ones, and how they are shown.

use url::Url;

/// An address as people and pages may read it: without user name, password and query, which can hold keys.
/// Everything that prints an address or gives it out uses this; requests go to the address as it was configured.
pub fn shown_url(address: &str) -> String {
    if !address.contains(['@', '?', '#']) {
        return address.to_owned();
    }
    let Some(mut url) = Url::parse(address).ok().filter(|url| url.has_host()) else {
        return "(an address that cannot be read)".to_owned();
    };
    // Both fail only for addresses that cannot have either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// `http://` or `https://` and a host.
pub(super) fn is_http(address: &str) -> bool {
    has_host(address, &["http", "https"])
}

/// What a LiveKit client connects to: `ws://`, `wss://`, `http://` or `https://` and a host.
pub(crate) fn is_server(address: &str) -> bool {
    has_host(address, &["ws", "wss", "http", "https"])
}

/// An address with a host, of one of these schemes.
pub(super) fn has_host(address: &str, schemes: &[&str]) -> bool {
    Url::parse(address).is_ok_and(|url| {
        // A placeholder is no host.
        let host = address.split("://").nth(1).unwrap_or_default();
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        schemes.contains(&url.scheme()) && url.has_host() && !host.is_empty() && !host.contains('{')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_never_shown() {
        assert_eq!(
            shown_url("http://user:SECRET@host:8080/v1?key=SECRET"),
            "http://host:8080/v1"
        );
        assert_eq!(shown_url("https://SECRET@host/v1"), "https://host/v1");
        assert!(!shown_url("user:SECRET@host").contains("SECRET"));
        assert_eq!(
            shown_url("http://localhost:11434"),
            "http://localhost:11434"
        );
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        assert!(is_http("http://localhost:11434/v1") && is_http("https://example.com"));
        assert!(is_server("ws://localhost:7880") && is_server("wss://example.livekit.cloud"));
        for bad in [
            "localhost:1234",
            "http://",
            "ftp://example.com",
            "http//x",
            "",
        ] {
            assert!(!is_http(bad) && !is_server(bad), "{bad}");
        }
    }
}
