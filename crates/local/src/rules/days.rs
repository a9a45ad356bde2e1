//! Days of the week and times of day, in questions and in the sentences that answer them.

use super::calendar::{DAYS, Date};

/// Days of the week from Monday on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Days([bool; 7]);

impl Days {
    /// The days that a sentence names, with those between two of them and what "weekend" stands for.
    pub(super) fn named(text: &str) -> Self {
        let words = words(text);
        let mut days = Self::default();
        let mut last: Option<(usize, usize)> = None;
        for (at, word) in words.iter().enumerate() {
            let range: &[usize] = match word.trim_end_matches('s') {
                "weekday" => &[0, 1, 2, 3, 4],
                "weekend" => &[5, 6],
                "daily" => &[0, 1, 2, 3, 4, 5, 6],
                "day" if at > 0 && words.get(at - 1).is_some_and(|word| word == "every") => {
                    &[0, 1, 2, 3, 4, 5, 6]
                }
                _ => &[],
            };
            for day in range {
                days.add(*day);
            }
            let Some(day) = weekday(word) else { continue };
            days.add(day);
            if let Some((place, first)) = last
                && place + 2 == at
                && words.get(at - 1).is_some_and(|word| is_until(word))
            {
                let mut next = first;
                while next != day {
                    days.add(next);
                    next = (next + 1) % 7;
                }
            }
            last = Some((at, day));
        }
        days
    }

    fn add(&mut self, day: usize) {
        if let Some(day) = self.0.get_mut(day) {
            *day = true;
        }
    }

    pub(super) fn is_empty(self) -> bool {
        !self.0.contains(&true)
    }

    /// Are all of these days among them?
    pub(super) fn has_all(self, others: Self) -> bool {
        self.0
            .iter()
            .zip(others.0)
            .all(|(own, other)| *own || !other)
    }

    /// Is one of these days among them?
    pub(super) fn has_any(self, others: Self) -> bool {
        self.0
            .iter()
            .zip(others.0)
            .any(|(own, other)| *own && other)
    }
}

/// The question with the names of the days that it means: documents know no "tomorrow".
pub(super) fn with_days(question: &str, today: Date) -> String {
    let words = words(question);
    let has = |word: &str| words.iter().any(|other| other == word);
    let ahead = if has("tomorrow") {
        let after = words
            .windows(3)
            .any(|three| three == ["day", "after", "tomorrow"]);
        Some(if after { 2 } else { 1 })
    } else if has("today") || has("tonight") || has("now") {
        Some(0)
    } else {
        None
    };
    let name = ahead.and_then(|days| DAYS.get(today.after(days).weekday()));
    let name = name.filter(|name| !has(name));
    name.map_or(question.to_owned(), |name| {
        format!("{} {name}", question.trim_end_matches(['?', '.', '!']))
    })
}

/// Does a sentence name a day or a time of day?
pub(super) fn tells_a_time(text: &str) -> bool {
    let words = words(text);
    !Days::named(text).is_empty()
        || words.iter().any(|word| {
            let digits = word.trim_end_matches("pm").trim_end_matches("am");
            let is_clock = digits.split_once(':').is_some_and(|(hour, minute)| {
                hour.parse::<u8>().is_ok() && minute.parse::<u8>().is_ok()
            });
            let is_half_day = digits != word && digits.parse::<u8>().is_ok();
            is_clock
                || is_half_day
                || matches!(
                    word.as_str(),
                    "noon" | "midday" | "midnight" | "o'clock" | "pm"
                )
        })
}

/// Words of a text as they are read here.
pub(super) fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace(['–', '—'], " - ")
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | ':' | '-')))
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_end_matches("'s").to_owned())
        .collect()
}

fn weekday(word: &str) -> Option<usize> {
    let word = word.strip_suffix('s').unwrap_or(word);
    DAYS.iter().position(|day| {
        *day == word
            || word.len() >= 3
                && word.len() <= 5
                && day.starts_with(word)
                && word != "sun"
                && word != "sat"
    })
}

fn is_until(word: &str) -> bool {
    matches!(word, "to" | "till" | "until" | "through" | "thru" | "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_days_holds_the_days_between() {
        let week = Days::named("We are open for lunch from Tuesday to Sunday.");
        assert!(week.has_all(Days::named("wednesday")) && !week.has_any(Days::named("mondays")));
        assert!(Days::named("Fri–Mon").has_all(Days::named("saturday monday")));
        assert!(Days::named("on weekdays").has_all(Days::named("Thursday's")));
        assert!(Days::named("every day but one").has_all(Days::named("the weekend")));
        assert!(Days::named("the sun is out").is_empty());
    }

    #[test]
    fn tomorrow_has_the_name_that_documents_use() {
        let monday = Date::from_days(20_780);
        for (asked, meant) in [
            ("Are you open tonight?", "Are you open tonight monday"),
            ("and tomorrow?", "and tomorrow tuesday"),
            ("the day after tomorrow", "the day after tomorrow wednesday"),
            ("on Friday?", "on Friday?"),
        ] {
            assert_eq!(with_days(asked, monday), meant);
        }
    }
}
