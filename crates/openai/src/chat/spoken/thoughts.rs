//! Where thoughts end, and what becomes of those that do not.

use super::notation::{self, Lexed, Mark, STRIPPED_CALL, find, is_first, lex};
use super::{MAX_UNSURE_BYTES, Piece, Spoken, State, floor};

impl Spoken {
    /// Up to the end of thoughts.
    pub(super) fn thoughts(&mut self) -> bool {
        let State::Thoughts {
            ends,
            text,
            is_nested,
            ..
        } = &mut self.state
        else {
            return false;
        };
        let own = ends.first().cloned().unwrap_or_default();
        let opens: Vec<String> = ends
            .iter()
            .skip(1)
            .filter(|end| end.starts_with("</"))
            .map(|end| end.replace("</", "<"))
            .collect();
        let all: Vec<String> = ends.iter().chain(&opens).cloned().collect();
        let found = find(&self.held, &all);
        let (at, end) = found.unwrap_or_else(|unsure| (unsure, unsure));
        let said =
            notation::folded(self.held.get(at..end).unwrap_or_default()).replace([' ', '\n'], "");
        // a call ends them and begins itself
        let until = if said == STRIPPED_CALL.replace(' ', "") {
            at
        } else {
            end
        };
        if let Some(kept) = text {
            kept.push_str(self.held.get(..until).unwrap_or_default());
        }
        if text
            .as_ref()
            .is_some_and(|kept| kept.len() > MAX_UNSURE_BYTES)
        {
            *text = None;
        }
        self.held.drain(..until);
        if found.is_err() {
            return false;
        }
        // with another tag than theirs others may begin and end in them
        if opens.contains(&said) {
            *is_nested = true;
        } else if !(said != own && std::mem::take(is_nested)) {
            self.begin_words();
        }
        true
    }

    /// Thoughts without an end. What stands within a line of words was no mark, if the answer came to its proper end.
    pub(super) fn unclosed(&mut self, text: Option<String>, mark: String) -> bool {
        let rest = std::mem::take(&mut self.held);
        let text = text.filter(|_| self.is_whole);
        let is_spoken = text.is_some();
        if let Some(text) = text {
            self.only_words = true;
            self.say(&mark);
            self.held = text.get(mark.len()..).unwrap_or_default().to_owned() + &rest;
        }
        if !mark.is_empty() {
            self.out.push(Piece::Unclosed { mark, is_spoken });
        }
        is_spoken
    }

    /// Until the end of thoughts nothing is certain; without it all of this was the answer.
    pub(super) fn unsure(&mut self, from: usize) -> bool {
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
            self.only_words = true;
            if !self.is_whole {
                self.held.clear();
                self.cut_in_thoughts = true;
            }
            return true;
        }
        if self.held.len() > MAX_UNSURE_BYTES {
            self.held.drain(..unsure);
            let ends = ["</think>", "</thinking>", "[/think]", "◁/think▷"];
            self.cut_in_thoughts = true;
            self.state = State::Thoughts {
                ends: ends.map(str::to_owned).to_vec(),
                text: None,
                mark: String::new(),
                is_nested: false,
            };
            return false;
        }
        self.state = State::Unsure { looked: unsure };
        false
    }
}
