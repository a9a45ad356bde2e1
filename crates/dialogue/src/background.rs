//! Tools that report while the conversation goes on. The first report is the result of their call. What comes later is
//! written as calls of its own with their results, so that every form of the history stays valid, and told to the caller
//! when nobody speaks: all that has come by then in one reply.

use crate::chat::{Item, ToolCall, ToolChoice, ToolOutput};
use crate::event::{Component, Event, SpeechSource, UserState};
use crate::history::{call_id, output_id};
use crate::limits::{MAX_UPDATES_PER_CALL, MAX_VALUE_BYTES, cut};
use crate::machine::Dialogue;
use crate::queue::{Queued, Wanted, Words};
use crate::tools::{Running, Waits};
use crate::turn::Stage;

/// What the model is asked when the reports are the newest in the history.
const TELL: &str = "Tools in the background have reported: see the newest results. Tell the caller briefly what is new, and \
     do not repeat what you have said.";
/// When something was said after them.
const TELL_UNLESS_TOLD: &str = "Tools in the background have reported. If the caller has been told already, answer with \
     nothing at all; otherwise tell briefly what is new.";

impl Dialogue {
    pub(crate) fn on_tool_updated(&mut self, call_id: &str, message: String) {
        let now = self.core.now;
        let Some(running) = self.tools.own_mut(call_id) else {
            return; // it is over
        };
        running.until = now + running.limit; // it lives
        running.updates += 1;
        let updates = running.updates;
        if updates > MAX_UPDATES_PER_CALL {
            if updates == MAX_UPDATES_PER_CALL + 1 {
                self.core.error(
                    Component::Tool,
                    format!("`{call_id}` reports too often: the rest is ignored"),
                    true,
                );
            }
            return;
        }
        let snapshot = running.clone();
        if let Waits::Speech(_) = running.waits {
            running.waits = Waits::Report;
        }
        let message = cut(message, MAX_VALUE_BYTES);
        self.core.emit(Event::ToolUpdated {
            call_id: call_id.to_owned(),
            message: message.clone(),
        });
        self.active_at = now;
        if updates > 1 {
            self.report(
                &snapshot,
                &format!("update_{}", updates - 1),
                message,
                false,
                true,
            );
            return;
        }
        let text = format!(
            "`{}` reports: {message} It goes on running.",
            snapshot.call.name
        );
        self.first_report(&snapshot, text);
    }

    /// The result of the call, and of those that wait for the same.
    fn first_report(&mut self, running: &Running, text: String) {
        let id = &running.call.call_id;
        let mut answered = vec![running.clone()];
        let others = &mut self.tools.running;
        while let Some(at) = others
            .iter()
            .position(|other| other.same_as.as_ref() == Some(id))
        {
            answered.push(others.remove(at));
        }
        for running in answered {
            let output = ToolOutput {
                call_id: running.call.call_id.clone(),
                name: running.call.name.clone(),
                output: text.clone(),
                is_error: false,
                reply_required: true,
            };
            self.answer_call(&running, &output, true);
            if running.same_as.is_some() {
                self.core.emit(Event::ToolEnded {
                    output,
                    duration: self.core.now.since(running.since),
                });
            }
        }
    }

    /// A call of its own with its result.
    pub(crate) fn report(
        &mut self,
        running: &Running,
        suffix: &str,
        output: String,
        is_error: bool,
        reply: bool,
    ) {
        let created_at = self.core.now;
        let mut call = ToolCall {
            call_id: format!("{}_{suffix}", running.call.call_id),
            ..running.call.clone()
        };
        self.make_unique(&mut call);
        let output = ToolOutput {
            call_id: call.call_id.clone(),
            name: call.name.clone(),
            output,
            is_error,
            reply_required: reply,
        };
        let place = self.core.history.reserve();
        let id = call_id(&self.core.history.next_id(), 0);
        let call = Item::FunctionCall {
            id: id.clone(),
            call,
            created_at,
        };
        self.core.remember(place.call(0), call);
        let output = Item::FunctionCallOutput {
            id: output_id(&id),
            output,
            created_at,
        };
        self.core.remember(place.output(0), output);
        self.tools.reported |= reply && running.waits != Waits::Nobody;
    }

    /// Nobody has anything to say or to hear: the model tells what was reported.
    pub(crate) fn tell_reports(&mut self) -> bool {
        let quiet = self.floor.is_open()
            && self.queue.is_empty()
            && self.ending.is_none()
            && self.speculation.is_none()
            && self.turn.stage == Stage::Quiet
            && self.user_state != UserState::Speaking;
        if !self.tools.reported || !quiet {
            return false;
        }
        self.tools.reported = false;
        let newest = matches!(
            self.core.history.items().last(),
            Some(Item::FunctionCallOutput { .. })
        );
        let words = Words::Model(Wanted {
            instructions: Some(if newest { TELL } else { TELL_UNLESS_TOLD }.to_owned()),
            tool_choice: ToolChoice::None,
            ..Wanted::default()
        });
        let interruptible = self.core.options.allow_interruptions;
        self.enqueue(Queued::new(SpeechSource::ToolReply, words, interruptible));
        true
    }
}
