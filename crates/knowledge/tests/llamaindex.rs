//! A LlamaIndex user gets the hits that Python gives: ids, order and scores, in every release of which there is a sample. The samples and
//! what is expected of them were written by those releases (`fixtures/li-*`), the question's vectors too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use antiphon_agent::provider::{Filter, FilterCondition};
use antiphon_knowledge::KnowledgeBase;
use antiphon_knowledge::fusion::{self, fuse};
use antiphon_knowledge::llamaindex::query::{Mode, QueryError, VectorQuery};
use antiphon_knowledge::llamaindex::{self, VectorStore};
use serde_json::Value;

const RELEASES: [&str; 6] = [
    "0.9.48", "0.10.68", "0.11.23", "0.12.0", "0.13.6", "0.14.25",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap()
}

fn vector(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap() as f32)
        .collect()
}

fn assert_same(what: &str, ours: &[(&str, f64)], theirs: &Value) {
    let theirs: Vec<(&str, f64)> = theirs
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| (hit[0].as_str().unwrap(), hit[1].as_f64().unwrap()))
        .collect();
    let ids = |hits: &[(&str, f64)]| {
        hits.iter()
            .map(|(id, _)| (*id).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(ours), ids(&theirs), "{what}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(
            (ours.1 - theirs.1).abs() < 1e-6,
            "{what}: {ours:?} {theirs:?}"
        );
    }
}

fn ask<'a>(
    store: &'a VectorStore,
    vector: &[f32],
    top_k: usize,
    filter: Option<&Filter>,
    mode: Mode,
) -> Vec<(&'a str, f64)> {
    store
        .query(&VectorQuery {
            vector,
            top_k,
            filter,
            mode,
        })
        .unwrap()
}

fn stored(release: &str) -> VectorStore {
    llamaindex::load(&fixture(&format!("li-{release}/vector")), None)
        .unwrap()
        .vectors
        .unwrap()
}

#[test]
fn the_closest_nodes_are_pythons_with_its_scores() {
    for release in RELEASES {
        let store = stored(release);
        for query in json(&format!("li-{release}/expected.json"))["queries"]
            .as_array()
            .unwrap()
        {
            let asked = vector(&query["embedding"]);
            for (key, top_k) in [("top2", 2), ("top5", 5)] {
                let what = format!("{release} {key} {}", query["q"]);
                assert_same(
                    &what,
                    &ask(&store, &asked, top_k, None, Mode::Similarity),
                    &query[key],
                );
            }
        }
    }
}

#[test]
fn filters_let_through_what_the_newest_python_lets_through() {
    let newest = json("li-0.14.25/expected.json");
    let asked = vector(&newest["queries"][0]["embedding"]);
    for release in RELEASES {
        let store = stored(release);
        for case in newest["filters"].as_array().unwrap() {
            let filter: Filter = serde_json::from_value(case.clone()).unwrap();
            let found = ask(&store, &asked, 10, Some(&filter), Mode::Similarity);
            assert_same(
                &format!("{release} {}", case["case"]),
                &found,
                &case["result"],
            );
        }
    }
}

#[test]
fn marginal_relevance_is_pythons() {
    // 0.9 had another formula
    for release in &RELEASES[1..] {
        let expected = json(&format!("li-{release}/expected.json"));
        let asked = vector(&expected["queries"][0]["embedding"]);
        let store = stored(release);
        let found = ask(&store, &asked, 3, None, Mode::Mmr(0.3));
        assert_same(release, &found, &expected["mmr_0.3_top3"]);
    }
}

#[test]
fn a_question_of_another_model_is_refused_with_both_widths() {
    let store = stored("0.14.25");
    let error = store
        .query(&VectorQuery {
            vector: &[1.0; 3],
            top_k: 2,
            ..VectorQuery::default()
        })
        .unwrap_err();
    assert_eq!(
        error,
        QueryError::Width {
            asked: 3,
            stored: 12
        }
    );
    assert!(error.to_string().contains("3 numbers") && error.to_string().contains("12"));
}

#[test]
fn two_rankings_are_fused_as_python_fuses_them() {
    for case in json("fusion.json").as_array().unwrap() {
        let ranking = |key: &str| -> Vec<(&str, f64)> {
            let hits = case[key].as_array().unwrap().iter();
            hits.map(|hit| (hit[0].as_str().unwrap(), hit[1].as_f64().unwrap()))
                .collect()
        };
        let (a, b) = (ranking("a"), ranking("b"));
        for (key, mode) in [
            ("reciprocal_rerank", fusion::Mode::ReciprocalRank),
            ("relative_score", fusion::Mode::RelativeScore),
            ("dist_based_score", fusion::Mode::DistanceBased),
            ("simple", fusion::Mode::Simple),
        ] {
            let mut fused = fuse(&[(&a, 0.6), (&b, 0.4)], mode);
            let length = case[key].as_array().unwrap().len();
            fused.truncate(length);
            assert_same(key, &fused, &case[key]);
        }
    }
}

#[test]
fn the_texts_of_a_property_graph_are_found() {
    for release in &RELEASES[1..] {
        let loaded = KnowledgeBase::load(&fixture(&format!("li-{release}/graph")), None).unwrap();
        let found = loaded.base.find("who leads dermatology");
        assert!(found[0].text.contains("Bo Chen"), "{release}: {found:?}");
    }
}

/// Each operator, read from LlamaIndex 0.14.25: what it decides for `{"n": 3, "s": "Visit", "l": ["a", 2], "e": "", "z": null, "t": true}`.
#[test]
fn every_operator_judges_as_pythons_does() {
    let metadata = serde_json::from_str(
        r#"{"n": 3, "s": "Visit", "l": ["a", 2], "e": "", "z": null, "t": true}"#,
    )
    .unwrap();
    for (key, operator, value, fits) in [
        ("n", "==", "3.0", true),
        ("t", "==", "1", true),
        ("n", "!=", "4", true),
        ("missing", "!=", "4", true),
        ("z", "!=", "4", true),
        ("missing", "==", "null", false),
        ("n", ">", "2.5", true),
        ("n", ">=", "3", true),
        ("n", "<", "3", false),
        ("n", "<=", "3", true),
        // Python raises a TypeError
        ("n", ">", "\"2\"", false),
        ("s", ">", "\"A\"", true),
        ("s", "in", "[\"Visit\", 1]", true),
        ("s", "in", "\"a Visit\"", true),
        ("n", "nin", "[1, 2]", true),
        ("n", "nin", "[3]", false),
        ("missing", "nin", "[3]", true),
        ("l", "contains", "\"a\"", true),
        ("l", "contains", "2.0", true),
        ("s", "contains", "\"is\"", true),
        ("l", "any", "[\"b\", 2]", true),
        ("l", "all", "[\"a\", 2]", true),
        ("l", "all", "[\"a\", 3]", false),
        ("s", "text_match", "\"vis\"", false),
        ("s", "text_match_insensitive", "\"VIS\"", true),
        ("e", "is_empty", "null", true),
        ("missing", "is_empty", "null", true),
        ("n", "is_empty", "null", false),
    ] {
        let filter: Filter = serde_json::from_str(&format!(
            r#"{{"key": "{key}", "operator": "{operator}", "value": {value}}}"#
        ))
        .unwrap();
        assert_eq!(
            antiphon_knowledge::filter::fits(&filter, &metadata),
            fits,
            "{key} {operator} {value}"
        );
        let not = Filter::Group {
            filters: vec![filter],
            condition: FilterCondition::Not,
        };
        assert_eq!(
            antiphon_knowledge::filter::fits(&not, &metadata),
            !fits,
            "not {key} {operator} {value}"
        );
    }
}
