//! Who makes the vectors of passages and questions, and that it happens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_agent::provider::{BoxFuture, Embedder};
use antiphon_embedding::MiniLm;
use antiphon_knowledge::embed::{EmbedError, Foreign, embed};
use antiphon_models::Store;
use antiphon_models::catalogue::MINILM;
use antiphon_models::store::sha256;
use antiphon_neural::Workers;
use antiphon_openai::OpenAiEmbedder;
use antiphon_openai::embeddings::DEFAULT_EMBEDDING_MODEL;
use anyhow::Context as _;

use super::knowledge::{Base, Loaded};
use super::providers::endpoint;
use crate::config::{Config, EmbeddingConfig, EmbeddingProvider, Secrets};

/// The embedder of these options, loaded; `None`: there is none.
pub(crate) async fn embedder(
    options: &EmbeddingConfig,
    secrets: &Secrets,
    workers: &Workers,
) -> anyhow::Result<Option<Arc<dyn Embedder>>> {
    Ok(match choose(options)? {
        Choice::Nobody => None,
        Choice::Endpoint => Some(of_endpoint(options, secrets)?),
        Choice::Local(folder) => Some(of_this_machine(folder, workers.clone()).await?),
    })
}

fn of_endpoint(options: &EmbeddingConfig, secrets: &Secrets) -> anyhow::Result<Arc<dyn Embedder>> {
    let base_url = options
        .base_url
        .as_deref()
        .or(secrets.openai_base_url.as_deref());
    let model = options.model.as_deref().unwrap_or(DEFAULT_EMBEDDING_MODEL);
    Ok(Arc::new(OpenAiEmbedder::new(
        endpoint(base_url, secrets, None),
        model,
        options.dimensions,
    )?))
}

async fn of_this_machine(folder: PathBuf, workers: Workers) -> anyhow::Result<Arc<dyn Embedder>> {
    let load = tokio::task::spawn_blocking(move || MiniLm::load(&folder, workers));
    Ok(Arc::new(load.await??))
}

/// Who embeds.
#[derive(Debug)]
enum Choice {
    Local(PathBuf),
    Endpoint,
    Nobody,
}

fn choose(config: &EmbeddingConfig) -> anyhow::Result<Choice> {
    let is_endpoint = config.model.is_some() || config.base_url.is_some();
    let local = || Store::of_user().and_then(|store| store.get(&MINILM));
    Ok(match config.provider {
        EmbeddingProvider::OpenAi => Choice::Endpoint,
        EmbeddingProvider::Auto if is_endpoint => Choice::Endpoint,
        EmbeddingProvider::Auto => local().map_or(Choice::Nobody, Choice::Local),
        EmbeddingProvider::Local => {
            Choice::Local(local().context("[knowledge.embedding] provider is \"local\"")?)
        }
        EmbeddingProvider::None => Choice::Nobody,
    })
}

/// Have what the bases hold found by meaning, all with one model. An endpoint that was named is asked before the first call whether it
/// made the index that is read; what takes longer goes on beside the calls, which are answered by words until it is done.
pub(super) async fn begin(
    loaded: &Loaded,
    config: &Config,
    secrets: &Secrets,
    workers: &Workers,
    notes: &mut Vec<String>,
) -> anyhow::Result<()> {
    let Some(knowledge) = &config.knowledge else {
        return Ok(());
    };
    let options = &knowledge.embedding;
    let is_named = options.provider != EmbeddingProvider::Auto || options.model.is_some();
    let foreign = if is_named {
        Foreign::Refused
    } else {
        Foreign::Replaced
    };
    let choice = choose(options)?;
    // of an endpoint it is one request, and a wrong model is found before somebody calls
    let is_tried = is_named || matches!(choice, Choice::Endpoint);
    let load: BoxFuture<'static, anyhow::Result<Arc<dyn Embedder>>> = match choice {
        Choice::Nobody => {
            anyhow::ensure!(
                loaded.databases.is_empty(),
                "a vector database is asked with vectors of the model that filled it, and there is no model; set [knowledge.embedding] model and base_url to it"
            );
            return Ok(());
        }
        Choice::Endpoint => {
            let embedder = of_endpoint(options, secrets)?;
            Box::pin(async move { Ok(embedder) })
        }
        Choice::Local(folder) => Box::pin(of_this_machine(folder, workers.clone())),
    };
    let (tried, later): (Vec<_>, Vec<_>) = loaded
        .bases
        .iter()
        .cloned()
        .partition(|Base { base, .. }| is_tried && base.has_vectors());
    if tried.is_empty() && loaded.databases.is_empty() {
        spawn(later, load, foreign);
        return Ok(());
    }
    let embedder = load.await?;
    for base in &tried {
        run(base, embedder.clone(), foreign).await?;
    }
    for (name, database) in &loaded.databases {
        database.set_embedder(embedder.clone());
        match database.check().await {
            Ok(()) => {}
            // it may be there when somebody calls
            Err(error) if error.is_away() => {
                notes.push(format!("[[knowledge.sources]] `{name}`: {error}; calls go on without it until it is there"));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("[[knowledge.sources]] `{name}`"));
            }
        }
    }
    spawn(later, async move { Ok(embedder) }, foreign);
    Ok(())
}

fn spawn(
    bases: Vec<Base>,
    embedder: impl Future<Output = anyhow::Result<Arc<dyn Embedder>>> + Send + 'static,
    foreign: Foreign,
) {
    let told =
        |error: &anyhow::Error| tracing::warn!("the knowledge is found by words alone: {error:#}");
    tokio::spawn(async move {
        let embedder = match embedder.await {
            Ok(embedder) => embedder,
            Err(error) => return told(&error),
        };
        for base in bases {
            let embedder = embedder.clone();
            tokio::spawn(async move {
                if let Err(error) = run(&base, embedder, foreign).await {
                    told(&error.into());
                }
            });
        }
    });
}

async fn run(
    Base { base, folder }: &Base,
    embedder: Arc<dyn Embedder>,
    foreign: Foreign,
) -> Result<(), EmbedError> {
    let model = embedder.info().model;
    let kept = cache("vectors").map(|cache| cache.join(file_of(&model, folder)));
    let began = std::time::Instant::now();
    let mut tenth = 0;
    let told = |done: usize, all: usize| {
        let now = 10 * done / all.max(1);
        if now > tenth {
            tenth = now;
            tracing::debug!(done, all, "passages are being embedded");
        }
    };
    embed(base, embedder, foreign, kept.as_deref(), told).await?;
    tracing::info!(passages = base.len(), model, took = ?began.elapsed(), "the knowledge is found by meaning, too");
    Ok(())
}

/// Where things of a kind are kept between starts: in the user's cache.
pub(super) fn cache(kind: &str) -> Option<PathBuf> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(cache.join("antiphon").join(kind))
}

/// One file for each model and folder: it loses what its folder no longer holds, and another's passages must not go with that.
fn file_of(model: &str, folder: &Path) -> String {
    let name: String = model
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .take(100)
        .collect();
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let hash = sha256(folder.as_os_str().as_encoded_bytes());
    format!("{name}-{}", hash.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_two_sources_finds_its_own_vectors_at_the_next_start() {
        let file = |folder: &str| file_of("minilm", Path::new(folder));
        assert_ne!(file("knowledge"), file("handbook"));
        assert_eq!(file("knowledge"), file("./knowledge"));
        assert_ne!(
            file("knowledge"),
            file_of("another model", Path::new("knowledge"))
        );
    }
}
