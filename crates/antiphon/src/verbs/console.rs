//! `antiphon console`: talk to the agent in the terminal, by typing or from a WAV file.

mod audio;
mod call;

use antiphon_agent::{AgentSession, SessionIo};
use antiphon_dialogue::Event;
use antiphon_dialogue::event::{AgentState, CloseReason};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{announce, init_logs, print_line, print_note, signals};
use crate::app::App;
use crate::assemble::{assemble, configuration};
use crate::cli::ConsoleArgs;
use crate::config::{LogFormat, TelemetryConfig};

/// Run until the end of the input.
pub async fn run(args: ConsoleArgs, app: &App) -> anyhow::Result<()> {
    let (config, is_example) = configuration(args.agent.config.as_deref(), app)?;
    let quiet = TelemetryConfig {
        log_level: config.telemetry.log_level.clone().or(Some("warn".into())),
        ..config.telemetry.clone()
    };
    init_logs(&quiet, LogFormat::Text)?;
    // A file that is no WAV is refused before anything else starts.
    let speech = args.audio.as_deref().map(audio::read).transpose()?;
    // So is a place that cannot be written, which would cost the call.
    let speech = match speech {
        Some(speech) => Some((speech, audio::Output::open(args.output)?)),
        None => None,
    };
    let assembled = assemble(config, is_example, app).await?;
    announce(&assembled);
    match speech {
        Some((speech, output)) => audio::run(assembled.agent, speech, output).await,
        None => type_and_read(AgentSession::start(assembled.agent, SessionIo::text_only())).await,
    }
}

async fn type_and_read(session: AgentSession) -> anyhow::Result<()> {
    print_line("type, and end with Ctrl-D\n");
    let signals = signals::listen()?;
    let mut events = session.events();
    session.started()?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut state = Progress::default();
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Some((_, event)) => state.show(&event),
                None => return Ok(()),
            },
            () = signals.drain.cancelled() => break,
            line = lines.next_line(), if state.may_read() => match line? {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => {
                    state.asked();
                    session.user_text(line)?;
                }
                None => break,
            },
        }
    }
    session.drain(CloseReason::UserInitiated);
    while let Some((_, event)) = events.recv().await {
        state.show(&event);
    }
    Ok(())
}

/// What the terminal shows, and whether it is the user's turn to type. Input from a pipe waits for each answer.
#[derive(Debug, Default)]
struct Progress {
    greeted: bool,
    waiting: bool,
    line: String,
}

impl Progress {
    fn may_read(&self) -> bool {
        self.greeted && !self.waiting
    }

    fn asked(&mut self) {
        self.waiting = true;
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::AgentTranscript {
                delta,
                is_final,
                interrupted,
                ..
            } => {
                self.line.push_str(delta);
                if *is_final && !self.line.trim().is_empty() {
                    let cut = if *interrupted { " [interrupted]" } else { "" };
                    print_line(&format!(
                        "agent: {}{cut}",
                        std::mem::take(&mut self.line).trim()
                    ));
                }
            }
            Event::ToolStarted { call } => {
                print_line(&format!("tool:  {} {}", call.name, call.arguments))
            }
            Event::ToolEnded { output, .. } => print_line(&format!("tool:  → {}", output.output)),
            Event::Error { message, .. } => print_note(&format!("error: {message}")),
            Event::Closed {
                error: Some(error), ..
            } => print_note(&format!("the session has ended after this error: {error}")),
            Event::AgentStateChanged {
                new_state: AgentState::Listening,
                ..
            } => {
                self.greeted = true;
                self.waiting = false;
            }
            _ => {}
        }
    }
}
