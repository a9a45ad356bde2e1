//! Files as documents: what an index is built of.

use std::path::Path;

use serde_json::Map;

use crate::error::KnowledgeError;
use crate::files::{self, Reader};
use crate::folder::{self, Form};
use crate::html;
use crate::llamaindex::write::Document;
use crate::split::Splitter;

/// The documents of a folder, in the order of their names, and what could not be read, one line each.
///
/// # Errors
/// [`KnowledgeError::Folder`] when the folder itself cannot be read.
pub fn of_folder(
    root: &Path,
    reader: &Reader,
    splitter: &Splitter,
) -> Result<(Vec<Document>, Vec<String>), KnowledgeError> {
    let (files, mut notes) = folder::files(root)?;
    let mut documents = Vec::new();
    for (file, name) in files {
        match of_file(&file, &name, reader, splitter, &mut notes) {
            Ok(read) if read.is_empty() => notes.push(format!("{name} holds nothing to search")),
            Ok(read) => documents.extend(read),
            Err(reason) => notes.push(format!("{name} is left out: {reason}")),
        }
    }
    Ok((documents, notes))
}

/// The documents of a file with its name as the id; of one with pages each page, `NAME_part_0` and so on, as `SimpleDirectoryReader`
/// has it with `filename_as_id`; none, when there is nothing in it. They are for this splitter: that of pages reads their markup. What of it
/// is not read though the rest is becomes a note.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn of_file(
    file: &Path,
    name: &str,
    reader: &Reader,
    splitter: &Splitter,
    notes: &mut Vec<String>,
) -> Result<Vec<Document>, String> {
    let mut documents: Vec<Document> = match Form::of(file) {
        Some(Form::Other(_)) => {
            let parts = folder::parts_of(file, reader)?;
            notes.extend(files::unread(name, &parts));
            let parts = parts
                .into_iter()
                .map(|part| document(name, part.text(), part.page));
            parts.collect()
        }
        // who cuts by elements must see them
        Some(Form::Html) if *splitter == Splitter::Html => {
            vec![document(name, folder::text_of(file, true)?, None)]
        }
        Some(Form::Html) => {
            let chunks = html::html(name, &folder::text_of(file, true)?);
            let texts: Vec<String> = chunks.into_iter().map(|chunk| chunk.text).collect();
            vec![document(name, texts.join("\n\n"), None)]
        }
        Some(Form::Markdown | Form::Text) | None => {
            vec![document(name, folder::text_of(file, false)?, None)]
        }
    };
    documents.retain(|document| !document.text.trim().is_empty());
    if documents.len() > 1 {
        for (number, document) in documents.iter_mut().enumerate() {
            document.id = format!("{name}{PART}{number}");
        }
    }
    Ok(documents)
}

const PART: &str = "_part_";

/// Is it a document of the file with this name?
pub fn is_of(id: &str, name: &str) -> bool {
    let rest = id.strip_prefix(name);
    rest.is_some_and(|rest| {
        let number = rest.strip_prefix(PART);
        rest.is_empty() || number.is_some_and(|number| number.parse::<usize>().is_ok())
    })
}

/// With the name of the file, without the folder, as metadata: it is read by models and embedded. The page is LlamaIndex's `page_label`.
fn document(name: &str, text: String, page: Option<String>) -> Document {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let mut metadata = Map::new();
    if let Some(page) = page {
        metadata.insert("page_label".into(), page.into());
    }
    metadata.insert("file_name".into(), file.into());
    Document {
        id: name.to_owned(),
        text,
        metadata,
    }
}
