//! Folders as people point to them: LlamaIndex's storage directories with their deletions and their several indexes, what only
//! looks like one, and files in other encodings.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use antiphon_knowledge::{KnowledgeBase, KnowledgeError};
use serde_json::{Value, json};

fn write(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).unwrap();
}

fn text(text: &str, kind: &str) -> Value {
    json!({"__type__": kind, "__data__": {"text": text, "metadata": {}}})
}

/// A docstore of a price that was replaced by another.
fn docstore(folder: &Path) {
    let nodes = json!({"old": text("A haircut costs 20 euros.", "1"), "new": text("A haircut costs 35 euros.", "1"), "hours": text("The salon opens at nine.", "4")});
    write(folder, "docstore.json", &json!({"docstore/data": nodes}));
}

fn index(kind: &str, data: &Value) -> Value {
    json!({"__type__": kind, "__data__": data.to_string()})
}

fn indexes(folder: &Path, indexes: &Value) {
    write(
        folder,
        "index_store.json",
        &json!({"index_store/data": indexes}),
    );
}

fn texts(base: &KnowledgeBase, question: &str) -> Vec<String> {
    base.find(question)
        .into_iter()
        .map(|passage| passage.text)
        .collect()
}

fn error(folder: &Path, index_id: Option<&str>) -> String {
    KnowledgeBase::load(folder, index_id)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_deleted_document_is_not_read_to_callers() {
    for (kind, data) in [
        (
            "vector_store",
            json!({"index_id": "i", "nodes_dict": {"new": "new", "hours": "hours"}}),
        ),
        ("list", json!({"index_id": "i", "nodes": ["new", "hours"]})),
        (
            "tree",
            json!({"all_nodes": {"0": "new", "1": "hours"}, "root_nodes": {}}),
        ),
        (
            "keyword_table",
            json!({"table": {"haircut": ["new"], "nine": ["hours"]}}),
        ),
        (
            "document_summary",
            json!({"summary_id_to_node_ids": {"s": ["new", "hours"]}}),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        docstore(folder.path());
        indexes(folder.path(), &json!({"i": index(kind, &data)}));
        let loaded = KnowledgeBase::load(folder.path(), None).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        // two passages are given whole, the better one first
        let (price, hours) = ("A haircut costs 35 euros.", "The salon opens at nine.");
        assert_eq!(
            texts(&loaded.base, "what does a haircut cost"),
            [price, hours],
            "{kind}"
        );
        // a whole document that is in the index belongs to it
        assert_eq!(
            texts(&loaded.base, "when do you open"),
            [hours, price],
            "{kind}"
        );
    }
}

#[test]
fn of_several_indexes_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    docstore(folder.path());
    let one = index("vector_store", &json!({"nodes_dict": {"new": "new"}}));
    let other = index("list", &json!({"nodes": ["hours", "gone"]}));
    indexes(folder.path(), &json!({"prices": one, "times": other}));
    let message = error(folder.path(), None);
    assert!(
        message.contains("2 indexes: `prices` (vector_store), `times` (list)")
            && message.contains("index_id"),
        "{message}"
    );
    assert!(matches!(
        KnowledgeBase::load(folder.path(), Some("x")),
        Err(KnowledgeError::NoSuchIndex { .. })
    ));
    let loaded = KnowledgeBase::load(folder.path(), Some("times")).unwrap();
    assert_eq!(loaded.base.len(), 1);
    assert!(
        loaded
            .warnings
            .first()
            .unwrap()
            .contains("1 nodes of the index `times`"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn a_storage_directory_behind_byte_order_marks_is_read() {
    let folder = tempfile::tempdir().unwrap();
    docstore(folder.path());
    indexes(
        folder.path(),
        &json!({"i": index("list", &json!({"nodes": ["new"]}))}),
    );
    for name in ["docstore.json", "index_store.json"] {
        let path = folder.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("\u{feff}{text}")).unwrap();
    }
    assert_eq!(
        KnowledgeBase::load(folder.path(), None).unwrap().base.len(),
        1
    );
}

#[test]
fn a_folder_that_is_no_knowledge_says_what_it_is_and_what_to_do() {
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &["docstore.json"],
            "document store without an index",
            "VectorStoreIndex",
        ),
        (
            &["index_store.json", "default__vector_store.json"],
            "without its docstore.json",
            "storage_context.persist()",
        ),
        (
            &["doc_store.json", "index_store.json", "vector_store.json"],
            "LlamaIndex.TS",
            "Python",
        ),
        (
            &["default__vector_store.json"],
            "vector store alone",
            "whole storage context",
        ),
        (
            &["property_graph_store.json"],
            "graph store",
            "VectorStoreIndex",
        ),
        (&["chroma.sqlite3"], "Chroma", "documents"),
        (&["index.faiss", "index.pkl"], "FAISS", "documents"),
        (&["meta.json", "collection"], "Qdrant", "documents"),
        (&["table.lance"], "LanceDB", "documents"),
    ];
    for (files, what, advice) in cases {
        let folder = tempfile::tempdir().unwrap();
        for file in *files {
            fs::write(folder.path().join(file), "{}").unwrap();
        }
        let message = error(folder.path(), None);
        assert!(
            message.contains(what) && message.contains(advice),
            "{files:?}: {message}"
        );
        // beside documents it is a note
        fs::write(folder.path().join("a.md"), "Parking is free.").unwrap();
        let loaded = KnowledgeBase::load(folder.path(), None).unwrap();
        assert!(
            loaded.warnings.iter().any(|note| note.contains(what)),
            "{:?}",
            loaded.warnings
        );
    }
}

#[test]
fn a_graph_and_an_empty_store_and_the_folder_around_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("storage");
    fs::create_dir(&storage).unwrap();
    write(&storage, "docstore.json", &json!({}));
    indexes(
        &storage,
        &json!({"g": index("simple_lpg", &json!({"index_id": "g"}))}),
    );
    assert!(error(&storage, None).contains("kind `simple_lpg`"));
    indexes(
        &storage,
        &json!({"v": index("vector_store", &json!({"nodes_dict": {}}))}),
    );
    assert!(error(&storage, None).contains("without a node"));
    let around = error(folder.path(), None);
    assert!(
        around.contains("a folder around 1 LlamaIndex storage directory")
            && around.contains("/storage\""),
        "{around}"
    );
    write(&storage, "index_store.json", &json!({}));
    fs::write(storage.join("property_graph_store.json"), "x".repeat(200)).unwrap();
    assert!(error(&storage, None).contains("property graph"));
}

#[test]
fn a_docstore_that_never_had_an_index_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    docstore(folder.path());
    write(folder.path(), "index_store.json", &json!({}));
    let loaded = KnowledgeBase::load(folder.path(), None).unwrap();
    assert_eq!(loaded.base.len(), 3);
    let warned = loaded.warnings.join(" ");
    assert!(
        warned.contains("names no index") && warned.contains("deleted"),
        "{warned}"
    );
    let wrong = error(folder.path(), Some("x"));
    assert!(wrong.contains("has no index `x`, and no other"), "{wrong}");
}

#[test]
fn an_index_that_is_not_there_is_said_to_be_wrong() {
    let folder = tempfile::tempdir().unwrap();
    docstore(folder.path());
    indexes(
        folder.path(),
        &json!({"A": index("list", &json!({"nodes": ["new"]}))}),
    );
    let wrong = error(folder.path(), Some("a"));
    assert!(
        wrong.contains("has no index `a`") && wrong.contains("`A` (list)"),
        "{wrong}"
    );
}

#[test]
fn documents_are_read_in_whatever_encoding_they_were_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(
        path.join("mark.md"),
        "\u{feff}# Opening hours\nWe open at nine.",
    )
    .unwrap();
    let utf_16 = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
    };
    fs::write(
        path.join("utf16.txt"),
        utf_16("Parking is behind the house, free of charge."),
    )
    .unwrap();
    fs::write(
        path.join("latin.txt"),
        b"The caf\xe9 on the first floor serves cr\xeapes and br\xfbl\xe9e all day long.",
    )
    .unwrap();
    let icons =
        "<svg viewBox='0 0 9 9'><path d='M0'/><circle r='1'/></svg><img src=x><br>".repeat(200);
    fs::write(
        path.join("page.html"),
        format!(
            "{icons}<script>{}</script><h1>Dogs</h1><p>Dogs are welcome.",
            "i<n;".repeat(300)
        ),
    )
    .unwrap();
    let loaded = KnowledgeBase::load(path, None).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let first = |question: &str| loaded.base.find(question).into_iter().next().unwrap();
    assert_eq!(first("opening hours").source, "mark.md › Opening hours");
    assert_eq!(
        first("where can I park").text,
        "Parking is behind the house, free of charge."
    );
    assert!(
        first("is there a café")
            .text
            .starts_with("The café on the first floor serves crêpes")
    );
    assert_eq!(first("are dogs welcome").source, "page.html › Dogs");
}
