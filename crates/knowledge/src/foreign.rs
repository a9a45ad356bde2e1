//! Folders that somebody takes for knowledge, and what they are: what other libraries and parts of LlamaIndex store.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders inside a folder that are looked at.
const MAX_FOLDERS: usize = 1_000;

/// What a folder is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What it is.
    pub what: &'static str,
    /// What to do.
    pub advice: String,
}

/// What a folder without a whole LlamaIndex index is; `None`: nothing that is known.
pub fn recognise(folder: &Path) -> Option<Foreign> {
    let has = |name: &str| folder.join(name).exists();
    let foreign = |what, advice: &str| {
        Some(Foreign {
            what,
            advice: advice.to_owned(),
        })
    };
    if has("docstore.json") {
        return foreign(
            "a LlamaIndex document store without an index (docstore.json, and no index_store.json): which of its nodes still belong is not known",
            "Make an index of it in Python, `VectorStoreIndex(list(docstore.docs.values()), storage_context=storage_context)`, and persist its storage context; \
             or point to the folder that `storage_context.persist()` has written",
        );
    }
    if has("doc_store.json") {
        return foreign(
            "a storage directory of LlamaIndex.TS (doc_store.json)",
            "Its layout is another one; point to the documents themselves, or build the index with LlamaIndex for Python",
        );
    }
    if has("index_store.json") {
        return foreign(
            "a LlamaIndex storage directory without its docstore.json, where the words are",
            "Persist it again with `storage_context.persist()`. If the words are in a vector database, make the index with \
             `store_nodes_override=True`, or point to the documents themselves",
        );
    }
    if has("property_graph_store.json") || has("graph_store.json") {
        return foreign(
            "a LlamaIndex graph store, which is not searched",
            "Make a VectorStoreIndex or SummaryIndex of the same documents and persist it, or point to the documents themselves",
        );
    }
    if has("chroma.sqlite3") {
        return foreign(
            "a Chroma database (chroma.sqlite3), which is not read",
            DOCUMENTS,
        );
    }
    if has("index.faiss") || has("index.pkl") {
        return foreign(
            "a FAISS index as LangChain saves it, which is not read",
            DOCUMENTS,
        );
    }
    if has("meta.json") && has("collection") {
        return foreign("a Qdrant database, which is not read", DOCUMENTS);
    }
    if ends_with(folder, &["vector_store.json"]) {
        return foreign(
            "a LlamaIndex vector store alone: numbers without words",
            "Persist the whole storage context, `storage_context.persist()`, and point to that folder",
        );
    }
    if ends_with(folder, &[".lance"]) {
        return foreign("a LanceDB database, which is not read", DOCUMENTS);
    }
    if ends_with(folder, &[".faiss", ".ann", ".annoy"]) {
        return foreign(
            "an index of vectors without words, which is not read",
            DOCUMENTS,
        );
    }
    None
}

const DOCUMENTS: &str = "Point to the documents that it was made from, or persist a LlamaIndex index of them with `storage_context.persist()`";

/// Folders directly inside this one that are LlamaIndex indexes.
pub fn indexes_inside(folder: &Path) -> Vec<PathBuf> {
    let mut inside: Vec<PathBuf> = entries(folder)
        .filter(|path| crate::llamaindex::is_index(path))
        .collect();
    inside.sort();
    inside
}

fn ends_with(folder: &Path, ends: &[&str]) -> bool {
    entries(folder).any(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ends.iter().any(|end| name.ends_with(end))
    })
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(MAX_FOLDERS)
        .filter_map(Result::ok)
        .map(|entry| entry.path())
}
