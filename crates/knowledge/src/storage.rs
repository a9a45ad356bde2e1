//! An index of LlamaIndex as passages.

use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::base::Embedded;
use crate::error::KnowledgeError;
use crate::family::Family;
use crate::llamaindex::{self, MetadataMode, Node, Storage, VectorStore};
use crate::passages::Passages;
use crate::search::{Index, Text};
use crate::vectors::Vectors;

/// So many passages are embedded again to see whether a model is the one that made an index.
const PROBES: usize = 3;
/// Longer texts are cut by models in ways of their own, and say less.
const MAX_PROBE_CHARS: usize = 2_000;

/// An index, ready to be searched.
pub(crate) struct Parts {
    pub(crate) index: Index,
    pub(crate) embedded: Option<Embedded>,
    pub(crate) family: Family,
    /// Those that are searched, then those that they are parts of.
    pub(crate) passages: Passages,
    pub(crate) searched: usize,
    pub(crate) warnings: Vec<String>,
}

/// Read an index, its words beside its vectors, which are most of it and need nothing of the rest.
///
/// # Errors
/// See [`llamaindex::load`].
pub(crate) fn load(folder: &Path, index_id: Option<&str>) -> Result<Parts, KnowledgeError> {
    std::thread::scope(|scope| {
        let vectors = scope.spawn(|| llamaindex::load_vectors(folder));
        let storage = llamaindex::load_words(folder, index_id)?;
        let indexed = indexed(&storage.nodes);
        let vectors = vectors.join().unwrap_or_else(|_| {
            Err(KnowledgeError::Index {
                path: folder.into(),
                reason: "its vectors could not be read".into(),
            })
        })?;
        Ok(put_together(Storage { vectors, ..storage }, indexed))
    })
}

/// The parts of an index that was read.
pub(crate) fn take_apart(storage: Storage) -> Parts {
    let indexed = indexed(&storage.nodes);
    put_together(storage, indexed)
}

/// The nodes' texts as they are embedded, and the index of their words.
fn indexed(nodes: &[Node]) -> (Vec<String>, Index) {
    let texts: Vec<String> = nodes
        .iter()
        .map(|node| node.content(MetadataMode::Embed))
        .collect();
    let index = Index::new(nodes.iter().zip(&texts).map(|(node, text)| Text {
        document: node.source.as_deref().unwrap_or_default(),
        headings: "",
        text,
    }));
    (texts, index)
}

fn put_together(storage: Storage, (texts, index): (Vec<String>, Index)) -> Parts {
    let Storage {
        nodes,
        around,
        mut vectors,
        warnings,
    } = storage;
    let embedded = vectors
        .as_mut()
        .and_then(|store| embedded(&nodes, &texts, store));
    drop(texts);
    let searched = nodes.len();
    let mut larger: Vec<&Node> = around.values().collect();
    larger.sort_by(|a, b| a.id.cmp(&b.id));
    let all: Vec<&Node> = nodes.iter().chain(larger).collect();
    let family = family(&all);
    let chunk = |node: &&Node| {
        let mut chunk = node.chunk();
        // what a store of vectors knows of a node has its document's ids too
        if let Some(metadata) = vectors
            .as_mut()
            .and_then(|store| store.metadata.remove(&node.id))
        {
            chunk.metadata = metadata;
        }
        chunk
    };
    Parts {
        index,
        embedded,
        family,
        passages: Passages::Here(all.iter().map(chunk).collect()),
        searched,
        warnings,
    }
}

/// The vectors in the order of the nodes.
fn embedded(nodes: &[Node], texts: &[String], store: &mut VectorStore) -> Option<Embedded> {
    let ids = nodes.iter().map(|node| &node.id);
    if ids.eq(&store.ids) {
        // as LlamaIndex writes both: 100,000 vectors are not copied
        let probes = texts.iter().enumerate().filter(|(_, text)| is_probe(text));
        let probes: Vec<_> = probes
            .map(|(number, text)| (number, text.clone()))
            .take(PROBES)
            .collect();
        let vectors = std::mem::take(&mut store.vectors);
        return (!probes.is_empty()).then_some(Embedded {
            vectors: Arc::new(vectors),
            probes,
        });
    }
    let places: FxHashMap<&str, usize> = store.ids.iter().map(String::as_str).zip(0..).collect();
    let mut vectors = Vectors::new(store.vectors.dimensions());
    let mut probes = Vec::new();
    for (number, (node, text)) in nodes.iter().zip(texts).enumerate() {
        let row = places
            .get(node.id.as_str())
            .and_then(|place| store.vectors.row(*place));
        vectors.push(row.as_deref().unwrap_or_default());
        if probes.len() < PROBES && row.is_some() && is_probe(text) {
            probes.push((number, text.clone()));
        }
    }
    (!probes.is_empty()).then_some(Embedded {
        vectors: Arc::new(vectors),
        probes,
    })
}

/// Is a text so short that every model reads all of it?
fn is_probe(text: &str) -> bool {
    text.chars().nth(MAX_PROBE_CHARS).is_none()
}

fn family(all: &[&Node]) -> Family {
    let numbers: FxHashMap<&str, usize> =
        all.iter().map(|node| node.id.as_str()).zip(0..).collect();
    let mut family = Family::default();
    for (number, node) in all.iter().enumerate() {
        let of = |id: &Option<String>| numbers.get(id.as_deref()?).copied();
        if let Some(parent) = of(&node.parent) {
            family.parent.insert(number, parent);
        }
        if let Some(next) = of(&node.next) {
            family.next.insert(number, next);
        }
        if !node.children.is_empty() {
            family.children.insert(number, node.children.len());
        }
    }
    family
}
