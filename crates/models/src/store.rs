//! Where models lie: one folder each, complete or not there at all.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use crate::ModelError;
use crate::catalogue::ModelInfo;

/// Names the folder instead of the usual one.
pub const FOLDER_VARIABLE: &str = "ANTIPHON_MODELS";

/// The folder with all models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The user's own: `ANTIPHON_MODELS`, or `antiphon/models` in the XDG data folder (`~/.local/share` without one).
    ///
    /// # Errors
    /// When there is neither, because no home folder is known.
    pub fn of_user() -> Result<Self, ModelError> {
        Self::from_environment(|name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        })
    }

    fn from_environment(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, ModelError> {
        let data =
            || variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
        let usual = || Some(data()?.join("antiphon/models"));
        let folder = variable(FOLDER_VARIABLE)
            .or_else(usual)
            .ok_or(ModelError::NoFolder)?;
        Ok(Self { folder })
    }

    /// In `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where all models lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where `model` lies, or will.
    #[must_use]
    pub fn folder_of(&self, model: &ModelInfo) -> PathBuf {
        self.folder.join(model.name)
    }

    /// Whether `model` is there. A folder gets its name only when it is complete.
    #[must_use]
    pub fn has(&self, model: &ModelInfo) -> bool {
        let folder = self.folder_of(model);
        model
            .files
            .iter()
            .all(|file| folder.join(file.name).is_file())
    }

    /// The folder of `model`.
    ///
    /// # Errors
    /// [`ModelError::Missing`] when it was not fetched.
    pub fn get(&self, model: &ModelInfo) -> Result<PathBuf, ModelError> {
        if self.has(model) {
            Ok(self.folder_of(model))
        } else {
            Err(ModelError::Missing { model: model.name })
        }
    }
}

/// SHA-256 in small hexadecimal letters.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    context
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{HIBARI_HEART, MODELS};

    #[test]
    fn models_lie_where_the_user_says() {
        let store = |pairs: &[(&str, &str)]| {
            Store::from_environment(|name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| PathBuf::from(value))
            })
        };
        let folder = |pairs: &[(&str, &str)]| store(pairs).map(|store| store.folder().to_owned());
        assert_eq!(
            folder(&[("HOME", "/home/kim")]),
            Ok("/home/kim/.local/share/antiphon/models".into())
        );
        assert_eq!(
            folder(&[("HOME", "/home/kim"), ("XDG_DATA_HOME", "/data")]),
            Ok("/data/antiphon/models".into())
        );
        assert_eq!(
            folder(&[("HOME", "/home/kim"), (FOLDER_VARIABLE, "/models")]),
            Ok("/models".into())
        );
        assert_eq!(folder(&[]), Err(ModelError::NoFolder));
    }

    #[test]
    fn a_model_without_one_of_its_files_is_not_there() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let store = Store::new(folder.path().to_owned());
        std::fs::create_dir(store.folder_of(&HIBARI_HEART))?;
        for file in HIBARI_HEART.files {
            assert!(!store.has(&HIBARI_HEART), "{}", file.name);
            std::fs::write(store.folder_of(&HIBARI_HEART).join(file.name), "")?;
        }
        assert!(store.has(&HIBARI_HEART));
        Ok(())
    }

    #[test]
    fn every_file_is_pinned_and_its_licence_comes_with_it() {
        for model in MODELS {
            assert!(
                model.files.iter().any(|file| file.name == "LICENSE"),
                "{}",
                model.name
            );
            for hash in model
                .files
                .iter()
                .map(|file| file.sha256)
                .chain(model.packages().iter().map(|package| package.sha256))
            {
                assert_eq!(hash.len(), 64, "{}", model.name);
                assert!(
                    hash.bytes()
                        .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
                );
            }
        }
    }
}
