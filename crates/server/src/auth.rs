//! Who is asking, and what may they do?

use std::time::Duration;

use antiphon_protocol::{Claims, TokenError};
use axum::http::{HeaderMap, StatusCode, header};

use crate::keys::KeyRing;
use crate::limits::TooMany;

/// A request that is not allowed; the body is plain text, as LiveKit's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// With 429: when it may be tried again.
    pub(crate) retry_after: Option<Duration>,
}

impl Denied {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn too_many(limit: &TooMany) -> Self {
        let seconds = whole_seconds(limit.retry_after);
        let message = format!("too many requests; retry after {seconds} s");
        Self {
            retry_after: Some(limit.retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }
}

impl From<TokenError> for Denied {
    fn from(error: TokenError) -> Self {
        Self::unauthorized(error.to_string())
    }
}

/// The value of a `Retry-After` header: never too early, never 0.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(1)
}

/// What LiveKit says when a grant is missing.
pub(crate) const PERMISSIONS_DENIED: &str = "permissions denied";

/// The token of a request: `Authorization: Bearer …`, else the query's `access_token`.
pub(crate) fn token(headers: &HeaderMap, query: Option<&str>) -> Result<String, Denied> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value
            .to_str()
            .map_err(|_| Denied::unauthorized("invalid authorization token"))?;
        let token = value
            .strip_prefix("Bearer ")
            .or_else(|| value.strip_prefix("bearer "));
        return match token {
            Some(token) => Ok(token.trim().to_owned()),
            None => Err(Denied::unauthorized(
                "invalid authorization header. Must start with Bearer",
            )),
        };
    }
    let from_query = query.and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "access_token")
            .map(|(_, value)| value.into_owned())
    });
    match from_query {
        Some(token) if !token.is_empty() => Ok(token),
        _ => Err(Denied::unauthorized(
            "missing Authorization header or access_token parameter",
        )),
    }
}

/// The verified claims of a request.
pub(crate) fn claims(
    keys: &KeyRing,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Claims, Denied> {
    Ok(keys.verify(&token(headers, query)?)?)
}

/// What somebody without a valid token is told. `rate` is what its address may still do: beyond it, to come back later.
pub(crate) fn stranger(denied: Denied, rate: Result<(), TooMany>) -> Denied {
    match rate {
        Ok(()) => denied,
        Err(limit) => Denied::too_many(&limit),
    }
}

/// A grant for administration of that room.
pub(crate) fn may_administer(claims: &Claims, room: &str) -> bool {
    let grants = claims.video_grants();
    grants.room_admin && (grants.room == room)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_token_is_taken_from_the_header_before_the_query() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            token(&headers, Some("a=b&access_token=q%2Bq")).unwrap(),
            "q+q"
        );
        headers.insert(header::AUTHORIZATION, "Bearer h".parse().unwrap());
        assert_eq!(token(&headers, Some("access_token=q")).unwrap(), "h");
    }

    #[test]
    fn a_header_that_is_not_a_bearer_token_is_401_even_with_a_query() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Basic h".parse().unwrap());
        assert_eq!(
            token(&headers, Some("access_token=q")).unwrap_err().status,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            token(&HeaderMap::new(), None).unwrap_err().status,
            StatusCode::UNAUTHORIZED
        );
    }
}
