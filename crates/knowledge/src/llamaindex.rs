//! A directory written by LlamaIndex's `storage_context.persist` (0.9 to 0.14), read as it is. Only `docstore.json` is
//! needed for the words; vectors are another retriever's business.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::chunk::Chunk;
use crate::error::KnowledgeError;

/// Largest docstore: about 100,000 nodes.
pub const MAX_DOCSTORE_BYTES: u64 = 1 << 30;

/// A node: what the ranking reads and what the model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Text with the metadata meant for embedding.
    pub embed_text: String,
    /// Text with the metadata meant for the model, and the source.
    pub chunk: Chunk,
}

/// Is this a persisted index?
pub fn is_index(folder: &Path) -> bool {
    folder.join("docstore.json").is_file() && folder.join("index_store.json").is_file()
}

/// Read its nodes in their order; unknown kinds become warnings.
///
/// # Errors
/// [`KnowledgeError::Index`] when the docstore is unreadable.
pub fn load(folder: &Path) -> Result<(Vec<Node>, Vec<String>), KnowledgeError> {
    let path = folder.join("docstore.json");
    let failed = |reason: String| KnowledgeError::Index {
        path: path.clone(),
        reason,
    };
    let size = fs::metadata(&path)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if size > MAX_DOCSTORE_BYTES {
        return Err(failed(format!(
            "it has {size} bytes, more than {MAX_DOCSTORE_BYTES}"
        )));
    }
    let bytes = fs::read(&path).map_err(|error| failed(error.to_string()))?;
    parse(&bytes).map_err(failed)
}

/// The nodes of a docstore. Nesting is limited by serde_json to 128.
///
/// # Errors
/// Not JSON, in words.
pub fn parse(docstore: &[u8]) -> Result<(Vec<Node>, Vec<String>), String> {
    let text = String::from_utf8_lossy(docstore);
    let root: Value = serde_json::from_str(&without_nan(&text))
        .map_err(|error| format!("it is not JSON: {error}"))?;
    let mut nodes = Vec::new();
    let mut warnings = Vec::new();
    for (id, entry) in root
        .get("docstore/data")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let kind = entry
            .get("__type__")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let data = entry.get("__data__").and_then(Value::as_object);
        match (kind, data) {
            // kind 4 is a whole Document kept beside its nodes; its words are in the nodes already
            ("4", _) => {}
            ("1" | "2" | "3" | "5", Some(data)) => nodes.extend(node(id, data)),
            _ => warnings.push(format!("node {id} of unknown kind `{kind}` is left out")),
        }
    }
    Ok((nodes, warnings))
}

fn node(id: &str, data: &Map<String, Value>) -> Option<Node> {
    let text = text_of(data)?;
    let empty = Map::new();
    let metadata = data
        .get("metadata")
        .or_else(|| data.get("extra_info"))
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let source = ["file_name", "title", "url", "source", "file_path"]
        .iter()
        .find_map(|key| metadata.get(*key)?.as_str());
    let source = source.map_or_else(
        || id.to_owned(),
        |source| source.rsplit('/').next().unwrap_or(source).to_owned(),
    );
    Some(Node {
        id: id.to_owned(),
        embed_text: with_metadata(data, metadata, text, "excluded_embed_metadata_keys"),
        chunk: Chunk {
            text: with_metadata(data, metadata, text, "excluded_llm_metadata_keys"),
            source,
        },
    })
}

fn text_of(data: &Map<String, Value>) -> Option<&str> {
    let own = data.get("text").and_then(Value::as_str);
    own.or_else(|| data.get("text_resource")?.get("text")?.as_str())
        .filter(|text| !text.trim().is_empty())
}

fn with_metadata(
    data: &Map<String, Value>,
    metadata: &Map<String, Value>,
    text: &str,
    excluded: &str,
) -> String {
    let string = |key: &str, default: &'static str| {
        data.get(key)
            .and_then(Value::as_str)
            .unwrap_or(default)
            .to_owned()
    };
    let excluded: Vec<&str> = data
        .get(excluded)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let template = string("metadata_template", "{key}: {value}");
    let separator = match data.get("metadata_separator") {
        Some(Value::String(separator)) => separator.clone(),
        _ => string("metadata_seperator", "\n"),
    };
    let lines: Vec<String> = metadata
        .iter()
        .filter(|(key, _)| !excluded.contains(&key.as_str()))
        .map(|(key, value)| {
            fill(
                &template,
                &[("{key}", key), ("{value}", &python_str(value))],
            )
        })
        .collect();
    let metadata = lines.join(&separator);
    let metadata = metadata.trim();
    if metadata.is_empty() {
        return text.to_owned();
    }
    let template = string("text_template", "{metadata_str}\n\n{content}");
    fill(
        &template,
        &[("{metadata_str}", metadata), ("{content}", text)],
    )
    .trim()
    .to_owned()
}

/// A template filled in one pass, so that braces in a value stay what they are.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        if let Some((after, value)) = values
            .iter()
            .find_map(|(name, value)| Some((rest.strip_prefix(name)?, value)))
        {
            out.push_str(value);
            rest = after;
        } else {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// Python's `str` of a JSON value.
fn python_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => python_repr(other),
    }
}

fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let quote = if text.contains('\'') && !text.contains('"') {
                '"'
            } else {
                '\''
            };
            let mut body = text
                .replace('\\', "\\\\")
                .replace('\n', "\\n")
                .replace('\r', "\\r")
                .replace('\t', "\\t");
            if quote == '\'' {
                body = body.replace('\'', "\\'");
            }
            format!("{quote}{body}{quote}")
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(python_repr).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                format!(
                    "{}: {}",
                    python_repr(&Value::String(key.clone())),
                    python_repr(value)
                )
            };
            format!(
                "{{{}}}",
                map.iter().map(entry).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// Python writes NaN and Infinity outside strings; JSON has no such words.
fn without_nan(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"]
            .into_iter()
            .find(|word| !in_string && rest.starts_with(word));
        if let Some(word) = word {
            out.push_str("null");
            rest = rest.get(word.len()..).unwrap_or_default();
            continue;
        }
        let mut taken = c.len_utf8();
        match c {
            '"' => in_string = !in_string,
            '\\' if in_string => taken += rest.chars().nth(1).map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(rest.get(..taken).unwrap_or_default());
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}
