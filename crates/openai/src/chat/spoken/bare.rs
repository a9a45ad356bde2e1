//! Calls of which no mark says that they are calls: JSON of exactly their shape or a list of Python's calls, in a fence or not,
//! where a sentence could begin. They must be of a tool that was offered; everything else of this kind is text.

use antiphon_agent::provider::ToolDefinition;

use super::written::{Written, call_alone, json_value, name_inside, offered};
use super::{MAX_CALL_BYTES, Spoken, python};

/// The language of a fence is a short word.
const MAX_FENCE_WORD_BYTES: usize = 32;

/// Is it a call of which no mark says so?
pub(super) enum Alone {
    /// So many bytes of the text.
    Calls(Vec<Written>, usize),
    Unsure,
    Not,
}

impl Alone {
    fn unless(is_unsure: bool) -> Self {
        if is_unsure { Self::Unsure } else { Self::Not }
    }
}

/// The length of the line that opens a fence; the error says whether more text may make it one.
fn fence(text: &str) -> Result<usize, bool> {
    let Some(after) = text.strip_prefix("```") else {
        return Err("```".starts_with(text));
    };
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let line = after
        .trim_start_matches(is_of_word)
        .trim_start_matches([' ', '\r']);
    match line.chars().next() {
        _ if after.len() - line.len() > MAX_FENCE_WORD_BYTES => Err(false),
        None => Err(true),
        Some('\n') => Ok(text.len() - line.len() + 1),
        Some('{' | '[') => Ok(text.len() - line.len()),
        Some(_) => Err(false),
    }
}

/// Does the text begin as a call does? `None`: it may, when more comes.
fn looks_like_call(text: &str, tools: &[ToolDefinition]) -> Option<bool> {
    let keys = [
        "\"name\"",
        "\"tool_name\"",
        "\"function\"",
        "\"tool\"",
        "\"type\"",
        "\"id\"",
        "\"call_id\"",
        "\"arguments\"",
        "\"parameters\"",
        "\"args\"",
    ];
    let call = text.strip_prefix('[').unwrap_or(text).trim_start();
    let opens = |print: &str, tool: &ToolDefinition| format!("{print}{}(", tool.name);
    let all = || {
        tools
            .iter()
            .flat_map(|tool| ["", "print("].map(|print| opens(print, tool)))
    };
    if all().any(|open| call.starts_with(&open)) {
        return Some(true);
    }
    if call.is_empty() || all().any(|open| open.starts_with(call)) {
        return None;
    }
    let mut rest = text;
    for bracket in ['[', '{'] {
        rest = rest.trim_start();
        match rest.strip_prefix(bracket) {
            Some(after) => rest = after,
            None if bracket == '[' => {}
            None if rest.is_empty() => return None,
            None => return Some(false),
        }
    }
    let rest = rest.trim_start();
    if keys.iter().any(|key| rest.starts_with(key)) {
        return Some(true);
    }
    if keys.iter().any(|key| key.starts_with(rest)) {
        None
    } else {
        Some(false)
    }
}

/// The calls at the beginning of a text and where they end; none: it is something else. `None`: it has no end.
fn whole_call(text: &str, tools: &[ToolDefinition]) -> Option<(Vec<Written>, usize)> {
    if let Some((value, after)) = json_value(text) {
        let list = match value.as_array() {
            Some(list) => list.iter().map(call_alone).collect(),
            None => call_alone(&value).map(|call| vec![call]),
        };
        let calls: Vec<Written> = list.unwrap_or_default();
        let known = calls.iter().any(|call| offered(&call.name, tools));
        return Some((
            if known { calls } else { Vec::new() },
            text.len() - after.len(),
        ));
    }
    if text.starts_with('{') {
        return None;
    }
    let end = match text.strip_prefix('[') {
        Some(_) => text.find(")]")? + 2,
        None => text.find(")\n")? + 2,
    };
    let calls = python::calls(text.get(..end)?, tools);
    let whole = calls.iter().all(|call| call.is_complete);
    whole.then_some((calls, end))
}

impl Spoken {
    /// Does what is held begin with such a call?
    pub(super) fn alone(&self, first: char) -> Alone {
        // within a sentence it is quoted
        let may_begin = self
            .last
            .is_none_or(|last| matches!(last, '.' | '!' | '?' | ':' | '。' | '\n'));
        if self.tools.is_empty() || !may_begin {
            return Alone::Not;
        }
        let (fence, inside) = match first {
            '`' => match fence(&self.held) {
                Ok(length) => (length, self.held.get(length..).unwrap_or_default()),
                Err(is_unsure) => return Alone::unless(is_unsure && !self.ended),
            },
            '{' | '[' => (0, self.held.as_str()),
            _ => return Alone::Not,
        };
        let space = inside.len() - inside.trim_start().len();
        let inside = inside.trim_start();
        match looks_like_call(inside, &self.tools) {
            Some(true) => {}
            None if !self.ended => return Alone::Unsure,
            Some(false) | None => return Alone::Not,
        }
        let Some((calls, length)) = whole_call(inside, &self.tools) else {
            return self.unfinished(inside);
        };
        if calls.is_empty() {
            return Alone::Not;
        }
        let length = fence + space + length;
        if fence == 0 {
            return Alone::Calls(calls, length);
        }
        let after = self.held.get(length..).unwrap_or_default();
        match after.find("```") {
            Some(at)
                if after
                    .get(..at)
                    .is_some_and(|between| between.trim().is_empty()) =>
            {
                Alone::Calls(calls, length + at + 3)
            }
            None if self.ended => Alone::Calls(calls, self.held.len()),
            None if "```".starts_with(after.trim()) => Alone::Unsure,
            Some(_) | None => Alone::Calls(calls, length),
        }
    }

    /// It begins as a call does, and has no end yet.
    fn unfinished(&self, inside: &str) -> Alone {
        if !self.ended {
            return Alone::unless(inside.len() <= MAX_CALL_BYTES);
        }
        let name = name_inside(inside).filter(|name| offered(name, &self.tools));
        let cut = name.map(|name| Written {
            name,
            arguments: inside.to_owned(),
            is_complete: false,
        });
        // half a call is not read aloud either
        Alone::Calls(cut.into_iter().collect(), self.held.len())
    }
}
