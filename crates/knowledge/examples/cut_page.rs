//! Shows how pages are cut: `cut_page FILE...` prints the pieces of each file, `[[text, tag]]`, as one line of JSON, to be laid beside what
//! LlamaIndex's `HTMLNodeParser` gives.
#![allow(clippy::print_stdout)]

use std::error::Error;

use antiphon_knowledge::split::page;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    for file in std::env::args().skip(1) {
        let text = String::from_utf8_lossy(&std::fs::read(file)?).into_owned();
        let pieces = page::html(&text).into_iter();
        let pieces = pieces.map(|piece| json!([piece.text, piece.metadata.get("tag")]));
        println!("{}", json!(pieces.collect::<Vec<_>>()));
    }
    Ok(())
}
