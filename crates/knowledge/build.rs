//! Tells the crate which sources it is made of: a kept index is read by the program that made it, and by no other. And writes the words without meaning of each language as one text: as the crate's tables of texts they would be five times as large,
//! most of it addresses for the loader to correct.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Those of `LANGUAGES` in `src/language.rs` that have no list there.
const LANGUAGES: [&str; 26] = [
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "ru", "ro", "hu", "tr", "el",
    "ar", "pl", "cs", "uk", "he", "fa", "hi", "vi", "id", "zh",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    let mut sources = DefaultHasher::new();
    hash(Path::new("src"), &mut sources)?;
    println!(
        "cargo::rustc-env=ANTIPHON_KNOWLEDGE_SOURCES={:016x}",
        sources.finish()
    );
    let mut arms = String::new();
    for language in LANGUAGES {
        let words = stop_words::lookup(language)
            .ok_or_else(|| format!("the crate stop-words has no words of {language}"))?;
        let words = words.iter().copied().filter(|word| !word.contains(' '));
        let list = words.collect::<Vec<_>>().join(" ");
        writeln!(arms, "        {language:?} => {list:?},")?;
    }
    let function = format!(
        "fn stop_words_of(language: &str) -> &'static str {{\n    match language {{\n{arms}        _ => \"\",\n    }}\n}}\n"
    );
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("stop_words.rs");
    Ok(fs::write(target, function)?)
}

/// All files of a folder, in the order of their names.
fn hash(folder: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let entries: Result<Vec<_>, _> = fs::read_dir(folder)?.collect();
    let mut paths: Vec<PathBuf> = entries?.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            hash(&path, hasher)?;
        } else {
            hasher.write(path.as_os_str().as_encoded_bytes());
            hasher.write(&fs::read(&path)?);
        }
    }
    Ok(())
}
