//! A folder of documents. Symbolic links are followed (Kubernetes mounts a ConfigMap as
//! links), each folder is read once, and hidden files are left out.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::chunk::{self, Chunk};
use crate::error::KnowledgeError;
use crate::files::{self, Kind, Part, Reader};
use crate::llamaindex::write::ABOUT;
use crate::{decode, html};

/// Largest file of text that is read: a book has 1 MB.
pub const MAX_FILE_BYTES: u64 = 8 << 20;
/// Most files of one folder.
pub const MAX_FILES: usize = 10_000;
/// Most chunks of one folder; about 15 million words.
pub const MAX_CHUNKS: usize = 100_000;
/// Deepest folder inside the folder.
const MAX_DEPTH: usize = 16;
/// A note about files that are not read names so many.
const NAMED_FILES: usize = 5;
/// What is read, in words.
pub const KINDS: &str = "PDF, Word, PowerPoint, Excel, CSV, JSON, e-mail, Markdown, text or HTML";

/// Read every document under `root`; what cannot be read becomes a warning.
///
/// # Errors
/// [`KnowledgeError::Folder`] when the folder itself cannot be read.
pub fn load(root: &Path, reader: &Reader) -> Result<(Vec<Chunk>, Vec<String>), KnowledgeError> {
    let (files, mut warnings) = files(root)?;
    let mut chunks = Vec::new();
    for (file, name) in files {
        match read(&file, &name, reader, &mut warnings) {
            Ok(new) if new.is_empty() => warnings.push(format!(
                "{name} holds nothing to search: there are no words in it below a heading"
            )),
            Ok(mut new) => chunks.append(&mut new),
            Err(reason) => warnings.push(format!("{name} is left out: {reason}")),
        }
        if chunks.len() > MAX_CHUNKS {
            chunks.truncate(MAX_CHUNKS);
            warnings.push(format!(
                "only the first {MAX_CHUNKS} passages are kept, up to {name}"
            ));
            break;
        }
    }
    Ok((chunks, warnings))
}

/// Files with their names in a folder, and what else is there, in words.
pub type Files = (Vec<(PathBuf, String)>, Vec<String>);

/// The documents under `root` with their names there, in the order of these; what else is there, in words.
///
/// # Errors
/// [`KnowledgeError::Folder`] when the folder itself cannot be read.
pub fn files(root: &Path) -> Result<Files, KnowledgeError> {
    fs::read_dir(root).map_err(|error| KnowledgeError::Folder {
        path: root.into(),
        reason: error.to_string(),
    })?;
    let mut walk = Walk::default();
    walk.folder(root, 0);
    let Walk {
        mut files,
        mut warnings,
        other,
        ..
    } = walk;
    files.sort();
    warnings.extend(unsupported(root, other));
    let named = files.into_iter().map(|file| {
        let name = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .display()
            .to_string();
        (file, name)
    });
    Ok((named.collect(), warnings))
}

/// What a walk through the folder has found.
#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    /// Files that are no documents.
    other: Vec<PathBuf>,
    /// Folders by their real paths: a link to one that was read, or to one around it, is not followed again.
    seen: HashSet<PathBuf>,
    warnings: Vec<String>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, depth: usize) {
        let entries = fs::canonicalize(folder).and_then(|real| {
            if self.seen.insert(real) {
                fs::read_dir(folder).map(Some)
            } else {
                Ok(None)
            }
        });
        let entries = match entries {
            Ok(Some(entries)) => entries,
            Ok(None) => return,
            Err(error) => return self.left_out(folder, &error),
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            // Of what a link leads to.
            match fs::metadata(&path) {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => self.folder(&path, depth + 1),
                Ok(kind) if kind.is_dir() => self.warnings.push(format!(
                    "{} is left out: folders are nested more than {MAX_DEPTH} deep",
                    path.display()
                )),
                Ok(kind) if kind.is_file() && Form::of(&path).is_some() => {
                    if self.files.len() >= MAX_FILES {
                        return self
                            .warnings
                            .push(format!("only the first {MAX_FILES} files are read"));
                    }
                    self.files.push(path);
                }
                Ok(kind) if kind.is_file() && self.other.len() < MAX_FILES => {
                    self.other.push(path);
                }
                Ok(_) => {}
                Err(error) => self.left_out(&path, &error),
            }
        }
    }

    fn left_out(&mut self, path: &Path, error: &std::io::Error) {
        self.warnings
            .push(format!("{} is left out: {error}", path.display()));
    }
}

/// One note for all files of kinds that are not read.
fn unsupported(root: &Path, mut files: Vec<PathBuf>) -> Option<String> {
    files.sort();
    let names: Vec<String> = files
        .iter()
        .take(NAMED_FILES)
        .map(|file| {
            file.strip_prefix(root)
                .unwrap_or(file)
                .display()
                .to_string()
        })
        .collect();
    if names.is_empty() {
        return None;
    }
    let more = match files.len().saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "{}{more}: not read; save them as one of {KINDS}",
        names.join(", ")
    ))
}

/// How a document is read, by its name.
pub(crate) enum Form {
    Markdown,
    Html,
    Text,
    /// No text.
    Other(Kind),
}

impl Form {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        // the parts of an index are no documents, wherever they lie
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_part = name.ends_with("vector_store.json")
            || matches!(
                &*name,
                ABOUT
                    | "docstore.json"
                    | "doc_store.json"
                    | "index_store.json"
                    | "graph_store.json"
                    | "property_graph_store.json"
            );
        if is_part {
            return None;
        }
        Self::of_extension(&files::extension(&path.to_string_lossy()))
    }

    /// By the lowercase end of its name alone.
    pub(crate) fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "md" | "markdown" => Some(Self::Markdown),
            "html" | "htm" => Some(Self::Html),
            "txt" | "text" => Some(Self::Text),
            other => Kind::of(other).map(Self::Other),
        }
    }
}

fn read(
    file: &Path,
    name: &str,
    reader: &Reader,
    notes: &mut Vec<String>,
) -> Result<Vec<Chunk>, String> {
    Ok(match Form::of(file) {
        Some(Form::Markdown) => chunk::markdown(name, &text_of(file, false)?),
        Some(Form::Html) => html::html(name, &text_of(file, true)?),
        Some(Form::Other(_)) => {
            let parts = parts_of(file, reader)?;
            notes.extend(files::unread(name, &parts));
            chunk::parts(name, &parts)
        }
        Some(Form::Text) | None => chunk::plain(name, &text_of(file, false)?),
    })
}

/// The text of a document, in which a page's tags are still there; why it cannot be read, in words.
pub(crate) fn text_of(file: &Path, is_html: bool) -> Result<String, String> {
    decode::text(&bytes_of(file, MAX_FILE_BYTES)?, is_html)
}

/// What stands in a document that is no text; why it cannot be read, in words.
pub(crate) fn parts_of(file: &Path, reader: &Reader) -> Result<Vec<Part>, String> {
    let bytes = bytes_of(file, files::MAX_BYTES)?;
    reader.read(&files::extension(&file.to_string_lossy()), &bytes)
}

fn bytes_of(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    let size = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > most {
        return Err(format!("{size} bytes are more than {most}"));
    }
    fs::read(file).map_err(|error| error.to_string())
}
