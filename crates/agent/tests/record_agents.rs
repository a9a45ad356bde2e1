//! Recordings of sessions in which several agents speak.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod cast;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon_agent::{
    Agent, AgentBuilder, AgentSession, Recorder, RecorderOptions, TaskHandle, Tool, ToolContext,
    ToolError, tool,
};
use antiphon_dialogue::event::CloseReason;
use antiphon_dialogue::input::GenerateReply;
use antiphon_dialogue::{Input, OptionsPatch, input::Command};
use antiphon_recording::Ending;
use antiphon_scenario::{Replayed, replay};
use cast::clerk::clerk;
use cast::{Script, call, say_to, speaking, text, wait_for_end};

/// Patient with people who spell.
fn patient_clerk(present: &Agent, done: TaskHandle<String>) -> AgentBuilder {
    clerk(present, done)
        .instructions("You ask for a street.")
        .overrides(OptionsPatch {
            min_endpointing_delay: Some(Some(Duration::from_millis(1500))),
            user_away_timeout: Some(None),
            ..OptionsPatch::default()
        })
}

/// Sends something home.
#[tool]
async fn send_home(context: ToolContext) -> Result<String, ToolError> {
    let present = context.agent().expect("somebody speaks");
    let street = context
        .run_task(|done| patient_clerk(&present, done).build())
        .await?;
    Ok(format!("sent to {street}"))
}

/// Puts the caller through to billing.
#[tool]
async fn transfer(context: ToolContext) -> Agent {
    let present = context.agent().expect("somebody speaks");
    present
        .successor("billing")
        .instructions("You are billing.")
        .greeting("Billing, hello.")
        .overrides(OptionsPatch {
            allow_interruptions: Some(false),
            ..OptionsPatch::default()
        })
        .tool(send_home)
        .build()
        .unwrap()
}

fn reception(script: &Arc<Script>, recorder: &Recorder) -> AgentBuilder {
    Agent::builder("reception")
        .instructions("You are the reception.")
        .greeting("Good day.")
        .overrides(OptionsPatch {
            preemptive_generation: Some(false),
            ..OptionsPatch::default()
        })
        .llm(script.clone())
        .recorder(recorder.clone())
}

async fn end(session: AgentSession, recorder: &Recorder, folder: &Path) -> Replayed {
    session.close(CloseReason::UserInitiated);
    session.closed().await;
    recorder.flush();
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    let replayed = replay(&text).unwrap();
    assert_eq!(replayed.diverged, 0, "{:#?}", replayed.divergences);
    assert_eq!(replayed.violations, Vec::<String>::new());
    assert_eq!(replayed.ending, Some(Ending::Complete));
    replayed
}

fn commands(replayed: &Replayed, wanted: impl Fn(&Command) -> bool) -> usize {
    let told = replayed.inputs.iter();
    told.filter(|(_, input)| matches!(input, Input::Command(command) if wanted(command)))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_handed_over_and_has_a_task_in_it_is_repeated_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(RecorderOptions::new(folder.path())).unwrap();
    let script = Script::new([
        vec![text("I put you through."), call("transfer", "{}")],
        vec![text("Sure."), call("send_home", "{}")],
        vec![call("save_address", r#"{"street":"Main Street"}"#)],
        vec![text("It is on its way to Main Street.")],
    ]);
    let (session, _heard) = speaking(reception(&script, &recorder).tool(transfer));
    say_to(&session, "Billing please.").await;
    say_to(&session, "Send it home.").await;
    say_to(&session, "Main Street.").await;
    assert_eq!(script.asked().len(), 4);
    let replayed = end(session, &recorder, folder.path()).await;
    assert_eq!(
        commands(&replayed, |c| matches!(c, Command::OverrideOptions(_))),
        1
    );
    assert_eq!(
        commands(&replayed, |c| matches!(c, Command::HandOff { .. })),
        1
    );
    assert_eq!(
        commands(&replayed, |c| matches!(c, Command::StartTask { .. })),
        1
    );
    let seen = |text: &str| replayed.timeline.iter().any(|line| line.text == text);
    assert!(
        seen("item agent \"It is on its way to Main Street.\""),
        "{:#?}",
        replayed.timeline
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_in_a_task_is_repeated_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(RecorderOptions::new(folder.path())).unwrap();
    let script = Script::new([vec![call("send_home", "{}")]]);
    let (session, _heard) = speaking(reception(&script, &recorder).tool(send_home));
    say_to(&session, "Send it home.").await;
    end(session, &recorder, folder.path()).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_the_program_puts_in_and_that_speaks_first_is_repeated_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(RecorderOptions::new(folder.path())).unwrap();
    let script = Script::new([vec![text("Hello.")], vec![text("I have heard of you.")]]);
    let (session, _heard) = speaking(reception(&script, &recorder));
    say_to(&session, "Hi, I am Ann.").await;
    let expert = reception(&script, &recorder)
        .name("expert")
        .keep_history(true)
        .on_enter(|session| async move {
            let _ = session.generate_reply(GenerateReply::default());
        });
    let mut events = session.events();
    session.update_agent(expert.build().unwrap()).unwrap();
    wait_for_end(&mut events).await;
    let patch = OptionsPatch {
        min_endpointing_delay: Some(None),
        user_away_timeout: Some(None),
        ..OptionsPatch::default()
    };
    session.update_options(patch).await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    end(session, &recorder, folder.path()).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_in_which_the_agent_is_told_otherwise_is_repeated_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(RecorderOptions::new(folder.path())).unwrap();
    let script = Script::new([vec![text("Hello.")], vec![call("transfer", "{}")]]);
    let (session, _heard) = speaking(reception(&script, &recorder));
    say_to(&session, "Hi, I am Ann.").await;
    session.update_instructions("Be brief.").unwrap();
    let tool: Arc<dyn Tool> = Arc::new(transfer);
    session.update_tools([tool]).await.unwrap();
    let mut known = session.chat_ctx().await;
    known.truncate(1);
    session.update_chat_ctx(known).unwrap();
    say_to(&session, "Billing please.").await;
    let replayed = end(session, &recorder, folder.path()).await;
    let update = |command: &Command| {
        matches!(
            command,
            Command::UpdateInstructions { .. }
                | Command::UpdateTools { .. }
                | Command::UpdateChatCtx { .. }
        )
    };
    assert_eq!(commands(&replayed, update), 3);
    let lines = replayed.timeline.iter().map(|line| line.text.as_str());
    let items: Vec<&str> = lines.filter(|line| line.starts_with("item")).collect();
    for item in [
        "item handoff reception",
        "item config \"Be brief.\"",
        "item config +transfer",
        "item handoff billing",
    ] {
        assert!(items.contains(&item), "{item}: {items:#?}");
    }
}
