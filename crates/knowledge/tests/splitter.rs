//! Documents are cut where LlamaIndex cuts them: 600 random texts, and what five of its releases with two of NLTK made of them
//! (`fixtures/splitter`).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use antiphon_knowledge::split::punkt::sentences;
use antiphon_knowledge::split::{Nltk, Release, SentenceSplitter, SplitError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    size: usize,
    overlap: usize,
    meta: String,
    #[serde(default)]
    sentences: Vec<String>,
    #[serde(default)]
    chunks: Vec<String>,
    error: Option<String>,
}

fn compare(cases: &str, release: Release, nltk: Nltk) {
    let mut wrong = Vec::new();
    let mut all = 0;
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        all += 1;
        let ours = sentences(&case.text, nltk);
        if case.error.is_none() && ours != case.sentences {
            wrong.push(format!(
                "sentences of {:?}:\n  {ours:?}\n  {:?}",
                case.text, case.sentences
            ));
            continue;
        }
        let splitter = SentenceSplitter {
            chunk_size: case.size,
            chunk_overlap: case.overlap,
            release,
            nltk,
        };
        match (splitter.split(&case.text, &case.meta), case.error) {
            (Ok(chunks), None) if chunks == case.chunks => {}
            (Err(SplitError::Metadata { .. }), Some(error)) if error.contains("Metadata") => {}
            (Err(SplitError::TooSmall), Some(error)) if !error.contains("Metadata") => {}
            (ours, theirs) => wrong.push(format!(
                "chunks of {:?}, {} and {}:\n  {ours:?}\n  {:?} {theirs:?}",
                case.text, case.size, case.overlap, case.chunks
            )),
        }
    }
    assert!(all >= 100);
    for case in wrong.iter().take(5) {
        println!("{case}");
    }
    assert!(wrong.is_empty(), "{} of {all} differ", wrong.len());
}

#[test]
fn chunks_are_those_of_llamaindex_0_11() {
    compare(
        include_str!("fixtures/splitter/li-0.11.23_nltk-3.9.jsonl"),
        Release::V0_11,
        Nltk::V3_9,
    );
}

#[test]
fn chunks_are_those_of_llamaindex_0_12() {
    compare(
        include_str!("fixtures/splitter/li-0.12.52_nltk-3.9.jsonl"),
        Release::V0_13,
        Nltk::V3_9,
    );
}

#[test]
fn chunks_are_those_of_llamaindex_0_13() {
    compare(
        include_str!("fixtures/splitter/li-0.13.6_nltk-3.9.jsonl"),
        Release::V0_13,
        Nltk::V3_9,
    );
}

#[test]
fn chunks_are_those_of_llamaindex_0_14() {
    compare(
        include_str!("fixtures/splitter/li-0.14.20_nltk-3.10.jsonl"),
        Release::V0_14,
        Nltk::V3_10,
    );
    compare(
        include_str!("fixtures/splitter/li-0.14.25_nltk-3.10.jsonl"),
        Release::V0_14,
        Nltk::V3_10,
    );
}

#[test]
fn chunks_that_share_more_than_they_are_are_refused_as_by_llamaindex() {
    let splitter = SentenceSplitter {
        chunk_size: 20,
        chunk_overlap: 21,
        ..SentenceSplitter::default()
    };
    let error = splitter.split("One. Two.", "").unwrap_err();
    assert!(matches!(error, SplitError::Overlap { .. }), "{error}");
}
