//! Where a line begins: headings, items, quotes, rules, fences, and what lies between two lines.

use super::{MAX_SPAN, Reader, Step};
use crate::words::is_spaceless;

/// What stands before a page is shorter than this, in bytes.
const MAX_FRONT_MATTER: usize = 2000;

/// The first cell of a table without a frame is shorter than this, in bytes.
const MAX_FIRST_CELL: usize = 40;

/// What a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of a paragraph.
    #[default]
    Prose,
    /// An item of a list, which may go on in the next line.
    Item,
    /// It stands by itself: a heading, a row.
    Block,
}

/// What lies between the words that have left and the next ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    #[default]
    None,
    /// The end of a line.
    Line,
    /// The end of a line of an item.
    Item,
    /// The end of a block: a voice pauses here as at the end of a sentence.
    Block,
}

/// A line of which the beginning is held.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    /// All of it is there.
    pub(super) ended: bool,
    /// Bytes of white space before it.
    pub(super) indent: usize,
    /// Bytes with what is before and the end of the line.
    pub(super) whole: usize,
}

impl Reader {
    /// What kind of line begins here?
    pub(super) fn line(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        let text = rest.trim_start_matches([' ', '\t', '\r', '\u{feff}']);
        let indent = rest.len() - text.len();
        let (line, ended) = match text.split_once('\n') {
            Some((line, _)) => (line.trim_end(), true),
            None => (text, complete),
        };
        let whole = indent + text.find('\n').map_or(text.len(), |at| at + 1);
        if line.is_empty() {
            if !ended {
                return Step::Wait;
            }
            self.end_table(out);
            self.end_line(Gap::Block);
            self.after_blank = true;
            return Step::Took(whole);
        }
        let held = Line {
            text: line,
            ended,
            indent,
            whole,
        };
        if let Some(step) = self.fenced(&held, out) {
            return step;
        }
        if let Some(step) = self.front_matter(rest, complete) {
            return step;
        }
        if line.starts_with(['|', '│', '┃', '║']) {
            if !ended {
                return Step::Wait;
            }
            // "|x| = 3" is no row
            let is_row = !line.starts_with('|')
                || line.ends_with('|')
                || line
                    .get(1..)
                    .is_some_and(|rest| rest.starts_with(char::is_whitespace));
            if is_row {
                self.row(line, out);
                return Step::Took(whole);
            }
        }
        if is_rule_so_far(line) {
            if !ended {
                return Step::Wait;
            }
            let divides = line.starts_with('+') || line.contains('|') && !self.table.is_empty();
            if is_rule(line) || divides {
                if divides {
                    self.rule();
                }
                self.end_line(Gap::Block);
                return Step::Took(whole);
            }
        }
        match is_bare_row(line, ended, !self.table.is_empty()) {
            Some(true) if !ended => return Step::Wait,
            Some(true) => {
                self.row(line, out);
                return Step::Took(whole);
            }
            Some(false) => {}
            None => return Step::Wait,
        }
        let marks = match marks(line, ended) {
            Some(marks) => marks,
            None => return Step::Wait,
        };
        self.leave_list(indent, &marks);
        match marks {
            Marks::Quote(bytes) => Step::Took(indent + bytes),
            Marks::Definition => Step::Took(whole),
            Marks::Heading(bytes) => self.begin(Kind::Block, indent + bytes, out),
            Marks::Item(bytes) => self.begin(Kind::Item, indent + bytes, out),
            Marks::Number(digits) => self.numbered(&held, digits, out),
            Marks::None => self.begin(Kind::Prose, indent, out),
        }
    }

    /// What stands before a page for its generator: `---`, lines of `name: value`, `---`. `None`: there is none.
    fn front_matter(&mut self, rest: &str, complete: bool) -> Option<Step> {
        if self.last.is_some() || self.gap != Gap::None {
            return None;
        }
        let later = || (!complete && rest.len() < MAX_FRONT_MATTER).then_some(Step::Wait);
        let mut at = 0;
        for (number, line) in rest.split_inclusive('\n').enumerate() {
            at += line.len();
            let is_whole = line.ends_with('\n') || complete;
            let line_text = line.trim_end();
            let is_fence = line_text == "---";
            let has_name = line_text.split_once(':').is_some_and(|(name, value)| {
                name.starts_with(|c: char| c.is_ascii_lowercase())
                    && !name.contains(|c: char| c.is_whitespace() && number == 1)
                    && (value.is_empty() || value.starts_with(' '))
            });
            let goes_on = has_name || line.starts_with([' ', '-', '#']) && number > 1;
            match (number, is_whole) {
                (0, true) if is_fence => {}
                (0, false) if "---".starts_with(line_text) && !line_text.is_empty() => {
                    return later();
                }
                (0, _) => return None,
                (1.., true) if is_fence && number > 1 => {
                    self.end_line(Gap::Block);
                    self.gap = Gap::None;
                    return Some(Step::Took(at));
                }
                (_, true) if goes_on => {}
                (_, true) => return None,
                (_, false) => return later(),
            }
        }
        later()
    }

    /// The words of a line begin after this many bytes.
    pub(super) fn begin(&mut self, kind: Kind, bytes: usize, out: &mut String) -> Step {
        self.end_table(out);
        self.gap = self.gap.max(match (self.kind, kind) {
            (Kind::Prose, Kind::Prose) => self.gap,
            (Kind::Item, Kind::Prose) => Gap::Item,
            _ => Gap::Block,
        });
        (self.kind, self.inside, self.before) = (kind, true, None);
        self.after_blank = false;
        self.word.clear();
        Step::Took(bytes)
    }

    /// The line is over.
    pub(super) fn end_line(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
        (self.inside, self.before) = (false, None);
        self.end_word();
        if gap == Gap::Block {
            self.words = 0;
            self.open.clear();
        }
    }

    /// Words go on with `next` after a gap: between blocks there is a stop, as a voice would make one.
    pub(super) fn bridge(&mut self, next: char, out: &mut String) {
        let gap = std::mem::take(&mut self.gap);
        let Some(last) = self.last.filter(|_| gap != Gap::None) else {
            return;
        };
        let last = if last.is_whitespace() {
            let end = out.trim_end().len();
            out.truncate(end);
            out.chars().next_back().unwrap_or('.')
        } else {
            last
        };
        let is_wrapped = gap < Gap::Block && next.is_lowercase();
        if gap >= Gap::Item && !is_wrapped && wants_stop(last) {
            out.push(if is_spaceless(last) { '。' } else { '.' });
        }
        out.push(if is_wrapped { ' ' } else { '\n' });
        self.last = Some(' ');
    }
}

/// Would a voice run on after this?
fn wants_stop(last: char) -> bool {
    last.is_alphanumeric()
        || matches!(
            last,
            ')' | ']'
                | '}'
                | '"'
                | '”'
                | '’'
                | '»'
                | '%'
                | '€'
                | '$'
                | '£'
                | '¥'
                | '°'
                | '#'
                | '*'
                | '+'
                | '✓'
                | '✗'
                | '★'
                | '☆'
        )
}

/// The marks at the beginning of a line.
pub(super) enum Marks {
    None,
    /// A quote's mark of this many bytes; what follows is looked at again.
    Quote(usize),
    /// The mark of a heading.
    Heading(usize),
    /// The mark of an item; none if it is a letter, which is read out.
    Item(usize),
    /// The number of an item, which is read out, of this many digits.
    Number(usize),
    /// Where a link leads: nothing to read.
    Definition,
}

/// `None`: more must come.
fn marks(line: &str, ended: bool) -> Option<Marks> {
    let first = line.chars().next()?;
    let after = line.get(first.len_utf8()..).unwrap_or_default();
    Some(match first {
        '>' if after.is_empty() && !ended => return None,
        '>' => Marks::Quote(1 + usize::from(after.starts_with(' '))),
        '#' => {
            let count = line.len() - line.trim_start_matches('#').len();
            match line.get(count..).unwrap_or_default().chars().next() {
                None if !ended => return None,
                Some(' ' | '\t') if count <= 6 => Marks::Heading(count + 1),
                _ => Marks::None,
            }
        }
        '-' | '*' | '+' | '•' | '‣' | '◦' | '–' | '▪' | '●' | '○' => {
            match after.chars().next() {
                None if !ended => return None,
                Some(' ' | '\t') => Marks::Item(first.len_utf8() + 1 + task_box(after, ended)?),
                _ => Marks::None,
            }
        }
        '0'..='9' => {
            let number = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let mut rest = line.get(number..).unwrap_or_default().chars();
            match (rest.next(), rest.next()) {
                (None, _) | (Some('.' | ')'), None) if !ended => return None,
                (Some('.' | ')'), Some(' ' | '\t')) if number <= 3 => Marks::Number(number),
                _ => Marks::None,
            }
        }
        '(' | 'a'..='z' | 'A'..='Z' => match is_lettered(line, ended)? {
            true => Marks::Item(0),
            false => Marks::None,
        },
        '[' => return definition(line, ended),
        _ => Marks::None,
    })
}

/// `a) black`, `(1) Tea`, `ii. Two`: does it begin an item? `None`: more must come.
fn is_lettered(line: &str, ended: bool) -> Option<bool> {
    let inner = line.strip_prefix('(').unwrap_or(line);
    let has_bracket = inner.len() < line.len();
    let end = inner.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    let name = inner.get(..inner.len() - end.len()).unwrap_or_default();
    let is_number = name.len() <= 3 && name.bytes().all(|b| b.is_ascii_digit());
    let is_roman = name.len() <= 4 && name.bytes().all(|b| matches!(b, b'i' | b'v' | b'x'));
    let is_option = matches!(name.as_bytes(), [b'a'..=b'f' | b'A'..=b'F']);
    if !(is_roman || is_number && has_bracket || name.len() == 1) {
        return Some(false);
    }
    let mut after = end.chars();
    match (after.next(), after.next()) {
        (None, _) | (Some(')' | '.'), None) if !ended => None,
        (Some(')'), Some(' ' | '\t')) => Some(!name.is_empty()),
        (Some('.'), Some(' ' | '\t')) if !has_bracket && (is_roman || is_option) => {
            // "i. d. R." and "e. g." are words
            match (after.next(), after.next()) {
                (None, _) | (_, None) if !ended => None,
                (_, second) => Some(second != Some('.')),
            }
        }
        _ => Some(false),
    }
}

/// Is it a row of a table without a frame, `Monday | nine`? A bar apart from its neighbours stands behind a few words; in a
/// table, anywhere. `None`: more must come, which costs a voice nothing: so few words are no piece yet.
fn is_bare_row(line: &str, ended: bool, in_table: bool) -> Option<bool> {
    let mut before = ' ';
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        if c == '|' && at > 0 && before.is_whitespace() {
            match next {
                None if !ended => return None,
                next => return Some(next.is_none_or(char::is_whitespace)),
            }
        }
        // no mark at which a voice may pause, and none of an item
        let is_name = c.is_alphanumeric()
            || matches!(c, '*' | '_' | '€' | '$' | '£' | '(')
            || at > 0
                && matches!(
                    c,
                    ' ' | ')' | '%' | '/' | '&' | '\'' | '’' | '#' | '+' | '-'
                );
        let is_item = at == 0
            && matches!(c, '*' | '-' | '+' | '#' | '>' | '•')
            && next.is_none_or(char::is_whitespace);
        if is_item {
            return Some(false);
        }
        let is_short = at < MAX_FIRST_CELL && is_name;
        if !(in_table || is_short) {
            return Some(false);
        }
        before = c;
    }
    ended.then_some(false)
}

/// `[^1]: a footnote` is read without its mark, `[name]: https://…` is not read.
fn definition(line: &str, ended: bool) -> Option<Marks> {
    let reach = line.char_indices().nth(MAX_SPAN).map(|(at, _)| at);
    let head = line.get(..reach.unwrap_or(line.len())).unwrap_or_default();
    let Some((name, after)) = head.split_once(']') else {
        return (ended || reach.is_some()).then_some(Marks::None);
    };
    if after.is_empty() && !ended && reach.is_none() {
        return None;
    }
    let Some(to) = after.strip_prefix(':') else {
        return Some(Marks::None);
    };
    if name.starts_with("[^") {
        return Some(Marks::Heading(name.len() + 2));
    }
    let to = to.trim_start();
    let address = to.split(char::is_whitespace).next().unwrap_or_default();
    let is_whole = ended || reach.is_some() || address.len() < to.len();
    match is_whole {
        true if ["<", "/", "./", "#", "www.", "mailto:"]
            .iter()
            .any(|start| address.starts_with(start))
            || address.contains("://") =>
        {
            ended.then_some(Marks::Definition)
        }
        true => Some(Marks::None),
        false => None,
    }
}

/// The bytes of `[ ]` or `[x]` after an item's mark and its space.
fn task_box(after: &str, ended: bool) -> Option<usize> {
    let text = after.get(1..).unwrap_or_default();
    let boxes = ["[ ] ", "[x] ", "[X] "];
    if boxes.iter().any(|mark| text.starts_with(mark)) {
        return Some(4);
    }
    let may_come = !ended && boxes.iter().any(|mark| mark.starts_with(text));
    (!may_come).then_some(0)
}

/// Nothing but marks of which rules are made.
fn is_rule_so_far(line: &str) -> bool {
    line.chars()
        .all(|c| matches!(c, '-' | '*' | '_' | '=' | ':' | '|' | '+' | ' ' | '\t') || is_frame(c))
}

fn is_rule(line: &str) -> bool {
    let strokes = |c: &char| matches!(c, '-' | '*' | '_' | '=') || is_frame(*c);
    line.chars().filter(strokes).count() >= 3
}

fn is_frame(c: char) -> bool {
    matches!(c, '\u{2500}'..='\u{257f}')
}
