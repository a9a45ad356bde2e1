//! Who speaks, and what runs for it: agents that take over and tools that are started, as the dialogue asks.

use std::sync::Arc;

use antiphon_dialogue::chat::ToolCall;
use antiphon_dialogue::ids::{AgentKey, SpeechId};
use tokio::sync::watch;
use tracing::Instrument as _;

use super::ears::Order;
use super::{Driver, tools};
use crate::speech::{SpeechHandle, SpeechStatus};

impl Driver {
    /// What the next one does not have it takes over: recogniser, voice activity detection and voice.
    pub(super) fn switch_agent(&mut self, key: AgentKey, entering: bool) {
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
        self.agent = next;
        if entering {
            self.enter();
        }
    }

    /// What the agent does when it gets the floor.
    pub(super) fn enter(&self) {
        if let Some((on_enter, session)) = self.agent.on_enter.clone().zip(self.session.upgrade()) {
            tokio::spawn(on_enter(session).in_current_span());
        }
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
