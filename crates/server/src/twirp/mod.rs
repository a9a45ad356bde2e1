//! LiveKit's server APIs: `POST /twirp/livekit.<Service>/<Method>`, JSON or protobuf.
//!
//! | module | what |
//! |---|---|
//! | `room_service` | rooms and participants |
//! | `dispatch_service` | agents |

mod dispatch_service;
mod room_service;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use antiphon_protocol::{Claims, json, prost};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::{self, PERMISSIONS_DENIED, may_administer};
use crate::http;
use crate::limits::{MAX_BODY_BYTES, Use};
use crate::room::ApiError;
use crate::state::State;

/// A Twirp error: its code and what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TwirpError {
    code: Code,
    message: String,
    retry_after: Option<Duration>,
}

/// Twirp's codes, as far as they are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidArgument,
    Malformed,
    TooLarge,
    DeadlineExceeded,
    NotFound,
    BadRoute,
    Unauthenticated,
    ResourceExhausted,
    FailedPrecondition,
    Unimplemented,
    Unavailable,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Malformed => "malformed",
            Self::TooLarge => "out_of_range",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::NotFound => "not_found",
            Self::BadRoute => "bad_route",
            Self::Unauthenticated => "unauthenticated",
            Self::ResourceExhausted => "resource_exhausted",
            Self::FailedPrecondition => "failed_precondition",
            Self::Unimplemented => "unimplemented",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound | Self::BadRoute => StatusCode::NOT_FOUND,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl TwirpError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    fn denied() -> Self {
        Self::new(Code::Unauthenticated, PERMISSIONS_DENIED)
    }
}

impl From<ApiError> for TwirpError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::NotFound(text) => Self::new(Code::NotFound, text),
            ApiError::Precondition(text) => Self::new(Code::FailedPrecondition, text),
            ApiError::Invalid(text) => Self::new(Code::InvalidArgument, text),
            ApiError::Exhausted(text) => Self::new(Code::ResourceExhausted, text),
        }
    }
}

impl From<auth::Denied> for TwirpError {
    fn from(denied: auth::Denied) -> Self {
        let code = match denied.status {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
            _ => Code::Unauthenticated,
        };
        Self {
            retry_after: denied.retry_after,
            ..Self::new(code, denied.message)
        }
    }
}

impl IntoResponse for TwirpError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "code": self.code.name(), "msg": self.message });
        let response = (self.code.status(), axum::Json(body)).into_response();
        http::with_retry_after(response, self.retry_after)
    }
}

/// One call.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) claims: Claims,
    json: bool,
    body: Bytes,
}

impl Call<'_> {
    /// The request.
    fn request<T: prost::Message + Default + DeserializeOwned>(&self) -> Result<T, TwirpError> {
        let malformed = |why: &str| {
            let what = "the body is not the request that this method takes";
            TwirpError::new(Code::Malformed, format!("{what}{why}"))
        };
        if self.json {
            return json::from_slice(&self.body).map_err(|_| {
                let key = json::wrong_key::<T>(&self.body).map(|key| {
                    let key: String = key.chars().take(64).collect();
                    format!(": `{key}` has the wrong form")
                });
                malformed(&key.unwrap_or_default())
            });
        }
        T::decode(self.body.clone()).map_err(|_| malformed(""))
    }

    /// The response, as the request was written.
    fn respond<T: prost::Message + Serialize>(&self, message: &T) -> Response {
        if self.json {
            return axum::Json(message).into_response();
        }
        (
            [(header::CONTENT_TYPE, "application/protobuf")],
            message.encode_to_vec(),
        )
            .into_response()
    }

    fn need(&self, allowed: bool) -> Result<(), TwirpError> {
        if allowed {
            Ok(())
        } else {
            Err(TwirpError::denied())
        }
    }

    /// Administration of that room.
    fn need_admin(&self, room: &str) -> Result<(), TwirpError> {
        self.need(may_administer(&self.claims, room))
    }
}

/// Services that LiveKit has and this server does not: SDKs get Twirp's answer, not a missing page.
const OTHER_SERVICES: [&str; 6] = [
    "livekit.Egress",
    "livekit.Ingress",
    "livekit.SIP",
    "livekit.Connector",
    "livekit.PhoneNumberService",
    "livekit.CloudAgent",
];

/// Answer a call.
pub(crate) async fn handle(
    state: &Arc<State>,
    service: &str,
    method: &str,
    headers: &HeaderMap,
    address: IpAddr,
    body: Body,
) -> Response {
    let outcome = call(state, service, method, headers, address, body).await;
    let code = outcome
        .as_ref()
        .map_or_else(|error| error.code.name(), |_| "ok");
    // Names come from outside; only known ones may become label values.
    let known = matches!(
        service,
        "livekit.RoomService" | "livekit.AgentDispatchService"
    ) && code != "bad_route";
    let (service, method) = if known {
        (service.to_owned(), method.to_owned())
    } else {
        ("other".to_owned(), "other".to_owned())
    };
    metrics::counter!(antiphon_telemetry::names::SERVER_API_CALLS_TOTAL, "service" => service, "method" => method, "code" => code)
        .increment(1);
    outcome.unwrap_or_else(IntoResponse::into_response)
}

async fn call(
    state: &Arc<State>,
    service: &str,
    method: &str,
    headers: &HeaderMap,
    address: IpAddr,
    body: Body,
) -> Result<Response, TwirpError> {
    let media = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let json = match media
        .split(';')
        .next()
        .map(|m| m.trim().to_ascii_lowercase())
        .as_deref()
    {
        Some("application/json") => true,
        Some("application/protobuf") => false,
        _ => {
            return Err(TwirpError::new(
                Code::BadRoute,
                "the content type must be application/json or application/protobuf",
            ));
        }
    };
    let claims = auth::claims(&state.keys, headers, None)
        .map_err(|denied| auth::stranger(denied, state.rates.stranger_asks(address)))?;
    state
        .rates
        .with_token(&claims, Use::Call)
        .map_err(|too_many| auth::Denied::too_many(&too_many))?;
    // Nothing of it is read for strangers.
    let body = http::read_body(body, MAX_BODY_BYTES)
        .await
        .map_err(|status| match status {
            StatusCode::REQUEST_TIMEOUT => {
                TwirpError::new(Code::DeadlineExceeded, "the body did not come in time")
            }
            _ => TwirpError::new(Code::TooLarge, "the body is longer than 2 MiB"),
        })?;
    let call = Call {
        state,
        claims,
        json,
        body,
    };
    match service {
        "livekit.RoomService" => room_service::handle(&call, method).await,
        "livekit.AgentDispatchService" => dispatch_service::handle(&call, method).await,
        other if OTHER_SERVICES.contains(&other) => Err(TwirpError::new(
            Code::Unimplemented,
            format!("{other} is not offered by this server"),
        )),
        _ => Err(TwirpError::new(Code::BadRoute, "no such service")),
    }
}
