//! What a failed attempt to register means: whether it may work later, and when.

use std::time::Duration;

use antiphon_client::socket::is_passing;

use crate::WorkerError;

/// What an unsuccessful attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Another attempt would be refused in the same way.
    Final,
    /// It may work later, but not for ever.
    AsFailure,
    /// The server is there and asks for patience.
    Not,
}

impl Counts {
    /// May another attempt be let in?
    pub(crate) fn may_pass(self) -> bool {
        self != Self::Final
    }
}

/// How long the server wants to be left alone, and what the failure means.
pub(crate) fn patience(error: &WorkerError) -> (Option<Duration>, Counts) {
    match error {
        WorkerError::Refused {
            status,
            retry_after,
            ..
        } => {
            let counts = match *status {
                429 => Counts::Not,
                status if is_passing(status) => Counts::AsFailure,
                _ => Counts::Final,
            };
            (*retry_after, counts)
        }
        WorkerError::Certificate { .. } | WorkerError::Token(_) | WorkerError::Room(_) => {
            (None, Counts::Final)
        }
        WorkerError::Unreachable { .. }
        | WorkerError::GaveUp { .. }
        | WorkerError::Protocol(_)
        | WorkerError::Lost { .. }
        | WorkerError::Audio(_)
        | WorkerError::SeatTaken
        | WorkerError::DrainTimeout { .. } => (None, Counts::AsFailure),
    }
}
