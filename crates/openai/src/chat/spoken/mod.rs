//! What of a model's text is meant for the caller. Thoughts, foreign turns and special tokens are left out, calls that were
//! written as text are taken out and read, wherever the pieces are cut. Words come out as soon as no mark can begin in them, so
//! an ordinary answer is not held up.
//!
//! Some models' templates open the thoughts themselves, so that only their end is seen. Who has seen that once begins the next
//! answer with [`Opening::Thoughts`]; the first time the words are taken back.

mod bare;
mod labels;
mod notation;
mod python;
mod words;
mod written;

use std::sync::Arc;

use antiphon_agent::provider::ToolDefinition;

use labels::OBSERVATION;
use notation::{HEADER_ENDS, Lexed, MAX_MARK_BYTES, Mark, STRIPPED_CALL, find, is_first, lex};
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
    /// The way to an answer, from its tag on.
    Aside {
        text: String,
        ends: Vec<String>,
    },
    /// Thoughts after a label, all of them held.
    Labelled,
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
    has_called: bool,
    expected: Opening,
    heard: bool,
    ended: bool,
    /// Thoughts were opened in this answer.
    opened: bool,
    thoughts_ended_unopened: bool,
    /// What was said last ends in white space; white space was left out where there was none.
    spaced: bool,
    owes_space: bool,
    /// Within a fence that is spoken.
    fenced: bool,
    /// What is an answer if nothing else is one.
    aside: String,
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
            has_called: false,
            expected: opening,
            heard: false,
            ended: false,
            opened: false,
            thoughts_ended_unopened: false,
            spaced: true,
            owes_space: false,
            fenced: false,
            aside: String::new(),
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
        match std::mem::replace(&mut self.state, State::Words) {
            State::Call {
                text, recipient, ..
            } => self.calls(&text, recipient.as_deref(), false),
            // it has no end, so it is none
            State::Aside { text, .. } => self.say(&text),
            State::Words
            | State::Unsure { .. }
            | State::Thoughts(_)
            | State::Labelled
            | State::Header
            | State::Foreign => {}
        }
        if self.last.is_none() && !self.has_called {
            let aside = std::mem::take(&mut self.aside);
            self.say(aside.trim());
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
                // a call ends them and begins itself
                let found = found.map(|(at, end)| {
                    let is_call = ends.last().is_some_and(|end| end == STRIPPED_CALL)
                        && end - at == STRIPPED_CALL.len();
                    (at, if is_call { at } else { end })
                });
                self.drop_held(found);
                if is_over {
                    self.begin_words();
                }
                is_over
            }
            State::Aside { text, ends } => {
                let found = find(&self.held, ends);
                let (inside, taken) = match found {
                    Ok(found) => found,
                    Err(_) if self.ended => (self.held.len(), self.held.len()),
                    Err(unsure) => (unsure, unsure),
                };
                text.push_str(self.held.get(..inside).unwrap_or_default());
                self.held.drain(..taken);
                let is_too_long = text.len() > MAX_CALL_BYTES;
                let is_over = found.is_ok() || is_too_long;
                if is_over && let State::Aside { text, .. } = self.begin_words() {
                    if is_too_long {
                        self.say(&text);
                    } else if let Some((_, inside)) = text.split_once('>') {
                        inside.clone_into(&mut self.aside);
                    }
                }
                is_over
            }
            State::Labelled => self.labelled(),
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
                        text,
                        recipient,
                        ends,
                    } = self.begin_words()
                {
                    self.calls(&text, recipient.as_deref(), text.len() < MAX_CALL_BYTES - 3);
                    if ends.iter().any(|end| end == OBSERVATION) {
                        self.state = State::Foreign;
                    }
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

    fn mark(&mut self, mark: Mark, text: String) {
        match mark {
            Mark::Thoughts(ends) => {
                self.opened = true;
                self.state = State::Thoughts(ends);
            }
            Mark::ThoughtsEnd => {
                self.thoughts_ended_unopened |= !self.opened;
                if self.last.take().is_some() {
                    self.out
                        .retain(|piece| matches!(piece, Piece::Call(_) | Piece::Unreadable(_)));
                    self.out.push(Piece::Withdrawn);
                }
                self.trim = true;
            }
            Mark::Aside(ends) => self.state = State::Aside { text, ends },
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
        // its end may say what follows: `<|think|>`
        let said = self.held.get(..until.max(words)).unwrap_or_default();
        let header = notation::folded(said);
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
        if has(&["tool_calls"]) {
            return State::Call {
                text: String::new(),
                recipient: None,
                ends: ["<|calls|>", "<|end|>"].map(str::to_owned).to_vec(),
            };
        }
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
        self.has_called = true;
        self.out.extend(calls.into_iter().map(Piece::Call));
        self.after_call = true;
    }

    fn say(&mut self, text: &str) {
        let whole = text;
        let text = if self.trim {
            // several calls in a row are parted by these
            text.trim_start_matches(|c: char| {
                c.is_whitespace() || (self.after_call && matches!(c, ';' | ',' | '`' | ']'))
            })
        } else {
            text
        };
        let is_within = !self.spaced && self.last.is_some();
        self.owes_space |= is_within && text.len() < whole.len();
        let Some(last) = text.chars().next_back() else {
            return;
        };
        self.spaced = last.is_whitespace();
        if std::mem::take(&mut self.owes_space) {
            self.out.push(Piece::Words(" ".to_owned()));
        }
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
