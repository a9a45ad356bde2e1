//! Tools that report while the conversation goes on. The first report is the result of their call. What comes later is
//! written as calls of its own with their results, so that every form of the history stays valid, and told to the caller
//! when nobody speaks: all that has come by then in one reply.

use crate::event::{Component, Event, SpeechPurpose, ToolReplyStatus, ToolStatus};
use crate::history::{Place, call_id, output_id};
use crate::ids::SpeechId;
use crate::limits::{MAX_UNTOLD, MAX_UPDATES_PER_CALL, MAX_VALUE_BYTES, cut};
use crate::machine::Dialogue;
use crate::mind::Wanted;
use crate::queue::{Queued, Words};
use crate::speech::Speech;
use crate::tools::{Running, Waits, tell_if_nobody_waits};
use antiphon_chat::time::Instant;
use antiphon_chat::{Item, ToolCall, ToolChoice, ToolOutput};
use antiphon_text::push_limited;

/// What the model is asked when the reports are the newest in the history.
const TELL: &str = "Tools in the background have reported: see the newest results. Tell the caller briefly what is new, and \
     do not repeat what you have said.";
/// When something was said after them.
const TELL_UNLESS_TOLD: &str = "Tools in the background have reported. If the caller has been told already, answer with \
     nothing at all; otherwise tell briefly what is new.";

/// When a result came after its call had lost its speech. It stands where its call stands, before what was said since.
const TELL_LATE: &str = "A tool that was still running when the caller interrupted has its result only now: you find it with its \
     call, before what was said since, but nobody knew it then. Unless you have told the caller in your very last words, tell \
     briefly what came of it; otherwise answer with nothing at all.";

/// A report that could not be told is told again, but a model that fails with it is not asked for ever.
const MAX_TELLINGS: u32 = 2;

/// What a tool has told and the caller has not heard of.
#[derive(Clone, Debug)]
pub(crate) struct Untold {
    /// The call in the history that holds it.
    call_id: String,
    /// The call that held it first, when it was written again for an agent that does not see that one.
    first: Option<String>,
    /// Since when it stands there, when that is a place before what was said since: a speech that was begun later knew it.
    late: Option<Instant>,
    /// How often it was to be told.
    tries: u32,
}

impl Untold {
    fn new(call_id: String) -> Self {
        Self {
            call_id,
            first: None,
            late: None,
            tries: 0,
        }
    }
}

/// The caller is being told.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    speech: SpeechId,
    reports: Vec<Untold>,
    /// He has heard some of it, or the program did not want him to: it is not told again.
    done: bool,
}

impl Telling {
    pub(crate) fn speech(&self) -> SpeechId {
        self.speech
    }
}

impl Dialogue {
    pub(crate) fn on_tool_updated(&mut self, call_id: &str, message: String) {
        let now = self.core.now;
        let Some(running) = self.tools.own_mut(call_id) else {
            return; // it is over
        };
        running.until = now + running.limit; // it lives
        running.paused = running.paused.map(|_| running.limit);
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
        tell_if_nobody_waits(&mut answered);
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
                    status: ToolStatus::Done,
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
        let call = ToolCall {
            call_id: format!("{}_{suffix}", running.call.call_id),
            ..running.call.clone()
        };
        let output = ToolOutput {
            call_id: String::new(),
            name: call.name.clone(),
            output,
            is_error,
            reply_required: reply,
        };
        let (place, call_id) = self.write_report(call, output);
        self.agents.wrote_for_parents(running.depth, place);
        if reply {
            self.tell_later(Untold::new(call_id));
        }
    }

    /// The newest in the history: where, and under which name.
    fn write_report(&mut self, mut call: ToolCall, output: ToolOutput) -> (Place, String) {
        let created_at = self.core.now;
        self.make_unique(&mut call);
        let name = call.call_id.clone();
        let output = ToolOutput {
            call_id: name.clone(),
            ..output
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
        (place, name)
    }

    fn tell_later(&mut self, report: Untold) {
        let untold = &mut self.tools.untold;
        if untold.len() >= MAX_UNTOLD {
            // the newest late result decides what a speech can have known
            untold.pop();
        }
        untold.push(report);
    }

    /// Another agent speaks, or the present one knows something else from here on. What the caller has not been told is its
    /// business, also when it does not see what was before.
    pub(crate) fn show_untold(&mut self) {
        for mut untold in std::mem::take(&mut self.tools.untold) {
            let history = &self.core.history;
            let sees = |id: &String| history.shows_call(id);
            if !sees(&untold.call_id)
                && let Some((call, output)) = history.call_and_result(&untold.call_id)
            {
                untold.late = None;
                untold.call_id = match untold.first.take().filter(sees) {
                    // who comes back finds it where it was
                    Some(first) => first,
                    None => {
                        untold.first = Some(untold.call_id);
                        self.write_report(call, output).1
                    }
                };
            }
            self.tools.untold.push(untold);
        }
    }

    /// A call that nobody waits for has its result. An agent that cannot see the call is given both anew.
    pub(crate) fn is_late(&mut self, running: &Running, output: &ToolOutput, reply: bool) {
        if !reply {
            return;
        }
        let mut untold = Untold::new(output.call_id.clone());
        if self.core.history.shows_calls_at(running.place) {
            untold.late = Some(self.core.now);
        } else {
            let mut call = running.call.clone();
            call.call_id.push_str("_final");
            untold.first = Some(untold.call_id);
            untold.call_id = self.write_report(call, output.clone()).1;
        }
        self.tell_later(untold);
    }

    /// This was said to its end: the model knew what it had been asked after.
    pub(crate) fn may_have_told(&mut self, speech: &Speech) {
        let knew = |since| speech.steps.iter().any(|step| step.has_known(since));
        self.tools
            .untold
            .retain(|untold| !untold.late.is_some_and(knew));
    }

    /// Nobody has anything to say or to hear: the model tells what was reported.
    pub(crate) fn tell_reports(&mut self) -> bool {
        let quiet = self.floor.is_open()
            && self.queue.is_empty()
            && self.ending.is_none()
            && self.speculation.is_none()
            && !self.is_completing()
            && self.caller.is_quiet()
            && !(self.is_manual() && self.caller.words() > 0)
            && !self.caller.speaks();
        if self.tools.untold.is_empty() || !quiet {
            return false;
        }
        let mut untold = std::mem::take(&mut self.tools.untold);
        untold.iter_mut().for_each(|untold| untold.tries += 1);
        let late = untold.iter().any(|untold| untold.late.is_some());
        let reported = untold.iter().any(|untold| untold.late.is_none());
        let newest = matches!(
            self.core.history.items().last(),
            Some(Item::FunctionCallOutput { .. })
        );
        let mut instructions = match (reported, newest) {
            (true, true) => TELL.to_owned(),
            (true, false) => TELL_UNLESS_TOLD.to_owned(),
            (false, _) => String::new(),
        };
        if late {
            push_limited(&mut instructions, TELL_LATE, MAX_VALUE_BYTES);
        }
        let words = Words::Model(Wanted {
            instructions: Some(instructions),
            tool_choice: ToolChoice::None,
            ..Wanted::default()
        });
        let interruptible = self.core.options.allow_interruptions;
        let speech = self.core.speech_id();
        self.enqueue(Queued {
            id: Some(speech),
            ..Queued::new(SpeechPurpose::ToolReply, words, interruptible)
        });
        let update_ids = untold.iter().map(|untold| untold.call_id.clone()).collect();
        self.tools.telling = Some(Telling {
            speech,
            reports: untold,
            done: false,
        });
        self.core.emit(Event::ToolReplyUpdated {
            update_ids,
            status: ToolReplyStatus::Scheduled,
            speech,
        });
        true
    }

    /// Something of this was heard, and so of what it was to tell.
    pub(crate) fn reports_are_heard(&mut self, speech: SpeechId) {
        if let Some(telling) = self.telling_mut(speech) {
            telling.done = true;
        }
    }

    fn telling_mut(&mut self, speech: SpeechId) -> Option<&mut Telling> {
        let telling = self.tools.telling.as_mut();
        telling.filter(|telling| telling.speech == speech)
    }

    /// The caller has stopped it: that is no failure to tell it, and does not count as a try.
    pub(crate) fn reports_are_put_off(&mut self, speech: SpeechId) {
        if let Some(telling) = self.telling_mut(speech) {
            for untold in &mut telling.reports {
                untold.tries = untold.tries.saturating_sub(1);
            }
        }
    }

    /// A speech is over. Was it about what tools have told? What the caller has heard nothing of is told again.
    pub(crate) fn reports_are_told(&mut self, speech: SpeechId, status: ToolReplyStatus) {
        let telling = &mut self.tools.telling;
        if let Some(telling) = telling.take_if(|telling| telling.speech == speech) {
            let reports = telling.reports;
            let update_ids = reports
                .iter()
                .map(|untold| untold.call_id.clone())
                .collect();
            if status == ToolReplyStatus::Interrupted && !telling.done {
                let newer = std::mem::take(&mut self.tools.untold);
                let again = reports
                    .into_iter()
                    .filter(|untold| untold.tries < MAX_TELLINGS);
                self.tools.untold = again.chain(newer).take(MAX_UNTOLD).collect();
                self.show_untold();
            }
            self.core.emit(Event::ToolReplyUpdated {
                update_ids,
                status,
                speech,
            });
        }
    }
}
