//! `tracing` knows numbers and texts. A field that holds JSON would be a text inside JSON, which no log pipeline looks into.

use serde_json::Value;

use crate::lines::Lines;

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

/// Writes JSON lines with JSON in them.
pub(crate) fn nesting<W>(out: W) -> Lines<W> {
    Lines {
        out,
        change: nested,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_a_call_has_used_is_json_inside_the_json_line() {
        let line = r#"{"level":"INFO","message":"used","usage":"{\"llm_requests\":2}"}"#;
        let mut written = Vec::new();
        nesting(&mut written).write_all(line.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "{\"level\":\"INFO\",\"message\":\"used\",\"usage\":{\"llm_requests\":2}}\n"
        );
    }

    #[test]
    fn other_lines_are_written_as_they_are() {
        let line = "{\"message\":\"the usage\",\"n\":1}\n";
        let mut written = Vec::new();
        nesting(&mut written).write_all(line.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), line);
    }
}
