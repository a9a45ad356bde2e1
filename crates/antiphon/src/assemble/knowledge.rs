//! The documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_agent::provider::{Knowledge, RemoteKnowledge, Secret};
use antiphon_agent::tool::{FunctionTool, Tool, ToolContext, ToolError};
use antiphon_knowledge::database::{Database, Kind, Place};
use antiphon_knowledge::files::{self, Reader};
use antiphon_knowledge::folder::KINDS;
use antiphon_knowledge::sources::MAX_SOURCES;
use antiphon_knowledge::{KnowledgeBase, KnowledgeTool, Sources};
use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Config, KnowledgeConfig, SourceConfig, SourceKind};

/// What an agent is asked from.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What is read here, to be embedded.
    pub(super) bases: Vec<Base>,
    /// Vector databases, which need to know who embeds questions.
    pub(super) databases: Vec<(String, Database)>,
    /// That of `[knowledge] path` has no name.
    sources: Vec<(Option<String>, Source)>,
    top_k: usize,
}

/// A base, and the folder that it was read from; of the example, the one that it stands for.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) base: KnowledgeBase,
    pub(super) folder: PathBuf,
}

#[derive(Debug)]
enum Source {
    Base(KnowledgeBase, PathBuf),
    Database(Database),
    Remote(RemoteKnowledge),
}

impl Source {
    fn knowledge(&self) -> Arc<dyn Knowledge> {
        match self {
            Self::Base(base, _) => Arc::new(base.clone()),
            Self::Database(database) => Arc::new(database.clone()),
            Self::Remote(remote) => Arc::new(remote.clone()),
        }
    }
}

impl Loaded {
    /// All sources as one.
    pub(super) fn knowledge(&self) -> Option<Arc<dyn Knowledge>> {
        match self.sources.as_slice() {
            [] => None,
            [(_, only)] => Some(only.knowledge()),
            several => {
                let sources = several.iter().fold(
                    Sources::default().with_top_k(self.top_k),
                    |sources, (name, source)| {
                        sources.with(name.as_deref().unwrap_or(UNNAMED), source.knowledge())
                    },
                );
                Some(Arc::new(sources))
            }
        }
    }
}

impl Loaded {
    /// What stands before the names of a source's files, and the folder that they are in.
    pub(super) fn folders(&self) -> Vec<(String, PathBuf)> {
        let is_one = self.sources.len() == 1;
        let folder = |(name, source): &(Option<String>, Source)| match source {
            Source::Base(_, folder) if is_one => Some((String::new(), folder.clone())),
            Source::Base(_, folder) => {
                let name = name.as_deref().unwrap_or(UNNAMED);
                Some((format!("{name}: "), folder.clone()))
            }
            Source::Database(_) | Source::Remote(_) => None,
        };
        self.sources.iter().filter_map(folder).collect()
    }
}

/// What `[knowledge] path` is called beside others.
const UNNAMED: &str = "documents";

/// The sources of `[knowledge]`, read and indexed; of the example those in the binary.
pub(super) fn load(
    config: &Config,
    is_example: bool,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<Loaded>> {
    let Some(knowledge) = &config.knowledge else {
        return Ok(None);
    };
    let mut loaded = Loaded {
        bases: Vec::new(),
        databases: Vec::new(),
        sources: Vec::new(),
        top_k: top_k(knowledge),
    };
    if let Some(path) = &knowledge.path {
        let first = if is_example {
            KnowledgeBase::from_markdown(antiphon_restaurant::files::documents())
        } else {
            read(config, path, knowledge.index_id.as_deref(), notes)?
        };
        if first.is_empty() {
            notes.push(format!(
                "the knowledge holds nothing to search; put documents there: {KINDS}"
            ));
        }
        let source = loaded.base(limited(first, knowledge), config.folder.join(path));
        loaded.sources.push((None, source));
    }
    anyhow::ensure!(
        loaded.sources.len() + knowledge.sources.len() <= MAX_SOURCES,
        "[knowledge] has {} sources; at most {MAX_SOURCES} are asked for every turn",
        loaded.sources.len() + knowledge.sources.len()
    );
    for source in &knowledge.sources {
        let made = match (&source.path, &source.url) {
            (Some(path), None) => {
                let base = read(config, path, source.index_id.as_deref(), notes)?;
                loaded.base(limited(base, knowledge), config.folder.join(path))
            }
            (None, Some(url)) => match kind(source.kind)? {
                None => Source::Remote(remote(source, url)?),
                Some(kind) => {
                    let database = database(source, kind, url, knowledge)?;
                    let named = (source.name.clone(), database.clone());
                    loaded.databases.push(named);
                    Source::Database(database)
                }
            },
            _ => anyhow::bail!(
                "[[knowledge.sources]] `{}` needs either path or url",
                source.name
            ),
        };
        loaded.sources.push((Some(source.name.clone()), made));
    }
    Ok(Some(loaded))
}

impl Loaded {
    fn base(&mut self, base: KnowledgeBase, folder: PathBuf) -> Source {
        self.bases.push(Base {
            base: base.clone(),
            folder: folder.clone(),
        });
        Source::Base(base, folder)
    }
}

/// `None`: a retriever of one's own.
fn kind(kind: SourceKind) -> anyhow::Result<Option<Kind>> {
    Ok(Some(match kind {
        SourceKind::Redis | SourceKind::LanceDb => anyhow::bail!(
            "{} is not read: persist its index with LlamaIndex (`index.storage_context.persist`) and name that folder as `path`, or put a \
             retriever of your own before it (`url`; docs/knowledge.md)",
            if kind == SourceKind::Redis {
                "Redis"
            } else {
                "LanceDB"
            }
        ),
        SourceKind::Http => return Ok(None),
        SourceKind::PgVector => Kind::PgVector,
        SourceKind::Qdrant => Kind::Qdrant,
        SourceKind::Chroma => Kind::Chroma,
        SourceKind::Milvus => Kind::Milvus,
        SourceKind::Elasticsearch => Kind::Elasticsearch,
    }))
}

fn database(
    source: &SourceConfig,
    kind: Kind,
    url: &str,
    knowledge: &KnowledgeConfig,
) -> anyhow::Result<Database> {
    let place = Place {
        kind,
        url: url.to_owned(),
        collection: source.collection.clone(),
        schema: source.schema.clone(),
        secret: token(source)?,
    };
    let database = Database::open(place)
        .with_context(|| format!("[[knowledge.sources]] `{}`", source.name))?
        .with_top_k(top_k(knowledge));
    Ok(match &knowledge.filter {
        Some(filter) => database.with_filter(filter.clone()),
        None => database,
    })
}

fn limited(base: KnowledgeBase, knowledge: &KnowledgeConfig) -> KnowledgeBase {
    let base = base.with_top_k(top_k(knowledge));
    match &knowledge.filter {
        Some(filter) => base.with_filter(filter.clone()),
        None => base,
    }
}

fn remote(source: &SourceConfig, url: &str) -> anyhow::Result<RemoteKnowledge> {
    anyhow::ensure!(
        !url.starts_with("postgres"),
        "[[knowledge.sources]] `{}` is at a database; say which with kind = \"pgvector\"",
        source.name
    );
    let bearer = token(source)?.map(|token| format!("Bearer {}", token.expose()));
    let headers = bearer.as_deref().map(|bearer| ("authorization", bearer));
    Ok(RemoteKnowledge::new(url, headers)?)
}

fn token(source: &SourceConfig) -> anyhow::Result<Option<Secret>> {
    let read = |name: &str| {
        let token = std::env::var(name)
            .ok()
            .and_then(|token| Secret::new(&token));
        token.with_context(|| format!("[[knowledge.sources]] `{}`: {name} is not set; put the token into the environment or .env", source.name))
    };
    source.token_env.as_deref().map(read).transpose()
}

fn read(
    config: &Config,
    path: &Path,
    index_id: Option<&str>,
    notes: &mut Vec<String>,
) -> anyhow::Result<KnowledgeBase> {
    let path = config.folder.join(path);
    if !path.exists() {
        anyhow::bail!(
            "[knowledge] path {} does not exist; make that folder and put documents into it ({KINDS}), correct the path, or leave \
             [knowledge] out",
            path.display()
        );
    }
    let loaded = load_kept(&path, index_id)
        .with_context(|| format!("[knowledge] path {}", path.display()))?;
    notes.extend(loaded.warnings);
    Ok(loaded.base)
}

/// What is to be searched; a large index of LlamaIndex is kept as it was after reading.
pub(crate) fn load_kept(
    path: &Path,
    index_id: Option<&str>,
) -> anyhow::Result<antiphon_knowledge::Loaded> {
    let caches = super::embedding::cache("indexes");
    Ok(KnowledgeBase::load_kept(
        path,
        index_id,
        &reader()?,
        caches.as_deref(),
    )?)
}

/// Documents are read by this program, in a process of its own for each.
pub(crate) fn reader() -> anyhow::Result<Reader> {
    let program = std::env::current_exe().context("the program's own file is not found")?;
    Ok(Reader::in_child(
        program,
        vec![files::reader::ARGUMENT.into()],
    ))
}

/// Passages given to the model.
pub(super) fn top_k(knowledge: &KnowledgeConfig) -> usize {
    knowledge
        .top_k
        .unwrap_or(antiphon_knowledge::base::DEFAULT_TOP_K)
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// What to look for, in a few words.
    query: String,
}

/// The same documents as a tool.
pub(super) fn tool(knowledge: Arc<dyn Knowledge>) -> impl Tool {
    let tool = KnowledgeTool(knowledge);
    FunctionTool::new(
        KnowledgeTool::NAME,
        KnowledgeTool::DESCRIPTION,
        move |search: Search, _: ToolContext| {
            let tool = tool.clone();
            async move { Ok::<_, ToolError>(tool.call(&search.query).await) }
        },
    )
}
