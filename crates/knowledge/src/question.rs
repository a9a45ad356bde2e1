//! A question as it is asked: with the turn before it when it goes on from there, and as a vector in time.

use std::time::Duration;

use crate::base::{DEFAULT_TOP_K, MAX_TOP_K};
use crate::language::count_words;
use antiphon_agent::provider::{BoxFuture, EmbedPurpose, Embedder, Filter, Found, Query};

/// What every search of a source is limited to, whatever is asked.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Passages of one question, unless it says how many.
    pub(crate) top_k: usize,
    pub(crate) filter: Option<Filter>,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            top_k: DEFAULT_TOP_K,
            filter: None,
        }
    }
}

impl Scope {
    /// What fits this filter, too.
    pub(crate) fn narrowed(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter.take() {
            Some(known) => known.and(filter),
            None => filter,
        });
        self
    }

    pub(crate) fn top_k_of(&self, query: &Query) -> usize {
        query.top_k.unwrap_or(self.top_k).min(MAX_TOP_K)
    }

    /// What fits, and what the question asks for of it.
    pub(crate) fn filter_of(&self, query: &Query) -> Option<Filter> {
        match &query.filter {
            Some(asked) => self.clone().narrowed(asked.clone()).filter,
            None => self.filter.clone(),
        }
    }
}

/// The share of a budget in which the question's vector must be there; what is left is for the search, or for words alone.
const EMBEDDING_SHARE: f64 = 0.8;
/// Without a budget: a tool may wait a little.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A question of so few words that finds nothing by itself is asked together with the one before it.
const MAX_FOLLOW_UP_WORDS: usize = 4;

/// How such a question begins where words are not parted: "and", "then".
const GOES_ON: [&str; 11] = [
    "那么",
    "那麼",
    "那",
    "还有",
    "では",
    "じゃあ",
    "それで",
    "あと",
    "그럼",
    "그리고",
    "แล้ว",
];

/// Ask it alone, or together with the turn before when it goes on from there or finds nothing alone. `asks`: does a text ask for
/// anything?
pub(crate) async fn ask<'a>(
    query: Query,
    asks: impl Fn(&str) -> bool + Send,
    search: impl Fn(Query) -> BoxFuture<'a, Found> + Send,
) -> Found {
    let goes_on = goes_on(&query.text);
    let is_short = count_words(&query.text) <= MAX_FOLLOW_UP_WORDS;
    let longer = match is_short || goes_on {
        true => with_turn_before(&query, asks),
        false => None,
    };
    match longer {
        Some(longer) if goes_on => search(longer).await,
        Some(longer) => {
            let found = search(query).await;
            if found.passages.is_empty() && found.failure.is_none() {
                search(longer).await
            } else {
                found
            }
        }
        None => search(query).await,
    }
}

/// A question with the turn before it, if it has one and both ask for something.
fn with_turn_before(query: &Query, asks: impl Fn(&str) -> bool) -> Option<Query> {
    let before = query.before.last()?;
    let both = asks(&query.text) && asks(before);
    both.then(|| Query {
        text: format!("{before} {}", query.text),
        ..query.clone()
    })
}

/// Does it go on with what was said before? "And on Sunday?"
fn goes_on(text: &str) -> bool {
    let lower = text.trim_start().to_lowercase();
    if GOES_ON.iter().any(|start| lower.starts_with(start)) {
        return true;
    }
    let mut words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    matches!(
        (words.next(), words.next()),
        (
            Some(
                "and"
                    | "or"
                    | "und"
                    | "oder"
                    | "et"
                    | "ou"
                    | "y"
                    | "o"
                    | "e"
                    | "en"
                    | "of"
                    | "och"
                    | "og"
                    | "ja"
                    | "а"
                    | "и"
                    | "или"
                    | "a"
                    | "i"
                    | "lub"
                    | "ya"
                    | "peki"
                    | "και"
                    | "ή"
                    | "أو"
                    | "و"
                    | "та"
                    | "або"
            ),
            Some(_)
        ) | (Some("what" | "how"), Some("about"))
    )
}

/// The vector of a question, within its share of the budget; else why there is none.
pub(crate) async fn vector_of(embedder: &dyn Embedder, query: &Query) -> Result<Vec<f32>, String> {
    let made = embedder.embed(vec![query.text.clone()], EmbedPurpose::Query);
    let budget = query.budget.unwrap_or(PATIENCE).mul_f64(EMBEDDING_SHARE);
    let made = tokio::time::timeout(budget, made)
        .await
        .map_err(|_| format!("the question's vector was not there within {budget:?}"))?;
    let vectors = made.map_err(|error| format!("the question cannot be embedded: {error}"))?;
    vectors
        .into_iter()
        .next()
        .ok_or_else(|| "the embedding model gave no vector for the question".into())
}
