//! Headers of turns and channels, and what is not the caller's.

use super::notation::{self, HEADER_ENDS, Lexed, MAX_MARK_BYTES, Mark, find, lex};
use super::{Kind, Spoken, State, floor};

impl Spoken {
    pub(super) fn header(&mut self) -> bool {
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
    pub(super) fn channel(&self, header: &str) -> State {
        let words: Vec<&str> = header
            .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '|'))
            .filter(|word| !word.is_empty())
            .collect();
        let recipient = words.iter().find_map(|word| word.strip_prefix("to="));
        if let Some(recipient) = recipient.map(super::json::plain_name) {
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
                kind: Kind::Marked,
            };
        }
        let has = |any: &[&str]| words.iter().any(|word| any.contains(word));
        if has(&["tool_calls"]) {
            return State::Call {
                text: String::new(),
                recipient: None,
                ends: ["<|calls|>", "<|end|>"].map(str::to_owned).to_vec(),
                kind: Kind::Marked,
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
    pub(super) fn foreign(&mut self) -> bool {
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
}
