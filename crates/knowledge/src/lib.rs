//! Documents → chunks → index → passages for a question.
//!
//! | module | what |
//! |---|---|
//! | [`base`] | [`KnowledgeBase`]: what an agent asks; the tool `search_knowledge` |
//! | [`bm25`] | the ranking, by the formula of LlamaIndex's `BM25Retriever`, with which `interop/knowledge` compares it |
//! | [`chunk`] | Markdown, text and HTML cut into speakable pieces with their headings |
//! | [`folder`] | a folder of documents |
//! | [`llamaindex`] | a directory written by LlamaIndex's `storage_context.persist` |

pub mod base;
pub mod bm25;
pub mod chunk;
pub mod error;
pub mod folder;
pub mod llamaindex;

pub use base::{KnowledgeBase, KnowledgeTool, Loaded, Retriever};
pub use error::KnowledgeError;
