//! The files of a voice: a folder with the names that hibari's package uses.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use rten::{Model, NodeId};
use serde::de::DeserializeOwned;

use crate::HibariError;

/// Decompressed files beyond this are refused: the largest is 12 MB.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Where the files lie.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// Files in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn error(&self, name: &str, error: impl std::fmt::Display) -> HibariError {
        HibariError::Assets {
            file: self.folder.join(name),
            message: error.to_string(),
        }
    }

    /// A JSON file, decompressed when its name ends in `.gz`.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, HibariError> {
        let file =
            std::fs::read(self.folder.join(name)).map_err(|error| self.error(name, error))?;
        let text = if name.ends_with(".gz") {
            let mut text = Vec::new();
            GzDecoder::new(file.as_slice())
                .take(MAX_JSON_BYTES)
                .read_to_end(&mut text)
                .map_err(|error| self.error(name, error))?;
            text
        } else {
            file
        };
        serde_json::from_slice(&text).map_err(|error| self.error(name, error))
    }

    /// A network.
    pub(crate) fn model(&self, name: &str) -> Result<Model, HibariError> {
        antiphon_neural::load(&self.folder.join(name)).map_err(|error| self.error(name, error))
    }

    /// An input, an output or a value in between of the network in the file `name`.
    pub(crate) fn node(
        &self,
        name: &str,
        model: &Model,
        node: &str,
    ) -> Result<NodeId, HibariError> {
        let missing = |_| self.error(name, format_args!("it has no {node}"));
        model.node_id(node).map_err(missing)
    }

    /// A file of `count` floating-point numbers.
    pub(crate) fn numbers(&self, name: &str, count: usize) -> Result<Vec<f32>, HibariError> {
        let bytes =
            std::fs::read(self.folder.join(name)).map_err(|error| self.error(name, error))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if numbers.len() != count || !rest.is_empty() {
            let found = format_args!("it has {} bytes, not {}", bytes.len(), count * 4).to_string();
            return Err(self.error(name, found));
        }
        Ok(numbers.iter().copied().map(f32::from_le_bytes).collect())
    }
}
