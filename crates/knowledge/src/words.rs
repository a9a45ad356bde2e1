//! Words as they are compared: stemmed by the language of the documents, and of a question only those that mean something.

use rust_stemmers::{Algorithm, Stemmer};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::synonyms::{self, Thesaurus};

/// The language of a base is judged by so much of it, in characters.
const SAMPLE_CHARS: usize = 50_000;
/// Words of a question that are looked up; a caller's sentence has about 15.
const MAX_QUESTION_WORDS: usize = 64;

/// A day is known by what stands so many words away: "Mo und Di".
const DAY_REACH: usize = 2;

/// Languages with a stemmer and a list of words without meaning.
const LANGUAGES: [(&str, Algorithm); 16] = [
    ("en", Algorithm::English),
    ("de", Algorithm::German),
    ("fr", Algorithm::French),
    ("es", Algorithm::Spanish),
    ("it", Algorithm::Italian),
    ("pt", Algorithm::Portuguese),
    ("nl", Algorithm::Dutch),
    ("sv", Algorithm::Swedish),
    ("da", Algorithm::Danish),
    ("no", Algorithm::Norwegian),
    ("fi", Algorithm::Finnish),
    ("ru", Algorithm::Russian),
    ("ro", Algorithm::Romanian),
    ("hu", Algorithm::Hungarian),
    ("tr", Algorithm::Turkish),
    ("el", Algorithm::Greek),
];

/// The parts of compounds that were seen: looked for once, though a word stands in many passages.
pub(crate) type Known = FxHashMap<String, Vec<String>>;

/// A word of a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// It, and other words for it with what they count.
    pub(crate) words: Vec<(String, f32)>,
    /// It says what the question is about. Numbers and days do not: they only tell good passages from better ones.
    pub(crate) is_topic: bool,
    /// It is a day.
    is_day: bool,
}

impl Asked {
    /// What a phrase stands for.
    fn phrase(others: &[String]) -> Self {
        let weighed = |word: &String| (word.clone(), synonyms::PHRASE_WEIGHT);
        Self {
            words: others.iter().map(weighed).collect(),
            is_topic: true,
            is_day: false,
        }
    }
}

/// How words of one language are compared.
pub(crate) struct Words {
    language: &'static str,
    stemmer: Stemmer,
    empty: FxHashSet<&'static str>,
    /// Other words for the same.
    thesaurus: Thesaurus,
}

impl Words {
    /// For documents such as these.
    pub(crate) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let (language, algorithm) = language(texts);
        let empty = stop_words(language)
            .chain(stop_words("zh"))
            .chain(synonyms::SMALL_TALK.split(' '))
            .collect();
        let stemmer = Stemmer::create(algorithm);
        let thesaurus = Thesaurus::new(synonyms::table(language), |word| {
            stemmer.stem(word).into_owned()
        });
        Self {
            language,
            stemmer,
            empty,
            thesaurus,
        }
    }

    /// All terms of a text, in order: its words, the days that it means, and what its compounds are made of.
    pub(crate) fn terms(&self, text: &str, known: &mut Known) -> Vec<String> {
        let lower = text.to_lowercase();
        let words: Vec<&str> = split(&lower).collect();
        let mut terms = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let reach = at.saturating_sub(DAY_REACH)..(at + DAY_REACH + 1).min(words.len());
            let beside = words.get(reach).unwrap_or_default();
            let days = self.thesaurus.days(word, beside);
            terms.extend_from_slice(days);
            if let [_] = days {
                // "Monday to Friday", "Mo–Fr"
                for next in words.get(at + 1..).unwrap_or_default().iter().take(2) {
                    let between = between(&lower, word, next);
                    let days = self.thesaurus.days_between(word, between, next);
                    terms.extend(days.into_iter().cloned());
                }
                continue;
            }
            let first = terms.len();
            self.push_terms(word, &mut terms);
            if self.has_compounds() {
                for at in first..terms.len() {
                    let term = terms.get(at).cloned().unwrap_or_default();
                    let parts = known
                        .entry(term)
                        .or_insert_with_key(|term| self.thesaurus.parts(term).cloned().collect());
                    terms.extend_from_slice(parts);
                }
            }
        }
        terms.extend(lower.chars().filter_map(|c| Some(self.stem(currency(c)?))));
        terms
    }

    /// What a question is about.
    pub(crate) fn question(&self, text: &str) -> Vec<Asked> {
        let lower = text.to_lowercase();
        let words: Vec<&str> = split(&lower).take(4 * MAX_QUESTION_WORDS).collect();
        let stems: Vec<String> = words.iter().map(|word| self.stem(word)).collect();
        let phrases = self.thesaurus.phrases(&words, &stems).into_iter();
        let mut asked: Vec<Asked> = phrases.map(Asked::phrase).collect();
        let mut has_day = false;
        let is_farewell = self.thesaurus.is_farewell(&words, &stems);
        for (at, word) in words.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| words.get(at));
            let is_name = words.get(at.saturating_sub(3)..at).is_some_and(|before| {
                before
                    .windows(2)
                    .any(|pair| matches!(pair, ["name", "is" | "s"]))
            });
            let is_wish = synonyms::is_polite(before.copied(), word)
                || words
                    .get(at + 1)
                    .is_some_and(|next| synonyms::is_polite(Some(word), next));
            if is_name || is_wish || self.is_empty(word) {
                continue;
            }
            let mut terms = Vec::new();
            let days = self.thesaurus.days(word, &[]);
            if let [day] = days {
                terms.push(day.clone());
            } else {
                self.push_terms(word, &mut terms);
            }
            let is_day = synonyms::is_day(word) || !days.is_empty();
            let is_topic = !(self.thesaurus.is_weak(word) || is_farewell && is_day);
            for term in terms {
                // in Japanese these are endings and particles
                let is_kana = term.chars().all(|c| matches!(c, '\u{3040}'..='\u{309f}'));
                if is_kana || self.is_empty(&term) {
                    continue;
                }
                let mut words = vec![(term.clone(), 1.0)];
                let others = self.thesaurus.others(&term);
                words.extend(others.map(|other| (other.clone(), synonyms::WEIGHT)));
                if days.len() > 1 {
                    words.extend(days.iter().map(|day| (day.clone(), synonyms::WEIGHT)));
                }
                if self.has_compounds() && self.thesaurus.others(&term).next().is_none() {
                    // a compound that is not known stands for what it is made of
                    let parts = self.thesaurus.parts(&term);
                    let others = parts.flat_map(|part| self.thesaurus.others(part).chain([part]));
                    words.extend(others.map(|other| (other.clone(), synonyms::WEIGHT)));
                }
                if asked.len() < MAX_QUESTION_WORDS
                    && !asked
                        .iter()
                        .any(|known| known.words.first() == words.first())
                {
                    has_day |= is_day && is_topic;
                    asked.push(Asked {
                        words,
                        is_topic,
                        is_day,
                    });
                }
            }
        }
        let is_about_a_day = has_day && !asked.iter().any(|asked| asked.is_topic && !asked.is_day);
        let others = self.thesaurus.opening_hours();
        if is_about_a_day && !others.is_empty() && self.thesaurus.may_be_so(&words, &stems) {
            asked.push(Asked::phrase(others));
        }
        asked
    }

    /// Does it ask for anything? A time or a place may be asked for in small words alone.
    pub(crate) fn asks(&self, text: &str) -> bool {
        split(&text.to_lowercase()).any(synonyms::asks)
            || self.question(text).iter().any(|asked| asked.is_topic)
    }

    /// Words for which there are others.
    pub(crate) fn thesaurus(&self) -> &Thesaurus {
        &self.thesaurus
    }

    /// Are words joined into one: is what such a word ends in what it is?
    pub(crate) fn has_compounds(&self) -> bool {
        matches!(
            self.language,
            "de" | "nl" | "sv" | "da" | "no" | "fi" | "hu"
        )
    }

    /// Does it mean nothing? An English "kind" is a German child.
    fn is_empty(&self, word: &str) -> bool {
        let is_known = || self.language != "en" && self.thesaurus.knows(&self.stem(word));
        self.empty.contains(word) && !is_known()
    }

    fn stem(&self, word: &str) -> String {
        self.stemmer.stem(word).into_owned()
    }

    /// A word's stem; of scripts without spaces every pair of characters.
    fn push_terms(&self, word: &str, terms: &mut Vec<String>) {
        let is_word =
            |word: &str| word.chars().nth(1).is_some() || word.chars().all(char::is_numeric);
        let mut rest = word;
        while let Some(first) = rest.chars().next() {
            let wide = is_wide(first);
            let end = rest.find(|c| is_wide(c) != wide).unwrap_or(rest.len());
            let (run, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            rest = after;
            if !wide {
                terms.extend(is_word(run).then(|| self.stem(run)));
                continue;
            }
            let letters: Vec<char> = run.chars().collect();
            if let [only] = letters.as_slice() {
                terms.push(only.to_string());
            }
            terms.extend(letters.windows(2).map(String::from_iter));
        }
    }
}

/// Words of a lower-cased text.
fn split(lower: &str) -> impl Iterator<Item = &str> {
    lower
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || is_wide(c)))
        .filter(|word| !word.is_empty())
}

/// What stands between two words that are parts of one text.
fn between<'a>(text: &'a str, word: &str, next: &str) -> &'a str {
    let start = text.as_ptr() as usize;
    let from = (word.as_ptr() as usize + word.len()).saturating_sub(start);
    let to = (next.as_ptr() as usize).saturating_sub(start);
    text.get(from..to).unwrap_or_default()
}

/// The word for a sign of money.
fn currency(sign: char) -> Option<&'static str> {
    match sign {
        '€' => Some("euro"),
        '$' => Some("dollar"),
        '£' => Some("pound"),
        _ => None,
    }
}

/// Scripts in which words are not parted, or, as in Korean, so little that parts of them are compared.
pub(crate) fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3005..=0x3007 | 0x3040..=0x30FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x3FFFF)
}

include!(concat!(env!("OUT_DIR"), "/stop_words.rs"));

/// Words without meaning: NLTK's lists, as the build script wrote them.
fn stop_words(language: &str) -> impl Iterator<Item = &'static str> {
    stop_words_of(language).split_ascii_whitespace()
}

/// The language with most of its small words in these texts; English if they tell nothing.
fn language<'a>(texts: impl Iterator<Item = &'a str>) -> (&'static str, Algorithm) {
    let mut sample = String::new();
    for text in texts {
        sample.extend(text.chars().take(SAMPLE_CHARS));
        sample.push(' ');
        if sample.len() > SAMPLE_CHARS {
            break;
        }
    }
    let sample = sample.to_lowercase();
    let counted = LANGUAGES.map(|(language, algorithm)| {
        let words: FxHashSet<&str> = stop_words(language).collect();
        let count = split(&sample)
            .filter(|word| word.chars().nth(1).is_some() && words.contains(word))
            .count();
        (count, language, algorithm)
    });
    let english = counted.first().map_or(0, |(count, ..)| *count);
    let best = counted.into_iter().max_by_key(|(count, ..)| *count);
    match best {
        Some((count, language, algorithm)) if count > english => (language, algorithm),
        _ => ("en", Algorithm::English),
    }
}

#[cfg(test)]
mod tests {
    use super::{LANGUAGES, stop_words};

    #[test]
    fn every_language_has_words_without_meaning() {
        for (language, _) in LANGUAGES {
            assert!(stop_words(language).count() >= 50, "{language}");
        }
        assert!(stop_words("de").any(|word| word == "und"));
        assert!(stop_words("zh").count() >= 50);
        assert_eq!(stop_words("eo").next(), None);
    }
}
