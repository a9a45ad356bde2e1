//! The signalling URL.

use antiphon_protocol::join_request;
use antiphon_protocol::names::PROTOCOL_VERSION;
use livekit_protocol::client_info::Sdk;
use livekit_protocol::{ClientInfo, ConnectionSettings, JoinRequest, ReconnectReason};
use url::Url;

use crate::RoomError;

/// Servers switch workarounds on for old versions of an SDK; this is the Rust SDK whose behaviour we share.
const SDK_VERSION: &str = "0.8.2";

/// How many peer connections there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One, for both directions.
    Single,
    /// One for each direction.
    Dual,
}

/// What a resume needs.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    /// Our participant sid.
    pub(crate) participant_sid: String,
    /// Why we come back.
    pub(crate) reason: ReconnectReason,
}

/// A LiveKit server's URL: `ws`, `wss`, `http` or `https`, a base path is kept. The answer is `ws` or `wss`.
pub fn parse_server_url(text: &str) -> Result<Url, RoomError> {
    let fail = |reason: String| RoomError::Url {
        url: text.to_owned(),
        reason,
    };
    let mut url = Url::parse(text).map_err(|error| fail(error.to_string()))?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        other => return Err(fail(format!("unknown scheme `{other}`"))),
    };
    if url.host_str().is_none_or(str::is_empty) {
        return Err(fail("no host".into()));
    }
    url.set_scheme(scheme)
        .map_err(|()| fail("unusable scheme".into()))?;
    url.set_fragment(None);
    url.set_query(None);
    Ok(url)
}

/// Host and port, for messages.
pub(crate) fn server_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The URL of the room's WebSocket; the token travels in a header and is not part of it.
pub(crate) fn signal_url(
    server: &Url,
    topology: Topology,
    auto_subscribe: bool,
    resume: Option<&Resume>,
) -> Url {
    match topology {
        Topology::Single => single_url(server, auto_subscribe, resume),
        Topology::Dual => dual_url(server, auto_subscribe, resume),
    }
}

fn single_url(server: &Url, auto_subscribe: bool, resume: Option<&Resume>) -> Url {
    let request = JoinRequest {
        client_info: Some(ClientInfo {
            sdk: Sdk::Rust as i32,
            version: SDK_VERSION.to_owned(),
            protocol: PROTOCOL_VERSION,
            os: std::env::consts::OS.to_owned(),
            ..Default::default()
        }),
        connection_settings: Some(ConnectionSettings {
            auto_subscribe,
            ..Default::default()
        }),
        reconnect: resume.is_some(),
        reconnect_reason: resume.map_or(0, |resume| resume.reason as i32),
        participant_sid: resume.map_or_else(String::new, |r| r.participant_sid.clone()),
        ..Default::default()
    };
    let mut url = server.clone();
    url.set_path(&format!("{}/rtc/v1", url.path().trim_end_matches('/')));
    url.query_pairs_mut()
        .append_pair("join_request", &join_request::write(&request));
    url
}

fn dual_url(server: &Url, auto_subscribe: bool, resume: Option<&Resume>) -> Url {
    let mut url = server.clone();
    let path = format!("{}/rtc", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let mut query = url.query_pairs_mut();
    query
        .append_pair("sdk", "rust")
        .append_pair("version", SDK_VERSION)
        .append_pair("protocol", &PROTOCOL_VERSION.to_string())
        .append_pair("os", std::env::consts::OS)
        .append_pair("auto_subscribe", if auto_subscribe { "1" } else { "0" })
        .append_pair("adaptive_stream", "0");
    if let Some(resume) = resume {
        query
            .append_pair("reconnect", "1")
            .append_pair("sid", &resume.participant_sid)
            .append_pair("reconnect_reason", &(resume.reason as i32).to_string());
    }
    drop(query);
    url
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_form_of_server_url_leads_to_its_rtc_path() {
        for (given, expected) in [
            ("ws://localhost:7880", "ws://localhost:7880/rtc?"),
            ("http://localhost:7880/", "ws://localhost:7880/rtc?"),
            (
                "https://example.livekit.cloud",
                "wss://example.livekit.cloud/rtc?",
            ),
            (
                "wss://example.org/voice/?old=1",
                "wss://example.org/voice/rtc?sdk=rust",
            ),
        ] {
            let url = signal_url(
                &parse_server_url(given).unwrap(),
                Topology::Dual,
                true,
                None,
            );
            assert!(url.as_str().starts_with(expected), "{given} -> {url}");
        }
    }

    #[test]
    fn a_url_without_host_or_with_another_scheme_is_refused_with_advice() {
        for given in ["localhost:7880", "ftp://host", "", "ws://"] {
            let error = parse_server_url(given).unwrap_err().to_string();
            assert!(error.contains("wss://"), "{error}");
        }
    }

    #[test]
    fn a_single_connection_is_asked_for_by_a_request_that_says_who_comes_back() {
        let resume = Resume {
            participant_sid: "PA_abc".into(),
            reason: ReconnectReason::RrSignalDisconnected,
        };
        let server = parse_server_url("wss://example.org/voice").unwrap();
        let url = signal_url(&server, Topology::Single, true, Some(&resume));
        assert_eq!(url.path(), "/voice/rtc/v1");
        let (name, value) = url.query_pairs().next().unwrap();
        let request = join_request::read(&value).unwrap();
        assert_eq!(
            (&*name, request.reconnect, request.participant_sid.as_str()),
            ("join_request", true, "PA_abc")
        );
        assert!(request.connection_settings.unwrap().auto_subscribe);
    }

    #[test]
    fn a_resume_names_the_participant() {
        let resume = Resume {
            participant_sid: "PA_abc".into(),
            reason: ReconnectReason::RrSignalDisconnected,
        };
        let url = signal_url(
            &parse_server_url("ws://h").unwrap(),
            Topology::Dual,
            false,
            Some(&resume),
        );
        assert!(url.as_str().ends_with(
            "auto_subscribe=0&adaptive_stream=0&reconnect=1&sid=PA_abc&reconnect_reason=1"
        ));
    }
}
