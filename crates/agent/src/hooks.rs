//! What an agent does when something happens to it: LiveKit's hooks. Each gets the session, and runs beside it.

use std::collections::HashSet;
use std::sync::Arc;

use antiphon_dialogue::chat::{ChatContext, Item, Message};
use antiphon_dialogue::input::TurnVerdict;

use crate::provider::BoxFuture;
use crate::session::AgentSession;

/// What an agent does when it gets the floor, or when it goes.
pub(crate) type Hook = Arc<dyn Fn(AgentSession) -> BoxFuture<'static, ()> + Send + Sync>;

/// What it does with a turn before it is answered.
pub(crate) type TurnHook = Arc<
    dyn Fn(AgentSession, CompletedTurn) -> BoxFuture<'static, Result<CompletedTurn, StopResponse>>
        + Send
        + Sync,
>;

/// The hooks of an agent that has some.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) on_enter: Option<Hook>,
    pub(crate) on_exit: Option<Hook>,
    pub(crate) on_user_turn_completed: Option<TurnHook>,
}

/// A turn of the caller before it is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletedTurn {
    /// What the agent knows: a copy. Messages that are added to it are read by the model just before the caller's, for this
    /// answer alone; they do not enter the history. Other changes of it count for nothing.
    pub context: ChatContext,
    /// What the caller said. With another text it enters the history, and is answered, as if they had said that.
    pub message: Message,
}

/// The turn is remembered and not answered (LiveKit's exception of the same name).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopResponse;

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
