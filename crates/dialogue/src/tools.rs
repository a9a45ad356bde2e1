//! Tool calls. They live outside the speech that asked for them: whatever happens to it, each gets its one result.

use std::collections::VecDeque;

use crate::action::Action;
use crate::background::{Telling, Untold};
use crate::duplicates::{Doubtful, Verdict};
use crate::event::{Event, ToolStatus};
use crate::history::{Place, call_id};
use crate::ids::SpeechId;
use crate::input::ToolValue;
use crate::limits::{MAX_VALUE_BYTES, cut};
use crate::machine::Dialogue;
use crate::mind::WantedCall;
use crate::options::{Filler, ToolInterruption};
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Item, ToolCall, ToolOutput};
use antiphon_text::fingerprint;

/// Who waits for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// This speech.
    Speech(SpeechId),
    /// Nobody since an interruption: its result enters the history, and is told to the caller when there is silence unless
    /// an equal call waits for it.
    Nobody,
    /// Nobody since it told how far it is: what it tells is told to the caller when there is silence.
    Report,
}

/// One call that was started.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) call: ToolCall,
    /// Where its result goes.
    pub(crate) place: Place,
    pub(crate) since: Instant,
    pub(crate) until: Instant,
    /// How long it may run without a sign.
    pub(crate) limit: Duration,
    pub(crate) waits: Waits,
    /// It runs under the name of another call that does the same.
    pub(crate) same_as: Option<String>,
    /// Its idempotency key; none when it does not really run.
    pub(crate) key: String,
    pub(crate) interruption: ToolInterruption,
    pub(crate) filler: Option<Filler>,
    /// How often the filler was said.
    pub(crate) filled: u32,
    /// How often it has told how far it is; after the first time its call has a result.
    pub(crate) updates: u32,
    /// How many tasks had the floor when it began.
    pub(crate) depth: usize,
    /// A task has the floor, and its time stands still: so much is left.
    pub(crate) paused: Option<Duration>,
    /// It has given an agent back.
    pub(crate) hands_over: bool,
    /// What its result is replaced with.
    pub(crate) refusal: Option<&'static str>,
}

/// All calls without a result, and those that report.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolLedger {
    /// Calls that got another name, because the provider repeats ids.
    renamed: u64,
    pub(crate) running: Vec<Running>,
    /// What the model has not been asked about, oldest first.
    pub(crate) untold: Vec<Untold>,
    /// The speech that is to tell the caller, and what.
    pub(crate) telling: Option<Telling>,
    /// Calls that were stopped and may have done what they were to do, oldest first.
    pub(crate) doubtful: VecDeque<Doubtful>,
}

impl ToolLedger {
    /// Nothing runs but what waits for a task.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.iter().all(|running| running.paused.is_some())
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn is_running(&self, call_id: &str) -> bool {
        self.running
            .iter()
            .any(|running| running.call.call_id == call_id)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.running
            .iter()
            .filter(|running| running.paused.is_none())
            .map(|running| running.until)
            .min()
    }

    /// Does a running tool forbid interruptions?
    pub(crate) fn protects(&self) -> bool {
        self.running.iter().any(|running| {
            matches!(running.waits, Waits::Speech(_))
                && running.paused.is_none()
                && running.interruption == ToolInterruption::Protect
        })
    }

    /// Those that this speech waits for and that have given an agent back have no other result.
    pub(crate) fn refuse_handoffs(&mut self, speech: SpeechId, why: &'static str) {
        for running in &mut self.running {
            if running.hands_over && running.waits == Waits::Speech(speech) {
                running.refusal = Some(why);
            }
        }
    }

    /// A task begins: the time of the calls that wait with their speeches stands still. Those whose time is over end in this
    /// step, as they would have if the task had begun a little later.
    pub(crate) fn pause(&mut self, now: Instant, asks: &str) {
        for running in &mut self.running {
            let waits = matches!(running.waits, Waits::Speech(_)) || running.call.call_id == asks;
            if waits && running.paused.is_none() && running.until > now {
                running.paused = Some(running.until.since(now));
            }
        }
    }

    /// A task has ended: those that began before it go on.
    pub(crate) fn resume(&mut self, now: Instant, depth: usize) {
        for running in self
            .running
            .iter_mut()
            .filter(|running| running.depth == depth)
        {
            if let Some(left) = running.paused.take() {
                running.until = now + left;
            }
        }
    }

    /// The call that was really started under this name.
    pub(crate) fn own(&self, call_id: &str) -> Option<&Running> {
        self.running
            .iter()
            .find(|running| running.call.call_id == call_id && running.same_as.is_none())
    }

    /// The same.
    pub(crate) fn own_mut(&mut self, call_id: &str) -> Option<&mut Running> {
        self.running
            .iter_mut()
            .find(|running| running.call.call_id == call_id && running.same_as.is_none())
    }

    /// The call and those that wait for its result.
    fn take_with_sharers(&mut self, call_id: &str) -> Vec<Running> {
        let is_it = |running: &Running| {
            running.call.call_id == call_id || running.same_as.as_deref() == Some(call_id)
        };
        let (taken, left) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(is_it);
        self.running = left;
        taken
    }

    pub(crate) fn take(&mut self, call_id: &str) -> Option<Running> {
        let at = self
            .running
            .iter()
            .position(|running| running.call.call_id == call_id)?;
        Some(self.running.remove(at))
    }
}

/// Who asks for the calls of one step.
struct Asked {
    speech: SpeechId,
    /// Counted from 1.
    step: u32,
    place: Place,
    /// The id of the message that the model wrote with them.
    group: String,
    /// The cause of the calls, for their idempotency keys.
    scope: String,
}

/// Calls that end together: what nobody waits for any more is told to the caller when there is silence.
pub(crate) fn tell_if_nobody_waits(ended: &mut [Running]) {
    let awaited = |running: &Running| matches!(running.waits, Waits::Speech(_));
    if !ended.iter().any(awaited) {
        for running in ended {
            running.waits = Waits::Report;
        }
    }
}

const INTERRUPTED: &str = "The call was cancelled because the caller interrupted.";
const ENDED: &str = "The call was cancelled because the session ended.";

impl Dialogue {
    /// Starts the calls of the present step, unless the caller is just speaking: what he says may change everything.
    pub(crate) fn run_calls(&mut self) {
        if self.floor.is_held() {
            return;
        }
        let Some(speech) = self.floor.speech_mut() else {
            return;
        };
        let (speech_id, turn, round) = (speech.id, speech.turn, speech.steps.len());
        let Some(step) = speech.steps.last_mut() else {
            return;
        };
        if !step.wants_calls() {
            return;
        }
        let (first, calls) = step.start_calls();
        let (place, group) = (step.place(), step.message().id.clone());
        // a program may give two speeches the same name; the message is one of a kind
        let cause = turn.map_or_else(|| group.clone(), |turn| turn.to_string());
        let step = u32::try_from(round).unwrap_or(u32::MAX);
        let asked = Asked {
            speech: speech_id,
            step,
            place,
            group,
            scope: format!("{cause}/{round}"),
        };
        for (index, call) in (first..).zip(calls) {
            self.run_call(call, index, &asked);
        }
    }

    fn run_call(&mut self, wanted: WantedCall, index: usize, asked: &Asked) {
        let WantedCall { mut call, refusal } = wanted;
        let Asked {
            speech,
            step,
            place,
            ref group,
            ref scope,
        } = *asked;
        let now = self.core.now;
        self.make_unique(&mut call);
        let item = Item::FunctionCall {
            id: call_id(group, index),
            call: call.clone(),
            created_at: now,
        };
        self.core.remember(place.call(index), item);
        self.core.emit(Event::ToolStarted { call: call.clone() });
        let options = self
            .core
            .options
            .tools
            .get(&call.name)
            .cloned()
            .unwrap_or_default();
        let limit = options.timeout.unwrap_or(self.core.options.tool_timeout);
        let interruption = options
            .interruption
            .unwrap_or(self.core.options.tool_interruption);
        let verdict = match refusal {
            Some(output) => Verdict::Answer {
                output,
                is_error: true,
            },
            None => self.judge(&mut call, &options),
        };
        let idempotency_key = match verdict {
            Verdict::Run => self.tools.doubtful_key(&call).unwrap_or_else(|| {
                let arguments = fingerprint(&call.arguments);
                format!("{scope}/{}/{arguments:016x}/{index}", call.name)
            }),
            Verdict::Share { .. } | Verdict::Answer { .. } => String::new(),
        };
        let (same_as, until) = match &verdict {
            Verdict::Share { with, until } => (Some(with.clone()), *until),
            Verdict::Run | Verdict::Answer { .. } => (None, now + limit),
        };
        let id = call.call_id.clone();
        self.tools.running.push(Running {
            call: call.clone(),
            place: place.output(index),
            since: now,
            until,
            limit,
            waits: Waits::Speech(speech),
            same_as,
            key: idempotency_key.clone(),
            interruption,
            filler: options.filler.filter(|filler| !filler.texts.is_empty()),
            filled: 0,
            updates: 0,
            depth: self.agents.depth(),
            paused: None,
            hands_over: false,
            refusal: None,
        });
        match verdict {
            Verdict::Run => self.core.act(Action::RunTool {
                call,
                idempotency_key,
                speech,
                step,
                budget: limit,
            }),
            Verdict::Share { .. } => {}
            Verdict::Answer { output, is_error } => {
                self.finish_tool(&id, output, ToolStatus::of(is_error), true);
            }
        }
    }

    /// Providers repeat ids, or send none.
    pub(crate) fn make_unique(&mut self, call: &mut ToolCall) {
        if call.call_id.is_empty() {
            call.call_id = "call".into();
        }
        let wanted = cut(std::mem::take(&mut call.call_id), 256);
        let taken = |id: &str| self.core.history.has_call(id) || self.tools.is_running(id);
        call.call_id.clone_from(&wanted);
        // counted on through the session: looking for a free number from the start grows with the history
        let mut number = self.tools.renamed;
        while taken(&call.call_id) {
            number += 1;
            call.call_id = format!("{wanted}_{}", number + 1);
        }
        self.tools.renamed = number;
    }

    pub(crate) fn on_tool_finished(&mut self, call_id: &str, result: Result<ToolValue, String>) {
        let Some(running) = self.tools.own_mut(call_id) else {
            return; // it has its result, or was never started under this name
        };
        let key = running.key.clone();
        match result {
            Ok(value) => {
                self.tools.is_certain(&key);
                self.finish_tool(call_id, value.output, ToolStatus::Done, value.reply);
            }
            Err(message) => self.finish_tool(call_id, message, ToolStatus::Error, true),
        }
    }

    /// The one result of a call, and of those that wait for the same.
    fn finish_tool(&mut self, call_id: &str, output: String, status: ToolStatus, reply: bool) {
        let output = cut(output, MAX_VALUE_BYTES);
        let mut ended = self.tools.take_with_sharers(call_id);
        tell_if_nobody_waits(&mut ended);
        for running in ended {
            self.end_call(running, output.clone(), status, reply);
        }
    }

    /// It is over: its result, or its last report when the call has one already.
    pub(crate) fn end_call(
        &mut self,
        running: Running,
        output: String,
        status: ToolStatus,
        reply: bool,
    ) {
        self.agents.call_ended(&running.call.call_id);
        // who has its result says nothing more
        let reply = reply && !(self.agents.task_is_over() && running.depth == self.agents.depth());
        let (output, status, reply) = match running.refusal {
            // who interrupted it need not be told
            Some(why) => (
                why.to_owned(),
                ToolStatus::Error,
                running.waits != Waits::Report || running.updates > 0,
            ),
            None => (output, status, reply),
        };
        let is_error = status != ToolStatus::Done;
        let now = self.core.now;
        let output = ToolOutput {
            call_id: running.call.call_id.clone(),
            name: running.call.name.clone(),
            output,
            is_error,
            reply_required: reply,
        };
        if running.updates == 0 {
            self.answer_call(&running, &output, reply);
        } else {
            let suffix = "final";
            self.report(&running, suffix, output.output.clone(), is_error, reply);
        }
        self.core.emit(Event::ToolEnded {
            output,
            status,
            duration: now.since(running.since),
        });
        self.active_at = now;
    }

    /// Writes the result of the call, and tells the speech that waits for it.
    pub(crate) fn answer_call(&mut self, running: &Running, output: &ToolOutput, reply: bool) {
        if let Some(id) = self.core.history.unanswered(&output.call_id) {
            let item = Item::FunctionCallOutput {
                id,
                output: output.clone(),
                created_at: self.core.now,
            };
            self.core.remember(running.place, item);
        }
        let id = match running.waits {
            Waits::Speech(id) => id,
            Waits::Report => return self.is_late(running, output, reply),
            Waits::Nobody => return,
        };
        let step = self
            .speech_mut(id)
            .and_then(|speech| speech.steps.last_mut());
        if let Some(step) = step {
            step.is_answered(reply);
        }
    }

    pub(crate) fn tools_due(&mut self) {
        let now = self.core.now;
        while let Some(due) = self.tools.deadline().filter(|due| *due <= now)
            && let Some(at) = self
                .tools
                .running
                .iter()
                .position(|running| running.until == due && running.paused.is_none())
        {
            let running = self.tools.running.remove(at);
            let mut ended = vec![running];
            if let Some(id) = self.stop(ended.first()) {
                ended.extend(self.tools.take_with_sharers(&id));
            }
            tell_if_nobody_waits(&mut ended);
            for running in ended {
                let seconds = now.since(running.since).as_secs_f64();
                let text = format!("The tool has not answered within {seconds:.1} s.");
                self.end_call(running, text, ToolStatus::Error, true);
            }
        }
    }

    /// Stops what really runs: its name. Nobody knows what it has done.
    fn stop(&mut self, running: Option<&Running>) -> Option<String> {
        let running = running.filter(|running| running.same_as.is_none())?;
        let call_id = running.call.call_id.clone();
        self.tools.doubt(running);
        self.core.act(Action::CancelTool {
            call_id: call_id.clone(),
        });
        Some(call_id)
    }

    /// The speech is over for whatever reason: its tools run on or are cancelled, as their policy says.
    pub(crate) fn leave_tools(&mut self, speech: SpeechId) {
        let ended = self.ending.is_some_and(|end| end.until <= self.core.now);
        let why = if ended { ENDED } else { INTERRUPTED };
        let mut at = 0;
        while let Some(running) = self.tools.running.get_mut(at) {
            if running.waits != Waits::Speech(speech) {
                at += 1;
                continue;
            }
            running.waits = Waits::Nobody;
            match running.interruption {
                ToolInterruption::Cancel => {
                    let running = self.tools.running.remove(at);
                    self.cancel_call(running, why);
                }
                ToolInterruption::Detach | ToolInterruption::Protect => at += 1,
            }
        }
    }

    /// The session ends.
    pub(crate) fn cancel_tools(&mut self) {
        for running in std::mem::take(&mut self.tools.running) {
            self.cancel_call(running, ENDED);
        }
    }

    /// Stops it.
    pub(crate) fn cancel_call(&mut self, running: Running, why: &str) {
        let id = running.call.call_id.clone();
        self.stop(Some(&running));
        self.end_call(running, why.into(), ToolStatus::Cancelled, false);
        // and those that wait for its result
        self.finish_tool(&id, why.into(), ToolStatus::Cancelled, true);
    }
}
