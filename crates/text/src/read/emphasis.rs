//! `*`, `_`, `~` and `==`: emphasis, or arithmetic, a key of the telephone, a part of a name.

use std::ops::ControlFlow;

use super::{Reader, Step, find_end, is_wordish, run_length};

/// Emphasis inside emphasis; deeper marks are read as they stand.
const MAX_OPEN: usize = 8;
/// Names in Python that would be emphasis in Markdown.
const DUNDERS: [&str; 24] = [
    "init",
    "main",
    "name",
    "file",
    "doc",
    "dict",
    "class",
    "new",
    "del",
    "str",
    "repr",
    "len",
    "call",
    "iter",
    "next",
    "enter",
    "exit",
    "eq",
    "hash",
    "getitem",
    "setitem",
    "all",
    "version",
    "post_init",
];

impl Reader {
    pub(super) fn emphasis(
        &mut self,
        mark: char,
        rest: &str,
        complete: bool,
        out: &mut String,
    ) -> Step {
        let count = run_length(rest, 0, mark);
        let after = rest.get(count..).unwrap_or_default();
        let Some(next) = after.chars().next().or(complete.then_some(' ')) else {
            return Step::Wait;
        };
        let before = self.before.unwrap_or(' ');
        if (mark, count) == ('~', 2)
            && !next.is_whitespace()
            && let Some(step) = self.struck(after, complete)
        {
            return step;
        }
        let is_mark = match self.means(mark, count, before, next) {
            Some(is_mark) => is_mark,
            None => match self.closes_later(mark, count, after, complete) {
                ControlFlow::Break(closes) => closes,
                ControlFlow::Continue(()) => return Step::Wait,
            },
        };
        if is_mark {
            self.mark(mark, count, before);
        } else {
            for _ in 0..count {
                self.literal(mark, out);
            }
        }
        Step::Took(count)
    }

    /// `~~20 €~~`: struck words are withdrawn, and a voice has no line to put through them.
    fn struck(&mut self, after: &str, complete: bool) -> Option<Step> {
        let is_end = |at| {
            let head = after.get(..at).unwrap_or_default();
            run_length(after, at, '~') == 2 && !head.ends_with(char::is_whitespace)
        };
        match find_end(after, complete, is_end) {
            ControlFlow::Break(end) if end + 2 == after.len() && !complete => Some(Step::Wait),
            ControlFlow::Break(end) => {
                self.leave_out('~');
                Some(Step::Took(2 + end + 2))
            }
            ControlFlow::Continue(true) => Some(Step::Wait),
            ControlFlow::Continue(false) => None,
        }
    }

    /// Is it markup, as far as its neighbours tell? `None`: what follows must tell.
    fn means(&self, mark: char, count: usize, before: char, next: char) -> Option<bool> {
        let is_open = self.open.iter().any(|(open, _)| *open == mark);
        let (after_space, before_space) = (before.is_whitespace(), next.is_whitespace());
        if after_space && before_space {
            return Some(mark == '_' && count > 2);
        }
        let in_word = is_wordish(before) && is_wordish(next);
        if in_word {
            // a*b*c, 2**x, snake_case; only the end of what is bold may stand inside a word
            let has_digit = before.is_ascii_digit() || next.is_ascii_digit();
            return match mark {
                '~' | '=' => is_open.then_some(true).or((mark == '=').then_some(false)),
                _ => Some(mark == '*' && count > 1 && is_open && !has_digit),
            };
        }
        let is_product = (is_wordish(before) || matches!(before, ')' | ']'))
            && (is_wordish(next) || next == '(');
        if mark == '*' && is_product {
            // (a+b)*c, x*(y+1); but the end of **this** (and that) is none
            return Some(is_open && !is_wordish(next));
        }
        if is_open && !after_space && (!is_wordish(next) || mark == '*') {
            return Some(true);
        }
        if before_space
            || matches!(
                next,
                '.' | ',' | ';' | ':' | '!' | '?' | ')' | ']' | '}' | '\u{fe0f}' | '\u{20e3}'
            )
        {
            // nothing is open: the mark of a footnote, or a key
            return Some(mark == '*' && !after_space && (count > 1 || before.is_alphabetic()));
        }
        // what cannot open (CommonMark's left-flanking run) means itself
        if is_wordish(before) && !is_wordish(next) {
            return Some(false);
        }
        if mark == '=' && (count != 2 || !next.is_alphanumeric()) {
            return Some(false);
        }
        let opens_at_once = mark == '*'
            && (next.is_alphabetic() || matches!(next, '"' | '“' | '„' | '«' | '_' | '`' | '['));
        opens_at_once.then_some(true)
    }

    /// Does the same mark come again where it would end the emphasis?
    fn closes_later(
        &self,
        mark: char,
        count: usize,
        after: &str,
        complete: bool,
    ) -> ControlFlow<bool> {
        let in_word = self.before.is_some_and(is_wordish)
            || mark == '=' && after.starts_with(|c: char| c.is_ascii_digit());
        // a word ends, or the same mark opens again: what is looked for is no end of this
        let mut torn = false;
        let end = find_end(after, complete, |at| {
            let (head, tail) = after.split_at_checked(at).unwrap_or((after, ""));
            let opens_again = run_length(after, at, mark) == count
                && head.ends_with(char::is_whitespace)
                && !tail
                    .trim_start_matches(mark)
                    .starts_with(char::is_whitespace);
            torn |= in_word && tail.starts_with(char::is_whitespace) || opens_again;
            if torn {
                return true;
            }
            let Some(beyond) = tail
                .get(count..)
                .filter(|_| run_length(after, at, mark) == count)
            else {
                return false;
            };
            let next = beyond.chars().next();
            !head.ends_with(char::is_whitespace)
                && !head.is_empty()
                && (in_word || !next.is_some_and(is_wordish))
        });
        let name = |end| {
            (mark, count) == ('_', 2)
                && after.get(..end).is_some_and(|name| DUNDERS.contains(&name))
        };
        match end {
            // whether a word goes on behind the last mark is not known yet
            ControlFlow::Break(end) if after.len() <= end + count && !complete => {
                ControlFlow::Continue(())
            }
            ControlFlow::Break(end) => ControlFlow::Break(!torn && !name(end)),
            ControlFlow::Continue(true) => ControlFlow::Continue(()),
            ControlFlow::Continue(false) => ControlFlow::Break(false),
        }
    }

    /// Opens emphasis, or ends what is open.
    fn mark(&mut self, mark: char, count: usize, before: char) {
        let last = self.open.iter().rposition(|(open, _)| *open == mark);
        match last {
            Some(last) if !before.is_whitespace() => {
                let open: usize = self
                    .open
                    .iter()
                    .filter(|(open, _)| *open == mark)
                    .map(|(_, count)| count)
                    .sum();
                if count >= open {
                    self.open.retain(|(open, _)| *open != mark);
                } else if let Some((_, left)) = self.open.get_mut(last) {
                    *left = left.saturating_sub(count);
                    self.open.retain(|(_, left)| *left > 0);
                }
            }
            _ if self.open.len() < MAX_OPEN => self.open.push((mark, count)),
            _ => {}
        }
        // emphasis is no gap: what stood before it still counts
        self.before = Some(if last.is_some() { before } else { mark });
    }
}
