//! Account, chain and key on disk. Each file is written beside its place and moved there, so that none is ever half a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use instant_acme::AccountCredentials;

use super::Acme;
use crate::error::ServerError;

/// The largest file that is read: a chain has some kilobytes.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// A folder of one authority. Its files are this user's alone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    name: String,
}

/// A chain and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Store {
    /// The folder of this authority, made if it is not there.
    pub(crate) fn of(acme: &Acme) -> Result<Self, ServerError> {
        let authority: String = acme
            .directory
            .trim_start_matches("https://")
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        let folder = acme.folder.join(authority);
        let failed = |source| ServerError::File {
            path: folder.clone(),
            source,
        };
        made(&folder).map_err(failed)?;
        let name = acme.domains.first().cloned().unwrap_or_default();
        Ok(Self { folder, name })
    }

    /// The certificate of an earlier run.
    pub(crate) fn pair(&self) -> Option<Pair> {
        let read = |kind| read(&self.folder.join(format!("{}.{kind}.pem", self.name)));
        Some(Pair {
            chain: read("chain")?,
            key: read("key")?,
        })
    }

    /// Keeps it. The key goes first: a chain without its key would be of no use.
    pub(crate) fn keep_pair(&self, pair: &Pair) -> Result<(), ServerError> {
        let _ = std::fs::remove_file(self.folder.join(format!("{}.failed", self.name)));
        self.write(&format!("{}.key.pem", self.name), &pair.key)?;
        self.write(&format!("{}.chain.pem", self.name), &pair.chain)
    }

    /// The account of an earlier run.
    pub(super) fn account(&self) -> Option<AccountCredentials> {
        serde_json::from_str(&read(&self.folder.join("account.json"))?).ok()
    }

    pub(super) fn keep_account(&self, account: &AccountCredentials) -> Result<(), ServerError> {
        let text =
            serde_json::to_string(account).map_err(|error| ServerError::Acme(error.to_string()))?;
        self.write("account.json", &text)
    }

    /// The authority does not know it any more.
    pub(super) fn forget_account(&self) {
        let _ = std::fs::remove_file(self.folder.join("account.json"));
    }

    /// Finds out at the start what would otherwise be found out when a certificate has come.
    pub(super) fn try_to_write(&self) -> Result<(), ServerError> {
        self.write("is-writable", "")
    }

    /// When an attempt failed, for the next run.
    pub(super) fn keep_failure(&self, at: SystemTime) {
        let seconds = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let written = self.write(
            &format!("{}.failed", self.name),
            &seconds.as_secs().to_string(),
        );
        if let Err(error) = written {
            tracing::debug!(%error, "a failure could not be noted");
        }
    }

    /// When the last attempt failed, unless a certificate came after it.
    pub(super) fn failed_at(&self) -> Option<SystemTime> {
        let text = read(&self.folder.join(format!("{}.failed", self.name)))?;
        let at =
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(text.trim().parse().ok()?))?;
        (at <= SystemTime::now()).then_some(at)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ServerError> {
        let path = self.folder.join(name);
        let beside = self.folder.join(format!("{name}.new"));
        let written = private(&beside)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|source| ServerError::File { path, source })
    }
}

/// A folder that nobody else can read.
fn made(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A new file that nobody else can read.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn read(path: &Path) -> Option<String> {
    let is_small = std::fs::metadata(path).ok()?.len() <= MAX_FILE_BYTES;
    is_small.then(|| std::fs::read_to_string(path).ok())?
}
