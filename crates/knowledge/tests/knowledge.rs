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
fn a_pdf_in_the_folder_is_not_left_out_silently() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.pdf", "b.docx"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let loaded = KnowledgeBase::load(folder.path(), None).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    let note = &loaded.warnings[0];
    assert!(
        note.contains("a.pdf, b.docx") && note.contains("Markdown"),
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
