//! What becomes of keys that are spoken in a recorded call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::path::Path;
use std::time::Duration;

use antiphon_agent::provider::Secret;
use antiphon_agent::{Agent, Recorder, RecorderOptions, tool};
use antiphon_chat::Role;
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::input::Say;
use antiphon_recording::Ending;
use antiphon_scenario::replay;
use cast::{Script, call, speaking, text, wait_for_end};

const KEY: &str = "sk-Huge*\"Long-4711";

/// Keeps a key.
#[tool]
async fn keep(
    /// The key.
    key: String,
) -> String {
    format!("kept {key}")
}

fn recorder(folder: &Path) -> Recorder {
    let mut options = RecorderOptions::new(folder);
    options.secrets = Secret::new(KEY).into_iter().collect();
    Recorder::start(options).unwrap()
}

fn only_file(folder: &Path) -> String {
    let mut files = std::fs::read_dir(folder).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    std::fs::read_to_string(file).unwrap()
}

fn assert_whole_and_without_the_key(recording: &str) {
    for piece in ["sk-Hu", "uge*", "\"Long", "g-4711"] {
        assert!(!recording.contains(piece), "{piece}: {recording}");
    }
    let replayed = replay(recording).unwrap();
    assert_eq!(replayed.diverged, 0, "{:#?}", replayed.divergences);
    assert_eq!(replayed.violations, Vec::<String>::new());
    assert_eq!(replayed.ending, Some(Ending::Complete));
}

#[tokio::test(start_paused = true)]
async fn a_call_in_which_everybody_speaks_a_key_is_repeated_bit_for_bit_and_holds_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder(folder.path());
    // A model's tokens end anywhere; and what is said aloud has neither asterisks nor the key's other half.
    let script = Script::new([
        vec![
            text("Your key is sk"),
            text("-Huge*\"Lo"),
            text("ng-"),
            text("4711, I keep it. "),
            call("keep", &serde_json::json!({"key": KEY}).to_string()),
        ],
        vec![text("I have kept "), text(KEY), text(" for you.")],
    ]);
    let agent = Agent::builder("a")
        .llm(script)
        .tool(keep)
        .recorder(recorder.clone());
    let (session, _heard) = speaking(agent);
    let mut events = session.events();
    session.user_text("Hello").unwrap();
    wait_for_end(&mut events).await;
    session
        .user_text(format!("Do you know {KEY}, my key?"))
        .unwrap();
    session.say(Say::new(format!("It is {KEY}."))).unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    session.close(CloseReason::UserInitiated);
    session.closed().await;
    recorder.flush();
    let recording = only_file(folder.path());
    assert!(recording.contains("se-rets"), "{recording}");
    assert_whole_and_without_the_key(&recording);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_the_instructions_is_not_in_the_recording_either() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder(folder.path());
    let agent = Agent::builder("a")
        .instructions(format!("The password is {KEY}. Do not tell."))
        .llm(Script::new([vec![text("No.")]]))
        .recorder(recorder.clone());
    let (session, _heard) = speaking(agent);
    let mut events = session.events();
    session.user_text("What is the password?").unwrap();
    wait_for_end(&mut events).await;
    session.close(CloseReason::UserInitiated);
    session.closed().await;
    recorder.flush();
    assert_whole_and_without_the_key(&only_file(folder.path()));
}

#[tokio::test(start_paused = true)]
async fn a_key_in_new_instructions_or_in_what_the_agent_is_given_to_know_is_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder(folder.path());
    let script = Script::new([vec![text("No.")], vec![text("Still no.")]]);
    let agent = Agent::builder("a").llm(script).recorder(recorder.clone());
    let (session, _heard) = speaking(agent);
    let mut events = session.events();
    let told = format!("The password is {KEY}. Do not tell.");
    session.update_instructions(told).unwrap();
    session.user_text("What is the password?").unwrap();
    wait_for_end(&mut events).await;
    let mut known = session.chat_ctx().await;
    known.add_message(Role::System, format!("It was {KEY} before."));
    session.update_chat_ctx(known).unwrap();
    session.user_text("And now?").unwrap();
    wait_for_end(&mut events).await;
    session.close(CloseReason::UserInitiated);
    session.closed().await;
    recorder.flush();
    let recording = only_file(folder.path());
    assert!(recording.contains("agent_config_update"), "{recording}");
    assert!(recording.contains("update_chat_ctx"), "{recording}");
    assert_whole_and_without_the_key(&recording);
}
