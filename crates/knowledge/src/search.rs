//! Passages for a question in a caller's words. Ranked by BM25 over stems, with other words for the same; kept only when
//! enough of what the question is about stands in them. Both hold for one passage as for a hundred thousand: what a word
//! tells is judged by how rare it is, never by a score.

use crate::base::Retriever;
use crate::bm25::{self, Bm25};
use crate::words::{Asked, Words, is_wide};

/// A heading counts so many times: it says what the words below it are about.
const HEADING_WEIGHT: usize = 3;
/// A passage must hold this share of what a question is about, each word weighed by how rare it is.
const MIN_SHARE: f32 = 0.3;
/// Or as much as two rare words, in a question of many.
const MIN_RARE_WORDS: f32 = 1.4;
/// Rarity is judged as if there were so many more passages: in a base of one no word would tell anything.
const PRIOR_PASSAGES: f32 = 50.0;
/// What is missed when a word stands nowhere in the base: less than the rarest word, since not every word of a question is
/// about its topic.
const UNKNOWN_WORD: f32 = 0.7;
/// So many more passages are ranked than are given.
const SPARE_CANDIDATES: usize = 24;
/// What another word counts when the question's own does not occur at all.
const SUBSTITUTE: f32 = 1.6;

/// Texts that can be searched.
pub struct Index {
    words: Words,
    bm25: Bm25,
    texts: f32,
}

impl Index {
    /// Index these texts, each with its headings.
    pub fn new<'a>(texts: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let words = Words::of(texts.clone().map(|(_, text)| text));
        let bm25 = Bm25::of_terms(texts.map(|(headings, text)| {
            let headings = words.terms(headings);
            let mut terms = words.terms(text);
            for _ in 0..HEADING_WEIGHT {
                terms.extend_from_slice(&headings);
            }
            terms
        }));
        let texts = bm25.len() as f32;
        Self { words, bm25, texts }
    }

    /// How much a word tells that stands in so many passages.
    fn rarity(&self, passages: usize) -> f32 {
        let passages = passages as f32;
        (1.0 + (self.texts + PRIOR_PASSAGES - passages + 0.5) / (passages + 0.5)).ln()
    }

    /// What one of a question's words, or another for it, counts.
    fn weight(&self, asked: &Asked, weight: f32) -> f32 {
        let is_known = asked
            .words
            .first()
            .is_some_and(|(own, _)| !self.bm25.postings(own).is_empty());
        if is_known || weight >= 1.0 {
            weight
        } else {
            (weight * SUBSTITUTE).min(1.0)
        }
    }

    fn scores(&self, question: &[Asked]) -> Vec<f32> {
        let mut scores = vec![0.0f32; self.bm25.len()];
        let mut best = vec![0.0f32; self.bm25.len()];
        let mut touched: Vec<u32> = Vec::new();
        for asked in question {
            for (word, weight) in &asked.words {
                let weight = self.weight(asked, *weight);
                for (number, part) in self.bm25.postings(word) {
                    if let Some(best) = best.get_mut(*number as usize) {
                        if *best == 0.0 {
                            touched.push(*number);
                        }
                        *best = best.max(weight * part);
                    }
                }
            }
            for number in touched.drain(..) {
                let number = number as usize;
                if let (Some(score), Some(best)) = (scores.get_mut(number), best.get_mut(number)) {
                    *score += std::mem::take(best);
                }
            }
        }
        scores
    }

    /// Does the passage hold enough of what the question is about?
    fn fits(&self, question: &[Asked], number: u32) -> bool {
        let (mut held, mut wanted) = (0.0f32, 0.0f32);
        for asked in question.iter().filter(|asked| asked.is_topic) {
            let (mut here, mut anywhere) = (0.0f32, 0.0f32);
            for (word, weight) in &asked.words {
                let postings = self.bm25.postings(word);
                if postings.is_empty() {
                    continue;
                }
                let tells = self.weight(asked, *weight) * self.rarity(postings.len());
                anywhere = anywhere.max(tells);
                if postings
                    .binary_search_by_key(&number, |(number, _)| *number)
                    .is_ok()
                {
                    here = here.max(tells);
                }
            }
            held += here;
            wanted += match asked.words.first() {
                // a word that stands nowhere is missed all the more; two characters from two words are none
                Some((word, weight))
                    if anywhere == 0.0 && *weight >= 1.0 && !word.starts_with(is_wide) =>
                {
                    UNKNOWN_WORD * self.rarity(0)
                }
                _ => anywhere,
            };
        }
        held > 0.0 && (held >= MIN_SHARE * wanted || held >= MIN_RARE_WORDS * self.rarity(1))
    }
}

impl Retriever for Index {
    fn retrieve(&self, query: &str, top_k: usize) -> Vec<(usize, f32)> {
        let question = self.words.question(query);
        if !question.iter().any(|asked| asked.is_topic) {
            return Vec::new();
        }
        let mut found = bm25::best(
            &self.scores(&question),
            top_k.saturating_add(SPARE_CANDIDATES),
        );
        found.retain(|(number, _)| {
            u32::try_from(*number).is_ok_and(|number| self.fits(&question, number))
        });
        found.truncate(top_k);
        found
    }
}
