//! What an agent asks: a loaded knowledge base, and the tool over it.

use std::path::Path;
use std::sync::Arc;

use antiphon_agent::provider::{BoxFuture, Knowledge};
use antiphon_chat::Passage;

use crate::chunk::{self, Chunk};
use crate::error::KnowledgeError;
use crate::search::Index;
use crate::{folder, foreign, llamaindex};

/// Passages given for one question: LlamaIndex's default is 2, but its passages are longer.
pub const DEFAULT_TOP_K: usize = 4;
/// Words of a query that are read; a caller's turn has about 15, a pasted text may have thousands.
const MAX_QUERY_CHARS: usize = 2_000;

/// Ranks the passages of a base; numbers are their positions.
pub trait Retriever: Send + Sync + 'static {
    /// The passages to give for a question with their scores, best first, at most `top_k`; none when nothing is asked.
    fn retrieve(&self, query: &str, top_k: usize) -> Vec<(usize, f32)>;
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
}

impl std::fmt::Debug for KnowledgeBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnowledgeBase")
            .field("passages", &self.chunks.len())
            .finish_non_exhaustive()
    }
}

impl KnowledgeBase {
    /// Load a folder of documents, or a LlamaIndex storage directory if it is one; of several indexes in it `index_id` names
    /// one. Blocks: call it before the first call.
    ///
    /// # Errors
    /// The folder or the index cannot be read at all, or is something else.
    pub fn load(path: &Path, index_id: Option<&str>) -> Result<Loaded, KnowledgeError> {
        if llamaindex::is_index(path) {
            let (nodes, warnings) = llamaindex::load(path, index_id)?;
            let index = Index::new(nodes.iter().map(|node| ("", node.embed_text.as_str())));
            let chunks = nodes.into_iter().map(|node| node.chunk).collect();
            let base = Self::new(chunks, Arc::new(index));
            return Ok(Loaded { base, warnings });
        }
        let (chunks, mut warnings) = folder::load(path)?;
        match (not_documents(path), chunks.is_empty()) {
            (Some(error), true) => return Err(error),
            (Some(error), false) => warnings.push(error.to_string()),
            (None, _) => {}
        }
        if index_id.is_some() {
            warnings.push("index_id names an index of LlamaIndex, and the folder is none".into());
        }
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
        let index = Index::new(
            chunks
                .iter()
                .map(|chunk| (headings(chunk), chunk.text.as_str())),
        );
        Self::new(chunks, Arc::new(index))
    }

    /// Passages with a ranking of one's own.
    pub fn new(chunks: Vec<Chunk>, retriever: Arc<dyn Retriever>) -> Self {
        Self {
            chunks: chunks.into(),
            retriever,
            top_k: DEFAULT_TOP_K,
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

    /// The best passages, best first.
    pub fn find(&self, query: &str) -> Vec<Passage> {
        let query: String = query.chars().take(MAX_QUERY_CHARS).collect();
        self.retriever
            .retrieve(&query, self.top_k)
            .into_iter()
            .take(self.top_k)
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
        let (base, query) = (self.clone(), query.to_owned());
        // off the threads of the calls: a search of a large base takes milliseconds, and its budget must be able to end the wait
        let search = tokio::task::spawn_blocking(move || base.find(&query));
        Box::pin(async move { search.await.unwrap_or_default() })
    }
}

/// The headings of a passage, and the name of its file: "desserts" may stand nowhere else.
fn headings(chunk: &Chunk) -> &str {
    let (file, headings) = chunk
        .source
        .split_once(" › ")
        .unwrap_or((&chunk.source, ""));
    if headings.is_empty() {
        file.rsplit_once('.').map_or(file, |(name, _)| name)
    } else {
        headings
    }
}

/// A folder that holds something else than documents, or a folder of such.
fn not_documents(path: &Path) -> Option<KnowledgeError> {
    if let Some(foreign) = foreign::recognise(path) {
        return Some(KnowledgeError::Foreign {
            path: path.into(),
            what: foreign.what.to_owned(),
            advice: foreign.advice,
        });
    }
    let inside = foreign::indexes_inside(path);
    let first = inside.first()?;
    Some(KnowledgeError::Foreign {
        path: path.into(),
        what: format!(
            "a folder around {} LlamaIndex storage {}",
            inside.len(),
            if inside.len() == 1 {
                "directory"
            } else {
                "directories"
            }
        ),
        advice: format!(
            "Point to the directory itself: `[knowledge] path = \"{}\"`",
            first.display()
        ),
    })
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
    pub async fn call(&self, query: &str) -> String {
        let passages = self.0.search(query).await;
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
