//! What an agent does when it goes, before it answers, and when its tools have answered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_agent::{
    Agent, AgentBuilder, AgentSession, CompletedTurn, ExecutedTools, SessionIo, StopResponse,
    ToolContext, ToolReply, tool,
};
use antiphon_chat::{Item, Message, Role};
use antiphon_dialogue::event::{AgentState, CloseReason};
use antiphon_dialogue::{Event, Options};
use cast::{Script, call, said, speaking, text, wait_for, wait_for_end};
use tokio::time::Instant;

fn messages(items: &[Item]) -> Vec<(Role, &str)> {
    let texts = items.iter().filter_map(|item| match item {
        Item::Message(Message { role, text, .. }) => Some((*role, text.as_str())),
        _ => None,
    });
    texts.collect()
}

#[tokio::test(start_paused = true)]
async fn a_turn_can_be_changed_and_explained_before_it_is_answered() {
    let script = Script::new([vec![text("At eight.")], vec![text("Yes.")]]);
    let agent = Agent::builder("a").llm(script.clone());
    let agent = agent.on_user_turn_completed(|_, mut turn: CompletedTurn| async move {
        if turn.message.text == "When?" {
            turn.message.text = "When do you open?".into();
            turn.context.add_message(Role::System, "It is Sunday.");
        }
        Ok(turn)
    });
    let (session, _heard) = speaking(agent);
    let mut events = session.events();
    session.user_text("When?").unwrap();
    wait_for_end(&mut events).await;
    session.user_text("Sure?").unwrap();
    wait_for_end(&mut events).await;
    let history = session.history().await;
    assert_eq!(
        messages(history.items()),
        [
            (Role::User, "When do you open?"),
            (Role::Assistant, "At eight."),
            (Role::User, "Sure?"),
            (Role::Assistant, "Yes."),
        ]
    );
    let asked = script.asked();
    assert_eq!(
        messages(&asked[0].0.items),
        [
            (Role::System, "It is Sunday."),
            (Role::User, "When do you open?")
        ]
    );
    assert_eq!(
        said(&asked[1].0.items, Role::System),
        [""; 0],
        "for one answer alone"
    );
    let first = history.messages().next().unwrap();
    assert!(first.metrics.on_user_turn_completed_delay.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_turn_whose_answer_is_stopped_is_remembered() {
    let script = Script::new([vec![text("Yes?")]]);
    let agent = Agent::builder("a").llm(script.clone());
    let agent = agent.on_user_turn_completed(|_, turn: CompletedTurn| async move {
        match turn.message.text.contains("agent") {
            true => Ok(turn),
            false => Err(StopResponse),
        }
    });
    let (session, _heard) = speaking(agent);
    let mut events = session.events();
    session.user_text("Nice weather.").unwrap();
    session.user_text("Hey agent").unwrap();
    wait_for_end(&mut events).await;
    assert_eq!(script.asked().len(), 1);
    assert_eq!(
        said(&session.history().await, Role::User),
        ["Nice weather.", "Hey agent"]
    );
}

/// Answered although the hook never is, and after how long.
async fn answered_after(agent: AgentBuilder) -> Duration {
    let script = Script::new([vec![text("Yes.")]]);
    let (session, _heard) = speaking(agent.llm(script));
    let mut events = session.events();
    let began = Instant::now();
    session.user_text("Hello?").unwrap();
    wait_for(&mut events, |event| {
        matches!(
            event,
            Event::AgentStateChanged {
                new_state: AgentState::Speaking,
                ..
            }
        )
    })
    .await;
    assert_eq!(said(&session.history().await, Role::User), ["Hello?"]);
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_or_panics_does_not_make_the_agent_mute() {
    let hangs = Agent::builder("a").on_user_turn_completed(|_, _| std::future::pending());
    let waited = answered_after(hangs).await;
    let limit = Options::default().on_user_turn_completed_timeout;
    assert!(waited >= limit && waited < limit + Duration::from_secs(1));
    let panics = Agent::builder("a").on_user_turn_completed(|_, turn: CompletedTurn| async move {
        assert!(turn.message.text.is_empty(), "on purpose");
        Ok(turn)
    });
    assert!(answered_after(panics).await < Duration::from_secs(1));
}

/// Puts the caller through.
#[tool]
async fn transfer(context: ToolContext) -> ToolReply {
    let present = context.agent().expect("somebody speaks");
    let billing = present.successor("billing").greeting("Billing, hello.");
    ToolReply::new("Billing is closed.").then_handoff(billing.build().unwrap())
}

/// What is said, and by whom, when a hook does this with the results of the tools.
async fn after_tools(hook: fn(&mut ExecutedTools)) -> Vec<String> {
    let script = Script::new([
        vec![text("One moment."), call("transfer", "{}")],
        vec![text("They are closed.")],
    ]);
    let agent = Agent::builder("desk").llm(script).tool(transfer);
    let agent =
        agent.on_function_tools_executed(move |_, mut executed: ExecutedTools| async move {
            assert_eq!(executed.function_calls.len(), 1);
            assert_eq!(
                executed.function_call_outputs[0].output,
                "Billing is closed."
            );
            assert!(executed.has_tool_reply());
            assert_eq!(executed.agent_handoff(), Some("billing"));
            hook(&mut executed);
            executed
        });
    let (session, _heard) = speaking(agent);
    session.user_text("Billing please").unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let history = session.history().await;
    said(&history, Role::Assistant)
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_cancel_what_follows_from_the_results_of_tools() {
    let said = after_tools(|_| {}).await;
    assert_eq!(said, ["One moment.", "They are closed.", "Billing, hello."]);
    let said = after_tools(ExecutedTools::cancel_tool_reply).await;
    assert_eq!(said, ["One moment.", "Billing, hello."]);
    let said = after_tools(|executed| {
        executed.cancel_agent_handoff();
        assert_eq!(executed.agent_handoff(), None);
    })
    .await;
    assert_eq!(said, ["One moment.", "They are closed."]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_over_the_results_of_tools_cancels_nothing() {
    let said = after_tools(|_| panic!("on purpose")).await;
    assert_eq!(said, ["One moment.", "They are closed.", "Billing, hello."]);
}

type Notes = Arc<Mutex<Vec<&'static str>>>;

fn note(notes: &Notes, what: &'static str) {
    notes.lock().unwrap().push(what);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_handed_off_goes_before_the_next_one_comes() {
    let notes = Notes::default();
    let (goes, comes) = (notes.clone(), notes.clone());
    let agent = Agent::builder("a").llm(Script::new([])).on_exit(move |_| {
        let notes = goes.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            note(&notes, "the first goes");
        }
    });
    let (session, _heard) = speaking(agent);
    let next = Agent::builder("b")
        .llm(Script::new([]))
        .on_enter(move |_| {
            note(&comes, "the second comes");
            std::future::ready(())
        })
        .build()
        .unwrap();
    session.update_agent(next).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.close(CloseReason::UserInitiated);
    session.closed().await;
    assert_eq!(
        *notes.lock().unwrap(),
        ["the first goes", "the second comes"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_says_goodbye_when_its_session_drains() {
    let agent =
        Agent::builder("a")
            .llm(Script::new([]))
            .on_exit(|session: AgentSession| async move {
                let goodbye = session.say("Goodbye and thank you.").unwrap();
                goodbye.wait_for_playout().await;
            });
    let (session, heard) = speaking(agent);
    session.drain(CloseReason::JobShutdown);
    assert_eq!(session.closed().await, CloseReason::JobShutdown);
    assert_eq!(heard.frames(), 20, "0.4 s of it");
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["Goodbye and thank you."]
    );
}

#[tokio::test(start_paused = true)]
async fn what_on_exit_writes_down_is_written_before_the_session_is_over() {
    let notes = Notes::default();
    let kept = notes.clone();
    let agent = Agent::builder("a")
        .llm(Script::new([]))
        .on_exit(move |session: AgentSession| {
            let notes = kept.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert_eq!(said(&session.history().await, Role::User), ["Bye"]);
                let late = session.say("Too late.").unwrap();
                late.wait_for_playout().await; // nobody hears it, and nobody waits for it
                note(&notes, "written");
            }
        });
    let (session, _heard) = speaking(agent);
    session.user_text("Bye").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    session.close(CloseReason::ParticipantDisconnected);
    session.closed().await;
    assert_eq!(*notes.lock().unwrap(), ["written"]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_goes_does_not_keep_its_session_open() {
    let agent = Agent::builder("a")
        .llm(Script::new([]))
        .on_exit(|_| std::future::pending())
        .build()
        .unwrap();
    for drain in [true, false] {
        let session = AgentSession::start(agent.clone(), SessionIo::text_only());
        session.started().unwrap();
        tokio::task::yield_now().await;
        let began = Instant::now();
        match drain {
            true => session.drain(CloseReason::UserInitiated),
            false => session.close(CloseReason::UserInitiated),
        }
        session.closed().await;
        assert!(began.elapsed() <= Duration::from_secs(11), "{drain}");
    }
}
