//! Tables, row by row: "Tea: Price 3.50 €, Size small." A rule is never read, a header only before what it names.

use super::Reader;
use super::line::{Gap, Kind};

/// Cells of a row that are read; a wider table is no text for the ear.
const MAX_CELLS: usize = 32;

/// How far the present table is read.
#[derive(Clone, Debug, Default)]
pub(super) enum Table {
    /// There is none.
    #[default]
    None,
    /// A first row: the next line tells whether it names the columns.
    First(Vec<String>),
    /// The columns' names, and whether a row has followed.
    Headed(Vec<String>, bool),
}

impl Table {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl Reader {
    /// A line of cells.
    pub(super) fn row(&mut self, line: &str, out: &mut String) {
        let cells = cells(line);
        let is_rule = cells.iter().all(|cell| {
            cell.chars()
                .all(|c| matches!(c, '-' | ':' | '=' | ' ' | '\u{2500}'..='\u{257f}'))
        });
        self.table = match (std::mem::take(&mut self.table), is_rule) {
            (Table::First(names), true) => Table::Headed(names, false),
            (table, true) => table,
            (Table::None, false) => Table::First(cells),
            (Table::First(before), false) => {
                self.read_row(&[], &before, out);
                Table::First(cells)
            }
            (Table::Headed(names, _), false) => {
                self.read_row(&names, &cells, out);
                Table::Headed(names, true)
            }
        };
    }

    /// A rule of `+` and `-` stands below the columns' names.
    pub(super) fn rule(&mut self) {
        self.table = match std::mem::take(&mut self.table) {
            Table::First(names) => Table::Headed(names, false),
            table => table,
        };
    }

    /// The table is over.
    pub(super) fn end_table(&mut self, out: &mut String) {
        match std::mem::take(&mut self.table) {
            Table::First(row) | Table::Headed(row, false) => self.read_row(&[], &row, out),
            Table::None | Table::Headed(_, true) => {}
        }
    }

    fn read_row(&mut self, names: &[String], cells: &[String], out: &mut String) {
        // of two columns the first names the second
        let is_named = names.len() > 2;
        let mut row = String::new();
        let mut gap = "";
        for (number, cell) in cells.iter().enumerate() {
            let text = answer(cell).map_or_else(|| Self::of_line(cell), str::to_owned);
            if !text
                .chars()
                .any(|c| c.is_alphanumeric() || matches!(c, '*' | '#' | '✓' | '✗' | '★'))
            {
                continue;
            }
            row.push_str(gap);
            let name = names.get(number).filter(|_| is_named && number > 0);
            if let Some(name) = name
                .map(|name| Self::of_line(name))
                .filter(|name| !name.is_empty())
            {
                row.push_str(&name);
                row.push(' ');
            }
            row.push_str(&text);
            gap = if number == 0 && !names.is_empty() && !text.ends_with(':') {
                ": "
            } else {
                ", "
            };
        }
        self.end_line(Gap::Block);
        for c in row.chars() {
            match c {
                '✓' | '✗' | '★' | '☆' | '→' => self.put(c, out),
                c => self.literal(c, out),
            }
        }
        self.kind = Kind::Block;
        self.end_line(Gap::Block);
    }
}

/// A cell that says yes or no by a sign alone; what the sign is called, the caller's language decides.
fn answer(cell: &str) -> Option<&'static str> {
    match cell.trim_matches(['\u{fe0f}', ' ', '*']) {
        "✅" | "✓" | "✔" | "☑" | "🗸" | "👍" => Some("✓"),
        "❌" | "✗" | "✘" | "✖" | "❎" | "☒" | "🚫" | "👎" => Some("✗"),
        _ => None,
    }
}

/// The cells of a row; a bar in code or behind a backslash is part of a cell.
fn cells(line: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let (mut escaped, mut code) = (false, false);
    let line = line.trim();
    let line = line.strip_prefix(['|', '│', '┃', '║']).unwrap_or(line);
    for c in line.chars() {
        match c {
            '|' | '│' | '┃' | '║' if !escaped && !code => {
                cells.push(std::mem::take(&mut cell).trim().to_owned());
            }
            c => cell.push(c),
        }
        code ^= c == '`';
        escaped = c == '\\' && !escaped;
    }
    if !cell.trim().is_empty() {
        cells.push(cell.trim().to_owned());
    }
    cells.truncate(MAX_CELLS);
    cells
}
