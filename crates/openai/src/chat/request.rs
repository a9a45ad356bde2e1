//! From the dialogue's request to the body of `POST /chat/completions`.

use antiphon_agent::provider::ToolDefinition;
use antiphon_chat::{ChatRequest, ToolChoice};
use serde_json::{Map, Value, json};

use super::messages::{Message, history};
use crate::config::{Dialect, LlmConfig};

/// What strict templates are told in the caller's place when the caller has said nothing yet, or nothing new.
const CALL_BEGINS: &str = "(The call begins.)";
const CALLER_SILENT: &str = "(The caller says nothing.)";

/// The whole body.
pub(crate) fn body(
    config: &LlmConfig,
    request: &ChatRequest,
    tools: &[ToolDefinition],
) -> Map<String, Value> {
    let dialect = config.endpoint.dialect;
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(config.model));
    body.insert(
        "messages".to_owned(),
        Value::Array(messages(request, dialect)),
    );
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    add_tools(&mut body, request, tools, dialect);
    let reasoning = dialect == Dialect::OpenAi && reasons(&config.model);
    if let Some(temperature) = config.options.temperature
        && !reasoning
    {
        body.insert(
            "temperature".to_owned(),
            json!((f64::from(temperature) * 1000.0).round() / 1000.0),
        );
    }
    if let Some(limit) = config.options.max_completion_tokens {
        let name = match dialect {
            Dialect::OpenAi => "max_completion_tokens",
            Dialect::Compatible => "max_tokens",
        };
        body.insert(name.to_owned(), json!(limit));
    }
    if let Some(effort) = effort(config, !tools.is_empty()) {
        body.insert("reasoning_effort".to_owned(), json!(effort));
    }
    if let Some(tier) = &config.service_tier {
        body.insert("service_tier".to_owned(), json!(tier));
    }
    for (name, value) in &config.extra_body {
        body.insert(name.clone(), value.clone());
    }
    body.retain(|name, _| !config.leave_out.contains(name));
    body
}

fn add_tools(
    body: &mut Map<String, Value>,
    request: &ChatRequest,
    tools: &[ToolDefinition],
    dialect: Dialect,
) {
    // Several compatible servers ignore `tool_choice: none`; without tools the model cannot call any.
    if tools.is_empty()
        || (dialect == Dialect::Compatible && request.tool_choice == ToolChoice::None)
    {
        return;
    }
    let list = tools.iter().map(|tool| {
        json!({"type": "function", "function": {
            "name": tool.name, "description": tool.description, "parameters": tool.parameters,
        }})
    });
    body.insert("tools".to_owned(), list.collect());
    let choice = match &request.tool_choice {
        ToolChoice::Auto => return,
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Function(name) => json!({"type": "function", "function": {"name": name}}),
    };
    body.insert("tool_choice".to_owned(), choice);
}

/// Is this one of OpenAI's models that think first (and refuse a temperature)?
fn reasons(model: &str) -> bool {
    let o_series = ["o1", "o3", "o4"]
        .iter()
        .any(|name| model == *name || model.starts_with(&format!("{name}-")));
    o_series
        || (gpt_version(model).is_some_and(|version| version >= (5, 0)) && !model.contains("-chat"))
}

/// `gpt-5.1-mini` → (5, 1).
fn gpt_version(model: &str) -> Option<(u32, u32)> {
    let number = model.strip_prefix("gpt-")?;
    let end = number
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(number.len());
    let (major, minor) = number
        .get(..end)?
        .split_once('.')
        .unwrap_or((number.get(..end)?, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// As little thinking as the model allows, because the caller waits: the first GPT-5 knows `minimal`, all since 5.1 `none`
/// instead; what is made for long thoughts (`-pro`, `-codex`) knows neither.
fn effort(config: &LlmConfig, has_tools: bool) -> Option<String> {
    let openai = config.endpoint.dialect == Dialect::OpenAi;
    let base = without_date(&config.model);
    // These two refuse the parameter together with tools.
    if openai && has_tools && matches!(base, "gpt-5.2" | "gpt-5.4") {
        return None;
    }
    if config.reasoning_effort.is_some() {
        return config.reasoning_effort.clone();
    }
    let thinks_long = ["-pro", "-codex"].iter().any(|kind| base.contains(kind));
    let version = gpt_version(base).filter(|_| openai && reasons(base) && !thinks_long)?;
    Some(if version == (5, 0) { "minimal" } else { "none" }.to_owned())
}

/// `gpt-5.1-2025-11-13` → `gpt-5.1`.
fn without_date(model: &str) -> &str {
    model
        .find("-20")
        .and_then(|at| model.get(..at))
        .unwrap_or(model)
}

/// The messages: valid in every case, whatever stands in the history.
fn messages(request: &ChatRequest, dialect: Dialect) -> Vec<Value> {
    let mut messages = history(&request.items, &request.passages);
    match dialect {
        Dialect::OpenAi => {
            if !request.instructions.trim().is_empty() {
                messages.insert(0, Message::System(request.instructions.to_string()));
            }
            if let Some(extra) = &request.reply_instructions {
                messages.push(Message::System(extra.clone()));
            }
        }
        Dialect::Compatible => messages = for_strict_templates(request, messages),
    }
    messages.into_iter().map(Message::into_chat).collect()
}

/// One system message first; then user and assistant in turn, the user first and last.
fn for_strict_templates(request: &ChatRequest, messages: Vec<Message>) -> Vec<Message> {
    let mut system: Vec<String> = vec![request.instructions.trim().to_owned()];
    let mut rest: Vec<Message> = Vec::with_capacity(messages.len() + 2);
    for message in messages {
        match (message, rest.last_mut()) {
            (Message::System(text), _) => system.push(text),
            (Message::User(text), Some(Message::User(before))) => {
                before.push('\n');
                before.push_str(&text);
            }
            (
                Message::Assistant { text, calls },
                Some(Message::Assistant {
                    text: before,
                    calls: calls_before,
                }),
            ) if calls_before.is_empty() => {
                let both: Vec<String> = before.take().into_iter().chain(text).collect();
                *before = (!both.is_empty()).then(|| both.join(" "));
                *calls_before = calls;
            }
            (message @ Message::Assistant { .. }, None) => {
                rest.extend([Message::User(CALL_BEGINS.to_owned()), message])
            }
            (message, _) => rest.push(message),
        }
    }
    match rest.last() {
        None => rest.push(Message::User(CALL_BEGINS.to_owned())),
        Some(Message::Assistant { .. }) => rest.push(Message::User(CALLER_SILENT.to_owned())),
        Some(_) => {}
    }
    system.extend(
        request
            .reply_instructions
            .as_ref()
            .map(|extra| format!("For your next reply: {extra}")),
    );
    system.retain(|text| !text.is_empty());
    if !system.is_empty() {
        rest.insert(0, Message::System(system.join("\n\n")));
    }
    rest
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
