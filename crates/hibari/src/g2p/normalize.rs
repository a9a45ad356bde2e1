//! What a lexicon cannot read by itself, in words: times, dates, units, abbreviations, symbols, roman numerals.
//!
//! The order of the steps matters: a date is found before its slashes are fractions. The words come from hibari's
//! `normalize.json` (Apache-2.0), so that a text is read as the voice was trained to read it.

use fancy_regex::{Captures, Regex};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::HibariError;
use crate::assets::Assets;

use super::numbers::{cardinal, ordinal};
use super::spoken::Spoken;
use super::{literal, regex};

#[derive(Deserialize)]
struct File {
    months: Map<String, Value>,
    titles: Map<String, Value>,
    abbreviations: Map<String, Value>,
    units: Map<String, Value>,
    symbols: Map<String, Value>,
    currency: Map<String, Value>,
    roman_cardinal: Vec<String>,
    roman_ordinal: Vec<String>,
}

/// The rules. Shared by all callers.
#[derive(Debug)]
pub(crate) struct Normalizer {
    months: Map<String, Value>,
    titles: Map<String, Value>,
    abbreviations: Map<String, Value>,
    units: Map<String, Value>,
    currency: Map<String, Value>,
    patterns: Patterns,
    symbols: Vec<(String, Regex, String)>,
    spoken: Spoken,
}

#[derive(Debug)]
struct Patterns {
    spaces: Regex,
    time: Regex,
    date_iso: Regex,
    date_us: Regex,
    big_money: Regex,
    cents: Regex,
    currency: Regex,
    degrees: Regex,
    unit: Regex,
    month_day: Regex,
    day_month: Regex,
    title: Regex,
    abbreviation: Regex,
    number_sign: Regex,
    hash: Regex,
    roman_cardinal: Regex,
    roman_ordinal: Regex,
    fraction: Regex,
    range: Regex,
    plus: Regex,
    space_before_mark: Regex,
}

const NUMBER: &str = r"\d+(?:,\d{3})*(?:\.\d+)?";
// a capital that begins a name, as in "King Charles", is no numeral
const ROMAN: &str = r"((?=[IVXLC]+\b)M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))";
const BIG: &str = r"(hundred|thousand|million|billion|trillion|[kKmMbB]\b)";

/// One of `words`, the longest first.
fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = words.into_iter().collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    words.into_iter().map(literal).collect::<Vec<_>>().join("|")
}

fn keys(map: &Map<String, Value>) -> impl Iterator<Item = &str> {
    map.keys().map(String::as_str)
}

/// Replaces each match. `replace` gets the match and what stands behind it.
pub(super) fn replace(
    pattern: &Regex,
    text: &str,
    mut replacement: impl FnMut(&Captures<'_>, &str) -> String,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for captures in pattern.captures_iter(text).flatten() {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        out.push_str(text.get(done..whole.start()).unwrap_or_default());
        out.push_str(&replacement(
            &captures,
            text.get(whole.end()..).unwrap_or_default(),
        ));
        done = whole.end();
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

pub(super) fn group<'t>(captures: &Captures<'t>, index: usize) -> &'t str {
    captures.get(index).map_or("", |found| found.as_str())
}

fn number(captures: &Captures<'_>, index: usize) -> u128 {
    group(captures, index).parse().unwrap_or(0)
}

fn is_one(amount: &str) -> bool {
    matches!(amount.replace(',', "").as_str(), "1" | "1.0" | "-1")
}

/// The word for `amount` of something: singular or plural.
fn plural<'a>(amount: &str, words: &'a Value) -> &'a str {
    words
        .get(usize::from(!is_one(amount)))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn thousands(short: &str) -> &str {
    match short {
        "k" | "K" => "thousand",
        "m" | "M" => "million",
        "b" | "B" => "billion",
        long => long,
    }
}

impl Patterns {
    fn new(file: &File) -> Result<Self, HibariError> {
        let names: Vec<&str> = file.months.values().filter_map(Value::as_str).collect();
        let short: Vec<String> = keys(&file.months)
            .map(|month| {
                let (first, rest) = month.split_at(month.len().min(1));
                format!("{}{rest}", first.to_uppercase())
            })
            .collect();
        let months = one_of(
            names
                .into_iter()
                .chain(short.iter().map(String::as_str))
                .chain(["Sept"]),
        );
        let units = one_of(keys(&file.units));
        let titles = one_of(keys(&file.titles));
        let abbreviations = one_of(keys(&file.abbreviations));
        let roman = |words: &[String]| {
            format!(
                r"\b({}) {ROMAN}\b(?![.'’]\w)",
                one_of(words.iter().map(String::as_str))
            )
        };
        Ok(Self {
            spaces: regex(r"\s+")?,
            time: regex(
                r"\b(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s?([AaPp])\.?[Mm]\.?(?![A-Za-z]))?(?!\d)",
            )?,
            date_iso: regex(r"\b(\d{4})-(\d{2})-(\d{2})\b")?,
            date_us: regex(r"\b(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})\b")?,
            big_money: regex(&format!(r"([$£€])({NUMBER})\s?{BIG}"))?,
            cents: regex(&format!(r"(?<![\w.])({NUMBER})\s?¢"))?,
            currency: regex(&format!(
                r"(?<![\w])([¥₹₩]|Rs\.?|USD|EUR|GBP)\s?({NUMBER})(?:\s?{BIG})?"
            ))?,
            degrees: regex(&format!(r"(?<![\w.])(-?{NUMBER})\s?°\s?([CF])?(?![\w])"))?,
            unit: regex(&format!(r"(?<![\w.])(-?{NUMBER})\s?({units})(?![\w])"))?,
            month_day: regex(&format!(
                r"\b({months})\.? (\d{{1,2}})(?:st|nd|rd|th)?\b(?![\d:%])(,? \d{{4}}\b)?"
            ))?,
            day_month: regex(&format!(r"\b(the )?(\d{{1,2}}) (?:of )?({months})\b\.?"))?,
            title: regex(&format!(r"\b({titles})\.? (?=[A-Z])"))?,
            abbreviation: regex(&format!(r"(?<![\w.])({abbreviations})(?![\w])"))?,
            number_sign: regex(r"\b(No|Nos)\. ?(?=\d)")?,
            hash: regex(r"(?<![\w&])\#(?=\d)")?,
            roman_cardinal: regex(&roman(&file.roman_cardinal))?,
            roman_ordinal: regex(&roman(&file.roman_ordinal))?,
            // a point that ends the sentence is no part of the number
            fraction: regex(r"(?<![\w./])(\d{1,2})/(\d{1,2})(?![\w/]|\.\d)")?,
            range: regex(r"(?<![\w.\-])(\d{1,4})\s?[\-–]\s?(\d{1,4})(?![\w\-%]|\.\d)")?,
            plus: regex(r"(?<![\w+])\+(?=\d)")?,
            space_before_mark: regex(" +([,.;:!?])")?,
        })
    }
}

impl Normalizer {
    pub(crate) fn load(assets: &Assets) -> Result<Self, HibariError> {
        let file: File = assets.json("normalize.json")?;
        let patterns = Patterns::new(&file)?;
        let mut symbols = Vec::new();
        for (symbol, word) in &file.symbols {
            let sign = literal(symbol);
            let pattern = if "=<>~".contains(symbol.as_str()) {
                format!(r"(?<=\S) ?{sign} ?(?=\S)")
            } else {
                sign
            };
            let word = word.as_str().unwrap_or_default();
            let spoken = if word.is_empty() {
                " ".to_owned()
            } else {
                format!(" {word} ")
            };
            symbols.push((symbol.clone(), regex(&pattern)?, spoken));
        }
        let File {
            months,
            titles,
            abbreviations,
            units,
            currency,
            ..
        } = file;
        Ok(Self {
            months,
            titles,
            abbreviations,
            units,
            currency,
            patterns,
            symbols,
            spoken: Spoken::new()?,
        })
    }

    /// `text` on one line, in words that the lexicon reads.
    pub(crate) fn normalize(&self, text: &str) -> String {
        let p = &self.patterns;
        let spaces = |text: &str| {
            replace(&p.spaces, text, |_, _| " ".to_owned())
                .trim()
                .to_owned()
        };
        let mut text = spaces(text);
        if text.is_empty() {
            return text;
        }
        text = text.replace('’', "'").replace('‒', "-").replace('―', "—");
        text = self.spoken.say(&text);
        text = replace(&p.time, &text, time);
        text = replace(&p.date_iso, &text, |found, _| {
            let date = self.date(Some(group(found, 1)), number(found, 2), number(found, 3));
            date.unwrap_or_else(|| group(found, 0).to_owned())
        });
        text = replace(&p.date_us, &text, |found, _| self.date_us(found));
        text = replace(&p.big_money, &text, |found, _| {
            let unit = self
                .currency
                .get(group(found, 1))
                .map_or("", |words| plural("2", words));
            format!("{} {} {unit}", group(found, 2), thousands(group(found, 3)))
        });
        text = replace(&p.cents, &text, |found, _| {
            let amount = group(found, 1);
            format!(
                "{amount} {}",
                self.currency
                    .get("¢")
                    .map_or("", |words| plural(amount, words))
            )
        });
        text = replace(&p.currency, &text, |found, _| self.money(found));
        text = replace(&p.degrees, &text, |found, _| degrees(found));
        text = replace(&p.unit, &text, |found, _| {
            let amount = group(found, 1);
            format!(
                "{amount} {}",
                self.units
                    .get(group(found, 2))
                    .map_or("", |words| plural(amount, words))
            )
        });
        text = self.days(&text);
        text = self.short_words(&text);
        text = replace(&p.fraction, &text, |found, _| {
            self.fraction(number(found, 1), number(found, 2))
        });
        text = replace(&p.range, &text, |found, _| {
            format!("{} to {}", group(found, 1), group(found, 2))
        });
        text = replace(&p.plus, &text, |_, _| "plus ".to_owned());
        for (symbol, pattern, spoken) in &self.symbols {
            if text.contains(symbol.as_str()) {
                text = replace(pattern, &text, |_, _| spoken.clone());
            }
        }
        let text = spaces(&text);
        replace(&p.space_before_mark, &text, |found, _| {
            group(found, 1).to_owned()
        })
        .trim()
        .to_owned()
    }

    /// Days of months.
    fn days(&self, text: &str) -> String {
        let p = &self.patterns;
        let text = replace(&p.month_day, text, |found, _| match number(found, 2) {
            day @ 1..=31 => format!(
                "{} {}{}",
                self.month(group(found, 1)),
                ordinal(day),
                group(found, 3)
            ),
            _ => group(found, 0).to_owned(),
        });
        replace(&p.day_month, &text, |found, _| match number(found, 2) {
            day @ 1..=31 => format!("the {} of {}", ordinal(day), self.month(group(found, 3))),
            _ => group(found, 0).to_owned(),
        })
    }

    /// Titles, abbreviations, number signs and roman numerals.
    fn short_words(&self, text: &str) -> String {
        let p = &self.patterns;
        let word = |map: &Map<String, Value>, key: &str| {
            map.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut text = replace(&p.title, text, |found, _| {
            format!("{} ", word(&self.titles, group(found, 1)))
        });
        text = replace(&p.abbreviation, &text, |found, after| {
            let short = group(found, 1);
            let stop = if after.is_empty() && short.ends_with('.') {
                "."
            } else {
                ""
            };
            format!("{}{stop}", word(&self.abbreviations, short))
        });
        text = replace(&p.number_sign, &text, |found, _| {
            if group(found, 1) == "No" {
                "Number ".to_owned()
            } else {
                "Numbers ".to_owned()
            }
        });
        text = replace(&p.hash, &text, |_, _| "number ".to_owned());
        text = replace(&p.roman_cardinal, &text, |found, _| {
            format!("{} {}", group(found, 1), roman(group(found, 2)))
        });
        replace(&p.roman_ordinal, &text, |found, _| {
            format!(
                "{} the {}",
                group(found, 1),
                ordinal(roman(group(found, 2)))
            )
        })
    }

    fn month(&self, name: &str) -> &str {
        let short: String = name.to_lowercase().chars().take(3).collect();
        self.months
            .get(&short)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn date(&self, year: Option<&str>, month: u128, day: u128) -> Option<String> {
        let month = self
            .months
            .values()
            .nth(usize::try_from(month).ok()?.checked_sub(1)?)?
            .as_str()?;
        let day = Some(day)
            .filter(|day| (1..=31).contains(day))
            .map(ordinal)?;
        Some(year.map_or_else(
            || format!("{month} {day}"),
            |year| format!("{month} {day}, {year}"),
        ))
    }

    /// Month first, as Americans write, unless the first number is no month.
    fn date_us(&self, found: &Captures<'_>) -> String {
        let (a, b, year) = (number(found, 1), number(found, 2), group(found, 3));
        let century = match year.parse::<u32>() {
            Ok(short) if year.len() == 2 => {
                if short > 30 {
                    "19"
                } else {
                    "20"
                }
            }
            _ => "",
        };
        let (month, day) = if a <= 12 { (a, b) } else { (b, a) };
        self.date(Some(&format!("{century}{year}")), month, day)
            .unwrap_or_else(|| group(found, 0).to_owned())
    }

    fn money(&self, found: &Captures<'_>) -> String {
        let (sign, amount, big) = (
            group(found, 1).trim_end_matches('.'),
            group(found, 2),
            group(found, 3),
        );
        let Some(words) = self.currency.get(sign) else {
            return group(found, 0).to_owned();
        };
        match big {
            "" => format!("{amount} {}", plural(amount, words)),
            big => format!("{amount} {} {}", thousands(big), plural("2", words)),
        }
    }

    fn fraction(&self, a: u128, b: u128) -> String {
        if 0 < a && a < b && b <= 10 {
            return match (a, b) {
                (1, 2) => "one half".to_owned(),
                (_, 2) => format!("{a} halves"),
                (1, 4) => "1 quarter".to_owned(),
                (_, 4) => format!("{a} quarters"),
                (1, _) => format!("1 {}", ordinal(b)),
                _ => format!("{a} {}s", ordinal(b)),
            };
        }
        if (1..=12).contains(&a)
            && let Some(date) = self.date(None, a, b)
        {
            return date;
        }
        format!("{a} slash {b}")
    }
}

fn time(found: &Captures<'_>, after: &str) -> String {
    let (hour, minute) = (number(found, 1), number(found, 2));
    let second = found
        .get(3)
        .map(|second| second.as_str().parse::<u128>().unwrap_or(0));
    if hour > 24 || minute > 59 || second.is_some_and(|second| second > 59) {
        return group(found, 0).to_owned();
    }
    let half_of_day = group(found, 4);
    let mut words = cardinal(hour);
    match minute {
        0 if half_of_day.is_empty() && second.is_none() => words.push_str(" o'clock"),
        0 => {}
        1..10 => words.push_str(&format!(" oh {}", cardinal(minute))),
        _ => words.push_str(&format!(" {}", cardinal(minute))),
    }
    if let Some(second) = second {
        words.push_str(&format!(
            " and {} second{}",
            cardinal(second),
            if second == 1 { "" } else { "s" }
        ));
    }
    if !half_of_day.is_empty() {
        // with points, so that the letters are spelled
        words.push_str(&format!(
            " {}.M{}",
            half_of_day.to_uppercase(),
            if after.starts_with('.') { "" } else { "." }
        ));
    }
    words
}

fn degrees(found: &Captures<'_>) -> String {
    let amount = group(found, 1);
    let scale = match group(found, 2) {
        "C" => " Celsius",
        "F" => " Fahrenheit",
        _ => "",
    };
    format!(
        "{amount} {}{scale}",
        if is_one(amount) { "degree" } else { "degrees" }
    )
}

pub(super) fn roman(numeral: &str) -> u128 {
    let value = |c: char| match c {
        'I' => 1,
        'V' => 5,
        'X' => 10,
        'L' => 50,
        'C' => 100,
        'D' => 500,
        _ => 1000,
    };
    let values: Vec<i64> = numeral.chars().map(value).collect();
    let signed = values.iter().enumerate().map(|(index, value)| {
        if values.get(index + 1).is_some_and(|next| next > value) {
            -value
        } else {
            *value
        }
    });
    u128::try_from(signed.sum::<i64>()).unwrap_or(0)
}
