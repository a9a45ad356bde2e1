//! What a client asks for as it joins: in the query of `/rtc`, or in a `join_request`.

use std::collections::HashMap;
use std::net::IpAddr;

use antiphon_protocol::join_request;
use antiphon_protocol::proto::{ClientInfo, JoinRequest, client_info};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

use crate::auth::{Denied, PERMISSIONS_DENIED};
use crate::limits::{MAX_ATTRIBUTES_BYTES, MAX_METADATA_BYTES};
use crate::room::Single;

/// The parameter by which a client asks for a single peer connection, whatever the path.
pub(crate) const JOIN_REQUEST: &str = "join_request";

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) client: ClientInfo,
    pub(crate) auto_subscribe: bool,
    /// To data tracks.
    pub(crate) auto_subscribe_data: bool,
    /// Change or add to what the token says.
    pub(crate) attributes: HashMap<String, String>,
    /// Empty: as the token says.
    pub(crate) metadata: String,
    /// Come back as this participant.
    pub(crate) resume: Option<String>,
    /// A single peer connection.
    pub(crate) single: Option<Box<Single>>,
}

impl Asked {
    /// Read it. `may_describe`: the token allows to change one's own metadata.
    pub(crate) fn read(
        query: &HashMap<String, String>,
        address: IpAddr,
        may_describe: bool,
    ) -> Result<Self, Denied> {
        match query.get(JOIN_REQUEST) {
            Some(parameter) => {
                let request = join_request::read(parameter)
                    .map_err(|error| Denied::new(StatusCode::BAD_REQUEST, error.to_string()))?;
                Self::of_request(request, address, may_describe)
            }
            None => Self::of_query(query, address, may_describe),
        }
    }

    fn of_query(
        query: &HashMap<String, String>,
        address: IpAddr,
        may_describe: bool,
    ) -> Result<Self, Denied> {
        let resumes = flag(query, "reconnect").unwrap_or(false);
        Ok(Self {
            client: client_info(query, address),
            auto_subscribe: flag(query, "auto_subscribe").unwrap_or(true),
            auto_subscribe_data: flag(query, "auto_subscribe_data_track").unwrap_or(false),
            attributes: attributes(query, may_describe)?,
            metadata: String::new(),
            resume: resumes.then(|| query.get("sid").cloned().unwrap_or_default()),
            single: None,
        })
    }

    fn of_request(
        request: JoinRequest,
        address: IpAddr,
        may_describe: bool,
    ) -> Result<Self, Denied> {
        let describes = !request.metadata.is_empty() || !request.participant_attributes.is_empty();
        if describes && !may_describe {
            return Err(Denied::unauthorized(PERMISSIONS_DENIED));
        }
        let attributes = request.participant_attributes;
        let bytes: usize = attributes.iter().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > MAX_ATTRIBUTES_BYTES || request.metadata.len() > MAX_METADATA_BYTES {
            return Err(Denied::new(
                StatusCode::BAD_REQUEST,
                "metadata or attributes of the join_request are too long",
            ));
        }
        Ok(Self {
            client: ClientInfo {
                address: address.to_string(),
                ..request.client_info.unwrap_or_default()
            },
            auto_subscribe: request
                .connection_settings
                .is_some_and(|settings| settings.auto_subscribe),
            auto_subscribe_data: request
                .connection_settings
                .and_then(|settings| settings.auto_subscribe_data_track)
                .unwrap_or(false),
            attributes,
            metadata: request.metadata,
            resume: request.reconnect.then_some(request.participant_sid),
            single: Some(Box::new(Single {
                tracks: request.add_track_requests,
                offer: request.publisher_offer,
                sync: request.sync_state,
            })),
        })
    }
}

pub(crate) fn attributes(
    query: &HashMap<String, String>,
    allowed: bool,
) -> Result<HashMap<String, String>, Denied> {
    let Some(text) = query.get("attributes").filter(|text| !text.is_empty()) else {
        return Ok(HashMap::new());
    };
    if !allowed {
        return Err(Denied::unauthorized(PERMISSIONS_DENIED));
    }
    let json = URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .or_else(|_| URL_SAFE.decode(text));
    let parsed = json
        .ok()
        .filter(|j| j.len() <= MAX_ATTRIBUTES_BYTES)
        .and_then(|json| serde_json::from_slice(&json).ok());
    parsed.ok_or_else(|| {
        Denied::new(
            StatusCode::BAD_REQUEST,
            "attributes are not base64url of a JSON map of strings",
        )
    })
}

/// What the client says about itself in its query.
pub(crate) fn client_info(query: &HashMap<String, String>, address: IpAddr) -> ClientInfo {
    let text = |name: &str| query.get(name).cloned().unwrap_or_default();
    let number = |name: &str| {
        query
            .get(name)
            .and_then(|v| v.parse().ok())
            .unwrap_or_default()
    };
    let capabilities = text("capabilities");
    let capabilities = capabilities
        .split(',')
        .filter_map(|name| client_info::Capability::from_str_name(name.trim()))
        .map(|capability| capability as i32)
        .collect();
    ClientInfo {
        sdk: sdk(&text("sdk")) as i32,
        version: text("version"),
        protocol: number("protocol"),
        os: text("os"),
        os_version: text("os_version"),
        device_model: text("device_model"),
        browser: text("browser"),
        browser_version: text("browser_version"),
        network: text("network"),
        address: address.to_string(),
        client_protocol: number("client_protocol"),
        capabilities,
        ..ClientInfo::default()
    }
}

fn flag(query: &HashMap<String, String>, name: &str) -> Option<bool> {
    query
        .get(name)
        .map(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

fn sdk(name: &str) -> client_info::Sdk {
    use client_info::Sdk;
    match name.to_ascii_lowercase().as_str() {
        "ios" => Sdk::Swift,
        other => Sdk::from_str_name(&other.to_ascii_uppercase()).unwrap_or(Sdk::Unknown),
    }
}
