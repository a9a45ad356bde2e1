//! How the terminal looks: its width, and whether it shows colours.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

/// Of pipes and files.
const DEFAULT_WIDTH: usize = 100;
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=400;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Colours may be used.
    pub colour: bool,
}

/// Of standard output. `COLUMNS` and `NO_COLOR` are heeded.
pub fn look() -> Look {
    let terminal = std::io::stdout().is_terminal();
    let named = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let width = named
        .or_else(|| terminal.then(asked).flatten())
        .unwrap_or(DEFAULT_WIDTH);
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    Look {
        width: width.clamp(*WIDTHS.start(), *WIDTHS.end()),
        colour: terminal && !no_colour && !dumb,
    }
}

/// Shells do not export `COLUMNS`; `stty` knows it without a line of unsafe code of ours.
fn asked() -> Option<usize> {
    let output = Command::new("stty")
        .arg("size")
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

impl Look {
    /// In green, if colours may be used.
    pub fn green(&self, text: &str) -> String {
        self.paint(32, text)
    }

    /// In red.
    pub fn red(&self, text: &str) -> String {
        self.paint(31, text)
    }

    /// In the colour of this ANSI code.
    pub fn paint(&self, code: u8, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
