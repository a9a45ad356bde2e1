//! The tool calls of one step: how many were wanted, started and answered, and whether the model reads what they gave.
//!
//! Running them is the business of the [`Hands`](crate::hands).

use crate::ids::BatchId;
use crate::pending::Pending;
use antiphon_chat::ToolCall;

/// A call that the model asks for.
#[derive(Clone, Debug)]
pub(crate) struct WantedCall {
    pub(crate) call: ToolCall,
    /// It must not run; the model reads this as its result.
    pub(crate) refusal: Option<String>,
}

/// Do all calls have results, and may the speech go on?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Executed {
    /// Not yet, or there are none.
    #[default]
    No,
    /// They have, and the agent's hook looks at them.
    WithHook(Pending<BatchId>),
    /// They have, and it goes on.
    Yes,
}

/// See above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    /// Asked for and not started: the turn is not committed, or the caller is speaking.
    wanted: Vec<WantedCall>,
    /// How many were started.
    started: usize,
    /// How many of these have their result.
    answered: usize,
    executed: Executed,
    /// More than one tool has given an agent back: nobody takes over.
    rivals: bool,
    /// One of the results wants an answer.
    reply_wanted: bool,
}

impl Calls {
    pub(super) fn want(&mut self, call: WantedCall) {
        self.wanted.push(call);
    }

    /// The calls that are to be started now, and the number of the first.
    pub(crate) fn start(&mut self) -> (usize, Vec<WantedCall>) {
        let first = self.started;
        self.started += self.wanted.len();
        (first, std::mem::take(&mut self.wanted))
    }

    /// What was not started never is.
    pub(super) fn give_up(&mut self) {
        self.wanted.clear();
    }

    /// One has its result.
    pub(crate) fn count_answer(&mut self, reply: bool) {
        self.answered += 1;
        self.reply_wanted |= reply;
    }

    /// Everybody is told that all have their results. With `hook` the speech does not go on before that has looked.
    pub(crate) fn execute(&mut self, hook: Option<Pending<BatchId>>) {
        self.executed = hook.map_or(Executed::Yes, Executed::WithHook);
    }

    /// The hook has looked, or is waited for no longer: is there to be an answer?
    pub(crate) fn hook_answered(&mut self, reply: bool) {
        self.executed = Executed::Yes;
        self.reply_wanted &= reply;
    }

    /// One of the tools gives an agent back; is it the only one? `had_one`: one has before.
    pub(crate) fn take_agent(&mut self, had_one: bool) -> bool {
        self.rivals |= had_one;
        !self.rivals
    }

    // questions

    /// Wanted or started.
    pub(super) fn count(&self) -> usize {
        self.wanted.len() + self.started
    }

    /// Tools are to be called, or were.
    pub(crate) fn are_any(&self) -> bool {
        self.count() > 0
    }

    /// Some are to be started.
    pub(crate) fn are_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// All were started, and one has no result.
    pub(crate) fn are_running(&self) -> bool {
        self.wanted.is_empty() && self.answered < self.started
    }

    /// All that are known have their results, and nobody was told.
    pub(super) fn are_answered(&self) -> bool {
        self.started > 0
            && self.answered == self.started
            && self.executed == Executed::No
            && self.wanted.is_empty()
    }

    /// There are none, or all have their results and the speech may go on.
    pub(crate) fn are_done(&self) -> bool {
        self.wanted.is_empty() && (self.started == 0 || self.executed == Executed::Yes)
    }

    /// One of the results wants an answer.
    pub(crate) fn want_reply(&self) -> bool {
        self.started > 0 && self.reply_wanted
    }

    /// The hook that looks at the results.
    pub(super) fn hook(&self) -> Option<Pending<BatchId>> {
        match self.executed {
            Executed::WithHook(hook) => Some(hook),
            Executed::No | Executed::Yes => None,
        }
    }

    pub(crate) fn has_hook(&self, id: BatchId) -> bool {
        self.hook().is_some_and(|hook| hook.is(id))
    }
}
