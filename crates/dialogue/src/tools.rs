//! Tool calls. They live outside the speech that asked for them: whatever happens to it, each gets its one result.

use crate::action::Action;
use crate::chat::{Item, ToolCall, ToolOutput};
use crate::event::Event;
use crate::history::Place;
use crate::ids::SpeechId;
use crate::input::ToolValue;
use crate::limits::{MAX_RUNNING_TOOLS, MAX_VALUE_BYTES, cut};
use crate::machine::Dialogue;
use crate::options::{Options, ToolInterruption};
use crate::time::Instant;

/// One call that was started.
#[derive(Clone, Debug)]
struct Running {
    call: ToolCall,
    /// Where its result goes.
    place: Place,
    since: Instant,
    until: Instant,
    /// The speech that waits for it; `None` when it was detached.
    speech: Option<SpeechId>,
    /// It runs under the name of another call that does the same.
    same_as: Option<String>,
    interruption: ToolInterruption,
}

/// Who asks for the calls of one step.
struct Asked {
    speech: SpeechId,
    /// Counted from 1.
    step: u32,
    place: Place,
    /// The cause of the calls, for their idempotency keys.
    scope: String,
}

/// All calls without a result.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolLedger {
    /// Calls that got another name, because the provider repeats ids.
    renamed: u64,
    running: Vec<Running>,
}

impl ToolLedger {
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
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
        self.running.iter().map(|running| running.until).min()
    }

    /// Does a running tool forbid interruptions?
    pub(crate) fn protects(&self) -> bool {
        self.running.iter().any(|running| {
            running.speech.is_some() && running.interruption == ToolInterruption::Protect
        })
    }

    /// A call that was detached by an interruption and does the same: it must not be done twice.
    fn twin(&self, call: &ToolCall) -> Option<&Running> {
        self.running.iter().find(|running| {
            running.speech.is_none()
                && running.same_as.is_none()
                && running.call.name == call.name
                && running.call.arguments == call.arguments
        })
    }
}

fn interruption_of(options: &Options, name: &str) -> ToolInterruption {
    options
        .tools
        .get(name)
        .and_then(|tool| tool.interruption)
        .unwrap_or(options.tool_interruption)
}

/// FNV-1a: the same on every machine and in every version, because it is part of a key that tools store.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Dialogue {
    /// Starts the calls of the present step, unless the caller is just speaking: what he says may change everything.
    pub(crate) fn run_calls(&mut self) {
        if self.floor.is_held() || self.leaving.is_some() {
            return;
        }
        let Some(speech) = self.floor.speech_mut() else {
            return;
        };
        let (speech_id, turn, round) = (speech.id, speech.turn, speech.steps.len());
        let Some(step) = speech.steps.last_mut() else {
            return;
        };
        if step.calls.is_empty() {
            return;
        }
        let calls = std::mem::take(&mut step.calls);
        let (place, first) = (step.place, step.started);
        step.started += calls.len();
        let cause = turn.map_or_else(|| speech_id.to_string(), |turn| turn.to_string());
        let step = u32::try_from(round).unwrap_or(u32::MAX);
        let asked = Asked {
            speech: speech_id,
            step,
            place,
            scope: format!("{cause}/{round}"),
        };
        for (index, call) in (first..).zip(calls) {
            self.run_call(call, index, &asked);
        }
    }

    fn run_call(&mut self, mut call: ToolCall, index: usize, asked: &Asked) {
        let Asked {
            speech,
            step,
            place,
            ref scope,
        } = *asked;
        let now = self.core.now;
        self.make_unique(&mut call);
        let item = Item::FunctionCall {
            call: call.clone(),
            created_at: now,
        };
        self.core.remember(place.call(index), item);
        self.core.emit(Event::ToolStarted { call: call.clone() });
        let options = &self.core.options;
        let timeout = options
            .tools
            .get(&call.name)
            .and_then(|tool| tool.timeout)
            .unwrap_or(options.tool_timeout);
        let interruption = interruption_of(options, &call.name);
        let twin = self
            .tools
            .twin(&call)
            .map(|twin| (twin.call.call_id.clone(), twin.until));
        let full = self.tools.len() >= MAX_RUNNING_TOOLS;
        let until = twin.as_ref().map_or(now + timeout, |(_, until)| *until);
        let same_as = twin.map(|(id, _)| id);
        let runs = same_as.is_none() && !full;
        let idempotency_key = format!(
            "{scope}/{}/{:016x}/{index}",
            call.name,
            fingerprint(&call.arguments)
        );
        let id = call.call_id.clone();
        let running = Running {
            call: call.clone(),
            place: place.output(index),
            since: now,
            until,
            speech: Some(speech),
            same_as,
            interruption,
        };
        self.tools.running.push(running);
        if runs {
            self.core.act(Action::RunTool {
                call,
                idempotency_key,
                speech,
                step,
            });
        } else if full {
            self.finish_tool(&id, "too many tools are running".into(), true, true);
        }
    }

    /// Providers repeat ids, or send none.
    fn make_unique(&mut self, call: &mut ToolCall) {
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
        if self
            .tools
            .running
            .iter()
            .any(|running| running.call.call_id == call_id && running.same_as.is_some())
        {
            return; // it was never started under this name
        }
        match result {
            Ok(value) => self.finish_tool(call_id, value.output, false, value.reply),
            Err(message) => self.finish_tool(call_id, message, true, true),
        }
    }

    /// The one result of a call, and of those that wait for the same.
    fn finish_tool(&mut self, call_id: &str, output: String, is_error: bool, reply: bool) {
        let output = cut(output, MAX_VALUE_BYTES);
        let is_it = |running: &Running| {
            running.call.call_id == call_id || running.same_as.as_deref() == Some(call_id)
        };
        while let Some(at) = self.tools.running.iter().position(is_it) {
            let running = self.tools.running.remove(at);
            self.answer_call(running, output.clone(), is_error, reply);
        }
    }

    fn answer_call(&mut self, running: Running, output: String, is_error: bool, reply: bool) {
        let now = self.core.now;
        let output = ToolOutput {
            call_id: running.call.call_id,
            name: running.call.name,
            output,
            is_error,
        };
        if self.core.history.has_call(&output.call_id)
            && !self.core.history.has_output(&output.call_id)
        {
            let item = Item::FunctionCallOutput {
                output: output.clone(),
                created_at: now,
            };
            self.core.remember(running.place, item);
        }
        self.core.emit(Event::ToolEnded {
            output,
            duration: now.since(running.since),
        });
        self.active_at = now;
        let speech = running.speech.and_then(|id| self.speech_mut(id));
        if let Some(step) = speech.and_then(|speech| speech.steps.last_mut()) {
            step.answered += 1;
            step.reply_wanted |= reply;
        }
    }

    pub(crate) fn tools_due(&mut self) {
        let now = self.core.now;
        while let Some(at) = self
            .tools
            .running
            .iter()
            .position(|running| running.until <= now)
        {
            let running = self.tools.running.remove(at);
            if running.same_as.is_none() {
                self.core.act(Action::CancelTool {
                    call_id: running.call.call_id.clone(),
                });
            }
            let seconds = now.since(running.since).as_secs_f64();
            self.answer_call(
                running,
                format!("The tool has not answered within {seconds:.1} s."),
                true,
                true,
            );
        }
    }

    /// The speech is over for whatever reason: its tools run on or are cancelled, as their policy says.
    pub(crate) fn leave_tools(&mut self, speech: SpeechId) {
        let mut at = 0;
        while let Some(running) = self.tools.running.get_mut(at) {
            if running.speech != Some(speech) {
                at += 1;
                continue;
            }
            running.speech = None;
            match running.interruption {
                ToolInterruption::Cancel => {
                    let running = self.tools.running.remove(at);
                    self.cancel_call(running);
                }
                ToolInterruption::Detach | ToolInterruption::Protect => at += 1,
            }
        }
    }

    /// The session ends.
    pub(crate) fn cancel_tools(&mut self) {
        for running in std::mem::take(&mut self.tools.running) {
            self.cancel_call(running);
        }
    }

    fn cancel_call(&mut self, running: Running) {
        if running.same_as.is_none() {
            self.core.act(Action::CancelTool {
                call_id: running.call.call_id.clone(),
            });
        }
        self.answer_call(
            running,
            "The call was cancelled because the caller interrupted.".into(),
            true,
            false,
        );
    }
}
