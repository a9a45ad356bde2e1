//! An index of LlamaIndex that is kept as it was after reading: it answers as the JSON does, is of the files that are there now, and is never
//! believed when it is damaged.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use antiphon_agent::provider::{Filter, Query};
use antiphon_chat::Passage;
use antiphon_knowledge::KnowledgeBase;
use antiphon_knowledge::files::Reader;
use serde_json::{Map, Value, json};

/// Enough that the store is kept.
const NODES: usize = 800;
const WIDTH: usize = 384;

fn text(number: usize) -> String {
    format!(
        "Shelf {number} holds parts of kind k{} and of make m{}.",
        number % 37,
        number % 11
    )
}

fn vector(number: usize) -> Vec<f64> {
    let wave = |at: usize| ((number * 31 + at * 7) as f64 * 0.618_033_988_749_894_9).sin();
    (0..WIDTH).map(wave).collect()
}

/// Nodes of documents, with a larger passage around every four of them.
fn store(folder: &Path, change: &str) {
    let (mut nodes, mut ids) = (Map::new(), Map::new());
    let (mut vectors, mut metadata) = (Map::new(), Map::new());
    for number in 0..NODES {
        let id = format!("n{number}");
        let parent = format!("p{}", number / 4);
        let data = json!({
            "id_": id, "text": format!("{}{change}", text(number)), "class_name": "TextNode",
            "metadata": {"page_label": number.to_string(), "side": number % 2},
            "excluded_embed_metadata_keys": ["page_label", "side"],
            "excluded_llm_metadata_keys": ["page_label", "side"],
            "relationships": {"4": {"node_id": parent}},
        });
        nodes.insert(id.clone(), json!({"__data__": data, "__type__": "1"}));
        ids.insert(id.clone(), json!(id));
        vectors.insert(id.clone(), json!(vector(number)));
        metadata.insert(id, json!({"side": number % 2, "_node_type": "TextNode"}));
    }
    for number in 0..NODES / 4 {
        let children: Vec<Value> = (0..4)
            .map(|child| json!({"node_id": format!("n{}", 4 * number + child)}))
            .collect();
        let data = json!({"text": format!("All of bay {number}."), "metadata": {}, "relationships": {"5": children}});
        nodes.insert(
            format!("p{number}"),
            json!({"__data__": data, "__type__": "1"}),
        );
    }
    let write = |name: &str, value: Value| fs::write(folder.join(name), value.to_string()).unwrap();
    write("docstore.json", json!({"docstore/data": nodes}));
    let index = json!({"nodes_dict": ids}).to_string();
    write(
        "index_store.json",
        json!({"index_store/data": {"i": {"__type__": "vector_store", "__data__": index}}}),
    );
    write(
        "default__vector_store.json",
        json!({"embedding_dict": vectors, "metadata_dict": metadata}),
    );
}

/// Ranks by vectors that are given.
struct Given;

impl antiphon_agent::provider::Embedder for Given {
    fn info(&self) -> antiphon_agent::provider::ProviderInfo {
        antiphon_agent::provider::ProviderInfo {
            provider: "test",
            model: String::new(),
        }
    }

    fn dimensions(&self) -> Option<usize> {
        Some(WIDTH)
    }

    fn embed(
        &self,
        _: Vec<String>,
        _: antiphon_agent::provider::EmbedPurpose,
    ) -> antiphon_agent::provider::BoxFuture<'_, Result<Vec<Vec<f32>>, antiphon_agent::ProviderError>>
    {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// What a base answers, by words, with a filter and by meaning.
fn answers(base: &KnowledgeBase) -> Vec<Vec<Passage>> {
    let vectors = base.vectors().unwrap();
    base.set_meaning(antiphon_knowledge::Meaning {
        embedder: std::sync::Arc::new(Given),
        vectors,
    });
    let near: Vec<f32> = vector(123).iter().map(|value| *value as f32).collect();
    let sided = Query {
        filter: Some(Filter::equals("side", 1)),
        ..Query::new("kind k5 of make m3")
    };
    vec![
        base.find("which shelf holds kind k5"),
        base.ranked(&sided, None),
        base.ranked(&"parts of make m7".into(), Some(&near)),
        base.find("shelf 401"),
        base.ranked(&sided, Some(&near)),
    ]
}

fn load(store: &Path, caches: Option<&Path>) -> Vec<Vec<Passage>> {
    let loaded = KnowledgeBase::load_kept(store, None, &Reader::here(), caches).unwrap();
    assert_eq!(loaded.base.len(), NODES);
    answers(&loaded.base)
}

fn kept(folder: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    names.into_iter().find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "index")
    })
}

/// Other bytes in the middle of a file, which its size and time do not tell.
fn alter_unseen(path: &Path, from: &str, to: &str) {
    let changed = fs::metadata(path).unwrap().modified().unwrap();
    let altered = fs::read_to_string(path).unwrap().replace(from, to);
    fs::write(path, altered).unwrap();
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(changed)
        .unwrap();
}

#[test]
fn what_was_kept_answers_as_the_json_does_and_the_json_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), "");
    let expected = answers(&KnowledgeBase::load(folder.path(), None).unwrap().base);
    assert!(
        expected.iter().all(|found| !found.is_empty()),
        "{expected:?}"
    );
    assert!(
        kept(folder.path()).is_none(),
        "a library's load writes nothing"
    );
    assert_eq!(load(folder.path(), None), expected);
    assert!(kept(folder.path()).is_some());
    alter_unseen(&folder.path().join("docstore.json"), &text(401), &text(402));
    assert_eq!(load(folder.path(), None), expected);
}

#[test]
fn a_store_that_has_changed_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), "");
    load(folder.path(), None);
    store(folder.path(), " Since May.");
    let found = load(folder.path(), None);
    assert!(
        found
            .iter()
            .flatten()
            .all(|passage| passage.text.ends_with("Since May.")),
        "{found:?}"
    );
}

#[test]
fn a_store_that_may_not_be_written_is_kept_in_the_caches() {
    let folder = tempfile::tempdir().unwrap();
    let caches = tempfile::tempdir().unwrap();
    store(folder.path(), "");
    // root may write everywhere, so the name is taken
    load(folder.path(), None);
    let taken = kept(folder.path()).unwrap();
    fs::remove_file(&taken).unwrap();
    fs::create_dir(&taken).unwrap();
    let expected = load(folder.path(), Some(caches.path()));
    assert!(kept(caches.path()).is_some());
    alter_unseen(&folder.path().join("docstore.json"), &text(401), &text(402));
    assert_eq!(load(folder.path(), Some(caches.path())), expected);
}

#[test]
fn what_is_damaged_in_any_place_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), "");
    let expected = load(folder.path(), None);
    let file = kept(folder.path()).unwrap();
    let whole = fs::read(&file).unwrap();
    let texts: Vec<String> = (0..NODES).map(text).collect();
    let check = |damaged: &[u8], how: &str| {
        fs::write(&file, damaged).unwrap();
        let found = load(folder.path(), None);
        // a passage or a vector that stays in the file is checked when it is wanted, and left out
        let is_whole = |passage: &Passage| {
            texts.contains(&passage.text) || passage.text.starts_with("All of bay")
        };
        assert!(
            found == expected || found.iter().flatten().all(is_whole),
            "{how}: {found:?}"
        );
    };
    for cut in [0, 1, 15, 16, whole.len() / 2, whole.len() - 1] {
        check(whole.get(..cut).unwrap(), &format!("cut to {cut}"));
        assert_eq!(load(folder.path(), None), expected, "it was made anew");
    }
    let longer = [whole.as_slice(), b"more"].concat();
    check(&longer, "longer");
    for step in 0..48 {
        let at = step * (whole.len() - 1) / 47;
        let mut damaged = whole.clone();
        *damaged.get_mut(at).unwrap() ^= 0x20;
        check(&damaged, &format!("byte {at}"));
    }
}

#[test]
fn starts_at_once_all_have_a_whole_index() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), "");
    let expected = answers(&KnowledgeBase::load(folder.path(), None).unwrap().base);
    std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| load(folder.path(), None)))
            .collect();
        for start in starts {
            assert_eq!(start.join().unwrap(), expected);
        }
    });
    assert_eq!(load(folder.path(), None), expected);
}
