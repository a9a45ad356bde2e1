//! Answers from found passages: the sentences that really hold the question's words, as they would be said.

use antiphon_chat::Passage;

use super::words::{is_empty, stem, tokens};

/// Longest answer in characters; more is tiring to hear.
const MAX_CHARS: usize = 300;
/// A passage this short is said whole when the question asks for a time, because hours stand beside their days.
const WHOLE_CHARS: usize = 220;
/// Hours of several passages are said together up to this length: lunch without dinner would be half an answer.
const MAX_HOURS_CHARS: usize = 400;
/// Things listed at once; more are not remembered by ear.
const MAX_LISTED: usize = 4;
/// Share of the question's weight that an answer must hold, so that one chance word is not taken for an answer.
const MIN_COVERAGE: f32 = 0.4;
/// Asked for a price, a sentence with a number is worth so much more.
const PRICED: f32 = 1.4;
/// Words that ask for things without saying which.
const WEAK: [&str; 16] = [
    "dish",
    "food",
    "option",
    "thing",
    "something",
    "meal",
    "kind",
    "sort",
    "serve",
    "offer",
    "get",
    "any",
    "there",
    "where",
    "cost",
    "price",
];

struct Entry<'a> {
    passage: usize,
    text: &'a str,
    words: Vec<String>,
    score: f32,
}

/// The answer in the output of a search tool: `[source] text` blocks.
pub(super) fn from_search(output: &str, question: &str) -> Option<String> {
    let passages: Vec<Passage> = format!("\n\n{output}")
        .split("\n\n[")
        .filter_map(|block| block.split_once("] "))
        .map(|(source, text)| Passage {
            text: text.into(),
            source: source.into(),
            score: 1.0,
        })
        .collect();
    answer(&passages, question)
}

/// The answer to a question, if the passages hold one.
pub(super) fn answer(passages: &[Passage], question: &str) -> Option<String> {
    let asked = tokens(question);
    if let Some(said) = super::diet::answer(passages, &asked) {
        return Some(said);
    }
    let mut keys: Vec<&str> = asked
        .iter()
        .map(String::as_str)
        .filter(|word| !is_empty(word))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    if let Some(said) = sections(passages, &keys) {
        return Some(said);
    }
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (passage, found) in passages.iter().enumerate() {
        for text in content(&found.text).lines().flat_map(pieces) {
            entries.push(Entry {
                passage,
                text,
                words: tokens(text),
                score: 0.0,
            });
        }
    }
    let weights: Vec<f32> = keys
        .iter()
        .map(|key| {
            let seen = entries
                .iter()
                .filter(|entry| holds(&entry.words, key))
                .count();
            let weight = (1.0 + entries.len() as f32 / (seen as f32 + 0.5)).ln();
            if WEAK.contains(key) {
                weight * 0.15
            } else {
                weight
            }
        })
        .collect();
    let total: f32 = weights.iter().sum();
    for entry in &mut entries {
        let heading = passages
            .get(entry.passage)
            .map(|passage| tokens(&passage.source))
            .unwrap_or_default();
        // a dessert is listed under that heading and does not say that it is one
        let of_heading = if is_item(passages, entry) { 1.0 } else { 0.6 };
        entry.score = keys
            .iter()
            .zip(&weights)
            .map(|(key, weight)| {
                if holds(&entry.words, key) {
                    *weight
                } else if holds(&heading, key) {
                    weight * of_heading
                } else {
                    0.0
                }
            })
            .sum();
        if asks_price(&asked) && entry.text.contains(|c: char| c.is_ascii_digit()) {
            entry.score *= PRICED;
        }
    }
    let best = entries.iter().map(|entry| entry.score).fold(0.0, f32::max);
    if best <= 0.0 || best < total * MIN_COVERAGE {
        return None;
    }
    let good: Vec<&Entry<'_>> = entries
        .iter()
        .filter(|entry| entry.score >= best * 0.75)
        .collect();
    let listed: Vec<&&Entry<'_>> = good
        .iter()
        .filter(|entry| is_item(passages, entry))
        .collect();
    if listed.len() >= 2 && !asks_time(&asked) {
        return Some(list(&listed, &keys));
    }
    let first = entries.iter().find(|entry| entry.score >= best)?;
    if asks_time(&asked) {
        return Some(whole(passages, &entries, best));
    }
    Some(shorten(&sentence(first.text)))
}

fn holds(words: &[String], key: &str) -> bool {
    words.iter().any(|word| stem(word) == stem(key))
}

/// Asked for a whole document ("the menu"), its parts are named rather than some of its lines.
fn sections(passages: &[Passage], keys: &[&str]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for passage in passages {
        let Some((above, name)) = passage.source.rsplit_once(" › ") else {
            continue;
        };
        // without the file's name
        let above = tokens(above.split_once(" › ")?.1);
        let is_part = keys.iter().all(|key| holds(&above, key));
        let name = name.trim().to_lowercase();
        if is_part && !names.contains(&name) {
            names.push(name);
        }
    }
    let (last, others) = names.split_last().filter(|(_, others)| others.len() >= 2)?;
    (!keys.is_empty()).then(|| {
        format!(
            "I can tell you about {} and {last}. Which shall it be?",
            others.join(", ")
        )
    })
}

/// A line of a list is one thing; other lines are told sentence by sentence.
pub(super) fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line.trim();
    while let Some(at) = rest.find(['.', '!', '?']).filter(|at| *at + 1 < rest.len()) {
        let (head, tail) = rest.split_at(at + 1);
        // a decimal point, an abbreviation, or a short remark that belongs to the thing before it
        let next_words = tail
            .split(['.', '!', '?'])
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

/// One of several short lines.
fn is_item(passages: &[Passage], entry: &Entry<'_>) -> bool {
    let lines = passages
        .get(entry.passage)
        .map_or(0, |passage| passage.text.lines().count());
    lines >= 3 && entry.text.len() <= 120
}

fn asks_price(words: &[String]) -> bool {
    words
        .iter()
        .any(|word| matches!(word.as_str(), "much" | "cost" | "price"))
}

fn asks_time(words: &[String]) -> bool {
    words
        .iter()
        .any(|word| matches!(word.as_str(), "when" | "time" | "hour" | "late" | "early"))
}

fn list(entries: &[&&Entry<'_>], keys: &[&str]) -> String {
    let mut items: Vec<String> = entries
        .iter()
        .take(MAX_LISTED)
        .map(|entry| {
            // "Vegan." after a dish says what was asked already
            let parts: Vec<&str> = entry
                .text
                .split(". ")
                .map(|part| part.trim_end_matches('.'))
                .collect();
            let kept: Vec<&str> = parts
                .iter()
                .enumerate()
                .filter(|(at, part)| {
                    *at == 0
                        || !tokens(part)
                            .iter()
                            .all(|word| keys.contains(&word.as_str()))
                })
                .map(|(_, part)| *part)
                .collect();
            lower_first(&kept.join(", "))
        })
        .collect();
    let last = items.pop().unwrap_or_default();
    let more = if entries.len() > MAX_LISTED {
        " There is more."
    } else {
        ""
    };
    let all = if items.is_empty() {
        last
    } else {
        format!("{}; and {last}", items.join("; "))
    };
    // Only what was found is listed: a caller with a diet must not take it for everything there is.
    format!("For example {all}.{more}")
}

/// The passages that fit best, said whole.
fn whole(passages: &[Passage], entries: &[Entry<'_>], best: f32) -> String {
    let mut said = String::new();
    for (number, passage) in passages.iter().enumerate() {
        let Some(entry) = entries
            .iter()
            .find(|entry| entry.passage == number && entry.score >= best * 0.95)
        else {
            continue;
        };
        let text = content(&passage.text);
        let text = if text.len() <= WHOLE_CHARS {
            text
        } else {
            entry.text
        };
        if !said.is_empty() && said.len() + text.len() > MAX_HOURS_CHARS {
            break;
        }
        said = format!("{said} {}", sentence(text)).trim().to_owned();
    }
    super::shorten(&said, MAX_HOURS_CHARS)
}

pub(super) fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.ends_with(['.', '!', '?']) {
        text
    } else {
        format!("{text}.")
    }
}

pub(super) fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

fn shorten(text: &str) -> String {
    super::shorten(text, MAX_CHARS)
}
