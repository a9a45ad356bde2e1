//! What can go wrong when knowledge is loaded.

use std::path::PathBuf;

/// Knowledge that cannot be loaded at all. Single files that cannot be read are warnings, not errors.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// No such folder, or no permission.
    #[error(
        "cannot read the knowledge folder {path}: {reason}. Check `[knowledge] path` in antiphon.toml"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A persisted index whose docstore cannot be read.
    #[error(
        "{path} looks like a LlamaIndex storage directory, but {reason}. Persist it again with LlamaIndex 0.9 to 0.14"
    )]
    Index {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
