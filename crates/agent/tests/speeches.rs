//! Speeches that a program asks for, with scripted providers in paused time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::time::Duration;

use antiphon_agent::provider::ChatChunk;
use antiphon_agent::{
    Agent, AgentSession, NotInterrupted, SessionError, SessionIo, SpeechOutcome, ToolContext,
    ToolError, tool,
};
use antiphon_chat::{Role, ToolChoice};
use antiphon_dialogue::Event;
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::ids::SpeechId;
use antiphon_dialogue::input::{GenerateReply, Priority, Say};
use cast::{Script, call, said, speaking, text, wait_for, wait_for_end};

#[tokio::test(start_paused = true)]
async fn who_says_something_can_wait_until_it_was_heard() {
    let (session, heard) = speaking(Agent::builder("a").llm(Script::new([])));
    let began = tokio::time::Instant::now();
    let speech = session.say("One two three four five.").unwrap();
    assert_eq!(speech.outcome(), None);
    assert_eq!(speech.wait_for_playout().await, SpeechOutcome::Played);
    assert!(
        began.elapsed() >= Duration::from_millis(480),
        "it was played"
    );
    assert_eq!(heard.frames(), 25);
    assert_eq!(speech.outcome(), Some(SpeechOutcome::Played));
    let late = session.speech(speech.id()).unwrap();
    assert_eq!(late.wait_for_playout().await, SpeechOutcome::Played);
    let never = session.speech(SpeechId::of_program(99)).unwrap();
    never.wait_for_playout().await; // nobody waits for ever
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_the_end_learns_that_a_speech_was_interrupted() {
    let (session, _heard) = speaking(Agent::builder("a").llm(Script::new([])));
    let speech = session.say("One two three four five.").unwrap();
    speech.interrupt(true).await.unwrap();
    speech.wait_for_playout().await;
    let late = session.speech(speech.id()).unwrap();
    assert_eq!(late.wait_for_playout().await, SpeechOutcome::Interrupted);
    assert_eq!(late.outcome(), Some(SpeechOutcome::Interrupted));
}

#[tokio::test(start_paused = true)]
async fn a_speech_that_waits_can_be_stopped_and_a_firm_one_cannot() {
    let (session, _heard) = speaking(Agent::builder("a").llm(Script::new([])));
    let first = session.say("One two three four five.").unwrap();
    let second = session.say("Never said.").unwrap();
    let firm = session
        .say(Say {
            allow_interruptions: Some(false),
            ..Say::new("Always said.")
        })
        .unwrap();
    second.interrupt(false).await.unwrap();
    let refused = firm.interrupt(false).await.unwrap_err().to_string();
    assert!(refused.contains("stop it with `force`"), "{refused}");
    assert_eq!(second.wait_for_playout().await, SpeechOutcome::Interrupted);
    assert_eq!(first.wait_for_playout().await, SpeechOutcome::Played);
    assert_eq!(firm.wait_for_playout().await, SpeechOutcome::Played);
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["One two three four five.", "Always said."]
    );
}

#[tokio::test(start_paused = true)]
async fn who_interrupts_firm_words_is_told_to_use_force() {
    let (session, _heard) = speaking(Agent::builder("a").llm(Script::new([])));
    let firm = session
        .say(Say {
            allow_interruptions: Some(false),
            ..Say::new("One two three four five.")
        })
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = session.interrupt(false).await.unwrap_err();
    assert_eq!(
        refused,
        SessionError::NotInterrupted(NotInterrupted::Firm(firm.id()))
    );
    assert_eq!(firm.outcome(), None, "it goes on");
    session.interrupt(true).await.unwrap();
    assert_eq!(firm.wait_for_playout().await, SpeechOutcome::Interrupted);
    firm.interrupt(false).await.unwrap(); // it is over: nothing is left to be refused
}

#[tokio::test(start_paused = true)]
async fn urgent_words_come_before_those_that_wait() {
    let (session, _heard) = speaking(Agent::builder("a").llm(Script::new([])));
    session.say("First.").unwrap();
    let last = session.say("Last.").unwrap();
    session
        .say(Say {
            priority: Priority::HIGH,
            ..Say::new("Urgent.")
        })
        .unwrap();
    last.wait_for_playout().await;
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["First.", "Urgent.", "Last."]
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_leaves_nobody_waiting() {
    let (session, _heard) = speaking(Agent::builder("a").llm(Script::new([])));
    let first = session.say("One two three four five.").unwrap();
    let second = session.say("Never said.").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    session.close(CloseReason::UserInitiated);
    assert_eq!(first.wait_for_playout().await, SpeechOutcome::Interrupted);
    assert_eq!(second.wait_for_playout().await, SpeechOutcome::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_reply_can_be_asked_for_with_few_tools_or_none() {
    let script = Script::new([vec![text("Goodbye.")], vec![text("Well.")]]);
    let agent = Agent::builder("a").llm(script.clone()).tool(book).tool(pay);
    let (session, _heard) = speaking(agent);
    let without = session.generate_reply(GenerateReply {
        instructions: Some("Say goodbye.".into()),
        tool_choice: ToolChoice::None,
        ..GenerateReply::default()
    });
    without.unwrap().wait_for_playout().await;
    let few = session.generate_reply(GenerateReply {
        tools: Some(vec!["pay".into()]),
        ..GenerateReply::default()
    });
    few.unwrap().wait_for_playout().await;
    let asked = script.asked();
    let (first, second) = (&asked[0], &asked[1]);
    assert_eq!(first.0.tool_choice, ToolChoice::None);
    assert_eq!(first.0.reply_instructions.as_deref(), Some("Say goodbye."));
    assert_eq!(first.1, ["book", "pay"]);
    assert_eq!(second.1, ["pay"]);
}

/// Pays.
#[tool]
async fn pay() -> String {
    "paid".into()
}

/// Books; says so first.
#[tool]
async fn book(context: &ToolContext) -> Result<String, ToolError> {
    assert_eq!(context.wait_for_playout().await, SpeechOutcome::Played);
    let session = context.session.upgrade().expect("the session runs");
    let speech = session.say("I am writing it down.")?;
    assert_eq!(speech.wait_for_playout().await, SpeechOutcome::Played);
    Ok("booked".into())
}

#[tokio::test(start_paused = true)]
async fn a_tool_can_say_something_and_wait_until_it_was_heard() {
    let script = Script::new([
        vec![text("One moment."), call("book", "{}")],
        vec![text("It is booked.")],
    ]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script).tool(book));
    let mut events = session.events();
    session.user_text("Book!").unwrap();
    let began = tokio::time::Instant::now();
    wait_for_end(&mut events).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "nothing waited for a time-out"
    );
    assert_eq!(
        said(&session.history().await, Role::Assistant),
        ["One moment.", "I am writing it down.", "It is booked."]
    );
}

/// A model's answer of this many kB.
fn story(kilobytes: usize) -> Vec<ChatChunk> {
    let sentence = "All work and no play makes Jack a dull boy. ";
    vec![text(&sentence.repeat(kilobytes * 1024 / sentence.len()))]
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_cut_only_where_the_dialogue_says() {
    let script = Script::new([story(20), story(40)]);
    let agent = Agent::builder("a").llm(script).build().unwrap();
    let session = AgentSession::start(agent, SessionIo::text_only());
    session.started().unwrap();
    for length in [19 * 1024..=20 * 1024, 31 * 1024..=32 * 1024] {
        let speech = session.generate_reply(GenerateReply::default()).unwrap();
        speech.wait_for_playout().await;
        let said = said(&session.history().await, Role::Assistant);
        assert!(length.contains(&said.last().unwrap().len()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_program_is_told_of_a_reply_without_end() {
    let script = Script::new([story(40)]);
    let (session, _heard) = speaking(Agent::builder("a").llm(script));
    let mut events = session.events();
    session.user_text("Tell me a story").unwrap();
    wait_for(
        &mut events,
        |event| matches!(event, Event::Error { message, .. } if message.contains("cut off")),
    )
    .await;
}
