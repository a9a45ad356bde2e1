//! Letters with their places → lines, and these → headings, paragraphs and tables. All measures are in ems: of the letters' own size.

use rustc_hash::FxHashMap;

use crate::files::table::Table;
use crate::files::{Block, squeezed};

/// A gap that parts words.
const SPACE: f64 = 0.15;
/// A gap that parts cells of a table; in justified text few are wider.
const CELL: f64 = 1.0;
/// Letters farther up or down are on another line.
const SAME_LINE: f64 = 0.5;
/// A line farther below than that begins a paragraph.
const PARAGRAPH: f64 = 1.8;
/// A line that reaches so far, in proportion to the longest, goes on in the next.
const FULL: f64 = 0.75;
/// Letters so much larger than most are a heading's, from the third level to the first.
const HEADINGS: [(f64, u8); 3] = [(1.6, 1), (1.3, 2), (1.12, 3)];
const MAX_HEADING_CHARS: usize = 150;
/// A document of fewer pages has no running titles to be known by.
const MIN_RUNNING_PAGES: usize = 3;

pub(super) struct Letter {
    /// Where it begins and ends on its line, in points.
    pub(super) along: f64,
    pub(super) end: f64,
    /// The height of its line.
    pub(super) across: f64,
    pub(super) size: f64,
    pub(super) text: String,
    /// The document says that it is no part of the text.
    pub(super) is_artifact: bool,
}

struct Cell {
    start: f64,
    end: f64,
    text: String,
}

struct Line {
    across: f64,
    size: f64,
    cells: Vec<Cell>,
}

impl Line {
    fn text(&self) -> String {
        let cells: Vec<&str> = self.cells.iter().map(|cell| cell.text.trim()).collect();
        squeezed(&cells.join(" "))
    }

    fn end(&self) -> f64 {
        self.cells.last().map_or(f64::MIN, |cell| cell.end)
    }

    fn chars(&self) -> usize {
        self.cells.iter().map(|cell| cell.text.len()).sum()
    }
}

pub(super) struct Page {
    lines: Vec<Line>,
}

impl Page {
    pub(super) fn new(letters: &[Letter]) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        // some programs call everything so
        let has_text = letters.iter().any(|letter| !letter.is_artifact);
        for letter in letters
            .iter()
            .filter(|letter| !(has_text && letter.is_artifact))
        {
            let line = lines.last_mut().filter(|line| {
                let is_level =
                    (letter.across - line.across).abs() <= SAME_LINE * letter.size.max(line.size);
                // bold letters may be drawn twice, a little beside
                is_level && letter.along >= line.end() - CELL * letter.size
            });
            match line {
                Some(line) => line.push(letter),
                None if letter.text.trim().is_empty() => {}
                None => lines.push(Line {
                    across: letter.across,
                    size: letter.size,
                    cells: vec![Cell {
                        start: letter.along,
                        end: letter.end,
                        text: letter.text.clone(),
                    }],
                }),
            }
        }
        for line in &mut lines {
            line.read_from_the_right();
            line.join_mark();
        }
        lines.retain(|line| line.chars() > 0);
        Self { lines }
    }

    /// What stands on it, when most letters of the document have the size `body`.
    pub(super) fn blocks(self, body: f64) -> Vec<Block> {
        let margin = self.lines.iter().map(Line::end).fold(f64::MIN, f64::max);
        let left = self
            .lines
            .iter()
            .filter_map(|line| line.cells.first())
            .map(|cell| cell.start)
            .fold(f64::MAX, f64::min);
        let is_full = |line: &Line| line.end() - left >= FULL * (margin - left);
        let mut blocks = Vec::new();
        let mut lines = self.lines.as_slice();
        while let Some(first) = lines.first() {
            let rows = lines.iter().take_while(|line| line.cells.len() > 1).count();
            if rows > 1 {
                let (table, rest) = lines.split_at_checked(rows).unwrap_or((lines, &[]));
                blocks.extend(rows_of(table));
                lines = rest;
                continue;
            }
            let level = level(first, body);
            let mut text = String::new();
            let mut last: Option<&Line> = None;
            let mut used = 0;
            for line in lines {
                let goes_on = last.is_none_or(|last| {
                    let gap = last.across - line.across;
                    let is_near = gap > 0.0
                        && gap <= PARAGRAPH * line.size.max(last.size)
                        && line.cells.len() == 1;
                    let is_same = (line.size - last.size).abs() < 0.1 * last.size;
                    let words = line.text();
                    let is_running =
                        level.is_some() || is_full(last) || words.starts_with(char::is_lowercase);
                    is_near && is_same && is_running && !is_item(&words)
                });
                if !goes_on {
                    break;
                }
                append(&mut text, &line.text());
                last = Some(line);
                used += 1;
            }
            lines = lines.get(used.max(1)..).unwrap_or_default();
            let text = squeezed(&text);
            match level {
                _ if text.is_empty() => {}
                Some(level) if text.chars().count() <= MAX_HEADING_CHARS => {
                    blocks.push(Block::Heading(level, text))
                }
                _ => blocks.push(Block::Line(text)),
            }
        }
        blocks
    }
}

impl Line {
    fn push(&mut self, letter: &Letter) {
        let gap = (letter.along - self.end()) / letter.size;
        let is_blank = letter.text.trim().is_empty();
        match self.cells.last_mut() {
            // the gap is judged when a word begins
            Some(_) if is_blank && gap > SPACE => {}
            Some(cell) if gap <= CELL => {
                if gap > SPACE && !cell.text.ends_with(char::is_whitespace) {
                    cell.text.push(' ');
                }
                cell.text.push_str(&letter.text);
                if !is_blank {
                    cell.end = cell.end.max(letter.end);
                }
            }
            _ if is_blank => {}
            _ => self.cells.push(Cell {
                start: letter.along,
                end: letter.end,
                text: letter.text.clone(),
            }),
        }
        self.size = self.size.max(letter.size);
    }

    /// Arabic and Hebrew are drawn from the left as all else is, and read from the right.
    fn read_from_the_right(&mut self) {
        for cell in &mut self.cells {
            if cell.text.contains(is_from_the_right) {
                cell.text = logical(&cell.text);
            }
        }
    }

    /// The mark of a list stands alone, before what it marks.
    fn join_mark(&mut self) {
        self.cells.retain(|cell| !cell.text.trim().is_empty());
        let is_mark = |cell: &Cell| {
            let mark = cell.text.trim();
            mark.chars().count() <= 3
                && (is_item(&format!("{mark} ")) || mark.chars().all(|c| !c.is_alphanumeric()))
        };
        if self.cells.len() > 1 && self.cells.first().is_some_and(is_mark) {
            let mark = self.cells.remove(0);
            if let Some(cell) = self.cells.first_mut() {
                cell.start = mark.start;
                cell.text = format!("{} {}", mark.text.trim(), cell.text);
            }
        }
    }
}

/// Hebrew, Arabic and its further letters and forms.
fn is_from_the_right(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// A line as it is read: what is read from the right turned round, numbers and foreign words in it as they are.
fn logical(text: &str) -> String {
    let is_left = |c: char| c.is_alphanumeric() && !is_from_the_right(c);
    let mut letters: Vec<char> = text.chars().collect();
    let right = letters.iter().filter(|c| is_from_the_right(**c)).count();
    if right >= letters.iter().filter(|c| is_left(**c)).count() {
        turn(&mut letters);
        turn_runs(&mut letters, is_left, is_from_the_right);
    } else {
        turn_runs(&mut letters, is_from_the_right, is_left);
    }
    letters.into_iter().collect()
}

/// Turn what begins and ends with letters of one kind and has none of the other.
fn turn_runs(letters: &mut [char], is_one: impl Fn(char) -> bool, is_other: impl Fn(char) -> bool) {
    for part in letters.split_mut(|c| is_other(*c)) {
        let first = part.iter().position(|c| is_one(*c));
        let last = part.iter().rposition(|c| is_one(*c));
        if let Some(run) = first
            .zip(last)
            .and_then(|(first, last)| part.get_mut(first..=last))
        {
            turn(run);
        }
    }
}

/// What opened closes then.
fn turn(letters: &mut [char]) {
    letters.reverse();
    for c in letters {
        *c = match *c {
            '(' => ')',
            ')' => '(',
            '[' => ']',
            ']' => '[',
            '«' => '»',
            '»' => '«',
            other => other,
        };
    }
}

/// Does a thing of a list begin here?
fn is_item(text: &str) -> bool {
    let (mark, rest) = text.split_once(' ').unwrap_or((text, ""));
    let bare = mark.trim_end_matches(['.', ')']);
    let is_number = bare.len() < mark.len()
        && bare.chars().count() <= 2
        && bare.chars().all(char::is_alphanumeric)
        && !bare.is_empty();
    let is_bullet = matches!(
        mark,
        "•" | "‣" | "◦" | "▪" | "●" | "○" | "■" | "–" | "-" | "*" | "·" | "" | "o"
    );
    (is_number || is_bullet) && (text.ends_with(' ') || !rest.is_empty())
}

/// One more line of a paragraph; a word that was divided is one again.
fn append(text: &mut String, line: &str) {
    let is_divided = text
        .strip_suffix('-')
        .is_some_and(|word| word.ends_with(char::is_alphabetic))
        && line.starts_with(char::is_lowercase);
    if is_divided {
        text.pop();
    } else if !text.is_empty() {
        text.push(' ');
    }
    if text.ends_with('\u{ad}') {
        text.pop();
    }
    text.push_str(line);
}

fn level(line: &Line, body: f64) -> Option<u8> {
    let times = line.size / body;
    let found = HEADINGS.into_iter().find(|(least, _)| times >= *least);
    found
        .filter(|_| line.cells.len() == 1)
        .map(|(_, level)| level)
}

/// Lines with several cells: a cell belongs to the column that it stands in, or next to.
fn rows_of(lines: &[Line]) -> Vec<Block> {
    let Some(widest) = lines.iter().rev().max_by_key(|line| line.cells.len()) else {
        return Vec::new();
    };
    let mut table = Table::guessed();
    for line in lines {
        let mut row = vec![String::new(); widest.cells.len()];
        for cell in &line.cells {
            let distance = |column: &Cell| {
                (cell.start - column.end)
                    .max(column.start - cell.end)
                    .max(0.0)
            };
            let mut columns = widest.cells.iter().zip(&mut row).collect::<Vec<_>>();
            columns.sort_by(|(a, _), (b, _)| distance(a).total_cmp(&distance(b)));
            if let Some((_, text)) = columns.into_iter().next() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(cell.text.trim());
            }
        }
        table.row(row);
    }
    table.finish()
}

/// The size that most letters have.
pub(super) fn body_size(pages: &[(String, Page)]) -> f64 {
    let mut sizes: FxHashMap<u64, usize> = FxHashMap::default();
    for line in pages.iter().flat_map(|(_, page)| &page.lines) {
        // in tenths of a point
        *sizes.entry((line.size * 10.0) as u64).or_default() += line.chars();
    }
    let most = sizes
        .into_iter()
        .max_by_key(|(size, chars)| (*chars, *size));
    most.map_or(10.0, |(size, _)| (size as f64 / 10.0).max(0.1))
}

/// What stands at the top or the foot of most pages, but for the page's number, is not said on each.
pub(super) fn drop_running_titles(pages: &mut [(String, Page)]) {
    if pages.len() < MIN_RUNNING_PAGES {
        return;
    }
    let pattern = |line: &Line| -> String {
        line.text()
            .chars()
            .map(|c| if c.is_ascii_digit() { '#' } else { c })
            .collect()
    };
    let mut counts: FxHashMap<String, usize> = FxHashMap::default();
    for (_, page) in &*pages {
        let mut edges: Vec<String> = page
            .lines
            .iter()
            .take(1)
            .chain(page.lines.iter().rev().take(1))
            .map(pattern)
            .collect();
        edges.dedup();
        for edge in edges {
            *counts.entry(edge).or_default() += 1;
        }
    }
    let half = pages.len() / 2;
    let runs = |line: &Line| {
        counts
            .get(&pattern(line))
            .is_some_and(|count| *count > half)
    };
    for (_, page) in pages {
        if page.lines.last().is_some_and(runs) {
            page.lines.pop();
        }
        if page.lines.first().is_some_and(runs) {
            page.lines.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_the_right_is_read_so_with_its_numbers_and_foreign_words() {
        assert_eq!(logical("ملاعلاب ابحرم"), "مرحبا بالعالم");
        assert_eq!(logical("(ללכב) 35.50 םולש"), "שלום 35.50 (בכלל)");
        assert_eq!(logical("Arabic: ابحرم."), "Arabic: مرحبا.");
        assert_eq!(logical("Open 9 to 5"), "Open 9 to 5");
    }

    #[test]
    fn a_word_that_was_divided_at_the_end_of_a_line_is_one_again() {
        let mut text = String::from("the appoint-");
        append(&mut text, "ment of 9-");
        append(&mut text, "17 o'clock");
        assert_eq!(text, "the appointment of 9- 17 o'clock");
    }
}
