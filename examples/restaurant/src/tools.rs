//! The four tools that the agent calls. Their doc comments are what the model reads.

use std::sync::Arc;

use antiphon_agent::tool::{FunctionTool, Tool, ToolContext, ToolError};
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::BookingsError;
use crate::calendar::{check_open, parse_date, parse_time, spoken_date, spoken_time};
use crate::store::{Booking, Bookings, Request};

/// Times offered at once: more are not remembered by ear.
const OFFERED_TIMES: usize = 4;

/// What day it is. A function, so that tests and replays have their own calendar.
pub type Today = Arc<dyn Fn() -> Date + Send + Sync>;

/// Today in this machine's time zone.
pub fn local_today() -> Today {
    Arc::new(|| jiff::Zoned::now().date())
}

#[derive(Deserialize, JsonSchema)]
struct FindTables {
    /// The day, as YYYY-MM-DD.
    date: String,
    /// The wished time on the 24-hour clock, as HH:MM.
    time: String,
    /// How many people.
    party_size: u8,
}

#[derive(Deserialize, JsonSchema)]
struct MakeBooking {
    /// The day, as YYYY-MM-DD.
    date: String,
    /// The time on the 24-hour clock, as HH:MM.
    time: String,
    /// How many people.
    party_size: u8,
    /// The caller's name.
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct ByReference {
    /// The booking's reference of four characters, or the name it was made under.
    reference_or_name: String,
}

/// All four, on one book.
pub fn tools(book: &Arc<Bookings>, today: &Today) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(find_tables(book.clone(), today.clone())),
        Arc::new(make_booking(book.clone(), today.clone())),
        Arc::new(find_booking(book.clone())),
        Arc::new(cancel_booking(book.clone())),
    ]
}

fn find_tables(book: Arc<Bookings>, today: Today) -> impl Tool {
    FunctionTool::new(
        "find_tables",
        "Looks up whether a table is free at a day and time, and which other times are free that day. Books nothing.",
        move |wanted: FindTables, _: ToolContext| {
            let (book, today) = (book.clone(), today());
            blocking(move || {
                let (date, time) = (parse_date(&wanted.date)?, parse_time(&wanted.time)?);
                check_open(date, time, today)?;
                let times = book.free_times(date, wanted.party_size, time, OFFERED_TIMES)?;
                let day = spoken_date(date);
                let others: Vec<String> = times
                    .iter()
                    .filter(|at| **at != time)
                    .map(|at| spoken_time(*at))
                    .collect();
                Ok(match (times.contains(&time), others.is_empty()) {
                    (true, _) => format!(
                        "A table for {} is free on {day} at {}.",
                        wanted.party_size,
                        spoken_time(time)
                    ),
                    (false, false) => format!(
                        "No table for {} is free on {day} at {}. Free then: {}.",
                        wanted.party_size,
                        spoken_time(time),
                        others.join(", ")
                    ),
                    (false, true) => {
                        format!("No table for {} is free on {day}.", wanted.party_size)
                    }
                })
            })
        },
    )
}

fn make_booking(book: Arc<Bookings>, today: Today) -> impl Tool {
    FunctionTool::new(
        "make_booking",
        "Books a table. Needs the date, the time, the number of people and the caller's name; ask for what is missing.",
        move |wanted: MakeBooking, context: ToolContext| {
            let (book, today) = (book.clone(), today());
            blocking(move || {
                let request = Request {
                    date: parse_date(&wanted.date)?,
                    time: parse_time(&wanted.time)?,
                    party_size: wanted.party_size,
                    name: wanted.name,
                };
                let booking = book.book(&request, &context.idempotency_key, today)?;
                Ok(format!("Booked: {}.", describe(&booking)))
            })
        },
    )
}

fn find_booking(book: Arc<Bookings>) -> impl Tool {
    FunctionTool::new(
        "find_booking",
        "Looks up an existing booking by its reference or by the name it was made under.",
        move |wanted: ByReference, _: ToolContext| {
            let book = book.clone();
            blocking(move || {
                let found = book.find(&wanted.reference_or_name)?;
                Ok(found
                    .iter()
                    .take(OFFERED_TIMES)
                    .map(|b| format!("Found: {}.", describe(b)))
                    .collect::<Vec<_>>()
                    .join(" "))
            })
        },
    )
}

fn cancel_booking(book: Arc<Bookings>) -> impl Tool {
    FunctionTool::new(
        "cancel_booking",
        "Cancels an existing booking by its reference or by the name it was made under.",
        move |wanted: ByReference, _: ToolContext| {
            let book = book.clone();
            blocking(move || {
                let booking = book.cancel(&wanted.reference_or_name)?;
                Ok(format!("Cancelled: {}.", describe(&booking)))
            })
        },
    )
}

fn describe(booking: &Booking) -> String {
    format!(
        "a table for {} on {} at {} for {}, reference {}",
        booking.party_size,
        spoken_date(booking.date),
        spoken_time(booking.time),
        booking.name,
        booking.reference
    )
}

/// The database may wait for the disk: never on the thread that also carries sound.
async fn blocking<F>(work: F) -> Result<String, ToolError>
where
    F: FnOnce() -> Result<String, BookingsError> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ToolError::internal)?
        .map_err(|error| ToolError::new(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    fn desk() -> Vec<Arc<dyn Tool>> {
        let today: Today = Arc::new(|| date(2026, 11, 23));
        tools(&Arc::new(Bookings::in_memory().unwrap()), &today)
    }

    async fn call(
        desk: &[Arc<dyn Tool>],
        name: &str,
        arguments: serde_json::Value,
        key: &str,
    ) -> Result<String, String> {
        let tool = desk
            .iter()
            .find(|tool| tool.definition().name == name)
            .unwrap();
        let context = ToolContext {
            idempotency_key: key.to_owned(),
            ..ToolContext::default()
        };
        match tool.call(arguments, context).await {
            Ok(reply) => Ok(reply.text),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn a_caller_books_looks_up_and_cancels() {
        let desk = desk();
        let wanted = json!({"date": "2026-11-24", "time": "19:00", "party_size": 2});
        let free = call(&desk, "find_tables", wanted, "a").await.unwrap();
        assert_eq!(
            free,
            "A table for 2 is free on Tuesday, November 24 at 7 PM."
        );
        let wanted = json!({"date": "2026-11-24", "time": "19:00", "party_size": 2, "name": "Ada"});
        let booked = call(&desk, "make_booking", wanted, "b").await.unwrap();
        assert!(
            booked.starts_with("Booked: a table for 2 on Tuesday, November 24 at 7 PM for Ada"),
            "{booked}"
        );
        let found = call(
            &desk,
            "find_booking",
            json!({"reference_or_name": "ada"}),
            "c",
        )
        .await
        .unwrap();
        assert!(found.contains("Tuesday"), "{found}");
        let cancelled = call(
            &desk,
            "cancel_booking",
            json!({"reference_or_name": "Ada"}),
            "d",
        )
        .await
        .unwrap();
        assert!(cancelled.starts_with("Cancelled"), "{cancelled}");
    }

    #[tokio::test]
    async fn what_cannot_be_is_said_in_words() {
        let desk = desk();
        let monday = json!({"date": "2026-11-30", "time": "19:00", "party_size": 2});
        let error = call(&desk, "find_tables", monday, "a").await.unwrap_err();
        assert!(error.contains("closed on Mondays"), "{error}");
        let error = call(
            &desk,
            "find_booking",
            json!({"reference_or_name": "nobody"}),
            "a",
        )
        .await
        .unwrap_err();
        assert!(error.contains("no booking was found"), "{error}");
    }
}
