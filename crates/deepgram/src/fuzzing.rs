//! Doors for the fuzzer (`make fuzz`) to the parsers of outside bytes; no interface of this crate. Always compiled, unlike
//! code behind a cfg, so that whoever changes a parser learns at once that the fuzzer uses it.

use crate::message::Hearing;

/// Messages of one connection.
pub fn messages<'a>(texts: impl Iterator<Item = &'a str>) {
    let mut hearing = Hearing::default();
    for text in texts {
        if let Ok(outcome) = hearing.read(text)
            && let Some(sure_until) = outcome.sure_until
        {
            hearing.clear(sure_until);
        }
    }
}
