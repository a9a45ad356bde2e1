//! Documents that are no text: what stands in them, as headings, lines and rows of tables.
//!
//! | module | what |
//! |---|---|
//! | [`reader`] | a document read in a process of its own, which may crash, loop or eat memory without harm |
//! | [`table`] | rows that say what their cells are |
//! | `archive` | the files inside a Word, PowerPoint or Excel document |
//! | `office` | Word and PowerPoint |
//! | `sheet` | Excel and CSV |
//! | `data` | JSON and JSON lines |
//! | `mail` | e-mail with what is attached |
//! | `pdf` | PDF, page by page |

mod archive;
mod data;
mod mail;
mod office;
mod pdf;
pub mod reader;
mod sheet;
pub mod table;

use serde::{Deserialize, Serialize};

pub use reader::Reader;

/// Largest document: pictures make PDFs and slides large, words do not.
pub const MAX_BYTES: u64 = 64 << 20;
/// Most text of one document; a book has 1 MB.
pub const MAX_TEXT_BYTES: usize = 8 << 20;
/// Pages, slides or sheets of one document.
pub const MAX_PARTS: usize = 5_000;
/// An e-mail is attached to an e-mail, and a document to that.
const MAX_ATTACHED: usize = 3;

/// What a document is, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PDF.
    Pdf,
    /// Word (`docx`).
    Word,
    /// PowerPoint (`pptx`).
    Slides,
    /// Excel (`xlsx`).
    Sheet,
    /// Values with commas, semicolons, tabs or bars between them.
    Table,
    /// JSON.
    Json,
    /// One JSON value on each line.
    JsonLines,
    /// An e-mail.
    Mail,
}

impl Kind {
    /// By the end of a name, in small letters.
    pub fn of(extension: &str) -> Option<Self> {
        match extension {
            "pdf" => Some(Self::Pdf),
            "docx" | "docm" => Some(Self::Word),
            "pptx" | "pptm" => Some(Self::Slides),
            "xlsx" | "xlsm" => Some(Self::Sheet),
            "csv" | "tsv" => Some(Self::Table),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "eml" => Some(Self::Mail),
            _ => None,
        }
    }
}

/// The end of a file's name, in small letters.
pub(crate) fn extension(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let end = file.rsplit_once('.').map_or("", |(_, end)| end);
    end.to_lowercase()
}

/// A page, a slide, a sheet, or a whole document that has none of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number or name.
    pub page: Option<String>,
    /// What stands there.
    pub blocks: Vec<Block>,
}

/// A piece of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// A heading and its level, from 1.
    Heading(u8, String),
    /// A paragraph, or a thing of a list.
    Line(String),
    /// A row of a table, with what its cells are.
    Row(String),
    /// A picture on a page without text, as a scanner makes it.
    Picture,
}

impl Block {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Heading(_, text) | Self::Line(text) | Self::Row(text) => text,
            Self::Picture => "",
        }
    }
}

impl Part {
    /// A part as one text: headings and paragraphs with an empty line between them, rows below one another.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut is_row = false;
        for block in &self.blocks {
            let row = matches!(block, Block::Row(_));
            if !text.is_empty() {
                text.push_str(if row && is_row { "\n" } else { "\n\n" });
            }
            is_row = row;
            text.push_str(block.text());
        }
        text
    }
}

/// Pages that are named in a note.
const NAMED_PAGES: usize = 5;

/// What of a document is not read though the rest is, in words.
pub(crate) fn unread(name: &str, parts: &[Part]) -> Option<String> {
    let is_picture = |part: &&Part| part.blocks == [Block::Picture];
    let pages: Vec<&str> = parts
        .iter()
        .filter(is_picture)
        .map(|part| part.page.as_deref().unwrap_or("?"))
        .collect();
    let named = pages.iter().take(NAMED_PAGES).copied().collect::<Vec<_>>();
    let more = match pages.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!pages.is_empty()).then(|| {
        format!(
            "{name} is read but for page {}{more}: pictures without text; run the file through a text recognition (OCR) first",
            named.join(", ")
        )
    })
}

/// What stands in a document, in this process: whoever does not trust the document asks a [`Reader`].
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read(kind: Kind, bytes: &[u8]) -> Result<Vec<Part>, String> {
    read_attached(kind, bytes, 0)
}

fn read_attached(kind: Kind, bytes: &[u8], depth: usize) -> Result<Vec<Part>, String> {
    let mut parts = match kind {
        Kind::Pdf => pdf::read(bytes)?,
        Kind::Word => office::word(bytes)?,
        Kind::Slides => office::slides(bytes)?,
        Kind::Sheet => sheet::workbook(bytes)?,
        Kind::Table => sheet::separated(bytes)?,
        Kind::Json => data::json(bytes)?,
        Kind::JsonLines => data::lines(bytes)?,
        Kind::Mail => mail::read(bytes, depth)?,
    };
    parts.retain(|part| !part.blocks.is_empty());
    limit(&mut parts);
    Ok(parts)
}

/// Not more parts and text than are kept of a document.
fn limit(parts: &mut Vec<Part>) {
    parts.truncate(MAX_PARTS);
    let mut left = MAX_TEXT_BYTES;
    for part in parts {
        part.blocks.retain(|block| {
            let fits = block.text().len() <= left;
            left = if fits { left - block.text().len() } else { 0 };
            fits
        });
    }
}

/// Words with single spaces between them.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
fn texts(parts: &[Part]) -> Vec<String> {
    let blocks = parts.iter().flat_map(|part| &part.blocks);
    blocks.map(|block| block.text().to_owned()).collect()
}
