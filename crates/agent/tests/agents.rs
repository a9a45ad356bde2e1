//! Handoffs and tasks, with scripted providers in paused time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, ProviderInfo, Stt, SttSession};
use antiphon_agent::{Agent, ToolContext, ToolError, ToolReply, tool};
use antiphon_chat::{Item, Role};
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::input::GenerateReply;
use antiphon_dialogue::{Event, OptionsPatch};
use cast::clerk::clerk;
use cast::{Script, call, reception, said, say_to, speaking, text, wait_for, wait_for_end};
use tokio::sync::mpsc;

/// Puts the caller through to billing.
#[tool]
async fn transfer(context: ToolContext) -> Agent {
    let present = context.agent().expect("somebody speaks");
    present
        .successor("billing")
        .instructions("You are billing.")
        .greeting("Billing, hello.")
        .tool(pay)
        .build()
        .unwrap()
}

/// Pays an invoice.
#[tool]
async fn pay() -> String {
    "paid".into()
}

/// Tells something first.
#[tool]
async fn transfer_with_words(context: ToolContext) -> ToolReply {
    ToolReply::new("They are open.").then_handoff(transfer_to_billing(&context))
}

fn transfer_to_billing(context: &ToolContext) -> Agent {
    let present = context.agent().expect("somebody speaks");
    present.successor("billing").build().unwrap()
}

fn handoffs(history: &[Item]) -> Vec<(Option<String>, String)> {
    let handoffs = history.iter().filter_map(|item| match item {
        Item::AgentHandoff {
            old_agent_id,
            new_agent_id,
            ..
        } => Some((old_agent_id.clone(), new_agent_id.clone())),
        _ => None,
    });
    handoffs.collect()
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_gives_an_agent_back_hands_the_conversation_over() {
    let script = Script::new([
        vec![text("I put you through."), call("transfer", "{}")],
        vec![text("It is paid.")],
    ]);
    let (session, _heard) = speaking(reception(&script).tool(transfer));
    say_to(&session, "Billing please.").await;
    say_to(&session, "Is my invoice paid?").await;
    let history = session.history().await;
    assert_eq!(
        said(&history, Role::Assistant),
        ["I put you through.", "Billing, hello.", "It is paid."]
    );
    assert_eq!(
        handoffs(&history),
        [
            (None, "reception".into()),
            (Some("reception".into()), "billing".into())
        ]
    );
    let asked = script.asked();
    let (request, tools) = &asked[1];
    assert_eq!(&*request.instructions, "You are billing.");
    assert_eq!(*tools, ["pay"]);
    assert_eq!(
        said(&request.items, Role::User),
        ["Is my invoice paid?"],
        "a new agent begins with nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_is_told_before_the_conversation_is_handed_over() {
    let script = Script::new([
        vec![call("transfer_with_words", "{}")],
        vec![text("They are open, goodbye.")],
    ]);
    let (session, _heard) = speaking(reception(&script).tool(transfer_with_words));
    say_to(&session, "Billing please.").await;
    let history = session.history().await;
    assert_eq!(said(&history, Role::Assistant), ["They are open, goodbye."]);
    assert_eq!(handoffs(&history).len(), 2, "the first begins the session");
}

#[tokio::test(start_paused = true)]
async fn a_program_can_change_the_agent_which_may_know_what_was_said_and_speaks_first() {
    let script = Script::new([vec![text("Hello.")], vec![text("I have heard of you.")]]);
    let (session, _heard) = speaking(reception(&script));
    say_to(&session, "Hi, I am Ann.").await;
    let expert = reception(&script)
        .name("expert")
        .keep_history(true)
        .on_enter(|session| async move {
            let _ = session.generate_reply(GenerateReply::default());
        })
        .build()
        .unwrap();
    let mut events = session.events();
    session.update_agent(expert).unwrap();
    wait_for_end(&mut events).await;
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["Hello.", "I have heard of you."]
    );
    let second = script.asked()[1].0.clone();
    assert_eq!(said(&second.items, Role::User), ["Hi, I am Ann."]);
}

/// Sends something home.
#[tool(timeout_ms = 2000)]
async fn send_home(context: ToolContext) -> Result<String, ToolError> {
    let present = context.agent().expect("somebody speaks");
    let street = context
        .run_task(|done| clerk(&present, done).build())
        .await?;
    Ok(format!("sent to {street}"))
}

#[tokio::test(start_paused = true)]
async fn a_tool_can_have_another_agent_ask_for_what_it_needs() {
    let script = Script::new([
        vec![text("Sure."), call("send_home", "{}")],
        vec![call("save_address", r#"{"street":"Main Street"}"#)],
        vec![text("It is on its way to Main Street.")],
    ]);
    let (session, _heard) = speaking(reception(&script).tool(send_home));
    say_to(&session, "Send it home.").await;
    say_to(&session, "Main Street.").await;
    let history = session.history().await;
    assert_eq!(
        said(&history, Role::Assistant),
        [
            "Sure.",
            "What is your street?",
            "It is on its way to Main Street."
        ]
    );
    let asked = script.asked();
    assert_eq!(asked[1].1, ["save_address"]);
    assert_eq!(asked[2].1, ["send_home"]);
    assert_eq!(&*asked[2].0.instructions, "You are the reception.");
    let outputs: Vec<&str> = asked[2]
        .0
        .items
        .iter()
        .filter_map(|item| match item {
            Item::FunctionCallOutput { output, .. } => Some(output.output.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        outputs,
        ["sent to Main Street"],
        "the calls of the task are not the reception's"
    );
    assert_eq!(
        said(&asked[2].0.items, Role::User),
        ["Send it home.", "Main Street."]
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_gives_its_tasks_up() {
    let script = Script::new([vec![call("send_home", "{}")]]);
    let (session, _heard) = speaking(reception(&script).tool(send_home));
    say_to(&session, "Send it home.").await;
    let mut events = session.events();
    session.close(CloseReason::UserInitiated);
    wait_for(&mut events, |event| {
        matches!(event, Event::ToolEnded { .. })
    })
    .await;
    session.closed().await;
}

/// Counts how often it was opened, and hears nothing.
#[derive(Default)]
struct Ear(AtomicU32);

impl Stt for Ear {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "script",
            model: String::new(),
        }
    }

    fn open(&self) -> BoxFuture<'_, Result<SttSession, ProviderError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let (input, mut heard) = mpsc::channel(SttSession::INPUT_LIMIT);
        let (mouth, events) = mpsc::channel(SttSession::EVENT_LIMIT);
        tokio::spawn(async move {
            while heard.recv().await.is_some() {}
            drop(mouth);
        });
        Box::pin(async move { Ok(SttSession { input, events }) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_recogniser_is_kept_by_the_next_agent_unless_it_brings_its_own() {
    let script = Script::new([]);
    let (first, second) = (Arc::new(Ear::default()), Arc::new(Ear::default()));
    let opened = || {
        (
            first.0.load(Ordering::Relaxed),
            second.0.load(Ordering::Relaxed),
        )
    };
    let (session, _heard) = speaking(reception(&script).stt(first.clone()));
    let mut events = session.events();
    for (name, ear, expected) in [
        ("same", first.clone(), (1, 0)),
        ("other", second.clone(), (1, 1)),
    ] {
        let next = reception(&script).name(name).stt(ear).greeting("Hello.");
        session.update_agent(next.build().unwrap()).unwrap();
        wait_for_end(&mut events).await;
        assert_eq!(opened(), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_program_has_changed_of_the_session_counts_for_the_next_agent() {
    let script = Script::new([vec![text("I put you through."), call("transfer", "{}")]]);
    let (session, _heard) = speaking(reception(&script).tool(transfer));
    let patient = OptionsPatch {
        min_endpointing_delay: Some(Some(Duration::from_secs(5))),
        max_endpointing_delay: Some(Some(Duration::from_secs(6))),
        ..OptionsPatch::default()
    };
    session.update_options(patient).await.unwrap();
    say_to(&session, "Billing please.").await;
    assert_eq!(handoffs(&session.history().await).len(), 2);
    let hasty = OptionsPatch {
        max_endpointing_delay: Some(Some(Duration::from_secs(1))),
        ..OptionsPatch::default()
    };
    let refused = session.update_options(hasty).await.unwrap_err().to_string();
    assert!(refused.contains("min_endpointing_delay (5s)"), "{refused}");
}
