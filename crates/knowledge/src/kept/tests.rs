#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::llamaindex::{Node, Storage, VectorStore};
use crate::storage::take_apart;

fn parts() -> Parts {
    let mut vectors = VectorStore {
        vectors: Vectors::new(3),
        ..VectorStore::default()
    };
    let nodes = (0..60usize).map(|number| {
        vectors.ids.push(format!("n{number}"));
        vectors.vectors.push(&[number as f32, 1.0, 2.0]);
        Node {
            id: format!("n{number}"),
            text: format!("The parts of number {number} lie in bay b{}.", number % 7),
            parent: Some("n0".into()),
            ..Node::default()
        }
    });
    take_apart(Storage {
        nodes: nodes.collect(),
        vectors: Some(vectors),
        ..Storage::default()
    })
}

fn written(parts: &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    write_to(&mut out, &Stamp("s".into()), parts).unwrap();
    out
}

/// Whatever the file holds, it is asked for everything that a base is asked for.
fn ask(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("x.index");
    fs::write(&place, bytes).unwrap();
    let Some(parts) = read(&place, &Stamp("s".into())) else {
        return;
    };
    let base = crate::KnowledgeBase::of_parts(parts).base;
    if let Some(vectors) = base.vectors() {
        let _ = vectors.closest(&[1.0, 2.0, 3.0], 5, |_| true);
        let _ = vectors.cosine(0, 59);
    }
    let filter = antiphon_agent::provider::Filter::equals("a", 1);
    for question in ["which parts lie in bay b3", "prats", "number 7"] {
        let _ = base.find(question);
        let _ = base.clone().with_filter(filter.clone()).find(question);
    }
    let _ = base.chunks().count();
}

#[test]
fn a_whole_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("x.index");
    let parts = parts();
    write(&place, &Stamp("s".into()), &parts).unwrap();
    let again = read(&place, &Stamp("s".into())).unwrap();
    assert_eq!(again.searched, 60);
    assert!(matches!(again.passages, Passages::Kept(_)));
    assert!(read(&place, &Stamp("another".into())).is_none());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&place).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may not read the documents here");
    }
}

/// All that is said of a base by what was read, but for records that are left out.
fn is_true(read: &Parts, whole: &Parts) -> bool {
    let vectors = |parts: &Parts| {
        parts
            .embedded
            .as_ref()
            .map(|embedded| embedded.vectors.clone())
    };
    let (Some(ours), Some(theirs)) = (vectors(read), vectors(whole)) else {
        return false;
    };
    let terms = |parts: &Parts| {
        let (_, languages, bm25) = parts.index.parts();
        let kept = bm25.parts();
        let words = (
            kept.terms.to_owned(),
            kept.term_ends.to_vec(),
            kept.ends.to_vec(),
        );
        (
            words,
            languages.to_vec(),
            kept.numbers.to_vec(),
            kept.scores.to_vec(),
        )
    };
    let row = |number| {
        ours.row(number)
            .is_none_or(|row| Some(row) == theirs.row(number))
    };
    let passage = |number| {
        let found = read.passages.get(number);
        found.is_none_or(|found| Some(found) == whole.passages.get(number))
    };
    ours.parts() == theirs.parts()
        && terms(read) == terms(whole)
        && (0..60).all(|number| row(number) && passage(number))
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let whole = parts();
    let bytes = written(&whole);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("x.index");
    let mut noticed = 0;
    for at in (0..bytes.len()).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::write(&place, damaged).unwrap();
        match read(&place, &Stamp("s".into())) {
            None => noticed += 1,
            Some(read) => assert!(is_true(&read, &whole), "byte {at}"),
        }
    }
    assert!(noticed > 0);
}

#[test]
fn one_of_another_program_is_not_read() {
    let bytes = String::from_utf8_lossy(&written(&parts())).into_owned();
    assert!(bytes.contains(BUILT));
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("x.index");
    let mut forged = written(&parts());
    forge(&mut forged, |head| head.built.push('x'));
    fs::write(&place, forged).unwrap();
    assert!(read(&place, &Stamp("s".into())).is_none());
}

/// A head with other words in it, and sums that fit.
fn forge(bytes: &mut Vec<u8>, change: impl Fn(&mut Head)) {
    let end = bytes.len() - 16;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    let mut head: Head = serde_json::from_slice(&bytes[end - length..end]).unwrap();
    for (at, length, sum) in &mut head.sections {
        let section = bytes.get(*at as usize..(*at + *length) as usize);
        *sum = section.map_or(0, crc32fast::hash);
    }
    change(&mut head);
    bytes.truncate(end - length);
    let head = serde_json::to_vec(&head).unwrap();
    let sum = crc32fast::hash(&head);
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(b"antiph01");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Damage that the sums do not show, since whoever did it wrote them anew.
    #[test]
    fn no_forged_file_does_harm(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        searched in prop::option::of(0usize..200),
        dimensions in prop::option::of(0usize..9),
        language in prop::option::of(any::<usize>()),
    ) {
        let mut bytes = written(&parts());
        let end = bytes.len() - 16;
        let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
        for (at, byte) in edits {
            let at = at.index(end - length);
            bytes[at] = byte;
        }
        forge(&mut bytes, |head| {
            head.searched = searched.unwrap_or(head.searched);
            head.dimensions = dimensions.unwrap_or(head.dimensions);
            head.languages.extend(language);
        });
        ask(&bytes);
    }

    /// Bytes of any kind.
    #[test]
    fn no_mutated_file_does_harm(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = written(&parts());
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            let cut = cut.index(bytes.len());
            bytes.truncate(cut);
        }
        ask(&bytes);
    }
}
