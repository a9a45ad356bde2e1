//! The documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_agent::provider::{Knowledge, RemoteKnowledge};
use antiphon_agent::tool::{FunctionTool, Tool, ToolContext, ToolError};
use antiphon_knowledge::files::{self, Reader};
use antiphon_knowledge::folder::KINDS;
use antiphon_knowledge::sources::MAX_SOURCES;
use antiphon_knowledge::{KnowledgeBase, KnowledgeTool, Sources};
use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Config, KnowledgeConfig, SourceConfig};

/// What an agent is asked from.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What is read here, to be embedded; the first is that of `[knowledge] path`.
    pub(super) bases: Vec<Base>,
    named: Vec<(String, Source)>,
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
    Base(usize),
    Remote(RemoteKnowledge),
}

impl Loaded {
    /// All sources as one.
    pub(super) fn knowledge(&self) -> Option<Arc<dyn Knowledge>> {
        let first = self.bases.first()?;
        if self.named.is_empty() {
            return Some(Arc::new(first.base.clone()));
        }
        let mut sources = Sources::default()
            .with_top_k(self.top_k)
            .with("documents", Arc::new(first.base.clone()));
        for (name, source) in &self.named {
            let source: Arc<dyn Knowledge> = match source {
                Source::Base(number) => Arc::new(self.bases.get(*number)?.base.clone()),
                Source::Remote(remote) => Arc::new(remote.clone()),
            };
            sources = sources.with(name, source);
        }
        Some(Arc::new(sources))
    }
}

/// The sources of `[knowledge]`, read and indexed; of the example those in the binary.
pub(super) fn load(
    config: &Config,
    is_example: bool,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<Loaded>> {
    let Some(knowledge) = &config.knowledge else {
        return Ok(None);
    };
    let first = if is_example {
        KnowledgeBase::from_markdown(antiphon_restaurant::files::documents())
    } else {
        read(
            config,
            &knowledge.path,
            knowledge.index_id.as_deref(),
            notes,
        )?
    };
    if first.is_empty() {
        notes.push(format!(
            "the knowledge holds nothing to search; put documents there: {KINDS}"
        ));
    }
    let mut loaded = Loaded {
        bases: vec![Base {
            base: limited(first, knowledge),
            folder: config.folder.join(&knowledge.path),
        }],
        named: Vec::new(),
        top_k: top_k(knowledge),
    };
    anyhow::ensure!(
        knowledge.sources.len() < MAX_SOURCES,
        "[knowledge] has {} sources; at most {MAX_SOURCES} are asked for every turn",
        knowledge.sources.len() + 1
    );
    for source in &knowledge.sources {
        let made = match (&source.path, &source.url) {
            (Some(path), None) => {
                let base = read(config, path, source.index_id.as_deref(), notes)?;
                loaded.bases.push(Base {
                    base: limited(base, knowledge),
                    folder: config.folder.join(path),
                });
                Source::Base(loaded.bases.len() - 1)
            }
            (None, Some(url)) => Source::Remote(remote(source, url)?),
            _ => anyhow::bail!(
                "[[knowledge.sources]] `{}` needs either path or url",
                source.name
            ),
        };
        loaded.named.push((source.name.clone(), made));
    }
    Ok(Some(loaded))
}

fn limited(base: KnowledgeBase, knowledge: &KnowledgeConfig) -> KnowledgeBase {
    let base = base.with_top_k(top_k(knowledge));
    match &knowledge.filter {
        Some(filter) => base.with_filter(filter.clone()),
        None => base,
    }
}

fn remote(source: &SourceConfig, url: &str) -> anyhow::Result<RemoteKnowledge> {
    let token = source.token_env.as_deref().map(|name| {
        let token = std::env::var(name).ok().filter(|token| !token.is_empty());
        token.with_context(|| format!("[[knowledge.sources]] `{}`: {name} is not set; put the token into the environment or .env", source.name))
    });
    let bearer = token.transpose()?.map(|token| format!("Bearer {token}"));
    let headers = bearer.as_deref().map(|bearer| ("authorization", bearer));
    Ok(RemoteKnowledge::new(url, headers)?)
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
    let loaded = KnowledgeBase::load_with(&path, index_id, &reader()?)
        .with_context(|| format!("[knowledge] path {}", path.display()))?;
    notes.extend(loaded.warnings);
    Ok(loaded.base)
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
