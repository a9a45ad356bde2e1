#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{ContextError, ToolCall, ToolOutput};

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn said(id: &str, role: Role, text: &str, seconds: u64) -> Item {
    Item::Message(Message::new(id, role, text, at(seconds)))
}

fn call(id: &str, name: &str, seconds: u64) -> Item {
    Item::FunctionCall {
        id: format!("item/{id}"),
        call: ToolCall {
            call_id: id.into(),
            name: name.into(),
            arguments: "{}".into(),
        },
        created_at: at(seconds),
    }
}

fn output(id: &str, name: &str, seconds: u64) -> Item {
    Item::FunctionCallOutput {
        id: format!("item/{id}/output"),
        output: ToolOutput {
            call_id: id.into(),
            name: name.into(),
            output: "ok".into(),
            is_error: false,
            reply_required: true,
        },
        created_at: at(seconds),
    }
}

fn context(items: Vec<Item>) -> ChatContext {
    ChatContext::from_items(items, Duration::ZERO)
}

fn ids(context: &ChatContext) -> Vec<&str> {
    context.iter().map(Item::id).collect()
}

#[test]
fn an_item_is_inserted_after_what_was_said_at_the_same_time() {
    let mut context = context(vec![
        said("a", Role::User, "a", 1),
        said("b", Role::Assistant, "b", 2),
        said("c", Role::User, "c", 3),
    ]);
    context.insert(said("late", Role::User, "x", 2));
    context.insert(said("first", Role::System, "x", 0));
    assert_eq!(ids(&context), ["first", "a", "b", "late", "c"]);
    let added = context.add_message(Role::User, "more");
    assert_eq!(context.last().unwrap().id(), added);
    assert_eq!(context.index("late"), Some(3));
    assert!(context.remove("late").is_some() && context.get("late").is_none());
}

#[test]
fn a_copy_leaves_out_what_another_agent_must_not_read() {
    let context = context(vec![
        said("system", Role::System, "You sell.", 0),
        said("developer", Role::Developer, "You sell.", 0),
        said("empty", Role::Assistant, " ", 0),
        said("user", Role::User, "hello", 1),
        call("1", "price", 2),
        output("1", "price", 2),
        call("2", "secret", 2),
        output("2", "secret", 2),
        Item::AgentHandoff {
            id: "handoff".into(),
            old_agent_id: None,
            new_agent_id: "b".into(),
            created_at: at(3),
        },
    ]);
    let exclude = Exclude {
        tools: Some(BTreeSet::from(["price".to_owned()])),
        ..Exclude::for_another_agent()
    };
    assert_eq!(
        ids(&context.copy(&exclude)),
        ["user", "item/1", "item/1/output"]
    );
    assert_eq!(context.copy(&Exclude::default()), context);
}

#[test]
fn truncating_keeps_the_instructions_and_begins_with_words() {
    let mut context = context(vec![
        said("system", Role::System, "Be brief.", 0),
        said("old", Role::User, "old", 1),
        call("1", "t", 2),
        output("1", "t", 2),
        said("answer", Role::Assistant, "done", 3),
        said("new", Role::User, "new", 4),
    ]);
    context.truncate(4);
    assert_eq!(ids(&context), ["system", "answer", "new"]);
}

#[test]
fn merging_adds_only_what_is_new_in_the_order_of_time() {
    let mut ours = context(vec![
        said("a", Role::User, "a", 1),
        said("c", Role::User, "c", 3),
    ]);
    let theirs = context(vec![
        said("system", Role::System, "other", 0),
        said("a", Role::User, "a", 1),
        said("b", Role::Assistant, "b", 2),
    ]);
    let exclude = Exclude {
        instructions: true,
        ..Exclude::default()
    };
    ours.merge(&theirs, &exclude);
    assert_eq!(ids(&ours), ["a", "b", "c"]);
}

#[test]
fn histories_of_two_sessions_are_merged_by_the_wall_clock() {
    let hour = Duration::from_secs(3600);
    let mut today = ChatContext::from_items(vec![said("today", Role::User, "x", 5)], 10 * hour);
    let yesterday = ChatContext::from_items(vec![said("yesterday", Role::User, "x", 9)], hour);
    today.merge(&yesterday, &Exclude::default());
    assert_eq!(ids(&today), ["yesterday", "today"]);
    let unix = today.on_clock_of(Duration::ZERO);
    assert_eq!(unix[0].created_at(), at(3600 + 9));
}

#[test]
fn two_histories_are_equivalent_when_the_same_was_said_at_other_times() {
    let one = context(vec![said("a", Role::User, "hello", 1)]);
    assert!(one.is_equivalent(&context(vec![said("a", Role::User, "hello", 9)])));
    for other in [
        said("b", Role::User, "hello", 1),
        said("a", Role::Assistant, "hello", 1),
        said("a", Role::User, "hullo", 1),
    ] {
        assert!(!one.is_equivalent(&context(vec![other])));
    }
}

#[test]
fn what_livekit_has_written_is_read() {
    let document = json!({"items": [
        {"id": "lk.agent_task.instructions", "type": "message", "role": "system", "content": ["Be brief."], "interrupted": false, "created_at": 1_700_000_000.25},
        {"id": "item_1", "type": "message", "role": "user", "content": ["look", {"type": "image_content", "image": "data:"}, {"type": "audio_content", "transcript": "at this", "frame": []}],
         "transcript_confidence": 0.9, "created_at": 1_700_000_001.5, "metrics": {"transcription_delay": 0.25, "stt_metadata": {"model_name": "x"}}},
        {"id": "item_2/fnc_0", "type": "function_call", "call_id": "c", "name": "t", "arguments": "{}", "created_at": 1_700_000_002.0, "group_id": null},
        {"id": "item_3", "type": "function_call_output", "name": "t", "call_id": "c", "output": "42", "is_error": false},
        {"id": "item_4", "type": "agent_handoff", "new_agent_id": "b"},
        {"id": "item_5", "type": "agent_config_update", "tools_added": ["t"]},
    ]});
    let context = ChatContext::from_json(&document).unwrap();
    let message = context.messages().last().unwrap();
    assert_eq!(message.text, "look\nat this");
    assert_eq!(message.transcript_confidence, Some(0.9));
    assert_eq!(
        message.metrics.transcription_delay,
        Some(Duration::from_millis(250))
    );
    assert_eq!(context[3].created_at(), context[2].created_at());
    let again = context.to_json();
    assert_eq!(again["items"][0]["created_at"], 1_700_000_000.25);
    assert_eq!(again["items"][1]["transcript_confidence"], 0.9);
    assert_eq!(ChatContext::from_json(&again).unwrap(), context);
}

#[test]
fn how_fast_an_answer_was_is_written_as_livekit_does_and_read_again() {
    let metrics = json!({"llm_node_ttft": 0.25, "llm_node_tps": 62.5, "tts_node_ttfb": 0.125, "playback_latency": 0.02});
    let document = json!({"items": [
        {"id": "item_1", "type": "message", "role": "assistant", "content": ["Hello."], "created_at": 1_700_000_000.25, "metrics": metrics},
    ]});
    let context = ChatContext::from_json(&document).unwrap();
    let read = context.messages().next().unwrap().metrics;
    assert_eq!(read.llm_node_tps, Some(62.5));
    assert_eq!(read.playback_latency, Some(Duration::from_millis(20)));
    let written = &context.to_json()["items"][0]["metrics"];
    assert_eq!(written["llm_node_tps"], 62.5);
    assert_eq!(written["playback_latency"], 0.02);
}

#[test]
fn what_is_no_history_is_refused_with_the_item_that_is_wrong() {
    let error = ChatContext::from_json(&json!({"items": [{"type": "message", "role": "robot"}]}));
    assert!(
        matches!(error, Err(ContextError::Item { index: 0, .. })),
        "{error:?}"
    );
    assert_eq!(
        ChatContext::from_json(&json!([])),
        Err(ContextError::NoItems)
    );
    assert!(matches!(
        ChatContext::from_json_text("{"),
        Err(ContextError::NotJson(_))
    ));
}

fn any_item() -> impl Strategy<Value = Item> {
    (0..6_u8, 0..6_u8, 0..20_u64).prop_map(|(kind, number, seconds)| match kind {
        0 => said(&format!("s{number}"), Role::System, "s", seconds),
        1 => said(&format!("u{number}"), Role::User, "u", seconds),
        2 => said(&format!("a{number}"), Role::Assistant, "a", seconds),
        3 => call(&number.to_string(), "t", seconds),
        _ => output(&number.to_string(), "t", seconds),
    })
}

fn orphans(items: &[Item]) -> usize {
    let mut called = BTreeSet::new();
    let mut answered = BTreeSet::new();
    let mut wrong = 0;
    for item in items {
        match item {
            Item::FunctionCall { call, .. } => wrong += usize::from(!called.insert(&call.call_id)),
            Item::FunctionCallOutput { output, .. } => {
                wrong += usize::from(
                    !called.contains(&output.call_id) || !answered.insert(&output.call_id),
                );
            }
            _ => {}
        }
    }
    wrong + called.difference(&answered).count()
}

proptest! {
    #[test]
    fn a_truncated_history_has_no_orphan_and_keeps_its_instructions(
        items in prop::collection::vec(any_item(), 0..24), max in 0..12_usize,
    ) {
        let mut whole = context(items);
        whole.remove_orphans();
        prop_assert_eq!(orphans(&whole), 0);
        let mut short = whole.clone();
        short.truncate(max);
        prop_assert_eq!(orphans(&short), 0);
        prop_assert!(short.len() <= max + 1);
        let first = |context: &ChatContext| context.messages().find(|message| message.is_instructions()).cloned();
        prop_assert_eq!(first(&whole), first(&short));
        if whole.len() > max {
            let words = short.iter().position(|item| matches!(item, Item::Message(_)));
            prop_assert!(short.is_empty() || words == Some(0));
        }
    }

    #[test]
    fn inserting_keeps_the_order_of_time(items in prop::collection::vec(any_item(), 0..24)) {
        let mut context = ChatContext::new();
        for item in items {
            context.insert(item);
        }
        prop_assert!(context.windows(2).all(|pair| pair[0].created_at() <= pair[1].created_at()));
        prop_assert_eq!(ChatContext::from_json(&context.to_json()).unwrap(), context);
    }
}
