//! Parts of speech (Penn Treebank), by an averaged perceptron with hibari's weights.
//!
//! Source: M. Collins, "Discriminative Training Methods for Hidden Markov Models" (2002). A word with one usual part of speech
//! is looked up; any other is scored by features of itself and of the two words on either side.

use std::collections::HashMap;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use serde::Deserialize;

use crate::HibariError;
use crate::assets::Assets;

#[derive(Deserialize)]
struct File {
    tags: Vec<String>,
    tagdict: HashMap<String, String>,
    vocab: Vec<String>,
    weights: HashMap<String, HashMap<String, f64>>,
}

/// Weights of one feature: tag and tenths.
type Weights = Box<[(u8, i16)]>;

/// The tagger. Shared by all callers.
#[derive(Debug)]
pub(crate) struct Tagger {
    /// In the order of their names: of equal scores the last wins.
    tags: Vec<String>,
    usual: FxHashMap<Box<str>, u8>,
    vocabulary: FxHashSet<Box<str>>,
    weights: FxHashMap<Box<str>, Weights>,
}

impl Tagger {
    pub(crate) fn load(assets: &Assets) -> Result<Self, HibariError> {
        let file: File = assets.json("tagger.json.gz")?;
        let mut tags = file.tags;
        tags.sort_unstable();
        let number = |name: &str| {
            tags.binary_search_by(|tag| tag.as_str().cmp(name))
                .ok()
                .and_then(|index| u8::try_from(index).ok())
        };
        let mut usual = FxHashMap::with_capacity_and_hasher(file.tagdict.len(), FxBuildHasher);
        for (word, tag) in &file.tagdict {
            usual.extend(number(tag).map(|tag| (word.as_str().into(), tag)));
        }
        let mut weights = FxHashMap::with_capacity_and_hasher(file.weights.len(), FxBuildHasher);
        for (feature, by_tag) in file.weights {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "weights are tenths below a thousand"
            )]
            let tenths = |weight: f64| (weight * 10.0).round() as i16;
            let by_tag: Weights = by_tag
                .iter()
                .filter_map(|(tag, weight)| Some((number(tag)?, tenths(*weight))))
                .collect();
            weights.insert(feature.into_boxed_str(), by_tag);
        }
        let vocabulary = file.vocab.into_iter().map(String::into_boxed_str).collect();
        Ok(Self {
            tags,
            usual,
            vocabulary,
            weights,
        })
    }

    /// The part of speech of each word.
    pub(crate) fn tag<'a>(&'a self, words: &[String]) -> Vec<&'a str> {
        let mut context = vec!["-START2-".to_owned(), "-START-".to_owned()];
        context.extend(words.iter().map(|word| self.context_form(word)));
        context.extend(["-END-".to_owned(), "-END2-".to_owned()]);
        let (mut before, mut two_before) = ("-START-", "-START2-");
        let mut tags = Vec::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            let window = context.get(index..index + 5).unwrap_or_default();
            let tag = match self.usual.get(word.as_str()) {
                Some(tag) => self.name(*tag),
                None => self.predict(index, word, window, before, two_before),
            };
            two_before = before;
            before = tag;
            tags.push(tag);
        }
        tags
    }

    fn name(&self, tag: u8) -> &str {
        self.tags.get(usize::from(tag)).map_or("NN", String::as_str)
    }

    /// A word as its neighbours' features see it: rare ones by their shape only.
    fn context_form(&self, word: &str) -> String {
        let form = normal(word);
        if self.vocabulary.contains(form.as_str()) {
            form
        } else {
            format!("<{}>", shape(word))
        }
    }

    /// `window`: two words before, the word, two words after.
    fn predict(
        &self,
        index: usize,
        word: &str,
        window: &[String],
        before: &str,
        two_before: &str,
    ) -> &str {
        let [w_2, w_1, this, w1, w2] = window else {
            return "NN";
        };
        let features = [
            "b".to_owned(),
            format!("s3={}", last_three(word)),
            format!("p1={}", word.chars().next().unwrap_or_default()),
            format!("w={this}"),
            format!("sh={}", shape(word)),
            if index == 0 {
                "i0".to_owned()
            } else {
                "i+".to_owned()
            },
            format!("t-1={before}"),
            format!("t-2={two_before}"),
            format!("t-12={before},{two_before}"),
            format!("w-1={w_1}"),
            format!("s3-1={}", last_three(w_1)),
            format!("w-2={w_2}"),
            format!("w+1={w1}"),
            format!("s3+1={}", last_three(w1)),
            format!("w+2={w2}"),
        ];
        let mut scores = vec![0.0_f64; self.tags.len()];
        let mut has_score = false;
        for (tag, tenths) in features
            .iter()
            .filter_map(|feature| self.weights.get(feature.as_str()))
            .flatten()
        {
            if let Some(score) = scores.get_mut(usize::from(*tag)) {
                *score += f64::from(*tenths) / 10.0;
                has_score = true;
            }
        }
        if !has_score {
            return "NN";
        }
        let best = scores
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |(index, _)| index);
        self.tags.get(best).map_or("NN", String::as_str)
    }
}

fn last_three(word: &str) -> &str {
    let start = word.char_indices().rev().nth(2).map_or(0, |(at, _)| at);
    word.get(start..).unwrap_or_default()
}

fn is_all(word: &str, test: impl Fn(char) -> bool) -> bool {
    !word.is_empty() && word.chars().all(test)
}

/// What a word has in common with others like it.
fn normal(word: &str) -> String {
    let is_digits = is_all(word, char::is_numeric);
    if word.contains('-') && !word.starts_with('-') {
        "!HYPHEN".to_owned()
    } else if is_digits && word.chars().count() == 4 {
        "!YEAR".to_owned()
    } else if word.starts_with(char::is_numeric) {
        "!DIGITS".to_owned()
    } else {
        word.to_lowercase()
    }
}

/// Which kinds of letters a word has.
fn shape(word: &str) -> String {
    let kind = if is_all(word, char::is_alphabetic) {
        let has_upper = word.chars().any(char::is_uppercase);
        let has_lower = word.chars().any(char::is_lowercase);
        let rest_is_lower = is_all(
            word.split_at(word.chars().next().map_or(0, char::len_utf8))
                .1,
            char::is_lowercase,
        );
        match (has_lower, has_upper) {
            (true, false) => "x",
            (false, true) if word.chars().count() > 1 => "XX",
            (false, true) => "X1",
            _ if word.starts_with(char::is_uppercase) && rest_is_lower => "Xx",
            _ => "xX",
        }
    } else if is_all(word, char::is_numeric) {
        "d"
    } else {
        let letter = |c: char| {
            if c.is_numeric() {
                'd'
            } else if c.is_alphabetic() {
                'x'
            } else {
                c
            }
        };
        return word.chars().take(4).map(letter).collect();
    };
    kind.to_owned()
}
