//! An index of LlamaIndex as passages.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::base::Embedded;
use crate::chunk::Chunk;
use crate::family::Family;
use crate::llamaindex::{MetadataMode, Node, Storage, VectorStore};
use crate::search::{Index, Text};
use crate::vectors::Vectors;

/// So many passages are embedded again to see whether a model is the one that made an index.
const PROBES: usize = 3;
/// Longer texts are cut by models in ways of their own, and say less.
const MAX_PROBE_CHARS: usize = 2_000;

/// What is searched, its vectors, its larger passages, all passages, and how many of them are searched.
pub(crate) fn take_apart(storage: Storage) -> (Index, Option<Embedded>, Family, Vec<Chunk>, usize) {
    let Storage {
        nodes,
        around,
        mut vectors,
        ..
    } = storage;
    let texts: Vec<String> = nodes
        .iter()
        .map(|node| node.content(MetadataMode::Embed))
        .collect();
    let index = Index::new(nodes.iter().zip(&texts).map(|(node, text)| Text {
        document: node.source.as_deref().unwrap_or_default(),
        headings: "",
        text,
    }));
    let embedded = vectors
        .as_ref()
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
    let chunks = all.iter().map(chunk).collect();
    (index, embedded, family, chunks, searched)
}

/// The vectors in the order of the nodes.
fn embedded(nodes: &[Node], texts: &[String], store: &VectorStore) -> Option<Embedded> {
    let places: FxHashMap<&str, usize> = store.ids.iter().map(String::as_str).zip(0..).collect();
    let mut vectors = Vectors::new(store.vectors.dimensions());
    let mut probes = Vec::new();
    for (number, (node, text)) in nodes.iter().zip(texts).enumerate() {
        let row = places
            .get(node.id.as_str())
            .and_then(|place| store.vectors.row(*place));
        vectors.push(row.unwrap_or_default());
        let is_short = text.chars().nth(MAX_PROBE_CHARS).is_none();
        if probes.len() < PROBES && row.is_some() && is_short {
            probes.push((number, text.clone()));
        }
    }
    (!probes.is_empty()).then_some(Embedded {
        vectors: Arc::new(vectors),
        probes,
    })
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
