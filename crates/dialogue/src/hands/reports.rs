//! Tools that report while the conversation goes on. The first report is the result of their call. What comes later is
//! written as calls of its own with their results, so that every form of the history stays valid, and told to the caller
//! when nobody speaks: all that has come by then in one reply.

use super::{Hands, Running, Waits, World, tell_if_nobody_waits};
use crate::core::Core;
use crate::event::{Component, Event, ToolReplyStatus, ToolStatus};
use crate::history::{History, Place, call_id, output_id};
use crate::ids::SpeechId;
use crate::limits::{MAX_UNTOLD, MAX_UPDATES_PER_CALL, MAX_VALUE_BYTES, cut};
use crate::mind::Wanted;
use crate::speech::Speech;
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
struct Untold {
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
struct Telling {
    speech: SpeechId,
    reports: Vec<Untold>,
    /// He has heard some of it, or the program did not want him to: it is not told again.
    done: bool,
}

/// What tools have told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports {
    /// What the model has not been asked about, oldest first.
    untold: Vec<Untold>,
    /// The speech that is to tell the caller, and what.
    telling: Option<Telling>,
}

impl Reports {
    /// Nothing waits to be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.untold.is_empty()
    }

    /// How much waits.
    #[cfg(debug_assertions)]
    pub(crate) fn len(&self) -> usize {
        self.untold.len()
    }

    /// The speech that is to tell it.
    pub(crate) fn speech(&self) -> Option<SpeechId> {
        self.telling.as_ref().map(|telling| telling.speech)
    }

    fn tell_later(&mut self, report: Untold) {
        if self.untold.len() >= MAX_UNTOLD {
            // the newest late result decides what a speech can have known
            self.untold.pop();
        }
        self.untold.push(report);
    }

    /// This was said to its end: the model knew what it had been asked after.
    pub(crate) fn drop_told_by(&mut self, speech: &Speech) {
        let knew = |since| speech.steps.iter().any(|step| step.has_known(since));
        self.untold.retain(|untold| !untold.late.is_some_and(knew));
    }

    /// This speech is going to tell all of it: what the model is asked for, and the names of the calls.
    pub(crate) fn tell(&mut self, speech: SpeechId, history: &History) -> (Wanted, Vec<String>) {
        let mut reports = std::mem::take(&mut self.untold);
        reports.iter_mut().for_each(|untold| untold.tries += 1);
        let late = reports.iter().any(|untold| untold.late.is_some());
        let reported = reports.iter().any(|untold| untold.late.is_none());
        let newest = matches!(
            history.items().last(),
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
        let names = names(&reports);
        self.telling = Some(Telling {
            speech,
            reports,
            done: false,
        });
        let wanted = Wanted {
            instructions: Some(instructions),
            tool_choice: ToolChoice::None,
            ..Wanted::default()
        };
        (wanted, names)
    }

    fn telling_mut(&mut self, speech: SpeechId) -> Option<&mut Telling> {
        let telling = self.telling.as_mut();
        telling.filter(|telling| telling.speech == speech)
    }

    /// Something of this was heard, and so of what it was to tell; or the program does not want it told.
    pub(crate) fn mark_heard(&mut self, speech: SpeechId) {
        if let Some(telling) = self.telling_mut(speech) {
            telling.done = true;
        }
    }

    /// The caller has stopped it: that is no failure to tell it, and does not count as a try.
    pub(crate) fn put_off(&mut self, speech: SpeechId) {
        if let Some(telling) = self.telling_mut(speech) {
            for untold in &mut telling.reports {
                untold.tries = untold.tries.saturating_sub(1);
            }
        }
    }
}

impl Hands {
    /// A tool tells how far it is.
    pub(crate) fn updated(&mut self, world: &mut World<'_>, call_id: &str, message: String) {
        let now = world.core.now;
        let Some(running) = self.own_mut(call_id) else {
            return; // it is over
        };
        running.until = now + running.limit; // it lives
        running.paused = running.paused.map(|_| running.limit);
        running.updates += 1;
        let updates = running.updates;
        if updates > MAX_UPDATES_PER_CALL {
            if updates == MAX_UPDATES_PER_CALL + 1 {
                let message = format!("`{call_id}` reports too often: the rest is ignored");
                world.core.error(Component::Tool, message, true);
            }
            return;
        }
        let snapshot = running.clone();
        if let Waits::Speech(_) = running.waits {
            running.waits = Waits::Report;
        }
        let message = cut(message, MAX_VALUE_BYTES);
        world.core.emit(Event::ToolUpdated {
            call_id: call_id.to_owned(),
            message: message.clone(),
        });
        self.news.is_active = true;
        if updates > 1 {
            let suffix = format!("update_{}", updates - 1);
            return self.report(world, &snapshot, &suffix, message, false, true);
        }
        let name = &snapshot.call.name;
        let text = format!("`{name}` reports: {message} It goes on running.");
        self.first_report(world, snapshot, &text);
    }

    /// The result of the call, and of those that wait for the same.
    fn first_report(&mut self, world: &mut World<'_>, running: Running, text: &str) {
        let shares = |other: &mut Running| other.same_as.as_ref() == Some(&running.call.call_id);
        let shared: Vec<Running> = self.running.extract_if(.., shares).collect();
        let mut answered = vec![running];
        answered.extend(shared);
        tell_if_nobody_waits(&mut answered);
        for running in answered {
            let output = ToolOutput {
                call_id: running.call.call_id.clone(),
                name: running.call.name.clone(),
                output: text.to_owned(),
                is_error: false,
                reply_required: true,
            };
            self.answer(world, &running, &output, true);
            if running.same_as.is_some() {
                world.core.emit(Event::ToolEnded {
                    output,
                    status: ToolStatus::Done,
                    duration: world.core.now.since(running.since),
                });
            }
        }
    }

    /// A call of its own with its result.
    pub(super) fn report(
        &mut self,
        world: &mut World<'_>,
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
        let (place, call_id) = self.write_report(world.core, call, output);
        world.agents.wrote_for_parents(running.depth, place);
        if reply {
            self.reports.tell_later(Untold::new(call_id));
        }
    }

    /// The newest in the history: where, and under which name.
    fn write_report(
        &mut self,
        core: &mut Core,
        mut call: ToolCall,
        output: ToolOutput,
    ) -> (Place, String) {
        let created_at = core.now;
        self.make_unique(core, &mut call);
        let name = call.call_id.clone();
        let output = ToolOutput {
            call_id: name.clone(),
            ..output
        };
        let place = core.history.reserve();
        let id = call_id(&core.history.next_id(), 0);
        let call = Item::FunctionCall {
            id: id.clone(),
            call,
            created_at,
        };
        core.remember(place.call(0), call);
        let output = Item::FunctionCallOutput {
            id: output_id(&id),
            output,
            created_at,
        };
        core.remember(place.output(0), output);
        (place, name)
    }

    /// Another agent speaks, or the present one knows something else from here on. What the caller has not been told is its
    /// business, also when it does not see what was before.
    pub(crate) fn show_untold(&mut self, core: &mut Core) {
        for mut untold in std::mem::take(&mut self.reports.untold) {
            let history = &core.history;
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
                        self.write_report(core, call, output).1
                    }
                };
            }
            self.reports.untold.push(untold);
        }
    }

    /// Stores the result of a call that nobody waits for. If the agent cannot see the call, call and result are written again at the end.
    pub(super) fn keep_late_result(
        &mut self,
        core: &mut Core,
        running: &Running,
        output: &ToolOutput,
    ) {
        let mut untold = Untold::new(output.call_id.clone());
        if core.history.shows_calls_at(running.place) {
            untold.late = Some(core.now);
        } else {
            let mut call = running.call.clone();
            call.call_id.push_str("_final");
            untold.first = Some(untold.call_id);
            untold.call_id = self.write_report(core, call, output.clone()).1;
        }
        self.reports.tell_later(untold);
    }

    /// A speech is over. Was it about what tools have told? What the caller has heard nothing of is told again.
    pub(crate) fn settle_reports(
        &mut self,
        core: &mut Core,
        speech: SpeechId,
        status: ToolReplyStatus,
    ) {
        let telling = &mut self.reports.telling;
        let Some(telling) = telling.take_if(|telling| telling.speech == speech) else {
            return;
        };
        let update_ids = names(&telling.reports);
        if status == ToolReplyStatus::Interrupted && !telling.done {
            let newer = std::mem::take(&mut self.reports.untold);
            let again = telling.reports.into_iter();
            let again = again.filter(|untold| untold.tries < MAX_TELLINGS);
            self.reports.untold = again.chain(newer).take(MAX_UNTOLD).collect();
            self.show_untold(core);
        }
        core.emit(Event::ToolReplyUpdated {
            update_ids,
            status,
            speech,
        });
    }
}

fn names(reports: &[Untold]) -> Vec<String> {
    let names = reports.iter().map(|untold| untold.call_id.clone());
    names.collect()
}
