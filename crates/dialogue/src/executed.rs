//! All calls of one answer have their results (LiveKit's `function_tools_executed`). An agent's hook may look at them then,
//! and cancel what follows: the model's words about them, or that another agent takes over.

use crate::action::Action;
use crate::event::{Component, Event};
use crate::ids::BatchId;
use crate::input::ToolsVerdict;
use crate::machine::Dialogue;
use crate::pending::Pending;

impl Dialogue {
    /// Says so once for every answer whose calls have their results, and asks the hook.
    pub(crate) fn tools_executed(&mut self) {
        for speech in self.speeches.begun_mut() {
            let Some(step) = speech.steps.last_mut().filter(|step| step.is_executed()) else {
                continue;
            };
            let (function_calls, function_call_outputs) = self.core.history.executed(step.place());
            self.core.emit(Event::FunctionToolsExecuted {
                speech: speech.id,
                function_calls: function_calls.clone(),
                function_call_outputs: function_call_outputs.clone(),
            });
            if !self.core.options.on_function_tools_executed {
                step.calls.execute(None);
                continue;
            }
            let id = self.core.batch_id();
            let budget = self.core.options.on_function_tools_executed_timeout;
            step.calls
                .execute(Some(Pending::new(id, self.core.now, budget)));
            self.core.act(Action::CompleteTools {
                id,
                function_calls,
                function_call_outputs,
                reply: step.calls.want_reply(),
                handoff: speech.handoff.as_ref().map(|agent| agent.name.clone()),
                budget,
            });
        }
    }

    pub(crate) fn on_tools_completed(&mut self, id: BatchId, verdict: ToolsVerdict) {
        let mut speeches = self.speeches.begun_mut();
        let Some(speech) =
            speeches.find(|speech| speech.last().is_some_and(|step| step.calls.has_hook(id)))
        else {
            return; // it was interrupted, or nobody waits any more
        };
        if let Some(step) = speech.steps.last_mut() {
            step.calls.hook_answered(verdict.reply);
        }
        if !verdict.handoff {
            speech.handoff = None;
        }
    }

    /// The hook has taken too long.
    pub(crate) fn tools_hook_due(&mut self, id: BatchId) {
        let message = "on_function_tools_executed is not waited for: it did not answer in time; nothing is cancelled";
        self.core.error(Component::Session, message, true);
        self.on_tools_completed(id, ToolsVerdict::unchanged());
    }
}
