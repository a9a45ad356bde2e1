//! Answers from found passages: the sentences that really hold what the question is about, as they would be said.

use antiphon_chat::Passage;
use antiphon_knowledge::chunk::markdown;

use super::days;
use super::question::Question;
use super::units::{Unit, content, holds, is_end, rank, units};
use super::words::{is_empty, tokens};

/// Longest answer in characters; more is tiring to hear.
const MAX_CHARS: usize = 300;
/// A passage this short is said whole when the question asks for a time, because hours stand beside their days.
const WHOLE_CHARS: usize = 220;
/// Hours of several passages are said together up to this length: lunch without dinner would be half an answer.
const MAX_HOURS_CHARS: usize = 400;
/// Things listed at once; more are not remembered by ear.
const MAX_LISTED: usize = 4;
/// Share of what a question is about that an answer must hold, so that one chance word is not taken for an answer.
const MIN_SHARE: f32 = 0.45;
/// Asked for a price, a sentence with a number is worth so much more.
const PRICED: f32 = 1.4;
/// A sentence beside the best one is said too if it fits so well, in proportion.
const ALSO: f32 = 0.8;
/// Things of a list that fit so well, in proportion to the best, are listed with it.
const LISTED: f32 = 0.8;
/// Hours are told when they fit so well, in proportion to the best of all.
const HOURS: f32 = 0.6;
/// How a sentence begins that means nothing without the one before it.
const LEANING: [&str; 13] = [
    "after that",
    "otherwise",
    "this ",
    "that ",
    "these ",
    "they ",
    "it ",
    "then ",
    "he ",
    "she ",
    "but ",
    "for larger",
    "in that case",
];

/// Passages of an index hold Markdown as it was written; its headings are no sentences, and nobody says "hash hash".
fn spoken(passages: &[Passage]) -> Vec<Passage> {
    let is_heading = |line: &str| {
        let words = line.trim_start_matches('#');
        words.len() < line.len() && words.starts_with(' ')
    };
    let mut spoken = Vec::new();
    for passage in passages {
        if passage.text.lines().any(is_heading) {
            let sections = markdown(&passage.source, &passage.text);
            spoken.extend(sections.into_iter().map(|section| Passage {
                text: section.text,
                source: section.source,
                ..passage.clone()
            }));
        } else {
            spoken.push(passage.clone());
        }
    }
    spoken
}

/// The answer to a question, if the passages hold one.
pub(super) fn answer(passages: &[Passage], question: &Question) -> Option<String> {
    let passages = &spoken(passages);
    let mut units = units(passages);
    rank(&mut units, &question.text);
    if let Some(said) = super::diet::answer(passages, &units, question) {
        return Some(said);
    }
    if let Some(cheapest) = question.asks_cheapest() {
        return extreme(&units, question, cheapest);
    }
    let keys = keys(question);
    // who asks for opening hours wants them, and no table of contents
    if !question.asks_time()
        && let Some(said) = sections(passages, &keys)
    {
        return Some(said);
    }
    if question.asks_price() {
        for unit in &mut units {
            if unit.text.contains(|c: char| c.is_ascii_digit()) {
                unit.score *= PRICED;
            }
        }
    }
    let best = units
        .iter()
        .max_by(|a, b| a.score.total_cmp(&b.score).then(b.passage.cmp(&a.passage)))?;
    if let Some(said) = hours(passages, &units, question, best.score) {
        return Some(said);
    }
    if best.score <= 0.0 || best.share < MIN_SHARE {
        return None;
    }
    if let Some(thing) = unnamed(&units, question) {
        let near = with_neighbours(&units, best);
        return Some(format!(
            "I do not find {thing} here. What comes near is this: {near}"
        ));
    }
    let listed: Vec<&Unit<'_>> = units
        .iter()
        .filter(|unit| unit.is_item && unit.score >= best.score * LISTED)
        .collect();
    if best.is_item && listed.len() >= 2 {
        return Some(list(&listed, &keys));
    }
    let first = units.iter().find(|unit| unit.score >= best.score)?;
    Some(with_neighbours(&units, first))
}

/// The thing that is asked for and stands nowhere by its name: "do you have steak". Another word for it, or for its kind, was found.
fn unnamed<'a>(units: &[Unit<'_>], question: &'a Question) -> Option<&'a str> {
    let words = &question.words;
    let asks = words.windows(2).position(|pair| {
        matches!(pair, [first, second] if matches!((first.as_str(), second.as_str()),
            ("you", "have" | "serve" | "sell" | "offer" | "do" | "got" | "make") | ("i", "get" | "have" | "buy" | "order") | ("is" | "are", "there")))
    })?;
    let mut things = words.get(asks + 2..)?.iter().filter(|word| !is_empty(word));
    let thing = things.next().filter(|_| things.next().is_none())?;
    let is_named = units
        .iter()
        .any(|unit| holds(&unit.words, thing) || holds(&tokens(unit.heading), thing));
    (!is_named).then_some(thing.as_str())
}

/// The words that say what is asked for.
fn keys(question: &Question) -> Vec<&str> {
    let mut keys: Vec<&str> = question.words.iter().map(String::as_str).collect();
    keys.retain(|word| !is_empty(word));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Asked for a whole document ("the menu"), its parts are named rather than some of its lines.
fn sections(passages: &[Passage], keys: &[&str]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for passage in passages {
        let Some((above, name)) = passage.source.rsplit_once(" › ") else {
            continue;
        };
        // without the file's name
        let Some((_, above)) = above.split_once(" › ") else {
            continue;
        };
        let above = tokens(above);
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

/// The cheapest or the dearest of the things that the question means.
fn extreme(units: &[Unit<'_>], question: &Question, cheapest: bool) -> Option<String> {
    let priced = || {
        units
            .iter()
            .filter_map(|unit| Some((price(unit.text)?, unit)))
    };
    let meant = |unit: &&Unit<'_>| {
        let heading = tokens(unit.heading.rsplit('›').next().unwrap_or_default());
        keys(question).iter().any(|key| holds(&heading, key))
    };
    let mut things: Vec<(f32, &Unit<'_>)> = priced()
        .filter(|(_, unit)| unit.is_item && meant(unit))
        .collect();
    if things.is_empty() {
        things = priced().filter(|(_, unit)| unit.is_item).collect();
    }
    if things.is_empty() {
        things = priced().collect();
    }
    let by_price = |a: &&(f32, &Unit<'_>), b: &&(f32, &Unit<'_>)| a.0.total_cmp(&b.0);
    let (_, unit) = if cheapest {
        things.iter().min_by(by_price)
    } else {
        things.iter().max_by(by_price)
    }?;
    let which = if cheapest {
        "cheapest"
    } else {
        "most expensive"
    };
    Some(format!(
        "The {which} that I find is this: {}",
        sentence(&lower_first(unit.text))
    ))
}

/// The first amount of money in a text.
fn price(text: &str) -> Option<f32> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.iter().enumerate().find_map(|(at, word)| {
        let next = words.get(at + 1).map(|next| next.to_lowercase());
        let is_money = |word: &str| {
            ["euro", "dollar", "pound", "eur", "usd", "gbp"]
                .iter()
                .any(|unit| word.starts_with(unit))
        };
        let bare = word.trim_matches(|c: char| !c.is_ascii_digit());
        let is_marked = word.contains(['€', '$', '£'])
            || next.is_some_and(|next| is_money(&next) || next.starts_with('€'));
        bare.replace(',', ".").parse().ok().filter(|_| is_marked)
    })
}

/// Hours: whole short passages, those of the days that were asked for. What is closed then goes before what is open otherwise.
fn hours(
    passages: &[Passage],
    units: &[Unit<'_>],
    question: &Question,
    best: f32,
) -> Option<String> {
    let about_hour = asks_about_hour(question);
    if !(question.asks_time() || !question.days.is_empty() || about_hour) {
        return None;
    }
    let least_share = if about_hour {
        MIN_SHARE * HOURS
    } else {
        MIN_SHARE
    };
    let of_hours = |unit: &&Unit<'_>| {
        !unit.is_item && unit.share >= least_share && tells_hours(units, unit.passage)
    };
    let top = units
        .iter()
        .filter(of_hours)
        .map(|unit| unit.score)
        .fold(0.0, f32::max);
    if top <= 0.0 || top < best * HOURS && !about_hour {
        return None;
    }
    if !question.days.is_empty() {
        let closed = units.iter().find(|unit| {
            let says = |list: &[&str]| unit.words.iter().any(|word| list.contains(&word.as_str()));
            unit.days.has_all(question.days)
                && says(&["closed", "close", "shut"])
                && !says(&["open", "until", "at"])
        });
        if let Some(closed) = closed {
            return Some(sentence(closed.text));
        }
    }
    // whether it is open at an hour is told by all the hours
    let least = top * if about_hour { HOURS * HOURS } else { ALSO };
    let mut said = String::new();
    for (number, passage) in passages.iter().enumerate() {
        let of_passage: Vec<&Unit<'_>> =
            units.iter().filter(|unit| unit.passage == number).collect();
        let days = of_passage
            .iter()
            .any(|unit| unit.days.has_any(question.days));
        let named = of_passage.iter().any(|unit| !unit.days.is_empty());
        let is_other_day = !question.days.is_empty() && named && !days;
        let Some(fit) = of_passage
            .iter()
            .filter(|unit| of_hours(unit))
            .max_by(|a, b| a.score.total_cmp(&b.score))
        else {
            continue;
        };
        if fit.score < least || is_other_day {
            continue;
        }
        let text = content(&passage.text);
        let text = if text.len() <= WHOLE_CHARS {
            text
        } else {
            fit.text
        };
        if !said.is_empty() && said.len() + text.len() > MAX_HOURS_CHARS {
            break;
        }
        said = format!("{said} {}", sentence(text)).trim().to_owned();
    }
    (!said.is_empty()).then(|| super::shorten(&said, MAX_HOURS_CHARS))
}

/// "Can we come at eleven?"
fn asks_about_hour(question: &Question) -> bool {
    let words = days::words(&question.text);
    words.windows(2).any(|pair| {
        matches!(pair, [at, hour] if matches!(at.as_str(), "at" | "until" | "after" | "before" | "till")
            && super::words::number(hour.split(':').next().unwrap_or_default()).is_some())
    })
}

fn tells_hours(units: &[Unit<'_>], passage: usize) -> bool {
    units
        .iter()
        .any(|unit| unit.passage == passage && days::tells_a_time(unit.text))
}

/// A sentence with those beside it that fit nearly as well, and the one that it leans on or that leans on it.
fn with_neighbours(units: &[Unit<'_>], first: &Unit<'_>) -> String {
    let of_passage: Vec<&Unit<'_>> = units
        .iter()
        .filter(|unit| unit.passage == first.passage)
        .collect();
    let at = of_passage
        .iter()
        .position(|unit| std::ptr::eq(*unit, first))
        .unwrap_or(0);
    let leans = |unit: &Unit<'_>| {
        let lower = unit.text.to_lowercase();
        LEANING.iter().any(|start| lower.starts_with(start))
    };
    let mut said = String::new();
    for (number, unit) in of_passage.iter().enumerate() {
        let before = number + 1 == at && leans(first) && !first.is_item;
        let after = number == at + 1 && leans(unit) && !unit.is_item;
        let also = unit.score >= first.score * ALSO && !unit.is_item;
        if number == at || before || after || also {
            let more = sentence(unit.text);
            if said.is_empty() || said.len() + more.len() <= MAX_CHARS {
                said = format!("{said} {more}").trim().to_owned();
            }
        }
    }
    super::shorten(&said, MAX_CHARS)
}

fn list(entries: &[&Unit<'_>], keys: &[&str]) -> String {
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

pub(super) fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.ends_with(is_end) {
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
