//! From what a model writes to what a person would read out: Markdown, HTML, citation marks and emoji go, tables are read row
//! by row, and whatever is no markup (`5*3`, `C#`, `array[0]`, "press * and #") stays.
//!
//! The text comes in tokens that may be cut anywhere, so nothing is decided before enough of it is there: [`Reader`] holds
//! back what may still become markup, never more than [`MAX_HELD`] bytes. Most words pass at once. (A Markdown parser says
//! nothing before a paragraph is over, and takes `a*b*c` and `[42]` for markup: it answers for pages, not for a voice.)

mod bracket;
mod emphasis;
mod fence;
mod line;
mod list;
mod math;
mod table;
mod tag;

use std::ops::ControlFlow;

use line::{Gap, Kind};
use list::Numbered;
use table::Table;

use super::address::may_stand_in_address;
use super::words::is_spaceless;

/// What may be held back at most. A longer line of a table or a longer link is read as it stands: no page has such.
const MAX_HELD: usize = 8 * 1024;
/// How far the end of a span of code or of emphasis is looked for, in characters.
const MAX_SPAN: usize = 120;

/// What to do with the beginning of the text that is held back.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// This many bytes of it are dealt with; of a line that has just begun it may be none.
    Took(usize),
    /// More must come first.
    Wait,
}

/// Marked-up text on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    /// Not decided yet.
    held: String,
    /// Inside a line; otherwise a line begins.
    inside: bool,
    /// The kind of the present line, or of the last.
    kind: Kind,
    /// What lies between the last words and the next ones.
    gap: Gap,
    /// The raw character before.
    before: Option<char>,
    /// The last character that left.
    last: Option<char>,
    /// The beginning of the present word, as far as it matters.
    word: String,
    /// The word before it.
    word_before: String,
    /// Marks of emphasis that are open: the character and how many.
    open: Vec<(char, usize)>,
    /// Just now something was left out.
    left_out: bool,
    /// Inside a fenced block of code, opened by this many of these.
    fence: Option<(char, usize)>,
    /// Marks of a fence with words behind them were left out, and a fence alone may still end them.
    loose_fence: bool,
    /// Numbered lists that may go on, the innermost last.
    lists: Vec<Numbered>,
    /// An empty line stands before.
    after_blank: bool,
    table: Table,
    /// A number in brackets was a value: a key, a room.
    has_values: bool,
    /// The mark of a source was left out, and no word has followed.
    after_source: bool,
    /// Words of the present sentence.
    words: usize,
}

impl Reader {
    /// More text; what is decided is appended to `out`.
    pub(crate) fn push(&mut self, text: &str, out: &mut String) {
        self.held.push_str(text);
        self.run(false, out);
    }

    /// No more comes.
    pub(crate) fn finish(&mut self, out: &mut String) {
        self.run(true, out);
        self.end_table(out);
        self.gap = Gap::None;
    }

    /// Nothing is held back.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.table.is_empty()
    }

    /// One line's worth of text at once: a cell, the text of a link.
    fn of_line(text: &str) -> String {
        let mut reader = Self {
            inside: true,
            ..Self::default()
        };
        let mut out = String::new();
        reader.push(text.trim(), &mut out);
        reader.finish(&mut out);
        out.trim().to_owned()
    }

    fn run(&mut self, complete: bool, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        while !rest.is_empty() {
            let complete = complete || rest.len() > MAX_HELD;
            match self.step(rest, complete, out) {
                Step::Took(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
                Step::Wait => break,
            }
        }
        self.held = rest.to_owned();
    }

    fn step(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        if !self.inside {
            return self.line(rest, complete, out);
        }
        let Some(c) = rest.chars().next() else {
            return Step::Wait;
        };
        let one = Step::Took(c.len_utf8());
        if self.is_address() && !c.is_whitespace() {
            if !may_stand_in_address(c) {
                self.end_word();
            } else if !self.may_end_address(c) {
                self.literal(c, out);
                return one;
            }
        }
        match c {
            '\n' => {
                self.end_line(Gap::Line);
                one
            }
            '\\' => self.escape(rest, complete, out),
            '`' => self.code(rest, complete, out),
            '*' | '_' | '~' | '=' => self.emphasis(c, rest, complete, out),
            '!' => match rest.get(1..).unwrap_or_default().chars().next() {
                Some('[') => self.bracket(rest, 1, complete, out),
                None if !complete => Step::Wait,
                _ => {
                    self.literal(c, out);
                    one
                }
            },
            '[' => self.bracket(rest, 0, complete, out),
            '(' => self.parenthesis(rest, complete, out),
            '【' => self.source(rest, '】', complete, out),
            '\u{e200}' => self.source(rest, '\u{e201}', complete, out),
            '<' => self.tag(rest, complete, out),
            '&' => self.entity(rest, complete, out),
            '|' | '│' | '┃' | '║' => self.bar(c, rest, complete, out),
            '★' | '☆' | '⭐' => self.stars(rest, complete, out),
            '→' | '⇒' | '⟶' | '➔' | '➜' | '➡'
                if (self.words > 0 || !self.word.is_empty())
                    && self.gap == Gap::None
                    && !self.left_out =>
            {
                self.put('→', out);
                one
            }
            '$' => self.formula(rest, complete, out),
            _ => {
                self.literal(c, out);
                one
            }
        }
    }

    /// A backslash takes the meaning from the mark after it.
    fn escape(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        for (open, close) in [("\\(", "\\)"), ("\\[", "\\]")] {
            if let Some(step) = rest
                .starts_with(open)
                .then(|| self.between(open, close, rest, complete, out))
                .flatten()
            {
                return step;
            }
        }
        if let Some(step) = self.command(rest, complete, out) {
            return step;
        }
        match rest.chars().nth(1) {
            Some(next) if next.is_ascii_punctuation() => {
                self.literal(next, out);
                Step::Took(2)
            }
            None if !complete => Step::Wait,
            _ => {
                self.literal('\\', out);
                Step::Took(1)
            }
        }
    }

    /// A span of code: its words as they stand.
    fn code(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        let marks = rest.len() - rest.trim_start_matches('`').len();
        if marks == rest.len() && !complete {
            return Step::Wait;
        }
        let inner = rest.get(marks..).unwrap_or_default();
        let end = match find_end(inner, complete, |at| run_length(inner, at, '`') == marks) {
            // one more mark may come, and then it is another one
            ControlFlow::Break(end) if end + marks == inner.len() && !complete => {
                return Step::Wait;
            }
            ControlFlow::Break(end) => end,
            ControlFlow::Continue(true) => return Step::Wait,
            ControlFlow::Continue(false) => return self.open_marks(marks, inner),
        };
        for c in inner.get(..end).unwrap_or_default().trim().chars() {
            self.literal(c, out);
        }
        self.before = Some('`');
        Step::Took(marks + end + marks)
    }

    /// A bar with space around it is the edge of a cell in a table without a frame; another means itself.
    fn bar(&mut self, bar: char, rest: &str, complete: bool, out: &mut String) -> Step {
        let step = Step::Took(bar.len_utf8());
        let is_apart = self.before.is_none_or(char::is_whitespace);
        match rest.chars().nth(1) {
            None if !complete => return Step::Wait,
            Some(next) if bar == '|' && !(is_apart && next.is_whitespace()) => {
                self.literal(bar, out);
                return step;
            }
            _ => {}
        }
        if self.last.is_some_and(|last| last == ' ') && out.ends_with(' ') {
            out.pop();
            self.last = out.chars().next_back();
            self.literal(',', out);
        }
        self.literal(' ', out);
        step
    }

    /// Stars in a row are a rating, one is an ornament.
    fn stars(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        let is_star = |c: &char| matches!(c, '★' | '☆' | '⭐' | '\u{fe0f}');
        let end = rest.trim_start_matches(|c| is_star(&c));
        if end.is_empty() && !complete {
            return Step::Wait;
        }
        let stars = rest
            .chars()
            .take_while(is_star)
            .filter(|c| *c != '\u{fe0f}');
        if stars.clone().nth(1).is_some() {
            for star in stars {
                self.put(if star == '☆' { '☆' } else { '★' }, out);
            }
        } else {
            self.leave_out('★');
        }
        Step::Took(rest.len() - end.len())
    }

    /// A character that means itself.
    fn literal(&mut self, c: char, out: &mut String) {
        let joins = c == '\u{200d}' && self.before.is_some_and(is_unspoken);
        self.before = Some(c);
        if joins || is_unspoken(c) || is_superscript(c) && self.is_footnoted() {
            self.left_out = true;
            return;
        }
        if c.is_whitespace() {
            self.end_word();
            self.space(out);
            return;
        }
        self.put(c, out);
    }

    /// A character that is read, whatever it is.
    fn put(&mut self, c: char, out: &mut String) {
        self.before = Some(c);
        self.bridge(c, out);
        self.after_source &= !c.is_alphanumeric();
        if self.left_out && matches!(c, '.' | ',' | ';' | ':' | '!' | '?') && out.ends_with(' ') {
            // the gap belonged to what was left out
            out.pop();
        }
        self.left_out = false;
        if self.word.len() < MAX_SPAN {
            self.word.push(c);
        }
        self.last = Some(c);
        out.push(c);
    }

    /// The next word is another.
    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        self.words = if self.word.ends_with(['.', '!', '?', ':']) {
            0
        } else {
            self.words + 1
        };
        self.word_before = std::mem::take(&mut self.word);
    }

    fn space(&mut self, out: &mut String) {
        if self.gap == Gap::None && self.last.is_some_and(|last| !last.is_whitespace()) {
            self.last = Some(' ');
            out.push(' ');
        }
    }

    /// Markup that nobody hears.
    fn leave_out(&mut self, mark: char) {
        self.before = Some(mark);
        self.left_out = true;
    }

    /// Is the present word a web address or an e-mail address?
    fn is_address(&self) -> bool {
        self.word.contains("://") || self.word.starts_with("www.") || self.word.contains('@')
    }

    /// Would a raised number behind the present word be the mark of a footnote? Behind a number or a unit it is a power.
    fn is_footnoted(&self) -> bool {
        let letters = self
            .word
            .chars()
            .rev()
            .skip_while(|c| matches!(c, '.' | ',' | ';' | '!' | '?'))
            .take_while(|c| c.is_alphabetic())
            .count();
        letters > 2
    }

    /// Marks that may stand around an address, not in it.
    fn may_end_address(&self, c: char) -> bool {
        let is_open = |mark| self.open.iter().any(|(open, _)| *open == mark);
        match c {
            '*' | '_' | '~' => is_open(c),
            c => is_unspoken(c),
        }
    }
}

/// Where `found` says yes, at a character of this line within reach. `Continue(true)`: it may still come.
fn find_end(
    text: &str,
    complete: bool,
    mut found: impl FnMut(usize) -> bool,
) -> ControlFlow<usize, bool> {
    for (count, (at, c)) in text.char_indices().enumerate() {
        if c == '\n' || count >= MAX_SPAN {
            return ControlFlow::Continue(false);
        }
        if found(at) {
            return ControlFlow::Break(at);
        }
    }
    ControlFlow::Continue(!complete)
}

/// How many of `mark` begin at `at`, if it is the first of them.
fn run_length(text: &str, at: usize, mark: char) -> usize {
    let (head, tail) = text.split_at_checked(at).unwrap_or((text, ""));
    if head.ends_with(mark) {
        return 0;
    }
    tail.chars().take_while(|c| *c == mark).count()
}

/// Does it belong to a word in a script that has spaces?
fn is_wordish(c: char) -> bool {
    c.is_alphanumeric() && !is_spaceless(c)
}

fn is_superscript(c: char) -> bool {
    matches!(c, '¹' | '²' | '³' | '⁰' | '⁴'..='⁹')
}

/// Emoji, their selectors, pictographs, frames of tables, and characters without width.
fn is_unspoken(c: char) -> bool {
    matches!(u32::from(c),
        0x00..=0x08 | 0x0B..=0x1F | 0x7F | 0xAD | 0x200B | 0x200E | 0x200F | 0x202A..=0x202E | 0x2060..=0x2069
        | 0x20E3 | 0xFE0E | 0xFE0F | 0xFEFF | 0x2190..=0x21FF | 0x2300..=0x23FF | 0x2500..=0x27BF | 0x2B00..=0x2BFF
        | 0xE200..=0xE2FF | 0x1F000..=0x1FAFF | 0xE0020..=0xE007F)
}
