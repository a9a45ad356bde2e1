//! Hours, prices, measures, fractions, and what lies between two of them.

use fancy_regex::Captures;

use super::{Written, group};

const NUMBER: &str = r"\d+(?:,\d{3})*(?:\.\d+)?";
const HALF_OF_DAY: &str = r"\s?[AaPp]\.?[Mm]\b\.?";
const DAYS: &str = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday";
const MONTHS: &str =
    "January|February|March|April|May|June|July|August|September|October|November|December";

/// Units that hibari's table has not: short, singular, plural.
const UNITS: [(&str, &str, &str); 21] = [
    ("g", "gram", "grams"),
    ("l", "liter", "liters"),
    ("L", "liter", "liters"),
    ("cl", "centiliter", "centiliters"),
    ("dl", "deciliter", "deciliters"),
    ("kcal", "kilocalorie", "kilocalories"),
    ("tsp", "teaspoon", "teaspoons"),
    ("tbsp", "tablespoon", "tablespoons"),
    ("pt", "pint", "pints"),
    ("gal", "gallon", "gallons"),
    ("yd", "yard", "yards"),
    ("m²", "square meter", "square meters"),
    ("m2", "square meter", "square meters"),
    ("km²", "square kilometer", "square kilometers"),
    ("cm²", "square centimeter", "square centimeters"),
    ("m³", "cubic meter", "cubic meters"),
    ("m3", "cubic meter", "cubic meters"),
    // these are also words, so they stand here for fractions only
    ("lb", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("mi", "mile", "miles"),
    ("hr", "hour", "hours"),
];

/// Whole words that fractions are made of.
const MEASURES: &str = "cup|pound|ounce|hour|mile|pint|liter|litre|gallon|inch|teaspoon|tablespoon|dozen|bottle|portion|day";

/// Currencies by their letters: singular, plural.
const CURRENCIES: [(&str, &str, &str); 12] = [
    ("USD", "dollar", "dollars"),
    ("EUR", "euro", "euros"),
    ("GBP", "pound", "pounds"),
    ("CHF", "Swiss franc", "Swiss francs"),
    ("CAD", "Canadian dollar", "Canadian dollars"),
    ("AUD", "Australian dollar", "Australian dollars"),
    ("NZD", "New Zealand dollar", "New Zealand dollars"),
    ("JPY", "yen", "yen"),
    ("SEK", "Swedish krona", "Swedish kronor"),
    ("NOK", "Norwegian krone", "Norwegian kroner"),
    ("DKK", "Danish krone", "Danish kroner"),
    ("PLN", "zloty", "zlotys"),
];

/// Hours and days: before rows of digits, which have colons and points too.
pub(super) fn hours() -> Vec<Written> {
    vec![
        // 17:00 h
        (
            r"\b(\d{1,2}:\d{2})\s?(?:h|hrs|Uhr)\b\.?".to_owned(),
            |found| Some(group(found, 1).to_owned()),
        ),
        // 9am-5pm, 12-2:30 p.m., 12:00–22:00
        (
            format!(
                r"(?<![\w:.\-])(\d{{1,2}}(?::\d{{2}})?(?:{HALF_OF_DAY})?)\s?[\-–—]\s?(?=\d{{1,2}}(?::\d{{2}}(?:{HALF_OF_DAY})?|{HALF_OF_DAY})(?![\w:]))"
            ),
            |found| Some(format!("{} to ", group(found, 1))),
        ),
        // 9am; with minutes hibari reads it
        (
            format!(r"(?<![\w:.,$£€])(\d{{1,2}})(?={HALF_OF_DAY})"),
            |found| match group(found, 1).parse() {
                Ok(1..=12u32) => Some(format!("{}:00", group(found, 1))),
                Ok(_) | Err(_) => None,
            },
        ),
        // 22:00 is no o'clock, and 00:15 is after midnight
        (
            format!(r"(?<![\d:])(\d{{2}}):(\d{{2}})(?![\d:])(?!{HALF_OF_DAY})"),
            |found| match (group(found, 1).parse::<u32>().ok()?, group(found, 2)) {
                (0, "00") => Some("midnight".to_owned()),
                (0, minute) => Some(format!("12:{minute} am")),
                (hour @ 13..=23, minute) => Some(format!("{}:{minute} pm", hour - 12)),
                _ => None,
            },
        ),
        // a score
        (r"(?<![\d:])(\d{1,3}):(\d)(?![\d:])".to_owned(), |found| {
            Some(format!("{} to {}", group(found, 1), group(found, 2)))
        }),
        (between(DAYS), |found| span(found, DAYS)),
        (between(MONTHS), |found| span(found, MONTHS)),
        // 14.03.2026
        (
            r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?!\w|\.\d)".to_owned(),
            |found| {
                let month = group(found, 2).parse::<usize>().ok()?.checked_sub(1)?;
                let name = MONTHS.split('|').nth(month)?;
                Some(format!("{} {name} {}", group(found, 1), group(found, 3)))
            },
        ),
    ]
}

/// Two of `names`, whole or by three letters or so, with a dash between them.
fn between(names: &str) -> String {
    let either: Vec<String> = names
        .split('|')
        .map(|name| {
            let (short, rest) = name.split_at(3.min(name.len()));
            let letters: String = rest
                .chars()
                .rev()
                .fold(String::new(), |after, c| format!("(?:{c}{after})?"));
            format!("{short}{letters}")
        })
        .collect();
    let either = either.join("|");
    format!(r"\b({either})\.?\s?[\-–]\s?({either})\b(\.(?!$))?")
}

fn span(found: &Captures<'_>, names: &str) -> Option<String> {
    let whole = |short: &str| names.split('|').find(|name| name.starts_with(short));
    let (first, last) = (whole(group(found, 1))?, whole(group(found, 2))?);
    Some(format!("{first} to {last}"))
}

/// Prices and measures.
pub(super) fn rules() -> Vec<Written> {
    let codes: Vec<&str> = CURRENCIES.iter().map(|(code, ..)| *code).collect();
    let codes = codes.join("|");
    let mut units: Vec<&str> = UNITS.iter().map(|(short, ..)| *short).collect();
    units.sort_by_key(|unit| std::cmp::Reverse(unit.len()));
    let units = units.join("|");
    vec![
        // -$5
        (r"(?<![\w.\-])[\-−]\s?(?=[$£€]\d)".to_owned(), |_| {
            Some("minus ".to_owned())
        }),
        // $10-$15; with cents the sign stays
        (
            format!(r"([$£€])({NUMBER})\s?[\-–]\s?[$£€]?(?={NUMBER})"),
            |found| {
                let (sign, amount) = (group(found, 1), group(found, 2));
                let before = if amount.contains('.') { sign } else { "" };
                Some(format!("{before}{amount} to {sign}"))
            },
        ),
        // 1.250,00
        (
            r"(?<![\w.,])(\d{1,3}(?:\.\d{3})+),(\d{2})(?!\d)".to_owned(),
            |found| {
                let whole = group(found, 1).replace('.', "");
                Some(format!("{whole}.{}", group(found, 2)))
            },
        ),
        // 20 EUR, CHF 45
        (format!(r"\b({codes})\s?({NUMBER})(?!\w)"), |found| {
            currency(group(found, 2), group(found, 1))
        }),
        (format!(r"(?<![\w.,])({NUMBER})\s?({codes})\b"), |found| {
            currency(group(found, 1), group(found, 2))
        }),
        // 12,50 €
        (
            r"(?<![\w.,$£€])(\d{1,3}(?:,\d{3})+|\d+)(?:[.,](\d{2}))?\s?([£€])(?!\d)".to_owned(),
            |found| {
                let cents = match group(found, 2) {
                    "" => String::new(),
                    cents => format!(".{cents}"),
                };
                Some(format!("{}{}{cents}", group(found, 3), group(found, 1)))
            },
        ),
        // 30 x 40, 12 m x 8 m
        (
            r"(\d(?:\s?(?:mm|cm|m|km|in|ft))?)\s?[x×]\s?(?=\d)".to_owned(),
            |found| Some(format!("{} by ", group(found, 1))),
        ),
        // 3x daily
        (r"(?<![\w.])(\d{1,3})\s?[x×](?!\w)".to_owned(), |found| {
            let times = if group(found, 1) == "1" {
                "time"
            } else {
                "times"
            };
            Some(format!("{} {times}", group(found, 1)))
        }),
        // 5 ft 10 in, 5'10"
        (
            r#"(?<![\w.,])(\d{1,3})\s?(?:ft\.?|'|feet|foot)\s?(\d{1,2})\s?(?:in\b\.?|inches|"|'')"#
                .to_owned(),
            |found| {
                let inches = group(found, 2);
                let inch = if inches == "1" { "inch" } else { "inches" };
                let feet = group(found, 1);
                let foot = if feet == "1" { "foot" } else { "feet" };
                Some(format!("{feet} {foot} {inches} {inch}"))
            },
        ),
        ("24/7".to_owned(), |_| Some("24 7".to_owned())),
        // 1 1/2, 2½
        (
            r"(?<![\w./,])(\d{1,3})(?: ?(½|¼|¾)| (\d)/(\d{1,2}))(?![\w/]|\.\d)".to_owned(),
            |found| {
                let part = match group(found, 2) {
                    "" => fraction(group(found, 3), group(found, 4))?,
                    "½" => "a half".to_owned(),
                    "¼" => "a quarter".to_owned(),
                    _ => "three quarters".to_owned(),
                };
                Some(format!("{} and {part}", group(found, 1)))
            },
        ),
        // 1/2 lb
        (
            format!(
                r"(?<![\w./,])(\d)/(\d{{1,2}}) (?:({units})|({MEASURES})s?)(?!\w)(?:\.(?= [a-z]))?"
            ),
            |found| {
                let unit = match group(found, 4) {
                    "" => UNITS
                        .iter()
                        .find(|(short, ..)| *short == group(found, 3))
                        .map(|(_, one, _)| *one)?,
                    whole => whole,
                };
                let article = if unit.starts_with(['a', 'e', 'i', 'o', 'u']) || unit == "hour" {
                    "an"
                } else {
                    "a"
                };
                Some(match fraction(group(found, 1), group(found, 2))?.as_str() {
                    "a half" => format!("half {article} {unit}"),
                    part => format!("{part} of {article} {unit}"),
                })
            },
        ),
        // 250 g; a metre needs a space, because 5m is 5 million
        (
            format!(r"(?<![\w.,])({NUMBER})(?:\s?({units})| (m))(?!\w)"),
            |found| {
                let short = group(found, 2);
                let (_, one, many) = UNITS
                    .iter()
                    .find(|(unit, ..)| *unit == short)
                    .copied()
                    .unwrap_or(("m", "meter", "meters"));
                let unit = if group(found, 1) == "1" { one } else { many };
                Some(format!("{} {unit}", group(found, 1)))
            },
        ),
        // the point of "10 min." is no end when a small letter follows
        (
            r"(?<=\d)(\s?(?:min|mins|hr|hrs|sec|secs|lb|lbs|oz|ft|km|kg|cm|mm))\.(?= [a-z])"
                .to_owned(),
            |found| Some(group(found, 1).to_owned()),
        ),
    ]
}

fn currency(amount: &str, code: &str) -> Option<String> {
    let (_, one, many) = CURRENCIES.iter().find(|(known, ..)| *known == code)?;
    let sign = match code {
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        _ => {
            let unit = if amount == "1" { one } else { many };
            return Some(format!("{amount} {unit}"));
        }
    };
    // with its sign the cents are read, too
    Some(format!("{sign}{amount}"))
}

/// *a half*, *three quarters*, *two thirds*.
fn fraction(above: &str, below: &str) -> Option<String> {
    const PARTS: [&str; 9] = [
        "half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    ];
    let above: usize = above.parse().ok()?;
    let below: usize = below.parse().ok()?;
    let part = PARTS.get(below.checked_sub(2)?)?;
    match above {
        0 => None,
        1 => Some(format!("a {part}")),
        _ if above < below => {
            let numbers = [
                "two", "three", "four", "five", "six", "seven", "eight", "nine",
            ];
            Some(format!("{} {part}s", numbers.get(above - 2)?))
        }
        _ => None,
    }
}
