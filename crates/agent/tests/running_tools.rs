//! Tools that run for a while, with scripted providers in paused time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::time::Duration;

use antiphon_agent::{
    Agent, DuplicateScope, Filler, OnDuplicate, Tool, ToolContext, ToolInterruption, ToolOptions,
    tool,
};
use antiphon_chat::{Item, Role};
use antiphon_dialogue::Event;
use antiphon_dialogue::event::SpeechPurpose;
use cast::{Script, call, said, speaking, text, wait_for, wait_for_end};

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn outputs(history: &[Item]) -> Vec<(String, String)> {
    let outputs = history.iter().filter_map(|item| match item {
        Item::FunctionCallOutput { output, .. } => {
            Some((output.call_id.clone(), output.output.clone()))
        }
        _ => None,
    });
    outputs.collect()
}

/// Takes its time.
#[tool(
    filler = "One moment please.",
    filler_after_ms = 500,
    timeout_ms = 60000
)]
async fn slow() -> String {
    seconds(40).await;
    "done".into()
}

#[tokio::test(start_paused = true)]
async fn a_slow_tool_is_bridged_with_words_and_may_take_longer_than_the_default() {
    let script = Script::new([vec![call("slow", "{}")], vec![text("Here it is.")]]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script).tool(slow));
    let mut events = session.events();
    session.user_text("Do it.").unwrap();
    wait_for_end(&mut events).await;
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["One moment please.", "Here it is."]
    );
}

/// Searches for a long time.
#[tool]
async fn search(context: ToolContext) -> String {
    context.update("I have begun.").await;
    seconds(25).await;
    context.update("Half of it is done.").await;
    seconds(25).await;
    "3 tables".into()
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_reports_does_not_keep_the_caller_waiting() {
    let script = Script::new([
        vec![call("search", "{}")],
        vec![text("I am searching.")],
        vec![text("Half of it.")],
        vec![text("I have found three tables.")],
    ]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script.clone()).tool(search));
    let mut events = session.events();
    session.user_text("Search.").unwrap();
    wait_for(&mut events, |event| {
        matches!(event, Event::ToolEnded { .. })
    })
    .await;
    wait_for_end(&mut events).await;
    let history = session.history().await;
    assert_eq!(
        said(&history, Role::Assistant),
        [
            "I am searching.",
            "Half of it.",
            "I have found three tables."
        ]
    );
    assert_eq!(
        outputs(&history),
        [
            (
                "call_search".into(),
                "`search` reports: I have begun. It goes on running.".into()
            ),
            ("call_search_update_1".into(), "Half of it is done.".into()),
            ("call_search_final".into(), "3 tables".into()),
        ]
    );
}

/// Orders.
#[tool(on_duplicate = "confirm", interruption = "protect", cancellable)]
async fn order(context: ToolContext, pieces: u32) -> u32 {
    context.update("It is on its way.").await;
    seconds(20).await;
    pieces
}

#[tokio::test(start_paused = true)]
async fn ordering_twice_needs_a_confirmation_which_the_tool_does_not_see() {
    let script = Script::new([
        vec![call("order", r#"{"pieces":1}"#)],
        vec![text("Ordered.")],
        vec![call("order", r#"{"pieces":2}"#)],
        vec![call(
            "order",
            r#"{"pieces":2,"lk_agents_confirm_duplicate":true}"#,
        )],
        vec![text("Two more are ordered.")],
    ]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script.clone()).tool(order));
    let mut events = session.events();
    session.user_text("One.").unwrap();
    wait_for_end(&mut events).await;
    session.user_text("Two more.").unwrap();
    wait_for_end(&mut events).await;
    let results: Vec<String> = outputs(&session.history().await)
        .into_iter()
        .map(|(_, output)| output)
        .collect();
    assert!(results[1].contains("is running already"), "{results:?}");
    assert!(results[2].contains("on its way"), "{results:?}");
    let names = &script.asked()[0].1;
    assert_eq!(
        *names,
        [
            "order",
            "lk_agents_cancel_task",
            "lk_agents_get_running_tasks"
        ]
    );
}

/// Cannot be interrupted while it books.
#[tool]
async fn careful(context: ToolContext) -> String {
    context.disallow_interruptions().unwrap();
    seconds(2).await;
    "done".into()
}

#[tokio::test(start_paused = true)]
async fn a_tool_can_forbid_interruptions_for_its_own_call() {
    let script = Script::new([
        vec![text("I do it now."), call("careful", "{}")],
        vec![text("It is done.")],
    ]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script).tool(careful));
    let mut events = session.events();
    session.user_text("Do it.").unwrap();
    wait_for(&mut events, |event| {
        matches!(event, Event::ToolStarted { .. })
    })
    .await;
    seconds(1).await;
    session.interrupt(false).await.unwrap_err();
    seconds(5).await;
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["I do it now.", "It is done."]
    );
}

/// Has a filler of its own for each call.
#[tool]
async fn chatty(context: ToolContext) -> String {
    context.filler(Some(Filler::from("Just a second."))).await;
    seconds(3).await;
    "done".into()
}

#[tokio::test(start_paused = true)]
async fn a_tool_can_say_itself_what_is_said_while_it_is_slow() {
    let script = Script::new([vec![call("chatty", "{}")], vec![text("It is done.")]]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script).tool(chatty));
    let mut events = session.events();
    session.user_text("Do it.").unwrap();
    wait_for(&mut events, |event| {
        matches!(
            event,
            Event::SpeechCreated {
                purpose: SpeechPurpose::Filler,
                ..
            }
        )
    })
    .await;
}

#[test]
fn the_options_of_a_tool_are_its_own_unless_the_agent_says_otherwise() {
    let own = order.options();
    assert_eq!(own.on_duplicate, OnDuplicate::Confirm);
    assert_eq!(own.interruption, Some(ToolInterruption::Protect));
    let agent = Agent::builder("a")
        .llm(Script::new([]))
        .tool(order)
        .tool(slow)
        .tool_options(
            "slow",
            ToolOptions {
                timeout: Some(Duration::from_secs(5)),
                duplicate_scope: DuplicateScope::NameAndArgs,
                ..ToolOptions::default()
            },
        )
        .build()
        .unwrap();
    let run = &agent.options().tools["slow"];
    assert_eq!(run.timeout, Some(Duration::from_secs(5)));
    assert_eq!(run.duplicate_scope, DuplicateScope::NameAndArgs);
    assert!(run.filler.is_some(), "what is not said otherwise stays");
    assert_eq!(agent.options().tools["order"], own);
}
