//! Documents cut into nodes as LlamaIndex's node parsers cut them, so that an index made here is the one that Python would have made.
//!
//! | module | what |
//! |---|---|
//! | [`sentence`] | `SentenceSplitter`, LlamaIndex's default: whole sentences up to a number of tokens |
//! | [`tokens`] | how long a text is for LlamaIndex |
//! | [`punkt`] | where sentences end, as NLTK's untrained Punkt sees it |
//! | [`page`] | `HTMLNodeParser` (by kinds of elements) |
//! | [`section`] | `MarkdownNodeParser` (by headings) and `SentenceWindowNodeParser` (single sentences, with those around them) |

pub mod page;
pub mod punkt;
pub mod section;
pub mod sentence;
pub mod tokens;

use serde_json::{Map, Value};

pub use self::punkt::Nltk;
pub use self::sentence::{Release, SentenceSplitter, SplitError};

/// How a document is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splitter {
    /// `SentenceSplitter`.
    Sentence(SentenceSplitter),
    /// `MarkdownNodeParser`: a node for each heading, as long as what stands below it.
    Markdown,
    /// `HTMLNodeParser`: a node for each run of elements of one kind.
    Html,
    /// `SentenceWindowNodeParser`: a node for each sentence, which carries so many on each side.
    Window(usize),
}

/// A piece of a document, that becomes a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// Its text.
    pub text: String,
    /// What is known of it beside what is known of the document.
    pub metadata: Map<String, Value>,
    /// Keys of these that are neither embedded nor shown to a model.
    pub hidden: &'static [&'static str],
}

impl Splitter {
    /// The pieces of a text whose document has these metadata.
    ///
    /// # Errors
    /// [`SplitError`].
    pub fn split(&self, text: &str, metadata: &str) -> Result<Vec<Piece>, SplitError> {
        match self {
            Self::Sentence(splitter) => {
                let texts = splitter.split(text, metadata)?;
                let piece = |text| Piece {
                    text,
                    ..Piece::default()
                };
                Ok(texts.into_iter().map(piece).collect())
            }
            Self::Markdown => Ok(section::markdown(text)),
            Self::Html => Ok(page::html(text)),
            Self::Window(size) => Ok(section::windows(text, *size)),
        }
    }
}
