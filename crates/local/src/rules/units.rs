//! Found passages cut into what can be said alone, each with how well it fits the question.

use antiphon_chat::Passage;
use antiphon_knowledge::wording::{Topic, Wording};

use super::days::Days;
use super::words::{stem, tokens};

/// A heading's words count for a sentence below it; a thing in a list does not say what it is, its heading does.
const OF_HEADING: f32 = 0.8;
/// What a number, or another word that says little, counts beside a word that says what the question is about.
const OF_DETAIL: f32 = 0.3;
/// Stems of words that only tell good answers from better ones.
const DETAILS: [&str; 15] = [
    "insid",
    "stay",
    "happen",
    "nearbi",
    "around",
    "here",
    "stand",
    "includ",
    "contain",
    "today",
    "tonight",
    "tomorrow",
    "afternoon",
    "morn",
    "night",
];
/// What a further word for the same counts.
const OF_FURTHER: f32 = 0.1;
/// What counts of the lesser when sentence and heading both hold it.
const OF_BOTH: f32 = 0.2;
/// A word that another one begins with: "near" of "nearest".
const OF_BEGUN: f32 = 0.6;
const MIN_BEGUN_BYTES: usize = 4;
/// How much a sentence of the usual length loses to a very short one.
const OF_LENGTH: f32 = 0.1;
/// Lines of a list are at most so long.
const MAX_ITEM_CHARS: usize = 120;

/// A sentence, or a line of a list.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    /// Which passage it stands in.
    pub(super) passage: usize,
    pub(super) text: &'a str,
    /// The headings above it, without the file's name.
    pub(super) heading: &'a str,
    /// It is one of several short lines.
    pub(super) is_item: bool,
    pub(super) words: Vec<String>,
    /// The days that it names.
    pub(super) days: Days,
    /// How well it fits; comparable within one question.
    pub(super) score: f32,
    /// How much of what the question is about it holds, 0 to 1.
    pub(super) share: f32,
    /// What its numbers and days count, if it holds anything else.
    details: f32,
}

/// All of these passages.
pub(super) fn units(passages: &[Passage]) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for (passage, found) in passages.iter().enumerate() {
        let text = content(&found.text);
        let is_list = text.lines().filter(|line| !line.trim().is_empty()).count() >= 3;
        let heading = found
            .source
            .split_once(" › ")
            .map_or("", |(_, headings)| headings);
        for text in text.lines().flat_map(pieces) {
            let text = text.trim_start_matches(['-', '*', '•', ' ']);
            units.push(Unit {
                passage,
                text,
                heading,
                is_item: is_list && text.len() <= MAX_ITEM_CHARS,
                words: tokens(text),
                days: Days::named(text),
                score: 0.0,
                share: 0.0,
                details: 0.0,
            });
        }
    }
    units
}

/// Give every unit its score for this question, by the words of both.
pub(super) fn rank(units: &mut [Unit<'_>], question: &str) {
    let wording = Wording::of(units.iter().map(|unit| unit.text));
    let topics = wording.topics(question);
    let terms: Vec<(Vec<String>, Vec<String>)> = units
        .iter()
        .map(|unit| (wording.terms(unit.text), wording.terms(unit.heading)))
        .collect();
    let is_day = |topic: &Topic| {
        let own = topic.words.first();
        own.is_some_and(|(word, _)| !Days::named(word).is_empty())
    };
    // a phrase stands for its words, too: those that stand nowhere are no part of the question that is unanswered
    let is_phrase = |topic: &Topic| topic.words.iter().all(|(_, weight)| *weight < 1.0);
    let is_detail = |topic: &Topic| {
        let own = topic.words.first();
        own.is_some_and(|(word, _)| DETAILS.contains(&word.as_str()))
    };
    // "how much" says what is asked about the thing, and not which thing
    let is_price =
        |topic: &Topic| is_phrase(topic) && topic.words.iter().any(|(word, _)| word == "price");
    let has_thing = topics
        .iter()
        .any(|topic| topic.is_topic && !is_phrase(topic) && !is_detail(topic));
    let has_phrase = topics
        .iter()
        .any(|topic| is_phrase(topic) && !(is_price(topic) && has_thing));
    let is_of_days = topics.iter().all(|topic| !topic.is_topic || is_day(topic));
    let held: Vec<Vec<f32>> = topics
        .iter()
        .map(|topic| {
            let of_unit = |(unit, (own, heading)): (&Unit<'_>, &(Vec<String>, Vec<String>))| {
                let of_heading = if unit.is_item { 1.0 } else { OF_HEADING };
                let (own, heading) = (held(topic, own), of_heading * held(topic, heading));
                own.max(heading) + OF_BOTH * own.min(heading)
            };
            units.iter().zip(&terms).map(of_unit).collect()
        })
        .collect();
    let count = units.len() as f32;
    let mut weights: Vec<f32> = held
        .iter()
        .map(|held| {
            let seen = held.iter().filter(|held| **held > 0.0).count() as f32;
            if seen > 0.0 {
                (1.0 + count / (seen + 0.5)).ln()
            } else {
                0.0
            }
        })
        .collect();
    // what stands nowhere weighs as the others do; with a phrase that is understood it is mostly a part of that
    let known: Vec<f32> = weights
        .iter()
        .copied()
        .filter(|weight| *weight > 0.0)
        .collect();
    let usual = known.iter().sum::<f32>() / known.len().max(1) as f32;
    let unknown = if has_phrase { OF_DETAIL * usual } else { usual };
    for weight in weights.iter_mut().filter(|weight| **weight == 0.0) {
        *weight = unknown;
    }
    let mut total = 0.0;
    for ((topic, held), weight) in topics.iter().zip(held).zip(weights) {
        let is_topic = topic.is_topic
            && !is_detail(topic)
            && !(is_price(topic) && has_thing)
            && (is_of_days || !is_day(topic));
        if is_topic {
            total += weight;
        }
        for (unit, held) in units.iter_mut().zip(held) {
            if is_topic {
                unit.score += weight * held;
                unit.share += weight * held;
            } else {
                unit.details += OF_DETAIL * weight * held;
            }
        }
    }
    for unit in units.iter_mut().filter(|unit| unit.share > 0.0) {
        unit.score += unit.details;
    }
    let words: usize = units.iter().map(|unit| unit.words.len()).sum();
    let average = words as f32 / count.max(1.0);
    for unit in units.iter_mut() {
        let length = unit.words.len() as f32 / average.max(1.0);
        unit.score /= 1.0 - OF_LENGTH + OF_LENGTH * length;
    }
    if total > 0.0 {
        for unit in units {
            unit.share /= total;
        }
    }
}

/// How much of a topic stands in a text: 1 for its own word, less for another, and a little more for each further one.
fn held(topic: &Topic, terms: &[String]) -> f32 {
    let (mut best, mut count) = (0.0f32, 0.0f32);
    for (word, weight) in &topic.words {
        let is_whole = terms.contains(word);
        let is_begun = || {
            let begins = |term: &String| term.starts_with(word.as_str());
            *weight >= 1.0 && word.len() >= MIN_BEGUN_BYTES && terms.iter().any(begins)
        };
        if is_whole || is_begun() {
            count += 1.0;
            best = best.max(if is_whole { *weight } else { OF_BEGUN });
        }
    }
    if count == 0.0 {
        return 0.0;
    }
    // another word for the same is nearly as good here: whole passages were weighed before
    0.5 + 0.5 * best + OF_FURTHER * (count - 1.0).min(2.0)
}

pub(super) fn holds(words: &[String], key: &str) -> bool {
    words.iter().any(|word| stem(word) == stem(key))
}

/// Does a sentence end with it, in any script?
pub(super) fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '。' | '！' | '？' | '।' | '؟' | '۔')
}

/// A line of a list is one thing; other lines are told sentence by sentence.
pub(super) fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line.trim();
    let ends = |rest: &str| {
        let mut ends = rest.char_indices();
        let (at, end) = ends.find(|(_, c)| is_end(*c))?;
        (at + end.len_utf8() < rest.len()).then_some((at + end.len_utf8(), end))
    };
    while let Some((at, end)) = ends(rest) {
        let (head, tail) = rest.split_at(at);
        // no space follows, and nothing is abbreviated with it
        if !end.is_ascii() {
            pieces.push(head.trim());
            rest = tail.trim();
            continue;
        }
        // a decimal point, an abbreviation, or a short remark that belongs to the thing before it
        let next_words = tail
            .split(is_end)
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .count();
        if !tail.starts_with(' ') || next_words <= 5 || head.split_whitespace().count() <= 2 {
            return if pieces.is_empty() {
                vec![line.trim()]
            } else {
                [pieces, vec![rest]].concat()
            };
        }
        pieces.push(head.trim());
        rest = tail.trim();
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// Without the metadata that LlamaIndex writes above a text.
pub(super) fn content(text: &str) -> &str {
    match text.split_once("\n\n") {
        Some((head, body))
            if head.lines().all(|line| {
                line.split_once(": ")
                    .is_some_and(|(key, _)| !key.contains(' '))
            }) =>
        {
            body
        }
        Some(_) | None => text,
    }
}
