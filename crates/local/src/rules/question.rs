//! What a caller asks: the newest turn, and what turns before it give to one that is only half a question ("and on Monday?",
//! "how much is it?").

use antiphon_chat::{Item, Role};

use super::calendar::Date;
use super::days::{self, Days};
use super::diet;
use super::words::{is_empty, tokens};

/// So many turns are gone back: what was asked before them is forgotten by the caller, too.
const MAX_TURNS: usize = 3;
/// A turn that goes on with the question before it has at most so many words.
const MAX_SHORT: usize = 8;
/// So many words of its own may a turn have that speaks of "it".
const MAX_OWN_WORDS: usize = 2;

/// Words that ask for a price, or a time, and say nothing about the thing.
const PRICE: [&str; 6] = ["much", "cost", "price", "expensive", "charge", "pay"];
const TIME: [&str; 7] = ["when", "time", "hour", "late", "early", "until", "till"];
/// Asking for the least or the most.
const EXTREME: [&str; 6] = [
    "cheapest",
    "priciest",
    "expensive",
    "dearest",
    "lowest",
    "highest",
];
/// What stands for something that was named before.
const PRONOUNS: [&str; 7] = ["it", "they", "them", "those", "these", "one", "that"];
/// Words that stand between the others and ask for nothing.
const FILLERS: [&str; 15] = [
    "exactly",
    "actually",
    "really",
    "just",
    "please",
    "well",
    "um",
    "uh",
    "er",
    "hmm",
    "maybe",
    "perhaps",
    "basically",
    "hello",
    "hi",
];
/// "Is it possible …": "it" stands for nothing.
const EXPLETIVE: [&str; 10] = [
    "possible",
    "ok",
    "okay",
    "alright",
    "allowed",
    "true",
    "problem",
    "fine",
    "necessary",
    "my",
];

/// A question that stands for itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    /// In words, as it is searched for.
    pub(super) text: String,
    /// Its words, as documents' are compared here.
    pub(super) words: Vec<String>,
    /// The days that it names.
    pub(super) days: Days,
}

impl Question {
    /// One that stands for itself already.
    pub(super) fn new(text: &str, today: Date) -> Self {
        let said: Vec<&str> = text
            .split_whitespace()
            .filter(|word| {
                let word = word.to_lowercase();
                !FILLERS.contains(&word.trim_matches(|c: char| !c.is_alphanumeric()))
            })
            .collect();
        let text = days::with_days(&said.join(" "), today);
        Self {
            words: tokens(&text),
            days: Days::named(&text),
            text,
        }
    }

    /// The newest turn of a conversation.
    pub(super) fn newest(items: &[Item], today: Date) -> Self {
        let said = items.iter().rev().filter_map(|item| match item {
            Item::Message(message) if message.role == Role::User => Some(message.text.as_str()),
            _ => None,
        });
        let turns: Vec<&str> = said.take(MAX_TURNS).collect();
        let mut text = String::new();
        for turn in turns.into_iter().rev() {
            text = resolved(turn, &text);
        }
        Self::new(&text, today)
    }

    fn has(&self, list: &[&str]) -> bool {
        self.words.iter().any(|word| list.contains(&word.as_str()))
    }

    pub(super) fn asks_price(&self) -> bool {
        self.has(&PRICE[..3])
    }

    pub(super) fn asks_time(&self) -> bool {
        self.has(&TIME[..5]) || self.text.to_lowercase().contains("until when")
    }

    /// Asks for the least (`Some(true)`) or the most of a price.
    pub(super) fn asks_cheapest(&self) -> Option<bool> {
        let least = self.has(&["least", "less"]);
        if self.has(&["cheapest", "lowest"]) || least && self.has(&["expensive"]) {
            return Some(true);
        }
        let most = self.has(&["most"]) && self.has(&["expensive"]);
        (most || self.has(&["priciest", "dearest", "highest"])).then_some(false)
    }
}

/// A turn with what it leaves to the question before.
fn resolved(turn: &str, before: &str) -> String {
    let words = tokens(turn);
    if before.is_empty() || words.is_empty() {
        return turn.to_owned();
    }
    let is = |list: &[&str], word: &String| list.contains(&word.as_str());
    let lower = turn.trim_start().to_lowercase();
    let goes_on = [
        "and ",
        "what about",
        "how about",
        "what of",
        "or ",
        "also ",
        "but ",
    ];
    let goes_on = goes_on.iter().any(|start| lower.starts_with(start));
    let is_kind = |word: &String| is(&PRICE, word) || is(&TIME, word) || is(&EXTREME, word);
    let is_day = |word: &String| {
        !days::words(word).is_empty() && !Days::named(word).is_empty()
            || matches!(
                word.as_str(),
                "today" | "tonight" | "tomorrow" | "lunch" | "dinner" | "and" | "about"
            )
    };
    let own: Vec<&String> = words
        .iter()
        .filter(|word| !is_empty(word) && !is(&PRONOUNS, word) && !is_kind(word))
        .filter(|word| !is(&["and", "or", "also", "but", "then", "so"], word))
        .collect();
    let of_days = own.iter().all(|word| is_day(word)) && words.iter().any(is_day);
    let earlier = tokens(before);
    if words.len() <= MAX_SHORT && (goes_on || words.len() <= 3) && of_days {
        // the same about another day
        let kept: Vec<&str> = before
            .split_whitespace()
            .filter(|word| {
                let word = word.to_lowercase();
                let word = word.trim_matches(|c: char| !c.is_alphanumeric());
                Days::named(word).is_empty()
                    && !matches!(word, "today" | "tonight" | "tomorrow" | "on")
            })
            .collect();
        return format!("{} {turn}", kept.join(" ").trim_end_matches('?'));
    }
    if goes_on && words.len() <= MAX_SHORT {
        // the same about something else
        let has_kind = words.iter().any(is_kind) || diet::search(turn).is_some();
        let mut kept: Vec<&str> = Vec::new();
        if !has_kind {
            if earlier.iter().any(|word| is(&PRICE[..3], word)) {
                kept.push("how much is");
            }
            kept.extend(
                earlier
                    .iter()
                    .filter(|word| is(&EXTREME, word))
                    .map(String::as_str),
            );
        }
        let diet = if has_kind { None } else { diet::search(before) };
        return format!("{} {} {turn}", kept.join(" "), diet.unwrap_or_default())
            .trim()
            .to_owned();
    }
    let points = words.iter().any(|word| is(&PRONOUNS, word))
        && !words.iter().any(|word| is(&EXPLETIVE, word));
    if points && own.len() <= MAX_OWN_WORDS && words.len() <= MAX_SHORT {
        let thing: Vec<&str> = earlier
            .iter()
            .filter(|word| !is_empty(word) && !is_kind(word) && !is(&PRONOUNS, word))
            .map(String::as_str)
            .collect();
        return format!(
            "{} {}",
            turn.trim_end_matches(['?', '.', '!']),
            thing.join(" ")
        );
    }
    turn.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_question_is_completed_from_the_one_before() {
        for (before, turn, meant) in [
            (
                "How much is the mousse?",
                "And the almond cake?",
                "how much is  And the almond cake?",
            ),
            (
                "Are you open on Sunday?",
                "And on Monday?",
                "Are you open And on Monday?",
            ),
            (
                "Do you do lunch on Wednesdays?",
                "What about Mondays?",
                "Do you do lunch What about Mondays?",
            ),
            (
                "Do you have risotto?",
                "How much is it?",
                "How much is it risotto",
            ),
            (
                "Do you have risotto?",
                "Is it possible to sit outside?",
                "Is it possible to sit outside?",
            ),
            ("Do you have risotto?", "Where are you?", "Where are you?"),
            (
                "Is the lamb gluten free?",
                "And the risotto?",
                "gluten And the risotto?",
            ),
        ] {
            assert_eq!(
                resolved(turn, before)
                    .split_whitespace()
                    .collect::<Vec<_>>(),
                meant.split_whitespace().collect::<Vec<_>>()
            );
        }
    }
}
