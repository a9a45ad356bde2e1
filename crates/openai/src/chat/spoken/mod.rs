//! What of a model's text is meant for the caller. Thoughts, foreign turns and special tokens are left out, calls that were
//! written as text are taken out and read, wherever the pieces are cut. Words come out as soon as no mark can begin in them, so
//! an ordinary answer is not held up.
//!
//! Some models' templates open the thoughts themselves, so that only their end is seen. Who has seen that once begins the next
//! answer with [`Opening::Thoughts`]; the first time the words are taken back.

mod bare;
mod notation;
mod python;
mod written;

use std::sync::Arc;

use antiphon_agent::provider::ToolDefinition;

use bare::Alone;
use notation::{HEADER_ENDS, Lexed, MAX_MARK_BYTES, Mark, find, is_first, lex};
pub(crate) use written::Written;
use written::read;

/// A call in text that is longer is none: it is dropped, and the model is told that it was cut off.
const MAX_CALL_BYTES: usize = 64 * 1024;
/// Words that may turn out to be thoughts: more than this are thoughts.
const MAX_UNSURE_BYTES: usize = 256 * 1024;

/// How an answer begins, as far as is known of its model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Opening {
    /// With words for the caller.
    #[default]
    Words,
    /// In the middle of thoughts.
    Thoughts,
}

/// What comes out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// Words for the caller.
    Words(String),
    /// A call.
    Call(Written),
    /// What stands where a call should stand and is none.
    Unreadable(String),
    /// All words so far were thoughts.
    Withdrawn,
}

#[derive(Debug)]
enum State {
    Words,
    /// Nobody knows yet whether these are thoughts. Marks were looked for up to here.
    Unsure {
        looked: usize,
    },
    Thoughts(Vec<String>),
    Call {
        text: String,
        recipient: Option<String>,
        ends: Vec<String>,
    },
    Header,
    /// A turn or channel that is not the caller's.
    Foreign,
}

/// Text in, what is meant for the caller and calls out.
#[derive(Debug)]
pub(crate) struct Spoken {
    tools: Arc<[ToolDefinition]>,
    /// The end of what was heard, when it may be the beginning of a mark.
    held: String,
    state: State,
    /// White space between thoughts and the answer is not spoken.
    trim: bool,
    /// The last letter that was given out since the beginning, or since the words were taken back.
    last: Option<char>,
    after_call: bool,
    expected: Opening,
    heard: bool,
    ended: bool,
    /// Thoughts were opened in this answer.
    opened: bool,
    thoughts_ended_unopened: bool,
    out: Vec<Piece>,
}

impl Spoken {
    /// An answer to a request that offered these tools.
    pub(crate) fn new(tools: Arc<[ToolDefinition]>, opening: Opening) -> Self {
        Self {
            tools,
            held: String::new(),
            state: match opening {
                Opening::Words => State::Words,
                Opening::Thoughts => State::Unsure { looked: 0 },
            },
            trim: true,
            last: None,
            after_call: false,
            expected: opening,
            heard: false,
            ended: false,
            opened: false,
            thoughts_ended_unopened: false,
            out: Vec::new(),
        }
    }

    /// Hear more; what is certain comes back.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        self.heard |= !text.trim().is_empty();
        self.run();
        std::mem::take(&mut self.out)
    }

    /// The server sends the thoughts beside the text: there are none in it.
    pub(crate) fn has_no_thoughts(&mut self) {
        self.heard = true;
        if let State::Unsure { .. } = self.state {
            self.state = State::Words;
        }
    }

    /// The answer is over: what was held back is what it looks like.
    pub(crate) fn finish(&mut self) -> Vec<Piece> {
        self.ended = true;
        self.run();
        if let State::Call {
            text, recipient, ..
        } = std::mem::replace(&mut self.state, State::Words)
        {
            self.calls(&text, recipient.as_deref(), false);
        }
        std::mem::take(&mut self.out)
    }

    /// How the model's next answer will begin.
    pub(crate) fn opening(&self) -> Opening {
        match (self.thoughts_ended_unopened, self.heard) {
            (true, _) => Opening::Thoughts,
            (false, true) => Opening::Words,
            // a call says nothing about how its words would begin
            (false, false) => self.expected,
        }
    }

    fn run(&mut self) {
        while self.step() {}
    }

    /// One mark further; false: more text is needed.
    fn step(&mut self) -> bool {
        match &mut self.state {
            State::Words => self.words(),
            State::Unsure { looked } => {
                let from = *looked;
                self.unsure(from)
            }
            State::Thoughts(ends) => {
                let found = find(&self.held, ends);
                let is_over = found.is_ok();
                self.drop_held(found);
                if is_over {
                    self.begin_words();
                }
                is_over
            }
            State::Call { text, ends, .. } => {
                let found = find(&self.held, ends);
                let taken = match found {
                    Ok((_, end)) => end,
                    Err(_) if self.ended => self.held.len(),
                    Err(unsure) => unsure,
                };
                let rest = self.held.split_off(taken);
                let more = std::mem::replace(&mut self.held, rest);
                let room = MAX_CALL_BYTES.saturating_sub(text.len());
                text.push_str(more.get(..floor(&more, room)).unwrap_or_default());
                let is_over = found.is_ok();
                if is_over
                    && let State::Call {
                        text, recipient, ..
                    } = self.begin_words()
                {
                    self.calls(&text, recipient.as_deref(), text.len() < MAX_CALL_BYTES - 3);
                }
                is_over
            }
            State::Header => self.header(),
            State::Foreign => self.foreign(),
        }
    }

    fn drop_held(&mut self, found: Result<(usize, usize), usize>) {
        let until = match found {
            Ok((_, end)) => end,
            Err(unsure) => unsure,
        };
        self.held.drain(..until);
    }

    fn begin_words(&mut self) -> State {
        self.trim = true;
        std::mem::replace(&mut self.state, State::Words)
    }

    /// Words up to the next mark.
    fn words(&mut self) -> bool {
        let start = self.last.is_none();
        let first = self.held.char_indices().find(|(at, c)| {
            let at_start = start
                && self
                    .held
                    .get(..*at)
                    .is_some_and(|before| before.trim().is_empty());
            is_first(*c, at_start) || matches!(c, '{' | '`')
        });
        let Some((at, c)) = first else {
            let all = std::mem::take(&mut self.held);
            self.say(&all);
            return false;
        };
        let rest = self.held.split_off(at);
        let before = std::mem::replace(&mut self.held, rest);
        self.say(&before);
        let lexed = if matches!(c, '{' | '`') {
            Lexed::Words
        } else {
            lex(&self.held, self.last.is_none())
        };
        match lexed {
            Lexed::Mark(mark, length) => {
                let rest = self.held.split_off(length);
                let text = std::mem::replace(&mut self.held, rest);
                self.mark(mark, text);
                true
            }
            Lexed::Unsure if !self.ended => false,
            // half a mark
            Lexed::Unsure if c == '<' && self.held.len() > 4 => {
                self.held.clear();
                false
            }
            Lexed::Unsure | Lexed::Words => self.bare_call(c),
        }
    }

    /// A call of which no mark says so: JSON or a list of Python's calls, alone or in a fence.
    fn bare_call(&mut self, first: char) -> bool {
        match self.alone(first) {
            Alone::Calls(calls, length) => {
                self.held.drain(..length);
                self.out.extend(calls.into_iter().map(Piece::Call));
                (self.trim, self.after_call) = (true, true);
                true
            }
            Alone::Unsure => false,
            Alone::Not => {
                let length = self.held.chars().next().map_or(0, char::len_utf8);
                let rest = self.held.split_off(length);
                let one = std::mem::replace(&mut self.held, rest);
                self.say(&one);
                true
            }
        }
    }

    fn mark(&mut self, mark: Mark, text: String) {
        match mark {
            Mark::Thoughts(ends) => {
                self.opened = true;
                self.state = State::Thoughts(ends);
            }
            Mark::ThoughtsEnd => {
                self.thoughts_ended_unopened |= !self.opened;
                if self.last.take().is_some() {
                    self.out.retain(|piece| matches!(piece, Piece::Call(_)));
                    self.out.push(Piece::Withdrawn);
                }
                self.trim = true;
            }
            Mark::Calls(ends) => {
                self.state = State::Call {
                    text,
                    recipient: None,
                    ends,
                };
            }
            Mark::Header => self.state = State::Header,
            Mark::TurnEnd | Mark::Noise => {}
        }
    }

    /// Until the end of thoughts nothing is certain; without it all of this was the answer.
    fn unsure(&mut self, from: usize) -> bool {
        let from = floor(&self.held, from);
        let tail = self.held.get(from..).unwrap_or_default();
        let mut unsure = self.held.len();
        let mut found = None;
        for (at, _) in tail.char_indices().filter(|(_, c)| is_first(*c, false)) {
            match lex(tail.get(at..).unwrap_or_default(), false) {
                Lexed::Mark(Mark::ThoughtsEnd, length) => {
                    found = Some((from + at, from + at + length))
                }
                // it opens its thoughts after all
                Lexed::Mark(Mark::Thoughts(_) | Mark::Header, _)
                    if self
                        .held
                        .get(..from + at)
                        .is_some_and(|before| before.trim().is_empty()) =>
                {
                    self.state = State::Words;
                    return true;
                }
                Lexed::Unsure => unsure = unsure.min(from + at),
                Lexed::Mark(..) | Lexed::Words => {}
            }
            if found.is_some() {
                break;
            }
        }
        if let Some((_, end)) = found {
            self.held.drain(..end);
            self.thoughts_ended_unopened = true;
            self.begin_words();
            return true;
        }
        if self.ended {
            self.state = State::Words;
            return true;
        }
        if self.held.len() > MAX_UNSURE_BYTES {
            self.held.drain(..unsure);
            let ends = ["</think>", "</thinking>", "[/think]", "◁/think▷"];
            self.state = State::Thoughts(ends.map(str::to_owned).to_vec());
            return false;
        }
        self.state = State::Unsure { looked: unsure };
        false
    }

    fn header(&mut self) -> bool {
        let ends: Vec<String> = HEADER_ENDS.iter().map(|end| (*end).to_owned()).collect();
        let line = self.held.find('\n').map(|at| (at, at + 1));
        let (found, unsure) = match find(&self.held, &ends) {
            Ok(end) => (line.map_or(Some(end), |line| Some(line.min(end))), 0),
            Err(unsure) => (line, unsure),
        };
        let (words, until) = match found {
            Some((words, until)) if words <= MAX_MARK_BYTES => (words, until),
            None if unsure <= MAX_MARK_BYTES => return false,
            Some(_) | None => {
                let longest = floor(&self.held, MAX_MARK_BYTES);
                (longest, longest)
            }
        };
        let header = notation::folded(self.held.get(..words).unwrap_or_default());
        self.held.drain(..until);
        self.trim = true;
        self.state = self.channel(&header);
        true
    }

    /// Whose words follow a header.
    fn channel(&self, header: &str) -> State {
        let words: Vec<&str> = header
            .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '|'))
            .filter(|word| !word.is_empty())
            .collect();
        let recipient = words.iter().find_map(|word| word.strip_prefix("to="));
        if let Some(recipient) = recipient.map(written::plain_name) {
            // headers are compared in lower case
            let known = self
                .tools
                .iter()
                .find(|tool| tool.name.eq_ignore_ascii_case(recipient));
            let recipient = known.map_or(recipient, |tool| &tool.name).to_owned();
            return State::Call {
                text: String::new(),
                recipient: Some(recipient),
                ends: ["<|call|>", "<|end|>", "<|return|>"]
                    .map(str::to_owned)
                    .to_vec(),
            };
        }
        let has = |any: &[&str]| words.iter().any(|word| any.contains(word));
        let foreign = [
            "user",
            "system",
            "developer",
            "tool",
            "ipython",
            "observation",
            "environment",
        ];
        let inner = [
            "analysis",
            "commentary",
            "thought",
            "thinking",
            "think",
            "reasoning",
        ];
        if !has(&["final"]) && (has(&foreign) || has(&inner)) {
            State::Foreign
        } else {
            State::Words
        }
    }

    /// What is not for the caller lasts until its turn is over or another begins.
    fn foreign(&mut self) -> bool {
        let mut until = self.held.len();
        let mut next = None;
        for (at, _) in self.held.char_indices().filter(|(_, c)| *c == '<') {
            match lex(self.held.get(at..).unwrap_or_default(), false) {
                Lexed::Mark(Mark::Header, length) => {
                    next = Some((at + length, State::Header));
                    break;
                }
                Lexed::Mark(Mark::TurnEnd, length) => {
                    next = Some((at + length, State::Words));
                    break;
                }
                Lexed::Unsure => {
                    until = at;
                    break;
                }
                Lexed::Mark(..) | Lexed::Words => {}
            }
        }
        match next {
            Some((end, state)) => {
                self.held.drain(..end);
                self.trim = true;
                self.state = state;
                true
            }
            None => {
                self.held.drain(..until);
                false
            }
        }
    }

    fn calls(&mut self, text: &str, recipient: Option<&str>, is_closed: bool) {
        let calls = read(text, recipient, is_closed, &self.tools);
        if calls.is_empty() && !text.trim().is_empty() {
            self.out.push(Piece::Unreadable(text.trim().to_owned()));
        }
        self.out.extend(calls.into_iter().map(Piece::Call));
        self.after_call = true;
    }

    fn say(&mut self, text: &str) {
        let text = if self.trim {
            // several calls in a row are parted by these
            text.trim_start_matches(|c: char| {
                c.is_whitespace() || (self.after_call && matches!(c, ';' | ',' | '`' | ']'))
            })
        } else {
            text
        };
        let Some(last) = text.chars().next_back() else {
            return;
        };
        (self.trim, self.after_call) = (false, false);
        let before = self.last.replace(last);
        if last.is_whitespace() && last != '\n' {
            let word = text.trim_end_matches([' ', '\t', '\r']).chars().next_back();
            self.last = word.or(before);
        }
        match self.out.last_mut() {
            Some(Piece::Words(words)) => words.push_str(text),
            _ => self.out.push(Piece::Words(text.to_owned())),
        }
    }
}

/// The last place up to `limit` between two letters.
fn floor(text: &str, limit: usize) -> usize {
    let is_between = |at: &usize| text.is_char_boundary(*at);
    (0..=limit.min(text.len()))
        .rev()
        .find(is_between)
        .unwrap_or(0)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
