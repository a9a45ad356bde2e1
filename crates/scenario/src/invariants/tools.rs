//! The observer's own ledger of tool calls: what runs, under which key, and for how long.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Violation;
use super::cut;
use antiphon_chat::time::Duration;
use antiphon_chat::{Item, ToolCall};
use antiphon_dialogue::action::Switch;
use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::ToolValue;
use antiphon_dialogue::limits::{MAX_DOUBTFUL_CALLS, MAX_VALUE_BYTES};
use antiphon_dialogue::options::{Options, ToolInterruption};

/// A tool call that was started and has not answered.
#[derive(Clone, Debug)]
struct Running {
    call: ToolCall,
    key: String,
    speech: SpeechId,
    /// Its speech was interrupted: a repetition would do it twice.
    interrupted: bool,
    /// It has reported: its call has a result, and the model knows that it runs.
    told: bool,
    /// Its result may be refused.
    refused: bool,
    /// It has this long without a sign, and has had so much of it: time in which tasks that began later have the floor does
    /// not count.
    budget: Duration,
    spent: Duration,
    /// How many tasks had the floor when it began.
    depth: usize,
    /// It forbids interruptions; `None`: it has just begun, and nobody has looked.
    protects: Option<bool>,
}

/// What a tool gave in this step.
#[derive(Clone, Debug)]
struct Given {
    running: Running,
    output: String,
}

/// All calls that are of interest still.
#[derive(Clone, Debug, Default)]
pub(super) struct Tools {
    /// Names and keys of all calls that were ever started.
    run: BTreeSet<String>,
    keys: BTreeSet<String>,
    running: BTreeMap<String, Running>,
    results: Vec<Given>,
    /// Calls that were stopped and may have done what they were to do, oldest first: another attempt is made under the same
    /// key.
    doubtful: VecDeque<Running>,
    /// How many tasks have the floor.
    depth: usize,
}

impl Tools {
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// So much time, with the floor as it was.
    pub(super) fn passes(&mut self, time: Duration) {
        let depth = self.depth;
        for running in self.running.values_mut().filter(|own| own.depth >= depth) {
            running.spent += time;
        }
    }

    pub(super) fn switched(&mut self, how: Switch) {
        self.depth = match how {
            Switch::TaskBegins => self.depth + 1,
            Switch::TaskEnds => self.depth.saturating_sub(1),
            Switch::Handoff => 0,
        };
    }

    /// After a step: what the options say of the calls that have begun in it.
    pub(super) fn look_up(&mut self, options: &Options) {
        for running in self.running.values_mut() {
            let tool = options.tools.get(&running.call.name);
            let policy = tool.and_then(|tool| tool.interruption);
            let policy = policy.unwrap_or(options.tool_interruption);
            running
                .protects
                .get_or_insert(policy == ToolInterruption::Protect);
        }
    }

    /// One that runs may forbid interruptions.
    pub(super) fn protect(&self) -> bool {
        let mut running = self.running.values();
        running.any(|own| own.depth >= self.depth && own.protects == Some(true))
    }

    pub(super) fn finished(&mut self, call_id: &str, result: &Result<ToolValue, String>) {
        let Some(running) = self.running.remove(call_id) else {
            return;
        };
        if result.is_ok() {
            self.doubtful.retain(|other| other.key != running.key);
        }
        let output = match result {
            Ok(value) => &value.output,
            Err(message) => message,
        };
        let output = cut(output.clone(), MAX_VALUE_BYTES);
        self.results.push(Given { running, output });
    }

    /// The model knows that it runs: it may call it again. And it lives.
    pub(super) fn updated(&mut self, call_id: &str) {
        if let Some(running) = self.running.get_mut(call_id) {
            (running.told, running.spent) = (true, Duration::ZERO);
        }
    }

    pub(super) fn hands_off(&mut self, call_id: &str) {
        if let Some(running) = self.running.get_mut(call_id) {
            running.refused = true;
        }
    }

    /// The machine says what became of it; what the tool says later, or said at this moment, is not news.
    pub(super) fn cancelled(&mut self, call_id: &str) {
        let given = self
            .results
            .iter()
            .position(|given| given.running.call.call_id == *call_id)
            .map(|at| self.results.remove(at).running);
        if let Some(running) = self.running.remove(call_id).or(given) {
            self.note_doubtful(running);
        }
    }

    pub(super) fn runs(
        &mut self,
        call: &ToolCall,
        key: &str,
        speech: SpeechId,
        budget: Duration,
    ) -> Result<(), Violation> {
        let id = &call.call_id;
        let busy = |key: &str| self.running.values().any(|other| other.key == key);
        let same = |other: &Running| {
            other.call.name == call.name && other.call.arguments == call.arguments
        };
        let again = !self.keys.insert(key.to_owned());
        let stopped = |other: &&Running| other.key == key && !busy(key);
        if !self.run.insert(id.clone()) || (again && !self.doubtful.iter().any(|o| stopped(&o))) {
            return Err(Violation::ToolResult(format!("{id} was run twice")));
        }
        let mut newest = self.doubtful.iter().rev().take(MAX_DOUBTFUL_CALLS / 2);
        if let Some(other) = newest
            .find(|other| same(other) && !busy(&other.key))
            .filter(|_| !again)
        {
            return Err(Violation::ToolResult(format!(
                "{id} does what {} may have done, under another key",
                other.call.call_id
            )));
        }
        let twin = self.running.iter().find(|(_, other)| {
            other.interrupted
                && !other.told
                && other.call.name == call.name
                && other.call.arguments == call.arguments
        });
        if let Some((other, _)) = twin {
            return Err(Violation::ToolResult(format!(
                "{id} repeats {other}, which runs on after an interruption"
            )));
        }
        let running = Running {
            call: call.clone(),
            speech,
            key: key.to_owned(),
            interrupted: false,
            told: false,
            refused: false,
            budget,
            spent: Duration::ZERO,
            depth: self.depth,
            protects: None,
        };
        self.running.insert(id.clone(), running);
        Ok(())
    }

    /// More than the machine remembers: which of them it forgets first is its business.
    fn note_doubtful(&mut self, running: Running) {
        if self.doubtful.iter().all(|other| other.key != running.key) {
            self.doubtful.push_back(running);
        }
        if self.doubtful.len() > 2 * MAX_DOUBTFUL_CALLS {
            self.doubtful.pop_front();
        }
    }

    /// The tools of this speech run on without it.
    pub(super) fn leave(&mut self, speech: SpeechId) {
        for running in self.running.values_mut() {
            running.interrupted |= running.speech == speech;
        }
    }

    /// Promise 4: what they gave in this step.
    pub(super) fn check_given(&mut self, history: &[Item]) -> Result<(), Violation> {
        for Given { running, output } in std::mem::take(&mut self.results) {
            let (id, given) = (running.call.call_id, output);
            if running.refused {
                continue;
            }
            let there = history.iter().rev().any(|item| {
                matches!(item, Item::FunctionCallOutput { output, .. }
                    if output.call_id.starts_with(&id) && output.output == given)
            });
            if !there {
                return Err(Violation::ToolResult(format!(
                    "{id} gave {given:?}, which is not in the history"
                )));
            }
        }
        Ok(())
    }

    /// Promise 9.
    pub(super) fn end_in_time(&self) -> Result<(), Violation> {
        let late = |own: &&Running| own.spent > own.budget;
        match self.running.values().find(late) {
            Some(own) => Err(Violation::ToolTime(format!(
                "{} runs for {:?}, and had {:?}",
                own.call.call_id, own.spent, own.budget
            ))),
            None => Ok(()),
        }
    }
}
