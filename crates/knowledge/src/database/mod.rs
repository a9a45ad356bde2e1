//! Vector databases that LlamaIndex has filled, asked as its `*VectorStore` classes ask them: the same nodes in the same order with the
//! same scores.
//!
//! | module | what |
//! |---|---|
//! | [`store`] | which database there is, and where; what each of them can be asked |
//! | `filters` | a filter walked, for all of them |
//! | `rest` | the client for those that speak HTTP and JSON |
//! | `qdrant`, `chroma`, `milvus`, `elasticsearch` | what is different about each: paths, bodies, filters |
//! | `pgvector` | a table of PostgreSQL; `postgres` has its connections |
//!
//! Nothing is written into a database. Its passages stay there, so a question needs a vector of the model that filled it: by words
//! alone nothing is found.

mod chroma;
mod elasticsearch;
mod filters;
mod milvus;
mod pgvector;
mod postgres;
mod qdrant;
mod rest;
pub mod store;

use std::sync::{Arc, OnceLock};

use antiphon_agent::provider::{BoxFuture, Embedder, Filter, Found, Knowledge, Query};
use antiphon_chat::Passage;
use rustc_hash::FxHashSet;

pub use self::store::{DatabaseError, Hit, Kind, Place, Store};
use crate::base::Retriever as _;
use crate::fusion::{Mode, fuse};
use crate::meaning::RELATIVE_FLOOR;
use crate::question::{self, Scope};
use crate::search::Index;

/// A database as a source of passages. Cheap to clone; clones share its connections.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    scope: Scope,
    tenant_key: Option<String>,
}

struct Inner {
    store: Box<dyn Store>,
    /// Not there before the model is loaded.
    embedder: OnceLock<Arc<dyn Embedder>>,
    /// Tells questions from small talk.
    gate: Index,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// The database at this place. Nothing is sent yet.
    ///
    /// # Errors
    /// When the place makes no sense, or the TLS stack cannot be set up.
    pub fn open(place: Place) -> Result<Self, DatabaseError> {
        Ok(Self::of(store::open(place)?))
    }

    /// A store of one's own.
    pub fn of(store: Box<dyn Store>) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                embedder: OnceLock::new(),
                gate: Index::new(std::iter::empty()),
            }),
            scope: Scope::default(),
            tenant_key: None,
        }
    }

    /// Give up to so many passages (`similarity_top_k`).
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.scope.top_k = top_k;
        self
    }

    /// Only passages whose metadata fit, whatever is asked. Another filter narrows it further.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.scope = self.scope.narrowed(filter);
        self
    }

    /// Whose a passage is stands under this key: a question of a tenant ([`Query::tenant`]) finds what is the tenant's, and a question
    /// of nobody finds nothing.
    #[must_use]
    pub fn with_tenant_key(mut self, key: impl Into<String>) -> Self {
        self.tenant_key = Some(key.into());
        self
    }

    /// Who makes the questions' vectors: the model that the database was filled with. A second call does nothing.
    pub fn set_embedder(&self, embedder: Arc<dyn Embedder>) {
        let _ = self.inner.embedder.set(embedder);
    }

    /// Ask the database for its table or collection, whether its vectors are as wide as the model's, and whether it can judge the
    /// filter.
    ///
    /// # Errors
    /// [`DatabaseError`]; [`DatabaseError::is_away`] tells one that may pass by itself.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        if let Some(filter) = &self.scope.filter {
            self.inner.store.check(filter)?;
        }
        let store = &*self.inner.store;
        let Some(embedder) = self.inner.embedder.get() else {
            return store.width().await.map(drop);
        };
        let asked = match embedder.dimensions() {
            Some(own) => Some(own),
            None => {
                let probe = question::vector_of(&**embedder, &Query::new("opening hours")).await;
                probe.ok().map(|vector| vector.len())
            }
        };
        match asked {
            Some(asked) => store::fitting(store, &embedder.info().model, asked).await,
            None => store.width().await.map(drop),
        }
    }

    /// What a question may find: what the session fixes, what is asked, and what is the tenant's.
    fn filter_of(&self, query: &Query) -> Result<Option<Filter>, DatabaseError> {
        let tenant = match (&self.tenant_key, &query.tenant) {
            (Some(key), Some(tenant)) => Some(Filter::equals(key, tenant.as_str())),
            (Some(key), None) => return Err(DatabaseError::Nobody { key: key.clone() }),
            (None, _) => None,
        };
        let all = [self.scope.filter_of(query), tenant];
        Ok(all.into_iter().flatten().reduce(Filter::and))
    }

    async fn search_once(&self, query: &Query) -> Result<Vec<Passage>, String> {
        if !self.inner.gate.reading(&query.text).asks {
            return Ok(Vec::new());
        }
        let Some(embedder) = self.inner.embedder.get() else {
            return Err("the embedding model is not loaded yet".into());
        };
        let filter = self
            .filter_of(query)
            .map_err(|error: DatabaseError| error.to_string())?;
        let top_k = self.scope.top_k_of(query);
        let vector = question::vector_of(&**embedder, query).await?;
        let store = &self.inner.store;
        let model = embedder.info().model;
        let filter = filter.as_ref();
        let (hits, worded) = futures_util::future::join(
            store::nearest(&**store, &model, &vector, top_k, filter),
            store.by_words(&query.text, top_k, filter),
        )
        .await;
        let mut hits = hits.map_err(|error| error.to_string())?;
        if let Some(floor) = store.floor() {
            let best = hits.first().map_or(0.0, |hit| hit.score);
            hits.retain(|hit| hit.score >= floor.max(best * RELATIVE_FLOOR));
        }
        // a node that was added twice is found twice
        let mut seen = FxHashSet::default();
        hits.retain(|hit| seen.insert(hit.node.id.clone()));
        let worded = worded.inspect_err(|error| tracing::debug!(%error, "found by meaning alone"));
        let mut hits = match worded {
            Ok(Some(worded)) => fused(&hits, &worded),
            Ok(None) | Err(_) => hits,
        };
        hits.truncate(top_k);
        Ok(hits.into_iter().map(passage).collect())
    }
}

/// What meaning and words find, by their ranks: LlamaIndex puts one behind the other, for a reader of all of them.
fn fused(near: &[Hit], worded: &[Hit]) -> Vec<Hit> {
    let all: Vec<&Hit> = near.iter().chain(worded).collect();
    // a node is the first that has its id
    let place = |hit: &Hit| all.iter().position(|known| known.node.id == hit.node.id);
    let ranking = |hits: &[Hit]| -> Vec<(usize, f64)> {
        let mut seen = FxHashSet::default();
        let placed = hits.iter().filter_map(|hit| Some((place(hit)?, hit.score)));
        placed.filter(|(place, _)| seen.insert(*place)).collect()
    };
    let (near, worded) = (ranking(near), ranking(worded));
    let joined = fuse(&[(&near, 1.0), (&worded, 1.0)], Mode::ReciprocalRank);
    let hit = |(place, score): (usize, f64)| {
        let node = all.get(place)?.node.clone();
        Some(Hit { node, score })
    };
    joined.into_iter().filter_map(hit).collect()
}

fn passage(hit: Hit) -> Passage {
    let chunk = hit.node.chunk();
    Passage {
        text: chunk.text,
        source: chunk.source,
        page: chunk.page,
        score: hit.score as f32,
    }
}

impl Knowledge for Database {
    fn search(&self, query: Query) -> BoxFuture<'_, Found> {
        Box::pin(async move {
            let asks = |text: &str| self.inner.gate.reading(text).asks;
            let search = |query: Query| -> BoxFuture<'_, Found> {
                Box::pin(async move {
                    match self.search_once(&query).await {
                        Ok(passages) => passages.into(),
                        Err(reason) => Found::failed(reason),
                    }
                })
            };
            question::ask(query, asks, search).await
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use antiphon_agent::ProviderError;
    use antiphon_agent::provider::{EmbedPurpose, ProviderInfo};

    use super::*;
    use crate::filter;
    use crate::llamaindex::Node;

    struct OneVector;

    impl Embedder for OneVector {
        fn info(&self) -> ProviderInfo {
            ProviderInfo {
                provider: "test",
                model: "one".into(),
            }
        }

        fn dimensions(&self) -> Option<usize> {
            Some(2)
        }

        fn embed(
            &self,
            texts: Vec<String>,
            _: EmbedPurpose,
        ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, ProviderError>> {
            Box::pin(async move { Ok(vec![vec![1.0, 0.0]; texts.len()]) })
        }
    }

    /// Two tenants' nodes, one of them twice, how often it was asked, and how wide its vectors are.
    struct Shared(Arc<Mutex<usize>>, usize);

    impl Store for Shared {
        fn place(&self) -> String {
            "a store".into()
        }

        fn check(&self, _: &Filter) -> Result<(), DatabaseError> {
            Ok(())
        }

        fn width(&self) -> BoxFuture<'_, Result<Option<usize>, DatabaseError>> {
            Box::pin(async { Ok(Some(self.1)) })
        }

        fn nearest<'a>(
            &'a self,
            _: &'a [f32],
            top_k: usize,
            asked: Option<&'a Filter>,
        ) -> BoxFuture<'a, Result<Vec<Hit>, DatabaseError>> {
            *self.0.lock().unwrap() += 1;
            let rows = [
                ("1", "a", 0.9),
                ("2", "b", 0.8),
                ("1", "a", 0.9),
                ("3", "a", 0.1),
            ];
            let hit = |(id, tenant, score): (&str, &str, f64)| Hit {
                node: Node {
                    id: id.into(),
                    text: format!("the alarm code of {tenant}"),
                    metadata: [("tenant".to_owned(), tenant.into())].into_iter().collect(),
                    ..Node::default()
                },
                score,
            };
            let fits =
                |hit: &Hit| asked.is_none_or(|asked| filter::fits(asked, &hit.node.metadata));
            let found = rows.into_iter().map(hit).filter(fits).take(top_k).collect();
            Box::pin(async { Ok(found) })
        }
    }

    fn shared(width: usize) -> (Database, Arc<Mutex<usize>>) {
        let asked = Arc::default();
        let database = Database::of(Box::new(Shared(Arc::clone(&asked), width)));
        database.set_embedder(Arc::new(OneVector));
        (database, asked)
    }

    #[tokio::test]
    async fn of_a_table_of_several_tenants_each_finds_what_is_theirs_and_nobody_finds_nothing() {
        let (database, asked) = shared(2);
        let database = database.with_tenant_key("tenant");
        let of = |tenant: Option<&str>, filter: Option<Filter>| Query {
            tenant: tenant.map(str::to_owned),
            filter,
            ..Query::new("What is the alarm code?")
        };
        let wider = Filter::equals("tenant", "b");
        let found = database.search(of(Some("a"), None)).await;
        assert_eq!(found.passages.len(), 1, "{found:?}");
        assert!(
            found
                .passages
                .iter()
                .all(|found| found.text.ends_with(" a"))
        );
        let found = database.search(of(Some("a"), Some(wider.clone()))).await;
        assert!(found.passages.is_empty(), "{found:?}");
        let before = *asked.lock().unwrap();
        let found = database.search(of(None, Some(wider))).await;
        assert!(found.failure.unwrap().contains("of no tenant"));
        assert_eq!(*asked.lock().unwrap(), before, "the database is not asked");
    }

    #[tokio::test]
    async fn small_talk_asks_no_database_and_what_is_far_from_the_question_is_left_out() {
        let (database, asked) = shared(2);
        assert_eq!(
            database.search("Thank you, bye".into()).await,
            Found::default()
        );
        assert_eq!(*asked.lock().unwrap(), 0);
        let found = database.search("What is the alarm code?".into()).await;
        let scores: Vec<f32> = found.passages.iter().map(|found| found.score).collect();
        assert_eq!(scores, [0.9, 0.8]);
    }

    #[test]
    fn what_words_and_meaning_both_find_stands_before_what_either_finds() {
        let hit = |id: &str, score: f64| Hit {
            node: Node {
                id: id.into(),
                ..Node::default()
            },
            score,
        };
        let near = [hit("a", 0.9), hit("b", 0.8), hit("c", 0.7)];
        let worded = [hit("d", 0.06), hit("c", 0.05), hit("d", 0.04)];
        let found = fused(&near, &worded);
        let ids: Vec<&str> = found.iter().map(|hit| hit.node.id.as_str()).collect();
        assert_eq!(ids, ["c", "a", "d", "b"]);
    }

    #[tokio::test]
    async fn vectors_of_another_width_are_found_out_before_anybody_calls() {
        let (database, _) = shared(3);
        let said = database.check().await.unwrap_err().to_string();
        assert!(
            said.contains("have 3 numbers, those of one have 2"),
            "{said}"
        );
        let failure = database
            .search("What is the alarm code?".into())
            .await
            .failure;
        assert_eq!(failure.unwrap(), said);
    }
}
