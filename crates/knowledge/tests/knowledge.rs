//! A folder of documents and LlamaIndex's storage directories, as a caller's question meets them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::path::Path;

use antiphon_knowledge::llamaindex::MetadataMode;
use antiphon_knowledge::{KnowledgeBase, KnowledgeError, llamaindex};
use proptest::prelude::*;

const RELEASES: [&str; 6] = [
    "0.9.48", "0.10.68", "0.11.23", "0.12.0", "0.13.6", "0.14.25",
];

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[test]
fn nodes_of_every_llamaindex_release_have_the_texts_that_python_gives_them() {
    for release in RELEASES {
        let folder = fixtures().join(format!("li-{release}"));
        let expected: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let storage = llamaindex::load(&folder.join("vector"), None).unwrap();
        assert_eq!(storage.warnings, Vec::<String>::new());
        assert!(!storage.nodes.is_empty());
        for node in storage.nodes {
            let python = &expected["nodes"][&node.id];
            for (key, mode) in [
                ("content_none", MetadataMode::None),
                ("content_llm", MetadataMode::Llm),
                ("content_embed", MetadataMode::Embed),
                ("content_all", MetadataMode::All),
            ] {
                assert_eq!(
                    python[key],
                    node.content(mode),
                    "{release} {key} {}",
                    node.id
                );
            }
            assert_eq!(python["hash"], node.hash(), "{release} {}", node.id);
            assert_eq!(python["ref_doc_id"], node.source.unwrap(), "{release}");
        }
        let kinds = llamaindex::load(&folder.join("kinds"), None).unwrap();
        // a docstore alone: nothing is left out, and that there is no index is said
        assert!(
            matches!(kinds.warnings.as_slice(), [only] if only.contains("names no index")),
            "{release}: {:?}",
            kinds.warnings
        );
        assert!(!kinds.nodes.is_empty());
    }
}

#[test]
fn a_llamaindex_directory_answers_a_question_with_its_source() {
    for release in RELEASES {
        let loaded =
            KnowledgeBase::load(&fixtures().join(format!("li-{release}/vector")), None).unwrap();
        let found = loaded.base.find("when is the clinic open on saturdays");
        assert_eq!(found[0].source, "hours.txt", "{release}");
        assert!(found[0].text.contains("On Saturdays it opens at 9"));
    }
}

#[test]
fn a_folder_is_searched_and_what_cannot_be_read_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(
        path.join("menu.md"),
        "# Menu\n## Desserts\nChocolate cake for six euros.\n## Mains\nFish soup.",
    )
    .unwrap();
    fs::write(
        path.join("hours.html"),
        "<title>x</title><h1>Hours</h1><p>We open on Sunday at noon.<script>evil()</script>",
    )
    .unwrap();
    fs::write(path.join("bad.txt"), [0xff, 0xfe, 0x00]).unwrap();
    fs::create_dir(path.join("sub")).unwrap();
    fs::write(path.join("sub/parking.txt"), "Parking is behind the house.").unwrap();
    let loaded = KnowledgeBase::load(path, None).unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].starts_with("bad.txt"));
    assert_eq!(loaded.base.len(), 4);
    assert_eq!(
        loaded.base.find("which desserts do you have")[0].source,
        "menu.md › Menu › Desserts"
    );
    let hours = &loaded.base.find("when do you open on sunday")[0];
    assert!(
        hours.source == "hours.html › Hours" && !hours.text.contains("evil"),
        "{hours:?}"
    );
    assert_eq!(
        loaded.base.find("where can I park")[0].source,
        "sub/parking.txt"
    );
    assert_eq!(loaded.base.find("hello, how are you"), []);
    assert!(matches!(
        KnowledgeBase::load(&path.join("none"), None),
        Err(KnowledgeError::Folder { .. })
    ));
}

#[test]
#[cfg(unix)]
fn the_documents_of_a_kubernetes_configmap_are_read_and_a_loop_of_links_ends() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // As Kubernetes mounts it: files are links into `..data`, itself a link to a folder with a date.
    fs::create_dir(path.join("..2026_01_01")).unwrap();
    fs::write(path.join("..2026_01_01/menu.md"), "Fish soup is six euros.").unwrap();
    symlink("..2026_01_01", path.join("..data")).unwrap();
    symlink("..data/menu.md", path.join("menu.md")).unwrap();
    fs::create_dir(path.join("sub")).unwrap();
    symlink("..", path.join("sub/around")).unwrap();
    symlink("nowhere.md", path.join("broken.md")).unwrap();
    let loaded = KnowledgeBase::load(path, None).unwrap();
    assert_eq!(loaded.base.len(), 1);
    assert_eq!(loaded.base.find("fish soup")[0].source, "menu.md");
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("broken.md"));
}

#[test]
fn what_is_no_document_is_not_left_out_silently() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.odt", "b.pages"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let loaded = KnowledgeBase::load(folder.path(), None).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    let note = &loaded.warnings[0];
    assert!(
        note.contains("a.odt, b.pages") && note.contains("Markdown"),
        "{note}"
    );
}

#[test]
fn nan_and_unknown_kinds_do_not_stop_an_index_from_loading() {
    let text = r#"{"docstore/data": {"a": {"__type__": "1", "__data__": {"text": "NaN is \"NaN\"", "metadata": {"x": NaN, "y": -Infinity}}},
        "b": {"__type__": "9", "__data__": {}}}}"#;
    let (nodes, warnings) = llamaindex::parse(text.as_bytes()).unwrap();
    assert!(
        nodes[0]
            .content(MetadataMode::Embed)
            .ends_with("NaN is \"NaN\"")
    );
    assert_eq!(warnings.len(), 1);
    assert!(llamaindex::parse("[".repeat(100_000).as_bytes()).is_err());
}

proptest! {
    #[test]
    fn a_hostile_docstore_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = llamaindex::parse(&bytes);
    }

    #[test]
    fn hostile_html_is_read_without_panic(text in "[<>/a-z\"= &;#0-9]{0,300}") {
        antiphon_knowledge::html::html("x.html", &text);
    }
}

/// A ranking that takes as long as the test wants.
struct Slow(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl antiphon_knowledge::Retriever for Slow {
    fn retrieve(&self, _query: &str, _top_k: usize) -> Vec<(usize, f32)> {
        // the end of the test ends it; without an end a fault would look like a test that hangs
        let wait = std::time::Duration::from_secs(20);
        let _ = self.0.lock().unwrap().recv_timeout(wait);
        vec![(0, 1.0)]
    }
}

#[tokio::test]
async fn a_slow_search_does_not_hold_up_the_call_beyond_its_budget() {
    use antiphon_agent::provider::Knowledge;
    let (end, ended) = std::sync::mpsc::sync_channel(1);
    let chunk = antiphon_knowledge::chunk::Chunk {
        text: "Parking is free.".into(),
        source: "a.md".into(),
        ..Default::default()
    };
    let slow = Slow(std::sync::Mutex::new(ended));
    let base = KnowledgeBase::new(vec![chunk], std::sync::Arc::new(slow));
    let budget = std::time::Duration::from_millis(5);
    let found = tokio::time::timeout(budget, base.search("parking".into())).await;
    assert!(found.is_err(), "{found:?}");
    drop(end);
}

#[test]
fn a_file_without_words_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("empty.md", ""),
        ("blank.txt", " \n\n"),
        ("heading.md", "# Menu\n"),
        ("page.html", "<title>x</title>"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let loaded = KnowledgeBase::load(folder.path(), None).unwrap();
    assert!(loaded.base.is_empty());
    assert_eq!(loaded.warnings.len(), 4, "{:?}", loaded.warnings);
    assert!(
        loaded
            .warnings
            .iter()
            .all(|warning| warning.contains("nothing to search"))
    );
}

#[tokio::test]
async fn a_question_that_goes_on_with_the_one_before_finds_what_both_are_about() {
    use antiphon_agent::provider::{Knowledge, Query};
    let pages = [
        (
            "a.md",
            "# Pool\nThe pool opens at seven on weekdays. On Sunday the pool opens at nine.",
        ),
        (
            "b.md",
            "# Sauna\nThe sauna is mixed. On Sunday it is for women.",
        ),
        ("c.md", "# Café\nCake is served from two."),
        ("d.md", "# Parking\nBehind the house."),
        ("e.md", "# Lockers\nBring a coin of one euro."),
    ];
    let base =
        KnowledgeBase::from_markdown(pages.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let asked = |text: &str, before: &str| {
        let query = Query {
            before: vec![before.to_owned()],
            ..Query::new(text)
        };
        let base = base.clone();
        async move {
            base.search(query)
                .await
                .passages
                .first()
                .map(|passage| passage.source.clone())
        }
    };
    let first = asked("And on Sunday?", "When does the pool open?").await;
    assert_eq!(first.as_deref(), Some("a.md › Pool"));
    let first = asked("And on Sunday?", "Is the sauna mixed?").await;
    assert_eq!(first.as_deref(), Some("b.md › Sauna"));
    // a question that stands by itself is asked by itself
    let first = asked("Where can I park?", "When does the pool open?").await;
    assert_eq!(first.as_deref(), Some("d.md › Parking"));
    assert_eq!(
        asked("Thank you, bye", "When does the pool open?").await,
        None
    );
}

#[tokio::test]
async fn what_a_tenant_may_not_see_is_not_found_whatever_is_asked_for() {
    use antiphon_agent::provider::{Filter, Knowledge, Query};
    use antiphon_knowledge::search::{Index, Text};
    let texts = [
        ("a", "The alarm code is 4711."),
        ("b", "The alarm code is 9999."),
        ("b", "The bins go out on Monday."),
    ];
    let chunks: Vec<_> = texts
        .iter()
        .map(|(tenant, text)| antiphon_knowledge::chunk::Chunk {
            text: (*text).into(),
            metadata: [("tenant".to_owned(), (*tenant).into())]
                .into_iter()
                .collect(),
            ..Default::default()
        })
        .collect();
    let index = Index::new(texts.iter().map(|(_, text)| Text {
        document: "",
        headings: "",
        text,
    }));
    let base = KnowledgeBase::new(chunks, std::sync::Arc::new(index))
        .with_filter(Filter::equals("tenant", "a"));
    for filter in [
        None,
        Some(Filter::equals("tenant", "b")),
        serde_json::from_str(r#"{"filters": [{"key": "tenant", "value": "b"}, {"key": "tenant", "operator": "!=", "value": "z"}], "condition": "or"}"#).unwrap(),
    ] {
        let query = Query { filter, ..Query::new("What is the alarm code?") };
        let found = base.search(query).await.passages;
        assert!(found.iter().all(|passage| passage.text.contains("4711")), "{found:?}");
    }
    let query = Query {
        filter: Some(Filter::equals("tenant", "b")),
        ..Query::new("alarm code")
    };
    assert!(base.search(query).await.passages.is_empty());
}

/// Knows vectors of two directions.
struct TwoTopics;

impl antiphon_agent::provider::Embedder for TwoTopics {
    fn info(&self) -> antiphon_agent::provider::ProviderInfo {
        antiphon_agent::provider::ProviderInfo {
            provider: "test",
            model: "two".into(),
        }
    }

    fn dimensions(&self) -> Option<usize> {
        Some(2)
    }

    fn embed(
        &self,
        texts: Vec<String>,
        _: antiphon_agent::provider::EmbedPurpose,
    ) -> antiphon_agent::provider::BoxFuture<'_, Result<Vec<Vec<f32>>, antiphon_agent::ProviderError>>
    {
        let vector = |text: &String| match text {
            text if text.contains("Gauloise") || text.contains("moking") => vec![1.0, 0.1],
            text if text.contains("sky") => vec![-1.0, -1.0],
            _ => vec![0.0, 1.0],
        };
        let vectors = texts.iter().map(vector).collect();
        Box::pin(async move { Ok(vectors) })
    }
}

#[tokio::test]
async fn what_is_meant_is_found_without_a_word_of_it_and_what_is_not_there_is_not() {
    use antiphon_agent::provider::Knowledge;
    use antiphon_knowledge::embed::{Foreign, embed};
    let pages = [
        "Smoking is permitted on the balconies.",
        "Breakfast is at nine.",
        "The pool is warm.",
        "Towels are free.",
        "The lift is broken.",
    ];
    let base = KnowledgeBase::from_markdown(
        pages
            .iter()
            .enumerate()
            .map(|(number, text)| (format!("{number}.md"), (*text).to_owned())),
    );
    let by_words = base
        .search("Is a Gauloise all right?".into())
        .await
        .passages;
    assert!(by_words.iter().all(|passage| passage.text != pages[0]));
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("vectors");
    let mut told = Vec::new();
    embed(
        &base,
        std::sync::Arc::new(TwoTopics),
        Foreign::Refused,
        Some(&kept),
        |done, all| told.push((done, all)),
    )
    .await
    .unwrap();
    assert_eq!(told, [(0, 5), (5, 5)]);
    let found = base
        .search("Is a Gauloise all right?".into())
        .await
        .passages;
    assert_eq!(found.first().unwrap().text, pages[0]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        base.search("How far is the sky?".into())
            .await
            .passages
            .is_empty()
    );
    assert!(
        base.search("Thank you, bye".into())
            .await
            .passages
            .is_empty()
    );

    // the next start makes what is new
    let more = pages
        .iter()
        .chain(&["Bicycles may be borrowed."])
        .enumerate();
    let base = KnowledgeBase::from_markdown(
        more.map(|(number, text)| (format!("{number}.md"), (*text).to_owned())),
    );
    let mut told = Vec::new();
    embed(
        &base,
        std::sync::Arc::new(TwoTopics),
        Foreign::Refused,
        Some(&kept),
        |done, all| told.push((done, all)),
    )
    .await
    .unwrap();
    assert_eq!(told, [(5, 6), (6, 6)]);
}

#[tokio::test]
async fn an_index_of_another_model_is_an_error_that_says_so() {
    use antiphon_knowledge::embed::{Foreign, embed};
    let folder = fixtures().join("li-0.14.25/vector");
    let base = KnowledgeBase::load(&folder, None).unwrap().base;
    let error = embed(
        &base,
        std::sync::Arc::new(TwoTopics),
        Foreign::Refused,
        None,
        |_, _| {},
    )
    .await
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("another model than two") && error.contains("12 numbers, not 2"),
        "{error}"
    );
    assert!(!base.has_meaning());
    embed(
        &base,
        std::sync::Arc::new(TwoTopics),
        Foreign::Replaced,
        None,
        |_, _| {},
    )
    .await
    .unwrap();
    assert!(base.has_meaning());
}
