//! `antiphon knowledge`: documents as an index that LlamaIndex loads too.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_agent::provider::{Embedder, Knowledge as _};
use antiphon_knowledge::KnowledgeBase;
use antiphon_knowledge::documents;
use antiphon_knowledge::embed::{self, Foreign, embed};
use antiphon_knowledge::llamaindex::write::{Change, Document, Writer};
use antiphon_knowledge::split::section::WINDOW_SIZE;
use antiphon_knowledge::split::{SentenceSplitter, Splitter};
use antiphon_neural::Workers;
use anyhow::Context as _;
use clap::ValueEnum as _;

use super::print_line;
use crate::assemble::embedding::embedder;
use crate::assemble::knowledge::{load_kept, reader};
use crate::cli::{IndexArgs, KnowledgeVerb, SplitterKind};
use crate::config::{EmbeddingConfig, Secrets};

/// Texts that are embedded between two lines of progress.
const BATCH: usize = 32;

/// Tokens of a chunk: what MiniLM reads of one.
const CHUNK_SIZE: usize = 256;
/// Tokens that two chunks may share: an eighth.
const CHUNK_OVERLAP: usize = 32;
/// What is noted of an index: the model that made its vectors.
const EMBEDDING_MODEL: &str = "embedding_model";
/// What is noted of an index: how its documents were cut.
const SPLITTER: &str = "splitter";
/// What is noted of an index: the folder that it was built of.
const FOLDER: &str = "folder";

/// Do it.
pub async fn run(verb: KnowledgeVerb) -> anyhow::Result<()> {
    match verb {
        KnowledgeVerb::Build { folder, out, how } => {
            let out = out.unwrap_or_else(|| beside(&folder));
            anyhow::ensure!(
                !out.join("docstore.json").exists(),
                "{} is an index already; `antiphon knowledge refresh {} {}` brings it up to date, or name another with --out",
                out.display(),
                out.display(),
                folder.display()
            );
            refresh(&out, &folder, &how).await
        }
        KnowledgeVerb::Refresh { store, folder, how } => {
            check_store(&store)?;
            refresh(&store, &folder, &how).await
        }
        KnowledgeVerb::Add { store, files, how } => {
            check_store(&store)?;
            let mut writer = Writer::open(&store)?;
            let splitter = splitter(&mut writer, &how);
            let reader = reader()?;
            let folder = writer.noted(FOLDER).map(PathBuf::from);
            let mut all = Vec::new();
            for file in files {
                let shown = file.display();
                let name = name_of(&file, folder.as_deref());
                let mut notes = Vec::new();
                let read = documents::of_file(&file, &name, &reader, &splitter, &mut notes);
                for note in notes {
                    eprint_line(&format!("note: {note}"));
                }
                let read = read.map_err(|reason| anyhow::anyhow!("{shown}: {reason}"))?;
                anyhow::ensure!(!read.is_empty(), "{shown} holds nothing to search");
                // it may have had more pages
                for id in writer.documents() {
                    if documents::is_of(&id, &name) && read.iter().all(|document| document.id != id)
                    {
                        writer.delete(&id);
                    }
                }
                all.extend(read);
            }
            update(&store, writer, all, &splitter, &how).await
        }
        KnowledgeVerb::Delete {
            store,
            documents: names,
        } => {
            check_store(&store)?;
            let mut writer = Writer::open(&store)?;
            for name in names {
                let mut there = writer.documents();
                there.retain(|id| documents::is_of(id, &name));
                anyhow::ensure!(
                    !there.is_empty(),
                    "{} has no document `{name}`; it has {}",
                    store.display(),
                    writer.documents().join(", ")
                );
                for id in there {
                    writer.delete(&id);
                    print_line(&format!("deleted  {id}"));
                }
            }
            Ok(writer.write(&store)?)
        }
        KnowledgeVerb::Find {
            path,
            question,
            how,
        } => find(&path, &question.join(" "), &how).await,
    }
}

fn beside(folder: &Path) -> PathBuf {
    let mut name = folder
        .file_name()
        .unwrap_or(folder.as_os_str())
        .to_os_string();
    name.push("-index");
    folder.with_file_name(name)
}

/// The name of a file as its folder's refresh names it, so that it is one document however it comes.
fn name_of(file: &Path, folder: Option<&Path>) -> String {
    let there = file.canonicalize().ok();
    let inside = folder.and_then(|folder| there.as_deref()?.strip_prefix(folder).ok());
    inside.unwrap_or(file).display().to_string()
}

fn check_store(store: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        store.join("docstore.json").is_file(),
        "{} is no index; `antiphon knowledge build FOLDER --out {}` makes one",
        store.display(),
        store.display()
    );
    Ok(())
}

/// The index of what the folder holds now.
async fn refresh(store: &Path, folder: &Path, how: &IndexArgs) -> anyhow::Result<()> {
    let mut writer = Writer::open(store)?;
    let splitter = splitter(&mut writer, how);
    let (found, notes) = documents::of_folder(folder, &reader()?, &splitter)?;
    for note in notes {
        eprint_line(&format!("note: {note}"));
    }
    anyhow::ensure!(
        !found.is_empty(),
        "{} holds no document that can be read",
        folder.display()
    );
    if let Some(folder) = folder.canonicalize().ok().as_deref().and_then(Path::to_str) {
        writer.note(FOLDER, folder);
    }
    for id in writer.documents() {
        if found.iter().all(|document| document.id != id) {
            writer.delete(&id);
            print_line(&format!("deleted  {id}"));
        }
    }
    update(store, writer, found, &splitter, how).await
}

async fn update(
    store: &Path,
    mut writer: Writer,
    all: Vec<Document>,
    splitter: &Splitter,
    how: &IndexArgs,
) -> anyhow::Result<()> {
    let embedder = configured(how).await?.context(
        "an index needs vectors: `antiphon models fetch minilm` brings the model that makes them here, or name an endpoint's with --model",
    )?;
    if !writer.is_empty() && writer.noted(EMBEDDING_MODEL).is_none() {
        // LlamaIndex does not write down which model made the vectors; it is tried
        let there = KnowledgeBase::load(store, None)?.base;
        embed(&there, embedder.clone(), Foreign::Refused, None, |_, _| {})
            .await
            .with_context(|| format!("{} is left as it is", store.display()))?;
    }
    writer.made_with(store, EMBEDDING_MODEL, &embedder.info().model)?;
    let mut same = 0;
    for document in &all {
        match writer.put(document, splitter)? {
            Change::Added => print_line(&format!("added    {}", document.id)),
            Change::Changed => print_line(&format!("changed  {}", document.id)),
            Change::Same => same += 1,
        }
    }
    let wanted = writer.wanted();
    let mut vectors = Vec::with_capacity(wanted.len());
    for batch in wanted.chunks(BATCH) {
        vectors.extend(embed::vectors(&*embedder, batch.to_vec()).await?);
        progress(vectors.len(), wanted.len());
    }
    writer.embedded(vectors);
    writer.write(store)?;
    print_line(&format!(
        "{}: {} passages of {} documents, {same} unchanged; `[knowledge] path = \"{}\"`",
        store.display(),
        writer.len(),
        writer.documents().len(),
        store.display()
    ));
    Ok(())
}

/// As it is asked for, else as the index was made.
fn splitter(writer: &mut Writer, how: &IndexArgs) -> Splitter {
    let noted = writer.noted(SPLITTER).map(str::to_owned);
    let noted = noted.and_then(|noted| SplitterKind::from_str(&noted, false).ok());
    let kind = how.splitter.or(noted).unwrap_or(SplitterKind::Sentence);
    if let Some(name) = kind.to_possible_value() {
        writer.note(SPLITTER, name.get_name());
    }
    let mut size = |key, asked: Option<usize>, default| {
        let noted = writer.noted(key).and_then(|noted| noted.parse().ok());
        let size = asked.or(noted).unwrap_or(default);
        writer.note(key, &size.to_string());
        size
    };
    match kind {
        SplitterKind::Sentence => Splitter::Sentence(SentenceSplitter {
            chunk_size: size("chunk_size", how.chunk_size, CHUNK_SIZE),
            chunk_overlap: size("chunk_overlap", how.chunk_overlap, CHUNK_OVERLAP),
            ..SentenceSplitter::default()
        }),
        SplitterKind::Markdown => Splitter::Markdown,
        SplitterKind::Html => Splitter::Html,
        SplitterKind::Window => Splitter::Window(size("window_size", how.window_size, WINDOW_SIZE)),
    }
}

async fn find(path: &Path, question: &str, how: &IndexArgs) -> anyhow::Result<()> {
    let loaded = load_kept(path, None)?;
    for warning in loaded.warnings {
        eprint_line(&format!("note: {warning}"));
    }
    if let Some(embedder) = configured(how).await? {
        embed(&loaded.base, embedder, Foreign::Replaced, None, progress).await?;
    }
    let found = loaded.base.search(question.into()).await.passages;
    if found.is_empty() {
        print_line("Nothing fits, and nothing would be sent to the model.");
    }
    for passage in found {
        let page = passage
            .page
            .map(|page| format!(", {page}"))
            .unwrap_or_default();
        print_line(&format!(
            "{:.3}  {}{page}\n{}\n",
            passage.score, passage.source, passage.text
        ));
    }
    Ok(())
}

async fn configured(how: &IndexArgs) -> anyhow::Result<Option<Arc<dyn Embedder>>> {
    let options = EmbeddingConfig {
        provider: how.embedding,
        model: how.model.clone(),
        base_url: how.base_url.clone(),
        dimensions: None,
    };
    let workers = Workers::for_this_machine().context("the threads of models cannot be started")?;
    embedder(&options, &Secrets::from_env(), &workers).await
}

/// On a terminal one line that changes.
fn progress(done: usize, all: usize) {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        let end = if done == all { "\n" } else { "" };
        let _ = write!(stderr, "\rembedded {done} of {all}{end}");
        let _ = stderr.flush();
    }
}

fn eprint_line(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
