//! The end of a session, and of an agent's time in it: its `on_exit` runs, for a bounded time, and what waits for it goes on.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::input::Command;
use antiphon_dialogue::{Event, Input};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::Driver;
use super::ending::{CLOSE_LIMIT, Closed, DRAIN_LIMIT, EXIT_LIMIT, Farewell};
use crate::handle::{AgentSession, Closing};
use crate::hooks::Hook;
use crate::measure;

impl Driver {
    /// Nothing is left to be done.
    pub(super) fn is_over(&self) -> bool {
        self.closed == Closed::Yes && self.farewell == Farewell::Over
    }

    /// The dialogue is over: the last agent takes leave, if it has not begun to.
    pub(super) fn take_leave(&mut self) {
        if self.closed == Closed::Yes && self.farewell == Farewell::NotBegun {
            self.begin_farewell(false);
        }
    }

    /// The order to close; gives the instant at which patience ends.
    pub(super) fn close(&mut self, order: Closing) -> tokio::time::Instant {
        self.reason.get_or_insert(order.reason);
        if self.farewell == Farewell::NotBegun {
            self.begin_farewell(order.drain);
        }
        let waits = order.drain && self.farewell == Farewell::Runs { drain: true };
        if !waits {
            self.tell(Input::Command(Command::Close { drain: order.drain }));
        }
        let limit = if order.drain {
            DRAIN_LIMIT
        } else {
            CLOSE_LIMIT
        };
        let exit = match self.farewell {
            Farewell::Runs { .. } => EXIT_LIMIT,
            Farewell::NotBegun | Farewell::Over => Duration::ZERO,
        };
        tokio::time::Instant::now() + limit + exit
    }

    /// It cannot go on, for a reason that the dialogue does not know.
    pub(super) fn fails(&mut self, error: &str) {
        self.reason = Some(CloseReason::Error);
        self.error.get_or_insert_with(|| error.to_owned());
    }

    /// `Closed`, with what the dialogue says of it. Who asked it to close, and what failed outside, it does not know.
    pub(super) fn last_event(&mut self, reason: CloseReason, error: Option<String>) -> Event {
        let reason = *self.reason.get_or_insert(reason);
        let error = self.error.take().or(error);
        Event::Closed {
            reason,
            error: error.filter(|_| reason == CloseReason::Error),
        }
    }

    /// The last agent goes. `drain`: what it says now is said before the end.
    fn begin_farewell(&mut self, drain: bool) {
        let hook = self.agent.hooks.on_exit.clone();
        let Some((hook, session)) = hook.zip(self.session.upgrade()) else {
            self.farewell = Farewell::Over;
            return;
        };
        self.farewell = Farewell::Runs { drain };
        let exited = self.exited.clone();
        let goodbye = async move {
            leave(hook, session).await;
            let _ = exited.send(()).await; // the session is over
        };
        tokio::spawn(goodbye.in_current_span());
    }

    /// Its `on_exit` is over.
    pub(super) fn said_goodbye(&mut self) {
        let before = std::mem::replace(&mut self.farewell, Farewell::Over);
        if before == (Farewell::Runs { drain: true }) {
            self.tell(Input::Command(Command::Close { drain: true }));
        }
    }

    /// One agent goes and another comes, in this order.
    pub(super) fn exchange(&self, goes: Option<Hook>, comes: Option<Hook>) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        if goes.is_none() && comes.is_none() {
            return;
        }
        let work = async move {
            if let Some(hook) = goes {
                leave(hook, session.clone()).await;
            }
            if let Some(hook) = comes {
                enter(hook, session).await;
            }
        };
        tokio::spawn(work.in_current_span());
    }
}

/// An agent that comes has time until the session is over, and its panic is its own.
async fn enter(hook: Hook, session: AgentSession) {
    let own = session.clone();
    let work = AssertUnwindSafe(async move { hook(own).await }).catch_unwind();
    tokio::select! {
        result = work => if result.is_err() {
            measure::panicked("on_enter");
        },
        _ = session.closed() => {}
    }
}

/// Nobody waits for ever for an agent to go, and its panic is its own.
async fn leave(hook: Hook, session: AgentSession) {
    let work = AssertUnwindSafe(async move { hook(session).await }).catch_unwind();
    match tokio::time::timeout(EXIT_LIMIT, work).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => measure::panicked("on_exit"),
        Err(_) => tracing::warn!(limit = ?EXIT_LIMIT, "on_exit takes too long and is dropped"),
    }
}
