//! What makes a session, and what agents, tools and speeches have to do with it: the other half of [`AgentSession`], whose orders and
//! questions are in `handle`.

use std::sync::Arc;

use antiphon_chat::ChatContext;
use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::{Command, GenerateReply, Say};
use tokio::sync::{oneshot, watch};

use crate::agent::Agent;
use crate::driver::{self, Change};
use crate::error::SessionError;
use crate::handle::{Request, SpeechStatus};
use crate::io::SessionIo;
use crate::speech::SpeechHandle;
use crate::tool::Tool;

pub use crate::handle::{AgentSession, Events, WeakSession};

impl AgentSession {
    /// Starts a session on the current tokio runtime. The agent says nothing until [`started`](Self::started) is called.
    pub fn start(agent: Agent, io: SessionIo) -> Self {
        Self::start_with_history(agent, io, ChatContext::new())
    }

    /// Starts a session with what was said before: in an earlier session ([`history`](Self::history)), or read from LiveKit's JSON
    /// ([`ChatContext::from_json`]). Calls without a result, results without a call, and the beginning of a very long history are left
    /// out.
    pub fn start_with_history(agent: Agent, io: SessionIo, history: ChatContext) -> Self {
        let (session, controls) = Self::open(history);
        driver::spawn(agent, io, controls);
        session
    }

    /// Speaks this text when the floor is free, without asking the model. By default the options say whether the text may be interrupted,
    /// and the text enters the history; a [`Say`] can set both.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn say(&self, say: impl Into<Say>) -> Result<SpeechHandle, SessionError> {
        let id = self.next_speech();
        let say = Say {
            id: Some(id),
            ..say.into()
        };
        self.speak(id, Command::Say(say))
    }

    /// Lets the model say something when the floor is free.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn generate_reply(&self, asked: GenerateReply) -> Result<SpeechHandle, SessionError> {
        let id = self.next_speech();
        let asked = GenerateReply {
            id: Some(id),
            ..asked
        };
        self.speak(id, Command::GenerateReply(asked))
    }

    fn speak(&self, id: SpeechId, command: Command) -> Result<SpeechHandle, SessionError> {
        let (status, watched) = watch::channel(SpeechStatus::default());
        self.request(Request::Speak(command, id, status))?;
        Ok(SpeechHandle::new(id, self.downgrade(), watched))
    }

    /// The handle of a speech that the program did not begin: an answer to the caller, or the greeting. The speech may be over: if it is
    /// one of the last 256, the handle says how it ended; an older one counts as interrupted.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn speech(&self, id: SpeechId) -> Result<SpeechHandle, SessionError> {
        let (status, watched) = watch::channel(SpeechStatus::default());
        self.request(Request::Watch(id, status))?;
        Ok(SpeechHandle::new(id, self.downgrade(), watched))
    }

    /// Hands the conversation over to another agent, after everything that waits to be said now. A tool does the same by returning the
    /// agent. Tasks that have the floor then end without a result.
    ///
    /// # Errors
    /// The session is closed or busy.
    pub fn update_agent(&self, agent: Agent) -> Result<(), SessionError> {
        self.request(Request::Change(Box::new(Change::Agent(Box::new(agent)))))
    }

    /// Replaces the tools of the present agent, from the next request to the model on. Calls that are running get their result, even if
    /// their tool was removed. [`AgentBuilder::tool_options`](crate::AgentBuilder::tool_options) of the agent count for the new tools,
    /// too. If names were added or removed, the history gets an `agent_config_update` with them.
    /// [`update_instructions`](Self::update_instructions) says for which agents and for how long a change counts.
    ///
    /// # Errors
    /// A tool has an invalid or duplicate name or an invalid schema ([`SessionError::Tools`]), or there are more than 128 tools
    /// ([`SessionError::Update`]). Nothing is changed then. Or the session is closed or busy.
    pub async fn update_tools(
        &self,
        tools: impl IntoIterator<Item = Arc<dyn Tool>>,
    ) -> Result<(), SessionError> {
        let (answer, answered) = oneshot::channel();
        let tools = tools.into_iter().collect();
        let change = Change::Tools(tools, answer);
        self.request(Request::Change(Box::new(change)))?;
        answered.await.map_err(|_| SessionError::Closed)?
    }
}
