//! What a tool knows about its call, and what it can tell and ask while it runs.

use std::sync::Arc;

use crate::roster::Roster;
use antiphon_dialogue::Input;
use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::Command;
use antiphon_dialogue::options::Filler;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::SessionError;
use crate::handle::WeakSession;
use crate::speech::{SpeechHandle, SpeechOutcome};

/// What a tool knows about its call (LiveKit's `RunContext`). Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ToolContext {
    /// The id that the model gave this call.
    pub call_id: String,
    /// A key that is the same for every attempt at the same call. A tool with side effects can use the key to act only once.
    pub idempotency_key: String,
    /// The conversation of the call. The handle does not keep the conversation alive.
    pub session: WeakSession,
    /// Cancelled when nobody waits for the result any more. A tool that ignores this is dropped a little later.
    pub cancelled: CancellationToken,
    /// Who called the tool; nobody in a test that calls the tool itself.
    pub caller: Caller,
}

/// The speech that a tool belongs to.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// And in which of its steps.
    pub(crate) speech: Option<(SpeechHandle, u32)>,
    /// Where it tells what it has to tell.
    pub(crate) facts: Option<mpsc::Sender<Input>>,
    pub(crate) roster: Option<Arc<Roster>>,
}

impl ToolContext {
    /// Waits until the caller has heard the words that the agent said before it called this tool, or has interrupted them.
    pub async fn wait_for_playout(&self) -> SpeechOutcome {
        match &self.caller.speech {
            Some((speech, step)) => speech.wait_for_step(*step).await,
            None => SpeechOutcome::Played,
        }
    }

    /// From here on the caller cannot interrupt the speech that called this tool, until it is over.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn disallow_interruptions(&self) -> Result<(), SessionError> {
        match &self.caller.speech {
            Some((speech, _)) => speech.allow_interruptions(false),
            None => Ok(()),
        }
    }

    /// Tells the model how far the tool has got. After the first update nobody waits for this tool any more: the conversation goes on,
    /// and the caller is told later updates, and the result, as soon as nobody speaks. Each update starts the time limit of the tool
    /// again.
    pub async fn update(&self, message: impl Into<String>) {
        self.tell(Input::ToolUpdated {
            call_id: self.call_id.clone(),
            message: message.into(),
        })
        .await;
    }

    /// Sets what is said while this call is slow, instead of what the tool's options say; `None`: nothing.
    pub async fn filler(&self, filler: Option<Filler>) {
        self.tell(Input::Command(Command::SetFiller {
            call_id: self.call_id.clone(),
            filler,
        }))
        .await;
    }

    async fn tell(&self, input: Input) {
        if let Some(facts) = &self.caller.facts {
            let _ = facts.send(input).await; // the session is over
        }
    }

    /// Name of the speech that called this tool.
    pub fn speech_id(&self) -> Option<SpeechId> {
        self.caller.speech.as_ref().map(|(speech, _)| speech.id())
    }
}
