//! Several sources asked at once, each by its name.

use std::sync::Arc;

use antiphon_agent::provider::{BoxFuture, Found, Knowledge, Query};
use antiphon_chat::Passage;

use crate::base::{DEFAULT_TOP_K, MAX_TOP_K};
use crate::fusion::{Mode, fuse};
use crate::question::PATIENCE;

/// Sources of one agent: each is asked for every turn.
pub const MAX_SOURCES: usize = 16;
/// The share of the budget in which a source must answer; who is slower is left out, and the others' passages are not lost.
const SHARE: f64 = 0.9;

/// Named sources. Their scores are not comparable, so what they find is joined by its ranks.
#[derive(Clone, Default)]
pub struct Sources {
    named: Vec<(String, Arc<dyn Knowledge>)>,
    top_k: Option<usize>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.named.iter().map(|(name, _)| name))
            .finish()
    }
}

/// A source, a rank in it, and what that counts.
type Ranked = ((usize, usize), f64);

impl Sources {
    /// One more; its name stands before those of its passages' files.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, source: Arc<dyn Knowledge>) -> Self {
        self.named.push((name.into(), source));
        self.named.truncate(MAX_SOURCES);
        self
    }

    /// Give up to so many passages of all together.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = Some(top_k);
        self
    }
}

impl Knowledge for Sources {
    fn search(&self, query: Query) -> BoxFuture<'_, Found> {
        Box::pin(async move {
            let wait = query.budget.unwrap_or(PATIENCE).mul_f64(SHARE);
            let top_k = query
                .top_k
                .or(self.top_k)
                .unwrap_or(DEFAULT_TOP_K)
                .min(MAX_TOP_K);
            let asked = self.named.iter().map(|(name, source)| {
                let search = source.search(query.clone());
                async move {
                    let found = tokio::time::timeout(wait, search).await;
                    let mut found = found
                        .unwrap_or_else(|_| Found::failed(format!("no answer within {wait:?}")));
                    let failure = found.failure.take();
                    (found.passages, failure.map(|why| format!("{name}: {why}")))
                }
            });
            let (found, failures): (Vec<Vec<Passage>>, Vec<Option<String>>) =
                futures_util::future::join_all(asked)
                    .await
                    .into_iter()
                    .unzip();
            let failures: Vec<String> = failures.into_iter().flatten().collect();
            // the order is each source's own, whatever its scores are
            let ranking = |(source, passages): (usize, &Vec<Passage>)| -> Vec<Ranked> {
                (0..passages.len())
                    .map(|rank| ((source, rank), -(rank as f64)))
                    .collect()
            };
            let rankings: Vec<Vec<Ranked>> = found.iter().enumerate().map(ranking).collect();
            let weighed: Vec<(&[Ranked], f64)> = rankings
                .iter()
                .map(|ranking| (ranking.as_slice(), 1.0))
                .collect();
            let joined = fuse(&weighed, Mode::ReciprocalRank);
            let passage = |((source, rank), score): ((usize, usize), f64)| {
                let (name, _) = self.named.get(source)?;
                let mut passage = found.get(source)?.get(rank)?.clone();
                passage.source = format!("{name}: {}", passage.source);
                passage.score = score as f32;
                Some(passage)
            };
            Found {
                passages: joined.into_iter().filter_map(passage).take(top_k).collect(),
                failure: (!failures.is_empty()).then(|| failures.join("; ")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::KnowledgeBase;

    fn base(name: &str, text: &str) -> Arc<dyn Knowledge> {
        Arc::new(KnowledgeBase::from_markdown([(
            name.to_owned(),
            text.to_owned(),
        )]))
    }

    struct Hangs;

    impl Knowledge for Hangs {
        fn search(&self, _: Query) -> BoxFuture<'_, Found> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_source_that_hangs_does_not_take_the_others_passages_with_it() {
        let sources = Sources::default()
            .with("house", base("a.md", "Parking is behind the house."))
            .with("slow", Arc::new(Hangs))
            .with(
                "town",
                base("b.md", "Parking in the town is free on Sundays."),
            );
        let query = Query {
            budget: Some(Duration::from_millis(50)),
            ..Query::new("Where can I park?")
        };
        let found = sources.search(query).await;
        let named: Vec<&str> = found
            .passages
            .iter()
            .map(|passage| passage.source.as_str())
            .collect();
        assert_eq!(named, ["house: a.md", "town: b.md"]);
        assert_eq!(found.failure.unwrap(), "slow: no answer within 45ms");
    }

    #[tokio::test]
    async fn nothing_fits_when_no_source_has_anything() {
        let sources =
            Sources::default().with("house", base("a.md", "Parking is behind the house."));
        assert!(sources.search("Thank you, bye".into()).await == Found::default());
    }
}
