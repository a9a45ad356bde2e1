//! The scenario files of all topics.

use std::path::{Path, PathBuf};

/// Every scenario, sorted: its name (`topic/short-name`), and its file.
pub(crate) fn scenarios() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files = Vec::new();
    look_into(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(&root).unwrap().with_extension("");
            (name.to_string_lossy().into_owned(), file)
        })
        .collect()
}

fn look_into(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_into(&path, files);
        } else if path.extension().is_some_and(|end| end == "scenario") {
            files.push(path);
        }
    }
}
