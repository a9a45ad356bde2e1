//! Shows how a directory that LlamaIndex persisted is ranked: `search_index FOLDER [TOP_K] < questions` prints, for every
//! line of the input, the ids of the best nodes and their scores as one line of JSON. What `BM25Retriever` of
//! llama-index-retrievers-bm25 gives for the same nodes can be laid beside it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::stdin;
use std::path::Path;

use antiphon_knowledge::bm25::Bm25;
use antiphon_knowledge::llamaindex::{self, MetadataMode};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: search_index FOLDER [TOP_K] < questions")?;
    let top_k = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let llamaindex::Storage {
        nodes, warnings, ..
    } = llamaindex::load(Path::new(&folder), None)?;
    for warning in warnings {
        eprintln!("note: {warning}");
    }
    let texts: Vec<String> = nodes
        .iter()
        .map(|node| node.content(MetadataMode::Embed))
        .collect();
    let index = Bm25::new(texts.iter().map(String::as_str));
    for question in stdin().lines() {
        let question = question?;
        let hits: Vec<_> = index
            .search(&question, top_k)
            .into_iter()
            .filter_map(|(number, score)| Some(json!([nodes.get(number)?.id, score])))
            .collect();
        println!("{}", json!({ "question": question, "hits": hits }));
    }
    Ok(())
}
