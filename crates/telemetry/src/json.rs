//! `tracing` knows numbers and texts. A field that holds JSON would be a text inside JSON, which no log pipeline looks into.

use std::io::{self, Write};

use serde_json::Value;

/// Fields whose text is JSON.
const JSON_FIELDS: [&str; 1] = ["usage"];

/// The line with such fields as what they are; `None`: there is none in it.
fn nested(line: &str) -> Option<String> {
    let is_there = |name: &str| line.contains(&format!("\"{name}\":\"{{"));
    JSON_FIELDS.into_iter().find(|name| is_there(name))?;
    let mut fields: Value = serde_json::from_str(line).ok()?;
    for name in JSON_FIELDS {
        let value = fields.get(name).and_then(Value::as_str);
        if let Some(value) = value.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            *fields.get_mut(name)? = value;
        }
    }
    Some(format!("{fields}\n"))
}

/// Writes JSON lines with JSON in them. Every `write` is a whole line, as `tracing_subscriber` gives it.
pub(crate) struct Nested<W>(pub(crate) W);

impl<W: Write> Write for Nested<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line).ok().and_then(nested) {
            Some(text) => self.0.write_all(text.as_bytes())?,
            None => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_has_used_is_json_inside_the_json_line() {
        let line = r#"{"level":"INFO","message":"used","usage":"{\"llm_requests\":2}"}"#;
        let mut written = Vec::new();
        Nested(&mut written).write_all(line.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "{\"level\":\"INFO\",\"message\":\"used\",\"usage\":{\"llm_requests\":2}}\n"
        );
    }

    #[test]
    fn other_lines_are_written_as_they_are() {
        let line = "{\"message\":\"the usage\",\"n\":1}\n";
        let mut written = Vec::new();
        Nested(&mut written).write_all(line.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), line);
    }
}
