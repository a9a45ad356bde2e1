//! Whatever a conversation went through, both of OpenAI's forms of it are valid.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    missing_docs
)]

use std::collections::BTreeSet;

use antiphon_chat::time::Instant;
use antiphon_chat::{Item, Message, Passage, Role, ToolCall, ToolOutput};
use antiphon_openai::convert::{chat_messages, responses_input};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

#[path = "../../dialogue/tests/interleave/mod.rs"]
mod interleave;

const FACT: &str = "FOUND-IN-A-DOCUMENT";

fn passage() -> Passage {
    Passage {
        page: None,
        text: FACT.into(),
        source: "menu.md".into(),
        score: 1.0,
    }
}

/// What OpenAI refuses.
fn chat_is_valid(messages: &[Value]) -> Result<(), String> {
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut ever = BTreeSet::new();
    for message in messages {
        let wrong = |what: &str| Err(format!("{what}: {message}"));
        let role = message["role"].as_str().unwrap_or_default();
        match role {
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                if !open.remove(id) {
                    return wrong("a result without its call directly before");
                }
                if !message["content"].is_string() {
                    return wrong("a result without content");
                }
                continue;
            }
            "system" | "user" if message["content"].is_string() => {}
            "assistant" if message["content"].is_string() || message["tool_calls"].is_array() => {}
            _ => return wrong("no such role, or nothing in it"),
        }
        if !open.is_empty() {
            return wrong("a call without its result before");
        }
        if role == "system" && message.to_string().contains(FACT) {
            return wrong("a document instructs");
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let id = call["id"].as_str().unwrap_or_default().to_owned();
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
            if id.is_empty() || id.len() > 40 || !ever.insert(id.clone()) || !open.insert(id) {
                return wrong("an id that is missing, too long or used twice");
            }
            if !serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object()) {
                return wrong("arguments that are no object");
            }
        }
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(format!("calls without results at the end: {open:?}"))
    }
}

fn responses_are_valid(items: &[Value]) -> Result<(), String> {
    let (mut called, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for item in items {
        let id = item["call_id"].as_str().unwrap_or_default();
        let ok = match (item["type"].as_str(), item["role"].as_str()) {
            (Some("function_call"), None) => {
                !id.is_empty() && called.insert(id) && item["arguments"].is_string()
            }
            (Some("function_call_output"), None) => {
                called.contains(id) && answered.insert(id) && item["output"].is_string()
            }
            (None, Some("system")) => !item.to_string().contains(FACT),
            (None, Some("user" | "assistant")) => item["content"].is_string(),
            _ => false,
        };
        if !ok {
            return Err(format!("{item}"));
        }
    }
    if called == answered {
        Ok(())
    } else {
        Err(format!("called {called:?}, answered {answered:?}"))
    }
}

fn valid(items: &[Item], passages: &[Passage]) -> Result<(), String> {
    let chat = chat_messages(items, passages);
    let responses = responses_input(items, passages);
    chat_is_valid(&chat)?;
    responses_are_valid(&responses)?;
    for form in [&chat, &responses] {
        let quoted = form
            .iter()
            .filter(|item| item.to_string().contains(FACT))
            .count();
        if quoted != usize::from(!passages.is_empty()) {
            return Err(format!("the passages are quoted {quoted} times"));
        }
    }
    Ok(())
}

#[test]
fn every_request_of_a_random_conversation_is_valid_in_both_forms() {
    let mut requests = 0;
    for seed in 0..60 {
        for request in interleave::requests(&mut StdRng::seed_from_u64(seed), 400) {
            requests += 1;
            let passages: Vec<Passage> =
                request.passages.iter().map(|_| passage()).take(1).collect();
            assert_eq!(valid(&request.items, &passages), Ok(()), "SEED={seed}");
        }
    }
    assert!(requests > 500, "only {requests} requests were looked at");
}

#[test]
fn the_words_of_an_answer_and_its_call_are_one_chat_message_and_two_items() {
    let items = [
        Item::Message(Message::new(
            "item_1",
            Role::User,
            "Book it.",
            Instant::ZERO,
        )),
        Item::Message(Message::new(
            "item_2",
            Role::Assistant,
            "One moment.",
            Instant::ZERO,
        )),
        call("item_2", "c"),
        output("item_2", "c"),
    ];
    let chat = chat_messages(&items, &[]);
    assert_eq!(chat.len(), 3);
    assert_eq!(chat[1]["content"], "One moment.");
    assert_eq!(chat[1]["tool_calls"][0]["function"]["name"], "look_up");
    let responses = responses_input(&items, &[]);
    assert_eq!(responses.len(), 4);
    assert_eq!(responses[2]["type"], "function_call");
    assert_eq!(responses[3]["output"], "42");
}

fn call(group: &str, id: &str) -> Item {
    Item::FunctionCall {
        id: format!("{group}/fnc_1"),
        call: ToolCall {
            call_id: id.into(),
            name: "look up".into(),
            arguments: "{\"a\":1}".into(),
        },
        created_at: Instant::ZERO,
    }
}

fn output(group: &str, id: &str) -> Item {
    Item::FunctionCallOutput {
        id: format!("{group}/fnc_1/output"),
        output: ToolOutput {
            call_id: id.into(),
            name: "look up".into(),
            output: "42".into(),
            is_error: false,
            reply_required: true,
        },
        created_at: Instant::ZERO,
    }
}

fn any_item() -> impl Strategy<Value = Item> {
    let group = "item_[1-3]";
    prop_oneof![
        (group, "[a-c ]{0,3}", 0..4_usize).prop_map(|(id, text, role)| {
            let role = [Role::System, Role::Developer, Role::User, Role::Assistant][role];
            Item::Message(Message::new(id, role, text, Instant::ZERO))
        }),
        (group, "([a-d]|x{50}|y{50}|)").prop_map(|(group, id)| call(&group, &id)),
        (group, "([a-d]|x{50}|y{50}|)").prop_map(|(group, id)| output(&group, &id)),
        Just(Item::AgentHandoff {
            id: "item_9".into(),
            old_agent_id: None,
            new_agent_id: "b".into(),
            created_at: Instant::ZERO,
        }),
    ]
}

proptest! {
    #[test]
    fn every_history_is_valid_in_both_forms(
        items in prop::collection::vec(any_item(), 0..24), quoted in any::<bool>(),
    ) {
        let passages: Vec<Passage> = quoted.then(passage).into_iter().collect();
        prop_assert_eq!(valid(&items, &passages), Ok(()));
    }
}
