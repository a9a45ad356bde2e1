//! Who speaks. Another agent takes over (a handoff), or one is asked to find something out and gives the floor back (a
//! task). What has been said stays with the session; what the new agent knows of it is its spec's business.
//!
//! `Agents` **owns** who speaks, the tasks that have the floor, each asked for by the one before, and those that wait for it.
//! It **is told** of tasks that are asked for and that end. It **answers** how deep they are, and which one is over. What follows
//! for the conversation is the stage's business (`tasks.rs`).

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::history::{Place, View};
use crate::ids::{AgentKey, TaskId};
use crate::limits::MAX_WAITING_TASKS;
use crate::options::Options;
use crate::patch::OptionsPatch;

/// All that the dialogue knows of an agent. Its tools and providers are the driver's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// The driver's name of it, for [`SwitchAgent`](crate::Action::SwitchAgent).
    pub key: AgentKey,
    /// Its name in the history.
    pub name: String,
    /// The text of the model's system role.
    pub instructions: Arc<str>,
    /// How its dialogue behaves; the greeting is what it says first.
    pub options: Options,
    /// Options that override these.
    pub overrides: OptionsPatch,
    /// Does it know what was said before it came? LiveKit: no, unless it is given the history.
    pub keep_history: bool,
}

/// An agent that waits for a task's end.
#[derive(Clone, Debug)]
pub(crate) struct Persona {
    pub(crate) key: AgentKey,
    pub(crate) name: String,
    pub(crate) instructions: Arc<str>,
    pub(crate) options: Options,
    pub(crate) overrides: OptionsPatch,
    pub(crate) view: View,
}

/// A task that has the floor.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) task: TaskId,
    /// The call that waits for its result.
    call_id: String,
    pub(crate) parent: Persona,
    pub(crate) began: Place,
    /// Reports of tools that the waiting agents started. They belong to those agents, although the task has the floor. No more than all running
    /// tools may report.
    pub(crate) of_parents: Vec<Place>,
    /// It is over: with a result?
    pub(crate) outcome: Option<bool>,
}

/// A task that waits for its turn.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) task: TaskId,
    pub(crate) call_id: String,
    pub(crate) agent: Box<AgentSpec>,
}

/// Who speaks, and who waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    key: AgentKey,
    name: String,
    frames: Vec<Frame>,
    waiting: VecDeque<Waiting>,
}

impl Default for Agents {
    fn default() -> Self {
        Self {
            key: AgentKey(0),
            name: "agent".into(),
            frames: Vec::new(),
            waiting: VecDeque::new(),
        }
    }
}

impl Agents {
    /// How many tasks have the floor, each asked for by the one before.
    pub(crate) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Tasks in the queue; only `inside.rs` reads this.
    #[cfg(debug_assertions)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The task that has the floor is over, and gives it back as soon as it has finished speaking.
    pub(crate) fn task_is_over(&self) -> bool {
        self.frames
            .last()
            .is_some_and(|frame| frame.outcome.is_some())
    }

    /// A tool that began when this many tasks had the floor has reported in this place.
    pub(crate) fn wrote_for_parents(&mut self, depth: usize, place: Place) {
        for frame in self.frames.iter_mut().skip(depth) {
            frame.of_parents.push(place);
        }
    }

    /// Who speaks.
    pub(crate) fn present(&self) -> (AgentKey, &str) {
        (self.key, &self.name)
    }

    /// From here on this one speaks; the name of who spoke before.
    pub(crate) fn become_one(&mut self, key: AgentKey, name: String) -> String {
        self.key = key;
        std::mem::replace(&mut self.name, name)
    }

    /// The call that waits for a task has ended by itself: so has the task, and those that it has begun.
    pub(crate) fn call_ended(&mut self, call_id: &str) {
        self.end(|frame| frame.call_id == call_id, false);
    }

    /// This task has its result, or is given up, and those that it has begun are given up. True: it did not have the floor yet.
    pub(crate) fn end_task(&mut self, task: TaskId, completed: bool) -> bool {
        let mut waiting = self.waiting.iter();
        match waiting.position(|waiting| waiting.task == task) {
            Some(at) => self.waiting.remove(at).is_some(),
            None => {
                self.end(|frame| frame.task == task, completed);
                false
            }
        }
    }

    fn end(&mut self, is_it: impl Fn(&Frame) -> bool, mut completed: bool) {
        let from = self.frames.iter().position(is_it);
        for frame in self.frames.iter_mut().skip(from.unwrap_or(usize::MAX)) {
            frame.outcome.get_or_insert(std::mem::take(&mut completed));
        }
    }

    /// It waits for its turn. False: too many do.
    pub(crate) fn wait(&mut self, waiting: Waiting) -> bool {
        let has_room = self.waiting.len() < MAX_WAITING_TASKS;
        if has_room {
            self.waiting.push_back(waiting);
        }
        has_room
    }

    /// Tasks that wait for their turn, oldest first.
    pub(crate) fn all_waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    pub(crate) fn take_waiting(&mut self, at: usize) -> Option<Waiting> {
        self.waiting.remove(at)
    }

    /// A task has the floor, for which this call waits.
    pub(crate) fn begin(&mut self, task: TaskId, call_id: String, parent: Persona, began: Place) {
        self.frames.push(Frame {
            task,
            call_id,
            parent,
            began,
            of_parents: Vec::new(),
            outcome: None,
        });
    }

    /// The newest task has it no longer.
    pub(crate) fn give_back(&mut self) -> Option<Frame> {
        self.frames.pop()
    }
}

#[cfg(test)]
mod tests;
