//! Documents → chunks → index → passages for a question.
//!
//! | module | what |
//! |---|---|
//! | [`base`] | [`KnowledgeBase`]: what an agent asks; the tool `search_knowledge` |
//! | [`search`] | passages for a question in a caller's words, and none when nothing fits |
//! | `question` | a question with the turn before it, and as a vector in time |
//! | [`meaning`] | joining what words find with what vectors find |
//! | [`embed`] | the passages' vectors: those that came with them, those made before, and the rest |
//! | [`vectors`] | vectors, and which of them lie closest |
//! | [`filter`], [`fusion`] | conditions on metadata; several rankings made one, as LlamaIndex has both |
//! | `family`, `storage` | passages that are parts of larger ones; an index of LlamaIndex as passages |
//! | `kept`, `passages` | an index as it was after reading, in a file beside the store; passages in memory or in that file |
//! | `language` | which language a passage or a question is in: by its small words and its letters |
//! | `words`, `synonyms` | words as they are compared, by language; other words for the same; small talk |
//! | [`wording`] | sentences beside a question, for whoever chooses among them |
//! | [`bm25`] | the formula of LlamaIndex's `BM25Retriever`, with which `interop/knowledge` compares it |
//! | [`chunk`], [`html`] | Markdown, text and HTML cut into speakable pieces with their headings |
//! | [`decode`] | bytes → text, whatever the encoding |
//! | [`sources`] | several bases, and others' retrievers, asked at once |
//! | [`database`] | vector databases that LlamaIndex has filled: pgvector, Qdrant, Chroma, Milvus |
//! | [`files`] | what stands in PDF, Office documents, tables, JSON and e-mail, read in a process of its own |
//! | [`folder`], [`documents`] | a folder of documents, as passages and as documents to be indexed |
//! | [`split`] | documents cut into nodes as LlamaIndex cuts them |
//! | [`llamaindex`] | a directory written by LlamaIndex's `storage_context.persist` |
//! | [`foreign`] | a folder that is neither, by name |

pub mod base;
pub mod bm25;
pub mod chunk;
pub mod database;
pub mod decode;
pub mod documents;
pub mod embed;
pub mod error;
mod family;
pub mod files;
pub mod filter;
pub mod folder;
pub mod foreign;
pub mod fusion;
pub mod html;
mod kept;
mod language;
pub mod llamaindex;
pub mod meaning;
mod passages;
mod question;
pub mod search;
pub mod sources;
pub mod split;
mod storage;
mod synonyms;
pub mod vectors;
pub mod wording;
mod words;

pub use base::{Candidates, KnowledgeBase, KnowledgeTool, Loaded, Reading, Retriever};
pub use error::KnowledgeError;
pub use meaning::Meaning;
pub use sources::Sources;
