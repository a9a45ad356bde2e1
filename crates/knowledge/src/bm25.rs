//! BM25 as LlamaIndex's `BM25Retriever` (bm25s, method "lucene") computes it: idf = ln(1 + (N - df + 0.5)/(df + 0.5)),
//! tf / (k1 (1 - b + b len/avglen) + tf), k1 1.5, b 0.75; lower-cased words of two or more word characters, Lucene's 33
//! English stop words, Snowball "english".

use std::cmp::Ordering;

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

/// An inverted index over texts numbered from 0. What is large in it lies in a few rows of numbers, so that it is read from a file as it
/// stands.
#[derive(Clone, Debug, Default)]
pub struct Bm25 {
    terms: Terms,
    /// Where each term's postings end.
    ends: Vec<u32>,
    /// The texts in which the terms stand, term by term, each in their order.
    numbers: Vec<u32>,
    /// The term's part of the score of each of them.
    scores: Vec<f32>,
    texts: usize,
}

/// Terms, sorted: a question looks up a few, and a table of them would have to be made at every start.
#[derive(Clone, Debug, Default)]
struct Terms {
    /// One after the other.
    text: String,
    ends: Vec<u32>,
}

impl Terms {
    fn get(&self, number: usize) -> Option<&str> {
        let (from, to) = between(&self.ends, number)?;
        self.text.get(from..to)
    }

    fn find(&self, term: &str) -> Option<usize> {
        let (mut from, mut to) = (0, self.ends.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.get(middle)?.cmp(term) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => to = middle,
            }
        }
        None
    }
}

/// Where the part of that number begins and ends, in a row of ends.
fn between(ends: &[u32], number: usize) -> Option<(usize, usize)> {
    let before = number.checked_sub(1).and_then(|before| ends.get(before));
    let from = before.copied().unwrap_or(0) as usize;
    Some((from, *ends.get(number)? as usize))
}

/// As an index is kept.
pub(crate) struct Kept<'a> {
    pub(crate) terms: &'a str,
    pub(crate) term_ends: &'a [u32],
    pub(crate) ends: &'a [u32],
    pub(crate) numbers: &'a [u32],
    pub(crate) scores: &'a [f32],
}

/// Counts the terms of texts, one text after the other.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    ids: FxHashMap<String, usize>,
    /// By term: texts, and how often it stands in each.
    counts: Vec<Vec<(u32, f32)>>,
    /// Terms of each text.
    lengths: Vec<f32>,
}

impl Counter {
    /// The number of a term, by which it is counted.
    pub(crate) fn id(&mut self, term: &str) -> usize {
        if let Some(id) = self.ids.get(term) {
            return *id;
        }
        let id = self.counts.len();
        self.counts.push(Vec::new());
        self.ids.insert(term.to_owned(), id);
        id
    }

    /// The terms by their numbers.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<(&str, usize)> = self
            .ids
            .iter()
            .map(|(name, id)| (name.as_str(), *id))
            .collect();
        names.sort_by_key(|(_, id)| *id);
        names.into_iter().map(|(name, _)| name).collect()
    }

    /// A text begins.
    pub(crate) fn begin(&mut self) {
        self.lengths.push(0.0);
    }

    /// A term stands in the text that was begun last.
    pub(crate) fn add(&mut self, id: usize) {
        let number = u32::try_from(self.lengths.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if let Some(length) = self.lengths.last_mut() {
            *length += 1.0;
        }
        let Some(list) = self.counts.get_mut(id) else {
            return;
        };
        match list.last_mut() {
            Some((last, count)) if *last == number => *count += 1.0,
            _ => list.push((number, 1.0)),
        }
    }

    /// The index of them all.
    pub(crate) fn finish(mut self) -> Bm25 {
        let texts = self.lengths.len();
        let average =
            (self.lengths.iter().sum::<f32>() / texts.max(1) as f32).max(f32::MIN_POSITIVE);
        let mut terms: Vec<(String, usize)> = self.ids.into_iter().collect();
        terms.sort_unstable();
        let mut index = Bm25 {
            texts,
            ..Bm25::default()
        };
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        for (term, id) in terms {
            let list = self.counts.get_mut(id).map(std::mem::take);
            let list = list.unwrap_or_default();
            let df = list.len() as f32;
            let idf = (1.0 + (texts as f32 - df + 0.5) / (df + 0.5)).ln();
            for (number, count) in list {
                let length = self.lengths.get(number as usize).copied();
                let length = length.unwrap_or(average);
                let score = idf * (count / (K1 * (1.0 - B + B * length / average) + count));
                index.numbers.push(number);
                index.scores.push(score);
            }
            index.terms.text.push_str(&term);
            index.terms.ends.push(short(index.terms.text.len()));
            index.ends.push(short(index.numbers.len()));
        }
        index
    }
}

impl Bm25 {
    /// Index these texts.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut counter = Counter::default();
        for text in texts {
            counter.begin();
            for term in terms(text) {
                let id = counter.id(&term);
                counter.add(id);
            }
        }
        counter.finish()
    }

    /// One that was kept, of so many texts; `None`: its parts do not belong together.
    pub(crate) fn of_parts(
        texts: usize,
        (text, term_ends): (String, Vec<u32>),
        ends: Vec<u32>,
        numbers: Vec<u32>,
        scores: Vec<f32>,
    ) -> Option<Self> {
        let is_whole = ends.len() == term_ends.len()
            && numbers.len() == scores.len()
            && ends.last().map_or(0, |end| *end as usize) == numbers.len();
        is_whole.then_some(Self {
            terms: Terms {
                text,
                ends: term_ends,
            },
            ends,
            numbers,
            scores,
            texts,
        })
    }

    /// As it is kept.
    pub(crate) fn parts(&self) -> Kept<'_> {
        Kept {
            terms: &self.terms.text,
            term_ends: &self.terms.ends,
            ends: &self.ends,
            numbers: &self.numbers,
            scores: &self.scores,
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
        (0..self.terms.ends.len()).filter_map(|number| self.terms.get(number))
    }

    /// The texts in which a term stands, in their order, and its part of the score of each.
    pub fn postings(&self, term: &str) -> (&[u32], &[f32]) {
        let found = self.terms.find(term);
        let place = found.and_then(|number| between(&self.ends, number));
        let of = |(from, to)| Some((self.numbers.get(from..to)?, self.scores.get(from..to)?));
        place.and_then(of).unwrap_or_default()
    }

    /// The best texts with their scores, best first; equal scores in the order of the texts. Only texts that score above 0.
    pub fn search(&self, query: &str, top_k: usize) -> Vec<(usize, f32)> {
        let mut scores = vec![0.0f32; self.texts];
        for term in terms(query).iter().take(MAX_QUERY_TERMS) {
            let (numbers, parts) = self.postings(term);
            for (number, part) in numbers.iter().zip(parts) {
                if let Some(score) = scores.get_mut(*number as usize) {
                    *score += part;
                }
            }
        }
        best(&scores, top_k)
    }
}

/// So many scores are compared at once: most of a base is behind its best.
const BLOCK: usize = 32;

/// The `top_k` numbers with the best scores above 0, best first; equal scores in the order of the numbers.
pub(crate) fn best(scores: &[f32], top_k: usize) -> Vec<(usize, f32)> {
    if top_k == 0 {
        return Vec::new();
    }
    // only the best are kept: a question's words stand in thousands of passages
    let mut best = Best::new(top_k, 0.0);
    for (block, scores) in scores.chunks(BLOCK).enumerate() {
        // without a branch in it, so that it becomes a few wide instructions
        let is_ahead = |is_ahead: bool, score: &f32| is_ahead | !best.is_behind(*score);
        if !scores.iter().fold(false, is_ahead) {
            continue;
        }
        for (at, score) in scores.iter().copied().enumerate() {
            if !best.is_behind(score) {
                best.keep(score, block * BLOCK + at);
            }
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
