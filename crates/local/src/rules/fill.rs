//! Arguments from what was said: by the name and type of the parameter.

use antiphon_agent::provider::ToolDefinition;
use serde_json::Value;

use super::words::number;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    days: i64,
}

impl Date {
    /// So many days after 1970-01-01.
    pub fn from_days(days: i64) -> Self {
        Self { days }
    }

    /// Today in UTC by the machine's clock.
    pub fn today_utc() -> Self {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            days: i64::try_from(since.as_secs() / 86_400).unwrap_or(0),
        }
    }

    /// 0 is Monday.
    fn weekday(self) -> i64 {
        (self.days + 3).rem_euclid(7)
    }

    /// `YYYY-MM-DD`.
    pub fn iso(self) -> String {
        // years that begin in March make the leap day the last of its year
        let days = self.days + 719_468;
        let era = days.div_euclid(146_097);
        let day = days.rem_euclid(146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        format!(
            "{:04}-{month:02}-{day:02}",
            era * 400 + year + i64::from(month <= 2)
        )
    }
}

/// What is asked when a parameter is missing.
pub(super) fn question(name: &str, schema: &Value) -> String {
    match kind(name, schema) {
        Kind::Date => "For which day?".into(),
        Kind::Time => "At what time?".into(),
        Kind::Count => "For how many people?".into(),
        Kind::Name => "What name is it under?".into(),
        Kind::Number | Kind::Text => {
            format!("Please tell me the {}.", name.replace(['_', '-'], " "))
        }
    }
}

/// Is this one of our questions for one of these tools?
pub(super) fn is_question(text: &str, tools: &[ToolDefinition]) -> bool {
    tools
        .iter()
        .filter_map(|tool| tool.parameters.get("properties")?.as_object())
        .flatten()
        .any(|(name, schema)| question(name, schema) == text)
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

/// The value of a parameter in what was said; `asked` when it answers our question for it.
pub(super) fn value(
    name: &str,
    schema: &Value,
    said: &str,
    asked: bool,
    today: Date,
) -> Option<Value> {
    let lower = said.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !(c.is_alphanumeric() || c == ':' || c == '-' || c == '\''))
        .filter(|w| !w.is_empty())
        .collect();
    match kind(name, schema) {
        Kind::Date => date(&words, today).map(Value::String),
        Kind::Time => time(&words, asked).map(Value::String),
        Kind::Count => count(&words, asked).map(Value::from),
        Kind::Number if asked => words.iter().find_map(|word| number(word)).map(Value::from),
        Kind::Name => person(&words, asked).map(Value::String),
        Kind::Text if asked => Some(Value::String(said.trim().trim_end_matches('.').to_owned())),
        Kind::Number | Kind::Text => None,
    }
}

fn date(words: &[&str], today: Date) -> Option<String> {
    const DAYS: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    words.iter().find_map(|word| {
        let ahead = match *word {
            "today" | "tonight" => 0,
            "tomorrow" => 1,
            word if word.len() == 10
                && word.chars().enumerate().all(|(at, c)| {
                    if matches!(at, 4 | 7) {
                        c == '-'
                    } else {
                        c.is_ascii_digit()
                    }
                }) =>
            {
                return Some(word.to_owned());
            }
            word => {
                let day = i64::try_from(
                    DAYS.iter()
                        .position(|day| *day == word.trim_end_matches("'s"))?,
                )
                .ok()?;
                (day - today.weekday()).rem_euclid(7)
            }
        };
        Some(Date::from_days(today.days + ahead).iso())
    })
}

/// Restaurants are called about evenings: 1 to 10 without "a m" are in the afternoon.
fn time(words: &[&str], asked: bool) -> Option<String> {
    let morning = words.iter().any(|word| matches!(*word, "am" | "morning"))
        || words.windows(2).any(|w| w == ["a", "m"]);
    let clock = |hour: i64, minute: i64| {
        let hour = match hour {
            1..=10 if !morning => hour + 12,
            12 if morning => 0,
            other => other,
        };
        ((0..24).contains(&hour) && (0..60).contains(&minute))
            .then(|| format!("{hour:02}:{minute:02}"))
    };
    for (at, word) in words.iter().enumerate() {
        let next = |by: usize| words.get(at + by).copied().unwrap_or_default();
        let before = at
            .checked_sub(1)
            .and_then(|at| words.get(at))
            .copied()
            .unwrap_or_default();
        let digits = word.trim_end_matches("pm").trim_end_matches("am");
        if let Some((hour, minute)) = digits.split_once(':') {
            let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
            return if hour == 0 {
                Some(format!("00:{minute:02}"))
            } else {
                clock(hour, minute)
            };
        }
        match *word {
            "noon" => return Some("12:00".into()),
            "half" if next(1) == "past" => return clock(number(next(2))?, 30),
            "quarter" if next(1) == "past" => return clock(number(next(2))?, 15),
            "quarter" if next(1) == "to" => return clock(number(next(2))? - 1, 45),
            _ => {}
        }
        let marked = digits != *word
            || before == "at"
            || matches!(next(1), "pm" | "am" | "o'clock" | "oclock")
            || (matches!(next(1), "p" | "a") && next(2) == "m");
        if (marked || asked)
            && let Some(hour) = number(digits).filter(|hour| (0..24).contains(hour))
        {
            let minute = number(next(1))
                .filter(|minute| [15, 20, 30, 40, 45, 50, 10].contains(minute))
                .unwrap_or(0);
            return clock(hour, minute);
        }
    }
    None
}

fn count(words: &[&str], asked: bool) -> Option<i64> {
    words.iter().enumerate().find_map(|(at, word)| {
        let number = number(word).filter(|number| (1..=100).contains(number))?;
        let next = words.get(at + 1).copied().unwrap_or_default();
        let before = at
            .checked_sub(1)
            .and_then(|at| words.get(at))
            .copied()
            .unwrap_or_default();
        let people = matches!(next, "people" | "persons" | "person" | "guests" | "of");
        (asked || people || matches!(before, "for" | "are")).then_some(number)
    })
}

fn person(words: &[&str], asked: bool) -> Option<String> {
    let after = |phrase: &[&str]| {
        let at = words
            .windows(phrase.len())
            .position(|window| window == phrase)?;
        words.get(at + phrase.len()..)
    };
    let phrases: [&[&str]; 7] = [
        &["name", "is"],
        &["name's"],
        &["under", "the", "name"],
        &["under"],
        &["this", "is"],
        &["i'm"],
        &["i", "am"],
    ];
    let found = phrases
        .iter()
        .take(if asked { 7 } else { 4 })
        .find_map(|phrase| after(phrase));
    let rest = if asked {
        found.unwrap_or(words)
    } else {
        found?
    };
    let stop = [
        "and", "for", "at", "on", "please", "tomorrow", "today", "tonight", "it's", "it", "is",
        "the",
    ];
    let skip = rest
        .iter()
        .skip_while(|word| matches!(**word, "of" | "it's" | "it" | "is" | "the"));
    let name: Vec<String> = skip
        .take_while(|word| !stop.contains(*word) && number(word).is_none())
        .take(3)
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect())
                .unwrap_or_default()
        })
        .collect();
    (!name.is_empty()).then(|| name.join(" "))
}
