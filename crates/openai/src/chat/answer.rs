//! The streamed answer, piece by piece, without I/O: what OpenAI sends and what compatible servers make of it.
//!
//! Words come out at once. Calls come out when the answer has come to its proper end, and are refused when it has not: a model
//! that was cut off may have meant another call, or others beside it, and half of what it meant may be worse than nothing.

use std::sync::Arc;

use antiphon_agent::provider::{ChatChunk, ToolDefinition};
use antiphon_dialogue::chat::ToolCall;
use antiphon_dialogue::input::Usage;
use serde_json::Value;

use super::calls::{Calls, Piece as CallPiece};
use super::spoken::{Opening, Piece, Spoken, Written};
use super::wire::{Halves, ServerError, count, joined, json, server_error, short, told};

/// The longest name of a tool that providers accept.
const MAX_NAME_BYTES: usize = 64;
/// What a model reads as the result of a call that was cut off.
const CUT_OFF: &str = "Your answer was cut off before its end, so this call was not carried out: nothing has happened. If you still want it, call it again, with all arguments.";
/// Finish reasons that hold one of these mean that the answer has not come to its end.
const CUT_REASONS: [&str; 14] = [
    "length",
    "max_tokens",
    "filter",
    "safety",
    "error",
    "abort",
    "cancel",
    "malformed",
    "recitation",
    "prohibited",
    "blocklist",
    "context_window",
    "insufficient",
    "interrupt",
];

/// An answer that cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) enum AnswerError {
    /// Not what was expected.
    Malformed(String),
    /// The server reports an error inside the stream.
    Reported(ServerError),
    /// The connection ended before the answer began.
    Unfinished,
}

/// How the answer ended, if it has.
#[derive(Debug, Default, PartialEq)]
enum End {
    #[default]
    Open,
    Whole,
    /// The server's word for it.
    Cut(String),
}

/// What is left to say when the stream is over.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ending {
    /// For the log and the event.
    pub(crate) warnings: Vec<String>,
    /// Tokens.
    pub(crate) usage: Option<Usage>,
    /// How the model's next answer will begin.
    pub(crate) opening: Opening,
}

/// Collects one answer.
#[derive(Debug)]
pub(crate) struct Answer {
    tools: Arc<[ToolDefinition]>,
    spoken: Spoken,
    halves: Halves,
    calls: Calls,
    written: Vec<Written>,
    usage: Option<Usage>,
    end: End,
    done: bool,
    /// Something that belongs to an answer was there.
    understood: bool,
    has_words: bool,
    /// The first line that could not be used, and how many there were.
    unread: Option<String>,
    unread_lines: usize,
    warnings: Vec<String>,
}

impl Answer {
    /// The answer to a request that offered these tools.
    pub(crate) fn new(tools: Arc<[ToolDefinition]>, opening: Opening) -> Self {
        Self {
            spoken: Spoken::new(tools.clone(), opening),
            tools,
            halves: Halves::default(),
            calls: Calls::default(),
            written: Vec::new(),
            usage: None,
            end: End::Open,
            done: false,
            understood: false,
            has_words: false,
            unread: None,
            unread_lines: 0,
            warnings: Vec::new(),
        }
    }

    /// One event's data, or a whole answer that was not streamed. `[DONE]` completes the answer.
    pub(crate) fn push(&mut self, data: &str, out: &mut Vec<ChatChunk>) -> Result<(), AnswerError> {
        let data = data.trim();
        if data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let Some(chunk) = json(data) else {
            self.cannot_read(data);
            return Ok(());
        };
        if let Some(error) = server_error(&chunk) {
            if self.is_finished() {
                self.warnings.push(format!(
                    "after its answer the server said: {}",
                    error.message
                ));
                return Ok(());
            }
            return Err(AnswerError::Reported(error));
        }
        let usage = chunk.get("usage").filter(|usage| usage.is_object());
        if let Some(usage) = usage {
            // Several servers send a running count with each chunk; the last one holds.
            let cached = usage.pointer("/prompt_tokens_details/cached_tokens");
            self.usage = Some(Usage {
                prompt_tokens: count(usage.get("prompt_tokens")),
                cached_tokens: count(cached),
                completion_tokens: count(usage.get("completion_tokens")),
            });
        }
        match chunk.get("choices") {
            Some(Value::Array(choices)) => {
                self.understood = true;
                choices
                    .iter()
                    .try_for_each(|choice| self.choice(choice, out))
            }
            Some(choice @ Value::Object(_)) => {
                self.understood = true;
                self.choice(choice, out)
            }
            _ if usage.is_some() => Ok(()),
            _ => {
                self.cannot_read(data);
                Ok(())
            }
        }
    }

    fn cannot_read(&mut self, data: &str) {
        self.unread_lines += 1;
        self.unread.get_or_insert_with(|| told(data));
    }

    fn choice(&mut self, choice: &Value, out: &mut Vec<ChatChunk>) -> Result<(), AnswerError> {
        if choice.get("index").and_then(Value::as_i64).unwrap_or(0) != 0 {
            return Ok(());
        }
        // a server that does not stream sends the whole message, the oldest ones a text
        let message = ["delta", "message"]
            .iter()
            .find_map(|name| choice.get(*name).filter(|value| value.is_object()));
        let mut text = String::new();
        if let Some(message) = message {
            let mut thoughts = ["reasoning_content", "reasoning"]
                .iter()
                .filter_map(|name| message.get(*name));
            if thoughts.any(|thought| thought.as_str().is_some_and(|thought| !thought.is_empty())) {
                self.spoken.has_no_thoughts();
            }
            for name in ["content", "refusal"] {
                flatten(message.get(name).unwrap_or(&Value::Null), &mut text);
            }
            let calls = message.get("tool_calls").and_then(Value::as_array);
            let older = message.get("function_call").filter(|call| call.is_object());
            for call in calls.into_iter().flatten().chain(older) {
                self.calls
                    .push(CallPiece::read(call))
                    .map_err(AnswerError::Malformed)?;
            }
        } else if let Some(Value::String(older)) = choice.get("text") {
            text.push_str(older);
        }
        if !text.is_empty() {
            let text = self.halves.join(&text);
            let pieces = self.spoken.push(&text);
            self.give_out(pieces, out);
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str)
            && !reason.is_empty()
            && !matches!(self.end, End::Cut(_))
        {
            let lower = reason.to_ascii_lowercase();
            let is_cut = CUT_REASONS.iter().any(|cut| lower.contains(cut));
            self.end = if is_cut {
                End::Cut(short(reason))
            } else {
                End::Whole
            };
        }
        Ok(())
    }

    fn give_out(&mut self, pieces: Vec<Piece>, out: &mut Vec<ChatChunk>) {
        for piece in pieces {
            match piece {
                Piece::Words(words) => {
                    self.has_words |= !words.trim().is_empty();
                    out.push(ChatChunk::Text(words));
                }
                Piece::Withdrawn => {
                    self.has_words = false;
                    out.push(ChatChunk::Withdrawn);
                }
                Piece::Call(call) => self.written.push(call),
                Piece::Unreadable(text) => self.warnings.push(format!(
                    "the model wrote a tool call that cannot be read; it was left out: {}",
                    short(&text)
                )),
            }
        }
    }

    /// `[DONE]` or a finish reason has come; only the count of tokens may still follow.
    pub(crate) fn is_finished(&self) -> bool {
        self.done || self.end != End::Open
    }

    /// `[DONE]` has come; nothing follows.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// The stream is over.
    pub(crate) fn finish(mut self, out: &mut Vec<ChatChunk>) -> Result<Ending, AnswerError> {
        if !self.understood
            && let Some(unread) = self.unread.take()
        {
            return Err(AnswerError::Malformed(unread));
        }
        let mut pieces = self.spoken.push(self.halves.finish());
        pieces.extend(self.spoken.finish());
        self.give_out(pieces, out);
        let calls = self.all_calls();
        let why = match std::mem::take(&mut self.end) {
            End::Whole => None,
            End::Open if self.done => None,
            End::Open if self.has_words || !calls.is_empty() => {
                Some("the stream ended without a finish reason".to_owned())
            }
            End::Open => return Err(AnswerError::Unfinished),
            End::Cut(reason) => Some(format!("finish reason `{reason}`")),
        };
        if let Some(why) = &why {
            let fate = if calls.is_empty() {
                ""
            } else {
                "; its tool calls were not run"
            };
            let what = if self.has_words {
                "cut off in the middle"
            } else {
                "cut off"
            };
            self.warnings
                .push(format!("the answer was {what}: {why}{fate}"));
        }
        for (number, (call, is_complete)) in calls.into_iter().enumerate() {
            let is_whole = why.is_none() && is_complete;
            out.push(self.checked(call, is_whole, number));
        }
        if self.unread_lines > 0 {
            tracing::debug!(
                lines = self.unread_lines,
                first = self.unread,
                "lines were left out of an answer"
            );
        }
        Ok(Ending {
            warnings: self.warnings,
            usage: self.usage,
            opening: self.spoken.opening(),
        })
    }

    /// Those that were sent, then those that were written; whether each is complete as far as can be seen.
    fn all_calls(&mut self) -> Vec<(ToolCall, bool)> {
        let sent = self.calls.take().into_iter().map(|call| {
            let call = ToolCall {
                call_id: joined(&call.id),
                name: joined(&call.name),
                arguments: repaired(joined(&call.arguments)),
            };
            (call, true)
        });
        let written = std::mem::take(&mut self.written).into_iter().map(|call| {
            let is_complete = call.is_complete;
            let call = ToolCall {
                call_id: String::new(),
                name: call.name,
                arguments: call.arguments,
            };
            (call, is_complete)
        });
        sent.chain(written).collect()
    }

    /// A call that may run, or the reason why not.
    fn checked(&self, mut call: ToolCall, is_whole: bool, number: usize) -> ChatChunk {
        if call.call_id.is_empty() {
            call.call_id = format!("call_{}", number + 1);
        }
        let offered = |name: &str| self.tools.iter().any(|tool| tool.name == name);
        let plain = call.name.trim().trim_start_matches("functions.");
        if !offered(&call.name) && offered(plain) {
            call.name = plain.to_owned();
        }
        if !offered(&call.name) {
            let why = self.no_such_tool(&call.name);
            call.name = name_for_history(&call.name);
            return ChatChunk::RefusedCall { call, why };
        }
        if is_whole {
            ChatChunk::ToolCall(call)
        } else {
            ChatChunk::RefusedCall {
                call,
                why: CUT_OFF.to_owned(),
            }
        }
    }

    fn no_such_tool(&self, name: &str) -> String {
        let names: Vec<&str> = self.tools.iter().map(|tool| tool.name.as_str()).collect();
        format!(
            "There is no tool `{}`. The tools are: {}",
            short(name),
            names.join(", ")
        )
    }
}

/// Servers refuse a history with other names.
fn name_for_history(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name
        .chars()
        .take(MAX_NAME_BYTES)
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    }
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

/// Text, or a list of parts with text in them.
fn flatten(content: &Value, text: &mut String) {
    match content {
        Value::String(piece) => text.push_str(piece),
        Value::Array(parts) => parts.iter().for_each(|part| flatten(part, text)),
        Value::Object(part) => {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
            // Mistral's `thinking`, others' `reasoning`
            if let Some(Value::String(piece)) = part.get("text")
                && !kind.contains("think")
                && !kind.contains("reason")
            {
                text.push_str(piece);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
