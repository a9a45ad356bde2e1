//! A folder with an export: which files are in it, under which of their usual names.

use std::path::{Path, PathBuf};

use rten::Model;

use crate::SttError;

/// What exporters put behind a file's name: nothing, or how its weights are rounded. The first that is there is taken.
const KINDS: [&str; 7] = [
    "",
    "_fp16",
    "_int8",
    "_quantized",
    "_uint8",
    "_q4",
    "_q4f16",
];

/// The folder.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file of that name; exports lie in the folder or in `onnx` in it.
    pub(crate) fn find(&self, stem: &str) -> Option<PathBuf> {
        let places = [self.path.clone(), self.path.join("onnx")];
        KINDS
            .iter()
            .flat_map(|kind| {
                places
                    .iter()
                    .map(move |place| place.join(format!("{stem}{kind}.onnx")))
            })
            .find(|file| file.is_file())
    }

    pub(crate) fn need(&self, stem: &str) -> Result<PathBuf, SttError> {
        self.find(stem)
            .ok_or_else(|| self.lacks(&format!("{stem}.onnx")))
    }

    pub(crate) fn lacks(&self, file: &str) -> SttError {
        SttError::Missing {
            folder: self.path.clone(),
            file: file.to_owned(),
        }
    }

    /// The content of a file that lies in the folder itself.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, SttError> {
        let file = self.path.join(name);
        if !file.is_file() {
            return Err(self.lacks(name));
        }
        std::fs::read(&file).map_err(|error| SttError::Model {
            file,
            message: error.to_string(),
        })
    }

    /// A file of JSON; none when there is no such file.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, SttError> {
        let file = self.path.join(name);
        if !file.is_file() {
            return Ok(None);
        }
        let bytes = self.read(name)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| SttError::Model {
                file,
                message: error.to_string(),
            })
    }
}

/// Loads a file.
pub(crate) fn model(file: &Path) -> Result<Model, SttError> {
    antiphon_neural::load(file).map_err(|error| SttError::Model {
        file: file.to_owned(),
        message: error.to_string(),
    })
}
