//! Passages for a question in a caller's words. Ranked by BM25 over stems, with other words for the same and, for words that
//! stand nowhere, those that are nearly the same. What is far behind the best is left out; no score is too low by itself. A
//! base so small that all of it may be given is given, in order, to whoever asks anything: its reader finds more than we.

use crate::base::Retriever;
use crate::bm25::{self, Bm25};
use crate::language::{Language, fold, is_wide};
use crate::words::{Asked, Known, Question, Words, lexicon};

/// A heading counts so many times: it says what the words below it are about.
const HEADING_WEIGHT: usize = 3;
/// Below this share of the best score a passage is left out.
const RELATIVE_FLOOR: f32 = 0.2;
/// What another word counts when the question's own does not occur at all.
const SUBSTITUTE: f32 = 1.6;
/// What a word counts that is nearly the question's own.
const SIMILAR_WEIGHT: f32 = 0.5;
/// Shorter words are like many others.
const MIN_SIMILAR_CHARS: usize = 5;
/// So many words that are nearly the same are looked up.
const MAX_SIMILAR: usize = 16;

/// A text that is searched.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The document that it stands in: a short text is in its document's language.
    pub document: &'a str,
    /// The headings that it stands below.
    pub headings: &'a str,
    /// Its words.
    pub text: &'a str,
}

/// Texts that can be searched.
pub struct Index {
    words: Words,
    /// The language of each text.
    languages: Vec<Language>,
    bm25: Bm25,
}

impl Index {
    /// Index these texts of documents, which stand one document after the other, each with its headings.
    pub fn new<'a>(texts: impl Iterator<Item = Text<'a>> + Clone) -> Self {
        let (words, languages) = Words::of(texts.clone().map(|text| (text.document, text.text)));
        let mut known = Known::default();
        let bm25 = Bm25::of_terms(texts.zip(&languages).map(|(text, language)| {
            let lexicon = lexicon(*language);
            let headings = lexicon.terms(text.headings, &mut known);
            let mut terms = lexicon.terms(text.text, &mut known);
            for _ in 0..HEADING_WEIGHT {
                terms.extend_from_slice(&headings);
            }
            terms
        }));
        Self {
            words,
            languages,
            bm25,
        }
    }

    /// Does a word of a question stand anywhere?
    fn is_known(&self, asked: &Asked) -> bool {
        let own = asked.words.iter().filter(|(_, weight)| *weight >= 1.0);
        let mut own = own.map(|(word, _)| word);
        own.any(|word| !self.bm25.postings(word).is_empty())
    }

    /// What one of a question's words, or another for it, counts.
    fn weight(&self, asked: &Asked, weight: f32) -> f32 {
        if weight >= 1.0 || self.is_known(asked) {
            weight
        } else {
            (weight * SUBSTITUTE).min(1.0)
        }
    }

    fn scores(&self, question: &Question) -> Vec<f32> {
        let mut scores = vec![0.0f32; self.bm25.len()];
        let mut best = vec![0.0f32; self.bm25.len()];
        let mut touched: Vec<u32> = Vec::new();
        // a passage that holds nothing of the topic is not found for its numbers and days
        let (topics, others): (Vec<_>, Vec<_>) =
            question.asked.iter().partition(|asked| asked.is_topic);
        for asked in topics.into_iter().chain(others) {
            for (word, weight) in &asked.words {
                let is_other = *weight < 1.0;
                let weight = self.weight(asked, *weight);
                for (number, part) in self.bm25.postings(word) {
                    // other words for the same are those of the question's language
                    if is_other && self.languages.get(*number as usize) != Some(&question.language)
                    {
                        continue;
                    }
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
                    let best = std::mem::take(best);
                    if asked.is_topic || *score > 0.0 {
                        *score += best;
                    }
                }
            }
        }
        scores
    }

    /// For a word that stands nowhere: a typing error, a compound, another form of it.
    fn add_similar(&self, question: &mut Question) {
        let compounds = question.lexicon.has_compounds();
        let least = MIN_SIMILAR_CHARS - usize::from(compounds);
        for asked in &mut question.asked {
            let Some((own, weight)) = asked.words.first().cloned() else {
                continue;
            };
            let is_own = weight >= 1.0 && !own.starts_with(is_wide);
            if !is_own || own.chars().count() < least || self.is_known(asked) {
                continue;
            }
            let is_like = |term: &&str| is_similar(&own, term, least, compounds);
            let thesaurus = question.lexicon.thesaurus();
            // a known word with a slip in it stands for what that one stands for
            let has_others = asked.words.iter().any(|(_, weight)| *weight < 1.0);
            let meant = thesaurus.stems().filter(is_like).filter(|_| !has_others);
            let others: Vec<String> = meant
                .flat_map(|stem| thesaurus.others(stem))
                .cloned()
                .collect();
            let similar = self.bm25.terms().filter(is_like).map(str::to_owned);
            let similar: Vec<String> = similar.chain(others).take(MAX_SIMILAR).collect();
            asked
                .words
                .extend(similar.into_iter().map(|term| (term, SIMILAR_WEIGHT)));
        }
    }
}

/// Are they forms of one word, parts of one another, or the same but for one letter?
fn is_similar(a: &str, b: &str, least: usize, has_compounds: bool) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let length = |text: &str| text.chars().count();
    if length(short) < least || short.starts_with(|c: char| c.is_numeric()) {
        return false;
    }
    let same = |(a, b): &(char, char)| a == b;
    let head = short.chars().zip(long.chars()).take_while(same).count();
    let tail = short
        .chars()
        .rev()
        .zip(long.chars().rev())
        .take_while(same)
        .count();
    long.contains(short)
        || head + tail + 1 >= length(long)
        || head >= least && 3 * head >= 2 * length(long)
        || has_compounds && (head > least || tail > least)
}

impl Retriever for Index {
    fn candidates(
        &self,
        query: &str,
        count: usize,
        may: &dyn Fn(usize) -> bool,
    ) -> Vec<(usize, f32)> {
        let mut question = self.words.question(query);
        if !question.asked.iter().any(|asked| asked.is_topic) {
            return Vec::new();
        }
        self.add_similar(&mut question);
        let mut scores = self.scores(&question);
        for (number, score) in scores
            .iter_mut()
            .enumerate()
            .filter(|(_, score)| **score > 0.0)
        {
            if !may(number) {
                *score = 0.0;
            }
        }
        let mut found = bm25::best(&scores, count);
        let floor = found.first().map_or(0.0, |(_, best)| best * RELATIVE_FLOOR);
        found.retain(|(_, score)| *score >= floor);
        found
    }

    fn perfect(&self, query: &str) -> Option<f32> {
        let asked = self.words.question(query).asked;
        let count = self.bm25.len() as f32;
        let rarity = |asked: &Asked| {
            let own = asked.words.iter().enumerate();
            let own = own.filter(|(at, (_, weight))| *at == 0 || *weight >= 1.0);
            let known = own.map(|(_, (word, _))| self.bm25.postings(word).len());
            let known = known.max().unwrap_or(0) as f32;
            (1.0 + (count - known + 0.5) / (known + 0.5)).ln()
        };
        Some(asked.iter().map(rarity).sum())
    }

    fn language(&self, query: &str) -> Option<&'static str> {
        Some(self.words.lexicon_of(&fold(query)).code)
    }

    fn asks(&self, query: &str) -> bool {
        self.words.asks(query)
    }

    fn retrieve(&self, query: &str, top_k: usize) -> Vec<(usize, f32)> {
        if self.bm25.len() > top_k {
            return self.candidates(query, top_k, &|_| true);
        }
        if !self.asks(query) {
            return Vec::new();
        }
        let mut question = self.words.question(query);
        self.add_similar(&mut question);
        let scores = self.scores(&question);
        let mut found = bm25::best(&scores, top_k);
        let rest =
            (0..scores.len()).filter(|number| !found.iter().any(|(found, _)| found == number));
        let rest: Vec<_> = rest.map(|number| (number, 0.0)).collect();
        found.extend(rest);
        found
    }
}
