//! A session without a room: the program itself is the caller, and reads the events. Needs `OPENAI_API_KEY`.
#![allow(clippy::print_stdout, reason = "it talks to the terminal")]

use std::sync::Arc;

use antiphon::agent::provider::Secret;
use antiphon::prelude::*;
use antiphon_openai::{Endpoint, LlmConfig, OpenAiLlm};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let key = Secret::new(&std::env::var("OPENAI_API_KEY")?)
        .ok_or_else(|| anyhow::anyhow!("OPENAI_API_KEY is empty"))?;
    let agent = Agent::builder("poet")
        .instructions("You answer with a rhyme of two lines.")
        .llm(Arc::new(OpenAiLlm::new(LlmConfig::new(Endpoint::openai(
            key,
        )))?))
        .build()?;
    let session = AgentSession::start(agent, SessionIo::text_only());
    let mut events = session.events();
    session.started()?;
    session.user_text("What is an antiphon?")?;
    while let Some((at, event)) = events.recv().await {
        match event {
            Event::AgentTranscript {
                delta,
                is_final: false,
                ..
            } => print!("{delta}"),
            Event::AgentTranscript { is_final: true, .. } => break,
            Event::Error { message, .. } => anyhow::bail!(message),
            other => println!("{:>8} ms  {other:?}", at.as_micros() / 1000),
        }
    }
    println!("\nhistory: {:#?}", session.history().await);
    Ok(())
}
