//! Tools of a scenario, and the agents that they bring in.

use super::cast::Deed;
use super::simulate::Simulation;
use antiphon_chat::ToolCall;
use antiphon_chat::time::Duration;
use antiphon_dialogue::Options;
use antiphon_dialogue::agents::AgentSpec;
use antiphon_dialogue::ids::{AgentKey, TaskId};
use antiphon_dialogue::input::{Command, Input, ToolValue};

const MS: Duration = Duration::from_millis(1);

/// What a tool gives; `None`: it never ends.
type Given = Option<Result<ToolValue, String>>;

/// What the simulation remembers of tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    /// As the session began; its agents are built like the first one.
    options: Options,
    numbers: u32,
    /// With the call that waits for it and what that gives then.
    open: Vec<(TaskId, String, Given)>,
    /// Who speaks: a task's agent has its number.
    pub(super) speaks: u32,
}

impl Tasks {
    /// None, in a session with these options.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            ..Self::default()
        }
    }
}

impl Simulation {
    pub(super) fn run_tool(&mut self, call: ToolCall) {
        let found = self.tools.iter().find(|tool| tool.name == call.name);
        let (after, result, updates, deed) = match found.cloned() {
            Some(tool) => (tool.after, tool.result, tool.updates, tool.deed),
            None => {
                self.unscripted_tools.insert(call.name);
                let result = Some(Err("no such tool".into()));
                (MS, result, Vec::new(), Deed::Nothing)
            }
        };
        let call_id = call.call_id;
        for (at, message) in updates {
            let call_id = call_id.clone();
            self.schedule(self.now + at, Input::ToolUpdated { call_id, message });
        }
        let at = self.now + after;
        let tell =
            |simulation: &mut Self, command| simulation.schedule(at, Input::Command(command));
        match deed {
            Deed::Nothing => {}
            Deed::HandsTo(name, greeting) => {
                let (call_id, agent) = (call_id.clone(), self.agent(name, greeting));
                tell(self, Command::HandOff { call_id, agent });
            }
            Deed::Asks(name, greeting) => {
                let agent = self.agent(name, greeting);
                let task = TaskId(self.tasks.numbers);
                self.tasks.open.push((task, call_id.clone(), result));
                let start = Command::StartTask {
                    task,
                    call_id,
                    agent,
                };
                return tell(self, start);
            }
            Deed::Completes => {
                let (task, completed) = (TaskId(self.tasks.speaks), true);
                tell(self, Command::EndTask { task, completed });
            }
        }
        if let Some(result) = result {
            self.schedule(at, Input::ToolFinished { call_id, result });
        }
    }

    pub(super) fn task_ended(&mut self, task: TaskId, completed: bool) {
        let open = &mut self.tasks.open;
        let Some(at) = open.iter().position(|(open, ..)| *open == task) else {
            return;
        };
        let (_, call_id, result) = open.remove(at);
        let result = if completed {
            result
        } else {
            Some(Err("the task was given up".into()))
        };
        if let Some(result) = result {
            self.schedule(self.now + MS, Input::ToolFinished { call_id, result });
        }
    }

    fn agent(&mut self, name: String, greeting: String) -> Box<AgentSpec> {
        self.tasks.numbers += 1;
        // as programs do it: without what was changed since
        let mut options = self.tasks.options.clone();
        options.greeting = (!greeting.is_empty()).then_some(greeting);
        Box::new(AgentSpec {
            key: AgentKey(self.tasks.numbers),
            instructions: format!("You are {name}.").into(),
            name,
            options,
            overrides: antiphon_dialogue::patch::OptionsPatch::default(),
            keep_history: false,
        })
    }
}
