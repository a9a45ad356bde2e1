//! Arguments from what was said: by the name and type of the parameter.

use serde_json::Value;

use super::words::number;

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// "november 24th", "the twenty fourth of november": the next such day.
fn day_of_month(words: &[&str], today: Date) -> Option<Date> {
    let at = words.iter().position(|word| MONTHS.contains(word))?;
    let month = MONTHS
        .iter()
        .position(|month| words.get(at) == Some(month))?
        + 1;
    let ordinal = |at: usize| -> Option<i64> {
        let (one, two) = (
            words.get(at).copied()?,
            words.get(at + 1).copied().unwrap_or_default(),
        );
        match (ordinal(one)?, ordinal(two)) {
            (ten @ (20 | 30), Some(unit @ 1..=9)) => Some(ten + unit),
            (day, _) => Some(day),
        }
    };
    let before = words.get(at.saturating_sub(1)) == Some(&"of");
    let day = if before {
        at.checked_sub(3)
            .and_then(ordinal)
            .or_else(|| at.checked_sub(2).and_then(ordinal))
    } else {
        None
    };
    let day = day
        .or_else(|| ordinal(at + 1))
        .or_else(|| ordinal(at + 2))
        .filter(|day| (1..=31).contains(day))?;
    let year: i64 = today.iso().get(..4)?.parse().ok()?;
    let this = Date::parse(&format!("{year}-{month}-{day}"))?;
    if this.days >= today.days {
        Some(this)
    } else {
        Date::parse(&format!("{}-{month}-{day}", year + 1))
    }
}

fn ordinal(word: &str) -> Option<i64> {
    match word {
        "first" => Some(1),
        "second" => Some(2),
        "third" => Some(3),
        "fifth" => Some(5),
        "eighth" => Some(8),
        "ninth" => Some(9),
        "twelfth" => Some(12),
        "twentieth" => Some(20),
        "thirtieth" => Some(30),
        other => ["st", "nd", "rd", "th", ""]
            .iter()
            .find_map(|end| number(other.strip_suffix(end)?)),
    }
}

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

    /// From `YYYY-MM-DD`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(str::parse::<i64>);
        let (year, month, day) = (
            parts.next()?.ok()?,
            parts.next()?.ok()?,
            parts.next()?.ok()?,
        );
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        Some(Self {
            days: era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468,
        })
    }

    /// "Tuesday, November 24".
    fn spoken(self) -> String {
        let iso = self.iso();
        let mut parts = iso
            .rsplit('-')
            .map(|part| part.parse::<usize>().unwrap_or(0));
        let (day, month) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        let weekday = usize::try_from(self.weekday())
            .ok()
            .and_then(|at| DAYS.get(at))
            .copied()
            .unwrap_or_default();
        let month = MONTHS
            .get(month.wrapping_sub(1))
            .copied()
            .unwrap_or_default();
        let capital = |word: &str| {
            word.chars()
                .take(1)
                .flat_map(char::to_uppercase)
                .chain(word.chars().skip(1))
                .collect::<String>()
        };
        format!("{}, {} {day}", capital(weekday), capital(month))
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
        Kind::Time => (2, format!("at {}", spoken_time(&text))),
        Kind::Name if name == "name" => (3, format!("for {text}")),
        Kind::Name => (3, format!("under {text}")),
        Kind::Number | Kind::Text => (4, format!("with {} {text}", name.replace(['_', '-'], " "))),
    }
}

/// `19:30` as "7:30 PM".
fn spoken_time(text: &str) -> String {
    let Some((hour, minute)) = text
        .split_once(':')
        .and_then(|(h, m)| Some((h.parse::<u32>().ok()?, m.parse::<u32>().ok()?)))
    else {
        return text.to_owned();
    };
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    if minute == 0 {
        format!("{hour} {half}")
    } else {
        format!("{hour}:{minute:02} {half}")
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
    if let Some(date) = day_of_month(words, today) {
        return Some(date.iso());
    }
    if words
        .windows(3)
        .any(|three| three == ["day", "after", "tomorrow"])
    {
        return Some(Date::from_days(today.days + 2).iso());
    }
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

/// Tables are booked for evenings: 1 to 11 without "a m" are after noon, but 11 for lunch is before it.
fn time(words: &[&str], asked: bool) -> Option<String> {
    let morning = words.iter().any(|word| matches!(*word, "am" | "morning"))
        || words.windows(2).any(|w| w == ["a", "m"]);
    let lunch = words.contains(&"lunch");
    let clock = |hour: i64, minute: i64| {
        let hour = match hour {
            11 if lunch => 11,
            1..=11 if !morning => hour + 12,
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
            || matches!(before, "at" | "around" | "about" | "tomorrow" | "tonight")
            || DAYS.contains(&before)
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
    if words
        .windows(2)
        .any(|two| matches!(two, ["just", "me"] | ["only", "me"]))
        || words.contains(&"myself")
    {
        return Some(1);
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
        let next = words.get(at + 1).copied().unwrap_or_default();
        let before = at
            .checked_sub(1)
            .and_then(|at| words.get(at))
            .copied()
            .unwrap_or_default();
        let people = matches!(next, "people" | "persons" | "person" | "guests" | "of");
        let clock = matches!(
            next,
            "pm" | "am" | "p" | "a" | "o'clock" | "thirty" | "fifteen"
        );
        (asked || people || !clock && matches!(before, "for" | "are" | "of")).then_some(number)
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
    const NOT_NAMES: [&str; 12] = [
        "yes", "no", "what", "how", "when", "do", "can", "hello", "okay", "sorry", "never",
        "thanks",
    ];
    if found.is_none()
        && (words.len() > 4 || words.first().is_some_and(|word| NOT_NAMES.contains(word)))
    {
        return None;
    }
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
