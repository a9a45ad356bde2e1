//! Arguments from what was said: by the name and type of the parameter.

use serde_json::Value;

use super::calendar::{self, DAYS, Date};
use super::clock;
use super::words::{is_people, number};

/// What is asked when a parameter is missing; `new` when something is made rather than looked up.
pub(super) fn question(name: &str, schema: &Value, acts: bool) -> String {
    match kind(name, schema) {
        Kind::Date => "For which day?".into(),
        Kind::Time => "At what time?".into(),
        Kind::Count => "For how many people?".into(),
        Kind::Name if acts && name == "name" => "And what is your name, please?".into(),
        Kind::Name => "What name is it under?".into(),
        Kind::Number | Kind::Text => {
            format!("Please tell me the {}.", name.replace(['_', '-'], " "))
        }
    }
}

/// Is this parameter somebody's name?
pub(super) fn is_name(name: &str, schema: &Value) -> bool {
    matches!(kind(name, schema), Kind::Name)
}

/// Is it a day or a time of day?
pub(super) fn is_day_or_time(name: &str, schema: &Value) -> bool {
    matches!(kind(name, schema), Kind::Date | Kind::Time)
}

/// A value as it is said in a confirmation, and its place there.
pub(super) fn spoken(name: &str, schema: &Value, value: &Value) -> (u8, String) {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    match kind(name, schema) {
        Kind::Count => (0, format!("for {text}")),
        Kind::Date => (
            1,
            format!("on {}", Date::parse(&text).map_or(text, Date::spoken)),
        ),
        Kind::Time => (2, format!("at {}", clock::spoken(&text).unwrap_or(text))),
        Kind::Name if name == "name" => (3, format!("for {text}")),
        Kind::Name => (3, format!("under {text}")),
        Kind::Number | Kind::Text => (4, format!("with {} {text}", name.replace(['_', '-'], " "))),
    }
}

enum Kind {
    Date,
    Time,
    Count,
    Name,
    Number,
    Text,
}

fn kind(name: &str, schema: &Value) -> Kind {
    let of = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    match (name, of("type"), of("format")) {
        (_, _, "date") => Kind::Date,
        (_, _, "time") => Kind::Time,
        (name, _, _) if name.contains("date") || name == "day" => Kind::Date,
        (name, _, _) if name.contains("time") => Kind::Time,
        (name, "integer" | "number", _)
            if name.contains("size") || name.contains("people") || name.contains("guests") =>
        {
            Kind::Count
        }
        (_, "integer" | "number", _) => Kind::Number,
        (name, _, _) if name == "name" || name.ends_with("_name") => Kind::Name,
        _ => Kind::Text,
    }
}

/// Is the parameter named in these words: "the time", "the number of people"?
pub(super) fn is_named(name: &str, schema: &Value, words: &[String]) -> bool {
    let names: &[&str] = match kind(name, schema) {
        Kind::Date => &["date", "day"],
        Kind::Time => &["time", "hour"],
        Kind::Count => &["people", "person", "size", "party", "number", "guest"],
        Kind::Name => &["name"],
        Kind::Number | Kind::Text => &[],
    };
    words
        .iter()
        .any(|word| names.contains(&word.as_str()) || word == name)
}

/// The value of a parameter in what was said; `asked` when it answers our question for it.
pub(super) fn value(
    name: &str,
    schema: &Value,
    said: &str,
    asked: bool,
    today: Date,
) -> Option<Value> {
    let cut = |text: &str| -> Vec<String> {
        text.split(|c: char| !(c.is_alphanumeric() || matches!(c, ':' | '-' | '\'')))
            .map(|word| word.trim_matches(['-', '\'']))
            .flat_map(|word| {
                // "half-past", but neither a date in digits nor a name that is spelled
                let is_one = word.contains(|c: char| c.is_ascii_digit()) || is_letters(word);
                let part = |c: char| c == '-' && !is_one;
                word.split(part).map(str::to_owned).collect::<Vec<_>>()
            })
            .filter(|word| !word.is_empty())
            .collect()
    };
    let original = cut(&said
        .replace('’', "'")
        .replace("p.m.", "pm")
        .replace("a.m.", "am"));
    let lower: Vec<String> = original.iter().map(|word| word.to_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    match kind(name, schema) {
        Kind::Date => calendar::date(&words, today).map(|date| Value::String(date.iso())),
        Kind::Time => clock::time(&words, asked).map(Value::String),
        Kind::Count => count(&words, asked).map(Value::from),
        Kind::Number if asked => words.iter().find_map(|word| number(word)).map(Value::from),
        Kind::Name => person(&original, &words, asked).map(Value::String),
        Kind::Text if asked => Some(Value::String(said.trim().trim_end_matches('.').to_owned())),
        Kind::Number | Kind::Text => None,
    }
}

/// How many people.
fn count(words: &[&str], asked: bool) -> Option<i64> {
    let has = |phrase: &[&str]| words.windows(phrase.len()).any(|window| window == phrase);
    // one alone counts as well: "two adults and one child"
    let people = |word: &str| is_people(word) || matches!(word, "adult" | "child");
    // "two adults and three children", "me and three friends"
    let counted = words.windows(2).filter_map(|pair| match pair {
        [word, next] if people(next) => number(word).filter(|number| (1..=100).contains(number)),
        _ => None,
    });
    let with_me = has(&["me", "and"])
        || has(&["myself", "and"])
        || has(&["and", "me"])
        || has(&["and", "myself"])
        || has(&["and", "i"]);
    let counted: i64 = counted.sum();
    if counted > 0 {
        let others = words.contains(&"friends") || words.contains(&"others");
        return Some(counted + i64::from(with_me && others));
    }
    let partner = [
        "wife",
        "husband",
        "partner",
        "girlfriend",
        "boyfriend",
        "friend",
        "mother",
        "father",
        "mum",
        "mom",
        "dad",
        "sister",
        "brother",
        "son",
        "daughter",
    ];
    if with_me && words.iter().any(|word| partner.contains(word)) {
        return Some(2);
    }
    if has(&["just", "me"])
        || has(&["only", "me"])
        || words.contains(&"myself")
        || has(&["by", "me"])
    {
        return Some(1);
    }
    if has(&["a", "couple"]) || has(&["both", "of", "us"]) {
        return Some(2);
    }
    if has(&["a", "dozen"]) {
        return Some(12);
    }
    // "a table for for"
    let for_number = |pair: &[&str]| match pair {
        ["for", "for"] => Some(4),
        ["for", "to" | "too"] => Some(2),
        _ => None,
    };
    if let Some(count) = words.windows(2).find_map(for_number) {
        return Some(count);
    }
    // what a recogniser makes of "two" and "four" said alone
    if let (true, [only]) = (asked, words)
        && let Some(alike) = match *only {
            "to" | "too" => Some(2),
            "for" => Some(4),
            _ => None,
        }
    {
        return Some(alike);
    }
    words.iter().enumerate().find_map(|(at, word)| {
        let number = number(word).filter(|number| (1..=100).contains(number))?;
        let next = |by: usize| words.get(at + by).copied().unwrap_or_default();
        let before = at
            .checked_sub(1)
            .and_then(|at| words.get(at))
            .copied()
            .unwrap_or_default();
        let of_us = next(1) == "of" && matches!(next(2), "us" | "them");
        let of_month = next(1) == "of" && !of_us;
        let is_time = matches!(
            next(1),
            "pm" | "am"
                | "p"
                | "a"
                | "o'clock"
                | "oclock"
                | "thirty"
                | "fifteen"
                | "forty"
                | "weeks"
                | "week"
                | "days"
                | "past"
                | "to"
        ) || matches!(
            before,
            "at" | "around" | "past" | "to" | "in" | "the" | "quarter"
        );
        let said_so =
            !is_time && !of_month && matches!(before, "for" | "are" | "we're" | "of" | "be");
        (of_us || said_so || asked && !is_time && !of_month).then_some(number)
    })
}

/// Words that are no names.
const NOT_NAMES: [&str; 62] = [
    "yes", "yeah", "yep", "no", "what", "how", "when", "where", "do", "does", "can", "could",
    "hello", "hi", "okay", "ok", "sorry", "never", "forget", "thanks", "thank", "perfect", "great",
    "right", "correct", "exactly", "sure", "fine", "good", "lovely", "actually", "make", "is",
    "are", "i", "we", "you", "my", "me", "please", "go", "a", "an", "the", "and", "for", "at",
    "on", "in", "to", "of", "it", "it's", "that", "that's", "tomorrow", "today", "tonight", "just",
    "us", "lunch", "dinner",
];

/// Somebody's name. Recognisers write names with capital letters, people who type may not.
fn person(original: &[String], words: &[&str], asked: bool) -> Option<String> {
    let spelled = spelled(original);
    // letters and what announces them are no part of the name
    let announces = |word: &&str| {
        matches!(
            *word,
            "spelled" | "spelt" | "spell" | "spelling" | "that's" | "with"
        ) || is_letters(word)
    };
    let end = words
        .iter()
        .position(announces)
        .filter(|_| spelled.is_some())
        .unwrap_or(words.len());
    let named = named(original.get(..end)?, words.get(..end)?, asked);
    match (named, spelled) {
        // the spelling is of the last name, unless it is of all of it
        (Some(name), Some(letters)) => Some(match name.rsplit_once(' ') {
            Some((first, last)) if alike(last, &letters) => format!("{first} {letters}"),
            None if alike(&name, &letters) => letters,
            Some(_) | None if is_letters(&name) => letters,
            Some(_) | None => name,
        }),
        (None, Some(letters)) if asked => Some(letters),
        (name, _) => name,
    }
}

fn named(original: &[String], words: &[&str], asked: bool) -> Option<String> {
    let find = |phrase: &[&str]| {
        let at = words
            .windows(phrase.len())
            .position(|window| window == phrase)?;
        Some(at + phrase.len())
    };
    // "Parker is the name"
    let before = words
        .windows(3)
        .position(|three| three == ["is", "the", "name"]);
    if let Some(at) = before {
        let first = (0..at)
            .rev()
            .take_while(|at| words.get(*at).is_some_and(|word| !is_no_name(word)))
            .take(2)
            .last()?;
        return capitals(original.get(first..at)?);
    }
    let always: [&[&str]; 6] = [
        &["name", "is"],
        &["name's"],
        &["names"],
        &["under", "the", "name"],
        &["under"],
        &["name", "of"],
    ];
    let when_asked: [&[&str]; 8] = [
        &["this", "is"],
        &["i'm"],
        &["i", "am"],
        &["it's"],
        &["it", "is"],
        &["call", "me"],
        &["that's"],
        &["for"],
    ];
    let start = always.iter().find_map(|phrase| find(phrase));
    let start = start.or_else(|| {
        when_asked
            .iter()
            .filter(|_| asked)
            .find_map(|phrase| find(phrase))
    });
    // "for Ivan Petrov": capital letters tell a name from a meal
    let start = start.or_else(|| {
        (1..words.len()).find(|at| {
            let is_name = |word: &String| word.starts_with(char::is_uppercase);
            words.get(at - 1) == Some(&"for")
                && original.get(*at).is_some_and(is_name)
                && words.get(*at).is_some_and(|word| !is_no_name(word))
        })
    });
    let found = start.is_some();
    if !found && (!asked || words.len() > 4 || words.first().is_some_and(|word| is_no_name(word))) {
        return None;
    }
    let rest = start.unwrap_or(0);
    let skipped = words
        .iter()
        .skip(rest)
        .take_while(|word| matches!(**word, "of" | "it's" | "it" | "is" | "the" | "name"))
        .count();
    let from = rest + skipped;
    let length = words
        .iter()
        .skip(from)
        .take_while(|word| !is_no_name(word))
        .take(3)
        .count();
    capitals(original.get(from..from + length)?)
}

fn is_no_name(word: &str) -> bool {
    let is_day = DAYS.iter().any(|day| word.starts_with(day));
    is_day
        || number(word).is_some()
        || NOT_NAMES.contains(&word)
        || word.contains(|c: char| c.is_ascii_digit())
}

/// Each word with a capital letter at its beginning.
fn capitals(words: &[String]) -> Option<String> {
    let named: Vec<String> = words
        .iter()
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters).collect()
        })
        .collect();
    (!named.is_empty()).then(|| named.join(" "))
}

/// "S C H M I D T", "S-C-H-M-I-D-T": as a word.
fn spelled(words: &[String]) -> Option<String> {
    let mut best = String::new();
    let mut run = String::new();
    for word in words {
        let parts: Vec<&str> = word.split('-').collect();
        let is_spelling = parts
            .iter()
            .all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic));
        if is_spelling {
            run.extend(parts);
            if run.chars().count() > best.chars().count() {
                best.clone_from(&run);
            }
        } else {
            run.clear();
        }
    }
    let mut letters = best.chars();
    let first = letters.next()?.to_uppercase();
    (best.chars().count() >= 3).then(|| first.chain(letters.flat_map(char::to_lowercase)).collect())
}

/// Do they sound like one name? Its first letter is heard rightly, mostly.
fn alike(heard: &str, letters: &str) -> bool {
    let first = |text: &str| text.chars().next().map(|c| c.to_lowercase().to_string());
    first(heard) == first(letters)
}

fn is_letters(name: &str) -> bool {
    name.split([' ', '-']).all(|part| part.chars().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn people_are_counted_as_they_are_said() {
        for (said, asked, meant) in [
            ("for four people", false, Some(4)),
            ("there will be three of us", true, Some(3)),
            ("just the two of us", true, Some(2)),
            ("two adults and three children", true, Some(5)),
            ("me and three friends", true, Some(4)),
            ("my wife and I", true, Some(2)),
            ("a couple", true, Some(2)),
            ("a party of six", false, Some(6)),
            ("just me", true, Some(1)),
            (
                "a table for for on Friday at half-past seven",
                false,
                Some(4),
            ),
            ("for seven thirty", false, None),
            ("on the fourth of December", false, None),
            ("a table at eight", false, None),
        ] {
            let schema = json!({"type": "integer"});
            let found = value("party_size", &schema, said, asked, Date::from_days(0));
            assert_eq!(found.and_then(|found| found.as_i64()), meant, "{said}");
        }
    }

    #[test]
    fn names_are_understood_also_when_they_are_spelled() {
        for (said, asked, meant) in [
            ("My name is Kim Larsen.", false, Some("Kim Larsen")),
            ("it's miller", true, Some("Miller")),
            (
                "Anna Schmidt, spelled S C H M I D T.",
                true,
                Some("Anna Schmidt"),
            ),
            ("Anna Smith. S-C-H-M-I-D-T.", true, Some("Anna Schmidt")),
            ("G A R C I A", true, Some("Garcia")),
            ("Parker is the name", false, Some("Parker")),
            ("O'Brien.", true, Some("O'Brien")),
            ("under the name Brown", false, Some("Brown")),
            (
                "on Tuesday at seven pm for Ivan Petrov.",
                false,
                Some("Ivan Petrov"),
            ),
            ("The name's White", false, Some("White")),
            ("a table for two", true, None),
            ("Perfect.", true, None),
            ("at seven", true, None),
        ] {
            let schema = json!({"type": "string"});
            let found = value("name", &schema, said, asked, Date::from_days(0));
            assert_eq!(
                found.as_ref().and_then(|found| found.as_str()),
                meant,
                "{said}"
            );
        }
    }
}
