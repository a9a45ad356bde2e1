//! The history, in the order in which things belong together rather than the order in which they became known: every
//! item has a key that was reserved when its turn or step began.

mod head;
mod request;
mod view;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

pub(crate) use head::{Head, harmless};
use request::recent;
pub(crate) use view::View;

use crate::limits::{
    MAX_BROUGHT_ITEMS, MAX_HISTORY_ITEMS, MAX_RETRIEVAL_CHARS, MAX_TURNS_OF_RETRIEVAL,
};
use antiphon_chat::time::Instant;
use antiphon_chat::{
    ChatContext, ChatRequest, Item, Message, Passage, Role, ToolCall, ToolChoice, ToolOutput,
};

/// Keys of one turn or step: its message first, then its calls, then their results.
const STRIDE: u64 = 4096;
const FIRST_CALL: u64 = 1;
const FIRST_OUTPUT: u64 = 1024;

/// Parts of the history whose calls are hidden: tasks, between reports for others. Those of older ones are shown again:
/// valid, and only longer.
const MAX_HIDDEN: usize = 64;
/// Names that somebody else gave do not use up the numbers.
const MAX_BROUGHT_NUMBER: u32 = u32::MAX / 2;

/// What the model reads instead of a result that is not known yet (LiveKit's words).
pub(crate) const STILL_RUNNING: &str = "The tool call is still in progress.";

/// Where a user message or a step of a reply stands in the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

impl Place {
    /// Just before it.
    pub(crate) fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    pub(crate) fn call(self, index: usize) -> Self {
        Self(self.0 + FIRST_CALL + index as u64)
    }

    pub(crate) fn output(self, index: usize) -> Self {
        Self(self.0 + FIRST_OUTPUT + index as u64)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    items: Vec<Item>,
    places: Vec<Place>,
    /// Changes whenever the items do: tells whether a speculation still fits.
    version: u64,
    reserved: u64,
    /// After what was brought along, before everything else: words may come before the session has begun.
    began: Place,
    ids: u32,
    /// What the present agent knows of it.
    view: View,
    /// Between these, calls and results are not its business: they were a task's.
    hidden_calls: VecDeque<(Place, Place)>,
    /// Names of calls that a summary stands for, oldest first.
    retired: VecDeque<String>,
}

impl History {
    /// What was said before the session, before everything that is said in it.
    pub(crate) fn bring(&mut self, context: ChatContext) {
        let mut place = self.reserve();
        let mut unanswered = 0_usize;
        for item in tidy(context).into_items() {
            // a call and its result stand and fall together
            place = if unanswered == 0 {
                self.reserve()
            } else {
                Place(place.0 + 1)
            };
            match &item {
                Item::FunctionCall { .. } => unanswered += 1,
                Item::FunctionCallOutput { .. } => unanswered = unanswered.saturating_sub(1),
                Item::Message(_) | Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => {}
            }
            self.ids = self.ids.max(number_of(item.id()));
            self.insert(place, item);
        }
        self.began = self.reserve();
    }

    /// Where the session itself begins.
    pub(crate) fn began(&self) -> Place {
        self.began
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// How much of it a model reads, or would if it were the present agent's business.
    pub(crate) fn length(&self) -> usize {
        self.items
            .iter()
            .filter(|item| item.is_for_models())
            .count()
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// A place after everything reserved before.
    pub(crate) fn reserve(&mut self) -> Place {
        self.reserved += STRIDE;
        Place(self.reserved)
    }

    pub(crate) fn message(&mut self, role: Role, text: String, created_at: Instant) -> Message {
        Message::new(self.next_id(), role, text, created_at)
    }

    /// Calls and results between these do not enter requests, except for what stands in some places, in order.
    pub(crate) fn hide_calls(&mut self, mut from: Place, until: Place, except: &[Place]) {
        for &shown in except.iter().chain([&until]) {
            if self.has_calls(from, shown) {
                self.hidden_calls.push_back((from, shown));
            }
            from = Place(shown.0 + STRIDE);
        }
        while self.hidden_calls.len() > MAX_HIDDEN {
            self.hidden_calls.pop_front();
        }
    }

    fn has_calls(&self, from: Place, until: Place) -> bool {
        let from = self.places.partition_point(|place| *place < from);
        let mut between = self.places.iter().zip(&self.items).skip(from);
        between
            .by_ref()
            .take_while(|(place, _)| **place < until)
            .any(|(_, item)| matches!(item, Item::FunctionCall { .. }))
    }

    /// What was said last was the caller's.
    pub(crate) fn caller_spoke_last(&self) -> bool {
        let mut roles = self.items.iter().rev().filter_map(|item| match item {
            Item::Message(message) => Some(message.role),
            _ => None,
        });
        roles.next() == Some(Role::User)
    }

    /// What the caller said last in the present agent's view, oldest first, but for what is asked now.
    pub(crate) fn turns_before(&self, now_asked: &str) -> Vec<String> {
        let visible = self.visible();
        let said = visible.iter().rev().filter_map(|(_, item)| match item {
            Item::Message(message) if message.role == Role::User => Some(message.text.as_str()),
            _ => None,
        });
        let mut turns: Vec<String> = said
            .skip_while(|text| *text == now_asked)
            .take(MAX_TURNS_OF_RETRIEVAL)
            .map(|text| text.chars().take(MAX_RETRIEVAL_CHARS).collect())
            .collect();
        turns.reverse();
        turns
    }

    pub(crate) fn newest_user(&self) -> Option<Place> {
        let mut items = self.places.iter().zip(&self.items).rev();
        items
            .find(|(_, item)| matches!(item, Item::Message(message) if message.role == Role::User))
            .map(|(place, _)| *place)
    }

    /// A name for an item.
    pub(crate) fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("item_{}", self.ids)
    }

    pub(crate) fn insert(&mut self, place: Place, item: Item) {
        let at = self.places.partition_point(|&other| other <= place);
        self.items.insert(at, item);
        self.places.insert(at, place);
        self.version += 1;
        while self.items.len() > MAX_HISTORY_ITEMS {
            self.drop_oldest();
        }
    }

    /// A message of the caller has other words. `None`: it is not there, or `other` has no words for it.
    pub(crate) fn correct(
        &mut self,
        id: &str,
        other: impl Fn(&str) -> Option<String>,
    ) -> Option<(Place, String)> {
        let at = self.items.iter().rposition(|item| item.id() == id)?;
        let (Some(Item::Message(message)), Some(place)) =
            (self.items.get_mut(at), self.places.get(at))
        else {
            return None;
        };
        message.text = other(&message.text)?;
        self.version += 1;
        Some((*place, message.text.clone()))
    }

    /// The oldest turn or step goes as a whole, so that no result stays without its call.
    fn drop_oldest(&mut self) {
        let Some(group) = self.places.first().map(|place| place.0 / STRIDE) else {
            return;
        };
        let count = self
            .places
            .partition_point(|place| place.0 / STRIDE == group);
        self.items.drain(..count);
        self.places.drain(..count);
    }

    pub(crate) fn has_call(&self, id: &str) -> bool {
        let mut items = self.items.iter().chain(self.known());
        items.any(|item| matches!(item, Item::FunctionCall { call, .. } if call.call_id == id))
            || self.retired.iter().any(|retired| retired == id)
    }

    /// Is the call of this name part of the present agent's requests?
    pub(crate) fn shows_call(&self, id: &str) -> bool {
        self.visible()
            .iter()
            .any(|(_, item)| matches!(item, Item::FunctionCall { call, .. } if call.call_id == id))
    }

    /// `None`: it has no result yet, or a summary stands for it.
    pub(crate) fn call_and_result(&self, id: &str) -> Option<(ToolCall, ToolOutput)> {
        let call = self.items.iter().find_map(|item| match item {
            Item::FunctionCall { call, .. } if call.call_id == id => Some(call.clone()),
            _ => None,
        });
        let output = self.items.iter().find_map(|item| match item {
            Item::FunctionCallOutput { output, .. } if output.call_id == id => Some(output.clone()),
            _ => None,
        });
        call.zip(output)
    }

    /// The calls of a step and their results, in the same order.
    pub(crate) fn executed(&self, step: Place) -> (Vec<ToolCall>, Vec<ToolOutput>) {
        let group = step.0 / STRIDE;
        let (mut calls, mut outputs) = (Vec::new(), Vec::new());
        for (_, item) in self
            .places
            .iter()
            .zip(&self.items)
            .filter(|(place, _)| place.0 / STRIDE == group)
        {
            match item {
                Item::FunctionCall { call, .. } => calls.push(call.clone()),
                Item::FunctionCallOutput { output, .. } => outputs.push(output.clone()),
                Item::Message(_) | Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => {}
            }
        }
        (calls, outputs)
    }

    /// The id of the result that a call waits for; `None`: there is no such call, or it has its result.
    pub(crate) fn unanswered(&self, call_id: &str) -> Option<String> {
        let id = self.items.iter().find_map(|item| match item {
            Item::FunctionCall { id, call, .. } if call.call_id == call_id => Some(id),
            _ => None,
        })?;
        (!self.has_output(call_id)).then(|| output_id(id))
    }

    /// A request: the history, with `planned` messages (being spoken, or said and not committed yet) in their places and
    /// a placeholder for every result that is not known.
    pub(crate) fn request(&self, parts: RequestParts, now: Instant) -> ChatRequest {
        let visible = self.visible();
        let outputs = visible.iter().filter_map(|(_, item)| answered_call(item));
        let answered: BTreeSet<&str> = outputs.collect();
        // put in order first and copied then, once: most of the machine's work is here
        let mut keyed = Vec::with_capacity(visible.len() + parts.planned.len() + 1);
        for &(place, item) in &visible {
            keyed.push((place, Cow::Borrowed(item)));
            if let Item::FunctionCall { id, call, .. } = item
                && !answered.contains(call.call_id.as_str())
            {
                let place = Place(place.0 - FIRST_CALL + FIRST_OUTPUT);
                keyed.push((place, Cow::Owned(still_running(id, call, now))));
            }
        }
        let planned = parts.planned.into_iter();
        keyed.extend(planned.map(|(place, message)| (place, Cow::Owned(Item::Message(message)))));
        keyed.sort_by_key(|(place, _)| *place);
        let mut items = Vec::with_capacity(keyed.len());
        items.extend(keyed.into_iter().map(|(_, item)| item.into_owned()));
        ChatRequest {
            instructions: parts.instructions,
            items: recent(items),
            passages: parts.passages,
            reply_instructions: parts.reply_instructions,
            tool_choice: parts.tool_choice,
            tools: parts.tools,
        }
    }

    pub(crate) fn has_output(&self, id: &str) -> bool {
        self.items
            .iter()
            .filter_map(answered_call)
            .any(|answered| answered == id)
    }
}

/// Which call a result is of.
fn answered_call(item: &Item) -> Option<&str> {
    match item {
        Item::FunctionCallOutput { output, .. } => Some(&output.call_id),
        Item::Message(_)
        | Item::FunctionCall { .. }
        | Item::AgentHandoff { .. }
        | Item::AgentConfigUpdate { .. } => None,
    }
}

/// What is left of a history from outside: not too long, and no call or result alone.
fn tidy(mut context: ChatContext) -> ChatContext {
    context.truncate(MAX_BROUGHT_ITEMS);
    context.remove_orphans();
    context
}

/// 5 of `item_5` and `item_5/fnc_1`: new names begin after it.
fn number_of(id: &str) -> u32 {
    let number = id.strip_prefix("item_").unwrap_or_default();
    let digits = number.split('/').next().unwrap_or_default();
    digits.parse().unwrap_or(0).min(MAX_BROUGHT_NUMBER)
}

/// The id of a call that belongs to the answer whose message has the id `group`.
pub(crate) fn call_id(group: &str, index: usize) -> String {
    format!("{group}/fnc_{}", index + 1)
}

/// The id of a call's result.
pub(crate) fn output_id(call: &str) -> String {
    format!("{call}/output")
}

/// Everything of a request but the history.
pub(crate) struct RequestParts {
    pub(crate) instructions: Arc<str>,
    pub(crate) planned: Vec<(Place, Message)>,
    pub(crate) passages: Vec<Passage>,
    pub(crate) reply_instructions: Option<String>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) tools: Option<Vec<String>>,
}

fn still_running(id: &str, call: &ToolCall, now: Instant) -> Item {
    Item::FunctionCallOutput {
        id: output_id(id),
        output: ToolOutput {
            call_id: call.call_id.clone(),
            name: call.name.clone(),
            output: STILL_RUNNING.to_owned(),
            is_error: false,
            reply_required: true,
        },
        created_at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_heard_late_stands_where_it_belongs() {
        let mut history = History::default();
        let reply = history.reserve();
        let user = history.reserve();
        for (place, role) in [(user, Role::User), (reply, Role::Assistant)] {
            let message = history.message(role, "x".into(), Instant::ZERO);
            history.insert(place, Item::Message(message));
        }
        let roles: Vec<Role> = history
            .items()
            .iter()
            .filter_map(|item| {
                if let Item::Message(m) = item {
                    Some(m.role)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(roles, [Role::Assistant, Role::User]);
    }

    #[test]
    fn what_was_said_before_the_session_comes_first_and_its_names_are_taken() {
        let mut context = ChatContext::new();
        context.add_message(Role::User, "Hello");
        context.insert(call("a"));
        context.insert(Item::FunctionCallOutput {
            id: "item_7/fnc_1/output".into(),
            output: ToolOutput {
                call_id: "nobody".into(),
                name: "t".into(),
                output: "x".into(),
                is_error: false,
                reply_required: true,
            },
            created_at: Instant::ZERO,
        });
        let mut history = History::default();
        history.bring(context);
        assert_eq!(history.items().len(), 1, "orphans are left out");
        let place = history.reserve();
        let message = history.message(Role::User, "Again".into(), Instant::ZERO);
        assert_eq!(message.id, "item_2");
        history.insert(place, Item::Message(message));
        let texts: Vec<_> = history.items().iter().map(Item::id).collect();
        assert_eq!(texts, ["item_1", "item_2"]);
    }

    fn call(id: &str) -> Item {
        Item::FunctionCall {
            id: format!("item_7/{id}"),
            call: ToolCall {
                call_id: id.into(),
                name: "t".into(),
                arguments: "{}".into(),
            },
            created_at: Instant::ZERO,
        }
    }

    #[test]
    fn the_oldest_go_when_the_history_is_full() {
        let mut history = History::default();
        for n in 0..MAX_HISTORY_ITEMS + 10 {
            let place = history.reserve();
            let message = history.message(Role::User, n.to_string(), Instant::ZERO);
            history.insert(place, Item::Message(message));
        }
        assert_eq!(history.items().len(), MAX_HISTORY_ITEMS);
        assert!(matches!(history.items().first(), Some(Item::Message(m)) if m.text == "10"));
    }
}
