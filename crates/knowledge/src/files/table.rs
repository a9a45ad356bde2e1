//! Rows of a table as sentences that stand alone: "Doctor: Ana Ruiz; Room: 7". A row that is found without its header says nothing.

use super::Block;

/// Columns of a row that are read.
pub const MAX_COLUMNS: usize = 200;

/// A table as it is read, row by row.
#[derive(Debug, Default)]
pub struct Table {
    header: Vec<String>,
    /// Columns below the header that have held a number.
    numbers: Vec<bool>,
    /// The row above was empty, or there was none.
    gap: bool,
    blocks: Vec<Block>,
}

impl Table {
    /// A table that begins with its header, whatever stands in it.
    pub fn with_header(header: Vec<String>) -> Self {
        Self {
            numbers: vec![true; header.len()],
            header,
            gap: false,
            blocks: Vec::new(),
        }
    }

    /// A table, or several with empty rows between them, that begin with a title or with their header.
    pub fn guessed() -> Self {
        Self {
            gap: true,
            ..Self::default()
        }
    }

    /// One row.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.truncate(MAX_COLUMNS);
        for cell in &mut cells {
            *cell = super::squeezed(cell);
        }
        let mut filled = cells.iter().filter(|cell| !cell.is_empty());
        let Some(first) = filled.next() else {
            self.gap = true;
            return;
        };
        let gap = std::mem::replace(&mut self.gap, false);
        if filled.next().is_none() && (gap || self.header.is_empty()) {
            // a title, or a remark below the table
            self.blocks.push(Block::Line(first.clone()));
            (self.header, self.gap) = (Vec::new(), true);
        } else if gap && self.is_header(&cells) {
            self.numbers = vec![false; cells.len()];
            self.header = cells;
        } else {
            self.data(&cells);
        }
    }

    /// Words only; below another table, where that has had numbers.
    fn is_header(&self, cells: &[String]) -> bool {
        let words = cells.iter().all(|cell| !is_number(cell));
        let mut columns = cells.iter().zip(&self.numbers);
        words
            && (self.header.is_empty() || columns.any(|(cell, number)| *number && !cell.is_empty()))
    }

    fn data(&mut self, cells: &[String]) {
        let mut said = String::new();
        for (column, cell) in cells.iter().enumerate() {
            if cell.is_empty() {
                continue;
            }
            if let Some(number) = self.numbers.get_mut(column) {
                *number |= is_number(cell);
            }
            if !said.is_empty() {
                said.push_str("; ");
            }
            if let Some(name) = self.header.get(column).filter(|name| !name.is_empty()) {
                said.push_str(name.trim_end_matches(':'));
                said.push_str(": ");
            }
            said.push_str(cell);
        }
        self.blocks.push(Block::Row(said));
    }

    /// Its rows; a header alone is a row.
    pub fn finish(mut self) -> Vec<Block> {
        if self
            .blocks
            .iter()
            .all(|block| matches!(block, Block::Line(_)))
            && !self.header.is_empty()
        {
            let header = std::mem::take(&mut self.header);
            self.data(&header);
        }
        self.blocks
    }
}

/// A number, an amount, a date or a time: digits, and not more letters than a unit has.
fn is_number(cell: &str) -> bool {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    let letters = cell.chars().filter(|c| c.is_alphabetic()).count();
    digits > 0 && letters <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Vec<String> {
        let mut table = Table::guessed();
        for row in rows {
            table.row(row.iter().map(|cell| (*cell).to_owned()).collect());
        }
        let blocks = table.finish();
        blocks.iter().map(|block| block.text().to_owned()).collect()
    }

    #[test]
    fn every_row_says_what_its_cells_are() {
        let rows: &[&[&str]] = &[
            &["Prices from May", "", ""],
            &["Cut", "Price", "Minutes"],
            &["Short", "35 €", "30"],
            &["Long", "50 €", ""],
            &[],
            &["Colour", "Price", "Note"],
            &["All", "80 €", "by appointment"],
        ];
        assert_eq!(
            table(rows),
            [
                "Prices from May",
                "Cut: Short; Price: 35 €; Minutes: 30",
                "Cut: Long; Price: 50 €",
                "Colour: All; Price: 80 €; Note: by appointment"
            ]
        );
    }

    #[test]
    fn rows_without_a_header_are_said_as_they_are() {
        let rows: &[&[&str]] = &[&["Monday", "9"], &["Tuesday", "10"]];
        assert_eq!(table(rows), ["Monday; 9", "Tuesday; 10"]);
    }

    #[test]
    fn an_empty_row_inside_a_table_does_not_make_its_next_row_a_header() {
        let rows: &[&[&str]] = &[
            &["Doctor", "Field"],
            &["Bo Chen", "skin"],
            &["", ""],
            &["Ana Ruiz", "eyes"],
        ];
        assert_eq!(
            table(rows),
            [
                "Doctor: Bo Chen; Field: skin",
                "Doctor: Ana Ruiz; Field: eyes"
            ]
        );
    }
}
