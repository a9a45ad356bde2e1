//! Bookings in an embedded database (redb: one file, crash-safe).

use std::path::Path;

use jiff::civil::{Date, Time};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::calendar::{check_open, sittings};

/// Seats of every table.
const TABLES: [u8; 8] = [2, 2, 2, 4, 4, 4, 6, 8];
/// How long a party stays, in minutes.
const STAY_MINUTES: i32 = 120;
/// The most bookings kept: a demo, not a reservation system. A full book refuses.
const MAX_BOOKINGS: u64 = 10_000;
/// The longest name kept, in characters.
const MAX_NAME: usize = 80;

const BOOKINGS: TableDefinition<&str, &str> = TableDefinition::new("bookings");
/// idempotency key → reference: the same call never books twice.
const KEYS: TableDefinition<&str, &str> = TableDefinition::new("idempotency_keys");

/// Why a booking could not be made or found. The text is read to the caller by the model.
#[derive(Debug, thiserror::Error)]
pub enum BookingsError {
    /// Not `YYYY-MM-DD`.
    #[error("the date `{0}` is not of the form YYYY-MM-DD")]
    BadDate(String),
    /// Not `HH:MM`.
    #[error("the time `{0}` is not of the form HH:MM on the 24-hour clock")]
    BadTime(String),
    /// Before today.
    #[error("{date} is in the past; today is {today}")]
    Past {
        /// Asked for.
        date: Date,
        /// Today.
        today: Date,
    },
    /// Too far ahead.
    #[error("{date} is too far ahead; tables can be booked up to 90 days ahead")]
    TooFar {
        /// Asked for.
        date: Date,
    },
    /// Closed that day.
    #[error("the restaurant is closed on Mondays, and {date} is one")]
    ClosedOnMonday {
        /// Asked for.
        date: Date,
    },
    /// Closed at that time.
    #[error(
        "no party is seated at {at}; lunch is seated from 12:00 to 13:30, dinner from 17:30 to 21:00"
    )]
    ClosedThen {
        /// Asked for.
        at: Time,
    },
    /// No table of that size.
    #[error("the largest table seats 8; a party of {0} needs a call from the manager")]
    PartySize(u8),
    /// Everything taken.
    #[error("no table for {party_size} is free at {at}; free that day: {alternatives}")]
    Full {
        /// How many people.
        party_size: u8,
        /// Asked for.
        at: Time,
        /// Other times on the same day, or "none".
        alternatives: String,
    },
    /// No such booking.
    #[error("no booking was found for `{0}`")]
    NotFound(String),
    /// No name.
    #[error("a name for the booking is needed")]
    NoName,
    /// The book is full.
    #[error("the booking book is full")]
    BookFull,
    /// The database failed.
    #[error(
        "the booking database failed ({0}); its folder must be writable, and one process at a time can use it"
    )]
    Database(String),
}

impl<E: Into<redb::Error>> From<E> for BookingsError {
    fn from(error: E) -> Self {
        Self::Database(error.into().to_string().trim_end_matches('.').to_owned())
    }
}

/// One booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// Four characters without look-alikes, to be spoken.
    pub reference: String,
    /// Which day.
    pub date: Date,
    /// When they sit down.
    pub time: Time,
    /// How many.
    pub party_size: u8,
    /// Whose.
    pub name: String,
    /// Which of the tables.
    table: usize,
}

/// What a caller wants.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which day.
    pub date: Date,
    /// When they sit down.
    pub time: Time,
    /// How many.
    pub party_size: u8,
    /// Whose.
    pub name: String,
}

/// The booking book.
#[derive(Debug)]
pub struct Bookings {
    database: Database,
}

impl Bookings {
    /// Open or create the book at `path`; its folder is created.
    pub fn open(path: &Path) -> Result<Self, BookingsError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| BookingsError::Database(error.to_string()))?;
        }
        Self::prepare(Database::create(path)?)
    }

    /// A book that is forgotten at the end.
    pub fn in_memory() -> Result<Self, BookingsError> {
        Self::prepare(
            Database::builder().create_with_backend(redb::backends::InMemoryBackend::new())?,
        )
    }

    fn prepare(database: Database) -> Result<Self, BookingsError> {
        let transaction = database.begin_write()?;
        transaction.open_table(BOOKINGS)?;
        transaction.open_table(KEYS)?;
        transaction.commit()?;
        Ok(Self { database })
    }

    /// Times on that day at which a table of that size is free, at most `limit`, nearest to `around` first.
    pub fn free_times(
        &self,
        date: Date,
        party_size: u8,
        around: Time,
        limit: usize,
    ) -> Result<Vec<Time>, BookingsError> {
        if !TABLES.iter().any(|seats| *seats >= party_size) {
            return Err(BookingsError::PartySize(party_size));
        }
        let taken = self.on(date)?;
        let mut times: Vec<Time> = sittings(date)
            .into_iter()
            .filter(|at| free_table(&taken, *at, party_size).is_some())
            .collect();
        times.sort_by_key(|at| minutes_between(*at, around));
        times.truncate(limit);
        Ok(times)
    }

    /// Book a table. The same `idempotency_key` gives the same booking again.
    pub fn book(
        &self,
        request: &Request,
        idempotency_key: &str,
        today: Date,
    ) -> Result<Booking, BookingsError> {
        let name: String = request.name.trim().chars().take(MAX_NAME).collect();
        if name.is_empty() {
            return Err(BookingsError::NoName);
        }
        check_open(request.date, request.time, today)?;
        if request.party_size == 0 || !TABLES.iter().any(|seats| *seats >= request.party_size) {
            return Err(BookingsError::PartySize(request.party_size));
        }
        let transaction = self.database.begin_write()?;
        let booking = {
            let mut bookings = transaction.open_table(BOOKINGS)?;
            let mut keys = transaction.open_table(KEYS)?;
            let before = keys
                .get(idempotency_key)?
                .map(|reference| reference.value().to_owned());
            if let Some(reference) = before
                && let Some(booking) = bookings
                    .get(reference.as_str())?
                    .and_then(|text| parse(text.value()))
            {
                return Ok(booking);
            }
            if redb::ReadableTableMetadata::len(&bookings)? >= MAX_BOOKINGS {
                return Err(BookingsError::BookFull);
            }
            let taken = bookings_on(&bookings, request.date)?;
            let Some(table) = free_table(&taken, request.time, request.party_size) else {
                return Err(self.full(request));
            };
            let reference = new_reference(&bookings)?;
            let booking = Booking {
                reference: reference.clone(),
                date: request.date,
                time: request.time,
                party_size: request.party_size,
                name,
                table,
            };
            let text = serde_json::to_string(&booking)
                .map_err(|error| BookingsError::Database(error.to_string()))?;
            bookings.insert(reference.as_str(), text.as_str())?;
            keys.insert(idempotency_key, reference.as_str())?;
            booking
        };
        transaction.commit()?;
        Ok(booking)
    }

    /// Bookings under this reference or name (case does not matter), earliest first.
    pub fn find(&self, reference_or_name: &str) -> Result<Vec<Booking>, BookingsError> {
        let wanted = normalised(reference_or_name);
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(BOOKINGS)?;
        let mut found = Vec::new();
        for row in table.iter()? {
            let (_, text) = row?;
            if let Some(booking) = parse(text.value())
                && (normalised(&booking.reference) == wanted || normalised(&booking.name) == wanted)
            {
                found.push(booking);
            }
        }
        found.sort_by_key(|booking| (booking.date, booking.time));
        if found.is_empty() {
            Err(BookingsError::NotFound(
                reference_or_name.chars().take(MAX_NAME).collect(),
            ))
        } else {
            Ok(found)
        }
    }

    /// Take a booking out of the book.
    pub fn cancel(&self, reference_or_name: &str) -> Result<Booking, BookingsError> {
        let found = self.find(reference_or_name)?;
        let Some(booking) = found.into_iter().next() else {
            return Err(BookingsError::NotFound(
                reference_or_name.chars().take(MAX_NAME).collect(),
            ));
        };
        let transaction = self.database.begin_write()?;
        transaction
            .open_table(BOOKINGS)?
            .remove(booking.reference.as_str())?;
        transaction.commit()?;
        Ok(booking)
    }

    fn on(&self, date: Date) -> Result<Vec<Booking>, BookingsError> {
        let transaction = self.database.begin_read()?;
        bookings_on(&transaction.open_table(BOOKINGS)?, date)
    }

    fn full(&self, request: &Request) -> BookingsError {
        let times = self
            .free_times(request.date, request.party_size, request.time, 3)
            .unwrap_or_default();
        let alternatives = times
            .iter()
            .map(|at| at.strftime("%H:%M").to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let alternatives = if alternatives.is_empty() {
            "none".to_owned()
        } else {
            alternatives
        };
        BookingsError::Full {
            party_size: request.party_size,
            at: request.time,
            alternatives,
        }
    }
}

fn bookings_on(
    table: &impl ReadableTable<&'static str, &'static str>,
    date: Date,
) -> Result<Vec<Booking>, BookingsError> {
    let mut found = Vec::new();
    for row in table.iter()? {
        let (_, text) = row?;
        found.extend(parse(text.value()).filter(|booking| booking.date == date));
    }
    Ok(found)
}

/// The smallest free table that is large enough.
fn free_table(taken: &[Booking], at: Time, party_size: u8) -> Option<usize> {
    let occupied = |table: usize| {
        taken
            .iter()
            .any(|b| b.table == table && minutes_between(b.time, at) < STAY_MINUTES)
    };
    (0..TABLES.len()).find(|table| {
        TABLES.get(*table).is_some_and(|seats| *seats >= party_size) && !occupied(*table)
    })
}

fn minutes_between(a: Time, b: Time) -> i32 {
    let minutes = |time: Time| i32::from(time.hour()) * 60 + i32::from(time.minute());
    (minutes(a) - minutes(b)).abs()
}

fn parse(text: &str) -> Option<Booking> {
    serde_json::from_str(text).ok()
}

fn normalised(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// References count up in an alphabet without characters that sound or look alike.
fn new_reference(
    table: &impl ReadableTable<&'static str, &'static str>,
) -> Result<String, BookingsError> {
    const ALPHABET: &[u8] = b"2345679ACFHJKLMNPRTUWXY";
    let mut number = redb::ReadableTableMetadata::len(table)? as usize + 1;
    loop {
        // spread neighbours apart so that one wrong character does not name another caller's booking
        let mut rest = number.wrapping_mul(7919) % ALPHABET.len().pow(4);
        let mut reference = String::with_capacity(4);
        for _ in 0..4 {
            reference.push(char::from(
                ALPHABET.get(rest % ALPHABET.len()).copied().unwrap_or(b'2'),
            ));
            rest /= ALPHABET.len();
        }
        if table.get(reference.as_str())?.is_none() {
            return Ok(reference);
        }
        number += 1;
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn request(party_size: u8) -> Request {
        Request {
            date: date(2026, 11, 24),
            time: time(19, 0, 0, 0),
            party_size,
            name: "Ada Lovelace".into(),
        }
    }

    const TODAY: Date = date(2026, 11, 23);

    #[test]
    fn a_booking_can_be_found_by_name_and_reference_and_cancelled() {
        let book = Bookings::in_memory().unwrap();
        let booking = book.book(&request(2), "call_1", TODAY).unwrap();
        assert_eq!(book.find("ada lovelace").unwrap(), vec![booking.clone()]);
        assert_eq!(
            book.find(&booking.reference.to_lowercase()).unwrap(),
            vec![booking.clone()]
        );
        book.cancel(&booking.reference).unwrap();
        assert!(matches!(
            book.find("Ada Lovelace"),
            Err(BookingsError::NotFound(_))
        ));
    }

    #[test]
    fn the_same_call_never_books_twice() {
        let book = Bookings::in_memory().unwrap();
        let first = book.book(&request(2), "call_1", TODAY).unwrap();
        assert_eq!(book.book(&request(2), "call_1", TODAY).unwrap(), first);
        assert_eq!(book.find("Ada Lovelace").unwrap().len(), 1);
    }

    #[test]
    fn a_full_evening_offers_other_times() {
        let book = Bookings::in_memory().unwrap();
        for table in 0..2 {
            book.book(&request(6), &format!("call_{table}"), TODAY)
                .unwrap();
        }
        let Err(BookingsError::Full { alternatives, .. }) = book.book(&request(6), "call_9", TODAY)
        else {
            panic!("the two large tables are taken");
        };
        assert!(alternatives.contains("21:00"), "{alternatives}");
    }

    #[test]
    fn the_book_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nested/bookings.redb");
        let reference = Bookings::open(&path)
            .unwrap()
            .book(&request(4), "call_1", TODAY)
            .unwrap()
            .reference;
        assert_eq!(
            Bookings::open(&path)
                .unwrap()
                .find(&reference)
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn too_many_people_are_told_so() {
        let book = Bookings::in_memory().unwrap();
        assert!(matches!(
            book.book(&request(9), "call_1", TODAY),
            Err(BookingsError::PartySize(9))
        ));
        assert!(matches!(
            book.book(&request(0), "call_1", TODAY),
            Err(BookingsError::PartySize(0))
        ));
    }
}
