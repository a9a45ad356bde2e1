//! Who speaks. Another agent takes over (a handoff), or one is asked to find something out and gives the floor back (a
//! task). What has been said stays with the session; what the new agent knows of it is its spec's business.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Switch};
use crate::event::{Component, SpeechPurpose};
use crate::hands::Waits;
use crate::history::{Place, View};
use crate::ids::{AgentKey, TaskId};
use crate::limits::{MAX_QUEUED_SPEECHES, MAX_TASK_DEPTH, MAX_WAITING_TASKS};
use crate::machine::Dialogue;
use crate::options::Options;
use crate::patch::OptionsPatch;
use crate::speech::{Speech, Words};
use antiphon_chat::Item;

const INTERRUPTED: &str = "The conversation was not handed over, because the caller interrupted.";
const TWO: &str = "Two tools wanted to hand the conversation over at once: nobody took over.";
const IN_TASK: &str = "A task cannot hand the conversation over: it gives a result back.";

/// All that the dialogue knows of an agent. Its tools and providers are the driver's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// The driver's name of it, for [`Action::SwitchAgent`].
    pub key: AgentKey,
    /// Its name in the history.
    pub name: String,
    /// The text of the model's system role.
    pub instructions: Arc<str>,
    /// How its dialogue behaves; the greeting is what it says first.
    pub options: Options,
    /// What it wants otherwise than these.
    pub overrides: OptionsPatch,
    /// Does it know what was said before it came? LiveKit: no, unless it is given the history.
    pub keep_history: bool,
}

/// An agent that waits for a task's end.
#[derive(Clone, Debug)]
struct Persona {
    key: AgentKey,
    name: String,
    instructions: Arc<str>,
    options: Options,
    overrides: OptionsPatch,
    view: View,
}

/// A task that has the floor.
#[derive(Clone, Debug)]
struct Frame {
    task: TaskId,
    /// The call that waits for its result.
    call_id: String,
    parent: Persona,
    began: Place,
    /// Reports of tools that run for those who wait for it: theirs, though the task has the floor. No more than all running
    /// tools may report.
    of_parents: Vec<Place>,
    /// It is over: with a result?
    outcome: Option<bool>,
}

/// A task that waits for its turn.
#[derive(Clone, Debug)]
struct Waiting {
    task: TaskId,
    call_id: String,
    agent: Box<AgentSpec>,
}

/// Who speaks, and who waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    key: AgentKey,
    pub(crate) name: String,
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

    /// Switches that wait for their time; looked at by the invariants alone.
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

    /// A tool that began when so many tasks had the floor has reported in this place.
    pub(crate) fn wrote_for_parents(&mut self, depth: usize, place: Place) {
        for frame in self.frames.iter_mut().skip(depth) {
            frame.of_parents.push(place);
        }
    }

    /// The call that waits for a task has ended by itself: so has the task, and those that it has begun.
    pub(crate) fn call_ended(&mut self, call_id: &str) {
        if let Some(at) = self
            .frames
            .iter()
            .position(|frame| frame.call_id == call_id)
        {
            for frame in self.frames.iter_mut().skip(at) {
                frame.outcome.get_or_insert(false);
            }
        }
    }
}

impl Dialogue {
    /// `update_agent`: after everything that waits to be said now. Who comes while the session ends would have nothing to say.
    pub(crate) fn update_agent(&mut self, agent: Box<AgentSpec>) {
        if self.ending.is_some() {
            return;
        }
        if self.speeches.queue().count() >= MAX_QUEUED_SPEECHES {
            let message = "too many speeches are waiting: the agent stays";
            self.core.error(Component::Llm, message, true);
            return;
        }
        self.drop_speculation();
        self.speeches.push(handover(agent));
    }

    /// A tool is about to give an agent back.
    pub(crate) fn hand_off(&mut self, call_id: &str, agent: Box<AgentSpec>) {
        match self.hands.awaited(call_id) {
            None => {}
            Some((1.., _)) => self.hands.refuse(call_id, IN_TASK),
            Some((0, Waits::Nobody)) => self.hands.refuse(call_id, INTERRUPTED),
            Some((0, Waits::Report)) => self.update_agent(agent),
            Some((0, Waits::Speech(id))) => {
                self.hands.hand_over(call_id);
                if self
                    .speeches
                    .get_mut(id)
                    .is_some_and(|speech| !speech.give_to(agent))
                {
                    self.hands.refuse_handoffs(id, TWO);
                }
            }
        }
    }

    /// The speech is over: whom its tool gave back takes over before anything else.
    pub(crate) fn hand_over(&mut self, speech: &mut Speech) {
        if let Some(agent) = speech.handoff.take().filter(|_| self.ending.is_none()) {
            self.speeches.push_first(handover(agent));
        }
    }

    /// From here on another one speaks.
    pub(crate) fn switch_agent(&mut self, agent: AgentSpec, how: Switch) {
        self.drop_speculation();
        if how == Switch::Handoff {
            self.give_up_tasks();
        }
        let view = match agent.keep_history {
            true => self.core.history.view(),
            // a turn that waits for its answer is the new agent's to answer
            false => {
                let waits = self.speeches.queue().any(|queued| queued.turn.is_some());
                let turn = waits.then(|| self.core.history.newest_user()).flatten();
                View::from(turn.unwrap_or_else(|| self.core.history.reserve()))
            }
        };
        let persona = Persona {
            key: agent.key,
            name: agent.name,
            instructions: agent.instructions,
            options: agent.options,
            overrides: agent.overrides,
            view,
        };
        self.become_agent(persona, how);
        if let Some(greeting) = self.greeting() {
            self.enqueue_first(greeting);
        }
    }

    /// The session begins: the history says with whom, as LiveKit's does.
    pub(crate) fn enter_first(&mut self) {
        self.handed_over(self.core.history.began(), None);
    }

    fn handed_over(&mut self, place: Place, old_agent_id: Option<String>) {
        let item = Item::AgentHandoff {
            id: self.core.history.next_id(),
            old_agent_id,
            new_agent_id: self.agents.name.clone(),
            created_at: self.core.now,
        };
        self.core.remember(place, item);
    }

    fn become_agent(&mut self, persona: Persona, how: Switch) {
        let place = self.core.history.reserve();
        let old = std::mem::replace(&mut self.agents.name, persona.name);
        self.agents.key = persona.key;
        self.core.instructions = persona.instructions;
        self.bring_options(persona.options, persona.overrides);
        self.core.history.look(persona.view);
        self.handed_over(place, Some(old));
        self.hands.show_untold(&mut self.core);
        let key = persona.key;
        self.core.act(Action::SwitchAgent { key, how });
    }

    /// A tool asks for a task and waits for its end.
    pub(crate) fn start_task(&mut self, task: TaskId, call_id: String, agent: Box<AgentSpec>) {
        let known = self.hands.awaited(&call_id).is_some();
        if !known || self.agents.waiting.len() >= MAX_WAITING_TASKS || self.ending.is_some() {
            self.task_ended(task, false);
            return;
        }
        self.agents.waiting.push_back(Waiting {
            task,
            call_id,
            agent,
        });
    }

    fn task_ended(&mut self, task: TaskId, completed: bool) {
        self.core.act(Action::TaskEnded { task, completed });
    }

    /// A task has its result, or is given up.
    pub(crate) fn end_task(&mut self, task: TaskId, completed: bool) {
        let waiting = &mut self.agents.waiting;
        if let Some(at) = waiting.iter().position(|waiting| waiting.task == task) {
            waiting.remove(at);
            self.task_ended(task, completed);
        } else if let Some(at) = self
            .agents
            .frames
            .iter()
            .position(|frame| frame.task == task)
        {
            let mut frames = self.agents.frames.iter_mut().skip(at);
            if let Some(frame) = frames.next() {
                frame.outcome.get_or_insert(completed);
            }
            for frame in frames {
                frame.outcome.get_or_insert(false);
            }
        }
    }

    /// The next task gets the floor, or is given up.
    pub(crate) fn begin_task(&mut self) {
        let next = self.next_task();
        let next = next.and_then(|(at, is_lost)| Some((self.agents.waiting.remove(at)?, is_lost)));
        match next {
            Some((waiting, true)) => self.task_ended(waiting.task, false),
            Some((waiting, false)) => self.push_frame(waiting),
            None => {}
        }
    }

    /// The next task that could have the floor if nobody spoke: its number among those that wait, and whether its call has
    /// gone so that it is given up.
    pub(crate) fn next_task(&self) -> Option<(usize, bool)> {
        let depth = self.agents.depth();
        let settled = !self.speeches.is_any_ready();
        let hooked = !self.hooks.is_empty();
        if !settled || hooked || self.ending.is_some() || self.agents.task_is_over() {
            return None;
        }
        let mut waiting = self.agents.waiting.iter().enumerate();
        waiting.find_map(|(at, waiting)| {
            let call = self.hands.awaited(&waiting.call_id);
            let is_lost = call.is_none_or(|(of, waits)| of > depth || waits == Waits::Nobody);
            let is_eligible = call.is_some_and(|(of, _)| of == depth) && depth < MAX_TASK_DEPTH;
            (is_lost || is_eligible).then_some((at, is_lost))
        })
    }

    fn push_frame(&mut self, waiting: Waiting) {
        self.speeches.park();
        self.speeches.wait_for_task(self.agents.depth());
        let began = self.core.history.reserve();
        let parent = Persona {
            key: self.agents.key,
            name: self.agents.name.clone(),
            instructions: self.core.instructions.clone(),
            options: self.core.layers.session.clone(),
            overrides: self.core.layers.agent.clone(),
            view: self.core.history.view(),
        };
        self.hands.pause(self.core.now, &waiting.call_id);
        self.agents.frames.push(Frame {
            task: waiting.task,
            call_id: waiting.call_id,
            parent,
            began,
            of_parents: Vec::new(),
            outcome: None,
        });
        self.switch_agent(*waiting.agent, Switch::TaskBegins);
    }

    /// A task that is over gives the floor back.
    pub(crate) fn finish_task(&mut self) {
        if let Some(frame) = self.agents.frames.pop() {
            self.give_back(frame);
        }
    }

    /// Whoever takes over takes it from the agent that began the first task as well: the tasks end without a result, and what
    /// waited for them is given up. Their calls run on: what they give is told by whoever speaks then.
    fn give_up_tasks(&mut self) {
        while let Some(frame) = self.agents.frames.pop() {
            self.give_back(frame);
            while let Some(mut speech) = self.speeches.take(Speech::is_parked) {
                speech.handoff = None; // somebody else takes over
                self.drop_speech(speech);
            }
        }
    }

    /// Whoever asked for the task has the floor again.
    fn give_back(&mut self, frame: Frame) {
        self.drop_speculation();
        self.hands.resume(self.core.now, self.agents.frames.len());
        let until = self.core.history.reserve();
        self.core
            .history
            .hide_calls(frame.began, until, &frame.of_parents);
        self.become_agent(frame.parent, Switch::TaskEnds);
        self.task_ended(frame.task, frame.outcome == Some(true));
        self.speeches.task_is_over(self.agents.depth());
    }

    /// The session ends: nobody waits for a task any more.
    pub(crate) fn abandon_tasks(&mut self) {
        for waiting in std::mem::take(&mut self.agents.waiting) {
            self.task_ended(waiting.task, false);
        }
        while let Some(frame) = self.agents.frames.pop() {
            let depth = self.agents.depth();
            while let Some(speech) = self.speeches.take(|own| own.waits_for_task(depth)) {
                self.drop_speech(speech);
            }
            self.task_ended(frame.task, false);
        }
    }
}

fn handover(agent: Box<AgentSpec>) -> Speech {
    Speech::new(SpeechPurpose::GenerateReply, Words::Agent(agent), false)
}
