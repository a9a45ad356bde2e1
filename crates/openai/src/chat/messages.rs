//! From the items of a history to messages that every provider takes: what an interruption, a lost result or a strange name
//! has left behind is put in order here.

use std::collections::{HashMap, HashSet};

use antiphon_chat::{Item, Passage, Role, ToolCall};
use serde_json::{Value, json};

use super::passages::beside;

/// OpenAI refuses longer ids of calls; ids of other providers may be longer.
pub(crate) const MAX_CALL_ID_BYTES: usize = 40;
/// OpenAI's limit for names of tools.
const MAX_TOOL_NAME_BYTES: usize = 64;

/// A call that has its result.
#[derive(Debug)]
pub(crate) struct Call {
    id: String,
    name: String,
    arguments: String,
}

/// One message on its way to JSON.
#[derive(Debug)]
pub(crate) enum Message {
    System(String),
    User(String),
    Assistant {
        text: Option<String>,
        calls: Vec<Call>,
    },
    Tool {
        call_id: String,
        output: String,
    },
}

/// The items in order; a call together with its result directly after it; calls without result, results without call and
/// empty messages left out.
pub(crate) fn history(items: &[Item], passages: &[Passage]) -> Vec<Message> {
    let outputs: HashMap<&str, &str> = items
        .iter()
        .filter_map(|item| match item {
            Item::FunctionCallOutput { output, .. } => {
                Some((output.call_id.as_str(), output.output.as_str()))
            }
            Item::Message(_)
            | Item::FunctionCall { .. }
            | Item::AgentHandoff { .. }
            | Item::AgentConfigUpdate { .. } => None,
        })
        .collect();
    let newest_user = items
        .iter()
        .rposition(|item| matches!(item, Item::Message(message) if message.role == Role::User));
    let mut messages = Vec::new();
    let mut written = HashSet::new();
    // the answer of the model that the last message belongs to
    let mut answer = None;
    let mut items = items.iter().enumerate().peekable();
    while let Some((position, item)) = items.next() {
        match item {
            Item::Message(message) => {
                let with_passages = Some(position) == newest_user && !passages.is_empty();
                if message.text.trim().is_empty() && !with_passages {
                    continue;
                }
                answer = Some(group_of(&message.id));
                messages.push(match message.role {
                    Role::System | Role::Developer => Message::System(message.text.clone()),
                    Role::User if with_passages => Message::User(beside(&message.text, passages)),
                    Role::User => Message::User(message.text.clone()),
                    Role::Assistant => Message::Assistant {
                        text: Some(message.text.clone()),
                        calls: Vec::new(),
                    },
                });
            }
            Item::FunctionCall { id, call, .. } => {
                let goes_on = answer.take().is_some_and(|answer| answer == group_of(id));
                let mut group = vec![call];
                while let Some((_, Item::FunctionCall { call, .. })) = items.peek() {
                    group.push(call);
                    items.next();
                }
                let group: Vec<(&ToolCall, &str)> = group
                    .into_iter()
                    .filter_map(|call| {
                        outputs
                            .get(call.call_id.as_str())
                            .map(|output| (call, *output))
                    })
                    .filter(|(call, _)| written.insert(call.call_id.as_str()))
                    .collect();
                push_calls(&mut messages, &group, written.len() - group.len(), goes_on);
            }
            Item::FunctionCallOutput { .. }
            | Item::AgentHandoff { .. }
            | Item::AgentConfigUpdate { .. } => {}
        }
    }
    if newest_user.is_none() && !passages.is_empty() {
        messages.push(Message::User(beside("", passages)));
    }
    messages
}

/// `item_5` of `item_5/fnc_1`: what one answer of a model wrote and called has this in common.
fn group_of(id: &str) -> &str {
    id.split_once('/').map_or(id, |(group, _)| group)
}

/// Calls and their results; `goes_on`: the model wrote the words before them in the same answer.
fn push_calls(
    messages: &mut Vec<Message>,
    group: &[(&ToolCall, &str)],
    first_number: usize,
    goes_on: bool,
) {
    if group.is_empty() {
        return;
    }
    let mut made = Vec::new();
    let mut results = Vec::new();
    for (offset, (call, output)) in group.iter().enumerate() {
        let call_id = if call.call_id.is_empty() || call.call_id.len() > MAX_CALL_ID_BYTES {
            format!("antiphon_call_{}", first_number + offset)
        } else {
            call.call_id.clone()
        };
        made.push(Call {
            id: call_id.clone(),
            name: tool_name(&call.name),
            arguments: arguments(&call.arguments).to_owned(),
        });
        results.push(Message::Tool {
            call_id,
            output: (*output).to_owned(),
        });
    }
    match messages.last_mut() {
        Some(Message::Assistant { calls, .. }) if goes_on && calls.is_empty() => *calls = made,
        _ => messages.push(Message::Assistant {
            text: None,
            calls: made,
        }),
    }
    messages.extend(results);
}

/// A model can invent a name that would make every later request fail.
fn tool_name(name: &str) -> String {
    let valid = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(valid).take(MAX_TOOL_NAME_BYTES).collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

/// Templates of open models parse the arguments of earlier calls and fail on anything but an object.
fn arguments(text: &str) -> &str {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => text,
        _ => "{}",
    }
}

impl Message {
    /// For `POST /chat/completions`.
    pub(crate) fn into_chat(self) -> Value {
        match self {
            Self::System(text) => json!({"role": "system", "content": text}),
            Self::User(text) => json!({"role": "user", "content": text}),
            Self::Assistant { text, calls } if calls.is_empty() => {
                json!({"role": "assistant", "content": text})
            }
            Self::Assistant { text, calls } => {
                let calls: Vec<Value> = calls
                    .into_iter()
                    .map(|call| {
                        json!({"id": call.id, "type": "function", "function": {
                            "name": call.name, "arguments": call.arguments,
                        }})
                    })
                    .collect();
                json!({"role": "assistant", "content": text, "tool_calls": calls})
            }
            Self::Tool { call_id, output } => {
                json!({"role": "tool", "tool_call_id": call_id, "content": output})
            }
        }
    }

    /// For `POST /responses`: a flat list in which calls and results are items of their own.
    pub(crate) fn into_responses(self) -> Vec<Value> {
        match self {
            Self::System(text) => vec![json!({"role": "system", "content": text})],
            Self::User(text) => vec![json!({"role": "user", "content": text})],
            Self::Assistant { text, calls } => {
                let words = text.map(|text| json!({"role": "assistant", "content": text}));
                let calls = calls.into_iter().map(|call| {
                    json!({
                        "type": "function_call", "call_id": call.id, "name": call.name,
                        "arguments": call.arguments,
                    })
                });
                words.into_iter().chain(calls).collect()
            }
            Self::Tool { call_id, output } => {
                vec![json!({"type": "function_call_output", "call_id": call_id, "output": output})]
            }
        }
    }
}
