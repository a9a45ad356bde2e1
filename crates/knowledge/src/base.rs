//! What an agent asks: a loaded knowledge base, and the tool over it.

use std::path::Path;
use std::sync::Arc;

use antiphon_agent::provider::{BoxFuture, Knowledge};
use antiphon_dialogue::chat::Passage;

use crate::bm25::Bm25;
use crate::chunk::{self, Chunk};
use crate::error::KnowledgeError;
use crate::{folder, llamaindex};

/// Passages given for one question: LlamaIndex's default is 2, speech bears 3.
pub const DEFAULT_TOP_K: usize = 4;
/// Below this share of the best score a passage is left out.
const RELATIVE_FLOOR: f32 = 0.35;
/// Words of a query that are read; a caller's turn has about 15, a pasted text may have thousands.
const MAX_QUERY_CHARS: usize = 2_000;

/// Ranks the passages of a base; numbers are their positions.
pub trait Retriever: Send + Sync + 'static {
    /// The best passages with their scores, best first.
    fn retrieve(&self, query: &str, top_k: usize) -> Vec<(usize, f32)>;
}

impl Retriever for Bm25 {
    fn retrieve(&self, query: &str, top_k: usize) -> Vec<(usize, f32)> {
        self.search(query, top_k)
    }
}

/// A base and what was left out of it.
#[derive(Debug)]
pub struct Loaded {
    /// The base.
    pub base: KnowledgeBase,
    /// Files and nodes that could not be read, one line each.
    pub warnings: Vec<String>,
}

/// Passages and their ranking. Cheap to clone.
#[derive(Clone)]
pub struct KnowledgeBase {
    chunks: Arc<[Chunk]>,
    retriever: Arc<dyn Retriever>,
    top_k: usize,
    min_score: f32,
}

impl std::fmt::Debug for KnowledgeBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnowledgeBase")
            .field("passages", &self.chunks.len())
            .finish_non_exhaustive()
    }
}

impl KnowledgeBase {
    /// Load a folder of documents, or a LlamaIndex storage directory if it is one. Blocks: call it before the first call.
    ///
    /// # Errors
    /// The folder or the index cannot be read at all.
    pub fn load(path: &Path) -> Result<Loaded, KnowledgeError> {
        if llamaindex::is_index(path) {
            let (nodes, warnings) = llamaindex::load(path)?;
            let (texts, chunks): (Vec<_>, Vec<_>) = nodes
                .into_iter()
                .map(|node| (node.embed_text, node.chunk))
                .unzip();
            let bm25 = Bm25::new(texts.iter().map(String::as_str));
            let base = Self::new(chunks, Arc::new(bm25));
            return Ok(Loaded { base, warnings });
        }
        let (chunks, warnings) = folder::load(path)?;
        let base = Self::searchable(chunks);
        Ok(Loaded { base, warnings })
    }

    /// Markdown documents that are already in memory: file names and texts.
    pub fn from_markdown(documents: impl IntoIterator<Item = (String, String)>) -> Self {
        let chunks = documents
            .into_iter()
            .flat_map(|(name, text)| chunk::markdown(&name, &text))
            .collect();
        Self::searchable(chunks)
    }

    fn searchable(chunks: Vec<Chunk>) -> Self {
        // headings are searched too: "desserts" may stand nowhere else
        let texts: Vec<String> = chunks
            .iter()
            .map(|chunk| format!("{}\n{}", chunk.source, chunk.text))
            .collect();
        let bm25 = Bm25::new(texts.iter().map(String::as_str));
        Self::new(chunks, Arc::new(bm25))
    }

    /// Passages with a ranking of one's own.
    pub fn new(chunks: Vec<Chunk>, retriever: Arc<dyn Retriever>) -> Self {
        Self {
            chunks: chunks.into(),
            retriever,
            top_k: DEFAULT_TOP_K,
            min_score: 0.2,
        }
    }

    /// Give up to so many passages (`similarity_top_k`).
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// How many passages there are.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The best passages, best first, those far behind the best left out.
    pub fn find(&self, query: &str) -> Vec<Passage> {
        let query: String = query.chars().take(MAX_QUERY_CHARS).collect();
        let found = self.retriever.retrieve(&query, self.top_k);
        let floor = found
            .first()
            .map_or(0.0, |(_, best)| best * RELATIVE_FLOOR)
            .max(self.min_score);
        found
            .into_iter()
            .filter(|(_, score)| *score >= floor)
            .filter_map(|(number, score)| Some((self.chunks.get(number)?, score)))
            .map(|(chunk, score)| Passage {
                text: chunk.text.clone(),
                source: chunk.source.clone(),
                score,
            })
            .collect()
    }
}

impl Knowledge for KnowledgeBase {
    fn search<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Vec<Passage>> {
        Box::pin(std::future::ready(self.find(query)))
    }
}

/// The tool's work, to be wrapped as the function tool `search_knowledge(query)`.
#[derive(Clone, Debug)]
pub struct KnowledgeTool(pub KnowledgeBase);

impl KnowledgeTool {
    /// The tool's name.
    pub const NAME: &'static str = "search_knowledge";
    /// What the model reads about it.
    pub const DESCRIPTION: &'static str = "Searches the documents of this business for facts. Use it before answering a \
        question about facts that are not in the conversation yet.";

    /// Passages with their sources as text for the model.
    pub fn call(&self, query: &str) -> String {
        let passages = self.0.find(query);
        if passages.is_empty() {
            return "Nothing was found.".into();
        }
        passages
            .iter()
            .map(|p| format!("[{}] {}", p.source, p.text))
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}
