//! What of a model's text is meant for the caller. Thoughts, foreign turns and special tokens are left out, calls that were
//! written as text are taken out and read, wherever the pieces are cut. Words come out as soon as no mark can begin in them, so
//! an ordinary answer is not held up.
//!
//! Calls come out at the end, because only then it is known what stood around them. A call that a mark announces may run beside
//! words. One without a mark, or one that is quoted, runs only when it is the whole answer: who shows a caller what a call looks
//! like writes the same. Thoughts whose beginning was not seen take the calls before their end with them.
//!
//! Some models' templates open the thoughts themselves, so that only their end is seen. Who has seen that once begins the next
//! answer with [`Opening::Thoughts`]; the first time the words are taken back.

mod arguments;
mod aside;
mod bare;
mod channels;
mod citation;
mod json;
mod labels;
mod lead;
mod notation;
mod python;
mod tags;
mod thoughts;
mod words;
mod written;

use std::sync::Arc;

use antiphon_agent::provider::ToolDefinition;

use super::calls::MAX_TOOL_CALLS;
pub(crate) use json::plain_name;
use labels::OBSERVATION;
use notation::{Mark, find};
pub(crate) use written::Written;
use written::read;

/// A call in text that is longer is none: it is dropped, and the model is told that it was cut off.
const MAX_CALL_BYTES: usize = 64 * 1024;
/// Words that may turn out to be thoughts: more than this are thoughts.
const MAX_UNSURE_BYTES: usize = 256 * 1024;

/// A sentence that is longer names no tool for what follows it.
const MAX_SENTENCE_BYTES: usize = 512;

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
    /// Thoughts that were opened with this and never closed: they are spoken, or left out.
    Unclosed { mark: String, is_spoken: bool },
    /// Words that were not for the caller, though no mark says that they are thoughts.
    LeftOut(String),
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
    Thoughts {
        /// Until one of these; the first is the mark's own.
        ends: Vec<String>,
        /// All of them, their mark first, as long as they may turn out to be words.
        text: Option<String>,
        mark: String,
        /// Others were opened inside, with another tag.
        is_nested: bool,
    },
    /// The way to an answer, from its tag on.
    Aside {
        text: String,
        ends: Vec<String>,
    },
    /// Behind such a tag, whose words may be for the caller.
    BehindAside,
    /// Thoughts after a label, all of them held.
    Labelled,
    Call {
        text: String,
        recipient: Option<String>,
        ends: Vec<String>,
        kind: Kind,
    },
    Header,
    /// A turn or channel that is not the caller's.
    Foreign,
}

/// How much it takes to believe a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A mark says that it is one.
    Marked,
    /// It looks like one: it must be the whole answer.
    Alone,
    /// The same, and words if it is none of a tool that was offered.
    Perhaps,
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
    /// The calls so far, and how much it takes to believe them.
    calls: Vec<(Written, Kind)>,
    /// The last call stands within a sentence if the sentence goes on behind it.
    within: bool,
    expected: Opening,
    heard: bool,
    ended: bool,
    /// The answer came to its proper end.
    is_whole: bool,
    /// It ended while nobody knew whether its words were thoughts.
    cut_in_thoughts: bool,
    /// Thoughts and labels have no end in what is left, so that they are words; and calls among them are doubtful.
    only_words: bool,
    /// Thoughts were opened in this answer.
    opened: bool,
    thoughts_ended_unopened: bool,
    /// What was said last ends in white space; white space was left out where there was none.
    spaced: bool,
    /// The sentence that is being said, as far as it came.
    sentence: String,
    owes_space: bool,
    /// Within a fence that is spoken.
    fenced: bool,
    /// The fence stands behind words, so that marks in it are quoted.
    quoting: bool,
    /// Behind an odd number of backticks on this line.
    ticked: bool,
    /// What is an answer if nothing else is one.
    aside: String,
    /// What may be part of the answer, when it is known what follows.
    pending: String,
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
            calls: Vec::new(),
            within: false,
            expected: opening,
            heard: false,
            ended: false,
            is_whole: false,
            cut_in_thoughts: false,
            only_words: false,
            opened: false,
            thoughts_ended_unopened: false,
            spaced: true,
            sentence: String::new(),
            owes_space: false,
            fenced: false,
            quoting: false,
            ticked: false,
            aside: String::new(),
            pending: String::new(),
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
    pub(crate) fn expect_no_thoughts(&mut self) {
        self.heard = true;
        if let State::Unsure { .. } = self.state {
            self.state = State::Words;
        }
    }

    /// The answer is over: what was held back is what it looks like. `is_whole`: it came to its proper end.
    pub(crate) fn finish(&mut self, is_whole: bool) -> Vec<Piece> {
        (self.ended, self.is_whole) = (true, is_whole);
        while self.run_to_end() {}
        self.held.clear();
        if self.last.is_none() && !self.has_called {
            let aside = std::mem::take(&mut self.aside);
            self.say(aside.trim());
        }
        let has_words = self.last.is_some();
        for (mut call, kind) in std::mem::take(&mut self.calls) {
            call.is_quoted |= has_words && kind != Kind::Marked;
            self.out.push(Piece::Call(call));
        }
        std::mem::take(&mut self.out)
    }

    /// What has no end; true: some of it is read once more.
    fn run_to_end(&mut self) -> bool {
        self.run();
        match std::mem::replace(&mut self.state, State::Words) {
            State::Call {
                text,
                recipient,
                kind,
                ..
            } => {
                self.read_calls(&text, recipient.as_deref(), false, kind);
                !self.held.is_empty()
            }
            State::Thoughts { text, mark, .. } => self.unclosed(text, mark),
            // it has no end, so it is none
            State::Aside { text, .. } => {
                self.say(&text);
                false
            }
            State::Words
            | State::Unsure { .. }
            | State::BehindAside
            | State::Labelled
            | State::Header
            | State::Foreign => false,
        }
    }

    /// How the model's next answer will begin.
    pub(crate) fn opening(&self) -> Opening {
        match (
            self.thoughts_ended_unopened,
            self.heard && !self.cut_in_thoughts,
        ) {
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
            State::Thoughts { .. } => self.thoughts(),
            State::Aside { .. } => self.aside(),
            State::BehindAside => self.behind_aside(),
            State::Labelled => self.labelled(),
            State::Call {
                text, ends, kind, ..
            } => {
                let kind = *kind;
                let found = find(&self.held, ends);
                if let Ok((inside, end)) = found {
                    let rest = self.held.get(end..).unwrap_or_default();
                    let name = format!("{text}{}", self.held.get(..inside).unwrap_or_default());
                    match written::arguments_behind(&name, rest, &self.tools) {
                        Some(close) => {
                            text.push_str(self.held.get(..end).unwrap_or_default());
                            *ends = vec![close];
                            self.held.drain(..end);
                            return true;
                        }
                        None if !self.ended
                            && written::is_name(&name, &self.tools)
                            && written::may_open(rest) =>
                        {
                            return false;
                        }
                        None => {}
                    }
                }
                let taken = match found {
                    Ok((_, end)) => end,
                    Err(_) if self.ended => self.held.len(),
                    Err(unsure) => unsure,
                };
                let rest = self.held.split_off(taken);
                let more = std::mem::replace(&mut self.held, rest);
                let room = MAX_CALL_BYTES.saturating_sub(text.len());
                text.push_str(more.get(..floor(&more, room)).unwrap_or_default());
                let is_too_long = kind == Kind::Perhaps && text.len() >= MAX_CALL_BYTES - 3;
                let is_over = found.is_ok() || is_too_long;
                if is_over
                    && let State::Call {
                        text,
                        recipient,
                        ends,
                        ..
                    } = self.begin_words()
                {
                    let is_closed = text.len() < MAX_CALL_BYTES - 3;
                    self.read_calls(&text, recipient.as_deref(), is_closed, kind);
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

    fn begin_words(&mut self) -> State {
        self.trim = true;
        std::mem::replace(&mut self.state, State::Words)
    }

    /// `is_line`: a line begins with it.
    fn mark(&mut self, mark: Mark, text: String, is_line: bool) {
        match mark {
            Mark::Thoughts(ends) => {
                self.opened = true;
                // a phrase is words before it is a mark
                let may_be_words = !is_line || text.starts_with(char::is_alphabetic);
                self.state = State::Thoughts {
                    ends,
                    text: may_be_words.then(|| text.clone()),
                    mark: text,
                    is_nested: false,
                };
            }
            Mark::ThoughtsEnd => {
                self.thoughts_ended_unopened |= !self.opened;
                self.calls.clear();
                (self.has_called, self.fenced, self.quoting) = (false, false, false);
                if self.last.take().is_some() {
                    self.out.retain(|piece| {
                        matches!(
                            piece,
                            Piece::Unreadable(_) | Piece::LeftOut(_) | Piece::Unclosed { .. }
                        )
                    });
                    self.out.push(Piece::Withdrawn);
                }
                (self.trim, self.after_call, self.ticked) = (true, false, false);
            }
            Mark::Aside(ends) => self.state = State::Aside { text, ends },
            Mark::Calls(ends) => {
                let quote = |last: char| "`\"'“„‘«>".contains(last);
                let is_quoted = self.fenced
                    || text.starts_with('`')
                    || (!self.spaced && self.last.is_some_and(quote));
                // half a tag: `<function=lookup{…}`
                let is_half = text.starts_with('<') && !text.ends_with('>');
                self.state = State::Call {
                    text: match is_half {
                        true => text.replace('(', "=").replace(')', "") + ">",
                        false => text,
                    },
                    recipient: None,
                    ends,
                    kind: if is_quoted { Kind::Alone } else { Kind::Marked },
                };
            }
            Mark::Perhaps(ends) => {
                self.state = State::Call {
                    text,
                    recipient: None,
                    ends,
                    kind: Kind::Perhaps,
                };
            }
            Mark::Header => self.state = State::Header,
            Mark::TurnEnd | Mark::Noise => {}
        }
    }

    fn read_calls(&mut self, text: &str, recipient: Option<&str>, is_closed: bool, kind: Kind) {
        // a call that has no end stands in thoughts that have one
        let ends = ["</think>", "</thinking>", "</thought>", "[/think]"].map(str::to_owned);
        if let Ok((_, end)) = find(text, &ends) {
            self.held.insert_str(0, text.get(end..).unwrap_or_default());
            self.mark(Mark::ThoughtsEnd, String::new(), true);
            return;
        }
        let calls = read(text, recipient, is_closed, &self.tools);
        let is_known = |call: &Written| json::offered(&call.name, &self.tools);
        if kind == Kind::Perhaps && !calls.iter().any(is_known) {
            self.trim = false;
            self.say(text);
            return;
        }
        let (mark, inside) = text.split_at(text.find('>').map_or(0, |end| end + 1));
        let is_tag = mark.starts_with('<') && !mark.contains(['|', '｜']);
        if calls.is_empty()
            && is_tag
            && !is_closed
            && !words::call_like(inside, &self.tools).unwrap_or(true)
        {
            // the tag has no end and nothing like a call in it: words
            self.trim = false;
            self.say(mark);
            self.held.insert_str(0, inside);
            let mark = mark.to_owned();
            self.out.push(Piece::Unclosed {
                mark,
                is_spoken: true,
            });
            return;
        }
        if calls.is_empty() && !text.trim().is_empty() {
            self.out.push(Piece::Unreadable(text.trim().to_owned()));
        }
        self.add_calls(calls, kind);
    }

    fn add_calls(&mut self, calls: Vec<Written>, kind: Kind) {
        let kind = if self.only_words { Kind::Alone } else { kind };
        let room = MAX_TOOL_CALLS.saturating_sub(self.calls.len());
        let calls = calls.into_iter().take(room);
        self.calls.extend(calls.map(|call| (call, kind)));
        self.has_called = true;
        let is_within = |last: char| last.is_alphanumeric() || last == ',';
        self.within = self.last.is_some_and(is_within);
        (self.trim, self.after_call) = (true, true);
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
        if let Some(first) = text.chars().next()
            && std::mem::take(&mut self.within)
        {
            let skipped = whole.len() - text.len();
            let is_same_line = !whole.get(..skipped).unwrap_or_default().contains('\n');
            if is_same_line
                && first.is_lowercase()
                && let Some((_, kind)) = self.calls.last_mut()
            {
                *kind = Kind::Alone;
            }
        }
        for c in text.chars() {
            self.ticked = c != '\n' && (self.ticked != (c == '`'));
        }
        let is_within = !self.spaced && self.last.is_some();
        self.owes_space |= is_within && text.len() < whole.len();
        let Some(last) = text.chars().next_back() else {
            return;
        };
        self.spaced = last.is_whitespace();
        let begins = text.rfind(['.', '!', '?', '\n']).map_or(0, |at| at + 1);
        if begins > 0 || self.sentence.len() > MAX_SENTENCE_BYTES {
            self.sentence.clear();
        }
        self.sentence
            .push_str(text.get(begins..).unwrap_or_default());
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

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod doubt_tests;

#[cfg(test)]
#[path = "lead_tests.rs"]
mod lead_tests;
