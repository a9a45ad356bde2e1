//! Excel and CSV.

use std::io::Cursor;

use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx};

use super::archive::Archive;
use super::table::{MAX_COLUMNS, Table};
use super::{MAX_TEXT_BYTES, Part};
use crate::decode;

/// What may stand between values.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// Lines from which the delimiter is guessed.
const LINES: usize = 10;

pub(super) fn workbook(bytes: &[u8]) -> Result<Vec<Part>, String> {
    Archive::open(bytes)?.fits()?;
    let mut book: Xlsx<_> =
        Xlsx::new(Cursor::new(bytes)).map_err(|error| format!("it is damaged: {error}"))?;
    let mut parts = Vec::new();
    let sheets: Vec<String> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.visible == calamine::SheetVisible::Visible)
        .map(|sheet| sheet.name.clone())
        .collect();
    for name in sheets {
        // a sheet may be a drawing
        let Ok(mut cells) = book.worksheet_cells_reader(&name) else {
            continue;
        };
        let mut table = Table::guessed();
        let mut row: (u32, Vec<String>) = (0, Vec::new());
        let mut said = 0;
        while let Some(cell) = cells
            .next_cell()
            .map_err(|error| format!("sheet {name} is damaged: {error}"))?
        {
            let (number, column) = cell.get_position();
            if number != row.0 {
                // rows are sparse: a far one means that there is nothing in between
                if !row.1.is_empty() {
                    table.row(std::mem::take(&mut row.1));
                }
                if number > row.0.saturating_add(1) {
                    table.row(Vec::new());
                }
                row.0 = number;
            }
            let column = column as usize;
            let text = value(cell.get_value());
            said += text.len();
            if column < MAX_COLUMNS && !text.is_empty() {
                row.1.resize(row.1.len().max(column + 1), String::new());
                if let Some(cell) = row.1.get_mut(column) {
                    *cell = text;
                }
            }
            if said > MAX_TEXT_BYTES {
                break;
            }
        }
        table.row(row.1);
        parts.push(Part {
            page: Some(name),
            blocks: table.finish(),
        });
    }
    Ok(parts)
}

fn value(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => rounded(*number),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(true) => "yes".into(),
        DataRef::Bool(false) => "no".into(),
        DataRef::DateTime(time) => date(*time),
        DataRef::Error(_) | DataRef::Empty => String::new(),
    }
}

/// 0.1 + 0.2 is kept as 0.30000000000000004 and shown as 0.3: a sheet shows at most 11 digits.
fn rounded(number: f64) -> String {
    let text = format!("{number:.10}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.to_owned()
    }
}

fn date(time: ExcelDateTime) -> String {
    let serial = time.as_f64();
    let (year, month, day, hours, minutes, ..) = time.to_ymd_hms_milli();
    let clock = format!("{hours:02}:{minutes:02}");
    if time.is_duration() {
        let minutes = (serial * 24.0 * 60.0).round();
        return format!("{}:{:02}", (minutes / 60.0).trunc(), (minutes % 60.0).abs());
    }
    match serial {
        // a time without a day
        ..1.0 => clock,
        _ if serial.fract() == 0.0 => format!("{year}-{month:02}-{day:02}"),
        _ => format!("{year}-{month:02}-{day:02} {clock}"),
    }
}

pub(super) fn separated(bytes: &[u8]) -> Result<Vec<Part>, String> {
    let text = decode::text(bytes, false)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&text))
        .from_reader(text.as_bytes());
    let mut table = Table::guessed();
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        table.row(row.iter().take(MAX_COLUMNS).map(str::to_owned).collect());
    }
    Ok(vec![Part {
        page: None,
        blocks: table.finish(),
    }])
}

/// The one that parts the first lines into as many values each, and into most.
fn delimiter(text: &str) -> u8 {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(LINES)
        .collect();
    let fits = |delimiter: u8| {
        let counts = lines.iter().map(|line| {
            let mut quoted = false;
            let is_outside = |byte: &u8| {
                quoted ^= *byte == b'"';
                *byte == delimiter && !quoted
            };
            line.bytes().filter(is_outside).count()
        });
        let counts: Vec<usize> = counts.collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        let same = counts.iter().filter(|count| **count == most).count();
        if most == 0 { (0, 0) } else { (same, most) }
    };
    DELIMITERS
        .into_iter()
        .rev()
        .max_by_key(|delimiter| fits(*delimiter))
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::texts;
    use super::*;

    fn read(text: &str) -> Vec<String> {
        texts(&separated(text.as_bytes()).unwrap())
    }

    #[test]
    fn values_are_told_apart_whatever_stands_between_them() {
        for text in [
            "Doctor,Field,Room\nAna Ruiz,\"eyes, ears\",7\n",
            "Doctor;Field;Room\r\nAna Ruiz;eyes, ears;7\r\n",
            "Doctor\tField\tRoom\nAna Ruiz\teyes, ears\t7",
            "\u{feff}Doctor|Field|Room\nAna Ruiz|eyes, ears|7\n\n",
        ] {
            assert_eq!(
                read(text),
                ["Doctor: Ana Ruiz; Field: eyes, ears; Room: 7"],
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_are_said_as_a_sheet_shows_them() {
        let said = [0.1 + 0.2, 35.0, -0.0, 1_234.5, 1e-12].map(rounded);
        assert_eq!(said, ["0.3", "35", "0", "1234.5", "0"]);
    }
}
