//! Asks a directory that LlamaIndex persisted as Python asks it: `ask_index FOLDER` reads a line of JSON for each question and prints a
//! line of JSON for each. `{"vector", "top_k", "filter", "mmr"}` is a `VectorStoreQuery`, `{"words", "top_k"}` a `BM25Retriever`'s, both answered
//! with `{"hits": [[id, score]]}`; `{"rankings": [[[id, score]]], "weights", "mode"}` is fused as `QueryFusionRetriever` fuses; `{}` lists the index's
//! nodes: `{"nodes": [[id, text for embedding, text for the model]]}`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::stdin;
use std::path::Path;

use antiphon_agent::provider::Filter;
use antiphon_knowledge::bm25::Bm25;
use antiphon_knowledge::fusion::{self, fuse};
use antiphon_knowledge::llamaindex::query::{Mode, VectorQuery};
use antiphon_knowledge::llamaindex::{self, MetadataMode, Storage};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Question {
    vector: Option<Vec<f32>>,
    words: Option<String>,
    top_k: Option<usize>,
    filter: Option<Filter>,
    mmr: Option<f64>,
    rankings: Option<Vec<Vec<(String, f64)>>>,
    weights: Option<Vec<f64>>,
    mode: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("usage: ask_index FOLDER < questions")?;
    let storage = llamaindex::load(Path::new(&folder), None)?;
    let texts: Vec<String> = storage
        .nodes
        .iter()
        .map(|node| node.content(MetadataMode::Embed))
        .collect();
    let words = Bm25::new(texts.iter().map(String::as_str));
    for line in stdin().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        println!("{}", answer(&storage, &words, &question)?);
    }
    Ok(())
}

fn answer(storage: &Storage, words: &Bm25, question: &Question) -> Result<Value, Box<dyn Error>> {
    let top_k = question.top_k.unwrap_or(2);
    if let Some(text) = &question.words {
        let hit =
            |(number, score): (usize, f32)| Some((storage.nodes.get(number)?.id.clone(), score));
        let hits: Vec<_> = words
            .search(text, top_k)
            .into_iter()
            .filter_map(hit)
            .collect();
        return Ok(json!({ "hits": hits }));
    }
    if let Some(rankings) = &question.rankings {
        let rankings: Vec<Vec<(&str, f64)>> = rankings
            .iter()
            .map(|ranking| {
                ranking
                    .iter()
                    .map(|(id, score)| (id.as_str(), *score))
                    .collect()
            })
            .collect();
        let weights = question.weights.clone().unwrap_or_default();
        let weighed: Vec<(&[(&str, f64)], f64)> =
            rankings.iter().map(Vec::as_slice).zip(weights).collect();
        let mode = match question.mode.as_deref() {
            Some("reciprocal_rerank") => fusion::Mode::ReciprocalRank,
            Some("relative_score") => fusion::Mode::RelativeScore,
            Some("dist_based_score") => fusion::Mode::DistanceBased,
            _ => fusion::Mode::Simple,
        };
        return Ok(json!({ "hits": fuse(&weighed, mode) }));
    }
    if let Some(vector) = &question.vector {
        let store = storage.vectors.as_ref().ok_or("the index has no vectors")?;
        let query = VectorQuery {
            vector,
            top_k,
            filter: question.filter.as_ref(),
            mode: question.mmr.map_or(Mode::Similarity, Mode::Mmr),
        };
        return Ok(match store.query(&query) {
            Ok(hits) => json!({ "hits": hits }),
            Err(error) => json!({ "error": error.to_string() }),
        });
    }
    let nodes = storage.nodes.iter().map(|node| {
        let text = |mode| node.content(mode);
        json!([node.id, text(MetadataMode::Embed), text(MetadataMode::Llm)])
    });
    Ok(json!({ "nodes": nodes.collect::<Vec<_>>() }))
}
