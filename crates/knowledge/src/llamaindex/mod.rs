//! A directory written by LlamaIndex's `storage_context.persist` (0.9 to 0.14), read as it is: `docstore.json` has the words,
//! `index_store.json` says which nodes an index consists of, `default__vector_store.json` has their vectors. A deleted document stays in
//! the docstore and is in no index.
//!
//! | module | what |
//! |---|---|
//! | [`node`] | nodes, their texts and hashes |
//! | [`index`] | which index consists of which nodes |
//! | [`vector_store`] | the vectors |
//! | [`query`] | a vector index asked as Python asks it |
//! | [`write`] | the directory written, and kept current |
//! | [`python`] | values as Python prints them |
//! | `json` | JSON as Python writes it, without a tree |

mod document;
pub mod index;
mod json;
pub mod node;
pub mod python;
pub mod query;
pub mod vector_store;
pub mod write;

use std::fs;
use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};

pub use self::index::{IndexStruct, indexes};
pub use self::node::{MetadataMode, Node};
pub use self::vector_store::VectorStore;
use crate::decode;
use crate::error::KnowledgeError;

/// Largest docstore, about 500,000 nodes, and largest other store but that of vectors.
pub const MAX_DOCSTORE_BYTES: u64 = 1 << 30;
/// Largest store of vectors: 100,000 of 3,072 numbers take 7 GB as Python writes them, and less than half of that while they are read
/// is too much for a machine that takes calls.
pub const MAX_VECTOR_BYTES: u64 = 8 << 30;
/// Indexes that are named when one must be chosen.
const NAMED_INDEXES: usize = 20;

/// What a storage directory holds of one index.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    /// The index's nodes that have words, in the docstore's order.
    pub nodes: Vec<Node>,
    /// Nodes of the docstore that are in no index but that one of these is a part of, by id.
    pub around: FxHashMap<String, Node>,
    /// The directory's vectors.
    pub vectors: Option<VectorStore>,
    /// What is missing or could not be read.
    pub warnings: Vec<String>,
}

/// Is this a persisted index?
pub fn is_index(folder: &Path) -> bool {
    folder.join("docstore.json").is_file() && folder.join("index_store.json").is_file()
}

/// Read an index; `index_id` chooses it where there are several. What is missing or of an unknown kind becomes a warning. A store
/// without an index is read whole, as `BM25Retriever` reads a docstore, and a warning says that what was deleted is read too.
///
/// # Errors
/// [`KnowledgeError::Index`] when a file is unreadable, [`KnowledgeError::WhichIndex`] when one must be chosen,
/// [`KnowledgeError::NoSuchIndex`] and [`KnowledgeError::NoIndex`] when the one that is named is not there,
/// [`KnowledgeError::Foreign`] when the index has no words of its own.
pub fn load(folder: &Path, index_id: Option<&str>) -> Result<Storage, KnowledgeError> {
    let mut storage = load_words(folder, index_id)?;
    storage.vectors = load_vectors(folder)?;
    Ok(storage)
}

/// The vectors of a storage directory, whichever of its nodes they are of.
pub(crate) fn load_vectors(folder: &Path) -> Result<Option<VectorStore>, KnowledgeError> {
    vector_store::load(folder).map_err(|(path, reason)| KnowledgeError::Index { path, reason })
}

/// All but the vectors.
pub(crate) fn load_words(folder: &Path, index_id: Option<&str>) -> Result<Storage, KnowledgeError> {
    let indexes = read(&folder.join("index_store.json"), indexes)?;
    let index = choose(folder, &indexes, index_id)?;
    let (all, mut warnings) = read(&folder.join("docstore.json"), node::parse)?;
    let foreign = |what: String, advice: &str| KnowledgeError::Foreign {
        path: folder.into(),
        what,
        advice: advice.to_owned(),
    };
    let graph = |all: Vec<Node>| match all.is_empty() {
        true => graph_chunks(folder),
        false => Ok(all),
    };
    let mut storage = Storage::default();
    if let Some(index) = index {
        match (&index.nodes, index.kind.as_str()) {
            (Some(own), _) => {
                storage = of_index(all, own);
                warnings.extend(missing(
                    index,
                    own.len().saturating_sub(storage.nodes.len()),
                ));
            }
            (None, "simple_lpg") => storage.nodes = graph(all)?,
            (None, _) => {}
        }
        if index.nodes.is_none() && storage.nodes.is_empty() {
            return Err(foreign(
                format!(
                    "a LlamaIndex storage directory whose index `{}` is of kind `{}`, which has no text nodes to search",
                    index.id, index.kind
                ),
                "Make a VectorStoreIndex or SummaryIndex of the same documents and persist it, or point to the documents themselves",
            ));
        }
    } else if all.iter().any(has_words) {
        storage.nodes = all;
        warnings.push(format!(
            "index_store.json names no index, so all {} nodes of docstore.json are read, those of deleted documents too: if there were \
             deletions, make the index again from what is left and persist it",
            storage.nodes.len()
        ));
    } else {
        storage.nodes = graph_chunks(folder)?;
    }
    storage.nodes.retain(has_words);
    if storage.nodes.is_empty() && warnings.is_empty() {
        let has_graph = fs::metadata(folder.join(GRAPH)).is_ok_and(|file| file.len() > 100);
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
    storage.warnings = warnings;
    Ok(storage)
}

const GRAPH: &str = "property_graph_store.json";

/// The nodes of an index, and those that they are parts of.
fn of_index(all: Vec<Node>, own: &FxHashSet<String>) -> Storage {
    let (nodes, others): (Vec<Node>, Vec<Node>) =
        all.into_iter().partition(|node| own.contains(&node.id));
    let others = others.into_iter().filter(|node| !node.children.is_empty());
    Storage {
        nodes: nodes.into_iter().filter(has_words).collect(),
        around: others.map(|node| (node.id.clone(), node)).collect(),
        ..Storage::default()
    }
}

fn has_words(node: &Node) -> bool {
    !node.text.trim().is_empty()
}

/// The pieces of text in a property graph; its entities and relations are not searched.
fn graph_chunks(folder: &Path) -> Result<Vec<Node>, KnowledgeError> {
    let path = folder.join(GRAPH);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    // a graph of another kind has no such pieces, and is told apart by what is said of the directory
    read(&path, |store| Ok(node::of_graph(store).unwrap_or_default()))
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

/// A store's text, and what `parse` makes of it.
fn read<T>(path: &Path, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, KnowledgeError> {
    let failed = |reason: String| KnowledgeError::Index {
        path: PathBuf::from(path),
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
    let text = decoded(bytes).map_err(failed)?;
    parse(&text).map_err(failed)
}

/// Text in whatever encoding it was saved, without its byte-order mark; UTF-8 is not copied.
fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    match String::from_utf8(bytes) {
        Ok(text) if !text.starts_with('\u{feff}') => Ok(text),
        Ok(text) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
        Err(error) => decode::text(error.as_bytes(), false),
    }
}

/// The nodes of a docstore that have words.
///
/// # Errors
/// Not JSON, in words.
pub fn parse(docstore: &[u8]) -> Result<(Vec<Node>, Vec<String>), String> {
    let (mut nodes, warnings) = node::parse(&decoded(docstore.to_vec())?)?;
    nodes.retain(has_words);
    Ok((nodes, warnings))
}
