//! Log lines that are changed on their way out.

use std::io::{self, Write};

/// Writes lines, changed where `change` gives another one. Every `write` is a whole line, as `tracing_subscriber` gives it.
pub(crate) struct Lines<W> {
    pub(crate) out: W,
    /// The line in another form; `None`: it stays as it is.
    pub(crate) change: fn(&str) -> Option<String>,
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match (self.change)(&String::from_utf8_lossy(line)) {
            Some(text) => self.out.write_all(text.as_bytes())?,
            None => self.out.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
