//! Remote procedure calls, version 1: request, acknowledgement and response are data packets.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use livekit_protocol::{RpcRequest, RpcResponse, rpc_response};
use rand::Rng;
use tokio::sync::oneshot;

use crate::error::shorten;
use crate::limits;

/// LiveKit's RPC error: built-in codes are 1400 to 1505, an application uses others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the remote procedure call failed ({code}): {message}")]
pub struct RpcError {
    /// See LiveKit's list.
    pub code: u32,
    /// For people.
    pub message: String,
    /// For programs.
    pub data: String,
}

impl RpcError {
    /// The application's handler failed.
    pub const APPLICATION: u32 = 1500;
    /// No acknowledgement: the other side is not there or does not understand.
    pub const CONNECTION_TIMEOUT: u32 = 1501;
    /// No response in time.
    pub const RESPONSE_TIMEOUT: u32 = 1502;
    /// The other side left.
    pub const RECIPIENT_DISCONNECTED: u32 = 1503;
    /// The response is too large.
    pub const RESPONSE_TOO_LARGE: u32 = 1504;
    /// It could not be sent.
    pub const SEND_FAILED: u32 = 1505;
    /// The other side has no such method.
    pub const UNSUPPORTED_METHOD: u32 = 1400;
    /// There is no such participant.
    pub const RECIPIENT_NOT_FOUND: u32 = 1401;
    /// The request is too large.
    pub const REQUEST_TOO_LARGE: u32 = 1402;
    /// The version of the request is unknown.
    pub const UNSUPPORTED_VERSION: u32 = 1404;

    /// An error with this code.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: shorten(&message.into(), limits::RPC_ERROR_MESSAGE_BYTES),
            data: String::new(),
        }
    }

    pub(crate) fn from_wire(error: livekit_protocol::RpcError) -> Self {
        Self {
            code: error.code,
            message: shorten(&error.message, limits::RPC_ERROR_MESSAGE_BYTES),
            data: error.data,
        }
    }

    pub(crate) fn into_wire(self) -> livekit_protocol::RpcError {
        livekit_protocol::RpcError {
            code: self.code,
            message: self.message,
            data: self.data,
        }
    }
}

/// A call from another participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcInvocation {
    /// Unique.
    pub request_id: String,
    /// Who calls; empty: the server's API.
    pub caller_identity: String,
    /// What to do.
    pub method: String,
    /// Arguments, often JSON.
    pub payload: String,
    /// How long the caller waits.
    pub response_timeout: Duration,
}

/// The answer to a call.
pub type RpcFuture = Pin<Box<dyn Future<Output = Result<String, RpcError>> + Send>>;
/// Answers calls. Its future is dropped when the caller stops waiting.
pub type RpcHandler = Arc<dyn Fn(RpcInvocation) -> RpcFuture + Send + Sync>;

/// One call of ours that waits.
#[derive(Debug)]
pub(crate) struct PendingCall {
    pub(crate) destination: String,
    pub(crate) acknowledged: Option<oneshot::Sender<()>>,
    pub(crate) response: oneshot::Sender<Result<String, RpcError>>,
}

/// Calls of ours that wait for an answer.
#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    calls: HashMap<String, PendingCall>,
}

impl PendingCalls {
    pub(crate) fn insert(&mut self, id: String, call: PendingCall) {
        if self.calls.len() >= limits::RPC_CALLS {
            let _ = call.response.send(Err(RpcError::new(
                RpcError::SEND_FAILED,
                "too many calls are waiting",
            )));
            return;
        }
        self.calls.insert(id, call);
    }

    pub(crate) fn acknowledged(&mut self, from: &str, id: &str) {
        let call = self
            .calls
            .get_mut(id)
            .filter(|call| call.destination == from);
        if let Some(acknowledged) = call.and_then(|call| call.acknowledged.take()) {
            let _ = acknowledged.send(());
        }
    }

    pub(crate) fn response(&mut self, from: &str, response: RpcResponse) {
        if self
            .calls
            .get(&response.request_id)
            .is_none_or(|call| call.destination != from)
        {
            return;
        }
        let Some(call) = self.calls.remove(&response.request_id) else {
            return;
        };
        let result = match response.value {
            Some(rpc_response::Value::Payload(payload)) => Ok(payload),
            Some(rpc_response::Value::Error(error)) => Err(RpcError::from_wire(error)),
            Some(rpc_response::Value::CompressedPayload(_)) | None => Err(RpcError::new(
                RpcError::UNSUPPORTED_VERSION,
                "the response is of a kind that we did not ask for",
            )),
        };
        let _ = call.response.send(result);
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.calls.remove(id);
    }

    pub(crate) fn participant_left(&mut self, identity: &str) {
        for (_, call) in self
            .calls
            .extract_if(|_, call| call.destination == identity)
        {
            let _ = call.response.send(Err(RpcError::new(
                RpcError::RECIPIENT_DISCONNECTED,
                "the recipient left",
            )));
        }
    }
}

/// Run a handler, as long as the caller waits.
pub(crate) async fn answer(
    handler: Option<RpcHandler>,
    caller: String,
    request: RpcRequest,
) -> RpcResponse {
    let timeout = Duration::from_millis(u64::from(request.response_timeout_ms));
    let result = match handler {
        _ if request.version != 1 => Err(RpcError::new(
            RpcError::UNSUPPORTED_VERSION,
            "only version 1 is supported",
        )),
        None => Err(RpcError::new(
            RpcError::UNSUPPORTED_METHOD,
            "there is no such method",
        )),
        Some(handler) => {
            let call = handler(RpcInvocation {
                request_id: request.id.clone(),
                caller_identity: caller,
                method: request.method,
                payload: request.payload,
                response_timeout: timeout,
            });
            tokio::time::timeout(timeout, call)
                .await
                .unwrap_or_else(|_| {
                    Err(RpcError::new(
                        RpcError::RESPONSE_TIMEOUT,
                        "the method took too long",
                    ))
                })
        }
    };
    let value = match result {
        Ok(payload) if payload.len() <= limits::RPC_PAYLOAD_BYTES => {
            rpc_response::Value::Payload(payload)
        }
        Ok(_) => rpc_response::Value::Error(
            RpcError::new(RpcError::RESPONSE_TOO_LARGE, "the response is too large").into_wire(),
        ),
        Err(error) => rpc_response::Value::Error(error.into_wire()),
    };
    RpcResponse {
        request_id: request.id,
        value: Some(value),
    }
}

/// A name that nobody else has: 128 random bits in hex, in the form of a UUID.
pub(crate) fn random_id() -> String {
    let bits: u128 = rand::rng().random();
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request(version: u32) -> RpcRequest {
        RpcRequest {
            id: "1".into(),
            method: "m".into(),
            response_timeout_ms: 1000,
            version,
            ..Default::default()
        }
    }

    fn code(response: &RpcResponse) -> Option<u32> {
        match response.value.as_ref().unwrap() {
            rpc_response::Value::Error(error) => Some(error.code),
            _ => None,
        }
    }

    #[tokio::test]
    async fn unknown_methods_versions_slow_and_talkative_handlers_are_answered_with_livekits_codes()
    {
        let handler =
            |run: fn() -> RpcFuture| -> Option<RpcHandler> { Some(Arc::new(move |_| run())) };
        assert_eq!(
            code(&answer(None, String::new(), request(1)).await),
            Some(1400)
        );
        assert_eq!(
            code(&answer(None, String::new(), request(7)).await),
            Some(1404)
        );
        let slow = handler(|| Box::pin(std::future::pending()));
        assert_eq!(
            code(&answer(slow, String::new(), request(1)).await),
            Some(1502)
        );
        let large = handler(|| Box::pin(async { Ok("x".repeat(limits::RPC_PAYLOAD_BYTES + 1)) }));
        assert_eq!(
            code(&answer(large, String::new(), request(1)).await),
            Some(1504)
        );
        let good = handler(|| Box::pin(async { Ok("yes".into()) }));
        assert_eq!(code(&answer(good, String::new(), request(1)).await), None);
    }

    #[tokio::test]
    async fn a_call_ends_when_its_recipient_leaves_and_only_the_recipient_can_answer() {
        let mut calls = PendingCalls::default();
        let (response, answered) = oneshot::channel();
        calls.insert(
            "1".into(),
            PendingCall {
                destination: "ann".into(),
                acknowledged: None,
                response,
            },
        );
        calls.response(
            "eve",
            RpcResponse {
                request_id: "1".into(),
                value: None,
            },
        );
        calls.participant_left("ann");
        assert_eq!(
            answered.await.unwrap().unwrap_err().code,
            RpcError::RECIPIENT_DISCONNECTED
        );
    }
}
