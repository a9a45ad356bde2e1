//! Puts the built playground, each file compressed, where it is embedded from: `page`, a link to `web/dist` in the repository and
//! the files themselves in the published crate. Without it (somebody ran `cargo build` and never `make web`) a page is embedded
//! that says so. Linux' linker is asked to pack the binary's relocations.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("playground");
    let built = root.join("page");
    println!("cargo::rerun-if-changed={}", built.display());
    // A program that may lie anywhere in memory carries a list of the addresses to correct at its start: 1.4 MB with an entry
    // for each, 0.05 MB packed (RELR: glibc 2.36, musl 1.2.4). A linker that does not know this option warns and goes on.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::create_dir_all(&target)?;
    if built.join("index.html").exists() {
        compress_all(&built, &target)
    } else {
        println!(
            "cargo::warning=the playground is not built, so this binary has no page: run `make web` and build again"
        );
        compress(
            include_bytes!("src/playground/missing.html"),
            &target.join("index.html"),
        )
    }
}

fn compress_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            compress_all(&entry.path(), &target)?;
        } else {
            compress(&fs::read(entry.path())?, &target)?;
        }
    }
    Ok(())
}

/// The file keeps its name: its media type follows from that.
fn compress(content: &[u8], target: &Path) -> io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    fs::write(target, encoder.finish()?)
}
