//! The example that `antiphon dev` runs when it finds no `antiphon.toml`: the front desk of a small restaurant. It knows
//! a few Markdown documents and keeps table bookings in an embedded database.
//!
//! | module | what |
//! |---|---|
//! | [`calendar`] | when the restaurant serves, and how dates and times are read |
//! | [`store`] | bookings in an embedded database |
//! | [`tools`] | the four tools that the agent calls |
//! | [`files`] | the configuration and the documents, carried in the binary |

pub mod calendar;
pub mod files;
pub mod store;
pub mod tools;

pub use store::{Bookings, BookingsError};
