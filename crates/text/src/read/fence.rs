//! Blocks of code between fences. Their marks are never read, and no words near them are lost: a run of as many marks closes a
//! block wherever it stands, and what is no language's name is words.

use super::line::{Gap, Kind, Line};
use super::{Reader, Step};

/// Marks of a fence.
const MIN_MARKS: usize = 3;
/// Languages that models name behind a fence. Where a line begins, another name in small letters is one too.
const LANGUAGES: &str = " bash sh shell zsh console terminal powershell cmd bat python py python3 tool_code javascript js jsx \
    typescript ts tsx json json5 jsonl yaml yml toml ini xml html css scss svg sql c cpp c++ c# cs csharp h java kotlin go golang \
    rust rs ruby rb php perl lua r swift dart scala haskell txt plaintext markdown md latex tex diff csv http graphql \
    dockerfile makefile mermaid regex ";

impl Reader {
    /// A fence, or a line inside a block. `None`: it is neither.
    pub(super) fn fenced(&mut self, line: &Line<'_>, out: &mut String) -> Option<Step> {
        if let Some((mark, count)) = self.fence {
            return Some(self.inside_fence(mark, count, line, out));
        }
        let mark = line.text.chars().next();
        let mark = mark.filter(|c| matches!(c, '`' | '~'))?;
        let words = line.text.trim_start_matches(mark);
        let count = line.text.len() - words.len();
        if words.is_empty() && !line.ended {
            return Some(Step::Wait);
        }
        // three marks around words on one line are a span of code
        if count < MIN_MARKS || words.contains(mark) {
            return None;
        }
        if !line.ended {
            return Some(Step::Wait);
        }
        if !is_name(words, true) {
            self.loose_fence = true;
            return (mark == '~').then(|| self.begin(Kind::Prose, line.indent + count, out));
        }
        self.end_table(out);
        // the end of one that began with words
        if !(std::mem::take(&mut self.loose_fence) && words.is_empty()) {
            self.fence = Some((mark, count));
        }
        self.kind = Kind::Block;
        self.end_line(Gap::Block);
        Some(Step::Took(line.whole))
    }

    fn inside_fence(
        &mut self,
        mark: char,
        count: usize,
        line: &Line<'_>,
        out: &mut String,
    ) -> Step {
        let text = line.text;
        let (code, after) = match end_of_block(text, mark, count) {
            // the name of a language may follow, and then a block begins
            Some((_, after)) if !line.ended && after.split_whitespace().nth(1).is_none() => {
                return Step::Wait;
            }
            None if !line.ended => return Step::Wait,
            Some((code, after)) => (code, Some(after)),
            None => (text, None),
        };
        for c in code.chars() {
            self.literal(c, out);
        }
        let Some(after) = after else {
            self.end_line(Gap::Line);
            return Step::Took(line.whole);
        };
        self.fence = None;
        self.end_line(Gap::Block);
        if after.trim().is_empty() {
            Step::Took(line.whole)
        } else if code.is_empty() && is_name(after, false) {
            Step::Took(0)
        } else {
            Step::Took(line.indent + text.len() - after.len())
        }
    }

    /// Marks inside a line which no others close there: a block begins, or they are left out.
    pub(super) fn open_marks(&mut self, marks: usize, inner: &str) -> Step {
        let opens = !self
            .before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | ',' | '!' | '?' | ')'));
        if marks >= MIN_MARKS {
            let line = inner.split_once('\n').map(|(line, _)| line);
            if let Some(line) = line.filter(|line| opens && is_name(line, false)) {
                self.fence = Some(('`', marks));
                self.kind = Kind::Block;
                self.end_line(Gap::Block);
                return Step::Took(marks + line.len() + 1);
            }
            self.loose_fence = opens;
        }
        self.leave_out('`');
        Step::Took(marks)
    }
}

/// What stands before the marks that close a block, and behind them.
fn end_of_block(line: &str, mark: char, count: usize) -> Option<(&str, &str)> {
    let marks = mark.to_string().repeat(count);
    let (code, after) = line.split_once(&marks)?;
    (mark == '`' || code.is_empty()).then(|| (code, after.trim_start_matches(mark)))
}

/// Does nothing but the name of a language follow a fence, perhaps with attributes?
fn is_name(words: &str, begins_line: bool) -> bool {
    let mut words = words.split_whitespace();
    let Some(name) = words.next() else {
        return true;
    };
    let is_known = LANGUAGES.contains(&format!(" {} ", name.to_lowercase()));
    let may_be = begins_line
        && (name.starts_with('{')
            || name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '+')
                && name.is_ascii());
    (is_known || may_be) && words.all(|word| word.contains('=') || word.starts_with('{'))
}
