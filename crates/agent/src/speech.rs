//! The handle of one utterance of the agent: wait for it, stop it, protect it.

use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::Command;
use tokio::sync::watch;

use crate::error::SessionError;
use crate::handle::{SpeechStatus, WeakSession};

pub use crate::handle::SpeechOutcome;

/// A handle of one utterance of the agent (LiveKit's speech handle). Clones are handles of the same utterance. Dropping a handle stops nothing.
#[derive(Clone, Debug)]
pub struct SpeechHandle {
    id: SpeechId,
    session: WeakSession,
    status: watch::Receiver<SpeechStatus>,
}

impl SpeechHandle {
    pub(crate) fn new(
        id: SpeechId,
        session: WeakSession,
        status: watch::Receiver<SpeechStatus>,
    ) -> Self {
        Self {
            id,
            session,
            status,
        }
    }

    /// The id of the utterance in events.
    pub fn id(&self) -> SpeechId {
        self.id
    }

    /// Waits until the utterance is over. Never fails: if the session ends, the utterance counts as interrupted. A tool must not wait in
    /// this way for the speech that called it, because that speech waits for the tool.
    /// [`ToolContext::wait_for_playout`](crate::ToolContext::wait_for_playout) waits for the words before the call.
    pub async fn wait_for_playout(&self) -> SpeechOutcome {
        let mut status = self.status.clone();
        let over = status.wait_for(|status| status.outcome.is_some()).await;
        over.ok()
            .and_then(|status| status.outcome)
            .unwrap_or(SpeechOutcome::Interrupted)
    }

    /// Waits until this many steps of it were played, or it is over.
    pub(crate) async fn wait_for_step(&self, steps: u32) -> SpeechOutcome {
        let mut status = self.status.clone();
        let there =
            |status: &SpeechStatus| status.outcome.is_some() || status.steps_spoken >= steps;
        match status.wait_for(there).await {
            Ok(status) => status.outcome.unwrap_or(SpeechOutcome::Played),
            Err(_) => SpeechOutcome::Interrupted,
        }
    }

    /// How the utterance ended; `None` while it waits or is being said.
    pub fn outcome(&self) -> Option<SpeechOutcome> {
        let over = self.status.has_changed().is_err();
        let outcome = self.status.borrow().outcome;
        outcome.or(over.then_some(SpeechOutcome::Interrupted))
    }

    /// Stops the utterance, wherever it is; with `force` also when it may not be interrupted.
    ///
    /// # Errors
    /// The utterance may not be interrupted ([`SessionError::NotInterrupted`] says what to do), or the session is closed or busy.
    pub async fn interrupt(&self, force: bool) -> Result<(), SessionError> {
        let session = self.session.upgrade().ok_or(SessionError::Closed)?;
        session.interrupt_speech(self.id, force).await
    }

    /// Sets whether the utterance may be interrupted from here on.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn allow_interruptions(&self, allow: bool) -> Result<(), SessionError> {
        let session = self.session.upgrade().ok_or(SessionError::Closed)?;
        let speech = self.id;
        session.command(Command::AllowInterruptions { speech, allow })
    }
}
