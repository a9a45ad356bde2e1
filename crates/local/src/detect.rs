//! Which engines are installed on this machine, and how to get the others.

use std::path::{Path, PathBuf};

/// Where Debian's `pocketsphinx-en-us` puts its model.
pub const MODEL_FOLDER: &str = "/usr/share/pocketsphinx/model/en-us";
/// How to get the recogniser.
pub const INSTALL_POCKETSPHINX: &str = "apt-get install pocketsphinx pocketsphinx-en-us";
/// How to get the better voice.
pub const INSTALL_FLITE: &str = "apt-get install flite";
/// How to get the other voice.
pub const INSTALL_ESPEAK: &str = "apt-get install espeak-ng";

/// What is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engines {
    /// PocketSphinx's library and its US-English model.
    pub pocketsphinx: bool,
    /// The `flite` program.
    pub flite: Option<PathBuf>,
    /// The `espeak-ng` program.
    pub espeak: Option<PathBuf>,
}

impl Engines {
    /// One line for everything that is missing: the engine and the command that installs it.
    pub fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let mut missing = Vec::new();
        if !self.pocketsphinx {
            missing.push(("PocketSphinx", INSTALL_POCKETSPHINX));
        }
        if self.flite.is_none() && self.espeak.is_none() {
            missing.push(("flite", INSTALL_FLITE));
        }
        missing
    }
}

/// Look. Touches the file system only; starts nothing.
pub fn detect() -> Engines {
    Engines {
        pocketsphinx: pocketsphinx(),
        flite: program("flite"),
        espeak: program("espeak-ng"),
    }
}

pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn pocketsphinx() -> bool {
    let library = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib"]
        .iter()
        .map(Path::new)
        .flat_map(|folder| {
            let triple = folder.join(format!("{}-linux-gnu", std::env::consts::ARCH));
            [folder.to_path_buf(), triple]
        })
        .any(|folder| folder.join("libpocketsphinx.so.3").exists());
    library && Path::new(MODEL_FOLDER).join("en-us.lm.bin").is_file()
}
