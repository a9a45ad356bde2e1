//! How far the end of a session has come, and how long it may take.

use std::time::Duration;

use antiphon_dialogue::limits::DRAIN_TIMEOUT;

/// A dialogue that was told to close does so within this time, or is closed.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(3);
/// The same for an order to finish speaking first. Longer than the dialogue's own limit, at which it cuts the speech and
/// then still keeps what was heard: a driver that left at the same moment would lose that.
pub(super) const DRAIN_LIMIT: Duration = DRAIN_TIMEOUT.saturating_add(CLOSE_LIMIT);
/// The longest that an agent's `on_exit` is waited for: two sentences of goodbye, or something written to a database.
pub(super) const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// A session that is closed without finishing to speak is over within this: its agent's `on_exit`, and the dialogue.
pub const CLOSES_WITHIN: Duration = EXIT_LIMIT.saturating_add(CLOSE_LIMIT);

/// What the last agent still has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Nobody is going.
    NotBegun,
    /// Its `on_exit` runs; then the order to finish speaking is carried out, if there was one.
    Runs { drain: bool },
    /// Nothing.
    Over,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    No,
    /// The event was given out.
    Told,
    /// The dialogue is over.
    Yes,
}
