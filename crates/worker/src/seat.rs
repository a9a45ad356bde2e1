//! A job's place among those of its worker. An agent that waits for its caller to return keeps the place only as long as nobody
//! else needs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

const TALKS: u8 = 0;
const WAITS: u8 = 1;
const GIVEN_AWAY: u8 = 2;

/// A job's place. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub struct Seat {
    state: Arc<AtomicU8>,
    given: CancellationToken,
}

impl Seat {
    fn turn(&self, from: u8, to: u8) -> bool {
        let turned = self
            .state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        turned.is_ok()
    }

    /// The caller has left and may return: a new caller may have the place.
    pub fn wait(&self) {
        self.turn(TALKS, WAITS);
    }

    /// Somebody is talked to. False: the place was given away, and the job has to end.
    #[must_use]
    pub fn talk(&self) -> bool {
        self.turn(WAITS, TALKS) || self.state.load(Ordering::Acquire) == TALKS
    }

    /// The place was given away.
    pub async fn given_away(&self) {
        self.given.cancelled().await;
    }

    /// Give the place to somebody else, if nobody is talked to.
    pub(crate) fn give_away(&self) -> bool {
        let given = self.turn(WAITS, GIVEN_AWAY);
        if given {
            self.given.cancel();
        }
        given
    }

    /// Does it take a place from others?
    pub(crate) fn is_taken(&self) -> bool {
        self.state.load(Ordering::Acquire) == TALKS
    }

    /// May it be given away?
    pub(crate) fn waits(&self) -> bool {
        self.state.load(Ordering::Acquire) == WAITS
    }
}
