//! Hooks: code of the program that runs at certain moments of a session (LiveKit's hooks). Each hook gets the session and runs beside
//! it.

use std::collections::HashSet;
use std::sync::Arc;

use antiphon_chat::{ChatContext, Item, Message, ToolCall, ToolOutput};
use antiphon_dialogue::input::{ToolsVerdict, TurnVerdict};

use crate::handle::AgentSession;
use crate::provider::BoxFuture;

/// What an agent does when it gets the floor, or when it goes.
pub(crate) type Hook = Arc<dyn Fn(AgentSession) -> BoxFuture<'static, ()> + Send + Sync>;

/// What it does with a turn before it is answered.
pub(crate) type TurnHook = Arc<
    dyn Fn(AgentSession, CompletedTurn) -> BoxFuture<'static, Result<CompletedTurn, StopResponse>>
        + Send
        + Sync,
>;

/// What it does with the results of an answer's tool calls before anything follows from them.
pub(crate) type ToolsHook =
    Arc<dyn Fn(AgentSession, ExecutedTools) -> BoxFuture<'static, ExecutedTools> + Send + Sync>;

/// The hooks of an agent that has some.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) on_enter: Option<Hook>,
    pub(crate) on_exit: Option<Hook>,
    pub(crate) on_user_turn_completed: Option<TurnHook>,
    pub(crate) on_function_tools_executed: Option<ToolsHook>,
}

/// A turn of the caller before it is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletedTurn {
    /// A copy of what the agent knows. The model reads messages that are added to it just before the caller's words, for this answer
    /// alone; they do not enter the history. Other changes of the copy have no effect.
    pub context: ChatContext,
    /// What the caller said. If the hook changes the text, the history holds the new text, and the new text is answered.
    pub message: Message,
}

/// The turn enters the history and is not answered (LiveKit's exception of the same name).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopResponse;

/// All tool calls of one answer of the model with their results, before anything follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedTools {
    /// The calls.
    pub function_calls: Vec<ToolCall>,
    /// Their results, in the same order.
    pub function_call_outputs: Vec<ToolOutput>,
    pub(crate) reply: bool,
    pub(crate) handoff: Option<String>,
    pub(crate) verdict: ToolsVerdict,
}

impl ExecutedTools {
    /// Will the model say something about the results?
    pub fn has_tool_reply(&self) -> bool {
        self.reply && self.verdict.reply
    }

    /// The agent that will take over, if a tool returned one.
    pub fn agent_handoff(&self) -> Option<&str> {
        self.handoff.as_deref().filter(|_| self.verdict.handoff)
    }

    /// The model says nothing about the results; they stay in the history.
    pub fn cancel_tool_reply(&mut self) {
        self.verdict.reply = false;
    }

    /// The present agent goes on, although a tool returned another one.
    pub fn cancel_agent_handoff(&mut self) {
        self.verdict.handoff = false;
    }
}

/// What a turn was before its hook saw it.
pub(crate) struct Before {
    items: HashSet<String>,
    text: String,
}

impl Before {
    pub(crate) fn of(turn: &CompletedTurn) -> Self {
        let ids = turn.context.items().iter().map(|item| item.id().to_owned());
        Self {
            items: ids.collect(),
            text: turn.message.text.clone(),
        }
    }

    /// What the hook has made of it, for the dialogue.
    pub(crate) fn verdict(self, after: Result<CompletedTurn, StopResponse>) -> TurnVerdict {
        let Ok(CompletedTurn { context, message }) = after else {
            return TurnVerdict::Stop;
        };
        let added = |item: Item| match item {
            Item::Message(message) => (!self.items.contains(&message.id)).then_some(message),
            _ => None,
        };
        TurnVerdict::Reply {
            text: (message.text != self.text).then_some(message.text),
            messages: context.into_items().into_iter().filter_map(added).collect(),
        }
    }
}
