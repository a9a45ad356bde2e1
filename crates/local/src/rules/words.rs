//! Words: what they are worth when a tool is chosen, and values said in words.

use serde_json::Value;

/// A tool is meant from this score on: one word of its name, or three of its description.
pub(super) const ENOUGH: u32 = 3;

/// Is this a word that says nothing about the matter?
pub(super) fn is_empty(word: &str) -> bool {
    // of "what's" `tokens` leaves "what'"
    EMPTY.contains(&word.trim_end_matches('\''))
}

/// "parking" and "park", "closed" and "close" are the same word in a question and its answer. Not for people to read.
pub(super) fn stem(word: &str) -> &str {
    let long = |stem: &&str| stem.len() >= 3;
    let stem = ["ing", "ed"]
        .iter()
        .find_map(|end| word.strip_suffix(end).filter(long))
        .unwrap_or(word);
    stem.strip_suffix('e').filter(long).unwrap_or(stem)
}

const EMPTY: [&str; 56] = [
    "which", "who", "why", "may", "am", "about", "a", "an", "the", "and", "or", "of", "for", "to",
    "in", "on", "at", "by", "is", "are", "it", "i", "you", "we", "do", "does", "have", "has",
    "can", "could", "would", "like", "please", "my", "me", "your", "with", "that", "this", "what",
    "when", "use", "be", "if", "call", "want", "how", "much", "many", "time", "there", "any",
    "need", "don't", "thi", "tell",
];

/// Lower-case words, a plural without its s.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == ':'))
        .filter(|word| !word.is_empty())
        // the verb "to book" makes something, the noun "booking" names it
        .flat_map(|word| {
            if matches!(word, "book" | "reserve") {
                vec!["make", "book"]
            } else {
                vec![word]
            }
        })
        .map(singular)
        .map(|word| match word {
            "reserve" | "reservation" | "booking" | "booked" => "book".to_owned(),
            "free" | "available" | "availability" | "look" | "check" => "find".to_owned(),
            other => other.to_owned(),
        })
        .collect()
}

/// "dishes" → "dish", "tables" → "table".
fn singular(word: &str) -> &str {
    let hissing = ["shes", "ches", "xes", "sses"]
        .iter()
        .any(|end| word.ends_with(end));
    match word.strip_suffix("es").filter(|_| hissing) {
        Some(stem) => stem,
        None if word.len() > 3 && !word.ends_with("ss") => word.trim_end_matches('s'),
        None => word,
    }
}

/// How well words fit a tool: 3 for a word of its name (4 for its first, the verb), 1 for one of its description.
pub(super) fn overlap(words: &[String], name: &str, description: &str) -> u32 {
    let name = tokens(&name.replace(['_', '-'], " "));
    let description = tokens(description);
    let mut counted: Vec<&str> = Vec::new();
    let mut score = 0;
    for word in words
        .iter()
        .map(String::as_str)
        .filter(|word| !EMPTY.contains(word))
    {
        if counted.contains(&word) {
            continue;
        }
        counted.push(word);
        score += match name.iter().position(|other| other == word) {
            Some(0) => 4,
            Some(_) => 3,
            None => u32::from(description.iter().any(|other| other == word)),
        };
    }
    score
}

/// Is it a word for people, who are counted: "two adults"?
pub(super) fn is_people(word: &str) -> bool {
    matches!(
        word,
        "people"
            | "persons"
            | "person"
            | "guests"
            | "adults"
            | "kids"
            | "children"
            | "friends"
            | "men"
            | "women"
            | "diners"
            | "others"
    )
}

/// A number in words or digits.
pub(super) fn number(word: &str) -> Option<i64> {
    const NAMES: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let plain = match word {
        "thirty" => return Some(30),
        "forty" => return Some(40),
        "fifty" => return Some(50),
        other => other,
    };
    let named = NAMES
        .iter()
        .position(|name| *name == plain || name.trim_end_matches('s') == plain);
    named
        .and_then(|at| i64::try_from(at).ok())
        .or_else(|| plain.parse().ok())
}

/// JSON as a sentence: values only where a key says nothing, else `key value`.
pub(super) fn speak(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "nothing".into(),
        Value::Array(items) => items.iter().map(speak).collect::<Vec<_>>().join(", "),
        Value::Object(map) => match map
            .get("message")
            .or_else(|| map.get("error"))
            .and_then(Value::as_str)
        {
            Some(text) => text.to_owned(),
            None => {
                let pair = |(key, value): (&String, &Value)| {
                    format!("{}: {}", key.replace('_', " "), speak(value))
                };
                map.iter().map(pair).collect::<Vec<_>>().join(", ")
            }
        },
    }
}
