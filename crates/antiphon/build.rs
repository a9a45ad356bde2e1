//! Puts the built playground where it is embedded from: `page`, a link to `web/dist` in the repository and the files themselves in
//! the published crate. Without it (somebody ran `cargo build` and never `make web`) a page is embedded that says so.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("playground");
    let built = root.join("page");
    println!("cargo::rerun-if-changed={}", built.display());
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::create_dir_all(&target)?;
    if built.join("index.html").exists() {
        copy(&built, &target)
    } else {
        println!(
            "cargo::warning=the playground is not built, so this binary has no page: run `make web` and build again"
        );
        fs::write(
            target.join("index.html"),
            include_str!("src/playground/missing.html"),
        )
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
