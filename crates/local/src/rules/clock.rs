//! Times of day as callers say them: "half past six", "quarter to eight", "seven thirty", "at noon".

use super::calendar::DAYS;
use super::words::{is_people, number};

/// Minutes that are said beside an hour without a word between.
const MINUTES: [i64; 11] = [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55];

/// The time in these words as `HH:MM`; `asked` when they answer our question for it. Callers go out in the evening: 1 to 11
/// without "a m" are after noon, but 11 for lunch is before it.
pub(super) fn time(words: &[&str], asked: bool) -> Option<String> {
    let has = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let morning = has(&["am", "morning"]) || words.windows(2).any(|two| two == ["a", "m"]);
    let lunch = has(&["lunch", "lunchtime"]);
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
        let before = |by: usize| {
            let at = at.checked_sub(by);
            at.and_then(|at| words.get(at)).copied().unwrap_or_default()
        };
        let digits = word.trim_end_matches("ish").trim_end_matches('-');
        let digits = digits.trim_end_matches("pm").trim_end_matches("am");
        if let Some((hour, minute)) = digits.split_once(':') {
            let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
            return if hour == 0 {
                Some(format!("00:{minute:02}"))
            } else {
                clock(hour, minute)
            };
        }
        if matches!(*word, "noon" | "midday") {
            return Some("12:00".into());
        }
        if *word == "midnight" {
            return Some("00:00".into());
        }
        // "half past six", "ten to eight"; "half seven" is half past
        let part = match *word {
            "half" => Some(30),
            "quarter" => Some(15),
            other => number(other).filter(|minute| MINUTES.contains(minute)),
        };
        let hour_at = |by: usize| {
            number(next(by).trim_end_matches("ish")).filter(|hour| (1..=12).contains(hour))
        };
        match (part, next(1)) {
            (Some(minute), "past" | "after") if hour_at(2).is_some() => {
                return clock(hour_at(2)?, minute);
            }
            (Some(minute), "to" | "before") if hour_at(2).is_some() && minute < 30 => {
                let hour = hour_at(2)?;
                return clock(if hour == 1 { 12 } else { hour - 1 }, 60 - minute);
            }
            (Some(30), _) if *word == "half" && hour_at(1).is_some() => {
                return clock(hour_at(1)?, 30);
            }
            _ => {}
        }
        let ends_clock = |word: &str| matches!(word, "pm" | "am" | "o'clock" | "oclock" | "ish");
        let minute = number(next(1)).filter(|minute| MINUTES.contains(minute));
        let is_day = |word: &str| DAYS.iter().any(|day| word.starts_with(day));
        let marked = digits != *word
            || matches!(
                before(1),
                "at" | "around"
                    | "about"
                    | "by"
                    | "till"
                    | "until"
                    | "from"
                    | "tomorrow"
                    | "tonight"
            )
            || is_day(before(1))
            || ends_clock(next(1))
            || minute.is_some() && ends_clock(next(2))
            || minute.is_some_and(|minute| minute >= 15) && !is_counted(next(2))
            || next(1) == "in"
                && next(2) == "the"
                && matches!(next(3), "evening" | "afternoon" | "morning")
            || (matches!(next(1), "p" | "a") && next(2) == "m");
        if (marked || asked)
            && !is_counted(next(1))
            && !matches!(before(1), "table" | "party")
            && !is_share(before(1), next(1))
            && let Some(hour) = number(digits).filter(|hour| (0..24).contains(hour))
        {
            return clock(hour, minute.unwrap_or(0));
        }
    }
    None
}

/// "For two", when the time is asked for, is answered with people.
fn is_share(before: &str, next: &str) -> bool {
    before == "for" && !matches!(next, "pm" | "am" | "o'clock" | "oclock" | "p" | "a")
}

/// What is counted by a number before it.
fn is_counted(word: &str) -> bool {
    is_people(word) || matches!(word, "of" | "days" | "weeks")
}

/// `19:30` as "7:30 PM".
pub(super) fn spoken(text: &str) -> Option<String> {
    let (hour, minute) = text.split_once(':')?;
    let is_two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_two(hour) || !is_two(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    Some(if minute == 0 {
        format!("{hour} {half}")
    } else {
        format!("{hour}:{minute:02} {half}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_understood_as_people_say_them() {
        for (said, asked, meant) in [
            ("at seven thirty", false, Some("19:30")),
            ("seven thirty", true, Some("19:30")),
            ("half past six", false, Some("18:30")),
            ("half seven", true, Some("19:30")),
            ("quarter to eight", false, Some("19:45")),
            ("ten past eight", false, Some("20:10")),
            ("five to nine", false, Some("20:55")),
            ("twenty to one", false, Some("12:40")),
            ("8pm", false, Some("20:00")),
            ("around eight", false, Some("20:00")),
            ("eight ish", true, Some("20:00")),
            ("7 30", true, Some("19:30")),
            ("at noon", false, Some("12:00")),
            ("on friday at 19:30", false, Some("19:30")),
            ("at one o'clock for lunch", false, Some("13:00")),
            ("eight in the evening", false, Some("20:00")),
            ("for two people", true, None),
            ("a table for two", true, None),
            ("three of us", true, None),
            ("in two weeks", false, None),
        ] {
            let words: Vec<&str> = said.split(' ').collect();
            assert_eq!(time(&words, asked).as_deref(), meant, "{said}");
        }
    }
}
