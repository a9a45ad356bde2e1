//! Which databases there are, where one is, and what it can be asked.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use antiphon_agent::provider::{BoxFuture, Filter, FilterOperator, Secret};
use serde_json::{Map, Value};

use super::pgvector::PgVector;
use super::rest::Rest;
use super::{chroma, elasticsearch, milvus, qdrant};
use crate::llamaindex::Node;
use crate::llamaindex::node::of_metadata;
use crate::meaning::MIN_COSINE;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL with pgvector (`PGVectorStore`).
    PgVector,
    /// Qdrant (`QdrantVectorStore`).
    Qdrant,
    /// Chroma (`ChromaVectorStore`).
    Chroma,
    /// Milvus 2.4 and later (`MilvusVectorStore`).
    Milvus,
    /// Elasticsearch 8 and later (`ElasticsearchStore`).
    Elasticsearch,
}

/// Where vectors are.
#[derive(Clone, Debug)]
pub struct Place {
    /// In what.
    pub kind: Kind,
    /// `http(s)://host:port`; `postgresql://user@host/database?sslmode=…`.
    pub url: String,
    /// The collection; of pgvector LlamaIndex's `table_name`, without `data_`. `None`: LlamaIndex's default, if it has one.
    pub collection: Option<String>,
    /// Of pgvector: the schema. `None`: `public`.
    pub schema: Option<String>,
    /// The password, API key or token.
    pub secret: Option<Secret>,
}

/// A node that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// As LlamaIndex wrote it.
    pub node: Node,
    /// LlamaIndex's score.
    pub score: f64,
}

impl Hit {
    /// Of an id, flat metadata as LlamaIndex stores them, and the text beside them, which counts where there is one.
    pub(super) fn new(
        id: String,
        metadata: &Map<String, Value>,
        text: Option<&str>,
        score: f64,
    ) -> Self {
        let mut node = of_metadata(id, metadata, text.unwrap_or_default());
        if let Some(text) = text {
            text.clone_into(&mut node.text);
        }
        Self { node, score }
    }
}

/// A database that can be asked for the nearest vectors.
pub trait Store: Send + Sync {
    /// How it is named in messages, without secrets.
    fn place(&self) -> String;

    /// Can it judge this filter?
    ///
    /// # Errors
    /// [`DatabaseError::Filter`].
    fn check(&self, filter: &Filter) -> Result<(), DatabaseError>;

    /// How many numbers its vectors have, when it says so.
    fn width(&self) -> BoxFuture<'_, Result<Option<usize>, DatabaseError>>;

    /// The nearest nodes that fit, best first.
    fn nearest<'a>(
        &'a self,
        vector: &'a [f32],
        top_k: usize,
        filter: Option<&'a Filter>,
    ) -> BoxFuture<'a, Result<Vec<Hit>, DatabaseError>>;

    /// The nodes that have words of the question, best first, where the database was made for that, as LlamaIndex's hybrid mode has
    /// it; `None`: it was not.
    fn by_words<'a>(
        &'a self,
        question: &'a str,
        top_k: usize,
        filter: Option<&'a Filter>,
    ) -> BoxFuture<'a, Result<Option<Vec<Hit>>, DatabaseError>> {
        let _ = (question, top_k, filter);
        Box::pin(async { Ok(None) })
    }

    /// The score below which a node is not about the question; `None`: its scores are no cosines. Known after the first answer.
    fn floor(&self) -> Option<f64> {
        Some(MIN_COSINE)
    }
}

/// What a database told of its table or collection: asked for once, and forgotten with every failure, since it may be made anew.
pub(super) struct Told<T>(Mutex<Option<T>>);

impl<T: Clone> Told<T> {
    pub(super) fn nothing() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn known(&self) -> Option<T> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn know(&self, told: Option<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    /// What is known, else what it tells now.
    pub(super) async fn or<E>(&self, ask: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let told = ask.await?;
        self.know(Some(told.clone()));
        Ok(told)
    }

    /// The same answer; with a failure what is known is forgotten.
    pub(super) fn unless_failed<A, E>(&self, answer: Result<A, E>) -> Result<A, E> {
        answer.inspect_err(|_| self.know(None))
    }
}

/// A database's words without the key that it was asked with.
pub(super) fn scrubbed(secret: Option<&Secret>, said: &str) -> String {
    secret.map_or_else(|| said.to_owned(), |secret| secret.scrub(said))
}

/// The nearest nodes, if the vector is as wide as those of the database. `model`: who made it, in words.
///
/// # Errors
/// [`DatabaseError`].
pub async fn nearest(
    store: &dyn Store,
    model: &str,
    vector: &[f32],
    top_k: usize,
    filter: Option<&Filter>,
) -> Result<Vec<Hit>, DatabaseError> {
    fitting(store, model, vector.len()).await?;
    store.nearest(vector, top_k, filter).await
}

/// Are a model's vectors as wide as those of the database?
pub(super) async fn fitting(
    store: &dyn Store,
    model: &str,
    asked: usize,
) -> Result<(), DatabaseError> {
    match store.width().await? {
        Some(stored) if stored != asked => Err(DatabaseError::Width {
            place: store.place(),
            model: model.to_owned(),
            asked,
            stored,
        }),
        _ => Ok(()),
    }
}

/// A database that gives nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The place makes no sense.
    #[error("`{url}` cannot be asked: {reason}")]
    Place {
        /// Its address, without secrets.
        url: String,
        /// Why.
        reason: String,
    },
    /// It does not answer, or it says that it cannot now.
    #[error("{place} cannot be reached: {reason}")]
    Away {
        /// Which.
        place: String,
        /// Why.
        reason: String,
    },
    /// No such table or collection.
    #[error("{place} has no {what}; check the name, and that LlamaIndex has filled it there")]
    Missing {
        /// Which.
        place: String,
        /// What is missing.
        what: String,
    },
    /// Who asks may not.
    #[error("{place} refuses access: {reason}; check `token_env` and what that user may read")]
    Refused {
        /// Which.
        place: String,
        /// What it says.
        reason: String,
    },
    /// Vectors of two models.
    #[error(
        "the vectors of {place} have {stored} numbers, those of {model} have {asked}: set `[knowledge.embedding] model` to the model that filled it"
    )]
    Width {
        /// Which.
        place: String,
        /// The model that embeds questions.
        model: String,
        /// Its vectors.
        asked: usize,
        /// The database's.
        stored: usize,
    },
    /// A condition that it does not know. It is an error, because leaving the condition out would show more.
    #[error("{database} cannot judge the filter `{operator}` ({why}); use another one")]
    Filter {
        /// The kind of database.
        database: &'static str,
        /// LlamaIndex's name of the operator.
        operator: String,
        /// Why not.
        why: &'static str,
    },
    /// Passages are a tenant's, and no tenant asks.
    #[error("the passages are told apart by `{key}`, and the question is of no tenant")]
    Nobody {
        /// The metadata key.
        key: String,
    },
    /// It says something else than expected.
    #[error("{place} answered what is not understood: {reason}")]
    Answer {
        /// Which.
        place: String,
        /// What.
        reason: String,
    },
}

impl DatabaseError {
    /// May it pass by itself? Everything else is wrong until somebody mends it.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// A filter that this database has not.
    pub(super) fn filter(
        database: &'static str,
        operator: FilterOperator,
        why: &'static str,
    ) -> Self {
        let operator = serde_json::to_value(operator).unwrap_or_default();
        Self::Filter {
            database,
            operator: operator.as_str().unwrap_or_default().to_owned(),
            why,
        }
    }
}

/// The store at a place.
///
/// # Errors
/// See [`DatabaseError::Place`].
pub fn open(place: Place) -> Result<Box<dyn Store>, DatabaseError> {
    Ok(match place.kind {
        Kind::PgVector => Box::new(PgVector::new(place)?),
        Kind::Qdrant => Box::new(Rest::new(&qdrant::DIALECT, place)?),
        Kind::Chroma => Box::new(Rest::new(&chroma::DIALECT, place)?),
        Kind::Milvus => Box::new(Rest::new(&milvus::DIALECT, place)?),
        Kind::Elasticsearch => Box::new(Rest::new(&elasticsearch::DIALECT, place)?),
    })
}
