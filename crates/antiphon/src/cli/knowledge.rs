//! `antiphon knowledge`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::EmbeddingProvider;

/// What to do with an index.
#[derive(Debug, Subcommand)]
pub enum KnowledgeVerb {
    /// Make an index of a folder of documents: PDF, Office, CSV, JSON, e-mail, Markdown, HTML, text
    Build {
        /// The folder
        folder: PathBuf,
        /// Where the index is written; without it beside the folder, with `-index` at its name
        #[arg(long, value_name = "STORE")]
        out: Option<PathBuf>,
        /// How it is made
        #[command(flatten)]
        how: IndexArgs,
    },
    /// Put files into an index; a file that is in it already takes its own place
    Add {
        /// The index
        store: PathBuf,
        /// The files; those of the folder that the index was built of are named as there, others as you type them
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How it is made
        #[command(flatten)]
        how: IndexArgs,
    },
    /// Take documents out of an index
    Delete {
        /// The index
        store: PathBuf,
        /// Their ids: file names, as `refresh` shows them
        #[arg(required = true)]
        documents: Vec<String>,
    },
    /// Make an index what its folder is now: new and changed files are read and embedded, missing ones go
    Refresh {
        /// The index
        store: PathBuf,
        /// The folder
        folder: PathBuf,
        /// How it is made
        #[command(flatten)]
        how: IndexArgs,
    },
    /// Ask an index or a folder, and see which passages a caller's question would find
    Find {
        /// The index, or the folder
        path: PathBuf,
        /// The question
        #[arg(required = true)]
        question: Vec<String>,
        /// How it is embedded
        #[command(flatten)]
        how: IndexArgs,
    },
}

/// LlamaIndex's node parsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SplitterKind {
    /// Whole sentences up to a number of tokens (`SentenceSplitter`)
    Sentence,
    /// What stands below each heading (`MarkdownNodeParser`)
    Markdown,
    /// What stands in the elements of a page, those of a kind together (`HTMLNodeParser`)
    Html,
    /// Single sentences, given with those around them (`SentenceWindowNodeParser`)
    Window,
}

/// How an index is made.
#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Who makes the vectors: `auto` takes the endpoint when its model or address is given, else the model of this machine
    #[arg(long, value_enum, default_value_t = EmbeddingProvider::Auto)]
    pub embedding: EmbeddingProvider,
    /// The endpoint's model
    #[arg(long)]
    pub model: Option<String>,
    /// The endpoint's address; else OPENAI_BASE_URL, else OpenAI
    #[arg(long)]
    pub base_url: Option<String>,
    /// How documents are cut; without it as the index was made, at first `sentence`
    #[arg(long, value_enum)]
    pub splitter: Option<SplitterKind>,
    /// Of `window`: sentences on each side; without it as the index was made, at first 3
    #[arg(long)]
    pub window_size: Option<usize>,
    /// Of `sentence`: tokens of a chunk, as LlamaIndex counts them; without it as the index was made, at first 256
    #[arg(long)]
    pub chunk_size: Option<usize>,
    /// Of `sentence`: tokens that two chunks may share; without it as the index was made, at first 32
    #[arg(long)]
    pub chunk_overlap: Option<usize>,
}
