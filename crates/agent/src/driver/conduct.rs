//! Who speaks, and what runs for it: agents that take over and tools that are started, as the dialogue asks.

use std::sync::Arc;
use std::time::Duration;

use antiphon_chat::{ChatContext, Message, ToolCall};
use antiphon_dialogue::ids::{AgentKey, BatchId, SpeechId, TurnId};
use antiphon_dialogue::input::{Command, ToolsVerdict, TurnVerdict};
use antiphon_dialogue::update::check_tools;
use antiphon_dialogue::{Input, Switch};
use tokio::sync::{oneshot, watch};

use super::ears::Order;
use super::{Driver, tools};
use crate::error::SessionError;
use crate::handle::SpeechStatus;
use crate::hooks::{CompletedTurn, ExecutedTools};
use crate::speech::SpeechHandle;
use crate::tool::Tool;

impl Driver {
    /// What the next one does not have it takes over: recogniser, voice activity detection and voice.
    pub(super) fn switch_agent(&mut self, key: AgentKey, how: Switch) {
        let Some(mut next) = self.roster.enter(key) else {
            tracing::error!(%key, "an agent that nobody knows was to take over");
            return;
        };
        tracing::info!(agent = next.name(), "another agent has the floor");
        next.tts = next.tts.or_else(|| self.agent.tts.clone());
        if let Some(stt) = brought(&mut next.stt, &self.agent.stt) {
            self.children.recognise(stt, &self.ears);
        }
        if let Some(vad) = brought(&mut next.vad, &self.agent.vad) {
            self.ears.order(Order::Vad(vad.session()));
        }
        if next.hears_turns() {
            self.ears.keep_recent();
        }
        let before = std::mem::replace(&mut self.agent, next);
        let goes = before.hooks.on_exit.filter(|_| how != Switch::TaskBegins);
        let comes = self.agent.hooks.on_enter.clone();
        self.exchange(goes, comes.filter(|_| how != Switch::TaskEnds));
    }

    /// The present agent is told otherwise.
    pub(super) fn update_instructions(&mut self, instructions: Arc<str>) {
        self.agent.set_instructions(&instructions);
        self.roster
            .update(|agent| agent.set_instructions(&instructions));
        self.tell(Input::Command(Command::UpdateInstructions { instructions }));
    }

    /// The present agent has other tools. Who asked is told when it cannot have them.
    pub(super) fn update_tools(
        &mut self,
        tools: Vec<Arc<dyn Tool>>,
        answer: oneshot::Sender<Result<(), SessionError>>,
    ) {
        let _ = answer.send(self.replace_tools(tools)); // who asked has gone: fine
    }

    fn replace_tools(&mut self, tools: Vec<Arc<dyn Tool>>) -> Result<(), SessionError> {
        let tools = Arc::new(self.agent.tools.replaced(tools)?);
        let options = tools.options().clone();
        check_tools(&options)?;
        // before the dialogue is told: what it asks for in this step goes with the new ones
        self.agent.set_tools(tools.clone());
        self.roster.update(|agent| agent.set_tools(tools));
        self.tell(Input::Command(Command::UpdateTools { tools: options }));
        Ok(())
    }

    /// The present agent knows something else.
    pub(super) fn update_chat_ctx(&mut self, context: ChatContext) {
        let items = context.on_clock_of(self.began_unix).into_items();
        self.tell(Input::Command(Command::UpdateChatCtx { items }));
    }

    /// What the present agent knows.
    pub(super) fn chat_ctx(&self) -> ChatContext {
        ChatContext::from_items(self.dialogue.context(), self.began_unix)
    }

    /// What the agent does with a turn before it is answered.
    pub(super) fn complete_turn(&mut self, turn: TurnId, message: Message, budget: Duration) {
        let hook = self.agent.hooks.on_user_turn_completed.clone();
        let Some((hook, session)) = hook.zip(self.session.upgrade()) else {
            // nobody to ask: nobody waits
            let verdict = TurnVerdict::unchanged();
            self.own_facts
                .push_back(Input::UserTurnCompleted { turn, verdict });
            return;
        };
        let completed = CompletedTurn {
            context: self.chat_ctx(),
            message,
        };
        self.children
            .complete_turn(hook, session, turn, completed, budget);
    }

    /// What the agent does when all calls of an answer have their results.
    pub(super) fn complete_tools(
        &mut self,
        id: BatchId,
        executed: ExecutedTools,
        budget: Duration,
    ) {
        let hook = self.agent.hooks.on_function_tools_executed.clone();
        let Some((hook, session)) = hook.zip(self.session.upgrade()) else {
            // nobody to ask: nobody waits
            let verdict = ToolsVerdict::unchanged();
            self.own_facts
                .push_back(Input::ToolsCompleted { id, verdict });
            return;
        };
        self.children
            .complete_tools(hook, session, id, executed, budget);
    }

    pub(super) fn run_tool(
        &mut self,
        call: ToolCall,
        idempotency_key: String,
        speech: SpeechId,
        step: u32,
    ) {
        let (status, watched) = watch::channel(SpeechStatus::default());
        self.speeches.watch(speech, status);
        let speech = SpeechHandle::new(speech, self.session.clone(), watched);
        let cancelled = self.tools_cancelled.child_token();
        self.running_tools
            .push((call.call_id.clone(), cancelled.clone()));
        let context = crate::tool::ToolContext {
            call_id: call.call_id.clone(),
            idempotency_key,
            session: self.session.clone(),
            cancelled,
            caller: crate::tool::Caller {
                speech: Some((speech, step)),
                facts: Some(self.children.facts()),
                roster: Some(self.roster.clone()),
            },
        };
        tools::spawn(
            self.agent.tools.clone(),
            call,
            context,
            self.children.facts(),
        );
    }
}

/// What the next one brings along, if it is not what is there already; without its own it has what is there.
fn brought<T: ?Sized>(next: &mut Option<Arc<T>>, present: &Option<Arc<T>>) -> Option<Arc<T>> {
    match (&*next, present) {
        (Some(new), Some(old)) if Arc::ptr_eq(new, old) => None,
        (Some(new), _) => Some(new.clone()),
        (None, _) => {
            next.clone_from(present);
            None
        }
    }
}
