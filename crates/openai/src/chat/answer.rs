//! The streamed answer, piece by piece, without I/O: what OpenAI sends and what compatible servers make of it.

use antiphon_agent::provider::ChatChunk;
use antiphon_dialogue::chat::ToolCall;
use antiphon_dialogue::input::Usage;
use serde::Deserialize;
use serde_json::Value;

use super::think::ThinkFilter;

/// More calls in one answer are refused; a model that asks for so many runs in a circle.
pub(crate) const MAX_TOOL_CALLS: usize = 64;
/// Longer arguments are refused.
pub(crate) const MAX_ARGUMENT_BYTES: usize = 256 * 1024;

/// An answer that cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) enum AnswerError {
    /// Not the JSON that was expected.
    Malformed(String),
    /// The server reports an error inside the stream, with a status if it says one.
    Reported {
        status: Option<u16>,
        message: String,
    },
    /// The connection ended before the answer did.
    Unfinished,
}

#[derive(Debug, Default)]
struct PartialCall {
    index: Option<i64>,
    id: String,
    name: String,
    arguments: String,
}

/// Collects one answer. All text and whole calls come out as soon as they are certain.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    think: ThinkFilter,
    call: Option<PartialCall>,
    calls_seen: usize,
    usage: Option<Usage>,
    finished: bool,
    done: bool,
}

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<UsageField>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: Option<i64>,
    /// `null` in the first chunk of Azure.
    #[serde(default)]
    delta: Option<Delta>,
    /// A server that does not stream sends the whole message.
    #[serde(default)]
    message: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<Value>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Debug, Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<i64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
}

#[derive(Debug, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    /// A string with JSON; some servers send the object itself.
    #[serde(default)]
    arguments: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct UsageField {
    #[serde(default)]
    prompt_tokens: Option<u32>,
    #[serde(default)]
    completion_tokens: Option<u32>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Debug, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u32>,
}

impl Answer {
    /// One event's data, or a whole answer that was not streamed. `[DONE]` completes the answer.
    pub(crate) fn push(&mut self, data: &str, out: &mut Vec<ChatChunk>) -> Result<(), AnswerError> {
        let data = data.trim();
        if data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.finished = true;
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(data)
            .map_err(|error| AnswerError::Malformed(format!("{error} in `{}`", short(data))))?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(reported(&error));
        }
        if let Some(usage) = chunk.usage {
            // Several servers send a running count with each chunk; the last one holds.
            self.usage = Some(Usage {
                prompt_tokens: usage.prompt_tokens.unwrap_or(0),
                cached_tokens: usage
                    .prompt_tokens_details
                    .and_then(|details| details.cached_tokens)
                    .unwrap_or(0),
                completion_tokens: usage.completion_tokens.unwrap_or(0),
            });
        }
        for choice in chunk.choices.unwrap_or_default() {
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            if let Some(delta) = choice.delta.or(choice.message) {
                self.delta(delta, out)?;
            }
            if choice
                .finish_reason
                .is_some_and(|reason| !reason.is_empty())
            {
                self.finished = true;
                self.complete(out);
            }
        }
        Ok(())
    }

    /// The connection has ended.
    pub(crate) fn finish(mut self, out: &mut Vec<ChatChunk>) -> Result<(), AnswerError> {
        if !self.finished {
            return Err(AnswerError::Unfinished);
        }
        self.complete(out);
        out.extend(self.usage.map(ChatChunk::Usage));
        Ok(())
    }

    /// `[DONE]` or a finish reason has come; only the count of tokens may still follow.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// `[DONE]` has come; nothing follows.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<ChatChunk>) -> Result<(), AnswerError> {
        let mut text = String::new();
        if let Some(content) = &delta.content {
            flatten(content, &mut text);
        }
        text.push_str(delta.refusal.as_deref().unwrap_or_default());
        if !text.is_empty() {
            push_text(self.think.push(&text), out);
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call_delta(call, out)?;
        }
        Ok(())
    }

    fn call_delta(
        &mut self,
        delta: CallDelta,
        out: &mut Vec<ChatChunk>,
    ) -> Result<(), AnswerError> {
        let id = delta.id.unwrap_or_default();
        let (name, arguments) = delta
            .function
            .map_or((None, None), |function| (function.name, function.arguments));
        let name = name.unwrap_or_default();
        let starts_new = match &self.call {
            None => true,
            Some(call) => is_another(call, delta.index, &id, &name),
        };
        if starts_new {
            // Text before a call is spoken before it.
            push_text(self.think.finish(), out);
            self.end_call(out);
            self.calls_seen += 1;
            if self.calls_seen > MAX_TOOL_CALLS {
                return Err(AnswerError::Malformed(format!(
                    "more than {MAX_TOOL_CALLS} tool calls"
                )));
            }
        }
        let call = self.call.get_or_insert_default();
        call.index = call.index.or(delta.index);
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = name;
        }
        match arguments {
            None | Some(Value::Null) => {}
            Some(Value::String(piece)) => call.arguments.push_str(&piece),
            Some(object) => call.arguments.push_str(&object.to_string()),
        }
        if call.arguments.len() > MAX_ARGUMENT_BYTES {
            return Err(AnswerError::Malformed(format!(
                "arguments of `{}` longer than {MAX_ARGUMENT_BYTES} bytes",
                call.name
            )));
        }
        Ok(())
    }

    fn complete(&mut self, out: &mut Vec<ChatChunk>) {
        push_text(self.think.finish(), out);
        self.end_call(out);
    }

    fn end_call(&mut self, out: &mut Vec<ChatChunk>) {
        if let Some(call) = self.call.take() {
            let call_id = if call.id.is_empty() {
                format!("call_{}", self.calls_seen)
            } else {
                call.id
            };
            out.push(ChatChunk::ToolCall(ToolCall {
                call_id,
                name: call.name,
                arguments: repaired(call.arguments),
            }));
        }
    }
}

/// Does this piece begin another call? By its index where there is one; several servers leave the index out (Ollama) or send
/// 0 for all calls (Gemini), so a new id together with a name begins one too.
fn is_another(call: &PartialCall, index: Option<i64>, id: &str, name: &str) -> bool {
    if let (Some(before), Some(now)) = (call.index, index)
        && before != now
    {
        return true;
    }
    if !id.is_empty() && !call.id.is_empty() {
        return id != call.id && !name.is_empty();
    }
    // Neither index nor id: a name after complete arguments.
    index.is_none() && !name.is_empty() && !call.name.is_empty()
}

/// As little as makes JSON of it: nothing becomes `{}`, a string with JSON inside is unpacked. The rest is for the agent to
/// judge.
fn repaired(arguments: String) -> String {
    if arguments.trim().is_empty() {
        return "{}".to_owned();
    }
    match serde_json::from_str::<Value>(&arguments) {
        Ok(Value::String(inner))
            if serde_json::from_str::<Value>(&inner).is_ok_and(|value| value.is_object()) =>
        {
            inner
        }
        Ok(Value::Null) => "{}".to_owned(),
        Ok(_) | Err(_) => arguments,
    }
}

fn push_text(text: String, out: &mut Vec<ChatChunk>) {
    if !text.is_empty() {
        out.push(ChatChunk::Text(text));
    }
}

/// Text, or a list of parts with text in them.
fn flatten(content: &Value, text: &mut String) {
    match content {
        Value::String(piece) => text.push_str(piece),
        Value::Array(parts) => parts.iter().for_each(|part| flatten(part, text)),
        Value::Object(part) => {
            // Mistral's `thinking` parts carry a list under another name, so they are left out by this.
            if let Some(Value::String(piece)) = part.get("text") {
                text.push_str(piece);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn reported(error: &Value) -> AnswerError {
    let message = error
        .get("message")
        .and_then(Value::as_str)
        .or(error.as_str());
    let status = error
        .get("code")
        .and_then(Value::as_u64)
        .or_else(|| error.get("status").and_then(Value::as_u64));
    AnswerError::Reported {
        status: status
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (400..600).contains(status)),
        message: short(&message.map_or_else(|| error.to_string(), str::to_owned)),
    }
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
