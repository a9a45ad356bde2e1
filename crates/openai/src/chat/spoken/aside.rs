//! What a model writes before its answer, in tags that say so: plans and steps on the way to it, summaries and notes.
//!
//! A plan is for nobody but the model. A summary may be the answer, or a part of it: it is spoken unless a tag behind it says that
//! the answer is still to come.

use super::notation::{Lexed, Mark, find, folded, is_first, lex};
use super::{MAX_CALL_BYTES, Piece, Spoken, State};

/// What stands in these at the beginning of a line is the way to an answer, if an answer follows: prompts that ask for plans and
/// steps.
const WAYS: [&str; 9] = [
    "plan",
    "plans",
    "planning",
    "step",
    "steps",
    "critique",
    "scratch",
    "brainstorm",
    "internal",
];
/// What stands in these is the way to an answer only if another tag follows: LLaVA-CoT.
const CONTENT: [&str; 4] = ["summary", "caption", "draft", "notes"];

/// Is it the name of such a tag?
pub(super) fn is_aside(name: &str) -> bool {
    WAYS.contains(&name) || CONTENT.contains(&name)
}

impl Spoken {
    /// Up to the end of such a tag.
    pub(super) fn aside(&mut self) -> bool {
        let State::Aside { text, ends } = &mut self.state else {
            return false;
        };
        let found = find(&self.held, ends);
        let (inside, taken) = match found {
            Ok(found) => found,
            Err(_) if self.ended => (self.held.len(), self.held.len()),
            Err(unsure) => (unsure, unsure),
        };
        text.push_str(self.held.get(..inside).unwrap_or_default());
        self.held.drain(..taken);
        let is_too_long = text.len() > MAX_CALL_BYTES;
        if found.is_err() && !is_too_long {
            return false;
        }
        let State::Aside { text, .. } = self.begin_words() else {
            return true;
        };
        let (tag, inside) = text.split_once('>').unwrap_or_default();
        if is_too_long {
            self.say(&text);
        } else if CONTENT.iter().any(|name| folded(tag).contains(name)) {
            self.pending.push_str(inside.trim());
            self.pending.push('\n');
            self.state = State::BehindAside;
        } else {
            self.leave_out(inside);
            inside.clone_into(&mut self.aside);
        }
        true
    }

    /// Whether what stood in the tag is for the caller is said by what follows.
    pub(super) fn behind_aside(&mut self) -> bool {
        let rest = self.held.trim_start();
        let Some(first) = rest.chars().next().or(self.ended.then_some(' ')) else {
            return false;
        };
        let next = match is_first(first, false) {
            true => lex(rest, false),
            false => Lexed::Words,
        };
        let is_over = rest.is_empty();
        let is_close = rest.starts_with("</");
        self.state = State::Words;
        match next {
            Lexed::Unsure if !self.ended => {
                self.state = State::BehindAside;
                return false;
            }
            Lexed::Mark(Mark::Aside(_), _) => {}
            Lexed::Mark(Mark::Thoughts(_) | Mark::Noise, _) if !is_close => {
                self.aside = std::mem::take(&mut self.pending);
                self.leave_out(&self.aside.clone());
            }
            Lexed::Mark(..) | Lexed::Unsure | Lexed::Words => {
                let words = std::mem::take(&mut self.pending);
                self.say(if is_over { words.trim_end() } else { &words });
                self.trim = true;
            }
        }
        true
    }

    /// Words that the caller does not hear: somebody is told.
    pub(super) fn leave_out(&mut self, words: &str) {
        if !words.trim().is_empty() {
            self.out.push(Piece::LeftOut(words.trim().to_owned()));
        }
    }
}
