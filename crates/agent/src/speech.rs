//! The handle of one utterance of the agent: wait for it, stop it, protect it.

use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::Command;
use tokio::sync::watch;

use crate::error::SessionError;
use crate::session::WeakSession;

/// How a speech ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechOutcome {
    /// Everything was played to the caller.
    Played,
    /// It was interrupted, refused or failed, or the session ended: the history holds what was heard of it.
    Interrupted,
}

/// How far a speech is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpeechStatus {
    /// Steps whose words were all played: what a tool waits for that wants the words before it to be heard.
    pub(crate) steps_spoken: u32,
    pub(crate) outcome: Option<SpeechOutcome>,
}

/// One utterance of the agent (LiveKit's speech handle). Clones are handles of the same; dropping it stops nothing.
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

    /// Its name in events.
    pub fn id(&self) -> SpeechId {
        self.id
    }

    /// Waits until it is over. Never fails: a session that ends has interrupted it. A tool must not wait in this way for the
    /// speech that called it, which waits for the tool: for the words before it there is
    /// [`ToolContext::wait_for_playout`](crate::ToolContext::wait_for_playout).
    pub async fn wait_for_playout(&self) -> SpeechOutcome {
        let mut status = self.status.clone();
        let over = status.wait_for(|status| status.outcome.is_some()).await;
        over.ok()
            .and_then(|status| status.outcome)
            .unwrap_or(SpeechOutcome::Interrupted)
    }

    /// Waits until so many steps of it were played, or it is over.
    pub(crate) async fn wait_for_step(&self, steps: u32) -> SpeechOutcome {
        let mut status = self.status.clone();
        let there =
            |status: &SpeechStatus| status.outcome.is_some() || status.steps_spoken >= steps;
        match status.wait_for(there).await {
            Ok(status) => status.outcome.unwrap_or(SpeechOutcome::Played),
            Err(_) => SpeechOutcome::Interrupted,
        }
    }

    /// Is it over, and how? `None`: it waits or is being said.
    pub fn outcome(&self) -> Option<SpeechOutcome> {
        let over = self.status.has_changed().is_err();
        let outcome = self.status.borrow().outcome;
        outcome.or(over.then_some(SpeechOutcome::Interrupted))
    }

    /// Stop it, wherever it is. `force` also when it may not be interrupted.
    ///
    /// # Errors
    /// It may not be interrupted ([`SessionError::NotInterrupted`] says what to do), or the session is closed or busy.
    pub async fn interrupt(&self, force: bool) -> Result<(), SessionError> {
        let session = self.session.upgrade().ok_or(SessionError::Closed)?;
        session.interrupt_speech(self.id, force).await
    }

    /// From here on it may, or may not, be interrupted.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn allow_interruptions(&self, allow: bool) -> Result<(), SessionError> {
        let session = self.session.upgrade().ok_or(SessionError::Closed)?;
        let speech = self.id;
        session.command(Command::AllowInterruptions { speech, allow })
    }
}
