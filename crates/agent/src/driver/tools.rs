//! Tool calls: each ends with exactly one result, whatever the tool does; when it has taken too long the dialogue cancels
//! it. They are not dropped with the session, because a
//! booking that is half made is worse than one nobody hears of: they are told that nobody waits, and get a moment.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use antiphon_chat::ToolCall;
use antiphon_dialogue::Input;
use antiphon_dialogue::input::{Command, ToolValue};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::agent::Agent;
use crate::handle::truncate;
use crate::measure;
use crate::tool::{ToolContext, ToolSet};

/// What a cancelled tool may still take.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// The longest result that a model reads, in bytes: some 4,000 tokens. What is over is cut off, and the model is told.
const OUTPUT_LIMIT: usize = 16 * 1024;

/// Run a call; the result goes to `facts`.
pub(crate) fn spawn(
    tools: Arc<ToolSet>,
    call: ToolCall,
    context: ToolContext,
    facts: mpsc::Sender<Input>,
) {
    let work = async move {
        let began = tokio::time::Instant::now();
        let roster = context.caller.roster.clone();
        let (result, agent) = match run(&tools, &call, context).await {
            Ok((value, agent)) => (Ok(value), agent),
            Err(message) => (Err(message), None),
        };
        measure::tool(&call.name, result.is_ok(), began.elapsed());
        if let Some((roster, agent)) = roster.zip(agent) {
            let handoff = Command::HandOff {
                call_id: call.call_id.clone(),
                agent: roster.spec(agent),
            };
            let _ = facts.send(Input::Command(handoff)).await;
        }
        let _ = facts
            .send(Input::ToolFinished {
                call_id: call.call_id,
                result,
            })
            .await;
    };
    tokio::spawn(work.in_current_span());
}

async fn run(
    tools: &ToolSet,
    call: &ToolCall,
    context: ToolContext,
) -> Result<(ToolValue, Option<Agent>), String> {
    let entry = tools.find(&call.name)?;
    let arguments = entry.arguments(&call.arguments)?;
    let cancelled = context.cancelled.clone();
    // The call itself happens inside, because it may panic before it gives a future.
    let work = AssertUnwindSafe(async { entry.tool.call(arguments, context).await }).catch_unwind();
    let result = tokio::select! {
        biased;
        result = work => result,
        () = async { cancelled.cancelled().await; tokio::time::sleep(CANCEL_GRACE).await } => {
            return Err(format!("`{}` was cancelled", call.name));
        }
    };
    match result {
        Ok(Ok(reply)) => {
            let value = ToolValue {
                output: cut(reply.text),
                reply: !reply.silent,
            };
            Ok((value, reply.handoff))
        }
        Ok(Err(error)) => {
            tracing::warn!(
                tool = call.name,
                error = error.message(),
                detail = error.detail(),
                "a tool failed"
            );
            Err(cut(error.message().to_owned()))
        }
        Err(_) => {
            measure::panicked("tool");
            Err(String::from("An internal error occurred"))
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > OUTPUT_LIMIT {
        truncate(&mut text, OUTPUT_LIMIT);
        text.push_str("\n[the rest of this result was cut off: it is too long]");
    }
    text
}
