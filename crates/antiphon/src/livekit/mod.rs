//! LiveKit's own configuration: the YAML file, flags and variables of `livekit-server`, read as they are.
//!
//! | module | what |
//! |---|---|
//! | `fate` | what becomes of every key that LiveKit knows: used, or why not |
//! | `tree` | file, variables and flags become one tree of keys |
//! | `section` | the keys that are used, with their types |
//! | `apply` | from there to the server's settings |
//! | `keyfile` | API keys and secrets in files of their own |

mod apply;
mod fate;
mod keyfile;
mod section;
mod tree;

use std::path::{Path, PathBuf};

use antiphon_protocol::Keys;
use antiphon_server::ServerConfig;

pub use tree::{Sources, is_key};

/// LiveKit's configuration cannot be used. The text says which key, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum LiveKitError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not YAML.
    #[error("{name} is not YAML: {problem}")]
    Yaml {
        /// File or variable.
        name: String,
        /// Where and what.
        problem: String,
    },
    /// Keys that LiveKit does not have either.
    #[error("{name}: unknown {}: {}; remove {}, or pass --disable-strict-config", if .keys.len() == 1 { "key" } else { "keys" }, .keys.join(", "), if .keys.len() == 1 { "it" } else { "them" })]
    Unknown {
        /// File or variable.
        name: String,
        /// With the nearest right name where there is one.
        keys: Vec<String>,
    },
    /// A value that cannot be.
    #[error("{key}: {problem}")]
    Value {
        /// Which key.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Others can read a file with secrets.
    #[error("others may read {path}, which holds secrets; run `chmod o-rwx {path}`")]
    Permissions {
        /// Which.
        path: PathBuf,
    },
}

/// What LiveKit's configuration says.
#[derive(Clone, Debug, Default)]
pub struct LiveKitConfig {
    section: section::File,
    /// Keys that have no effect here, each with the reason.
    pub notes: Vec<String>,
}

impl LiveKitConfig {
    /// Read everything that there is.
    ///
    /// # Errors
    /// See [`LiveKitError`].
    pub fn read(sources: &Sources) -> Result<Self, LiveKitError> {
        let tree = tree::read(sources)?;
        let notes = fate::check(&tree, sources)?;
        let section = section::File::from_tree(tree)?;
        Ok(Self { section, notes })
    }

    /// Was anything said at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.section == section::File::default() && self.notes.is_empty()
    }

    /// The server's settings with these.
    ///
    /// # Errors
    /// [`LiveKitError::Value`], and files with secrets that cannot be used.
    pub fn apply(&self, server: ServerConfig) -> Result<ServerConfig, LiveKitError> {
        apply::apply(&self.section, server)
    }

    /// Certificate and key of the TURN server from elsewhere (`LIVEKIT_TURN_CERT`, `LIVEKIT_TURN_KEY`).
    pub fn set_turn_certificate(&mut self, certificate: &Path, key: &Path) {
        self.section.turn.cert_file = certificate.display().to_string();
        self.section.turn.key_file = key.display().to_string();
    }

    /// The file with API keys, which LiveKit prefers to keys that stand elsewhere.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        let file = &self.section.key_file;
        (!file.is_empty()).then(|| PathBuf::from(file))
    }

    /// The keys of the section `keys`.
    ///
    /// # Errors
    /// A secret that is no text.
    pub fn keys(&self) -> Result<Option<Keys>, LiveKitError> {
        keyfile::keys(&self.section.keys)
    }

    /// Does it say which port ICE over TCP has?
    #[must_use]
    pub fn names_tcp_port(&self) -> bool {
        self.section.rtc.tcp_port.is_some()
    }

    /// `development`: as `--dev`.
    #[must_use]
    pub fn development(&self) -> bool {
        self.section.development
    }

    /// The port of `/metrics`, and who may read it (user name and password), if it has one.
    #[must_use]
    pub fn prometheus(&self) -> Option<(u16, Option<(String, String)>)> {
        let section = &self.section.prometheus;
        let port = if section.port == 0 {
            self.section.prometheus_port
        } else {
            section.port
        };
        let guarded = !section.username.is_empty() && !section.password.is_empty();
        let user = guarded.then(|| (section.username.clone(), section.password.clone()));
        (port != 0).then_some((port, user))
    }

    /// `logging`: the level, and whether lines are JSON.
    #[must_use]
    pub fn logging(&self) -> (Option<String>, Option<bool>) {
        let level = [&self.section.logging.level, &self.section.log_level]
            .into_iter()
            .find(|level| !level.is_empty());
        (level.cloned(), self.section.logging.json)
    }
}

/// `7882` or `7882-7892`: the first and the last of the media ports.
///
/// # Errors
/// It is neither.
pub fn ports(text: &str) -> Result<(u16, u16), LiveKitError> {
    apply::ports_of(&section::Ports::Text(text.to_owned()))
}

/// The keys of a key file.
///
/// # Errors
/// It cannot be read, others can read it, or it holds something else.
pub fn read_key_file(path: &Path) -> Result<Keys, LiveKitError> {
    keyfile::read(path)
}
