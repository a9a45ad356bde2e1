//! Calls of which no mark says that they are calls: JSON of exactly their shape, or a tool's name with arguments (`lead`), in a fence or not. They must be
//! of a tool that was offered, or JSON that is nothing but a call. In the middle of a sentence it is an example and stays text;
//! everywhere else it is not spoken, and runs only as the whole answer.

use serde_json::Value;

use super::json::{self, calls_alone, json_value, name_inside, offered};
use super::lead::{self, Miss, Place};
use super::written::Written;
use super::{MAX_CALL_BYTES, Spoken, python};

/// The language of a fence is a short word.
const MAX_FENCE_WORD_BYTES: usize = 32;

/// Is it a call of which no mark says so?
pub(super) enum Alone {
    /// This many bytes of the text.
    Calls(Vec<Written>, usize),
    /// This many bytes say this to the caller.
    Answer(String, usize),
    /// This many bytes are an example.
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

/// Does the text begin as a call in JSON does? `None`: it may, when more comes.
fn looks_like_json(text: &str) -> Option<bool> {
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

impl Spoken {
    /// Does what is held begin with such a call?
    pub(super) fn alone(&self, first: char, place: Place) -> Alone {
        if self.tools.is_empty() || self.fenced {
            return Alone::Not;
        }
        let (fence, inside) = match first {
            '`' => match fence(&self.held) {
                Ok(length) => (length, self.held.get(length..).unwrap_or_default()),
                Err(true) if !self.ended => return Alone::Unsure,
                // on one line
                Err(_) if self.held.starts_with("```") => {
                    (3, self.held.get(3..).unwrap_or_default())
                }
                Err(_) if self.held.starts_with("``") => return Alone::Not,
                Err(_) => (1, self.held.get(1..).unwrap_or_default()),
            },
            _ => (0, self.held.as_str()),
        };
        let place = match first {
            '`' | '[' | '{' => Place::Start,
            _ => place,
        };
        let space = inside.len() - inside.trim_start().len();
        let inside = inside.trim_start();
        match lead::calls(inside, &self.tools, place, self.ended) {
            Ok((calls, length)) => return self.believed(calls, fence, fence + space + length),
            Err(Miss::More) if !self.ended => {
                return Alone::unless(inside.len() <= MAX_CALL_BYTES);
            }
            Err(_) => {}
        }
        let lead = match place {
            Place::Start => lead::json_behind(inside),
            Place::Word if inside.starts_with(['{', '[']) => Ok(0),
            Place::Word => Err(Miss::Not),
        };
        let lead = match lead {
            Ok(lead) => lead,
            Err(Miss::More) if !self.ended => return Alone::Unsure,
            Err(_) => return Alone::Not,
        };
        let json = inside.get(lead..).unwrap_or_default();
        match looks_like_json(json) {
            Some(true) => {}
            None if !self.ended => return Alone::Unsure,
            Some(false) | None => return Alone::Not,
        }
        let Some((value, after)) = json_value(json) else {
            return self.unfinished(json);
        };
        let calls = calls_alone(&value, &self.tools).filter(|calls| !calls.is_empty());
        let end = fence + space + inside.len() - after.len();
        let within = || json::call_within(&value, &self.tools).map(|call| vec![call]);
        if let Some(calls) = calls.or_else(|| self.mentioned(&value)).or_else(within) {
            return self.believed(calls, fence, end);
        }
        let Some(answer) = json::answer_alone(&value).filter(|_| self.last.is_none()) else {
            return Alone::Not;
        };
        // JSON and something else may be anything
        match after
            .trim_matches(|c: char| c.is_whitespace() || c == '`')
            .is_empty()
        {
            true if self.ended => Alone::Answer(answer, self.held.len()),
            true => Alone::Unsure,
            false => Alone::Not,
        }
    }

    /// Arguments of a tool that this sentence has named: "I will use lookup: {…}".
    fn mentioned(&self, value: &Value) -> Option<Vec<Written>> {
        // within other JSON it is a part of that
        let keyed = value.as_object().filter(|keyed| !keyed.is_empty())?;
        if self.sentence.contains(['{', '[']) {
            return None;
        }
        let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let mut words = self.sentence.split(|c| !is_of_name(c));
        let tool = self
            .tools
            .iter()
            .find(|tool| words.any(|word| word == tool.name))?;
        let known = python::parameters(tool);
        let is_fit = keyed.keys().all(|key| known.contains(&key.as_str()));
        is_fit.then(|| vec![Written::whole(&tool.name, value)])
    }

    /// Calls that end at this place, unless the sentence in which they stand goes on.
    fn believed(&self, calls: Vec<Written>, fence: usize, end: usize) -> Alone {
        let after = self.held.get(end..).unwrap_or_default();
        let separators = |c: char| {
            c.is_whitespace()
                || matches!(
                    c,
                    ';' | ',' | ']' | '`' | ')' | '}' | '"' | '\'' | '”' | '’'
                )
        };
        let next = after.trim_start_matches(separators);
        let between = after.get(..after.len() - next.len()).unwrap_or_default();
        let end = end + between.len();
        // what follows on the line on which the block ends
        let line = match (fence < 3, between.rsplit_once("```")) {
            (true, _) => Some(between),
            (false, Some((_, line))) => Some(line),
            (false, None) => None,
        };
        // a full stop behind it ends the line as well
        let rest = next.trim_start_matches(['.', '!', '…', ':', '*']);
        if next.len() > rest.len() && rest.is_empty() && !self.ended {
            return Alone::Unsure;
        }
        let is_stopped = next.len() > rest.len() && (rest.is_empty() || rest.starts_with('\n'));
        let is_line_over = is_stopped || line.is_some_and(|line| line.contains('\n'));
        let end = if is_stopped {
            end + next.len() - rest.len()
        } else {
            end
        };
        let Some(c) = next.chars().next() else {
            // another separator may follow
            return if self.ended {
                Alone::Calls(calls, end)
            } else {
                Alone::Unsure
            };
        };
        let another = lead::calls(next, &self.tools, Place::Start, self.ended);
        if !is_line_over && matches!(another, Err(Miss::More)) && !self.ended {
            return Alone::unless(next.len() <= MAX_CALL_BYTES);
        }
        let is_another = matches!(c, '{' | '[' | '<') || another.is_ok();
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
        let name = name_inside(inside).filter(|name| offered(name, &self.tools));
        let Some(name) = name else {
            return Alone::Not;
        };
        let cut = Written::cut(&name, inside);
        // half a call is not read aloud either
        Alone::Calls(vec![cut], self.held.len())
    }
}
