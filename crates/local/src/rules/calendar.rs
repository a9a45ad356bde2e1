//! Days as callers name them: "a week from Friday", "the fourth of December", "tomorrow".

use super::words::number;

pub(super) const DAYS: [&str; 7] = [
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

    /// So many days later.
    #[must_use]
    pub fn after(self, days: i64) -> Self {
        Self {
            days: self.days + days,
        }
    }

    /// 0 is Monday.
    pub(super) fn weekday(self) -> usize {
        usize::try_from((self.days + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// From `YYYY-MM-DD`; `None` for a day that no month has.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(str::parse::<i64>);
        let (year, month, day) = (
            parts.next()?.ok()?,
            parts.next()?.ok()?,
            parts.next()?.ok()?,
        );
        let shifted = if month <= 2 { year - 1 } else { year };
        let era = shifted.div_euclid(400);
        let of_era = shifted.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let date = Self {
            days: era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468,
        };
        (date.parts() == (year, month, day)).then_some(date)
    }

    /// "Tuesday, November 24".
    pub(super) fn spoken(self) -> String {
        let (_, month, day) = self.parts();
        let month = usize::try_from(month - 1)
            .ok()
            .and_then(|at| MONTHS.get(at));
        let capital = |word: &str| {
            word.chars()
                .take(1)
                .flat_map(char::to_uppercase)
                .chain(word.chars().skip(1))
                .collect::<String>()
        };
        let weekday = DAYS.get(self.weekday()).copied().unwrap_or_default();
        let month = month.copied().unwrap_or_default();
        format!("{}, {} {day}", capital(weekday), capital(month))
    }

    /// Year, month and day.
    fn parts(self) -> (i64, i64, i64) {
        // years that begin in March make the leap day the last of its year
        let days = self.days + 719_468;
        let era = days.div_euclid(146_097);
        let day = days.rem_euclid(146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (era * 400 + year + i64::from(month <= 2), month, day)
    }

    /// `YYYY-MM-DD`.
    pub fn iso(self) -> String {
        let (year, month, day) = self.parts();
        format!("{year:04}-{month:02}-{day:02}")
    }
}

/// The day that these words name.
pub(super) fn date(words: &[&str], today: Date) -> Option<Date> {
    day_of_month(words, today)
        .or_else(|| relative(words, today))
        .or_else(|| {
            let written = |word: &&str| word.len() == 10 && word.matches('-').count() == 2;
            words
                .iter()
                .filter(|word| written(word))
                .find_map(|word| Date::parse(word))
        })
}

/// "Tomorrow", "Friday", "a week from Friday", "in two weeks on Tuesday", "in three days".
fn relative(words: &[&str], today: Date) -> Option<Date> {
    let has = |phrase: &[&str]| words.windows(phrase.len()).any(|window| window == phrase);
    let weeks = weeks_ahead(words);
    let day = words.iter().enumerate().find_map(|(at, word)| {
        let word = word.trim_end_matches("'s");
        let day = DAYS
            .iter()
            .position(|day| *day == word || word.strip_suffix('s') == Some(*day))?;
        Some((at, i64::try_from(day).unwrap_or(0)))
    });
    let weekday = i64::try_from(today.weekday()).unwrap_or(0);
    if let Some((at, day)) = day {
        let before = at.checked_sub(1).and_then(|at| words.get(at)).copied();
        let ahead = match (weeks, has(&["next", "week"])) {
            // the Friday of next week
            (None, true) => day - weekday + 7,
            // "in two weeks on Tuesday": of that week; "two weeks from Tuesday": after that day
            (Some((weeks, true)), _) => (day - weekday).rem_euclid(7) + 7 * weeks,
            (Some((weeks, false)), _) => day - weekday + 7 * weeks,
            (None, false) => match (day - weekday).rem_euclid(7) {
                0 if before == Some("next") => 7,
                ahead => ahead,
            },
        };
        return Some(today.after(ahead));
    }
    let named = if has(&["day", "after", "tomorrow"]) {
        Some(2)
    } else if words.contains(&"tomorrow") {
        Some(1)
    } else if words.contains(&"today") || words.contains(&"tonight") {
        Some(0)
    } else {
        None
    };
    let from = weeks.map(|(weeks, _)| 7 * weeks);
    let in_days = words.windows(3).find_map(|three| match three {
        ["in", count, "days" | "day"] => number(count),
        _ => None,
    });
    let has_week = has(&["next", "week"]) && named.is_none();
    match (named, from, in_days, has_week) {
        (Some(days), weeks, _, _) => Some(today.after(days + weeks.unwrap_or(0))),
        (None, Some(days), _, _) | (None, None, Some(days), _) => Some(today.after(days)),
        // a week is no day
        (None, None, None, _) => None,
    }
}

/// "A week from", "two weeks on", "Friday week", "in two weeks": how many, and whether they are counted from the day that is named.
fn weeks_ahead(words: &[&str]) -> Option<(i64, bool)> {
    words.iter().enumerate().find_map(|(at, word)| {
        if !matches!(*word, "week" | "weeks" | "fortnight") {
            return None;
        }
        let before = |by: usize| {
            at.checked_sub(by)
                .and_then(|at| words.get(at))
                .copied()
                .unwrap_or_default()
        };
        let next = words.get(at + 1).copied().unwrap_or_default();
        let unit = if *word == "fortnight" { 2 } else { 1 };
        if DAYS.contains(&before(1)) || before(1) == "tomorrow" {
            return Some((unit, true));
        }
        let count = match before(1) {
            "a" | "one" => 1,
            other => number(other)?,
        };
        let is_from = matches!(next, "from" | "on" | "after") && before(2) != "in";
        (is_from || before(2) == "in").then_some((unit * count, is_from))
    })
}

/// "November 24th", "the twenty fourth of November", "on the 4th": the next such day.
fn day_of_month(words: &[&str], today: Date) -> Option<Date> {
    let (this_year, this_month, _) = today.parts();
    let Some(at) = words.iter().position(|word| is_month(words, word)) else {
        let day = words
            .windows(2)
            .enumerate()
            .find_map(|(at, pair)| match pair {
                ["the", day] if is_ordinal(day) => ordinal_at(words, at + 1),
                _ => None,
            })?;
        // without a month: this one or the next that has the day
        return (0..12).find_map(|ahead| {
            let month = this_month - 1 + ahead;
            let date = Date::parse(&format!(
                "{}-{}-{day}",
                this_year + month / 12,
                month % 12 + 1
            ))?;
            (date.days >= today.days).then_some(date)
        });
    };
    let month = MONTHS
        .iter()
        .position(|month| words.get(at) == Some(month))?
        + 1;
    let before = at.checked_sub(1).and_then(|at| words.get(at)).copied();
    let by = |by: usize| at.checked_sub(by).and_then(|at| ordinal_at(words, at));
    let day = match before {
        Some("of") => by(3).filter(|day| *day > 20).or_else(|| by(2)),
        _ => None,
    };
    let day = day
        .or_else(|| ordinal_at(words, at + 1))
        .or_else(|| ordinal_at(words, at + 2).filter(|_| words.get(at + 1) == Some(&"the")))
        .or_else(|| by(1))
        .filter(|day| (1..=31).contains(day))?;
    let date = |year: i64| Date::parse(&format!("{year}-{month}-{day}"));
    date(this_year)
        .filter(|date| date.days >= today.days)
        .or_else(|| date(this_year + 1))
}

/// "May I" is no month.
fn is_month(words: &[&str], word: &&str) -> bool {
    MONTHS.contains(word)
        && (*word != "may"
            || words.windows(2).any(|pair| {
                matches!(pair, ["of" | "in", "may"])
                    || pair.first() == Some(&"may")
                        && pair.get(1).is_some_and(|next| ordinal(next).is_some())
            }))
}

/// "Twenty fourth", "24th", "4".
fn ordinal_at(words: &[&str], at: usize) -> Option<i64> {
    let one = words.get(at).copied()?;
    let two = words.get(at + 1).copied().unwrap_or_default();
    match (ordinal(one)?, ordinal(two)) {
        (ten @ (20 | 30), Some(unit @ 1..=9)) if number(two).is_none() || is_ordinal(two) => {
            Some(ten + unit)
        }
        (day, _) => Some(day),
    }
}

fn is_ordinal(word: &str) -> bool {
    ordinal(word).is_some() && number(word).is_none() || matches!(word, "twenty" | "thirty")
}

fn ordinal(word: &str) -> Option<i64> {
    if let Some((ten, unit)) = word.split_once('-') {
        return Some(number(ten)? + ordinal(unit)?);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_understood_as_people_name_them() {
        // a Monday
        let today = Date::from_days(20_780);
        for (said, meant) in [
            ("tomorrow", "2026-11-24"),
            ("the day after tomorrow", "2026-11-25"),
            ("on friday", "2026-11-27"),
            ("next saturday", "2026-11-28"),
            ("on monday", "2026-11-23"),
            ("next monday", "2026-11-30"),
            ("a week from friday", "2026-12-04"),
            ("two weeks from tomorrow", "2026-12-08"),
            ("friday week", "2026-12-04"),
            ("next week on wednesday", "2026-12-02"),
            ("friday next week", "2026-12-04"),
            ("in two weeks on tuesday", "2026-12-08"),
            ("in three days", "2026-11-26"),
            ("in a week", "2026-11-30"),
            ("friday the fourth of december", "2026-12-04"),
            ("december twenty third", "2026-12-23"),
            ("the twenty-third of december", "2026-12-23"),
            ("4 december", "2026-12-04"),
            ("december 1st", "2026-12-01"),
            ("on the 28th", "2026-11-28"),
            ("on the third", "2026-12-03"),
            ("the first of may", "2027-05-01"),
            ("2026-12-24", "2026-12-24"),
        ] {
            let words: Vec<&str> = said.split(' ').collect();
            assert_eq!(
                date(&words, today).map(Date::iso).as_deref(),
                Some(meant),
                "{said}"
            );
        }
        for said in [
            "may i come",
            "for two people",
            "at seven thirty",
            "next week",
            "november 31",
        ] {
            let words: Vec<&str> = said.split(' ').collect();
            assert_eq!(date(&words, today), None, "{said}");
        }
    }
}
