//! The agent's hands: its tool calls. They live outside the speech that asked for them: whatever happens to it, each gets its
//! one result.
//!
//! It **owns** the calls that run, those that may have been done already, and what tools have told and nobody has heard of. It **is
//! told** what the model wants called, what tools give, and when nobody waits any more. It **answers** with [`News`] for the
//! speeches that wait, and with what is to be told to the caller.

mod duplicates;
mod fillers;
mod reports;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::action::Action;
use crate::agents::Agents;
use crate::core::Core;
use crate::event::{Event, ToolStatus};
use crate::history::{Place, call_id};
use crate::ids::SpeechId;
use crate::input::ToolValue;
use crate::limits::{MAX_VALUE_BYTES, cut};
use crate::mind::WantedCall;
use crate::options::{Filler, ToolInterruption, ToolOptions};
use antiphon_chat::time::{Duration, Instant};
use antiphon_chat::{Item, ToolCall, ToolOutput};
use antiphon_text::fingerprint;
use duplicates::{Doubtful, Fate};
pub(crate) use reports::Reports;

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
    call: ToolCall,
    /// Where its result goes.
    place: Place,
    since: Instant,
    until: Instant,
    /// How long it may run without a sign.
    limit: Duration,
    waits: Waits,
    /// It runs under the name of another call that does the same.
    same_as: Option<String>,
    /// Its idempotency key; none when it does not really run.
    key: String,
    interruption: ToolInterruption,
    filler: Option<Filler>,
    /// How often the filler was said.
    filled: u32,
    /// How often it has told how far it is; after the first time its call has a result.
    updates: u32,
    /// How many tasks had the floor when it began.
    depth: usize,
    /// A task has the floor, and its time stands still: so much is left.
    paused: Option<Duration>,
    /// It has given an agent back.
    hands_over: bool,
    /// What its result is replaced with.
    refusal: Option<&'static str>,
}

/// See above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hands {
    /// Calls that got another name, because the provider repeats ids.
    renamed: u64,
    /// All calls without a result, and those that report.
    running: Vec<Running>,
    /// Calls that were stopped and may have done what they were to do, oldest first.
    doubtful: VecDeque<Doubtful>,
    /// What tools have told and the caller has not heard of.
    pub(crate) reports: Reports,
    news: News,
}

/// What has happened since the stage asked last.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    /// Results that these speeches wait for, and whether the model is to say something about them.
    pub(crate) answers: Vec<(SpeechId, bool)>,
    /// A call has ended, or has told how far it is.
    pub(crate) is_active: bool,
}

/// What the stage lends for a while.
pub(crate) struct World<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) agents: &'a mut Agents,
}

impl Hands {
    /// Nothing runs at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

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

    /// What has happened since this was asked last.
    pub(crate) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// How long each of them may run without a sign.
    #[cfg(debug_assertions)]
    pub(crate) fn limits(&self) -> impl Iterator<Item = Duration> {
        self.running.iter().map(|running| running.limit)
    }

    /// The depth at which this call began, and who waits for it; `None`: it does not run.
    pub(crate) fn awaited(&self, call_id: &str) -> Option<(usize, Waits)> {
        let own = self.own(call_id)?;
        Some((own.depth, own.waits))
    }

    /// This call has given an agent back, and has no other result than this if nobody takes over.
    pub(crate) fn refuse(&mut self, call_id: &str, why: &'static str) {
        if let Some(own) = self.own_mut(call_id) {
            own.refusal = Some(why);
        }
    }

    /// This call gives an agent back.
    pub(crate) fn hand_over(&mut self, call_id: &str) {
        if let Some(own) = self.own_mut(call_id) {
            own.hands_over = true;
        }
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
    fn own(&self, call_id: &str) -> Option<&Running> {
        self.running
            .iter()
            .find(|running| running.call.call_id == call_id && running.same_as.is_none())
    }

    /// The same.
    fn own_mut(&mut self, call_id: &str) -> Option<&mut Running> {
        self.running
            .iter_mut()
            .find(|running| running.call.call_id == call_id && running.same_as.is_none())
    }

    /// The call and those that wait for its result.
    fn take_with_sharers(&mut self, call_id: &str) -> Vec<Running> {
        let is_it = |running: &mut Running| {
            running.call.call_id == call_id || running.same_as.as_deref() == Some(call_id)
        };
        self.running.extract_if(.., is_it).collect()
    }

    fn take(&mut self, call_id: &str) -> Option<Running> {
        let at = self
            .running
            .iter()
            .position(|running| running.call.call_id == call_id)?;
        Some(self.running.remove(at))
    }
}

/// Who asks for the calls of one step.
pub(crate) struct Asked {
    pub(crate) speech: SpeechId,
    /// Counted from 1.
    pub(crate) step: u32,
    pub(crate) place: Place,
    /// The id of the message that the model wrote with them.
    pub(crate) group: String,
    /// The cause of the calls, for their idempotency keys.
    pub(crate) scope: String,
}

/// Calls that end together: what nobody waits for any more is told to the caller when there is silence.
fn tell_if_nobody_waits(ended: &mut [Running]) {
    let awaited = |running: &Running| matches!(running.waits, Waits::Speech(_));
    if !ended.iter().any(awaited) {
        for running in ended {
            running.waits = Waits::Report;
        }
    }
}

const INTERRUPTED: &str = "The call was cancelled because the caller interrupted.";
const ENDED: &str = "The call was cancelled because the session ended.";

impl Hands {
    /// The model asks for this: it runs, waits for one that does the same, or is answered at once.
    pub(crate) fn run(
        &mut self,
        world: &mut World<'_>,
        wanted: WantedCall,
        index: usize,
        asked: &Asked,
    ) {
        let WantedCall { mut call, refusal } = wanted;
        self.make_unique(world.core, &mut call);
        let item = Item::FunctionCall {
            id: call_id(&asked.group, index),
            call: call.clone(),
            created_at: world.core.now,
        };
        world.core.remember(asked.place.call(index), item);
        world.core.emit(Event::ToolStarted { call: call.clone() });
        let options = world.core.options.tools.get(&call.name);
        let options = options.cloned().unwrap_or_default();
        let verdict = match refusal {
            Some(output) => Fate::Answer {
                output,
                is_error: true,
            },
            None => self.judge(world, &mut call, &options),
        };
        self.begin(world, call, index, asked, options, verdict);
    }

    /// What was decided about a call is done.
    fn begin(
        &mut self,
        world: &mut World<'_>,
        call: ToolCall,
        index: usize,
        asked: &Asked,
        options: ToolOptions,
        verdict: Fate,
    ) {
        let (now, all) = (world.core.now, &world.core.options);
        let limit = options.timeout.unwrap_or(all.tool_timeout);
        let interruption = options.interruption.unwrap_or(all.tool_interruption);
        let idempotency_key = match verdict {
            Fate::Run => self.doubtful_key(&call).unwrap_or_else(|| {
                let (scope, arguments) = (&asked.scope, fingerprint(&call.arguments));
                format!("{scope}/{}/{arguments:016x}/{index}", call.name)
            }),
            Fate::Share { .. } | Fate::Answer { .. } => String::new(),
        };
        let (same_as, until) = match &verdict {
            Fate::Share { with, until } => (Some(with.clone()), *until),
            Fate::Run | Fate::Answer { .. } => (None, now + limit),
        };
        let id = call.call_id.clone();
        self.running.push(Running {
            call: call.clone(),
            place: asked.place.output(index),
            since: now,
            until,
            limit,
            waits: Waits::Speech(asked.speech),
            same_as,
            key: idempotency_key.clone(),
            interruption,
            filler: options.filler.filter(|filler| !filler.texts.is_empty()),
            filled: 0,
            updates: 0,
            depth: world.agents.depth(),
            paused: None,
            hands_over: false,
            refusal: None,
        });
        match verdict {
            Fate::Run => world.core.act(Action::RunTool {
                call,
                idempotency_key,
                speech: asked.speech,
                step: asked.step,
                budget: limit,
            }),
            Fate::Share { .. } => {}
            Fate::Answer { output, is_error } => {
                self.finish(world, &id, output, ToolStatus::of(is_error), true);
            }
        }
    }

    /// Providers repeat ids, or send none.
    fn make_unique(&mut self, core: &Core, call: &mut ToolCall) {
        if call.call_id.is_empty() {
            call.call_id = "call".into();
        }
        let wanted = cut(std::mem::take(&mut call.call_id), 256);
        let taken = |id: &str| core.history.has_call(id) || self.is_running(id);
        call.call_id.clone_from(&wanted);
        // counted on through the session: looking for a free number from the start grows with the history
        let mut number = self.renamed;
        while taken(&call.call_id) {
            number += 1;
            call.call_id = format!("{wanted}_{}", number + 1);
        }
        self.renamed = number;
    }

    pub(crate) fn finished(
        &mut self,
        world: &mut World<'_>,
        call_id: &str,
        result: Result<ToolValue, String>,
    ) {
        let Some(running) = self.own_mut(call_id) else {
            return; // it has its result, or was never started under this name
        };
        let key = running.key.clone();
        match result {
            Ok(value) => {
                self.clear_doubt(&key);
                self.finish(world, call_id, value.output, ToolStatus::Done, value.reply);
            }
            Err(message) => self.finish(world, call_id, message, ToolStatus::Error, true),
        }
    }

    /// The one result of a call, and of those that wait for the same.
    fn finish(
        &mut self,
        world: &mut World<'_>,
        call_id: &str,
        output: String,
        status: ToolStatus,
        reply: bool,
    ) {
        let output = cut(output, MAX_VALUE_BYTES);
        let mut ended = self.take_with_sharers(call_id);
        tell_if_nobody_waits(&mut ended);
        for running in ended {
            self.end(world, running, output.clone(), status, reply);
        }
    }

    /// It is over: its result, or its last report when the call has one already.
    fn end(
        &mut self,
        world: &mut World<'_>,
        running: Running,
        output: String,
        status: ToolStatus,
        reply: bool,
    ) {
        world.agents.call_ended(&running.call.call_id);
        // who has its result says nothing more
        let reply =
            reply && !(world.agents.task_is_over() && running.depth == world.agents.depth());
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
        let now = world.core.now;
        let output = ToolOutput {
            call_id: running.call.call_id.clone(),
            name: running.call.name.clone(),
            output,
            is_error,
            reply_required: reply,
        };
        if running.updates == 0 {
            self.answer(world, &running, &output, reply);
        } else {
            let told = output.output.clone();
            self.report(world, &running, "final", told, is_error, reply);
        }
        world.core.emit(Event::ToolEnded {
            output,
            status,
            duration: now.since(running.since),
        });
        self.news.is_active = true;
    }

    /// Writes the result of the call, and tells the speech that waits for it.
    fn answer(
        &mut self,
        world: &mut World<'_>,
        running: &Running,
        output: &ToolOutput,
        reply: bool,
    ) {
        if let Some(id) = world.core.history.unanswered(&output.call_id) {
            let item = Item::FunctionCallOutput {
                id,
                output: output.clone(),
                created_at: world.core.now,
            };
            world.core.remember(running.place, item);
        }
        match running.waits {
            Waits::Speech(id) => self.news.answers.push((id, reply)),
            Waits::Report if reply => self.keep_late_result(world.core, running, output),
            Waits::Report | Waits::Nobody => {}
        }
    }

    /// Calls whose time is over end now.
    pub(crate) fn due(&mut self, world: &mut World<'_>) {
        let now = world.core.now;
        while let Some(due) = self.deadline().filter(|due| *due <= now)
            && let Some(at) = self
                .running
                .iter()
                .position(|running| running.until == due && running.paused.is_none())
        {
            let running = self.running.remove(at);
            let stopped = self.stop(world.core, &running);
            let mut ended = vec![running];
            if let Some(id) = stopped {
                ended.extend(self.take_with_sharers(&id));
            }
            tell_if_nobody_waits(&mut ended);
            for running in ended {
                let seconds = now.since(running.since).as_secs_f64();
                let text = format!("The tool has not answered within {seconds:.1} s.");
                self.end(world, running, text, ToolStatus::Error, true);
            }
        }
    }

    /// Stops what really runs: its name. Nobody knows what it has done.
    fn stop(&mut self, core: &mut Core, running: &Running) -> Option<String> {
        if running.same_as.is_some() {
            return None;
        }
        let call_id = running.call.call_id.clone();
        self.doubt(running);
        core.act(Action::CancelTool {
            call_id: call_id.clone(),
        });
        Some(call_id)
    }

    /// The speech is over for whatever reason: its tools run on or are cancelled, as their policy says.
    pub(crate) fn leave(&mut self, world: &mut World<'_>, speech: SpeechId, ended: bool) {
        let why = if ended { ENDED } else { INTERRUPTED };
        let mut at = 0;
        while let Some(running) = self.running.get_mut(at) {
            if running.waits != Waits::Speech(speech) {
                at += 1;
                continue;
            }
            running.waits = Waits::Nobody;
            match running.interruption {
                ToolInterruption::Cancel => {
                    let running = self.running.remove(at);
                    self.cancel(world, running, why);
                }
                ToolInterruption::Detach | ToolInterruption::Protect => at += 1,
            }
        }
    }

    /// The session ends.
    pub(crate) fn cancel_all(&mut self, world: &mut World<'_>) {
        for running in std::mem::take(&mut self.running) {
            self.cancel(world, running, ENDED);
        }
    }

    /// Stops it.
    fn cancel(&mut self, world: &mut World<'_>, running: Running, why: &str) {
        let id = running.call.call_id.clone();
        self.stop(world.core, &running);
        self.end(world, running, why.into(), ToolStatus::Cancelled, false);
        // and those that wait for its result
        self.finish(world, &id, why.into(), ToolStatus::Cancelled, true);
    }
}
