//! BM25 as LlamaIndex's `BM25Retriever` (bm25s, method "lucene") computes it: idf = ln(1 + (N - df + 0.5)/(df + 0.5)),
//! tf / (k1 (1 - b + b len/avglen) + tf), k1 1.5, b 0.75; lower-cased words of two or more word characters, Lucene's 33
//! English stop words, Snowball "english".

use rust_stemmers::{Algorithm, Stemmer};
use rustc_hash::FxHashMap;

use crate::vectors::Best;

const K1: f32 = 1.5;
const B: f32 = 0.75;
/// Words of a query that are looked up; a caller's sentence has about 15.
const MAX_QUERY_TERMS: usize = 64;

/// Lucene's English stop words.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these",
    "they", "this", "to", "was", "will", "with",
];

/// Stemmed terms of a text, in order.
pub fn terms(text: &str) -> Vec<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| word.chars().nth(1).is_some() && !STOP_WORDS.contains(word))
        .map(|word| stemmer.stem(word).into_owned())
        .collect()
}

/// An inverted index over texts numbered from 0.
#[derive(Clone, Debug, Default)]
pub struct Bm25 {
    /// Term → (text, its part of the score).
    postings: FxHashMap<String, Vec<(u32, f32)>>,
    texts: usize,
}

impl Bm25 {
    /// Index these texts.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of_terms(texts.into_iter().map(terms))
    }

    /// Index texts whose terms are known.
    pub fn of_terms(texts: impl Iterator<Item = Vec<String>>) -> Self {
        let mut counts: FxHashMap<String, Vec<(u32, f32)>> = FxHashMap::default();
        let mut lengths = Vec::new();
        for (number, words) in texts.enumerate() {
            lengths.push(words.len() as f32);
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            for word in words {
                let list = counts.entry(word).or_default();
                match list.last_mut() {
                    Some((last, count)) if *last == number => *count += 1.0,
                    _ => list.push((number, 1.0)),
                }
            }
        }
        let texts = lengths.len();
        let average = (lengths.iter().sum::<f32>() / texts.max(1) as f32).max(f32::MIN_POSITIVE);
        for list in counts.values_mut() {
            let df = list.len() as f32;
            let idf = (1.0 + (texts as f32 - df + 0.5) / (df + 0.5)).ln();
            for (number, score) in list {
                let length = lengths.get(*number as usize).copied().unwrap_or(average);
                *score = idf * (*score / (K1 * (1.0 - B + B * length / average) + *score));
            }
        }
        Self {
            postings: counts,
            texts,
        }
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.texts
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.texts == 0
    }

    /// All terms.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(String::as_str)
    }

    /// The texts in which a term stands, in their order, each with its part of the score.
    pub fn postings(&self, term: &str) -> &[(u32, f32)] {
        self.postings
            .get(term)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The best texts with their scores, best first; equal scores in the order of the texts. Only texts that score above 0.
    pub fn search(&self, query: &str, top_k: usize) -> Vec<(usize, f32)> {
        let mut scores = vec![0.0f32; self.texts];
        for term in terms(query).iter().take(MAX_QUERY_TERMS) {
            for (number, part) in self.postings(term) {
                if let Some(score) = scores.get_mut(*number as usize) {
                    *score += part;
                }
            }
        }
        best(&scores, top_k)
    }
}

/// The `top_k` numbers with the best scores above 0, best first; equal scores in the order of the numbers.
pub(crate) fn best(scores: &[f32], top_k: usize) -> Vec<(usize, f32)> {
    if top_k == 0 {
        return Vec::new();
    }
    // only the best are kept: a question's words stand in thousands of passages
    let mut best = Best::new(top_k, 0.0);
    for (number, score) in scores.iter().copied().enumerate() {
        if !best.is_behind(score) {
            best.keep(score, number);
        }
    }
    let mut found: Vec<(usize, f32)> = best.found().collect();
    found.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn scores_follow_the_formula() {
        let index = Bm25::new([
            "opening hours monday",
            "the menu",
            "hours hours of the kitchen",
        ]);
        let found = index.search("What are the HOURS?", 5);
        assert_eq!(
            found.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            [2, 0]
        );
        // lengths 3, 1, 3 (stop words gone); df 2 of 3
        let idf = (1.0f32 + 1.5 / 2.5).ln();
        let norm = 1.5 * (0.25 + 0.75 * 3.0 / (7.0 / 3.0));
        assert!((found[0].1 - idf * 2.0 / (norm + 2.0)).abs() < 1e-6);
        assert!((found[1].1 - idf * 1.0 / (norm + 1.0)).abs() < 1e-6);
    }

    #[test]
    fn the_best_are_those_of_all_in_order_and_of_equals_the_first() {
        let scores = [0.5, 2.0, 0.0, 2.0, 1.0, 0.5, 3.0];
        let all = [(6, 3.0), (1, 2.0), (3, 2.0), (4, 1.0), (0, 0.5), (5, 0.5)];
        for top_k in 0..8 {
            assert_eq!(best(&scores, top_k), all[..top_k.min(all.len())]);
        }
    }

    #[test]
    fn words_without_meaning_find_nothing() {
        assert!(Bm25::new(["the menu"]).search("is it the", 3).is_empty());
        assert!(Bm25::new([]).search("menu", 3).is_empty());
    }
}
