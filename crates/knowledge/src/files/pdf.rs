//! PDF, page by page (ISO 32000-1): where each letter stands says what is a line, a paragraph, a heading and a row of a table.
//!
//! | module | what |
//! |---|---|
//! | `interpreter` | a page's drawing instructions, as far as they are about text → letters with their places |
//! | `font` | codes → letters and their widths |
//! | `names` | the names of letters in fonts → letters |
//! | `layout` | letters → headings, paragraphs and tables |
//! | `labels` | the numbers that are printed on the pages |

use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use super::{Block, MAX_PARTS, Part};

mod font;
mod interpreter;
mod labels;
mod layout;
mod names;

use layout::Page;

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Part>, String> {
    let document = Pdf::new(bytes.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            "it is protected with a password; save it again without one".to_owned()
        }
        LoadPdfError::Decryption(_) => "it is protected in a way that is not known".to_owned(),
        LoadPdfError::Invalid => "it is no PDF, or damaged".to_owned(),
    })?;
    let count = document.pages().len().min(MAX_PARTS);
    let labels = labels::labels(&document, count);
    let mut interpreter = interpreter::Interpreter::default();
    let mut pages: Vec<(String, Page)> = Vec::new();
    let mut has_picture = Vec::new();
    for (page, label) in document.pages().iter().zip(labels) {
        let drawn = interpreter.drawn(page);
        pages.push((label, Page::new(&drawn.letters)));
        has_picture.push(drawn.has_picture);
    }
    layout::drop_running_titles(&mut pages);
    let body = layout::body_size(&pages);
    let mut parts: Vec<Part> = pages
        .into_iter()
        .map(|(label, page)| Part {
            page: Some(label),
            blocks: page.blocks(body),
        })
        .collect();
    if parts.iter().all(|part| part.blocks.is_empty()) {
        return Err("it has no text that can be read; if it holds pictures of text, run it through a text recognition (OCR) first".into());
    }
    for (part, has_picture) in parts.iter_mut().zip(has_picture) {
        if has_picture && part.blocks.is_empty() {
            part.blocks.push(Block::Picture);
        }
    }
    Ok(parts)
}
