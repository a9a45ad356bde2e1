//! Writes the phonemes of each line of a file:
//! `cargo run -p antiphon-hibari --example phonemes -- MODEL_FOLDER FILE [british]`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::Path;

use antiphon_hibari::assets::Assets;
use antiphon_hibari::g2p::{G2p, Variety};
use rten::RunOptions;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, file, variety) = match arguments.as_slice() {
        [folder, file] => (folder, file, Variety::American),
        [folder, file, british] if british == "british" => (folder, file, Variety::British),
        _ => return Err("usage: phonemes MODEL_FOLDER FILE [british]".into()),
    };
    let start = std::time::Instant::now();
    let g2p = G2p::load(&Assets::new(Path::new(folder)), variety)?;
    eprintln!("loaded in {:?}", start.elapsed());
    let start = std::time::Instant::now();
    let text = std::fs::read_to_string(file)?;
    for line in text.lines() {
        println!("{}", g2p.phonemes(line, &RunOptions::default()));
    }
    eprintln!("read in {:?}", start.elapsed());
    Ok(())
}
