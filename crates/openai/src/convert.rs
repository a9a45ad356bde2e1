//! A history in OpenAI's two forms, for programs that talk to a model themselves. Valid whatever an interruption has left in
//! it: every call has its one result, no result is without its call, and words found in documents are never in the system
//! role.

use antiphon_chat::{Item, Passage};
use serde_json::Value;

use crate::chat::messages::{Message, history};

/// The `messages` of `POST /chat/completions`: calls stand with the words of the same answer, their results directly after
/// them. Passages are quoted in the newest message of the caller.
pub fn chat_messages(items: &[Item], passages: &[Passage]) -> Vec<Value> {
    history(items, passages)
        .into_iter()
        .map(Message::into_chat)
        .collect()
}

/// The `input` of `POST /responses`: a flat list of messages, calls and results. Passages are quoted in the newest message
/// of the caller.
pub fn responses_input(items: &[Item], passages: &[Passage]) -> Vec<Value> {
    history(items, passages)
        .into_iter()
        .flat_map(Message::into_responses)
        .collect()
}
