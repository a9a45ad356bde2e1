//! JSON: objects of a list are rows, everything else is a line that begins with where it stands.

use serde_json::{Map, Value};

use super::{Block, MAX_TEXT_BYTES, Part, squeezed};
use crate::decode;

pub(super) fn json(bytes: &[u8]) -> Result<Vec<Part>, String> {
    let text = decode::text(bytes, false)?;
    let value = serde_json::from_str(&text).map_err(|error| format!("it is no JSON: {error}"))?;
    let mut said = Said::default();
    said.value("", &value);
    Ok(said.parts())
}

/// One value on each line; a line that is none is an error.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<Part>, String> {
    let text = decode::text(bytes, false)?;
    let mut said = Said::default();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let value = serde_json::from_str(line)
            .map_err(|error| format!("line {} is no JSON: {error}", number + 1))?;
        said.value("", &value);
    }
    Ok(said.parts())
}

/// The text of a single value.
fn single(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(squeezed(text)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(values) => {
            let all: Option<Vec<String>> = values
                .iter()
                .map(|value| {
                    if value.is_array() {
                        None
                    } else {
                        single(value)
                    }
                })
                .collect();
            Some(all?.join(", "))
        }
        Value::Object(_) => None,
    }
}

#[derive(Default)]
struct Said {
    blocks: Vec<Block>,
    bytes: usize,
}

impl Said {
    fn parts(self) -> Vec<Part> {
        vec![Part {
            page: None,
            blocks: self.blocks,
        }]
    }

    /// A path is said before each of many lines: it may not make a document many times as large.
    fn push(&mut self, block: Block) {
        self.bytes += block.text().len();
        if self.bytes <= MAX_TEXT_BYTES {
            self.blocks.push(block);
        }
    }

    fn value(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(object) => self.object(path, object),
            Value::Array(values) if single(value).is_none() => {
                for value in values {
                    self.value(path, value);
                }
            }
            _ => {
                let text = single(value).unwrap_or_default();
                if !text.is_empty() {
                    self.push(Block::Line(below(path, &text)));
                }
            }
        }
    }

    /// Its single values in one row, then what is inside it.
    fn object(&mut self, path: &str, object: &Map<String, Value>) {
        let flat: Vec<String> = object
            .iter()
            .filter_map(|(key, value)| Some((key, single(value)?)))
            .filter(|(_, text)| !text.is_empty())
            .map(|(key, text)| format!("{}: {text}", words(key)))
            .collect();
        if !flat.is_empty() {
            self.push(Block::Row(below(path, &flat.join("; "))));
        }
        let inner = object.iter().filter(|(_, value)| single(value).is_none());
        for (key, value) in inner {
            let key = words(key);
            let path = if path.is_empty() {
                key
            } else {
                format!("{path}, {key}")
            };
            if self.bytes <= MAX_TEXT_BYTES {
                self.value(&path, value);
            }
        }
    }
}

fn below(path: &str, text: &str) -> String {
    if path.is_empty() {
        text.to_owned()
    } else {
        format!("{path}: {text}")
    }
}

/// `opening_hours` as it is said.
fn words(key: &str) -> String {
    squeezed(&key.replace(['_', '-'], " "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::texts;
    use super::*;

    fn read(text: &str) -> Vec<String> {
        texts(&json(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_stands_in_json_says_where_it_stands() {
        let text = r#"{"name": "Salon", "opening_hours": {"monday": "9-17", "sunday": null}, "tags": ["cut", "colour"],
            "prices": [{"service": "Cut", "price": 35}, {"service": "Colour", "price": 80, "by": {"who": "Ana"}}]}"#;
        assert_eq!(
            read(text),
            [
                "name: Salon; tags: cut, colour",
                "opening hours: monday: 9-17",
                "prices: service: Cut; price: 35",
                "prices: service: Colour; price: 80",
                "prices, by: who: Ana"
            ]
        );
    }

    #[test]
    fn json_that_is_nested_without_end_is_refused_and_long_paths_are_not_repeated_without_end() {
        assert!(json("[".repeat(100_000).as_bytes()).is_err());
        let key = "k".repeat(1_000_000);
        let many = format!(
            "{{\"{key}\": [{}{{\"a\": 1}}]}}",
            "{\"a\": 1}, ".repeat(1_000)
        );
        let parts = json(many.as_bytes()).unwrap();
        assert!(parts.first().unwrap().text().len() <= MAX_TEXT_BYTES);
    }
}
