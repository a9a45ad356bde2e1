//! How much of a long conversation a model reads.

use std::collections::BTreeSet;

use crate::limits::{MAX_REQUEST_BYTES, REQUEST_STEP_BYTES};
use antiphon_chat::{Item, Role};

/// What fits into a request, without results whose calls do not. The beginning goes first, in steps; the present turn stays.
pub(super) fn recent(mut items: Vec<Item>) -> Vec<Item> {
    let excess = items.iter().map(bytes).sum::<usize>();
    let excess = excess.saturating_sub(MAX_REQUEST_BYTES);
    if excess == 0 {
        return items;
    }
    let present = items.iter().rposition(is_of_user).unwrap_or(items.len());
    let wanted = excess.next_multiple_of(REQUEST_STEP_BYTES);
    let (mut gone, mut count) = (0, 0);
    for item in items.iter().take(present) {
        if gone >= wanted {
            break;
        }
        gone += bytes(item);
        count += 1;
    }
    let lost: BTreeSet<String> = items
        .drain(..count)
        .filter_map(|item| match item {
            Item::FunctionCall { call, .. } => Some(call.call_id),
            _ => None,
        })
        .collect();
    items.retain(|item| match item {
        Item::FunctionCallOutput { output, .. } => !lost.contains(&output.call_id),
        _ => true,
    });
    items
}

fn is_of_user(item: &Item) -> bool {
    matches!(item, Item::Message(message) if message.role == Role::User)
}

fn bytes(item: &Item) -> usize {
    match item {
        Item::Message(message) => message.text.len(),
        Item::FunctionCall { call, .. } => call.name.len() + call.arguments.len(),
        Item::FunctionCallOutput { output, .. } => output.output.len(),
        Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use antiphon_chat::time::Instant;
    use antiphon_chat::{Message, ToolCall, ToolOutput};

    fn message(n: usize, role: Role, bytes: usize) -> Item {
        Item::Message(Message::new(
            format!("item_{n}"),
            role,
            "x".repeat(bytes),
            Instant::ZERO,
        ))
    }

    fn call(n: usize, bytes: usize) -> [Item; 2] {
        let (call_id, name) = (format!("call_{n}"), String::from("t"));
        let call = ToolCall {
            call_id: call_id.clone(),
            name: name.clone(),
            arguments: "{}".into(),
        };
        let output = ToolOutput {
            call_id,
            name,
            output: "x".repeat(bytes),
            is_error: false,
            reply_required: true,
        };
        let (id, created_at) = (format!("item_{n}"), Instant::ZERO);
        [
            Item::FunctionCall {
                id: id.clone(),
                call,
                created_at,
            },
            Item::FunctionCallOutput {
                id,
                output,
                created_at,
            },
        ]
    }

    #[test]
    fn a_call_of_a_whole_day_is_still_answered_and_begins_the_same_for_many_requests() {
        let (mut items, mut beginnings) = (Vec::new(), BTreeSet::new());
        for n in 0..1000 {
            items.push(message(2 * n, Role::User, 500));
            items.extend(call(n, 2000));
            let sent = recent(items.clone());
            let size = sent.iter().map(bytes).sum::<usize>();
            assert!(size <= MAX_REQUEST_BYTES, "{size}");
            assert!(size > MAX_REQUEST_BYTES / 2 || sent.len() == items.len());
            let answered = |id: &str| matches!(sent.last(), Some(Item::FunctionCallOutput { output, .. }) if output.call_id == id);
            assert!(answered(&format!("call_{n}")));
            let calls = sent
                .iter()
                .filter(|item| matches!(item, Item::FunctionCall { .. }));
            let results = sent
                .iter()
                .filter(|item| matches!(item, Item::FunctionCallOutput { .. }));
            assert_eq!(calls.count(), results.count());
            beginnings.insert(sent.first().map(|item| item.id().to_owned()));
        }
        assert!(beginnings.len() < 100, "{}", beginnings.len());
    }

    #[test]
    fn the_present_turn_stays_however_long_it_is() {
        let items = vec![
            message(1, Role::User, 10),
            message(2, Role::User, MAX_REQUEST_BYTES),
            message(3, Role::Assistant, MAX_REQUEST_BYTES),
        ];
        let sent = recent(items);
        assert_eq!(sent.len(), 2);
    }
}
