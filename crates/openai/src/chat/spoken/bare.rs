//! Calls of which no mark says that they are calls: JSON of exactly their shape or Python's calls, in a fence or not. They must be
//! of a tool that was offered, or JSON that is nothing but a call. In the middle of a sentence it is an example and stays text;
//! everywhere else it is not spoken, and runs only as the whole answer.

use antiphon_agent::provider::ToolDefinition;

use super::json::{calls_alone, json_value, name_inside, offered};
use super::written::Written;
use super::{MAX_CALL_BYTES, Spoken, python};

/// The language of a fence is a short word.
const MAX_FENCE_WORD_BYTES: usize = 32;

/// Is it a call of which no mark says so?
pub(super) enum Alone {
    /// So many bytes of the text.
    Calls(Vec<Written>, usize),
    /// So many bytes are an example.
    Words(usize),
    Unsure,
    Not,
}

impl Alone {
    fn unless(is_unsure: bool) -> Self {
        if is_unsure { Self::Unsure } else { Self::Not }
    }
}

/// The length of the line that opens a fence; the error says whether more text may make it one.
pub(super) fn fence(text: &str) -> Result<usize, bool> {
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
        Some('{' | '[' | '<') => Ok(text.len() - line.len()),
        Some(_) => Err(false),
    }
}

/// Does the text begin as a call does? `None`: it may, when more comes.
fn looks_like_call(text: &str, tools: &[ToolDefinition]) -> Option<bool> {
    match python::begins_call(text, tools) {
        Some(false) => {}
        other => return other,
    }
    let mut rest = text;
    for bracket in ['[', '{'] {
        rest = rest.trim_start();
        match rest.strip_prefix(bracket) {
            Some(after) => rest = after,
            None if bracket == '[' => {}
            None => return if rest.is_empty() { None } else { Some(false) },
        }
    }
    let key = rest.trim_start().chars().next();
    key.map(|key| matches!(key, '"' | '\''))
}

/// The calls at the beginning of a text and where they end; none: it is something else. `None`: it has no end.
fn whole_call(text: &str, tools: &[ToolDefinition]) -> Option<(Vec<Written>, usize)> {
    if python::begins_call(text, tools) == Some(true) {
        return python::sequence(text, tools);
    }
    // Functionary: a name on a line of its own
    let (name, json) = match named(text, tools) {
        Some((name, at)) => (Some(name), text.get(at..)?),
        None => (None, text),
    };
    let (value, after) = json_value(json)?;
    let calls = match name {
        Some(name) => vec![Written::whole(name, &value)],
        None => calls_alone(&value, tools).unwrap_or_default(),
    };
    Some((calls, text.len() - after.len()))
}

/// `lookup\n{`, with or without `>>>` before it: the name, and where the JSON begins.
fn named<'a>(text: &str, tools: &'a [ToolDefinition]) -> Option<(&'a str, usize)> {
    let start = text.trim_start_matches('>');
    tools.iter().find_map(|tool| {
        let after = start.strip_prefix(tool.name.as_str())?;
        let after = after.trim_start_matches(|c: char| c.is_whitespace() || c == ':');
        let at = text.len() - after.len();
        after.starts_with('{').then_some((tool.name.as_str(), at))
    })
}

/// May more text make it the name of a tool and its arguments?
fn may_be_named(text: &str, tools: &[ToolDefinition]) -> bool {
    let start = text.trim_start_matches('>');
    tools
        .iter()
        .any(|tool| match start.strip_prefix(tool.name.as_str()) {
            Some(after) => after.trim_start_matches([' ', '\r', '\n', ':']).is_empty(),
            None => tool.name.starts_with(start),
        })
}

impl Spoken {
    /// Does what is held begin with such a call? `is_line`: a line begins with it.
    pub(super) fn alone(&self, first: char, is_line: bool) -> Alone {
        if self.tools.is_empty() || self.fenced {
            return Alone::Not;
        }
        let (fence, inside) = match first {
            '`' => match fence(&self.held) {
                Ok(length) => (length, self.held.get(length..).unwrap_or_default()),
                Err(true) if !self.ended => return Alone::Unsure,
                // `lookup(city="Oslo")`
                Err(_) if self.held.starts_with("``") => return Alone::Not,
                Err(_) => (1, self.held.get(1..).unwrap_or_default()),
            },
            '{' | '[' => (0, self.held.as_str()),
            _ if is_line => (0, self.held.as_str()),
            _ => return Alone::Not,
        };
        let space = inside.len() - inside.trim_start().len();
        let inside = inside.trim_start();
        if named(inside, &self.tools).is_none() {
            match looks_like_call(inside, &self.tools) {
                Some(true) => {}
                Some(false) if is_line && may_be_named(inside, &self.tools) && !self.ended => {
                    return Alone::Unsure;
                }
                None if !self.ended => return Alone::Unsure,
                Some(false) | None => return Alone::Not,
            }
        }
        let Some((calls, length)) = whole_call(inside, &self.tools) else {
            return self.unfinished(inside);
        };
        if calls.is_empty() {
            return Alone::Not;
        }
        self.believed(calls, fence, fence + space + length)
    }

    /// Calls that end at this place, unless the sentence in which they stand goes on.
    fn believed(&self, calls: Vec<Written>, fence: usize, end: usize) -> Alone {
        let after = self.held.get(end..).unwrap_or_default();
        let separators = |c: char| c.is_whitespace() || matches!(c, ';' | ',' | ']' | '`' | ')');
        let next = after.trim_start_matches(separators);
        let between = after.get(..after.len() - next.len()).unwrap_or_default();
        let end = end + between.len();
        // what follows on the line on which the block ends
        let line = match (fence < 3, between.rsplit_once("```")) {
            (true, _) => Some(between),
            (false, Some((_, line))) => Some(line),
            (false, None) => None,
        };
        let is_line_over = line.is_some_and(|line| line.contains('\n'));
        let Some(c) = next.chars().next() else {
            // another separator may follow
            return if self.ended {
                Alone::Calls(calls, end)
            } else {
                Alone::Unsure
            };
        };
        let looks = looks_like_call(next, &self.tools);
        if looks.is_none() && !self.ended {
            return Alone::Unsure;
        }
        let is_another = matches!(c, '{' | '[' | '<') || looks == Some(true);
        let begins_sentence = self
            .last
            .is_none_or(|last| matches!(last, '.' | '!' | '?' | ':' | '。' | '\n'));
        let ends_sentence = matches!(c, '.' | '!' | '?') || c.is_uppercase();
        if is_line_over || is_another || (begins_sentence && ends_sentence) {
            Alone::Calls(calls, end)
        } else {
            Alone::Words(end)
        }
    }

    /// It begins as a call does, and has no end yet.
    fn unfinished(&self, inside: &str) -> Alone {
        if !self.ended {
            return Alone::unless(inside.len() <= MAX_CALL_BYTES);
        }
        let name = name_inside(inside)
            .or_else(|| python::name_of(inside, &self.tools))
            .filter(|name| offered(name, &self.tools));
        let Some(name) = name else {
            return Alone::Not;
        };
        let cut = Written::cut(&name, inside);
        // half a call is not read aloud either
        Alone::Calls(vec![cut], self.held.len())
    }
}
