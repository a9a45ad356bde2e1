//! Files as documents: what an index is built of.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::KnowledgeError;
use crate::folder;
use crate::html;
use crate::llamaindex::write::Document;

/// The documents of a folder, in the order of their names, and what could not be read, one line each.
///
/// # Errors
/// [`KnowledgeError::Folder`] when the folder itself cannot be read.
pub fn of_folder(root: &Path) -> Result<(Vec<Document>, Vec<String>), KnowledgeError> {
    let (files, mut notes) = folder::files(root)?;
    let mut documents = Vec::new();
    for (file, name) in files {
        match of_file(&file, &name) {
            Ok(read) if read.is_empty() => notes.push(format!("{name} holds nothing to search")),
            Ok(read) => documents.extend(read),
            Err(reason) => notes.push(format!("{name} is left out: {reason}")),
        }
    }
    Ok((documents, notes))
}

/// The document of a file, with its name as the id; none, when there is nothing in it.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn of_file(file: &Path, name: &str) -> Result<Vec<Document>, String> {
    let mut text = folder::text_of(file)?;
    if folder::is_html(file) {
        let chunks = html::html(name, &text);
        text = chunks
            .into_iter()
            .map(|chunk| chunk.text)
            .collect::<Vec<_>>()
            .join("\n\n");
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Document {
        id: name.to_owned(),
        text,
        metadata: metadata(name),
    }])
}

/// The name of the file, without the folder: it is read by models and embedded.
fn metadata(name: &str) -> Map<String, Value> {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let mut metadata = Map::new();
    metadata.insert("file_name".into(), file.into());
    metadata
}
