//! `default__vector_store.json`: the vectors of `SimpleVectorStore` by node.

use std::fs;
use std::path::Path;

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use super::json::{Cursor, without_nan};
use crate::vectors::{MAX_DIMENSIONS, Vectors};

/// Vectors with the ids of their nodes, in the order in which they were stored.
#[derive(Clone, Debug, Default)]
pub struct VectorStore {
    /// The nodes' ids.
    pub ids: Vec<String>,
    /// Their vectors.
    pub vectors: Vectors,
    /// Metadata by node, against which filters are judged; empty in stores that were persisted without.
    pub metadata: FxHashMap<String, Map<String, Value>>,
}

/// The vectors of a directory's default store; `None`: it has none. Very old ones have no namespace in their name.
///
/// # Errors
/// The file's name and what is wrong with it.
pub fn load(folder: &Path) -> Result<Option<VectorStore>, (std::path::PathBuf, String)> {
    for name in ["default__vector_store.json", "vector_store.json"] {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let size = fs::metadata(&path).map_or(0, |file| file.len());
        if size > super::MAX_VECTOR_BYTES {
            let reason = format!("it has {size} bytes, more than {}", super::MAX_VECTOR_BYTES);
            return Err((path, reason));
        }
        let text = match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return Err((path, "it is not UTF-8".into())),
            Err(error) => return Err((path, error.to_string())),
        };
        return match parse(&text) {
            Ok(store) => Ok(Some(store).filter(|store| !store.ids.is_empty())),
            Err(reason) => Err((path, reason)),
        };
    }
    Ok(None)
}

/// The vectors in a store's text.
///
/// # Errors
/// Not such a store, or vectors of several widths, in words.
pub fn parse(text: &str) -> Result<VectorStore, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut store = VectorStore::default();
    let mut vector = Vec::new();
    let mut cursor = Cursor::new(text);
    cursor.object(|part, cursor| match part.as_str() {
        "embedding_dict" => cursor.object(|id, cursor| {
            vector.clear();
            cursor.numbers(&mut vector)?;
            if store.ids.is_empty() {
                if vector.len() > MAX_DIMENSIONS {
                    return Err(format!("a vector has {} numbers, more than {MAX_DIMENSIONS}", vector.len()));
                }
                store.vectors = Vectors::new(vector.len());
            }
            if vector.len() != store.vectors.dimensions() {
                return Err(format!(
                    "the vector of node {id} has {} numbers, others have {}: they are of two models",
                    vector.len(),
                    store.vectors.dimensions()
                ));
            }
            store.vectors.push(&vector);
            store.ids.push(id);
            Ok(())
        }),
        "metadata_dict" => cursor.object(|id, cursor| {
            let value = cursor.value()?;
            let metadata = serde_json::from_str(&without_nan(value))
                .map_err(|error| format!("the metadata of node {id} are not JSON: {error}"))?;
            store.metadata.insert(id, metadata);
            Ok(())
        }),
        _ => Ok(()),
    })?;
    cursor.end()?;
    Ok(store)
}
