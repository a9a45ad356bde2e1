//! Words as they are compared: stemmed by the language of the documents, and of a question only those that mean something.

use std::sync::OnceLock;

use rust_stemmers::Stemmer;
use rustc_hash::{FxHashMap, FxHashSet};
use unicode_segmentation::UnicodeSegmentation;

use crate::bm25::Counter;
use crate::language::{
    self, LANGUAGES, Language, fold, is_hiragana, is_katakana, is_wide, split, stop_words,
};
use crate::synonyms::{self, Thesaurus};

/// Words of a question that are looked up; a caller's sentence has about 15.
const MAX_QUESTION_WORDS: usize = 64;
/// A day is known by what stands so many words away: "Mo und Di".
const DAY_REACH: usize = 2;

/// The terms of each word that was seen, by its language: looked for once, though a word stands in many passages.
#[derive(Debug, Default)]
pub(crate) struct Terms(FxHashMap<Language, FxHashMap<String, Vec<usize>>>);

impl Terms {
    /// The numbers of all terms of a text, in order: its words, the days that it means, and what its compounds are made of.
    pub(crate) fn of(
        &mut self,
        text: &str,
        language: Language,
        counter: &mut Counter,
        ids: &mut Vec<usize>,
    ) {
        let lexicon = lexicon(language);
        let known = self.0.entry(language).or_default();
        let lower = fold(text);
        let words: Vec<&str> = split(&lower).collect();
        for (at, word) in words.iter().enumerate() {
            if let Some(terms) = known.get(*word) {
                ids.extend_from_slice(terms);
                continue;
            }
            let reach = at.saturating_sub(DAY_REACH)..(at + DAY_REACH + 1).min(words.len());
            let beside = words.get(reach).unwrap_or_default();
            let days = lexicon.thesaurus.days(word, beside);
            ids.extend(days.iter().map(|day| counter.id(day)));
            if let [_] = days {
                // "Monday to Friday", "Mo–Fr"
                for next in words.get(at + 1..).unwrap_or_default().iter().take(2) {
                    let between = between(&lower, word, next);
                    let days = lexicon.thesaurus.days_between(word, between, next);
                    ids.extend(days.into_iter().map(|day| counter.id(day)));
                }
                continue;
            }
            let terms = lexicon.terms_of(word);
            let terms: Vec<usize> = terms.iter().map(|term| counter.id(term)).collect();
            ids.extend_from_slice(&terms);
            // whether a word is a day is told by those beside it
            if !lexicon.thesaurus.may_be_day(word) {
                known.insert((*word).to_owned(), terms);
            }
        }
        let money = lower.chars().filter_map(currency);
        ids.extend(money.map(|word| counter.id(&lexicon.stem(word))));
    }
}

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

/// What a question is about.
pub(crate) struct Question {
    /// Its words.
    pub(crate) asked: Vec<Asked>,
    /// Its language.
    pub(crate) language: Language,
    /// How words of its language are compared.
    pub(crate) lexicon: &'static Lexicon,
}

/// The languages of a base, the most common first.
pub(crate) struct Words(Vec<Language>);

impl Words {
    /// For these passages, each named with its document; and the language of each.
    pub(crate) fn of<'a>(
        passages: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> (Self, Vec<Language>) {
        let (languages, known) = language::of_passages(passages);
        (Self(known), languages)
    }

    /// Those of an index that was kept.
    pub(crate) fn known(languages: Vec<Language>) -> Self {
        Self(languages)
    }

    pub(crate) fn all(&self) -> &[Language] {
        &self.0
    }

    /// The language of a sentence.
    pub(crate) fn language(&self, text: &str) -> Language {
        self.language_of(&fold(text))
    }

    fn language_of(&self, lower: &str) -> Language {
        let knows = |language: Language, word: &str| lexicon(language).knows(word);
        language::of_sentence(lower, &self.0, knows)
    }

    /// What a question is about; a word may stand in documents of any language.
    pub(crate) fn question(&self, text: &str) -> Question {
        let lower = fold(text);
        let language = self.language_of(&lower);
        let lexicon = self::lexicon(language);
        let others = self.0.iter().filter(|other| **other != language);
        let others: Vec<&Lexicon> = others.map(|other| self::lexicon(*other)).collect();
        Question {
            asked: lexicon.question(&lower, &others),
            language,
            lexicon,
        }
    }

    /// Does it ask for anything, and in which language (ISO 639-1)? A time or a place may be asked for in small words alone.
    pub(crate) fn asks(&self, text: &str) -> (bool, &'static str) {
        let lower = fold(text);
        let question = self.question(text);
        let asks = split(&lower).any(synonyms::asks)
            || synonyms::asks_within(&lower)
            || question.asked.iter().any(|asked| asked.is_topic);
        (asks, question.lexicon.code)
    }
}

/// How words of one language are compared.
pub(crate) struct Lexicon {
    /// The language (ISO 639-1).
    pub(crate) code: &'static str,
    stemmer: Option<Stemmer>,
    empty: FxHashSet<&'static str>,
    /// Other words for the same.
    thesaurus: Thesaurus,
}

/// How words of a language are compared: made once, when it is first met.
pub(crate) fn lexicon(language: Language) -> &'static Lexicon {
    static ALL: [OnceLock<Lexicon>; LANGUAGES.len()] = [const { OnceLock::new() }; LANGUAGES.len()];
    let [first, ..] = &ALL;
    let of = |number| LANGUAGES.get(number).zip(ALL.get(number));
    match of(language) {
        Some(((code, algorithm), cell)) => cell.get_or_init(|| Lexicon::new(code, *algorithm)),
        // no language has such a number
        None => first.get_or_init(|| Lexicon::new("en", Some(rust_stemmers::Algorithm::English))),
    }
}

impl Lexicon {
    fn new(code: &'static str, algorithm: Option<rust_stemmers::Algorithm>) -> Self {
        let empty = stop_words(code)
            .chain(synonyms::SMALL_TALK.split(' '))
            .chain(synonyms::SMALL_TALK_ELSEWHERE.split(' '))
            .collect();
        let stemmer = algorithm.map(Stemmer::create);
        let thesaurus = Thesaurus::new(synonyms::table(code), |word| stem(stemmer.as_ref(), word));
        Self {
            code,
            stemmer,
            empty,
            thesaurus,
        }
    }

    /// The terms of a word that is no day, and what it is made of if it is a compound.
    fn terms_of(&self, word: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.push_terms(word, &mut terms);
        if self.has_compounds() {
            let parts = terms.iter().flat_map(|term| self.thesaurus.parts(term));
            let parts: Vec<String> = parts.cloned().collect();
            terms.extend(parts);
        }
        terms
    }

    /// What a question in lower case is about. `others` are those of other languages that documents are in.
    fn question(&self, lower: &str, others: &[&Self]) -> Vec<Asked> {
        let words: Vec<&str> = split(lower).take(4 * MAX_QUESTION_WORDS).collect();
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
            let mut elsewhere: Vec<Vec<String>> = Vec::new();
            if let [day] = days {
                terms.push(day.clone());
            } else {
                self.push_terms(word, &mut terms);
                elsewhere.extend(others.iter().map(|other| {
                    let mut terms = Vec::new();
                    other.push_terms(word, &mut terms);
                    terms
                }));
            }
            let small = self.small_parts(word);
            let is_day = synonyms::is_day(word) || !days.is_empty();
            for (number, term) in terms.into_iter().enumerate() {
                // in Japanese these are endings and particles, and now and then a word: what it is about is told by others
                let is_kana = term.chars().all(is_hiragana);
                if self.is_empty(&term) || !is_kana && small.contains(&term) {
                    continue;
                }
                let is_weak = self.thesaurus.is_weak(word) || is_farewell && is_day || is_kana;
                let is_topic = !is_weak;
                let mut words = vec![(term.clone(), 1.0)];
                for same in elsewhere.iter().filter_map(|terms| terms.get(number)) {
                    if words.iter().all(|(known, _)| known != same) {
                        words.push((same.clone(), 1.0));
                    }
                }
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

    /// Words for which there are others.
    pub(crate) fn thesaurus(&self) -> &Thesaurus {
        &self.thesaurus
    }

    /// Are words joined into one: is what such a word ends in what it is?
    pub(crate) fn has_compounds(&self) -> bool {
        matches!(self.code, "de" | "nl" | "sv" | "da" | "no" | "fi" | "hu")
    }

    /// Does it mean nothing? An English "kind" is a German child.
    fn is_empty(&self, word: &str) -> bool {
        let is_known = || self.code != "en" && self.thesaurus.knows(&self.stem(word));
        self.empty.contains(word) && !is_known()
    }

    fn stem(&self, word: &str) -> String {
        stem(self.stemmer.as_ref(), word)
    }

    /// Is it a word that documents have other words for, or a day?
    fn knows(&self, word: &str) -> bool {
        self.thesaurus.knows(&self.stem(word)) || !self.thesaurus.days(word, &[]).is_empty()
    }

    /// A word's stem; of scripts without spaces every pair of letters, with the marks above and below them, and of katakana, in which
    /// foreign words are spelt, every three.
    fn push_terms(&self, word: &str, terms: &mut Vec<String>) {
        let is_word =
            |word: &str| word.chars().nth(1).is_some() || word.chars().all(char::is_numeric);
        for run in runs(word) {
            match run.starts_with(is_wide) {
                false => terms.extend(is_word(run).then(|| self.stem(run))),
                true => terms.extend(parts(&run.graphemes(true).collect::<Vec<_>>())),
            }
        }
    }

    /// Those of its parts that stand in small words alone.
    fn small_parts(&self, word: &str) -> FxHashSet<String> {
        let mut small = FxHashSet::default();
        for run in runs(word).filter(|run| run.starts_with(is_wide)) {
            let letters: Vec<&str> = run.graphemes(true).collect();
            let mut is_small: Vec<bool> = letters
                .iter()
                .map(|letter| letter.starts_with(is_hiragana))
                .collect();
            let mut at = 0;
            while at < letters.len() {
                let longest = (1..=MAX_SMALL_LETTERS.min(letters.len() - at)).rev();
                let longest = longest.into_iter().find(|length| {
                    let part = letters.get(at..at + length).unwrap_or_default().concat();
                    self.empty.contains(part.as_str())
                });
                for letter in is_small.iter_mut().skip(at).take(longest.unwrap_or(0)) {
                    *letter = true;
                }
                at += longest.unwrap_or(1);
            }
            let length = part_length(&letters);
            let is_small = is_small
                .windows(length)
                .map(|part| part.iter().all(|is| *is));
            let parts = parts(&letters).zip(is_small);
            small.extend(
                parts
                    .filter(|(_, is_small)| *is_small)
                    .map(|(part, _)| part),
            );
        }
        small
    }
}

/// So many letters of a script without spaces are compared at once.
fn part_length(letters: &[&str]) -> usize {
    let is_foreign = letters
        .first()
        .is_some_and(|first| first.starts_with(is_katakana));
    (2 + usize::from(is_foreign)).min(letters.len()).max(1)
}

fn parts(letters: &[&str]) -> impl Iterator<Item = String> {
    letters.windows(part_length(letters)).map(<[&str]>::concat)
}

/// A small word of a script without spaces has so many letters at most.
const MAX_SMALL_LETTERS: usize = 6;

fn stem(stemmer: Option<&Stemmer>, word: &str) -> String {
    stemmer.map_or_else(
        || word.to_owned(),
        |stemmer| stemmer.stem(word).into_owned(),
    )
}

/// A word's parts in scripts with and without spaces, and in katakana.
fn runs(word: &str) -> impl Iterator<Item = &str> {
    let kind = |c: char| (is_wide(c), is_katakana(c));
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = kind(rest.chars().next()?);
        let end = rest.find(|c| kind(c) != first).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = after;
        Some(run)
    })
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
