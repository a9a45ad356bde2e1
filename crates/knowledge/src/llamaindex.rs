//! A directory written by LlamaIndex's `storage_context.persist` (0.9 to 0.14), read as it is: `docstore.json` has the words,
//! `index_store.json` says which nodes an index consists of. A deleted document stays in the docstore and is in no index.
//! Vectors are another retriever's business.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::chunk::Chunk;
use crate::decode;
use crate::error::KnowledgeError;

/// Largest docstore: about 100,000 nodes.
pub const MAX_DOCSTORE_BYTES: u64 = 1 << 30;
/// Indexes that are named when one must be chosen.
const NAMED_INDEXES: usize = 20;

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

/// An index of a storage directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexStruct {
    /// Its id.
    pub id: String,
    /// Its kind: `vector_store`, `list` and so on.
    pub kind: String,
    /// The nodes that it consists of; `None`: it has none that could be read, as a graph.
    pub nodes: Option<HashSet<String>>,
}

/// Is this a persisted index?
pub fn is_index(folder: &Path) -> bool {
    folder.join("docstore.json").is_file() && folder.join("index_store.json").is_file()
}

/// Read the nodes of an index in the docstore's order; `index_id` chooses it where there are several. What is missing or of an
/// unknown kind becomes a warning. A store without an index is read whole, as `BM25Retriever` reads a docstore, and a warning says
/// that what was deleted is read too.
///
/// # Errors
/// [`KnowledgeError::Index`] when a file is unreadable, [`KnowledgeError::WhichIndex`] when one must be chosen,
/// [`KnowledgeError::NoSuchIndex`] and [`KnowledgeError::NoIndex`] when the one that is named is not there,
/// [`KnowledgeError::Foreign`] when the index has no words of its own.
pub fn load(
    folder: &Path,
    index_id: Option<&str>,
) -> Result<(Vec<Node>, Vec<String>), KnowledgeError> {
    let indexes = read(&folder.join("index_store.json"), indexes)?;
    let index = choose(folder, &indexes, index_id)?;
    let (mut nodes, mut warnings) = read(&folder.join("docstore.json"), parse)?;
    let foreign = |what: String, advice: &str| KnowledgeError::Foreign {
        path: folder.into(),
        what,
        advice: advice.to_owned(),
    };
    if let Some(index) = index {
        let Some(own) = &index.nodes else {
            return Err(foreign(
                format!(
                    "a LlamaIndex storage directory whose index `{}` is of kind `{}`, which has no text nodes to search",
                    index.id, index.kind
                ),
                "Make a VectorStoreIndex or SummaryIndex of the same documents and persist it, or point to the documents themselves",
            ));
        };
        nodes.retain(|node| own.contains(&node.id));
        warnings.extend(missing(index, own.len().saturating_sub(nodes.len())));
    } else if !nodes.is_empty() {
        warnings.push(format!(
            "index_store.json names no index, so all {} nodes of docstore.json are read, those of deleted documents too: if there were \
             deletions, make the index again from what is left and persist it",
            nodes.len()
        ));
    }
    if nodes.is_empty() && warnings.is_empty() {
        let graph = folder.join("property_graph_store.json");
        let has_graph = fs::metadata(graph).is_ok_and(|file| file.len() > 100);
        return Err(match (index, has_graph) {
            (None, true) => foreign(
                "a LlamaIndex storage directory with a property graph and nothing else, and graphs are not searched".to_owned(),
                "Make a VectorStoreIndex or SummaryIndex of the same documents and persist it, or point to the documents themselves",
            ),
            _ => foreign(
                "a LlamaIndex storage directory without a node".to_owned(),
                "If its words are in a vector database, make the index with `store_nodes_override=True` and persist it again, or point to the documents themselves",
            ),
        });
    }
    Ok((nodes, warnings))
}

/// The index that is meant; `None`: there is none, and none was asked for.
fn choose<'a>(
    folder: &Path,
    indexes: &'a [IndexStruct],
    index_id: Option<&str>,
) -> Result<Option<&'a IndexStruct>, KnowledgeError> {
    let ids = || {
        let names = indexes.iter().take(NAMED_INDEXES);
        names
            .map(|index| format!("`{}` ({})", index.id, index.kind))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let path = || folder.to_path_buf();
    match (index_id, indexes) {
        (None, []) => Ok(None),
        (None, [only]) => Ok(Some(only)),
        (None, several) => Err(KnowledgeError::WhichIndex {
            path: path(),
            count: several.len(),
            ids: ids(),
        }),
        (Some(asked), []) => Err(KnowledgeError::NoIndex {
            path: path(),
            asked: asked.to_owned(),
        }),
        (Some(asked), indexes) => indexes
            .iter()
            .find(|index| index.id == asked)
            .map(Some)
            .ok_or_else(|| KnowledgeError::NoSuchIndex {
                path: path(),
                asked: asked.to_owned(),
                ids: ids(),
            }),
    }
}

fn missing(index: &IndexStruct, count: usize) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{count} nodes of the index `{}` have no words in docstore.json and are left out",
            index.id
        )
    })
}

fn read<T>(path: &Path, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, KnowledgeError> {
    let failed = |reason: String| KnowledgeError::Index {
        path: path.into(),
        reason,
    };
    let size = fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if size > MAX_DOCSTORE_BYTES {
        return Err(failed(format!(
            "it has {size} bytes, more than {MAX_DOCSTORE_BYTES}"
        )));
    }
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    parse(&bytes).map_err(failed)
}

/// JSON as Python writes it, also behind a byte-order mark. Nesting is limited by serde_json to 128.
fn json(bytes: &[u8]) -> Result<Value, String> {
    let text = decode::text(bytes, false)?;
    serde_json::from_str(&without_nan(&text)).map_err(|error| format!("it is not JSON: {error}"))
}

/// The indexes of an `index_store.json`.
///
/// # Errors
/// Not JSON, in words.
pub fn indexes(index_store: &[u8]) -> Result<Vec<IndexStruct>, String> {
    let root = json(index_store)?;
    let entries = root.get("index_store/data").and_then(Value::as_object);
    entries
        .into_iter()
        .flatten()
        .map(|(id, entry)| {
            let kind = entry
                .get("__type__")
                .and_then(Value::as_str)
                .unwrap_or_default();
            // a string that holds JSON; an object would mean the same
            let data = match entry.get("__data__") {
                Some(Value::String(text)) => json(text.as_bytes())?,
                Some(data) => data.clone(),
                None => Value::Null,
            };
            Ok(IndexStruct {
                id: id.clone(),
                kind: kind.to_owned(),
                nodes: nodes_of(kind, &data),
            })
        })
        .collect()
}

/// The ids of an index's nodes, wherever its kind has them.
fn nodes_of(kind: &str, data: &Value) -> Option<HashSet<String>> {
    let field = |name: &str| data.get(name).into_iter().flat_map(strings).collect();
    match kind {
        "list" => Some(field("nodes")),
        "tree" => Some(field("all_nodes")),
        "keyword_table" | "kg" => Some(field("table")),
        "document_summary" => Some(field("summary_id_to_node_ids")),
        "simple_lpg" | "empty" | "composite" | "sql" | "pandas" => None,
        // a vector index, whatever the database it was made for
        _ => data.get("nodes_dict").map(|nodes| strings(nodes).collect()),
    }
}

/// All strings among the values of an object or a list, and of lists in it.
fn strings(value: &Value) -> Box<dyn Iterator<Item = String> + '_> {
    match value {
        Value::String(text) => Box::new(std::iter::once(text.clone())),
        Value::Array(items) => Box::new(items.iter().flat_map(strings)),
        Value::Object(map) => Box::new(map.values().flat_map(strings)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Box::new(std::iter::empty()),
    }
}

/// The nodes of a docstore.
///
/// # Errors
/// Not JSON, in words.
pub fn parse(docstore: &[u8]) -> Result<(Vec<Node>, Vec<String>), String> {
    let root = json(docstore)?;
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
            // text, image, index, document, node
            ("1" | "2" | "3" | "4" | "5", Some(data)) => nodes.extend(node(id, data)),
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
