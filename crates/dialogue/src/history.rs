//! The history, in the order in which things belong together rather than the order in which they became known: every
//! item has a key that was reserved when its turn or step began.

use std::sync::Arc;

use crate::chat::{ChatRequest, Item, Message, Passage, Role, ToolCall, ToolChoice, ToolOutput};
use crate::limits::MAX_HISTORY_ITEMS;
use crate::time::Instant;

/// Keys of one turn or step: its message first, then its calls, then their results.
const STRIDE: u64 = 4096;
const FIRST_CALL: u64 = 1;
const FIRST_OUTPUT: u64 = 1024;

/// What the model reads instead of a result that is not known yet (LiveKit's words).
pub(crate) const STILL_RUNNING: &str = "The tool call is still in progress.";

/// Where a user message or a step of a reply stands in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

impl Place {
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
    ids: u32,
}

impl History {
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
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
        self.ids += 1;
        Message {
            id: format!("item_{}", self.ids),
            role,
            text,
            interrupted: false,
            created_at,
        }
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
        self.items
            .iter()
            .any(|item| matches!(item, Item::FunctionCall { call, .. } if call.call_id == id))
    }

    /// A request: the history, with `planned` messages (being spoken, or said and not committed yet) in their places and
    /// a placeholder for every result that is not known.
    pub(crate) fn request(&self, parts: RequestParts, now: Instant) -> ChatRequest {
        let mut keyed: Vec<(Place, Item)> = self
            .places
            .iter()
            .copied()
            .zip(self.items.iter())
            .filter(|(_, item)| !matches!(item, Item::AgentHandoff { .. }))
            .map(|(place, item)| (place, item.clone()))
            .collect();
        for (place, item) in self.places.iter().zip(&self.items) {
            if let Item::FunctionCall { call, .. } = item
                && !self.has_output(&call.call_id)
            {
                keyed.push((
                    Place(place.0 - FIRST_CALL + FIRST_OUTPUT),
                    still_running(call, now),
                ));
            }
        }
        keyed.extend(
            parts
                .planned
                .into_iter()
                .map(|(place, message)| (place, Item::Message(message))),
        );
        keyed.sort_by_key(|(place, _)| *place);
        ChatRequest {
            instructions: parts.instructions,
            items: keyed.into_iter().map(|(_, item)| item).collect(),
            passages: parts.passages,
            reply_instructions: parts.reply_instructions,
            tool_choice: parts.tool_choice,
            tools: parts.tools,
        }
    }

    pub(crate) fn has_output(&self, id: &str) -> bool {
        self.items.iter().any(
            |item| matches!(item, Item::FunctionCallOutput { output, .. } if output.call_id == id),
        )
    }
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

fn still_running(call: &ToolCall, now: Instant) -> Item {
    Item::FunctionCallOutput {
        output: ToolOutput {
            call_id: call.call_id.clone(),
            name: call.name.clone(),
            output: STILL_RUNNING.to_owned(),
            is_error: false,
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
