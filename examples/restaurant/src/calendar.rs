//! When the restaurant serves, and how dates and times are read.

use jiff::civil::{Date, Time, Weekday, time};

use crate::BookingsError;

/// Lunch and dinner: first and last time at which a party may sit down. Closed on Mondays.
const SITTINGS: [(Time, Time); 2] = [
    (time(12, 0, 0, 0), time(13, 30, 0, 0)),
    (time(17, 30, 0, 0), time(21, 0, 0, 0)),
];

/// How far ahead a table can be booked, in days: beyond it the opening hours are not known yet.
pub const DAYS_AHEAD: i32 = 90;

/// A date as the model writes it: `2026-11-23`.
pub fn parse_date(text: &str) -> Result<Date, BookingsError> {
    text.trim()
        .parse()
        .map_err(|_| BookingsError::BadDate(shorten(text)))
}

/// A time as the model writes it: `19:00`, also `19:00:00`.
pub fn parse_time(text: &str) -> Result<Time, BookingsError> {
    let text = text.trim();
    Time::strptime("%H:%M", text)
        .or_else(|_| text.parse())
        .map_err(|_| BookingsError::BadTime(shorten(text)))
}

/// Whether a party may sit down then: the reason in words if not.
pub fn check_open(date: Date, at: Time, today: Date) -> Result<(), BookingsError> {
    if date < today {
        return Err(BookingsError::Past { date, today });
    }
    let days = (date - today).get_days();
    if days > DAYS_AHEAD {
        return Err(BookingsError::TooFar { date });
    }
    if date.weekday() == Weekday::Monday {
        return Err(BookingsError::ClosedOnMonday { date });
    }
    if !SITTINGS
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&at))
    {
        return Err(BookingsError::ClosedThen { at });
    }
    Ok(())
}

/// Every quarter of an hour at which a party may sit down on that day.
pub fn sittings(date: Date) -> Vec<Time> {
    if date.weekday() == Weekday::Monday {
        return Vec::new();
    }
    let mut times = Vec::new();
    for (first, last) in SITTINGS {
        let mut at = first;
        while at <= last {
            times.push(at);
            at = at.wrapping_add(jiff::Span::new().minutes(15));
        }
    }
    times
}

/// A date as it is spoken: `Tuesday, November 24`.
pub fn spoken_date(date: Date) -> String {
    date.strftime("%A, %B %-d").to_string()
}

/// A time as it is spoken: `7:30 PM`, `7 PM`.
pub fn spoken_time(at: Time) -> String {
    let format = if at.minute() == 0 {
        "%-I %p"
    } else {
        "%-I:%M %p"
    };
    at.strftime(format).to_string()
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_table_can_be_had_on_tuesday_evening_but_not_on_monday_nor_at_four() {
        let today = date(2026, 11, 23); // a Monday
        assert!(check_open(date(2026, 11, 24), time(19, 0, 0, 0), today).is_ok());
        assert!(matches!(
            check_open(today, time(19, 0, 0, 0), today),
            Err(BookingsError::ClosedOnMonday { .. })
        ));
        assert!(matches!(
            check_open(date(2026, 11, 24), time(16, 0, 0, 0), today),
            Err(BookingsError::ClosedThen { .. })
        ));
        assert!(matches!(
            check_open(date(2026, 11, 22), time(19, 0, 0, 0), today),
            Err(BookingsError::Past { .. })
        ));
        assert!(matches!(
            check_open(date(2027, 6, 1), time(19, 0, 0, 0), today),
            Err(BookingsError::TooFar { .. })
        ));
    }

    #[test]
    fn dates_and_times_are_read_as_models_write_them() {
        assert_eq!(parse_date(" 2026-11-24 ").ok(), Some(date(2026, 11, 24)));
        assert!(parse_date("tomorrow").is_err());
        assert_eq!(parse_time("19:00").ok(), Some(time(19, 0, 0, 0)));
        assert_eq!(parse_time("19:30:00").ok(), Some(time(19, 30, 0, 0)));
        assert!(parse_time("7pm-ish").is_err());
    }

    #[test]
    fn times_are_spoken_as_people_say_them() {
        assert_eq!(spoken_time(time(19, 0, 0, 0)), "7 PM");
        assert_eq!(spoken_time(time(12, 45, 0, 0)), "12:45 PM");
        assert_eq!(spoken_date(date(2026, 11, 24)), "Tuesday, November 24");
    }
}
