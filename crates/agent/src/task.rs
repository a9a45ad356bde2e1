//! Tasks: another agent gets the floor, finds something out, and gives it back to the tool that asked (LiveKit's
//! `AgentTask`).

use std::sync::{Arc, Mutex, PoisonError};

use antiphon_dialogue::Input;
use antiphon_dialogue::ids::TaskId;
use antiphon_dialogue::input::Command;
use tokio::sync::mpsc;

use crate::agent::Agent;
use crate::error::AgentError;
use crate::tool::{ToolContext, ToolError};

/// With this handle the tools of a task's agent give the task's result.
pub struct TaskHandle<T> {
    slot: Arc<Mutex<Option<Result<T, ToolError>>>>,
    task: TaskId,
    facts: mpsc::Sender<Input>,
}

impl<T> Clone for TaskHandle<T> {
    fn clone(&self) -> Self {
        Self {
            slot: self.slot.clone(),
            task: self.task,
            facts: self.facts.clone(),
        }
    }
}

impl<T> std::fmt::Debug for TaskHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskHandle")
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

impl<T: Send> TaskHandle<T> {
    /// Gives the result; only the first counts. The agent that asked gets the floor back as soon as this agent has finished speaking.
    pub async fn complete(&self, value: T) {
        self.end(Ok(value)).await;
    }

    /// Says that there is no result; the tool that asked gets this error.
    pub async fn fail(&self, error: ToolError) {
        self.end(Err(error)).await;
    }

    async fn end(&self, result: Result<T, ToolError>) {
        self.slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(result);
        let (task, completed) = (self.task, true);
        let end = Input::Command(Command::EndTask { task, completed });
        let _ = self.facts.send(end).await; // the session is over
    }
}

/// Ends a task that nobody waits for any more.
struct Waiting {
    task: TaskId,
    facts: mpsc::Sender<Input>,
    over: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.over {
            let (task, completed) = (self.task, false);
            let end = Input::Command(Command::EndTask { task, completed });
            let _ = self.facts.try_send(end); // full: the end of the call ends it, too
        }
    }
}

impl ToolContext {
    /// The agent that speaks; `None` in a test that calls the tool itself. [`Agent::successor`] makes one with the same providers.
    pub fn agent(&self) -> Option<Agent> {
        self.caller
            .roster
            .as_ref()
            .and_then(|roster| roster.present())
    }

    /// Gives the floor to another agent until one of that agent's tools gives the result. The words before this call are finished first.
    /// The time limit of this tool stands still meanwhile. Tasks that are requested at the same time run one after the other, and the
    /// tools of a task can request tasks of their own.
    ///
    /// # Errors
    /// The agent cannot be built, the task failed, or the task was given up: the caller interrupted before it began, or the session is
    /// over.
    pub async fn run_task<T, F>(&self, make: F) -> Result<T, ToolError>
    where
        T: Send + 'static,
        F: FnOnce(TaskHandle<T>) -> Result<Agent, AgentError>,
    {
        let (Some(roster), Some(facts)) = (&self.caller.roster, &self.caller.facts) else {
            return Err(ToolError::internal("a task needs a session"));
        };
        let (task, end) = roster.task();
        let slot = Arc::new(Mutex::new(None));
        let handle = TaskHandle {
            slot: slot.clone(),
            task,
            facts: facts.clone(),
        };
        let mut waiting = Waiting {
            task,
            facts: facts.clone(),
            over: false,
        };
        let start = Command::StartTask {
            task,
            call_id: self.call_id.clone(),
            agent: roster.spec(make(handle)?),
        };
        let _ = facts.send(Input::Command(start)).await; // the session is over
        let completed = end.await.unwrap_or(false);
        waiting.over = true;
        let result = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        match result {
            Some(result) if completed => result,
            _ => Err(ToolError::new("The task was given up.")),
        }
    }
}
