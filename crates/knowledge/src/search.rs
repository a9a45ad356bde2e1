//! Passages for a question in a caller's words. Ranked by BM25 over stems, with other words for the same and, for words that
//! stand nowhere, those that are nearly the same. What is far behind the best is left out; no score is too low by itself. A
//! base so small that all of it may be given is given, in order, to whoever asks anything: its reader finds more than we.

use crate::base::{Candidates, Reading, Retriever};
use crate::bm25::{self, Bm25, Counter};
use crate::language::{Language, is_wide};
use crate::words::{Asked, Question, Terms, Words};

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
    /// The language of each text, by its number.
    languages: Vec<u8>,
    bm25: Bm25,
}

impl Index {
    /// Index these texts of documents, which stand one document after the other, each with its headings.
    pub fn new<'a>(texts: impl Iterator<Item = Text<'a>> + Clone) -> Self {
        let (words, languages) = Words::of(texts.clone().map(|text| (text.document, text.text)));
        let mut counter = Counter::default();
        let mut terms = Terms::default();
        let mut ids = Vec::new();
        for (text, language) in texts.zip(&languages) {
            counter.begin();
            ids.clear();
            terms.of(text.text, *language, &mut counter, &mut ids);
            let of_text = ids.len();
            terms.of(text.headings, *language, &mut counter, &mut ids);
            let (of_text, headings) = ids.split_at_checked(of_text).unwrap_or_default();
            for id in of_text.iter().chain(headings.repeat(HEADING_WEIGHT).iter()) {
                counter.add(*id);
            }
        }
        let short = |language| u8::try_from(language).unwrap_or(u8::MAX);
        Self {
            words,
            languages: languages.into_iter().map(short).collect(),
            bm25: counter.finish(),
        }
    }

    /// One that was kept: the languages of all, that of each text, and their terms.
    pub(crate) fn of_parts(all: Vec<Language>, languages: Vec<u8>, bm25: Bm25) -> Self {
        Self {
            words: Words::known(all),
            languages,
            bm25,
        }
    }

    /// As it is kept.
    pub(crate) fn parts(&self) -> (&[Language], &[u8], &Bm25) {
        (self.words.all(), &self.languages, &self.bm25)
    }

    /// Does a word of a question stand anywhere?
    fn is_known(&self, asked: &Asked) -> bool {
        let own = asked.words.iter().filter(|(_, weight)| *weight >= 1.0);
        let mut own = own.map(|(word, _)| word);
        own.any(|word| !self.bm25.postings(word).0.is_empty())
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
        // of several words for the same the best counts
        let mut best: Vec<f32> = Vec::new();
        let mut touched: Vec<u32> = Vec::new();
        // a passage that holds nothing of the topic is not found for its numbers and days
        let (topics, others): (Vec<_>, Vec<_>) =
            question.asked.iter().partition(|asked| asked.is_topic);
        for asked in topics.into_iter().chain(others) {
            let found = asked.words.iter().filter_map(|(word, weight)| {
                let (numbers, parts) = self.bm25.postings(word);
                (!numbers.is_empty()).then_some((*weight, numbers, parts))
            });
            let found: Vec<_> = found.collect();
            if let [(1.0, numbers, parts)] = found.as_slice() {
                for (number, part) in numbers.iter().zip(*parts) {
                    if let Some(score) = scores.get_mut(*number as usize)
                        && (asked.is_topic || *score > 0.0)
                    {
                        *score += part;
                    }
                }
                continue;
            }
            best.resize(self.bm25.len(), 0.0);
            for (weight, numbers, parts) in found {
                let is_other = weight < 1.0;
                let weight = self.weight(asked, weight);
                for (number, part) in numbers.iter().zip(parts) {
                    // other words for the same are those of the question's language
                    let language = self.languages.get(*number as usize).copied();
                    if is_other && language.map(usize::from) != Some(question.language) {
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

impl Index {
    /// About what a passage would score that has every word of the question.
    fn perfect(&self, question: &Question) -> f32 {
        let count = self.bm25.len() as f32;
        let rarity = |asked: &Asked| {
            let own = asked.words.iter().enumerate();
            let own = own.filter(|(at, (_, weight))| *at == 0 || *weight >= 1.0);
            let known = own.map(|(_, (word, _))| self.bm25.postings(word).0.len());
            let known = known.max().unwrap_or(0) as f32;
            (1.0 + (count - known + 0.5) / (known + 0.5)).ln()
        };
        question.asked.iter().map(rarity).sum()
    }

    /// What fits a question, best first.
    fn found(
        &self,
        question: &mut Question,
        count: usize,
        may: &dyn Fn(usize) -> bool,
    ) -> Vec<(usize, f32)> {
        if !question.asked.iter().any(|asked| asked.is_topic) {
            return Vec::new();
        }
        self.add_similar(question);
        let mut scores = self.scores(question);
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
}

impl Retriever for Index {
    fn candidates(&self, query: &str, count: usize, may: &dyn Fn(usize) -> bool) -> Candidates {
        let mut question = self.words.question(query);
        let perfect = self.perfect(&question);
        Candidates {
            found: self.found(&mut question, count, may),
            perfect: Some(perfect),
        }
    }

    fn reading(&self, query: &str) -> Reading {
        let (asks, code) = self.words.asks(query);
        Reading {
            asks,
            language: Some(code),
        }
    }

    fn retrieve(&self, query: &str, top_k: usize) -> Vec<(usize, f32)> {
        if self.bm25.len() > top_k {
            return self.candidates(query, top_k, &|_| true).found;
        }
        if !self.reading(query).asks {
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
