//! The promises of the machine. The machine itself looks inside after every step of debug and test
//! builds; [`Observer`] sees only what goes in and out, so it works in property tests and around any driver. It keeps its own
//! books from inputs and actions and believes nothing that the machine says about itself.

mod caller;
mod firm;
mod observer;
mod order;
mod sounds;
mod tools;

use std::collections::BTreeMap;

use thiserror::Error;

pub use observer::Observer;

use antiphon_chat::time::Duration;
use antiphon_chat::{ChatRequest, Item};

/// The bound of the first promise, without what the caller may not interrupt: from any state, this long after the caller fell
/// silent, providers answering, nothing is left over. It is the longest chain of waits with the default timeouts: a tool
/// (30 s), a model (10 s), and a playout that stays away from the longest segment (125 s), and time to speak.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(180);
/// And from there a question is answered within this: endpointing (at most 3 s), a lost transcript (2 s), and the time of
/// providers that answer.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A promise was broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// 1: something is going on and nothing will end it.
    #[error("never mute: {0}")]
    Mute(String),
    /// 2: sound of an interrupted reply.
    #[error("never talk over: {0}")]
    TalksOver(String),
    /// 3: the history holds other words than were heard.
    #[error("history is what was heard: {0}")]
    NotHeard(String),
    /// 4: a call without exactly one result, or a side effect that was repeated.
    #[error("every tool call has one result: {0}")]
    ToolResult(String),
    /// 5: a committed turn that is not in the history.
    #[error("no lost turn: {0}")]
    LostTurn(String),
    /// 6: something grows without limit.
    #[error("bounded: {0}")]
    Unbounded(String),
    /// 7: something that may be interrupted begins or goes on while the VAD hears a voice.
    #[error("never begin over a voice: {0}")]
    BeginsOverVoice(String),
    /// 8: final words of the caller that are in no turn and were not withdrawn.
    #[error("no word disappears: {0}")]
    LostWords(String),
    /// 9: a call without a result although its time is over.
    #[error("every tool call ends in its time: {0}")]
    ToolTime(String),
    /// 10: sound that nobody has stopped and nobody heard.
    #[error("sound that exists is played: {0}")]
    Unplayed(String),
}

/// As the machine cuts what comes from outside.
fn cut(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

fn request_is_valid(request: &ChatRequest) -> Result<(), Violation> {
    calls_are_answered(&request.items, true)
}

/// No output without its call before it, none twice, and if `complete` none missing.
fn calls_are_answered(items: &[Item], complete: bool) -> Result<(), Violation> {
    let mut calls = BTreeMap::new();
    for item in items {
        match item {
            Item::Message(_) | Item::AgentHandoff { .. } | Item::AgentConfigUpdate { .. } => {}
            Item::FunctionCall { call, .. } => {
                if calls.insert(call.call_id.as_str(), 0).is_some() {
                    return Err(Violation::ToolResult(format!(
                        "{} is called twice",
                        call.call_id
                    )));
                }
            }
            Item::FunctionCallOutput { output, .. } => match calls.get_mut(output.call_id.as_str())
            {
                Some(0) => {
                    calls.insert(output.call_id.as_str(), 1);
                }
                Some(_) => {
                    return Err(Violation::ToolResult(format!(
                        "{} has two results",
                        output.call_id
                    )));
                }
                None => {
                    return Err(Violation::ToolResult(format!(
                        "a result for {} without its call",
                        output.call_id
                    )));
                }
            },
        }
    }
    match calls.iter().find(|(_, results)| complete && **results == 0) {
        Some((id, _)) => Err(Violation::ToolResult(format!(
            "{id} has no result in a request"
        ))),
        None => Ok(()),
    }
}
