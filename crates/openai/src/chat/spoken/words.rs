//! Words up to the next mark, label or call.

use antiphon_agent::provider::ToolDefinition;

use super::bare::{self, Alone};
use super::citation;
use super::json::{offered, plain_name};
use super::labels::{Label, OBSERVATION, answer_in, is_own_turn, label};
use super::lead::Place;
use super::notation::{self, Lexed, Mark, is_first, lex};
use super::{Kind, MAX_CALL_BYTES, MAX_UNSURE_BYTES, Spoken, State, tags};

/// Languages of fences around calls: Gemma, and its relatives.
const CALL_FENCES: [&str; 5] = [
    "tool_code",
    "tool_call",
    "tool_calls",
    "function_call",
    "tool",
];

impl Spoken {
    /// Words up to the next mark.
    pub(super) fn words(&mut self) -> bool {
        // behind a mark or a call a line begins, whether its line end was seen or left out
        let mut before = match self.last {
            Some(_) if self.trim => Some('\n'),
            last => last,
        };
        let mut previous = self.last.filter(|_| !self.spaced).unwrap_or(' ');
        let mut word_end = before.unwrap_or('.');
        let mut is_behind_call = self.trim && self.after_call;
        let first = self.held.char_indices().find_map(|(at, c)| {
            let may_cite = match c {
                't' | 'T' => !previous.is_alphanumeric(),
                _ => matches!(c, ':' | '【' | '\u{e200}'..='\u{e2ff}'),
            };
            let is_word = !previous.is_alphanumeric() && (c.is_alphabetic() || c == '_');
            previous = c;
            let is_line = before.is_none_or(|before| before == '\n');
            let is_sentence =
                is_word && matches!(word_end, '.' | '!' | '?' | ':' | '…' | '。' | '！' | '？');
            if !c.is_whitespace() {
                word_end = c;
            }
            let place = if is_line || is_sentence {
                Place::Start
            } else {
                Place::Word
            };
            let may_begin = is_first(c, before.is_none())
                || may_cite
                || matches!(c, '{' | '`')
                || (is_word && (is_sentence || self.may_begin_name(c)))
                || (is_line && !c.is_numeric() && !c.is_whitespace());
            // separators behind a call are left out
            is_behind_call &= c.is_whitespace() || matches!(c, ';' | ',' | '`' | ']');
            if (c == '\n' || !c.is_whitespace()) && !is_behind_call {
                before = before
                    .filter(|_| c == '\n')
                    .map_or((c != '\n').then_some(c), |_| Some(c));
            }
            may_begin.then_some((at, c, is_line, place))
        });
        let Some((at, c, is_line, place)) = first else {
            let all = std::mem::take(&mut self.held);
            self.say(&all);
            return false;
        };
        let rest = self.held.split_off(at);
        let before = std::mem::replace(&mut self.held, rest);
        self.say(&before);
        let lexed = match c {
            '`' => self.fence_mark(),
            // in a fence after words everything is quoted
            _ if self.quoting => Lexed::Words,
            't' | 'T' if self.last.is_some() => citation::citation(&self.held, self.ended),
            ':' | '【' | '\u{e200}'..='\u{e2ff}' => citation::citation(&self.held, self.ended),
            '<' if self.begins_with_tool() == Some(true) => Lexed::Mark(self.tool_mark(), 0),
            '<' if self.begins_with_tool().is_none() => Lexed::Unsure,
            _ if is_first(c, self.last.is_none()) => lex(&self.held, self.last.is_none()),
            _ => Lexed::Words,
        };
        let lexed = match lexed {
            Lexed::Mark(Mark::Thoughts(_), _) if self.only_words => Lexed::Words,
            Lexed::Mark(..) if self.ticked => match self.closing_tick() {
                Some(Some(end)) => return self.say_held(end),
                Some(None) => lexed,
                None => return false,
            },
            Lexed::Mark(Mark::Noise, length) if self.is_word(length) => Lexed::Words,
            Lexed::Mark(Mark::Calls(_), length) => match self.opens_call(length) {
                Some(true) => lexed,
                Some(false) => Lexed::Words,
                None => return false,
            },
            other => other,
        };
        match lexed {
            Lexed::Mark(Mark::Aside(_) | Mark::Perhaps(_), _) if !is_line => {
                self.bare_call(c, place)
            }
            Lexed::Mark(mark, length) => {
                let rest = self.held.split_off(length);
                let text = std::mem::replace(&mut self.held, rest);
                self.mark(mark, text, is_line);
                true
            }
            Lexed::Unsure if !self.ended => false,
            Lexed::Unsure if notation::is_half_mark(&self.held) => {
                self.held.clear();
                false
            }
            Lexed::Unsure | Lexed::Words if is_line => self.line(c),
            Lexed::Unsure | Lexed::Words => self.bare_call(c, place),
        }
    }

    /// Is this opening tag, no special token, a word of the sentence in which it stands?
    fn is_word(&self, length: usize) -> bool {
        let mark = self.held.get(..length).unwrap_or_default();
        let is_within = |last: char| last.is_alphanumeric() || last == ',';
        let is_special =
            mark.contains(['|', '｜']) || matches!(mark, "<s>" | "<bos>" | "<eos>" | "<pad>");
        self.spaced
            && self.last.is_some_and(is_within)
            && mark.starts_with('<')
            && !mark.starts_with("</")
            && !is_special
    }

    /// Within a sentence the tag of a call is a word unless something like a call follows. `None`: more text is needed.
    fn opens_call(&self, length: usize) -> Option<bool> {
        if !self.is_word(length) {
            return Some(true);
        }
        let inside = self.held.get(length..).unwrap_or_default();
        match call_like(inside, &self.tools) {
            // half a call, if nothing follows
            None if self.ended => Some(inside.trim().is_empty()),
            other => other,
        }
    }

    /// Where the backtick stands that ends a quotation on this line, if there is one. `None`: more text is needed.
    fn closing_tick(&self) -> Option<Option<usize>> {
        match self.held.find(['`', '\n']) {
            Some(at)
                if self
                    .held
                    .get(at..)
                    .is_some_and(|rest| rest.starts_with('`')) =>
            {
                Some(Some(at + 1))
            }
            None if !self.ended && self.held.len() <= MAX_CALL_BYTES => None,
            Some(_) | None => Some(None),
        }
    }

    /// A line begins, and no mark with it: perhaps a label.
    fn line(&mut self, first: char) -> bool {
        if self.quoting {
            return self.bare_call(first, Place::Start);
        }
        let is_start = self.last.is_none();
        match label(&self.held, &self.tools, self.ended) {
            Label::Thoughts if is_start && !self.only_words => {
                self.state = State::Labelled;
                true
            }
            Label::Bracket(length, close) if is_start && !self.only_words => {
                let rest = self.held.split_off(length);
                let text = std::mem::replace(&mut self.held, rest);
                self.state = State::Thoughts {
                    ends: vec![close.to_owned()],
                    text: Some(text.clone()),
                    mark: text,
                    is_nested: false,
                };
                true
            }
            Label::Answer(length)
                if is_start
                    && self.held.get(..length).is_some_and(|label| {
                        let label = notation::folded(label);
                        // a heading says so by itself
                        label.contains("final")
                            || label.contains("assistant")
                            || label.starts_with('#')
                    }) =>
            {
                self.held.drain(..length);
                true
            }
            Label::Action(length) => {
                self.held.drain(..length);
                self.state = State::Call {
                    text: String::new(),
                    recipient: None,
                    ends: vec![OBSERVATION.to_owned()],
                    kind: Kind::Alone,
                };
                true
            }
            Label::Turn if !is_start => self.turn(first),
            Label::Unsure => false,
            Label::Thoughts | Label::Bracket(..) | Label::Answer(_) | Label::Turn | Label::No => {
                self.bare_call(first, Place::Start)
            }
        }
    }

    /// `User: …`, and `Assistant: …` on a later line: the model goes on as both.
    fn turn(&mut self, first: char) -> bool {
        let lines = self.held.lines().skip(1);
        if lines.map(notation::folded).any(|line| is_own_turn(&line)) {
            let turn = std::mem::take(&mut self.held);
            self.leave_out(&turn);
            self.state = State::Thoughts {
                ends: Vec::new(),
                text: None,
                mark: String::new(),
                is_nested: false,
            };
            return true;
        }
        if self.ended || self.held.len() > MAX_UNSURE_BYTES {
            return self.bare_call(first, Place::Start);
        }
        false
    }

    /// Labels say what are thoughts and what is the answer, or nothing: thoughts without the label of an answer are the answer.
    pub(super) fn labelled(&mut self) -> bool {
        if let Some((at, _)) = answer_in(&self.held, &self.tools, self.ended) {
            self.held.drain(..at);
            self.begin_words();
            return true;
        }
        if self.ended && self.is_whole {
            self.only_words = true;
            self.state = State::Words;
            return true;
        }
        if self.ended || self.held.len() > MAX_UNSURE_BYTES {
            self.held.clear();
        }
        false
    }

    /// A fence that says what is in it: by its language, or because a mark follows. At the beginning of an answer one backtick
    /// does as well.
    fn fence_mark(&self) -> Lexed {
        if self.fenced {
            return match self.held.as_str() {
                "`" | "``" => Lexed::Unsure,
                _ => Lexed::Words,
            };
        }
        let length = match bare::fence(&self.held) {
            Ok(length) => length,
            Err(true) => return Lexed::Unsure,
            Err(false) if self.last.is_none() && !self.held.starts_with("``") => 1,
            Err(false) => return Lexed::Words,
        };
        let word = self.held.get(3.min(length)..length).unwrap_or_default();
        let word = notation::folded(word.trim());
        if tags::is_thought(&word) || tags::is_result(&word) {
            return Lexed::Mark(Mark::Thoughts(vec!["```".to_owned()]), length);
        }
        if CALL_FENCES.contains(&word.as_str()) {
            return Lexed::Mark(Mark::Calls(vec!["```".to_owned()]), length);
        }
        let inside = self.held.get(length..).unwrap_or_default();
        let mark = inside.trim_start();
        let length = self.held.len() - mark.len();
        match lex(mark, false) {
            _ if mark.is_empty() => Lexed::Unsure,
            Lexed::Mark(Mark::Calls(ends), more) if is_first(first_of(mark), false) => {
                Lexed::Mark(Mark::Calls(ends), length + more)
            }
            Lexed::Unsure if is_first(first_of(mark), false) => Lexed::Unsure,
            Lexed::Mark(..) | Lexed::Unsure | Lexed::Words => Lexed::Words,
        }
    }

    /// `<lookup>`, for a tool of that name. `None`: it may be, when more comes.
    fn begins_with_tool(&self) -> Option<bool> {
        let inside = self.held.get(1..).unwrap_or_default();
        let after = self
            .tools
            .iter()
            .find_map(|tool| inside.strip_prefix(tool.name.as_str()));
        let Some(after) = after else {
            return Some(false);
        };
        let end = after.trim_start_matches(' ');
        if matches!(end, "" | "/") {
            return None;
        }
        // `<lookup city="Oslo"/>`
        let attribute = end.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let may_have_one = end.len() < after.len() && attribute.len() < end.len();
        if may_have_one && attribute.is_empty() {
            return None;
        }
        let has_attribute = may_have_one && attribute.starts_with('=');
        Some(after.starts_with('>') || end.starts_with("/>") || has_attribute)
    }

    fn tool_mark(&self) -> Mark {
        let inside = self.held.get(1..).unwrap_or_default();
        let end = inside.find(['>', '/', ' ']).unwrap_or(inside.len());
        let (name, after) = inside.split_at(end);
        let name = notation::folded(name);
        let mut ends = vec![
            format!("</{name}>"),
            format!("<{name}/>"),
            format!("<{name} />"),
        ];
        if after.starts_with(' ') {
            ends.push("/>".to_owned());
        }
        Mark::Calls(ends)
    }

    /// May the name of a tool begin with this?
    fn may_begin_name(&self, c: char) -> bool {
        // an owner may stand before it: `functions.`, `default_api.`, `tools.`, `api.`
        !self.tools.is_empty()
            && (matches!(c, 'f' | 'd' | 't' | 'a')
                || self
                    .tools
                    .iter()
                    .any(|tool| tool.name.starts_with([c, c.to_ascii_lowercase()])))
    }

    /// A call of which no mark says so: JSON, or a tool's name with arguments, alone or in a fence.
    fn bare_call(&mut self, first: char, place: Place) -> bool {
        match self.alone(first, place) {
            Alone::Calls(calls, length) => {
                self.held.drain(..length);
                self.add_calls(calls, Kind::Alone);
                true
            }
            Alone::Answer(words, length) => {
                self.held.drain(..length);
                self.say(&words);
                true
            }
            Alone::Unsure => false,
            Alone::Words(length) => {
                let example = self.held.get(..length).unwrap_or_default();
                if example.matches("```").count() % 2 == 1 {
                    self.toggle_fence();
                }
                self.say_held(length)
            }
            Alone::Not => {
                if self.held.starts_with("```") {
                    self.toggle_fence();
                    return self.say_held(3);
                }
                self.say_held(self.held.chars().next().map_or(0, char::len_utf8))
            }
        }
    }

    fn toggle_fence(&mut self) {
        self.fenced = !self.fenced;
        self.quoting = self.fenced && self.last.is_some();
    }

    fn say_held(&mut self, length: usize) -> bool {
        let rest = self.held.split_off(length);
        let words = std::mem::replace(&mut self.held, rest);
        self.say(&words);
        true
    }
}

/// Does what stands behind the mark of a call begin as a call does, and not as words do? `None`: more text is needed.
pub(super) fn call_like(inside: &str, tools: &[ToolDefinition]) -> Option<bool> {
    let inside = inside.trim_start();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    let (name, after) = notation::split_while(inside, is_of_name);
    let next = after.chars().next();
    if name.is_empty() {
        return next.map(|next| matches!(next, '{' | '[' | '<' | '(' | '`' | '"' | '\''));
    }
    let next = next?;
    let is_known = offered(plain_name(name), tools);
    Some(
        is_known
            || name.ends_with(':')
            || matches!(next, '{' | '[' | '<' | '(' | '=' | '\n' | '\r'),
    )
}

fn first_of(text: &str) -> char {
    text.chars().next().unwrap_or_default()
}
