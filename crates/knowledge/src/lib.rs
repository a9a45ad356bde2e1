//! Documents → chunks → index → passages for a question.
//!
//! | module | what |
//! |---|---|
//! | [`base`] | [`KnowledgeBase`]: what an agent asks; the tool `search_knowledge` |
//! | [`search`] | passages for a question in a caller's words, and none when nothing fits |
//! | `words`, `synonyms` | words as they are compared, by language; other words for the same; small talk |
//! | [`wording`] | sentences beside a question, for whoever chooses among them |
//! | [`bm25`] | the formula of LlamaIndex's `BM25Retriever`, with which `interop/knowledge` compares it |
//! | [`chunk`], [`html`] | Markdown, text and HTML cut into speakable pieces with their headings |
//! | [`decode`] | bytes → text, whatever the encoding |
//! | [`folder`] | a folder of documents |
//! | [`llamaindex`] | a directory written by LlamaIndex's `storage_context.persist` |
//! | [`foreign`] | a folder that is neither, by name |

pub mod base;
pub mod bm25;
pub mod chunk;
pub mod decode;
pub mod error;
pub mod folder;
pub mod foreign;
pub mod html;
pub mod llamaindex;
pub mod search;
mod synonyms;
pub mod wording;
mod words;

pub use base::{KnowledgeBase, KnowledgeTool, Loaded, Retriever};
pub use error::KnowledgeError;
