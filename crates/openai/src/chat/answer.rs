//! The streamed answer, piece by piece, without I/O: what OpenAI sends and what compatible servers make of it.
//!
//! Words come out at once. Calls come out when the answer has come to its proper end, and are refused when it has not: a model
//! that was cut off may have meant another call, or others beside it, and half of what it meant may be worse than nothing.

use std::sync::Arc;

use antiphon_agent::provider::{ChatChunk, ToolDefinition};
use antiphon_chat::ToolCall;
use antiphon_chat::Usage;
use serde_json::Value;

use super::calls::{Calls, Piece as CallPiece};
use super::failure::{ServerError, server_error};
use super::names::{MAX_NAME_BYTES, is_same_call, known_name, name_for_history};
use super::spoken::{Opening, Piece, Spoken, Written};
use super::wire::{Halves, Part, count, joined, parts, short, told, whole_number};

/// What a model reads as the result of a call that was cut off.
const CUT_OFF: &str = "Your answer was cut off before its end, so this call was not carried out: nothing has happened. If you still want it, call it again, with all arguments.";
/// What a model reads as the result of a call that may have been an example.
const QUOTED: &str = "This call stood among other words, where it may be an example, so it was not carried out: nothing has happened. If you want it carried out, call the tool now, and write nothing else.";
/// What a model reads as the result of a call of an answer that did not come through whole.
const LOST: &str = "A part of your answer was lost on its way, so this call was not carried out: nothing has happened. If you still want it, call it again, with all arguments.";
/// Finish reasons of answers that have come to their proper end, as letters and digits in lower case: OpenAI, Anthropic, Gemini,
/// Cohere, TGI, watsonx, and what they make of each other's. Every other word is a way of being cut off: nobody knows the next
/// server's word for it.
const PROPER_ENDS: [&str; 32] = [
    "stop",
    "stops",
    "stopped",
    "stopsequence",
    "stoptoken",
    "stopstring",
    "stopword",
    "toolcall",
    "toolcalls",
    "tooluse",
    "functioncall",
    "functioncalls",
    "eos",
    "eostoken",
    "eot",
    "eom",
    "endturn",
    "endofturn",
    "endoftext",
    "complete",
    "completed",
    "done",
    "finished",
    "success",
    "end",
    "ended",
    "finish",
    "normal",
    "ok",
    "eostokenid",
    "finishreasonstop",
    "stopreasonstop",
];
/// Where servers write it: OpenAI, those that write in camels, and OpenRouter for the server behind it.
const REASON_FIELDS: [&str; 3] = ["finish_reason", "finishReason", "native_finish_reason"];
/// In a line that cannot be read, these are signs that a piece of an answer was in it.
const SIGNS_OF_DATA: [&str; 5] = ["\"choi", "\"delta", "tool_calls", "arguments", "function"];

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
    /// All words and thoughts as they came, to know them again.
    heard: String,
    /// Words or calls came in pieces, so a whole message repeats them.
    in_pieces: bool,
    /// The first line or field in which a piece of the answer may have been, and could not be read.
    lost: Option<String>,
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
            heard: String::new(),
            in_pieces: false,
            lost: None,
            unread: None,
            unread_lines: 0,
            warnings: Vec::new(),
        }
    }

    /// One event's data, or a whole answer that was not streamed. `[DONE]` completes the answer.
    pub(crate) fn push(&mut self, data: &str, out: &mut Vec<ChatChunk>) -> Result<(), AnswerError> {
        for part in parts(data) {
            match part {
                Part::Done => self.done = true,
                Part::Unread(line) => {
                    self.cannot_read(line);
                    if !is_keepalive(line) {
                        self.lose(line);
                    }
                }
                Part::Json(value) => self.chunk(&value, out)?,
            }
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: &Value, out: &mut Vec<ChatChunk>) -> Result<(), AnswerError> {
        if let Some(error) = server_error(chunk) {
            if self.is_finished() {
                self.warnings.push(format!(
                    "after its answer the server said: {}",
                    error.message
                ));
                return Ok(());
            }
            return Err(AnswerError::Reported(error));
        }
        if let Value::Array(list) = chunk {
            return list.iter().try_for_each(|chunk| self.chunk(chunk, out));
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
        let is_whole = chunk.get("object").and_then(Value::as_str) == Some("chat.completion");
        match chunk.get("choices") {
            Some(Value::Array(choices)) => {
                self.understood = true;
                choices
                    .iter()
                    .try_for_each(|choice| self.choice(choice, is_whole, out))
            }
            Some(choice @ Value::Object(_)) => {
                self.understood = true;
                self.choice(choice, is_whole, out)
            }
            None | Some(Value::Null) if usage.is_some() => Ok(()),
            _ => {
                let text = chunk.to_string();
                self.cannot_read(&text);
                let choices = chunk
                    .get("choices")
                    .is_some_and(|choices| !choices.is_null());
                if choices || SIGNS_OF_DATA.iter().any(|sign| text.contains(sign)) {
                    self.lose(&text);
                }
                Ok(())
            }
        }
    }

    fn cannot_read(&mut self, data: &str) {
        self.unread_lines += 1;
        self.unread.get_or_insert_with(|| told(data));
    }

    fn lose(&mut self, what: &str) {
        self.lost.get_or_insert_with(|| short(what));
    }

    /// `is_whole`: the chunk says that it holds a whole answer.
    fn choice(
        &mut self,
        choice: &Value,
        is_whole: bool,
        out: &mut Vec<ChatChunk>,
    ) -> Result<(), AnswerError> {
        if whole_number(choice.get("index")).unwrap_or(0) != 0 {
            return Ok(());
        }
        if !(choice.is_object() || choice.is_null()) {
            self.lose(&choice.to_string());
        }
        let reasons = REASON_FIELDS.iter().filter_map(|name| choice.get(*name));
        // SGLang's own: `{"type": "stop"}`
        let reasons: Vec<&str> = reasons
            .filter_map(|reason| reason.get("type").unwrap_or(reason).as_str())
            .collect();
        let mut text = String::new();
        let delta = choice.get("delta").filter(|delta| !delta.is_null());
        if let Some(delta) = delta {
            let had_calls = !self.calls.is_empty();
            self.message(delta, &mut text)?;
            // the last piece says everything once more
            let is_last = is_whole || !reasons.is_empty();
            if is_last && is_repetition(&text, &self.heard) {
                text.clear();
            }
            self.in_pieces |= !text.is_empty() || (!self.calls.is_empty() && !had_calls);
        }
        // a server that does not stream sends the whole message, the oldest ones a text
        match choice.get("message") {
            Some(message) if message.is_object() && text.is_empty() => {
                if self.in_pieces {
                    flatten(message.get("content").unwrap_or(&Value::Null), &mut text);
                } else {
                    self.message(message, &mut text)?;
                }
                text = match text.strip_prefix(self.heard.as_str()) {
                    // all that was said so far, and more
                    Some(more) => more.to_owned(),
                    None if self.in_pieces => String::new(),
                    None => text,
                };
            }
            _ => {}
        }
        if let (None, Some(Value::String(older))) = (delta, choice.get("text")) {
            text.push_str(older);
        }
        if !text.is_empty() {
            self.heard.push_str(&text);
            let text = self.halves.join(&text);
            let pieces = self.spoken.push(&text);
            self.give_out(pieces, out);
        }
        for reason in reasons {
            self.ended(reason);
        }
        Ok(())
    }

    /// Words go to `text`, calls to the others.
    fn message(&mut self, message: &Value, text: &mut String) -> Result<(), AnswerError> {
        // some servers send the history along
        let role = message.get("role").and_then(Value::as_str);
        let foreign = ["user", "system", "developer", "tool", "function", "ipython"];
        if role.is_some_and(|role| foreign.contains(&role.to_ascii_lowercase().as_str())) {
            return Ok(());
        }
        if !message.is_object() {
            // some send the words alone
            flatten(message, text);
            if !message.is_string() {
                self.lose(&message.to_string());
            }
            return Ok(());
        }
        let mut thoughts = ["reasoning_content", "reasoning"]
            .iter()
            .filter_map(|name| message.get(*name));
        if thoughts.any(|thought| thought.as_str().is_some_and(|thought| !thought.is_empty())) {
            self.spoken.expect_no_thoughts();
        }
        for name in ["content", "refusal"] {
            flatten(message.get(name).unwrap_or(&Value::Null), text);
        }
        let older = message.get("function_call").filter(|call| call.is_object());
        let calls: Vec<&Value> = match message.get("tool_calls") {
            Some(Value::Array(calls)) => calls.iter().collect(),
            // one call, or each by its number
            Some(call @ Value::Object(object)) => {
                if ["function", "name", "id"]
                    .iter()
                    .any(|key| object.contains_key(*key))
                {
                    vec![call]
                } else {
                    object.values().collect()
                }
            }
            None | Some(Value::Null) => Vec::new(),
            Some(other) => {
                self.lose(&other.to_string());
                Vec::new()
            }
        };
        for call in calls.into_iter().chain(older) {
            if !call.is_object() {
                self.lose(&call.to_string());
                continue;
            }
            self.calls
                .push(CallPiece::read(call))
                .map_err(AnswerError::Malformed)?;
        }
        Ok(())
    }

    /// What the server says about the end.
    fn ended(&mut self, reason: &str) {
        if reason.trim().is_empty() || matches!(self.end, End::Cut(_)) {
            return;
        }
        // `FinishReason.STOP`
        let word = reason.rsplit('.').next().unwrap_or(reason);
        let plain: String = word
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        self.end = if PROPER_ENDS.contains(&plain.as_str()) {
            End::Whole
        } else {
            End::Cut(short(reason))
        };
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
                    self.written.clear();
                    out.push(ChatChunk::Withdrawn);
                }
                Piece::Call(call) => self.written.push(call),
                Piece::Unreadable(text) => self.warnings.push(format!(
                    "the model wrote a tool call that cannot be read; it was left out: {}",
                    short(&text)
                )),
                Piece::LeftOut(words) => tracing::info!(
                    words = short(&words),
                    "the model wrote what is not for the caller; it was left out"
                ),
                Piece::Unclosed { mark, is_spoken } => self.warnings.push(format!(
                    "the model wrote `{}` and did not close it; what follows was {}",
                    short(&mark),
                    if is_spoken { "spoken" } else { "left out" }
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
        let is_whole = match self.end {
            End::Whole => true,
            End::Open => self.done,
            End::Cut(_) => false,
        };
        pieces.extend(self.spoken.finish(is_whole));
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
        if let Some(lost) = &self.lost {
            let fate = if calls.is_empty() {
                "some of its words may be missing"
            } else {
                "so its tool calls were not run"
            };
            self.warnings.push(format!(
                "a piece of the answer could not be read, {fate}: {lost}"
            ));
        }
        for (number, (call, doubt)) in calls.into_iter().enumerate() {
            let doubt = match (why.is_none(), doubt, &self.lost) {
                (true, Some(why), _) => Some(why),
                (false, _, _) => Some(CUT_OFF),
                (true, None, Some(_)) => Some(LOST),
                (true, None, None) => None,
            };
            out.push(self.checked(call, doubt, number));
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

    /// Those that were sent, then those that were written, each once, with what speaks against it as far as can be seen. Servers
    /// send a call again at another place, and leave its text in the words; models repeat themselves.
    fn all_calls(&mut self) -> Vec<(ToolCall, Option<&'static str>)> {
        let sent = self.calls.take().into_iter().map(|call| {
            let call = ToolCall {
                call_id: joined(&call.id),
                name: joined(&call.name),
                arguments: repaired(joined(&call.arguments)),
            };
            (call, None)
        });
        let written = std::mem::take(&mut self.written).into_iter().map(|call| {
            let doubt = match (call.is_complete, call.is_quoted) {
                (_, true) => Some(QUOTED),
                (false, false) => Some(CUT_OFF),
                (true, false) => None,
            };
            let call = ToolCall {
                call_id: String::new(),
                name: call.name,
                arguments: call.arguments,
            };
            (call, doubt)
        });
        let mut all: Vec<(ToolCall, Option<&'static str>)> = Vec::new();
        for (mut call, doubt) in sent.chain(written) {
            if let Some(name) = known_name(&call.name, &self.tools) {
                name.clone_into(&mut call.name);
            }
            match all.iter_mut().find(|(known, _)| is_same_call(known, &call)) {
                // the one that is beyond doubt counts
                Some((_, known)) => *known = known.and(doubt),
                None => all.push((call, doubt)),
            }
        }
        all
    }

    /// A call that may run, or the reason why not.
    fn checked(&self, mut call: ToolCall, doubt: Option<&'static str>, number: usize) -> ChatChunk {
        if call.call_id.is_empty() {
            call.call_id = format!("call_{}", number + 1);
        }
        let offered = |name: &str| self.tools.iter().any(|tool| tool.name == name);
        if !offered(&call.name) {
            let why = self.no_such_tool(&call.name);
            call.name = name_for_history(&call.name);
            return ChatChunk::RefusedCall { call, why };
        }
        match doubt {
            None => ChatChunk::ToolCall(call),
            Some(why) => ChatChunk::RefusedCall {
                call,
                why: why.to_owned(),
            },
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

/// A few plain words carry nothing of an answer: `ping`, `keep-alive`.
fn is_keepalive(line: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | ':' | '-' | '_');
    line.len() <= MAX_NAME_BYTES && line.chars().all(plain)
}

/// All that was said, once more. A single word may be said twice.
fn is_repetition(text: &str, heard: &str) -> bool {
    text == heard && text.trim().contains(char::is_whitespace)
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
