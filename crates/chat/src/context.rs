//! [`ChatContext`]: a history that can be held in the hand. LiveKit's operations under LiveKit's names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Item, Message, Role};
use crate::time::{Duration, Instant};

/// A history as a value: taken out of a session, kept, changed, handed to another session. Items are in the order in which
/// they belong together; times are instants of a session that began at [`began`](Self::began).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatContext {
    items: Vec<Item>,
    began: Duration,
}

/// What to leave out of a copy. The default leaves out nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclude {
    /// Tool calls and their results.
    pub function_call: bool,
    /// System and developer messages.
    pub instructions: bool,
    /// Messages without words.
    pub empty_message: bool,
    /// Handoffs to other agents.
    pub handoff: bool,
    /// Changes of instructions and tools.
    pub config_update: bool,
    /// Calls and results of other tools than these; `None` keeps all.
    pub tools: Option<BTreeSet<String>>,
}

impl Exclude {
    /// What only a program reads: the conversation as a model could continue it under other instructions remains.
    pub fn for_another_agent() -> Self {
        Self {
            instructions: true,
            empty_message: true,
            handoff: true,
            config_update: true,
            ..Self::default()
        }
    }

    fn leaves_out(&self, item: &Item) -> bool {
        let other_tool = |name: &String| {
            self.function_call
                || self
                    .tools
                    .as_ref()
                    .is_some_and(|known| !known.contains(name))
        };
        match item {
            Item::Message(message) => {
                (self.instructions && message.is_instructions())
                    || (self.empty_message && message.text.trim().is_empty())
            }
            Item::FunctionCall { call, .. } => other_tool(&call.name),
            Item::FunctionCallOutput { output, .. } => other_tool(&output.name),
            Item::AgentHandoff { .. } => self.handoff,
            Item::AgentConfigUpdate { .. } => self.config_update,
        }
    }
}

impl ChatContext {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These items in this order, with times of a session that began this long after the Unix epoch.
    pub fn from_items(items: Vec<Item>, began: Duration) -> Self {
        Self { items, began }
    }

    /// Everything, oldest first.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Everything, oldest first.
    pub fn into_items(self) -> Vec<Item> {
        self.items
    }

    /// The messages, oldest first.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.items.iter().filter_map(Item::message)
    }

    /// The beginning of the session whose clock the items' times are on, since the Unix epoch. Zero: they are on the Unix
    /// clock itself.
    pub fn began(&self) -> Duration {
        self.began
    }

    /// The same history on the clock of a session that began at `began`.
    #[must_use]
    pub fn on_clock_of(mut self, began: Duration) -> Self {
        let old = std::mem::replace(&mut self.began, began);
        for item in &mut self.items {
            item.rebase(old, began);
        }
        self
    }

    /// Puts an item where its time says: after the last one that is not later.
    pub fn insert(&mut self, item: Item) {
        let at = item.created_at();
        let place = self
            .items
            .iter()
            .rposition(|other| other.created_at() <= at)
            .map_or(0, |before| before + 1);
        self.items.insert(place, item);
    }

    /// Appends a message at the time of the last item; gives its id. For another time make a [`Message`] and
    /// [`insert`](Self::insert) it.
    pub fn add_message(&mut self, role: Role, text: impl Into<String>) -> String {
        let at = self
            .items
            .iter()
            .map(Item::created_at)
            .max()
            .unwrap_or_default();
        let mut number = self.items.len() + 1;
        while self.get(&format!("item_{number}")).is_some() {
            number += 1;
        }
        let id = format!("item_{number}");
        self.items
            .push(Item::Message(Message::new(id.clone(), role, text, at)));
        id
    }

    /// The item of this id.
    pub fn get(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id() == id)
    }

    /// Where the item of this id stands.
    pub fn index(&self, id: &str) -> Option<usize> {
        self.items.iter().position(|item| item.id() == id)
    }

    /// Takes an item out; alone, so that a result without its call may remain: requests leave such out.
    pub fn remove(&mut self, id: &str) -> Option<Item> {
        self.index(id).map(|at| self.items.remove(at))
    }

    /// A copy without some things. A call goes with its result and the other way round.
    #[must_use]
    pub fn copy(&self, exclude: &Exclude) -> Self {
        let items = self
            .items
            .iter()
            .filter(|item| !exclude.leaves_out(item))
            .cloned()
            .collect();
        Self {
            items,
            began: self.began,
        }
    }

    /// Keeps the last `max_items`, and the first instructions in front of them. Fewer remain when the first of them are
    /// calls and results, or results whose call is gone: what remains begins with words and has no orphan.
    pub fn truncate(&mut self, max_items: usize) {
        if self.items.len() <= max_items {
            return;
        }
        let tail = self.items.split_off(self.items.len() - max_items);
        let head = std::mem::take(&mut self.items);
        let instructions = head.iter().find(|item| is_instructions(item)).cloned();
        let answered: BTreeSet<String> = outputs(&head)
            .chain(outputs(&tail))
            .map(str::to_owned)
            .collect();
        let mut kept: Vec<Item> = tail
            .into_iter()
            .skip_while(|item| !matches!(item, Item::Message(_)))
            .collect();
        drop_orphans(&mut kept, |call| answered.contains(call));
        self.items.extend(instructions);
        self.items.extend(kept);
    }

    /// Adds what is in `other` and not here, by id, where its time says.
    pub fn merge(&mut self, other: &Self, exclude: &Exclude) {
        let known: BTreeSet<String> = self.items.iter().map(|item| item.id().to_owned()).collect();
        let mut items = other.copy(exclude).on_clock_of(self.began).into_items();
        items.retain(|item| !known.contains(item.id()));
        for item in items {
            self.insert(item);
        }
    }

    /// Do both say the same? Ids, kinds and contents count; times, measurements and the like do not.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.items.len() == other.items.len()
            && self
                .items
                .iter()
                .zip(&other.items)
                .all(|(one, other)| says_the_same(one, other))
    }

    /// Takes out results without a call before them, and calls without a result: what a provider would refuse, or would
    /// have to be lied to about.
    pub fn remove_orphans(&mut self) {
        drop_orphans(&mut self.items, |_| true);
    }
}

impl std::ops::Deref for ChatContext {
    type Target = [Item];

    fn deref(&self) -> &[Item] {
        &self.items
    }
}

impl Item {
    fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::FunctionCall { .. }
            | Self::FunctionCallOutput { .. }
            | Self::AgentHandoff { .. }
            | Self::AgentConfigUpdate { .. } => None,
        }
    }

    fn rebase(&mut self, old: Duration, new: Duration) {
        let at = match self {
            Self::Message(message) => {
                let metrics = &mut message.metrics;
                for at in [
                    &mut metrics.started_speaking_at,
                    &mut metrics.stopped_speaking_at,
                ] {
                    *at = at.map(|at| at.rebased(old, new));
                }
                &mut message.created_at
            }
            Self::FunctionCall { created_at, .. }
            | Self::FunctionCallOutput { created_at, .. }
            | Self::AgentHandoff { created_at, .. }
            | Self::AgentConfigUpdate { created_at, .. } => created_at,
        };
        *at = Instant::rebased(*at, old, new);
    }
}

impl Message {
    /// Is it of the agent's author?
    pub fn is_instructions(&self) -> bool {
        matches!(self.role, Role::System | Role::Developer)
    }
}

fn is_instructions(item: &Item) -> bool {
    item.message().is_some_and(Message::is_instructions)
}

fn outputs(items: &[Item]) -> impl Iterator<Item = &str> {
    items.iter().filter_map(|item| match item {
        Item::FunctionCallOutput { output, .. } => Some(output.call_id.as_str()),
        _ => None,
    })
}

/// Drops results without a call before them and second results; and those calls without a result for which `answered` says
/// that there ought to be one (others still run).
fn drop_orphans(items: &mut Vec<Item>, answered: impl Fn(&str) -> bool) {
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for item in items.iter() {
        match item {
            Item::FunctionCall { call, .. } => {
                pairs.entry(call.call_id.clone()).or_insert(Pair::Called);
            }
            Item::FunctionCallOutput { output, .. } => {
                if let Some(pair) = pairs.get_mut(&output.call_id) {
                    *pair = Pair::Answered;
                }
            }
            Item::Message(_) | Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => {}
        }
    }
    let (mut called, mut told) = (BTreeSet::new(), BTreeSet::new());
    items.retain(|item| match item {
        Item::FunctionCall { call, .. } => {
            let id = &call.call_id;
            let complete = pairs.get(id) == Some(&Pair::Answered) || !answered(id);
            complete && called.insert(id.clone())
        }
        Item::FunctionCallOutput { output, .. } => {
            called.contains(&output.call_id) && told.insert(output.call_id.clone())
        }
        Item::Message(_) | Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => true,
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pair {
    Called,
    Answered,
}

fn says_the_same(one: &Item, other: &Item) -> bool {
    let same = match (one, other) {
        (Item::Message(a), Item::Message(b)) => {
            (a.role, a.interrupted, &a.text) == (b.role, b.interrupted, &b.text)
        }
        (Item::FunctionCall { call: a, .. }, Item::FunctionCall { call: b, .. }) => a == b,
        (
            Item::FunctionCallOutput { output: a, .. },
            Item::FunctionCallOutput { output: b, .. },
        ) => {
            (&a.name, &a.call_id, &a.output, a.is_error)
                == (&b.name, &b.call_id, &b.output, b.is_error)
        }
        (
            Item::AgentHandoff {
                old_agent_id: a,
                new_agent_id: c,
                ..
            },
            Item::AgentHandoff {
                old_agent_id: b,
                new_agent_id: d,
                ..
            },
        ) => (a, c) == (b, d),
        (
            Item::AgentConfigUpdate {
                instructions: a,
                tools_added: c,
                tools_removed: e,
                ..
            },
            Item::AgentConfigUpdate {
                instructions: b,
                tools_added: d,
                tools_removed: f,
                ..
            },
        ) => (a, c, e) == (b, d, f),
        _ => false,
    };
    same && one.id() == other.id()
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
