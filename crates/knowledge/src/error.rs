//! What can go wrong when knowledge is loaded.

use std::path::PathBuf;

/// Knowledge that cannot be loaded at all. Single files that cannot be read are warnings, not errors.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// No such folder, or no permission.
    #[error(
        "cannot read the knowledge folder {path}: {reason}. Check the path: what you typed, or `[knowledge] path` in antiphon.toml"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A persisted index that cannot be read.
    #[error(
        "{path} looks like a LlamaIndex storage directory, but {reason}. Persist it again with LlamaIndex 0.9 to 0.14"
    )]
    Index {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An index was named that is not there.
    #[error(
        "{path} has no index `{asked}`. Set `[knowledge] index_id` in antiphon.toml to one of those there: {ids}"
    )]
    NoSuchIndex {
        /// The directory.
        path: PathBuf,
        /// The index that was named.
        asked: String,
        /// The ids of those there, and what each is.
        ids: String,
    },
    /// An index was named in a directory that has none.
    #[error(
        "{path} has no index `{asked}`, and no other: its index_store.json is empty. Remove `[knowledge] index_id` from antiphon.toml, or \
         persist the index again"
    )]
    NoIndex {
        /// The directory.
        path: PathBuf,
        /// The index that was named.
        asked: String,
    },
    /// Several indexes in one directory, and none was named.
    #[error(
        "{path} holds {count} indexes: {ids}. Name one of them in antiphon.toml: `[knowledge] index_id = \"…\"`"
    )]
    WhichIndex {
        /// The directory.
        path: PathBuf,
        /// How many there are.
        count: usize,
        /// Their ids, and what each is.
        ids: String,
    },
    /// Something else than documents or an index.
    #[error("{path} is {what}. {advice}")]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to do.
        advice: String,
    },
}
