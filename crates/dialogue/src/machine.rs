//! The machine itself.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::action::Action;
use crate::chat::Item;
use crate::input::Input;
use crate::options::Options;
use crate::time::Instant;

/// One conversation.
#[derive(Debug)]
pub struct Dialogue {
    options: Options,
    instructions: Arc<str>,
    actions: VecDeque<Action>,
    history: Vec<Item>,
}

impl Dialogue {
    /// A conversation that has not begun; tell it `Started` when the caller can hear.
    pub fn new(options: Options, instructions: impl Into<Arc<str>>) -> Self {
        Self { options, instructions: instructions.into(), actions: VecDeque::new(), history: Vec::new() }
    }

    /// Tell it a fact. `now` never goes back; a smaller one counts as the last.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let _ = (now, input, &self.options, &self.instructions);
    }

    /// The next thing it asks for, oldest first. Drain it after every `handle`.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When it wants `Input::Time`, if nothing else happens before.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Everything said, called and answered, oldest first.
    pub fn history(&self) -> &[Item] {
        &self.history
    }
}
