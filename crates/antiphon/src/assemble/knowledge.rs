//! The documents.

use antiphon_agent::tool::{FunctionTool, Tool, ToolContext, ToolError};
use antiphon_knowledge::{KnowledgeBase, KnowledgeTool};
use anyhow::Context as _;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Config, KnowledgeConfig};

/// The documents of `[knowledge]`, read and indexed; of the example those in the binary.
pub(super) fn load(
    config: &Config,
    is_example: bool,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<KnowledgeBase>> {
    let Some(knowledge) = &config.knowledge else {
        return Ok(None);
    };
    let base = if is_example {
        KnowledgeBase::from_markdown(antiphon_restaurant::files::documents())
    } else {
        let path = config.folder.join(&knowledge.path);
        if !path.exists() {
            anyhow::bail!(
                "[knowledge] path {} does not exist; make that folder and put Markdown, text or HTML files into it, correct the path, \
                 or leave [knowledge] out",
                path.display()
            );
        }
        let loaded = KnowledgeBase::load(&path, knowledge.index_id.as_deref())
            .with_context(|| format!("[knowledge] path {}", path.display()))?;
        notes.extend(loaded.warnings);
        loaded.base
    };
    if base.is_empty() {
        notes.push(
            "the knowledge holds nothing to search; put Markdown, text or HTML files there".into(),
        );
    }
    Ok(Some(base.with_top_k(top_k(knowledge))))
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
pub(super) fn tool(base: KnowledgeBase) -> impl Tool {
    let tool = KnowledgeTool(base);
    FunctionTool::new(
        KnowledgeTool::NAME,
        KnowledgeTool::DESCRIPTION,
        move |search: Search, _: ToolContext| {
            let tool = tool.clone();
            async move { Ok::<_, ToolError>(tool.call(&search.query).await) }
        },
    )
}
