//! A program that follows calls from outside: `antiphon dev` shows them in the terminal.

use std::sync::Arc;

use antiphon_dialogue::{Event, Instant};

/// Follows one call: it is told every event of the session, with the time on the session's clock. It runs on the call's own
/// task, so it must not block. It is dropped when the call is over.
pub type Watch = Box<dyn FnMut(Instant, &Event) + Send>;

/// Gives every call somebody who follows it.
#[derive(Clone)]
pub struct Watcher(Arc<dyn Fn(&str) -> Watch + Send + Sync>);

impl Watcher {
    /// `begin` is asked once a call, with the name of its room.
    pub fn new(begin: impl Fn(&str) -> Watch + Send + Sync + 'static) -> Self {
        Self(Arc::new(begin))
    }

    pub(super) fn begin(&self, room: &str) -> Watch {
        (self.0)(room)
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}
