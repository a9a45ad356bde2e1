//! Words up to the next mark, label or call.

use super::bare::{self, Alone};
use super::labels::{Label, OBSERVATION, answer_in, label};
use super::notation::{self, Lexed, Mark, is_first, lex};
use super::{MAX_UNSURE_BYTES, Piece, Spoken, State};

impl Spoken {
    /// Words up to the next mark.
    pub(super) fn words(&mut self) -> bool {
        // behind a mark or a call a line begins, whether its line end was seen or left out
        let mut before = match self.last {
            Some(_) if self.trim => Some('\n'),
            last => last,
        };
        let first = self.held.char_indices().find_map(|(at, c)| {
            let is_line = before.is_none_or(|before| before == '\n');
            let may_begin = is_first(c, before.is_none())
                || matches!(c, '{' | '`')
                || (is_line && (c.is_alphabetic() || matches!(c, '*' | '#' | '_' | '(' | '>')));
            if c == '\n' || !c.is_whitespace() {
                before = before
                    .filter(|_| c == '\n')
                    .map_or((c != '\n').then_some(c), |_| Some(c));
            }
            may_begin.then_some((at, c, is_line))
        });
        let Some((at, c, is_line)) = first else {
            let all = std::mem::take(&mut self.held);
            self.say(&all);
            return false;
        };
        let rest = self.held.split_off(at);
        let before = std::mem::replace(&mut self.held, rest);
        self.say(&before);
        let lexed = match c {
            '`' => self.thought_fence(),
            '<' if self.begins_with_tool() == Some(true) => Lexed::Mark(self.tool_mark(), 0),
            '<' if self.begins_with_tool().is_none() => Lexed::Unsure,
            _ if is_first(c, self.last.is_none()) => lex(&self.held, self.last.is_none()),
            _ => Lexed::Words,
        };
        match lexed {
            Lexed::Mark(Mark::Aside(_), _) if !is_line => self.bare_call(c, false),
            Lexed::Mark(mark, length) => {
                let rest = self.held.split_off(length);
                let text = std::mem::replace(&mut self.held, rest);
                self.mark(mark, text);
                true
            }
            Lexed::Unsure if !self.ended => false,
            Lexed::Unsure if notation::is_half_mark(&self.held) => {
                self.held.clear();
                false
            }
            Lexed::Unsure | Lexed::Words if is_line => self.line(c),
            Lexed::Unsure | Lexed::Words => self.bare_call(c, false),
        }
    }

    /// A line begins, and no mark with it: perhaps a label.
    fn line(&mut self, first: char) -> bool {
        let is_start = self.last.is_none();
        match label(&self.held, &self.tools, self.ended) {
            Label::Thoughts(length) if is_start => {
                self.held.drain(..length);
                self.state = State::Labelled;
                true
            }
            Label::Bracket(length, close) if is_start => {
                self.held.drain(..length);
                self.state = State::Thoughts(vec![close.to_owned()]);
                true
            }
            Label::Answer(length)
                if is_start
                    && self
                        .held
                        .get(..length)
                        .is_some_and(|label| notation::folded(label).contains("final")) =>
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
                };
                true
            }
            Label::Unsure => false,
            Label::Thoughts(_) | Label::Bracket(..) | Label::Answer(_) | Label::No => {
                self.bare_call(first, true)
            }
        }
    }

    pub(super) fn labelled(&mut self) -> bool {
        if let Some((at, _)) = answer_in(&self.held, &self.tools, self.ended) {
            self.held.drain(..at);
            self.begin_words();
            return true;
        }
        if self.ended || self.held.len() > MAX_UNSURE_BYTES {
            self.held.clear();
        }
        false
    }

    /// A fence whose language says that thoughts are in it.
    fn thought_fence(&self) -> Lexed {
        match bare::fence(&self.held) {
            Ok(length) => {
                let word = self.held.get(3..length).unwrap_or_default().trim();
                if notation::is_thought(&notation::folded(word)) {
                    Lexed::Mark(Mark::Thoughts(vec!["```".to_owned()]), length)
                } else {
                    Lexed::Words
                }
            }
            Err(true) => Lexed::Unsure,
            Err(false) => Lexed::Words,
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
        Some(after.starts_with('>') || end.starts_with("/>"))
    }

    fn tool_mark(&self) -> Mark {
        let inside = self.held.get(1..).unwrap_or_default();
        let name = inside
            .find(['>', '/', ' '])
            .and_then(|end| inside.get(..end))
            .unwrap_or_default();
        let name = notation::folded(name);
        Mark::Calls(vec![
            format!("</{name}>"),
            format!("<{name}/>"),
            format!("<{name} />"),
        ])
    }

    /// A call of which no mark says so: JSON or Python's calls, alone or in a fence.
    fn bare_call(&mut self, first: char, is_line: bool) -> bool {
        match self.alone(first, is_line) {
            Alone::Calls(calls, length) => {
                self.held.drain(..length);
                self.has_called = true;
                self.out.extend(calls.into_iter().map(Piece::Call));
                (self.trim, self.after_call) = (true, true);
                true
            }
            Alone::Unsure => false,
            Alone::Words(length) => {
                let example = self.held.get(..length).unwrap_or_default();
                self.fenced ^= example.matches("```").count() % 2 == 1;
                self.say_held(length)
            }
            Alone::Not => {
                if self.held.starts_with("```") {
                    self.fenced = !self.fenced;
                    return self.say_held(3);
                }
                self.say_held(self.held.chars().next().map_or(0, char::len_utf8))
            }
        }
    }

    fn say_held(&mut self, length: usize) -> bool {
        let rest = self.held.split_off(length);
        let words = std::mem::replace(&mut self.held, rest);
        self.say(&words);
        true
    }
}
