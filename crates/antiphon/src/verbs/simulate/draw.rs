//! A conversation drawn with characters: time from left to right, a lane for everybody who takes part.
//!
//! ```text
//!          0s        1s        2s        3s
//! caller        [Until when are you open──]
//! agent                                        [Until ten o'clock.──]
//! llm                                  [··Until ten o'clock.]
//! ```
//!
//! `[` begins, `]` ends, `×` is cut off, `!` fails, `·` waits for the first word or sound, `┄` is held, `»` is typed.

use antiphon_dialogue::Instant;
use antiphon_scenario::{Ended, Lane, Span};

use crate::verbs::terminal::Look;

/// Columns of the lanes' names.
const NAMES: usize = 8;
/// Columns between the marks of the ruler.
const MARK: usize = 10;
/// Microseconds that one column may stand for.
const STEPS: [u64; 9] = [
    50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 60_000_000,
];
/// A conversation is broken into this many pieces before time is squeezed.
const MAX_BANDS: u64 = 4;
/// Rows of one lane: speculative requests and parallel tools lie beside each other. More are left out.
const MAX_ROWS: usize = 4;
/// Columns of the longest drawing, whatever the conversation.
const MAX_COLUMNS: usize = 20_000;

/// The drawing, without a line end.
pub(crate) fn draw(spans: &[Span], look: &Look) -> String {
    // whole marks, so that none is cut
    let columns = (look.width.saturating_sub(NAMES + 1) / MARK).max(1) * MARK;
    let last = spans
        .iter()
        .map(|span| span.to.unwrap_or(span.from).as_micros())
        .max()
        .unwrap_or(0);
    let step = STEPS
        .into_iter()
        .find(|step| last / step < columns as u64 * MAX_BANDS)
        .unwrap_or(last / (columns as u64 * MAX_BANDS) + 1);
    let typed = spans.iter().filter(|span| span.to == Some(span.from));
    let words = typed
        .map(|span| span.from.as_micros() / step + span.text.chars().count() as u64)
        .max();
    let last = (last / step).max(words.unwrap_or(0));
    let total = usize::try_from(last).unwrap_or(MAX_COLUMNS) + 2;
    let grid = Grid {
        step,
        total: total.min(MAX_COLUMNS),
    };
    let lanes: Vec<(Lane, Vec<Vec<char>>)> = Lane::ALL
        .into_iter()
        .map(|lane| {
            (
                lane,
                grid.rows(spans.iter().filter(|span| span.lane == lane)),
            )
        })
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let ruler = grid.ruler();
    let mut lines = Vec::new();
    for from in (0..grid.total).step_by(columns) {
        let part = |row: &[char]| -> String {
            let part: String = row.iter().skip(from).take(columns).collect();
            part.trim_end().to_owned()
        };
        if from > 0 {
            lines.push(String::new());
        }
        lines.push(format!("{:NAMES$} {}", "", part(&ruler)));
        for (lane, rows) in &lanes {
            for (index, row) in rows.iter().enumerate() {
                let name = if index == 0 { lane.name() } else { "" };
                let row = part(row);
                let speaks = index == 0 && matches!(lane, Lane::Caller | Lane::Agent);
                if row.is_empty() && !speaks {
                    continue;
                }
                let line = format!("{name:NAMES$} {row}");
                lines.push(look.paint(colour(*lane), line.trim_end()));
            }
        }
    }
    lines.join("\n")
}

fn colour(lane: Lane) -> u8 {
    match lane {
        Lane::Caller => 36,
        Lane::Agent => 32,
        Lane::Llm => 35,
        Lane::Tts => 34,
        Lane::Tools => 33,
    }
}

struct Grid {
    /// Microseconds of one column.
    step: u64,
    /// Columns.
    total: usize,
}

impl Grid {
    fn column(&self, at: Instant) -> usize {
        usize::try_from(at.as_micros() / self.step)
            .unwrap_or(usize::MAX)
            .min(self.total.saturating_sub(1))
    }

    fn ruler(&self) -> Vec<char> {
        let mut row = vec![' '; self.total];
        for column in (0..self.total).step_by(MARK) {
            let tenths = column as u64 * self.step / 100_000;
            let label = match tenths % 10 {
                0 => format!("{}s", tenths / 10),
                part => format!("{}.{part}s", tenths / 10),
            };
            write(&mut row, column, self.total, &label);
        }
        row
    }

    /// Spans that lie over each other get rows of their own.
    fn rows<'a>(&self, spans: impl Iterator<Item = &'a Span>) -> Vec<Vec<char>> {
        let mut rows: Vec<(usize, Vec<char>)> = Vec::new();
        let mut spans: Vec<&Span> = spans.collect();
        spans.sort_by_key(|span| span.from);
        for span in spans {
            let from = self.column(span.from);
            let to = self.end(span, from);
            let free = rows.iter().position(|(end, _)| *end <= from);
            let index = free.unwrap_or(rows.len());
            if index >= MAX_ROWS {
                continue;
            }
            if free.is_none() {
                rows.push((0, vec![' '; self.total]));
            }
            if let Some((end, row)) = rows.get_mut(index) {
                self.span(row, span, from, to);
                *end = to;
            }
        }
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// The first column behind it.
    fn end(&self, span: &Span, from: usize) -> usize {
        let text = span.text.chars().count();
        match span.to {
            // typed: its words stand where there is room
            Some(to) if to == span.from => (from + text + 1).min(self.total),
            Some(to) => self.column(to).max(from + 1),
            None => self.total,
        }
    }

    fn span(&self, row: &mut [char], span: &Span, from: usize, to: usize) {
        if span.to == Some(span.from) {
            write(row, from, to, &format!("»{}", span.text));
            return;
        }
        let fill = |row: &mut [char], from: usize, to: usize, glyph: char| {
            let cells = row.iter_mut().take(to).skip(from);
            cells.for_each(|cell| *cell = glyph);
        };
        fill(row, from, to, '─');
        let words = span.first.map_or(from + 1, |first| {
            self.column(first).clamp(from + 1, to.max(from + 1))
        });
        fill(row, from + 1, words.min(to), '·');
        if span.first.is_none() && matches!(span.lane, Lane::Llm | Lane::Tts) {
            fill(row, from + 1, to, '·');
        } else {
            write(row, words, to.saturating_sub(1), &span.text);
        }
        for (held, until) in &span.held {
            let until = until.map_or(to, |until| self.column(until)).min(to);
            fill(row, self.column(*held).max(from + 1), until, '┄');
        }
        let end = match span.ended {
            Ended::Open => '…',
            Ended::Done => ']',
            Ended::Cut => '×',
            Ended::Failed => '!',
        };
        fill(row, from, from + 1, '[');
        if to > from + 1 || span.ended != Ended::Done {
            fill(row, to - 1, to, end);
        } else {
            fill(row, from, to, '|');
        }
    }
}

/// Puts words into a row, as many as fit. What is no single column on a terminal is shown as a dot.
fn write(row: &mut [char], from: usize, to: usize, text: &str) {
    let cells = row.iter_mut().take(to).skip(from);
    for (cell, glyph) in cells.zip(text.chars()) {
        *cell = match glyph {
            glyph if glyph.is_control() => ' ',
            glyph if glyph < '\u{300}' || ('\u{2010}'..'\u{2600}').contains(&glyph) => glyph,
            _ => '·',
        };
    }
}
