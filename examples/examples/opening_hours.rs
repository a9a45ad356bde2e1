//! A front desk with one tool, in the terminal. Needs `OPENAI_API_KEY`.
#![allow(clippy::print_stdout, reason = "it talks to the terminal")]

use std::sync::Arc;

use antiphon_agent::provider::Secret;
use antiphon_agent::{Agent, AgentSession, SessionIo, ToolError, tool};
use antiphon_dialogue::Event;
use antiphon_openai::{Endpoint, LlmConfig, OpenAiLlm};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

/// Says when the restaurant is open. Call it for every question about opening hours.
#[tool]
async fn opening_hours(
    /// The day of the week in English.
    day: String,
) -> Result<String, ToolError> {
    match day.to_lowercase().as_str() {
        "monday" => Ok("closed".into()),
        "saturday" | "sunday" => Ok("from 10 to 23".into()),
        "tuesday" | "wednesday" | "thursday" | "friday" => Ok("from 17 to 22".into()),
        _ => Err(ToolError::new("That is no day of the week.")),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let key = Secret::new(&std::env::var("OPENAI_API_KEY")?).ok_or_else(|| anyhow::anyhow!("OPENAI_API_KEY is empty"))?;
    let agent = Agent::builder("front-desk")
        .instructions("You are the front desk of a small restaurant. Answer in one sentence.")
        .greeting("Hello, what can I do for you?")
        .llm(Arc::new(OpenAiLlm::new(LlmConfig::new(Endpoint::openai(key)))?))
        .tool(opening_hours)
        .build()?;
    let session = AgentSession::start(agent, SessionIo::text_only());
    let mut events = session.events();
    session.started()?;
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => session.user_text(line)?,
                None => return Ok(()),
            },
            event = events.recv() => match event {
                Some((_, Event::AgentTranscript { delta, is_final, .. })) => print!("{delta}{}", if is_final { "\n" } else { "" }),
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}
