//! The words of a scenario's line: durations, instants, quoted texts, and the nearest right word for a wrong one.

use serde_json::Value;

use antiphon_chat::time::{Duration, Instant};

/// A word is offered when at least this similar (Jaro-Winkler).
const NEAREST: f64 = 0.75;

/// What is left of a line.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A text in quotes; `\"`, `\\`, `\n` and the other escapes of JSON are understood.
    pub(super) fn quoted(&mut self) -> Result<String, String> {
        let rest = self.rest.trim_start();
        if !rest.starts_with('"') {
            let found = if rest.is_empty() { "nothing" } else { rest };
            return Err(format!(
                "a text in quotes is missing, such as \"Hello\"; found: {found}"
            ));
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let text = match values.next() {
            Some(Ok(text)) => text,
            _ => {
                return Err(format!(
                    "the quotes are not closed (inside a text write \\\" and \\\\): {rest}"
                ));
            }
        };
        self.rest = rest.get(values.byte_offset()..).unwrap_or_default();
        Ok(text)
    }

    pub(super) fn has_quoted(&self) -> bool {
        self.rest.trim_start().starts_with('"')
    }

    /// One JSON value without spaces outside of its texts, or an object in braces.
    pub(super) fn json(&mut self) -> Result<String, String> {
        let rest = self.rest.trim_start();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(_)) => {
                let (json, rest) = rest.split_at(values.byte_offset());
                self.rest = rest;
                Ok(json.to_owned())
            }
            Some(Err(error)) => Err(format!("this is not JSON ({error}): {rest}")),
            None => Err("JSON is missing, such as {\"n\":2}".into()),
        }
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), String> {
        match self.rest.trim() {
            "" => Ok(()),
            comment if comment.starts_with('#') => Ok(()),
            rest => Err(format!(
                "this is one word too many: {rest} (a comment begins with #)"
            )),
        }
    }
}

/// `` unknown word `expct`; did you mean `expect`? ``, or what is known.
pub(super) fn unknown(what: &str, wrong: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(similarity, _)| *similarity >= NEAREST)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match (nearest, wrong) {
        (_, "") => format!("{what} is missing; known here: {}", known.join(", ")),
        (Some((_, name)), _) => format!("unknown {what} `{wrong}`; did you mean `{name}`?"),
        (None, _) => format!("unknown {what} `{wrong}`; known here: {}", known.join(", ")),
    }
}

/// `200ms`, `2s`, `2`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let problem = || format!("a duration such as 200ms or 2s is needed, found: `{text}`");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds: f64 = number.parse().map_err(|_| problem())?;
    let duration = Duration::try_from_secs_f64(seconds * unit).map_err(|_| problem())?;
    if duration > LONGEST {
        return Err(format!("{text} is longer than an hour"));
    }
    Ok(duration)
}

/// The longest that one thing in a scenario may last: virtual time is free, its steps are not.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);
/// The latest instant: longer than a session lives.
const LATEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// `2.5`, in seconds since the beginning; microseconds are exact.
pub(super) fn instant(text: &str) -> Result<Instant, String> {
    let problem = || format!("seconds such as 2.5 are needed, found: `{text}`");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
        return Err(problem());
    }
    let whole: u64 = whole.parse().map_err(|_| problem())?;
    let micros: u64 = format!("{part:0<6}").parse().map_err(|_| problem())?;
    let at = Instant::from_micros(whole.saturating_mul(1_000_000).saturating_add(micros));
    if at.since(Instant::ZERO) > LATEST {
        return Err(format!("{text} is later than 30 days after the beginning"));
    }
    Ok(at)
}

/// As [`instant`] reads it.
pub(super) fn write_instant(at: Instant) -> String {
    let micros = at.as_micros();
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let short = text.trim_end_matches('0');
    short.strip_suffix('.').unwrap_or(short).to_owned()
}
