//! The handle of a running session.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use antiphon_chat::ChatContext;
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::{Command, GenerateReply, Say};
use antiphon_dialogue::metrics::SessionUsage;
use antiphon_dialogue::options::OptionsError;
use antiphon_dialogue::update::check_instructions;
use antiphon_dialogue::{Event, Input, Instant, NotInterrupted, OptionsPatch};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::agent::Agent;
use crate::driver;
use crate::error::SessionError;
use crate::io::SessionIo;
use crate::speech::{SpeechHandle, SpeechStatus};
use crate::tool::Tool;

/// One conversation with one caller. Clones are handles of the same session; it is closed when the last is dropped.
///
/// Who speaks is changed with [`update_agent`](Self::update_agent). What the present agent is told, can do and knows is changed with
/// [`update_instructions`](Self::update_instructions), [`update_tools`](Self::update_tools) and
/// [`update_chat_ctx`](Self::update_chat_ctx), and how it behaves with [`update_options`](Self::update_options).
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
    UpdateAgent(Box<Agent>),
    /// The speech of this name, and who waits for it.
    Speak(Command, SpeechId, watch::Sender<SpeechStatus>),
    /// An order to stop speaking, and who wants to know whether it was carried out.
    Interrupt(Command, oneshot::Sender<Result<(), NotInterrupted>>),
    Watch(SpeechId, watch::Sender<SpeechStatus>),
    UpdateInstructions(Arc<str>),
    /// And who wants to know whether they are taken.
    UpdateTools(
        Vec<Arc<dyn Tool>>,
        oneshot::Sender<Result<(), SessionError>>,
    ),
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

    /// Start a session on the current tokio runtime. It says nothing until [`started`](Self::started).
    pub fn start(agent: Agent, io: SessionIo) -> Self {
        Self::start_with_history(agent, io, ChatContext::new())
    }

    /// The same, with what was said before: of an earlier session ([`history`](Self::history)), or read from LiveKit's JSON
    /// ([`ChatContext::from_json`]). Calls without a result and results without a call are left out of it, and of a very
    /// long one the beginning.
    pub fn start_with_history(agent: Agent, io: SessionIo, history: ChatContext) -> Self {
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
        driver::spawn(
            agent,
            io,
            Controls {
                id,
                session,
                history,
                began_unix,
                requests,
                events,
                closing,
                outcome: outcome_in,
            },
        );
        Self { inner }
    }

    /// Its name in logs.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Everything that happens from here on; the first subscriber hears everything since the start.
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

    /// The caller can hear us now: greet.
    ///
    /// # Errors
    /// The session is closed or busy, like all requests.
    pub fn started(&self) -> Result<(), SessionError> {
        self.request(Request::Input(Input::Started))
    }

    /// The caller typed something. Cut to [`Self::USER_TEXT_LIMIT`] bytes.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn user_text(&self, text: impl Into<String>) -> Result<(), SessionError> {
        let mut text = text.into();
        truncate(&mut text, Self::USER_TEXT_LIMIT);
        self.request(Request::Input(Input::UserText(text)))
    }

    /// Speak this text when the floor is free; no model is asked. A text alone is interruptible as the options say and part
    /// of the history; a [`Say`] says otherwise.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn say(&self, say: impl Into<Say>) -> Result<SpeechHandle, SessionError> {
        let id = self.speech_id();
        let say = Say {
            id: Some(id),
            ..say.into()
        };
        self.speak(id, Command::Say(say))
    }

    /// Have the model say something when the floor is free.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn generate_reply(&self, asked: GenerateReply) -> Result<SpeechHandle, SessionError> {
        let id = self.speech_id();
        let asked = GenerateReply {
            id: Some(id),
            ..asked
        };
        self.speak(id, Command::GenerateReply(asked))
    }

    fn speech_id(&self) -> SpeechId {
        let number = self.inner.speeches.fetch_add(1, Ordering::Relaxed);
        SpeechId::of_program(number)
    }

    fn speak(&self, id: SpeechId, command: Command) -> Result<SpeechHandle, SessionError> {
        let (status, watched) = watch::channel(SpeechStatus::default());
        self.request(Request::Speak(command, id, status))?;
        Ok(SpeechHandle::new(id, self.downgrade(), watched))
    }

    /// The handle of a speech that somebody else began: an answer to the caller, the greeting. Of one that is over the
    /// handle says how it ended, too, if it is one of the last 256; an older one counts as interrupted.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn speech(&self, id: SpeechId) -> Result<SpeechHandle, SessionError> {
        let (status, watched) = watch::channel(SpeechStatus::default());
        self.request(Request::Watch(id, status))?;
        Ok(SpeechHandle::new(id, self.downgrade(), watched))
    }

    /// Stop what is being said, what waits for tools, and what waits to be said, up to the first speech that may not be
    /// interrupted (LiveKit's rule). `force` stops all. When it comes back, the words have stopped.
    ///
    /// # Errors
    /// The present speech may not be interrupted ([`SessionError::NotInterrupted`]; nothing happens then), or the session is
    /// closed or busy.
    pub async fn interrupt(&self, force: bool) -> Result<(), SessionError> {
        self.stop(Command::Interrupt { force }).await
    }

    /// Stop one speech, wherever it is; `force` also when it may not be interrupted. One that is over is none to be stopped.
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

    /// Another agent takes the conversation over, after everything that waits to be said now. A tool does the same by
    /// giving the agent back. Tasks that have the floor then end without a result.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn update_agent(&self, agent: Agent) -> Result<(), SessionError> {
        self.request(Request::UpdateAgent(Box::new(agent)))
    }

    /// The present agent's instructions are these, from the next request to the model on; all of them, not an addition. A
    /// request that is under way is not changed; an answer that was begun before the turn was over is begun anew. The
    /// history gets an `agent_config_update`, unless they are what they were. Another agent begins with its own; after a task
    /// an agent has those that it had before it.
    ///
    /// # Errors
    /// They are longer than 64 KiB ([`SessionError::Update`]), or the session is closed or busy.
    pub fn update_instructions(&self, text: impl Into<Arc<str>>) -> Result<(), SessionError> {
        let text = text.into();
        check_instructions(&text)?;
        self.request(Request::UpdateInstructions(text))
    }

    /// The present agent's tools are these and no others, from the next request to the model on. Calls that are running get
    /// their result, also of a tool that is gone. How the agent's author wants a tool to be run
    /// ([`AgentBuilder::tool_options`](crate::AgentBuilder::tool_options)) counts for these, too. The history gets an
    /// `agent_config_update` with the names that came and went, if any did. For whom and how long they count, see
    /// [`update_instructions`](Self::update_instructions).
    ///
    /// # Errors
    /// A bad or duplicate name, a schema that is none ([`SessionError::Tools`]) or more than 128 of them
    /// ([`SessionError::Update`]): nothing is changed then. Or the session is closed or busy.
    pub async fn update_tools(
        &self,
        tools: impl IntoIterator<Item = Arc<dyn Tool>>,
    ) -> Result<(), SessionError> {
        let (answer, answered) = oneshot::channel();
        let tools = tools.into_iter().collect();
        self.request(Request::UpdateTools(tools, answer))?;
        answered.await.map_err(|_| SessionError::Closed)?
    }

    /// What the present agent knows: messages, calls and results as the next request to the model has them. None of what was
    /// said before its time, unless it keeps the history; and what it was given by
    /// [`update_chat_ctx`](Self::update_chat_ctx). After the end of the session nothing.
    pub async fn chat_ctx(&self) -> ChatContext {
        self.ask(Request::ChatCtx, |_| ChatContext::default()).await
    }

    /// The present agent knows this instead of what was said so far, from the next request to the model on: a shorter
    /// [`chat_ctx`](Self::chat_ctx), for instance. Calls without a result and results without a call are left out of it, and
    /// of a very long one the beginning. A turn that is not answered yet, and the answer that is being given with its calls,
    /// it knows whatever stands here. [`history`](Self::history) stays complete.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn update_chat_ctx(&self, context: ChatContext) -> Result<(), SessionError> {
        self.request(Request::UpdateChatCtx(context))
    }

    /// The caller has finished, whatever the turn detection thinks; with manual turn detection nothing else says so. Words
    /// that are not final yet are waited for, for the option `transcript_timeout` at the longest; then they are answered.
    /// [`Command::CommitUserTurn`] has another time-out and a turn that is not answered.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn commit_user_turn(&self) -> Result<(), SessionError> {
        self.command(Command::CommitUserTurn {
            transcript_timeout: None,
            skip_reply: false,
        })
    }

    /// Manual turn detection: forget what was said.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn clear_user_turn(&self) -> Result<(), SessionError> {
        self.command(Command::ClearUserTurn)
    }

    /// Change how the dialogue behaves from here on: endpointing, interruption, turn detection and so on. What the present
    /// agent wants otherwise ([`AgentBuilder::overrides`](crate::AgentBuilder::overrides)) stays as it wants it.
    /// It counts for the agents that come after it as well; one whose own options it contradicts speaks with those alone, and
    /// an error event says so.
    ///
    /// # Errors
    /// The options would contradict themselves (nothing is changed then), or the session is closed or busy.
    pub async fn update_options(&self, patch: OptionsPatch) -> Result<(), SessionError> {
        let (answer, answered) = oneshot::channel();
        self.request(Request::UpdateOptions(Box::new(patch), answer))?;
        Ok(answered.await.map_err(|_| SessionError::Closed)??)
    }

    /// Any command of the dialogue, with all its options.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn command(&self, command: Command) -> Result<(), SessionError> {
        self.request(Request::Input(Input::Command(command)))
    }

    /// End the session now. Always gets through; the first reason counts.
    pub fn close(&self, reason: CloseReason) {
        self.order_close(Closing {
            reason,
            drain: false,
        });
    }

    /// End the session when everything is said that is being said or waits to be said, an answer to the caller included, as
    /// LiveKit does. Nothing new is begun, and after a minute the agent is cut off. A tool can do this: its own result is
    /// still told. A later [`close`](Self::close) ends it at once.
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

    /// Is it over?
    pub fn is_closed(&self) -> bool {
        self.inner.outcome.borrow().is_some()
    }

    /// Everything said, called and answered so far, oldest first. Works after the end as well.
    pub async fn history(&self) -> ChatContext {
        self.ask(Request::History, |outcome| outcome.history.clone())
            .await
    }

    /// Tokens, characters and seconds of sound used so far, in all and for every model. Works after the end as well.
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

    fn request(&self, request: Request) -> Result<(), SessionError> {
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
