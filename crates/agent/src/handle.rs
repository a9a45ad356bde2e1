//! The handle of a running call: every order to it and every question about it goes through here, and here is what is known of it
//! from outside. The handle knows neither agents nor tools, which know sessions themselves; an order that brings one of them is
//! sealed, and only the driver opens it ([`Change`](crate::driver::Change)).

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use antiphon_chat::ChatContext;
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::Command;
use antiphon_dialogue::metrics::SessionUsage;
use antiphon_dialogue::options::OptionsError;
use antiphon_dialogue::update::check_instructions;
use antiphon_dialogue::{Event, Input, Instant, NotInterrupted, OptionsPatch};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::error::SessionError;

/// One conversation with one caller. Clones are handles of the same session. The session is closed when the last handle is dropped.
///
/// [`update_agent`](Self::update_agent) changes who speaks. [`update_instructions`](Self::update_instructions),
/// [`update_tools`](Self::update_tools) and [`update_chat_ctx`](Self::update_chat_ctx) change the instructions, the tools and the context of
/// the present agent, and [`update_options`](Self::update_options) changes how the dialogue behaves.
#[derive(Clone, Debug)]
pub struct AgentSession {
    inner: Arc<Inner>,
}

/// A handle that does not keep the session alive (tools have one).
#[derive(Clone, Debug, Default)]
pub struct WeakSession {
    inner: Weak<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: Arc<str>,
    requests: mpsc::Sender<Request>,
    /// Weak: subscribers see the end when the driver drops its sender.
    events: broadcast::WeakSender<(Instant, Event)>,
    /// Made before the session began, so that its first subscriber misses nothing.
    first_events: Mutex<Option<broadcast::Receiver<(Instant, Event)>>>,
    closing: watch::Sender<Option<Closing>>,
    outcome: watch::Receiver<Option<Outcome>>,
    /// How many speeches the program has asked for: their names.
    speeches: AtomicU32,
}

/// An order to close. Kept beside the queue of requests so that it always gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) reason: CloseReason,
    pub(crate) drain: bool,
}

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

/// How a session ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) reason: CloseReason,
    pub(crate) history: ChatContext,
    pub(crate) usage: SessionUsage,
}

/// What a handle asks of the driver.
pub(crate) enum Request {
    Input(Input),
    /// Another agent or other tools: a [`Change`](crate::driver::Change).
    Change(Box<dyn Any + Send>),
    /// The speech of this name, and who waits for it.
    Speak(Command, SpeechId, watch::Sender<SpeechStatus>),
    /// An order to stop speaking, and who wants to know whether it was carried out.
    Interrupt(Command, oneshot::Sender<Result<(), NotInterrupted>>),
    Watch(SpeechId, watch::Sender<SpeechStatus>),
    UpdateInstructions(Arc<str>),
    UpdateChatCtx(ChatContext),
    ChatCtx(oneshot::Sender<ChatContext>),
    History(oneshot::Sender<ChatContext>),
    Usage(oneshot::Sender<SessionUsage>),
    UpdateOptions(Box<OptionsPatch>, oneshot::Sender<Result<(), OptionsError>>),
}

/// The driver's ends of a handle's channels.
#[derive(Debug)]
pub(crate) struct Controls {
    pub(crate) id: Arc<str>,
    pub(crate) session: WeakSession,
    pub(crate) history: ChatContext,
    pub(crate) began_unix: Duration,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) events: broadcast::Sender<(Instant, Event)>,
    pub(crate) closing: watch::Receiver<Option<Closing>>,
    pub(crate) outcome: watch::Sender<Option<Outcome>>,
}

impl AgentSession {
    /// Requests that may wait for the driver; more are refused with [`SessionError::Busy`]. People do not type faster.
    pub const REQUEST_LIMIT: usize = 64;
    /// Events that a subscriber may be behind; the oldest are lost to it (and counted in its log line).
    pub const EVENT_LIMIT: usize = 256;
    /// The longest text that a caller may type at once, in bytes; what is over is cut off.
    pub const USER_TEXT_LIMIT: usize = 16 * 1024;

    /// A handle, and the ends of its channels for the driver.
    pub(crate) fn open(history: ChatContext) -> (Self, Controls) {
        let began_unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let id: Arc<str> = format!("AS_{:012x}", rand::random::<u64>() >> 16).into();
        let (requests_in, requests) = mpsc::channel(Self::REQUEST_LIMIT);
        let (events, first) = broadcast::channel(Self::EVENT_LIMIT);
        let (closing_in, closing) = watch::channel(None);
        let (outcome_in, outcome) = watch::channel(None);
        let inner = Arc::new(Inner {
            id: id.clone(),
            requests: requests_in,
            events: events.downgrade(),
            first_events: Mutex::new(Some(first)),
            closing: closing_in,
            outcome,
            speeches: AtomicU32::new(1),
        });
        let session = WeakSession {
            inner: Arc::downgrade(&inner),
        };
        let controls = Controls {
            id,
            session,
            history,
            began_unix,
            requests,
            events,
            closing,
            outcome: outcome_in,
        };
        (Self { inner }, controls)
    }

    /// The name of the next speech that the program asks for.
    pub(crate) fn next_speech(&self) -> SpeechId {
        let number = self.inner.speeches.fetch_add(1, Ordering::Relaxed);
        SpeechId::of_program(number)
    }

    /// The session's id in logs.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Subscribes to everything that happens from here on. The first subscriber gets everything since the start.
    pub fn events(&self) -> Events {
        let first = self
            .inner
            .first_events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let later = || match self.inner.events.upgrade() {
            Some(events) => events.subscribe(),
            None => broadcast::channel(1).1,
        };
        Events {
            receiver: first.unwrap_or_else(later),
        }
    }

    /// Says that the caller can hear the agent now, so that the agent greets.
    ///
    /// # Errors
    /// The session is closed or busy, like all requests.
    pub fn started(&self) -> Result<(), SessionError> {
        self.request(Request::Input(Input::Started))
    }

    /// Hands over what the caller has typed, cut to [`Self::USER_TEXT_LIMIT`] bytes.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn user_text(&self, text: impl Into<String>) -> Result<(), SessionError> {
        let mut text = text.into();
        truncate(&mut text, Self::USER_TEXT_LIMIT);
        self.request(Request::Input(Input::UserText(text)))
    }

    /// Stops the present speech, speeches that wait for tools, and speeches that wait to be said, up to the first one that may not be
    /// interrupted (LiveKit's rule). `force` stops all of them. When this returns, the agent is silent.
    ///
    /// # Errors
    /// The present speech may not be interrupted ([`SessionError::NotInterrupted`]; nothing is stopped then), or the session is closed
    /// or busy.
    pub async fn interrupt(&self, force: bool) -> Result<(), SessionError> {
        self.stop(Command::Interrupt { force }).await
    }

    /// Stops one speech, wherever it is; with `force` also when it may not be interrupted. For a speech that is over, nothing happens.
    ///
    /// # Errors
    /// As [`Self::interrupt`], of this speech.
    pub async fn interrupt_speech(
        &self,
        speech: SpeechId,
        force: bool,
    ) -> Result<(), SessionError> {
        self.stop(Command::InterruptSpeech { speech, force }).await
    }

    /// The dialogue decides in the same step in which it would stop: nothing can happen in between.
    async fn stop(&self, order: Command) -> Result<(), SessionError> {
        let (answer, answered) = oneshot::channel();
        self.request(Request::Interrupt(order, answer))?;
        Ok(answered.await.map_err(|_| SessionError::Closed)??)
    }

    /// Replaces the instructions of the present agent, from the next request to the model on. A request that is under way is not changed.
    /// An answer that was begun before the turn was over is begun anew. The history gets an `agent_config_update`, unless the
    /// instructions are the same as before. Another agent begins with its own instructions. After a task, an agent has the instructions
    /// that it had before the task.
    ///
    /// # Errors
    /// The instructions are longer than 64 KiB ([`SessionError::Update`]), or the session is closed or busy.
    pub fn update_instructions(&self, text: impl Into<Arc<str>>) -> Result<(), SessionError> {
        let text = text.into();
        check_instructions(&text)?;
        self.request(Request::UpdateInstructions(text))
    }

    /// What the present agent knows: the messages, calls and results of the next request to the model. This is what was said since the
    /// agent took over (or everything, if it keeps the history), or what [`update_chat_ctx`](Self::update_chat_ctx) gave it. Empty after
    /// the end of the session.
    pub async fn chat_ctx(&self) -> ChatContext {
        self.ask(Request::ChatCtx, |_| ChatContext::default()).await
    }

    /// Replaces what the present agent knows of the conversation, from the next request to the model on: with a shorter
    /// [`chat_ctx`](Self::chat_ctx), for instance. Calls without a result, results without a call, and the beginning of a very long
    /// context are left out. In any case the agent knows the turn that is not answered yet, and the answer that is being given with its
    /// calls. [`history`](Self::history) stays complete.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn update_chat_ctx(&self, context: ChatContext) -> Result<(), SessionError> {
        self.request(Request::UpdateChatCtx(context))
    }

    /// Ends the caller's turn, whatever the turn detection says. With manual turn detection this is the only way to end a turn. The session
    /// waits for words that are not final yet, at most for the option `transcript_timeout`, and then answers.
    /// [`Command::CommitUserTurn`] can set another time-out, and can commit a turn without an answer.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn commit_user_turn(&self) -> Result<(), SessionError> {
        self.command(Command::CommitUserTurn {
            transcript_timeout: None,
            skip_reply: false,
        })
    }

    /// With manual turn detection: forgets what the caller has said in this turn.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn clear_user_turn(&self) -> Result<(), SessionError> {
        self.command(Command::ClearUserTurn)
    }

    /// Changes how the dialogue behaves from here on: endpointing, interruption, turn detection and so on. Overrides of the present agent
    /// ([`AgentBuilder::overrides`](crate::AgentBuilder::overrides)) keep their values. The change also counts for later agents. If the
    /// options of a later agent contradict the change, that agent speaks with its own options alone, and an error event says so.
    ///
    /// # Errors
    /// The options would contradict each other (nothing is changed then), or the session is closed or busy.
    pub async fn update_options(&self, patch: OptionsPatch) -> Result<(), SessionError> {
        let (answer, answered) = oneshot::channel();
        self.request(Request::UpdateOptions(Box::new(patch), answer))?;
        Ok(answered.await.map_err(|_| SessionError::Closed)??)
    }

    /// Sends any command of the dialogue, with all its options.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn command(&self, command: Command) -> Result<(), SessionError> {
        self.request(Request::Input(Input::Command(command)))
    }

    /// Ends the session now. This always gets through, also when the session is busy. The first reason counts.
    pub fn close(&self, reason: CloseReason) {
        self.order_close(Closing {
            reason,
            drain: false,
        });
    }

    /// Ends the session when everything has been said that is being said or waits to be said, including an answer to the caller, as
    /// LiveKit does. Nothing new is begun, and after a minute the agent is cut off. A tool can call this: the caller is still told the
    /// tool's own result. A later [`close`](Self::close) ends the session at once.
    pub fn drain(&self, reason: CloseReason) {
        self.order_close(Closing {
            reason,
            drain: true,
        });
    }

    /// Waits until the session is over, and says why it ended.
    pub async fn closed(&self) -> CloseReason {
        let mut outcome = self.inner.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await;
        // The driver always leaves an outcome, even when it panics; without one nobody is there to ask.
        ended
            .ok()
            .and_then(|outcome| outcome.as_ref().map(|o| o.reason))
            .unwrap_or(CloseReason::Error)
    }

    /// Is the session over?
    pub fn is_closed(&self) -> bool {
        self.inner.outcome.borrow().is_some()
    }

    /// Everything that was said, called and answered so far, oldest first. Works after the end as well.
    pub async fn history(&self) -> ChatContext {
        self.ask(Request::History, |outcome| outcome.history.clone())
            .await
    }

    /// The tokens, characters and seconds of sound that were used so far, in total and for every model. Works after the end as well.
    pub async fn usage(&self) -> SessionUsage {
        self.ask(Request::Usage, |outcome| outcome.usage.clone())
            .await
    }

    /// Asks the driver, or after its end what it left.
    async fn ask<T: Default>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Request,
        left: impl FnOnce(&Outcome) -> T,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        if self.inner.requests.send(question(answer)).await.is_ok()
            && let Ok(found) = answered.await
        {
            return found;
        }
        self.inner
            .outcome
            .borrow()
            .as_ref()
            .map(left)
            .unwrap_or_default()
    }

    /// A handle that does not keep the session alive.
    pub fn downgrade(&self) -> WeakSession {
        WeakSession {
            inner: Arc::downgrade(&self.inner),
        }
    }

    fn order_close(&self, closing: Closing) {
        self.inner
            .closing
            .send_if_modified(|current| match current {
                None => {
                    *current = Some(closing);
                    true
                }
                Some(earlier) if earlier.drain && !closing.drain => {
                    earlier.drain = false;
                    true
                }
                Some(_) => false,
            });
    }

    pub(crate) fn request(&self, request: Request) -> Result<(), SessionError> {
        self.inner
            .requests
            .try_send(request)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SessionError::Busy,
                mpsc::error::TrySendError::Closed(_) => SessionError::Closed,
            })
    }
}

impl WeakSession {
    /// The session, if it still runs.
    pub fn upgrade(&self) -> Option<AgentSession> {
        self.inner.upgrade().map(|inner| AgentSession { inner })
    }
}

/// A subscription to a session's events.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<(Instant, Event)>,
}

impl Events {
    /// The next event and when it happened on the session's clock; `None` after the session's end. A subscriber that is
    /// too slow loses the oldest ones.
    pub async fn recv(&mut self) -> Option<(Instant, Event)> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    tracing::warn!(
                        lost,
                        "a subscriber of session events is too slow and lost some"
                    );
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// Cut a text to at most `limit` bytes at a character.
pub(crate) fn truncate(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = (0..=limit)
            .rev()
            .find(|&end| text.is_char_boundary(end))
            .unwrap_or(0);
        text.truncate(end);
    }
}
