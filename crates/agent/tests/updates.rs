//! Agents whose instructions, tools and knowledge change while they speak, with scripted providers in paused time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::{
    Agent, AgentError, AgentSession, FunctionTool, SessionError, Tool, ToolContext, ToolError,
    ToolOptions, ToolReply, tool,
};
use antiphon_chat::{ChatContext, Item, Role};
use antiphon_dialogue::Event;
use antiphon_dialogue::limits::{MAX_INSTRUCTIONS_BYTES, MAX_TOOLS};
use cast::clerk::clerk;
use cast::{Script, call, reception, said, say_to, speaking, text, wait_for_end};
use serde_json::Value;

/// Pays an invoice.
#[tool]
async fn pay() -> String {
    "paid".into()
}

/// Looks something up.
#[tool]
async fn look_up() -> String {
    tokio::time::sleep(Duration::from_secs(3)).await;
    "found".into()
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

fn named(name: &str) -> Arc<dyn Tool> {
    Arc::new(FunctionTool::new(name, "", |_: Nothing, _| async {
        Ok::<_, ToolError>("done")
    }))
}

/// Instructions, tools that came and tools that went.
type Update = (Option<String>, Vec<String>, Vec<String>);

fn update(item: &Item) -> Option<Update> {
    match item {
        Item::AgentConfigUpdate {
            instructions,
            tools_added,
            tools_removed,
            ..
        } => Some((
            instructions.clone(),
            tools_added.clone(),
            tools_removed.clone(),
        )),
        _ => None,
    }
}

async fn updates(session: &AgentSession) -> Vec<Update> {
    session.history().await.iter().filter_map(update).collect()
}

fn outputs(items: &[Item]) -> Vec<&str> {
    let outputs = items.iter().filter_map(|item| match item {
        Item::FunctionCallOutput { output, .. } => Some(output.output.as_str()),
        _ => None,
    });
    outputs.collect()
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_told_otherwise_answers_by_it_and_the_history_says_when() {
    let script = Script::new([vec![text("Hello.")], vec![text("Hi.")]]);
    let (session, _heard) = speaking(reception(&script).tool(look_up));
    let mut events = session.events();
    say_to(&session, "Hello?").await;
    for _ in 0..2 {
        session.update_instructions("Be brief.").unwrap();
        session.update_tools([named("pay")]).await.unwrap();
    }
    say_to(&session, "Hello again?").await;
    let asked = script.asked();
    assert_eq!(&*asked[0].0.instructions, "You are the reception.");
    assert_eq!(asked[0].1, ["look_up"]);
    assert_eq!(&*asked[1].0.instructions, "Be brief.");
    assert_eq!(asked[1].1, ["pay"]);
    assert_eq!(said(&asked[1].0.items, Role::User).len(), 2);
    let expected: [Update; 2] = [
        (Some("Be brief.".into()), vec![], vec![]),
        (None, vec!["pay".into()], vec!["look_up".into()]),
    ];
    assert_eq!(updates(&session).await, expected, "each once");
    let mut told = Vec::new();
    session.close(antiphon_dialogue::event::CloseReason::UserInitiated);
    while let Some((_, event)) = events.recv().await {
        if let Event::ConversationItemAdded { item } = event {
            told.extend(update(&item));
        }
    }
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_cannot_be_is_refused_and_the_agent_stays_as_it_was() {
    let script = Script::new([vec![text("Hello.")]]);
    let (session, _heard) = speaking(reception(&script).tool(look_up));
    let refused = session.update_tools([named("pay"), named("pay")]).await;
    let error = refused.unwrap_err();
    assert_eq!(
        error,
        SessionError::Tools(AgentError::DuplicateTool("pay".into()))
    );
    let bad: Arc<dyn Tool> = Arc::new(Listed);
    let error = session.update_tools([bad]).await.unwrap_err().to_string();
    assert!(error.contains("not a JSON Schema of an object"), "{error}");
    let many = (0..=MAX_TOOLS).map(|number| named(&format!("tool_{number}")));
    let error = session.update_tools(many).await.unwrap_err().to_string();
    assert!(error.contains("129 tools are too many"), "{error}");
    let long = "x".repeat(MAX_INSTRUCTIONS_BYTES + 1);
    let error = session.update_instructions(long).unwrap_err().to_string();
    assert!(error.contains("at most 65536"), "{error}");
    say_to(&session, "Hello?").await;
    let (request, tools) = script.asked().remove(0);
    assert_eq!(&*request.instructions, "You are the reception.");
    assert_eq!(tools, ["look_up"]);
    assert_eq!(updates(&session).await, []);
}

/// Has no parameters that anybody could fill in.
struct Listed;

impl Tool for Listed {
    fn definition(&self) -> antiphon_agent::provider::ToolDefinition {
        antiphon_agent::provider::ToolDefinition {
            name: "listed".into(),
            description: String::new(),
            parameters: serde_json::json!({"type": "array"}),
        }
    }

    fn call<'a>(
        &'a self,
        _: Value,
        _: ToolContext,
    ) -> antiphon_agent::provider::BoxFuture<'a, Result<ToolReply, ToolError>> {
        Box::pin(async { Ok(ToolReply::default()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_taken_away_while_it_runs_still_gives_its_result() {
    let script = Script::new([vec![call("look_up", "{}")], vec![text("I found it.")]]);
    let (session, _heard) = speaking(reception(&script).tool(look_up));
    let mut events = session.events();
    session.user_text("Look it up.").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.update_tools([named("pay")]).await.unwrap();
    wait_for_end(&mut events).await;
    let asked = script.asked();
    assert_eq!(outputs(&asked[1].0.items), ["found"]);
    assert_eq!(asked[1].1, ["pay"], "and cannot be called again");
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["I found it."]
    );
}

/// Becomes brief, and has somebody else ask for the address.
#[tool]
async fn send_home(context: ToolContext) -> Result<String, ToolError> {
    let session = context.session.upgrade().expect("it runs");
    session.update_instructions("Be brief.")?;
    session
        .update_tools([named("send_home"), named("pay")])
        .await?;
    let present = context.agent().expect("somebody speaks");
    assert_eq!(present.instructions(), "Be brief.");
    let street = context
        .run_task(|done| clerk(&present, done).instructions("You ask.").build())
        .await?;
    Ok(format!("sent to {street}"))
}

#[tokio::test(start_paused = true)]
async fn after_a_task_an_agent_has_what_it_was_given_before_it_and_the_next_agent_its_own() {
    let script = Script::new([
        vec![call("send_home", "{}")],
        vec![call("save_address", r#"{"street":"Main Street"}"#)],
        vec![text("It is on its way.")],
        vec![text("Billing here.")],
    ]);
    let (session, _heard) = speaking(reception(&script).tool(send_home));
    say_to(&session, "Send it home.").await;
    session.update_instructions("Ask kindly.").unwrap();
    say_to(&session, "Main Street.").await;
    let billing = Agent::builder("billing")
        .instructions("You are billing.")
        .llm(script.clone());
    session
        .update_agent(billing.tool(pay).build().unwrap())
        .unwrap();
    say_to(&session, "Who is there?").await;
    let asked: Vec<(String, Vec<String>)> = script
        .asked()
        .into_iter()
        .map(|(request, tools)| (request.instructions.as_ref().into(), tools))
        .collect();
    let with = |text: &str, tools: &[&str]| {
        let tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
        (text.to_owned(), tools)
    };
    assert_eq!(
        asked,
        [
            with("You are the reception.", &["send_home"]),
            with("Ask kindly.", &["save_address"]),
            with("Be brief.", &["send_home", "pay"]),
            with("You are billing.", &["pay"]),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn how_a_tool_is_to_be_run_counts_for_one_that_comes_later() {
    let script = Script::new([vec![call("look_up", "{}")], vec![text("Sorry.")]]);
    let brief = ToolOptions {
        timeout: Some(Duration::from_millis(100)),
        ..ToolOptions::default()
    };
    let (session, _heard) = speaking(reception(&script).tool_options("look_up", brief));
    let late: Arc<dyn Tool> = Arc::new(look_up);
    session.update_tools([late]).await.unwrap();
    say_to(&session, "Look it up.").await;
    let second = script.asked()[1].0.clone();
    assert_eq!(
        outputs(&second.items),
        ["The tool has not answered within 0.1 s."]
    );
    let expected: Update = (None, vec!["look_up".into()], vec![]);
    assert_eq!(updates(&session).await, [expected]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_can_be_made_to_forget_and_the_history_does_not() {
    let script = Script::new([
        vec![text("Hello Ann.")],
        vec![text("Gladly.")],
        vec![text("I do not know.")],
    ]);
    let (session, _heard) = speaking(reception(&script));
    say_to(&session, "I am Ann.").await;
    say_to(&session, "Help me.").await;
    let mut known = session.chat_ctx().await;
    assert_eq!(known.len(), 4, "what a model reads");
    let first = known.first().unwrap().id().to_owned();
    known.remove(&first);
    known.truncate(2);
    known.add_message(Role::System, "The caller is a regular.");
    session.update_chat_ctx(known).unwrap();
    say_to(&session, "Who am I?").await;
    let third = script.asked()[2].0.clone();
    assert_eq!(said(&third.items, Role::User), ["Help me.", "Who am I?"]);
    assert_eq!(said(&third.items, Role::Assistant), ["Gladly."]);
    assert_eq!(
        said(&third.items, Role::System),
        ["The caller is a regular."]
    );
    let history = session.history().await;
    assert_eq!(
        said(&history, Role::User),
        ["I am Ann.", "Help me.", "Who am I?"]
    );
    assert_eq!(said(&history, Role::System), [""; 0]);
    assert_eq!(updates(&session).await, [], "it is no configuration");
}

/// Begins anew.
#[tool]
async fn forget(context: ToolContext) -> Result<String, ToolError> {
    let session = context.session.upgrade().expect("it runs");
    session.update_chat_ctx(ChatContext::new())?;
    Ok("forgotten".into())
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_makes_the_agent_forget_is_itself_not_forgotten() {
    let script = Script::new([
        vec![text("Hello Ann.")],
        vec![call("forget", "{}")],
        vec![text("Who are you?")],
    ]);
    let (session, _heard) = speaking(reception(&script).tool(forget));
    say_to(&session, "I am Ann.").await;
    say_to(&session, "Forget me.").await;
    let third = script.asked()[2].0.clone();
    assert_eq!(said(&third.items, Role::User), ["Forget me."]);
    assert_eq!(outputs(&third.items), ["forgotten"]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_shortens_what_the_agent_knows_does_not_lose_the_turn() {
    let script = Script::new([vec![text("Hello Ann.")], vec![text("Fine.")]]);
    let agent = reception(&script).on_user_turn_completed(|session, turn| async move {
        session.update_chat_ctx(ChatContext::new()).unwrap();
        let _ = session.chat_ctx().await; // it has been done
        Ok(turn)
    });
    let (session, _heard) = speaking(agent);
    say_to(&session, "I am Ann.").await;
    say_to(&session, "How are you?").await;
    let asked = script.asked();
    assert_eq!(said(&asked[0].0.items, Role::User), ["I am Ann."]);
    assert_eq!(said(&asked[1].0.items, Role::User), ["How are you?"]);
}
