//! What becomes of a call when it is asked for: it runs, waits for one that does the same, or is answered at once. Also the
//! two tools with which the model looks after those that run.

use std::fmt::Write as _;

use super::{Hands, Running, Waits, World};
use serde_json::Value;

use crate::limits::{MAX_DOUBTFUL_CALLS, MAX_RUNNING_TOOLS};
use crate::options::{
    CANCEL_TASK, CONFIRM_DUPLICATE, DuplicateScope, OnDuplicate, RUNNING_TASKS, ToolOptions,
};

use antiphon_chat::ToolCall;
use antiphon_chat::time::Instant;

const REPLACED: &str = "The call was cancelled because a newer one takes its place.";
const CANCELLED: &str = "The call was cancelled as you asked.";

/// What becomes of a call.
pub(super) enum Fate {
    Run,
    /// It waits for the result of one that does the same.
    Share {
        with: String,
        until: Instant,
    },
    /// The model reads this at once.
    Answer {
        output: String,
        is_error: bool,
    },
}

/// A call that was stopped, or given up, when it may have done already what it was to do.
#[derive(Clone, Debug)]
pub(super) struct Doubtful {
    call: ToolCall,
    key: String,
}

impl Hands {
    /// It is stopped without a result.
    pub(super) fn doubt(&mut self, running: &Running) {
        if self.doubtful.iter().any(|other| other.key == running.key) {
            return;
        }
        if self.doubtful.len() >= MAX_DOUBTFUL_CALLS {
            self.doubtful.pop_front();
        }
        self.doubtful.push_back(Doubtful {
            call: running.call.clone(),
            key: running.key.clone(),
        });
    }

    /// A later attempt has succeeded: who asks once more wants it once more.
    pub(super) fn clear_doubt(&mut self, key: &str) {
        self.doubtful.retain(|doubtful| doubtful.key != key);
    }

    /// This is another attempt at something that was stopped: under the same key it is not done twice.
    pub(super) fn doubtful_key(&self, call: &ToolCall) -> Option<String> {
        let idle = |key: &str| self.running.iter().all(|running| running.key != key);
        self.doubtful
            .iter()
            .find(|other| {
                other.call.name == call.name
                    && same_arguments(&other.call, call)
                    && idle(&other.key)
            })
            .map(|doubtful| doubtful.key.clone())
    }
}

impl Hands {
    /// May take the model's confirmation out of the arguments, and cancel what runs.
    pub(super) fn judge(
        &mut self,
        world: &mut World<'_>,
        call: &mut ToolCall,
        options: &ToolOptions,
    ) -> Fate {
        if let Some(answer) = self.about_running(world, call) {
            return answer;
        }
        let confirmed = options.on_duplicate == OnDuplicate::Confirm && take_confirmation(call);
        if let Some(twin) = self.twin(call) {
            return Fate::Share {
                with: twin.call.call_id.clone(),
                until: twin.until,
            };
        }
        let same = |running: &&Running| {
            running.same_as.is_none()
                && running.call.name == call.name
                && (options.duplicate_scope == DuplicateScope::Name
                    || same_arguments(&running.call, call))
        };
        let duplicates: Vec<String> = self
            .running
            .iter()
            .filter(same)
            .map(|running| running.call.call_id.clone())
            .collect();
        if let Some(first) = duplicates.first() {
            match options.on_duplicate {
                OnDuplicate::Allow => {}
                OnDuplicate::Confirm if confirmed => {}
                OnDuplicate::Reject => return refused(call, first, ""),
                OnDuplicate::Confirm => {
                    let how = format!(
                        " To run it once more all the same, call it again with `{CONFIRM_DUPLICATE}` true."
                    );
                    return refused(call, first, &how);
                }
                OnDuplicate::Replace => {
                    for id in &duplicates {
                        if let Some(running) = self.take(id) {
                            self.cancel(world, running, REPLACED);
                        }
                    }
                }
            }
        }
        if self.len() >= MAX_RUNNING_TOOLS {
            return Fate::Answer {
                output: "too many tools are running".into(),
                is_error: true,
            };
        }
        Fate::Run
    }

    /// A call that lost its speech to an interruption and does the same: it must not be done twice.
    fn twin(&self, call: &ToolCall) -> Option<&Running> {
        self.running.iter().find(|running| {
            running.waits == Waits::Nobody
                && running.updates == 0
                && running.same_as.is_none()
                && running.call.name == call.name
                && same_arguments(&running.call, call)
        })
    }

    /// The answer to the model's own tools.
    fn about_running(&mut self, world: &mut World<'_>, call: &ToolCall) -> Option<Fate> {
        let tools = &world.core.options.tools;
        let may = |name: &str| tools.get(name).is_some_and(|tool| tool.cancellable);
        let known = matches!(call.name.as_str(), CANCEL_TASK | RUNNING_TASKS);
        if !known || !tools.values().any(|tool| tool.cancellable) {
            return None;
        }
        let running = self.running.iter();
        let cancellable =
            running.filter(|running| running.same_as.is_none() && may(&running.call.name));
        if call.name == RUNNING_TASKS {
            let mut output = String::new();
            for Running { call, .. } in cancellable {
                let _ = writeln!(output, "{}: {} {}", call.call_id, call.name, call.arguments);
            }
            if output.is_empty() {
                output.push_str("Nothing is running.");
            }
            return Some(Fate::Answer {
                output,
                is_error: false,
            });
        }
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let wanted = arguments.get("call_id").and_then(Value::as_str);
        let found = cancellable
            .map(|running| running.call.call_id.clone())
            .find(|id| Some(id.as_str()) == wanted);
        let (output, is_error) = match found.and_then(|id| self.take(&id)) {
            Some(running) => {
                let output = format!("The call {} is cancelled.", running.call.call_id);
                self.cancel(world, running, CANCELLED);
                (output, false)
            }
            None => {
                let output = "No call of that id is running that could be cancelled.";
                (output.to_owned(), true)
            }
        };
        Some(Fate::Answer { output, is_error })
    }
}

fn refused(call: &ToolCall, running: &str, how: &str) -> Fate {
    Fate::Answer {
        output: format!("`{}` is running already, as {running}.{how}", call.name),
        is_error: true,
    }
}

/// The tool itself does not know the argument.
fn take_confirmation(call: &mut ToolCall) -> bool {
    let Ok(Value::Object(mut arguments)) = serde_json::from_str(&call.arguments) else {
        return false;
    };
    match arguments.remove(CONFIRM_DUPLICATE) {
        Some(confirmed) => {
            call.arguments = Value::Object(arguments).to_string();
            confirmed == Value::Bool(true)
        }
        None => false,
    }
}

/// The order in which they are written does not matter.
fn same_arguments(one: &ToolCall, other: &ToolCall) -> bool {
    let value = |call: &ToolCall| serde_json::from_str::<Value>(&call.arguments).ok();
    one.arguments == other.arguments || value(one).is_some_and(|one| Some(one) == value(other))
}
