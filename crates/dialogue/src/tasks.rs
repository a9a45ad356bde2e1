//! Agents that take over, and tasks that have the floor for a while: what that means for the conversation.

use crate::action::{Action, Switch};
use crate::agents::{AgentSpec, Frame, Persona, Waiting};
use crate::event::{Component, SpeechPurpose};
use crate::hands::Waits;
use crate::history::{Place, View};
use crate::ids::TaskId;
use crate::limits::{MAX_QUEUED_SPEECHES, MAX_TASK_DEPTH};
use crate::machine::Dialogue;
use crate::speech::{Speech, Words};
use antiphon_chat::Item;

const INTERRUPTED: &str = "The conversation was not handed over, because the caller interrupted.";
const TWO: &str = "Two tools wanted to hand the conversation over at once: nobody took over.";
const IN_TASK: &str = "A task cannot hand the conversation over: it gives a result back.";

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

    /// The speech is over: the agent that its tool returned takes over before anything else.
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
            new_agent_id: self.agents.present().1.to_owned(),
            created_at: self.core.now,
        };
        self.core.remember(place, item);
    }

    fn become_agent(&mut self, persona: Persona, how: Switch) {
        let place = self.core.history.reserve();
        let old = self.agents.become_one(persona.key, persona.name);
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
        let is_wanted = self.hands.awaited(&call_id).is_some() && self.ending.is_none();
        let waiting = Waiting {
            task,
            call_id,
            agent,
        };
        if !is_wanted || !self.agents.wait(waiting) {
            self.task_ended(task, false);
        }
    }

    fn task_ended(&mut self, task: TaskId, completed: bool) {
        self.core.act(Action::TaskEnded { task, completed });
    }

    /// A task has its result, or is given up.
    pub(crate) fn end_task(&mut self, task: TaskId, completed: bool) {
        if self.agents.end_task(task, completed) {
            self.task_ended(task, completed);
        }
    }

    /// The next task gets the floor, or is given up.
    pub(crate) fn begin_task(&mut self) {
        let next = self.next_task();
        let next = next.and_then(|(at, is_lost)| Some((self.agents.take_waiting(at)?, is_lost)));
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
        let mut waiting = self.agents.all_waiting().enumerate();
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
        let (key, name) = self.agents.present();
        let parent = Persona {
            key,
            name: name.to_owned(),
            instructions: self.core.instructions.clone(),
            options: self.core.layers.session.clone(),
            overrides: self.core.layers.agent.clone(),
            view: self.core.history.view(),
        };
        self.hands.pause(self.core.now, &waiting.call_id);
        let Waiting { task, call_id, .. } = waiting;
        self.agents.begin(task, call_id, parent, began);
        self.switch_agent(*waiting.agent, Switch::TaskBegins);
    }

    /// A task that is over gives the floor back.
    pub(crate) fn finish_task(&mut self) {
        if let Some(frame) = self.agents.give_back() {
            self.give_back(frame);
        }
    }

    /// Whoever takes over takes it from the agent that began the first task as well: the tasks end without a result, and what
    /// waited for them is given up. Their calls run on: what they give is told by whoever speaks then.
    fn give_up_tasks(&mut self) {
        while let Some(frame) = self.agents.give_back() {
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
        self.hands.resume(self.core.now, self.agents.depth());
        let until = self.core.history.reserve();
        self.core
            .history
            .hide_calls(frame.began, until, &frame.of_parents);
        self.become_agent(frame.parent, Switch::TaskEnds);
        self.task_ended(frame.task, frame.outcome == Some(true));
        self.speeches.wait_for_tools_again(self.agents.depth());
    }

    /// The session ends: nobody waits for a task any more.
    pub(crate) fn abandon_tasks(&mut self) {
        while let Some(waiting) = self.agents.take_waiting(0) {
            self.task_ended(waiting.task, false);
        }
        while let Some(frame) = self.agents.give_back() {
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
