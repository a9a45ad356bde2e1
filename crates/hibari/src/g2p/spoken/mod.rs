//! What people read otherwise than it is written, in words that every rule after these reads rightly: telephone numbers and codes,
//! addresses of the web, hours, prices, measures, and the short forms of letters and menus.
//!
//! | module | what |
//! |---|---|
//! | `digits` | rows of digits that are no amounts: telephones, codes, cards, postal codes |
//! | `web` | addresses of mail and of the web |
//! | `amounts` | prices, measures, fractions, hours and other ranges |
//! | `short` | abbreviations |
//!
//! hibari's own rules, which come next, take them for amounts, or stumble over the point behind them.

mod amounts;
mod digits;
mod short;
mod web;

use fancy_regex::{Captures, Regex};

use crate::HibariError;

use super::normalize::{group, replace};
use super::regex;

/// A pattern, and what is said instead of what it finds; `None` leaves it as it is.
struct Rule {
    pattern: Regex,
    say: fn(&Captures<'_>) -> Option<String>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.pattern.as_str())
    }
}

/// All rules in their order: what is found first is out of the way of those after it.
#[derive(Debug)]
pub(crate) struct Spoken(Vec<Rule>);

/// A pattern and what is said, before the pattern is compiled.
type Written = (String, fn(&Captures<'_>) -> Option<String>);

impl Spoken {
    pub(crate) fn new() -> Result<Self, HibariError> {
        let written = web::rules()
            .into_iter()
            .chain(amounts::hours())
            .chain(digits::rules())
            .chain(amounts::rules())
            .chain(short::rules());
        let compiled = written.map(|(pattern, say)| {
            let pattern = regex(&pattern)?;
            Ok(Rule { pattern, say })
        });
        Ok(Self(compiled.collect::<Result<_, HibariError>>()?))
    }

    /// `text`, which is on one line, as it is read.
    pub(crate) fn say(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for Rule { pattern, say } in &self.0 {
            text = replace(pattern, &text, |found, _| {
                say(found).unwrap_or_else(|| group(found, 0).to_owned())
            });
        }
        text
    }
}

#[cfg(test)]
mod tests;
