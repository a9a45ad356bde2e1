//! What servers write, read field by field: a field that cannot be read costs that field, a line that cannot be read costs
//! that line.

use serde_json::Value;

/// How much of a text that nobody can use is told.
const MAX_TOLD_CHARS: usize = 200;
/// Half of a surrogate pair that stands alone in JSON becomes one of these private characters (U+10F800 to U+10FFFF), because a
/// Rust text cannot hold it. [`Halves`] makes a character of two that meet.
const HALF: u32 = 0x10_F800;
const HIGH_SURROGATES: std::ops::Range<u32> = 0xD800..0xDC00;
const SURROGATES: std::ops::Range<u32> = 0xD800..0xE000;

/// What stands in one event.
#[derive(Debug, PartialEq)]
pub(crate) enum Part<'a> {
    Json(Value),
    /// `[DONE]`
    Done,
    /// Neither of the two.
    Unread(&'a str),
}

/// Mostly one value; careless servers put several into one event, or a second `data:` before it.
pub(crate) fn parts(data: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut rest = data.trim();
    while !rest.is_empty() {
        // llama.cpp writes `error: {…}`
        let field = rest.strip_prefix("data:").or_else(|| {
            let after = rest.strip_prefix("error:")?;
            after.trim_start().starts_with('{').then_some(after)
        });
        if let Some(after) = field {
            rest = after.trim_start();
            continue;
        }
        let (part, after) = if let Some(after) = rest.strip_prefix("[DONE]") {
            (Part::Done, after)
        } else if let Some((value, after)) = first_value(rest) {
            (Part::Json(value), after)
        } else {
            // a page is one thing, everything else costs its line
            let end = if rest.starts_with('<') {
                None
            } else {
                rest.find('\n')
            };
            let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
            (Part::Unread(line), after)
        };
        found.push(part);
        rest = after.trim_start();
    }
    found
}

/// The object or list at the beginning of a text, and what follows it.
fn first_value(text: &str) -> Option<(Value, &str)> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(value)) = values.next() {
        return Some((value, text.get(values.byte_offset()..)?));
    }
    let (strict, end) = strict(text)?;
    Some((serde_json::from_str(&strict).ok()?, text.get(end..)?))
}

/// JSON, however carelessly it is written.
pub(crate) fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| {
        let (strict, end) = strict(text)?;
        let is_all = text.get(end..)?.trim().is_empty();
        serde_json::from_str(&strict).ok().filter(|_| is_all)
    })
}

/// The value at the beginning of a text as JSON has it, and where it ends: numbers that are none become null, control
/// characters and unknown escapes in strings stand for themselves, and lone halves of surrogate pairs are kept for
/// [`Halves`]. `None`: it has no end.
fn strict(text: &str) -> Option<(String, usize)> {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let c = rest.chars().next()?;
        at += match c {
            '"' | '\'' => strict_string(rest, &mut out)?,
            '{' | '[' => {
                depth += 1;
                out.push(c);
                1
            }
            '}' | ']' => {
                depth = depth.checked_sub(1)?;
                // a comma too many
                out.truncate(out.trim_end_matches(',').len());
                out.push(c);
                1
            }
            ',' | ':' => {
                out.push(c);
                1
            }
            _ if c.is_whitespace() => c.len_utf8(),
            _ => {
                let ends = |c: char| c.is_whitespace() || "{}[],:\"".contains(c);
                let word = rest.get(..rest.find(ends).unwrap_or(rest.len()))?;
                out.push_str(&strict_word(word)?);
                word.len()
            }
        };
        if depth == 0 && !c.is_whitespace() {
            return Some((out, at));
        }
    }
}

/// What stands for something; Python, JavaScript and numbers beyond all measure have more words than JSON.
fn strict_word(word: &str) -> Option<String> {
    let is_number = || {
        word.bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
    };
    if serde_json::from_str::<Value>(word).is_ok() {
        return Some(word.to_owned());
    }
    match word
        .trim_start_matches(['-', '+'])
        .to_ascii_lowercase()
        .as_str()
    {
        "true" => Some("true".to_owned()),
        "false" => Some("false".to_owned()),
        "nan" | "infinity" | "inf" | "none" | "undefined" | "nil" => Some("null".to_owned()),
        _ => is_number().then(|| "null".to_owned()),
    }
}

/// The string at the beginning, and how long it was.
fn strict_string(text: &str, out: &mut String) -> Option<usize> {
    let quote = text.chars().next()?;
    out.push('"');
    let mut at = 1;
    loop {
        let rest = text.get(at..)?;
        let c = rest.chars().next()?;
        match (c, unicode(rest)) {
            (end, _) if end == quote => {
                out.push('"');
                return Some(at + 1);
            }
            ('"', _) => {
                out.push_str("\\\"");
                at += 1;
            }
            ('\\', Some(code)) => {
                let length = match SURROGATES.contains(&code) {
                    true if begins_with_pair(rest) => 12,
                    true => {
                        out.extend(char::from_u32(HALF + code - SURROGATES.start));
                        at += 6;
                        continue;
                    }
                    false => 6,
                };
                out.push_str(rest.get(..length)?);
                at += length;
            }
            ('\\', None) => {
                let escaped = rest.chars().nth(1)?;
                match escaped {
                    'u' => return None,
                    '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => out.push('\\'),
                    _ if escaped == quote => {}
                    _ => out.push_str("\\\\"),
                }
                out.push(escaped);
                at += 1 + escaped.len_utf8();
            }
            (control, _) if control.is_control() => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
                at += control.len_utf8();
            }
            (other, _) => {
                out.push(other);
                at += other.len_utf8();
            }
        }
    }
}

/// The code of `\uXXXX` at the beginning.
fn unicode(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all_hex.then(|| u32::from_str_radix(digits, 16).ok())?
}

fn begins_with_pair(escape: &str) -> bool {
    let high = unicode(escape).is_some_and(|code| HIGH_SURROGATES.contains(&code));
    let low = escape.get(6..).and_then(unicode);
    high && low.is_some_and(|low| SURROGATES.contains(&low) && !HIGH_SURROGATES.contains(&low))
}

/// Halves of surrogate pairs in pieces of a text, made whole when they meet; one that stays alone is U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    high: Option<u32>,
}

impl Halves {
    /// The next piece.
    pub(crate) fn join(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            let Some(half) = u32::from(c)
                .checked_sub(HALF)
                .map(|at| SURROGATES.start + at)
            else {
                out.push_str(self.alone());
                out.push(c);
                continue;
            };
            if HIGH_SURROGATES.contains(&half) {
                out.push_str(self.alone());
                self.high = Some(half);
                continue;
            }
            let whole = self.high.take().and_then(|high| {
                let above = (high - HIGH_SURROGATES.start) << 10;
                char::from_u32(0x1_0000 + above + (half - HIGH_SURROGATES.end))
            });
            out.push(whole.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        out
    }

    /// The end.
    pub(crate) fn finish(&mut self) -> &'static str {
        self.alone()
    }

    fn alone(&mut self) -> &'static str {
        if self.high.take().is_some() {
            "\u{FFFD}"
        } else {
            ""
        }
    }
}

/// A whole text with its halves joined.
pub(crate) fn joined(text: &str) -> String {
    let mut halves = Halves::default();
    let mut out = halves.join(text);
    out.push_str(halves.finish());
    out
}

/// A count of tokens, however it is written; what is no count is zero.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` keeps a float within the range and makes zero of what is no number"
)]
pub(crate) fn count(value: Option<&Value>) -> u32 {
    let number = match value {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    number.map_or(0, |number: f64| number.round() as u32)
}

/// A whole number, however it is written: `1`, `1.0`, `"1"`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "`as` keeps a float within the range"
)]
pub(crate) fn whole_number(value: Option<&Value>) -> Option<i64> {
    let number: f64 = match value? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number.fract() == 0.0).then_some(number as i64)
}

/// A text that is no JSON, shortened: of a page its title.
pub(crate) fn told(text: &str) -> String {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("<!doctype") && !lower.starts_with("<html") {
        return short(text);
    }
    let title = lower.find("<title>").and_then(|at| {
        let title = text.get(at + "<title>".len()..)?;
        title.split('<').next()
    });
    let title = title.map_or_else(String::new, |title| {
        format!(", \"{}\"", short(title.trim()))
    });
    format!(
        "a web page{title}; the base URL must be that of an OpenAI-compatible API, usually ending with /v1"
    )
}

pub(crate) fn short(text: &str) -> String {
    text.chars().take(MAX_TOLD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_emoji_in_two_halves_is_made_whole_and_a_half_alone_costs_only_itself() {
        let text = |json_text: &str| json(json_text).unwrap().as_str().unwrap().to_owned();
        let mut halves = Halves::default();
        let mut all = halves.join(&text(r#""Enjoy \ud83c""#));
        all += &halves.join(&text(r#""\udf55 your \"pizza\"\ud83c\udf55.""#));
        all += &halves.join(&text(r#""\udf55\ud83d\\""#));
        all += halves.finish();
        assert_eq!(all, "Enjoy 🍕 your \"pizza\"🍕.\u{FFFD}\u{FFFD}\\");
        assert_eq!(joined(&text(r#""\uD83C""#)), "\u{FFFD}");
        assert_eq!(json(r#""\ud83""#), None);
    }

    #[test]
    fn a_count_is_read_however_it_is_written() {
        let read = |text: &str| count(Some(&json(text).unwrap()));
        assert_eq!(
            [
                "12", "12.0", "\"12\"", "-1", "-35.5", "[]", "\"\"", "null", "1e99"
            ]
            .map(read),
            [12, 12, 12, 0, 0, 0, 0, 0, u32::MAX]
        );
        assert_eq!(count(None), 0);
    }

    #[test]
    fn what_is_no_json_is_read_all_the_same_when_its_meaning_is_clear() {
        let read = |text: &str| json(text).map(|value| value.to_string());
        for (careless, strict) in [
            (
                r#"{"a":NaN,"b":-Infinity,"c":1e999,"d":None}"#,
                r#"{"a":null,"b":null,"c":null,"d":null}"#,
            ),
            (
                "{\"a\": \"one\ttwo\", \"b\": True}",
                r#"{"a":"one\ttwo","b":true}"#,
            ),
            (
                r#"{'a': 'it\'s "so"', 'b': [1,],}"#,
                r#"{"a":"it's \"so\"","b":[1]}"#,
            ),
            (r#"{"a":"\x and \' \n"}"#, r#"{"a":"\\x and \\' \n"}"#),
        ] {
            assert_eq!(read(careless).as_deref(), Some(strict), "{careless}");
        }
        for broken in [
            r#"{"a":"#,
            r#"{"a":what}"#,
            r#"{"a":"\u12"}"#,
            "{]",
            r#"{"a":NaN} x"#,
        ] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn an_event_may_hold_several_values() {
        let a = || Part::Json(serde_json::json!({"a": 1}));
        for (data, expected) in [
            (r#"{"a":1}"#, vec![a()]),
            (r#"{"a":1}{"a":1}"#, vec![a(), a()]),
            ("{\"a\":1}\n{\"a\":\n1}\n[DONE]", vec![a(), a(), Part::Done]),
            (r#"data: data: {"a":1}"#, vec![a()]),
            (r#"error: {"a":1}"#, vec![a()]),
            ("ping\n{\"a\":1}", vec![Part::Unread("ping"), a()]),
            (
                r#"{"a":NaN} {"a":1}"#,
                vec![Part::Json(serde_json::json!({"a": null})), a()],
            ),
            ("<p>\n{\"a\":1}", vec![Part::Unread("<p>\n{\"a\":1}")]),
            (r#"{"a":"#, vec![Part::Unread(r#"{"a":"#)]),
            (" ", vec![]),
        ] {
            assert_eq!(parts(data), expected, "{data}");
        }
    }

    #[test]
    fn a_whole_number_is_read_however_it_is_written() {
        let read = |text: &str| whole_number(json(text).as_ref());
        assert_eq!(
            ["1", "1.0", "\"1\"", "-1"].map(read),
            [Some(1), Some(1), Some(1), Some(-1)]
        );
        assert_eq!(["1.5", "\"x\"", "null", "[]"].map(read), [None; 4]);
    }
}
