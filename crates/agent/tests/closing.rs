//! How a session ends, and what is told about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cast;

use std::sync::Arc;

use antiphon_agent::provider::{BoxStream, ChatChunk, Llm, ProviderInfo, ToolDefinition};
use antiphon_agent::{
    Agent, AgentSession, AudioOutput, Events, ProviderError, SessionIo, ToolContext, ToolError,
    ToolReply, tool,
};
use antiphon_audio::Frame24k;
use antiphon_chat::{ChatRequest, Role};
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::{Event, Options};
use cast::{Script, Voice, call, said, speaking, text, wait_for};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The last event.
async fn closed(events: &mut Events) -> (CloseReason, Option<String>) {
    let closed = wait_for(events, |event| matches!(event, Event::Closed { .. })).await;
    match closed {
        Event::Closed { reason, error } => (reason, error),
        other => panic!("{other:?}"),
    }
}

/// Ends the call. Use it when the caller has said goodbye.
#[tool]
async fn end_call(context: ToolContext) -> Result<ToolReply, ToolError> {
    let session = context.session.upgrade();
    let session = session.ok_or(ToolError::new("The call is over."))?;
    session
        .say("Goodbye, and thank you.")?
        .wait_for_playout()
        .await;
    session.drain(CloseReason::TaskCompleted);
    Ok(ToolReply::silent("The call ends."))
}

#[tokio::test(start_paused = true)]
async fn a_tool_says_goodbye_and_ends_the_call() {
    let script = Script::new([
        vec![text("It was a pleasure."), call("end_call", "{}")],
        vec![text("Nobody is to hear this.")],
    ]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script.clone()).tool(end_call));
    let mut events = session.events();
    session.user_text("Bye!").unwrap();
    let began = Instant::now();
    assert_eq!(
        closed(&mut events).await,
        (CloseReason::TaskCompleted, None)
    );
    let took = began.elapsed().as_millis();
    assert!(took < 2000, "the tool and the end wait for each other");
    assert_eq!(session.closed().await, CloseReason::TaskCompleted);
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["It was a pleasure.", "Goodbye, and thank you."]
    );
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_just_before_the_end_is_heard() {
    let (session, heard) = speaking(Agent::builder("a").llm(Script::new([])));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    session.say("Goodbye and thank you.").unwrap();
    session.drain(CloseReason::TaskCompleted);
    assert_eq!(session.closed().await, CloseReason::TaskCompleted);
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["Goodbye and thank you."]
    );
    assert_eq!(heard.frames(), 20, "0.4 s of it");
}

/// Ends the call after the answer.
#[tool]
async fn last_order(context: ToolContext) -> Result<String, ToolError> {
    let session = context.session.upgrade();
    let session = session.ok_or(ToolError::new("The call is over."))?;
    session.drain(CloseReason::TaskCompleted);
    Ok("It is booked. Say goodbye.".into())
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_ends_the_call_still_has_its_result_told() {
    let script = Script::new([
        vec![call("last_order", "{}")],
        vec![text("It is booked. Goodbye.")],
    ]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script).tool(last_order));
    let mut events = session.events();
    session.user_text("Book it.").unwrap();
    assert_eq!(
        closed(&mut events).await,
        (CloseReason::TaskCompleted, None)
    );
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["It is booked. Goodbye."]
    );
}

/// A model that fails.
struct Broke;

impl Llm for Broke {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "script",
            model: String::new(),
        }
    }

    fn chat(
        &self,
        _: ChatRequest,
        _: Arc<[ToolDefinition]>,
    ) -> BoxStream<Result<ChatChunk, ProviderError>> {
        let error = ProviderError::Status {
            provider: "script",
            status: 402,
            message: "no credit is left".into(),
        };
        Box::pin(stream::iter([Err(error)]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_for_its_providers_sake_says_what_failed() {
    let agent = Agent::builder("a").llm(Arc::new(Broke)).options(Options {
        max_unrecoverable_errors: Some(0),
        ..Options::default()
    });
    let (session, _heard) = speaking(agent);
    let mut events = session.events();
    session.user_text("Hello?").unwrap();
    let (reason, error) = closed(&mut events).await;
    assert_eq!(reason, CloseReason::Error);
    let error = error.expect("what failed");
    assert!(error.contains("no credit is left"), "{error}");
}

/// An output that panics.
struct Deaf;

impl AudioOutput for Deaf {
    fn play(&mut self, _: &Frame24k) {
        panic!("no loudspeaker");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_output_breaks_says_so_at_its_end() {
    let agent = Agent::builder("a")
        .greeting("Hello.")
        .llm(Script::new([]))
        .tts(Arc::new(Voice))
        .build()
        .unwrap();
    let (_mouth, audio_in) = mpsc::channel(1);
    let session = AgentSession::start(
        agent,
        SessionIo {
            audio_in,
            audio_out: Box::new(Deaf),
        },
    );
    let mut events = session.events();
    session.started().unwrap();
    let (reason, error) = closed(&mut events).await;
    assert_eq!(reason, CloseReason::Error);
    let error = error.expect("what broke");
    assert!(error.contains("output"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_ends_the_call_without_an_error() {
    let (session, _heard) = speaking(Agent::builder("a").llm(Script::new([])));
    let mut events = session.events();
    session.close(CloseReason::ParticipantDisconnected);
    assert_eq!(
        closed(&mut events).await,
        (CloseReason::ParticipantDisconnected, None)
    );
}
