//! `index_store.json`: which indexes a storage directory has, and of which nodes each consists.

use rustc_hash::FxHashSet;
use serde_json::Value;

use super::json::without_nan;

/// An index of a storage directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexStruct {
    /// Its id.
    pub id: String,
    /// Its kind: `vector_store`, `list` and so on.
    pub kind: String,
    /// The nodes that it consists of; `None`: it has none that could be read, as a graph.
    pub nodes: Option<FxHashSet<String>>,
}

/// The indexes of an `index_store.json`.
///
/// # Errors
/// Not JSON, in words.
pub fn indexes(index_store: &str) -> Result<Vec<IndexStruct>, String> {
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
                Some(Value::String(text)) => json(text)?,
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
fn nodes_of(kind: &str, data: &Value) -> Option<FxHashSet<String>> {
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

/// Nesting is limited by serde_json to 128.
fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(&without_nan(text)).map_err(|error| format!("it is not JSON: {error}"))
}
