//! A history as JSON in LiveKit's form: `{"items": […]}`, times in seconds since the Unix epoch, durations in seconds. What
//! LiveKit's `ChatContext.to_dict` writes is read here, and the other way round.

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{ChatContext, Item, Message, MessageMetrics, Role, ToolCall, ToolOutput};
use crate::time::{Duration, Instant};

/// A history cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ContextError {
    /// It is no JSON.
    #[error("the history is not JSON: {0}")]
    NotJson(String),
    /// It is another document.
    #[error(
        "the history must be an object with a list `items`, as LiveKit's ChatContext.to_dict() writes it"
    )]
    NoItems,
    /// One item is not understood.
    #[error("item {index} of the history: {problem}")]
    Item {
        /// Counted from 0.
        index: usize,
        /// What is wrong and what was expected.
        problem: String,
    },
}

impl ChatContext {
    /// In LiveKit's form.
    pub fn to_json(&self) -> Value {
        let items: Vec<Value> = self
            .items()
            .iter()
            .map(|item| written(item, self.began()))
            .collect();
        json!({ "items": items })
    }

    /// From LiveKit's form. Pictures are left out; of sound the transcript is read. Times are on the Unix clock.
    ///
    /// # Errors
    /// It is no such document; the message names the item.
    pub fn from_json(document: &Value) -> Result<Self, ContextError> {
        let list = document
            .get("items")
            .and_then(Value::as_array)
            .ok_or(ContextError::NoItems)?;
        let mut items: Vec<Item> = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let before = items.last().map(Item::created_at).unwrap_or_default();
            let item = read(value, index, before)
                .map_err(|problem| ContextError::Item { index, problem })?;
            items.push(item);
        }
        Ok(Self::from_items(items, Duration::ZERO))
    }

    /// From the text of such a document.
    ///
    /// # Errors
    /// It is no such document; the message names the item.
    pub fn from_json_text(text: &str) -> Result<Self, ContextError> {
        let document =
            serde_json::from_str(text).map_err(|error| ContextError::NotJson(error.to_string()))?;
        Self::from_json(&document)
    }
}

fn written(item: &Item, began: Duration) -> Value {
    let mut fields = match item {
        Item::Message(message) => message_fields(message, began),
        Item::FunctionCall { call, .. } => object(json!({
            "type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments,
        })),
        Item::FunctionCallOutput { output, .. } => object(json!({
            "type": "function_call_output", "call_id": output.call_id, "name": output.name,
            "output": output.output, "is_error": output.is_error, "reply_required": output.reply_required,
        })),
        Item::AgentHandoff {
            old_agent_id,
            new_agent_id,
            ..
        } => object(json!({
            "type": "agent_handoff", "old_agent_id": old_agent_id, "new_agent_id": new_agent_id,
        })),
        Item::AgentConfigUpdate {
            instructions,
            tools_added,
            tools_removed,
            ..
        } => object(json!({
            "type": "agent_config_update", "instructions": instructions,
            "tools_added": some(tools_added), "tools_removed": some(tools_removed),
        })),
    };
    fields.insert("id".into(), json!(item.id()));
    fields.insert(
        "created_at".into(),
        json!(item.created_at().unix_seconds(began)),
    );
    fields.retain(|_, value| !value.is_null());
    Value::Object(fields)
}

fn some(names: &[String]) -> Value {
    if names.is_empty() {
        Value::Null
    } else {
        json!(names)
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn message_fields(message: &Message, began: Duration) -> Map<String, Value> {
    object(json!({
        "type": "message",
        "role": message.role,
        "content": [message.text],
        "interrupted": message.interrupted,
        "transcript_confidence": message.transcript_confidence.map(shortest),
        "extra": message.extra,
        "metrics": metrics_json(&message.metrics, began),
    }))
}

/// 0.9, not 0.8999999761581421.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn metrics_json(metrics: &MessageMetrics, began: Duration) -> Value {
    let mut fields = Map::new();
    for (key, at) in [
        ("started_speaking_at", metrics.started_speaking_at),
        ("stopped_speaking_at", metrics.stopped_speaking_at),
    ] {
        if let Some(at) = at {
            fields.insert(key.into(), json!(at.unix_seconds(began)));
        }
    }
    for (key, duration) in durations(metrics) {
        if let Some(duration) = duration {
            fields.insert(key.into(), json!(duration.as_secs_f64()));
        }
    }
    if let Some(tokens) = metrics.llm_node_tps {
        fields.insert("llm_node_tps".into(), json!(tokens));
    }
    Value::Object(fields)
}

fn durations(metrics: &MessageMetrics) -> [(&'static str, Option<Duration>); 8] {
    [
        ("transcription_delay", metrics.transcription_delay),
        ("end_of_turn_delay", metrics.end_of_turn_delay),
        (
            "on_user_turn_completed_delay",
            metrics.on_user_turn_completed_delay,
        ),
        ("llm_node_ttft", metrics.llm_node_ttft),
        ("llm_node_ttfs", metrics.llm_node_ttfs),
        ("tts_node_ttfb", metrics.tts_node_ttfb),
        ("playback_latency", metrics.playback_latency),
        ("e2e_latency", metrics.e2e_latency),
    ]
}

/// An item without a time is as old as the one before it.
fn read(value: &Value, index: usize, before: Instant) -> Result<Item, String> {
    let id = optional(value, "id").unwrap_or_else(|| format!("item_{}", index + 1));
    let created_at = value.get("created_at").and_then(Value::as_f64);
    let created_at = created_at.map_or(before, |at| Instant::from_unix_seconds(at, Duration::ZERO));
    match value.get("type").and_then(Value::as_str) {
        Some("message") => Ok(Item::Message(read_message(value, id, created_at)?)),
        Some("function_call") => Ok(Item::FunctionCall {
            id,
            call: ToolCall {
                call_id: text(value, "call_id")?,
                name: text(value, "name")?,
                arguments: text(value, "arguments")?,
            },
            created_at,
        }),
        Some("function_call_output") => Ok(Item::FunctionCallOutput {
            id,
            output: ToolOutput {
                call_id: text(value, "call_id")?,
                name: optional(value, "name").unwrap_or_default(),
                output: text(value, "output")?,
                is_error: flag(value, "is_error", false),
                reply_required: flag(value, "reply_required", true),
            },
            created_at,
        }),
        Some("agent_handoff") => Ok(Item::AgentHandoff {
            id,
            old_agent_id: optional(value, "old_agent_id"),
            new_agent_id: text(value, "new_agent_id")?,
            created_at,
        }),
        Some("agent_config_update") => Ok(Item::AgentConfigUpdate {
            id,
            instructions: optional(value, "instructions"),
            tools_added: names(value, "tools_added"),
            tools_removed: names(value, "tools_removed"),
            created_at,
        }),
        Some(other) => Err(format!(
            "unknown type {other:?}; expected message, function_call, function_call_output, agent_handoff or agent_config_update"
        )),
        None => Err("has no `type`".into()),
    }
}

fn read_message(value: &Value, id: String, created_at: Instant) -> Result<Message, String> {
    let role = value.get("role").cloned().unwrap_or_default();
    let role: Role = serde_json::from_value(role)
        .map_err(|_| "`role` must be system, developer, user or assistant".to_owned())?;
    let words = value.get("content").map(content).transpose()?;
    let mut message = Message::new(id, role, words.unwrap_or_default(), created_at);
    message.interrupted = flag(value, "interrupted", false);
    message.transcript_confidence = value
        .get("transcript_confidence")
        .and_then(Value::as_f64)
        .map(|confidence| confidence as f32);
    if let Some(Value::Object(extra)) = value.get("extra") {
        message.extra.clone_from(extra);
    }
    message.metrics = value.get("metrics").map(read_metrics).unwrap_or_default();
    Ok(message)
}

fn content(value: &Value) -> Result<String, String> {
    let parts = match value {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(parts) => parts,
        _ => return Err("`content` must be a list of texts".into()),
    };
    let words: Vec<&str> = parts
        .iter()
        .filter_map(|part| {
            part.as_str()
                .or_else(|| part.get("transcript").and_then(Value::as_str))
        })
        .collect();
    Ok(words.join("\n"))
}

fn read_metrics(value: &Value) -> MessageMetrics {
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    let at = |key| number(key).map(|at| Instant::from_unix_seconds(at, Duration::ZERO));
    let duration = |key| number(key).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    MessageMetrics {
        started_speaking_at: at("started_speaking_at"),
        stopped_speaking_at: at("stopped_speaking_at"),
        transcription_delay: duration("transcription_delay"),
        end_of_turn_delay: duration("end_of_turn_delay"),
        on_user_turn_completed_delay: duration("on_user_turn_completed_delay"),
        llm_node_ttft: duration("llm_node_ttft"),
        llm_node_ttfs: duration("llm_node_ttfs"),
        llm_node_tps: number("llm_node_tps"),
        tts_node_ttfb: duration("tts_node_ttfb"),
        playback_latency: duration("playback_latency"),
        e2e_latency: duration("e2e_latency"),
    }
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    optional(value, key).ok_or_else(|| format!("`{key}` must be a text"))
}

fn optional(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn flag(value: &Value, key: &str, otherwise: bool) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(otherwise)
}

fn names(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
