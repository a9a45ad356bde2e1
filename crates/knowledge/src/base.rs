//! What an agent asks: a loaded knowledge base, and the tool over it.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use antiphon_agent::provider::{BoxFuture, Filter, Found, Knowledge, Query};
use antiphon_chat::Passage;

use crate::chunk::{self, Chunk};
use crate::error::KnowledgeError;
use crate::family::Family;
use crate::files::Reader;
use crate::kept::{self, Stamp};
use crate::meaning::{self, CANDIDATES, Meaning};
use crate::passages::Passages;
use crate::question::Scope;
use crate::search::{Index, Text};
use crate::storage::{self, Parts, take_apart};
use crate::vectors::Vectors;
use crate::{folder, foreign, llamaindex, question};

/// Passages given for one question: LlamaIndex's default is 2, but its passages are longer.
pub const DEFAULT_TOP_K: usize = 4;
/// Most passages of one question.
pub const MAX_TOP_K: usize = 20;
/// Words of a query that are read; a caller's turn has about 15, a pasted text may have thousands.
const MAX_QUERY_CHARS: usize = 2_000;

/// Ranks the passages of a base; numbers are their positions.
pub trait Retriever: Send + Sync + 'static {
    /// The passages to give for a question with their scores, best first, at most `top_k`; none when nothing is asked.
    fn retrieve(&self, query: &str, top_k: usize) -> Vec<(usize, f32)>;

    /// The best `count` of those that `may` be found, without a rule for small bases.
    fn candidates(&self, query: &str, count: usize, may: &dyn Fn(usize) -> bool) -> Candidates {
        let mut found = self.retrieve(query, usize::MAX);
        found.retain(|(number, _)| may(*number));
        found.truncate(count);
        Candidates {
            found,
            perfect: None,
        }
    }

    /// What a question is, before anything is looked up.
    fn reading(&self, query: &str) -> Reading {
        Reading {
            asks: !query.trim().is_empty(),
            language: None,
        }
    }
}

/// What words find.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    /// The best passages with their scores, best first.
    pub found: Vec<(usize, f32)>,
    /// About what a passage would score that has every word of the question; `None`: not known, the best one found counts as such.
    pub perfect: Option<f32>,
}

/// What a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// It asks for something that passages could answer. "Thank you, bye" does not.
    pub asks: bool,
    /// Its language (ISO 639-1); `None`: not known.
    pub language: Option<&'static str>,
}

/// A base and what was left out of it.
#[derive(Debug)]
pub struct Loaded {
    /// The base.
    pub base: KnowledgeBase,
    /// Files and nodes that could not be read, one line each.
    pub warnings: Vec<String>,
}

/// Passages and their ranking. Cheap to clone; clones share all but their limits.
#[derive(Clone)]
pub struct KnowledgeBase {
    inner: Arc<Inner>,
    scope: Scope,
}

struct Inner {
    /// Those that are searched, then those that they are parts of.
    passages: Passages,
    searched: usize,
    family: Family,
    retriever: Arc<dyn Retriever>,
    /// What was read as each passage's text for embedding, and the vectors that came with the passages.
    embedded: Option<Embedded>,
    /// Not there while the passages are being embedded.
    meaning: OnceLock<Meaning>,
}

/// Vectors that came with passages, by their numbers.
pub(crate) struct Embedded {
    pub(crate) vectors: Arc<Vectors>,
    /// Some numbers, and the texts that their vectors were made of.
    pub(crate) probes: Vec<(usize, String)>,
}

impl std::fmt::Debug for KnowledgeBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnowledgeBase")
            .field("passages", &self.len())
            .field("meaning", &self.inner.meaning.get())
            .finish_non_exhaustive()
    }
}

impl KnowledgeBase {
    /// Load a folder of documents, or a LlamaIndex storage directory if it is one; of several indexes in it `index_id` names
    /// one. Blocks: call it before the first call. Documents are read in this process, so they must be trusted.
    ///
    /// # Errors
    /// The folder or the index cannot be read at all, or is something else.
    pub fn load(path: &Path, index_id: Option<&str>) -> Result<Loaded, KnowledgeError> {
        Self::load_with(path, index_id, &Reader::here())
    }

    /// The same, with documents that are no text read by this reader.
    ///
    /// # Errors
    /// The folder or the index cannot be read at all, or is something else.
    pub fn load_with(
        path: &Path,
        index_id: Option<&str>,
        reader: &Reader,
    ) -> Result<Loaded, KnowledgeError> {
        if llamaindex::is_index(path) {
            let parts = storage::load(path, index_id)?;
            return Ok(Self::of_parts(parts));
        }
        let (mut chunks, mut warnings) = folder::load(path, reader)?;
        let foreign = not_documents(path);
        if foreign.is_some() {
            // what a database says about itself
            chunks.retain(|chunk| !chunk.source.ends_with(".json"));
        }
        match (foreign, chunks.is_empty()) {
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

    /// The same, and an index of LlamaIndex is kept as it was after reading, beside itself or, where nothing may be written, in the folder
    /// `caches`: the next start has it in a moment. What is kept of other files, or is damaged, is made anew.
    ///
    /// # Errors
    /// The folder or the index cannot be read at all, or is something else.
    pub fn load_kept(
        path: &Path,
        index_id: Option<&str>,
        reader: &Reader,
        caches: Option<&Path>,
    ) -> Result<Loaded, KnowledgeError> {
        let is_index = llamaindex::is_index(path);
        let stamp = is_index.then(|| Stamp::of(path, index_id)).flatten();
        let Some(stamp) = stamp else {
            return Self::load_with(path, index_id, reader);
        };
        let places = kept::places(path, index_id, caches);
        if let Some(parts) = places.iter().find_map(|place| kept::read(place, &stamp)) {
            return Ok(Self::of_parts(parts));
        }
        let parts = storage::load(path, index_id)?;
        // files that changed while they were read are read again at the next start
        if Stamp::of(path, index_id).as_ref() == Some(&stamp) {
            let keep = |place: &std::path::PathBuf| kept::write(place, &stamp, &parts).is_ok();
            if !places.iter().any(keep) {
                tracing::warn!(store = %path.display(), "the index cannot be kept beside it or in the caches; it is read anew at every start");
            }
        }
        Ok(Self::of_parts(parts))
    }

    /// An index of LlamaIndex.
    pub fn of_storage(storage: llamaindex::Storage) -> Self {
        Self::of_parts(take_apart(storage)).base
    }

    pub(crate) fn of_parts(parts: Parts) -> Loaded {
        let base = Self::of(Inner {
            passages: parts.passages,
            searched: parts.searched,
            family: parts.family,
            retriever: Arc::new(parts.index),
            embedded: parts.embedded,
            meaning: OnceLock::new(),
        });
        let warnings = parts.warnings;
        Loaded { base, warnings }
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
        let index = Index::new(chunks.iter().map(|chunk| Text {
            document: chunk.source.split(" › ").next().unwrap_or_default(),
            headings: headings(chunk),
            text: &chunk.text,
        }));
        Self::new(chunks, Arc::new(index))
    }

    /// Passages with a ranking of one's own.
    pub fn new(chunks: Vec<Chunk>, retriever: Arc<dyn Retriever>) -> Self {
        Self::of(Inner {
            searched: chunks.len(),
            passages: Passages::Here(chunks),
            family: Family::default(),
            retriever,
            embedded: None,
            meaning: OnceLock::new(),
        })
    }

    fn of(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
            scope: Scope::default(),
        }
    }

    /// Give up to so many passages (`similarity_top_k`).
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.scope.top_k = top_k;
        self
    }

    /// Only passages whose metadata fit, whatever is asked: what a tenant or a caller may not see is not there for them. Another
    /// filter, of a question or of a second call, narrows it further.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.scope = self.scope.narrowed(filter);
        self.inner.passages.prepare_filters();
        self
    }

    /// Find by meaning too, from now on, in all clones. A second call does nothing.
    pub fn set_meaning(&self, meaning: Meaning) {
        let _ = self.inner.meaning.set(meaning);
    }

    /// Is it found by meaning, too?
    pub fn has_meaning(&self) -> bool {
        self.inner.meaning.get().is_some()
    }

    /// How many passages there are.
    pub fn len(&self) -> usize {
        self.inner.searched
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The passages that are searched. One that cannot be read any more is an empty one.
    pub fn chunks(&self) -> impl Iterator<Item = Cow<'_, Chunk>> {
        let chunk = |number| self.inner.passages.get(number).unwrap_or_default();
        (0..self.inner.searched).map(chunk)
    }

    /// Have vectors come with them?
    pub fn has_vectors(&self) -> bool {
        self.inner.embedded.is_some()
    }

    /// The vectors that came with them.
    pub fn vectors(&self) -> Option<Arc<Vectors>> {
        self.embedded().map(|embedded| embedded.vectors.clone())
    }

    pub(crate) fn embedded(&self) -> Option<&Embedded> {
        self.inner.embedded.as_ref()
    }

    /// What of a passage is embedded: its headings say what it is about.
    pub fn text_for_embedding(chunk: &Chunk) -> String {
        let headings = headings(chunk);
        if headings.contains(char::is_alphabetic) {
            format!("{headings}\n{}", chunk.text)
        } else {
            chunk.text.clone()
        }
    }

    /// The best passages by words, best first.
    pub fn find(&self, query: &str) -> Vec<Passage> {
        self.ranked(&Query::from(query), None)
    }

    fn reading(&self, query: &Query) -> (String, Reading) {
        let text: String = query.text.chars().take(MAX_QUERY_CHARS).collect();
        let reading = self.inner.retriever.reading(&text);
        (text, reading)
    }

    /// The best passages for a question, by its words and, with its vector, by meaning.
    pub fn ranked(&self, query: &Query, vector: Option<&[f32]>) -> Vec<Passage> {
        let (text, reading) = self.reading(query);
        self.ranked_as(query, &text, reading, vector)
    }

    /// The same of a question that was read.
    fn ranked_as(
        &self,
        query: &Query,
        text: &str,
        reading: Reading,
        vector: Option<&[f32]>,
    ) -> Vec<Passage> {
        let top_k = self.scope.top_k_of(query);
        let filter = self.scope.filter_of(query);
        let may = |number: usize| self.inner.passages.fits(number, filter.as_ref());
        let retriever = &self.inner.retriever;
        let meaning = self.meaning_of(reading).zip(vector);
        let found: Vec<(usize, f64)> = match meaning {
            _ if top_k == 0 || !reading.asks => Vec::new(),
            Some((meaning, vector)) if self.len() > top_k => {
                let words = retriever.candidates(text, CANDIDATES, &may);
                let vectors = &meaning.vectors;
                let closest = vectors.closest(vector, CANDIDATES, may);
                meaning::join(&words, &closest, |number| vectors.cosine_to(number, vector))
            }
            _ => {
                let words = match &filter {
                    Some(_) => retriever.candidates(text, CANDIDATES, &may).found,
                    None => retriever.retrieve(text, top_k),
                };
                let score = |(number, score)| (number, f64::from(score));
                words.into_iter().map(score).collect()
            }
        };
        let found = self.inner.family.merged(found, top_k);
        found
            .into_iter()
            .filter_map(|(number, score)| self.passage(number, score))
            .collect()
    }

    /// What finds by meaning, if it knows the language of the question: to a model of English all of Russian means nearly the same.
    fn meaning_of(&self, asked: Reading) -> Option<&Meaning> {
        let meaning = self.inner.meaning.get()?;
        let (known, asked) = (meaning.embedder.language(), asked.language);
        (known.is_none() || asked.is_none() || asked == known).then_some(meaning)
    }

    fn passage(&self, number: usize, score: f64) -> Option<Passage> {
        let chunk = self.inner.passages.get(number)?.into_owned();
        Some(Passage {
            text: chunk.text,
            source: chunk.source,
            page: chunk.page,
            score: score as f32,
        })
    }

    async fn search_once(&self, query: Query) -> Found {
        let (text, reading) = self.reading(&query);
        let vector = match self.meaning_of(reading) {
            Some(meaning) if reading.asks => {
                let vector = question::vector_of(&*meaning.embedder, &query).await;
                vector
                    .inspect_err(
                        |reason| tracing::debug!(%reason, "words alone are searched for it"),
                    )
                    .ok()
            }
            _ => None,
        };
        let base = self.clone();
        // off the threads of the calls: a search of a large base takes milliseconds, and its budget must be able to end the wait
        let search = tokio::task::spawn_blocking(move || {
            base.ranked_as(&query, &text, reading, vector.as_deref())
        });
        search.await.unwrap_or_default().into()
    }
}

impl Knowledge for KnowledgeBase {
    fn search(&self, query: Query) -> BoxFuture<'_, Found> {
        Box::pin(async move {
            let asks = |text: &str| self.inner.retriever.reading(text).asks;
            question::ask(query, asks, |query| Box::pin(self.search_once(query))).await
        })
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
#[derive(Clone)]
pub struct KnowledgeTool(pub Arc<dyn Knowledge>);

impl KnowledgeTool {
    /// The tool's name.
    pub const NAME: &'static str = "search_knowledge";
    /// What the model reads about it.
    pub const DESCRIPTION: &'static str = "Searches the documents of this business for facts. Use it before answering a \
        question about facts that are not in the conversation yet.";

    /// Passages with their sources as text for the model.
    pub async fn call(&self, query: &str) -> String {
        let Found { passages, failure } = self.0.search(query.into()).await;
        match (passages.is_empty(), failure) {
            (true, None) => return "Nothing was found.".into(),
            (true, Some(_)) => {
                return "The documents cannot be searched at the moment.".into();
            }
            (false, _) => {}
        }
        passages
            .iter()
            .map(|p| match &p.page {
                Some(page) => format!("[{}, {page}] {}", p.source, p.text),
                None => format!("[{}] {}", p.source, p.text),
            })
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}
