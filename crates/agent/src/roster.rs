//! The agents of a session and the tasks that are waited for: what the dialogue knows by number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_dialogue::agents::AgentSpec;
use antiphon_dialogue::ids::{AgentKey, TaskId};
use tokio::sync::oneshot;

use crate::agent::Agent;

/// Agents that are remembered; those that have not spoken for the longest time go first. More than tasks can be inside each
/// other, whose agents must be found again.
const LIMIT: usize = 64;

/// Shared by the session's task and its tools.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Who spoke last stands last.
    agents: Vec<(AgentKey, Agent)>,
    /// The one that the session began with is 0.
    agents_so_far: u32,
    tasks_so_far: u32,
    tasks: HashMap<TaskId, oneshot::Sender<bool>>,
}

impl Roster {
    pub(crate) fn new(first: Agent) -> Arc<Self> {
        let roster = Self::default();
        roster.inner().agents.push((AgentKey(0), first));
        Arc::new(roster)
    }

    /// As the dialogue is told of it.
    pub(crate) fn spec(&self, agent: Agent) -> Box<AgentSpec> {
        let mut inner = self.inner();
        inner.agents_so_far += 1;
        let key = AgentKey(inner.agents_so_far);
        let spec = AgentSpec {
            key,
            name: agent.name().to_owned(),
            instructions: (agent.instructions)().into(),
            options: agent.options.clone(),
            overrides: agent.overrides.clone(),
            keep_history: agent.keep_history,
        };
        // who speaks stays the last
        let at = inner.agents.len().saturating_sub(1);
        inner.agents.insert(at, (key, agent));
        if inner.agents.len() > LIMIT {
            inner.agents.remove(0);
        }
        Box::new(spec)
    }

    /// It speaks now.
    pub(crate) fn enter(&self, key: AgentKey) -> Option<Agent> {
        let mut inner = self.inner();
        let at = inner.agents.iter().position(|(known, _)| *known == key)?;
        let entry = inner.agents.remove(at);
        let agent = entry.1.clone();
        inner.agents.push(entry);
        Some(agent)
    }

    /// Who speaks has changed: so it is found again after a task.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Agent)) {
        if let Some((_, present)) = self.inner().agents.last_mut() {
            change(present);
        }
    }

    /// Who speaks.
    pub(crate) fn present(&self) -> Option<Agent> {
        self.inner().agents.last().map(|(_, agent)| agent.clone())
    }

    /// A task and its end.
    pub(crate) fn task(&self) -> (TaskId, oneshot::Receiver<bool>) {
        let mut inner = self.inner();
        inner.tasks_so_far += 1;
        let task = TaskId(inner.tasks_so_far);
        let (sender, end) = oneshot::channel();
        inner.tasks.insert(task, sender);
        (task, end)
    }

    pub(crate) fn task_ended(&self, task: TaskId, completed: bool) {
        if let Some(waiting) = self.inner().tasks.remove(&task) {
            let _ = waiting.send(completed); // nobody waits any more
        }
    }

    /// The session is over.
    pub(crate) fn close(&self) {
        self.inner().tasks.clear();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
