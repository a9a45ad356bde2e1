//! Writes the words without meaning of each language as one text: as the crate's tables of texts they would be five times as large,
//! most of it addresses for the loader to correct.

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

/// Those of `LANGUAGES` in `src/language.rs` that have no list there.
const LANGUAGES: [&str; 26] = [
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "ru", "ro", "hu", "tr", "el",
    "ar", "pl", "cs", "uk", "he", "fa", "hi", "vi", "id", "zh",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
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
