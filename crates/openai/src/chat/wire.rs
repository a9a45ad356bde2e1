//! What servers write, read field by field: a field that cannot be read costs that field, a line that cannot be read costs
//! that line. Also what they say when they fail, in the shapes in which they say it.

use serde_json::{Map, Value};

/// How much of a text that nobody can use is told.
const MAX_TOLD_CHARS: usize = 200;
/// Half of a surrogate pair that stands alone in JSON becomes one of these private characters (U+10F800 to U+10FFFF), because a
/// Rust text cannot hold it. [`Halves`] makes a character of two that meet.
const HALF: u32 = 0x10_F800;
const HIGH_SURROGATES: std::ops::Range<u32> = 0xD800..0xDC00;
const SURROGATES: std::ops::Range<u32> = 0xD800..0xE000;

/// JSON; lone halves of surrogate pairs in it do not matter.
pub(crate) fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text)
        .ok()
        .or_else(|| serde_json::from_str(&with_halves(text)?).ok())
}

/// `None`: there is no half in it.
fn with_halves(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let length = match unicode(escape) {
            Some(code) if SURROGATES.contains(&code) && !begins_with_pair(escape) => {
                out.extend(char::from_u32(HALF + code - SURROGATES.start));
                found = true;
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            Some(code) if SURROGATES.contains(&code) => 12,
            Some(_) => 6,
            None => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (taken, after) = escape.split_at_checked(length)?;
        out.push_str(taken);
        rest = after;
    }
    out.push_str(rest);
    found.then_some(out)
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

/// What a server says about its failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// An HTTP status of 400 to 599, if it says one.
    pub(crate) status: Option<u16>,
    /// `insufficient_quota`, …
    pub(crate) code: Option<String>,
    /// In its words, with the name of the parameter that it is about.
    pub(crate) message: String,
}

/// Is this an error, in any of the shapes that servers have for it? `{"error":{…}}`, `{"error":"…"}`, `{"object":"error",…}`,
/// `{"detail":…}`, `{"message":"…"}`, `{"errors":[…]}`, or a list with one of them.
pub(crate) fn server_error(json: &Value) -> Option<ServerError> {
    match json {
        Value::Array(list) => server_error(list.first()?),
        Value::Object(object) => {
            let said = ["error", "errors"]
                .iter()
                .filter_map(|name| object.get(*name))
                .find(|value| is_something(value));
            if let Some(inner) = said {
                let mut error = described(inner);
                error.status = error.status.or_else(|| status(object));
                return Some(error);
            }
            // Ollama's own API has the answer in `message`
            let looks_like_one = ["detail", "message", "msg", "error_message"]
                .iter()
                .filter_map(|name| object.get(*name))
                .any(|value| is_something(value) && !value.is_object());
            (!object.contains_key("choices") && looks_like_one).then(|| described(json))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

fn described(value: &Value) -> ServerError {
    let Some(object) = value.as_object() else {
        let message = said(value);
        return ServerError {
            message,
            ..ServerError::default()
        };
    };
    let names = [
        "message",
        "msg",
        "detail",
        "error_message",
        "error_description",
        "error",
        "reason",
        "title",
    ];
    let message = names
        .iter()
        .find_map(|name| object.get(*name).filter(|value| is_something(value)));
    let mut message = message.map_or_else(|| value.to_string(), said);
    if let Some(param) = object.get("param").and_then(Value::as_str)
        && !message.contains(param)
    {
        message = format!("{message} ({param})");
    }
    let code = object.get("code").and_then(Value::as_str);
    ServerError {
        status: status(object),
        code: code.map(str::to_owned),
        message,
    }
}

/// A text; of a list of FastAPI's findings where they are and what they say.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let each = list.iter().map(|entry| {
                let place = entry.get("loc").and_then(Value::as_array).map(|path| {
                    let path: Vec<String> = path.iter().map(said).collect();
                    path.join(".") + ": "
                });
                let what = entry.get("msg").or_else(|| entry.get("message"));
                place.unwrap_or_default() + &what.map_or_else(|| said(entry), said)
            });
            each.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

fn status(object: &Map<String, Value>) -> Option<u16> {
    let number = |value: &Value| match value {
        Value::Number(number) => number
            .as_u64()
            .and_then(|status| u16::try_from(status).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    ["code", "status", "status_code"]
        .iter()
        .filter_map(|name| number(object.get(*name)?))
        .find(|status| (400..600).contains(status))
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

    fn error(text: &str) -> (Option<u16>, String) {
        let error = server_error(&json(text).unwrap()).unwrap();
        (error.status, error.message)
    }

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
    fn a_server_is_understood_in_whatever_shape_it_fails() {
        assert_eq!(
            error(r#"{"error":{"message":"no","code":503}}"#),
            (Some(503), "no".into())
        );
        assert_eq!(
            error(r#"{"error":"no","status":429}"#),
            (Some(429), "no".into())
        );
        let vllm = r#"{"object":"error","message":"engine","type":"X","param":null,"code":500}"#;
        assert_eq!(error(vllm), (Some(500), "engine".into()));
        assert_eq!(
            error(r#"{"detail":"Not Found"}"#),
            (None, "Not Found".into())
        );
        let fastapi = r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs","input":{"a":1}}]}"#;
        assert_eq!(error(fastapi).1, "body.stream_options: Extra inputs");
        assert_eq!(
            error(r#"[{"error":{"code":400,"message":"bad"}}]"#),
            (Some(400), "bad".into())
        );
        let named = r#"{"error":{"message":"Unsupported parameter.","param":"reasoning_effort","code":"unsupported"}}"#;
        assert_eq!(error(named).1, "Unsupported parameter. (reasoning_effort)");
        for fine in [
            r#"{"choices":[],"message":"x"}"#,
            r#"{"message":{"content":"Hi"}}"#,
            r#"{"error":null,"id":"1"}"#,
            "[]",
            "7",
        ] {
            assert_eq!(server_error(&json(fine).unwrap()), None, "{fine}");
        }
        let page = "<!DOCTYPE html><html><head><title>Sign in</title></head></html>";
        assert!(told(page).starts_with("a web page, \"Sign in\""));
        assert_eq!(told(" Bad Gateway\n"), "Bad Gateway");
    }
}
