//! The model's arguments: JSON, almost always. Parsed strictly first; what weaker models do to whole JSON (code fences, leaked
//! template tokens, JSON inside a string, a comma too many, Python's words, the same object twice) is repaired. What is not
//! whole is never completed: nobody knows whether the 1 at its end was a 12. That, and everything else, goes back to the model
//! as text.

use serde_json::Value;

/// The longest arguments that are looked at, in bytes. A model that writes more has gone astray.
pub const LIMIT: usize = 64 * 1024;
/// Mistakes told to the model at once.
pub(crate) const MISTAKES_SHOWN: usize = 5;
/// JSON inside strings inside strings: as deep as is unwrapped.
const UNWRAP_DEPTH: usize = 3;

/// The arguments as a JSON object.
///
/// # Errors
/// What is wrong with them, for the model.
pub fn parse(text: &str) -> Result<Value, String> {
    if text.len() > LIMIT {
        return Err(format!("they are longer than {LIMIT} bytes"));
    }
    let strict = match serde_json::from_str::<Value>(text) {
        Ok(value) => object(value, UNWRAP_DEPTH),
        Err(error) => Err(error.to_string()),
    };
    strict.or_else(|mistake| {
        let value = repaired(text).ok_or(mistake)?;
        object(value, UNWRAP_DEPTH)
    })
}

/// The same arguments as the history shall hold them: valid JSON, whatever the model wrote, because some servers parse the
/// history again and would refuse every later request.
pub fn canonical(text: &str) -> String {
    match parse(text) {
        Ok(value) => value.to_string(),
        Err(_) => {
            let mut text = text.to_owned();
            crate::handle::truncate(&mut text, LIMIT);
            Value::String(text).to_string()
        }
    }
}

/// Null means no arguments; a string may hold JSON.
fn object(value: Value, depth: usize) -> Result<Value, String> {
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        Value::String(inner) if depth > 0 => match serde_json::from_str::<Value>(&inner) {
            Ok(value) => object(value, depth - 1),
            Err(error) => object(
                repaired(&inner).ok_or_else(|| error.to_string())?,
                depth - 1,
            ),
        },
        Value::String(_) => Err(String::from("they are a string, not a JSON object")),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(String::from("they are not a JSON object"))
        }
    }
}

/// A little repair of what is whole; `None`: it is not, or holds something else.
fn repaired(text: &str) -> Option<Value> {
    let text = without_template_tokens(text);
    let text = text
        .trim()
        .trim_start_matches("```json")
        .trim_start_matches("```")
        .trim_end_matches("```")
        .trim();
    if text.is_empty() {
        return Some(Value::Object(serde_json::Map::new()));
    }
    let (first, mut rest) = whole(text)?;
    // some servers send the object twice; two that differ are no arguments
    while !rest.trim().is_empty() {
        let (again, after) = whole(rest.trim())?;
        if again != first {
            return None;
        }
        rest = after;
    }
    Some(first)
}

/// The value at the beginning of a text, and what follows it.
fn whole(text: &str) -> Option<(Value, &str)> {
    let (mended, end) = mend(text)?;
    let value = serde_json::from_str(&mended).ok()?;
    Some((value, text.get(end..)?))
}

/// Leave out `<|…|>` and `<start_of_turn>` and its like.
fn without_template_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let token = if from.starts_with("<|") {
            from.find("|>").map(|end| end + 2)
        } else {
            None
        };
        let token = token.or_else(|| {
            [
                "<start_of_turn>",
                "<end_of_turn>",
                "<tool_call>",
                "</tool_call>",
                "</s>",
                "<s>",
            ]
            .iter()
            .find(|token| from.starts_with(**token))
            .map(|token| token.len())
        });
        let skip = token.unwrap_or_else(|| {
            out.push('<');
            1
        });
        rest = from.get(skip..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// One pass outside of strings up to the end of the first value: drop commas before a closing bracket, translate Python's
/// words. Gives the value, and where in the text it ends; `None`: it does not end.
fn mend(text: &str) -> Option<(String, usize)> {
    let mut out = String::with_capacity(text.len());
    let mut open: Vec<char> = Vec::new();
    let mut chars = text.char_indices();
    let mut in_string = false;
    while let Some((at, c)) = chars.next() {
        if in_string {
            match c {
                '\\' => {
                    let (_, escaped) = chars.next()?;
                    out.push(c);
                    out.push(escaped);
                    continue;
                }
                '"' => in_string = false,
                '\n' => {
                    out.push_str("\\n");
                    continue;
                }
                _ => {}
            }
            out.push(c);
        } else {
            let rest = text.get(at..).unwrap_or_default();
            let word = [("True", "true"), ("False", "false"), ("None", "null")]
                .iter()
                .find(|(python, _)| rest.starts_with(python));
            match (c, word) {
                (_, Some((python, json))) => {
                    out.push_str(json);
                    for _ in 1..python.len() {
                        chars.next();
                    }
                    continue;
                }
                ('"', _) => in_string = true,
                ('{', _) => open.push('}'),
                ('[', _) => open.push(']'),
                ('}' | ']', _) => {
                    drop_comma(&mut out);
                    if open.pop() != Some(c) {
                        return None;
                    }
                }
                _ => {}
            }
            out.push(c);
        }
        if open.is_empty() && !in_string {
            return matches!(c, '}' | ']' | '"').then_some((out, at + c.len_utf8()));
        }
    }
    None
}

fn drop_comma(out: &mut String) {
    let kept = out.trim_end().trim_end_matches(',').len();
    out.truncate(kept);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::string_slice)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_of_weak_models_are_understood() {
        let cases = [
            (r#"{"a": 1}"#, json!({"a": 1})),
            ("", json!({})),
            ("null", json!({})),
            (r#""{\"a\": 1}""#, json!({"a": 1})),
            ("```json\n{\"a\": 1}\n```", json!({"a": 1})),
            (r#"<|python_tag|>{"a": 1}<|eom_id|>"#, json!({"a": 1})),
            (r#"{"a": 1, "b": [1, 2,], }"#, json!({"a": 1, "b": [1, 2]})),
            (r#"{"a": True, "b": None}"#, json!({"a": true, "b": null})),
            (
                r#"{"a": "it is None, 1 < 2",}"#,
                json!({"a": "it is None, 1 < 2"}),
            ),
            ("{\"a\": \"two\nlines\"}", json!({"a": "two\nlines"})),
            (r#"{"a": 1}{"a": 1}"#, json!({"a": 1})),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn arguments_that_were_cut_off_are_never_completed() {
        let whole = r#"{"name":"Kim \"L\" Larsen","party":12,"at":[1,{"x":true}],"note":null}"#;
        for cut in 1..whole.len() {
            let text = &whole[..cut];
            assert!(parse(text).is_err(), "{text}");
            let fenced = format!("```json\n{text}\n```");
            assert!(parse(&fenced).is_err(), "{fenced}");
            let encoded = Value::String(text.to_owned()).to_string();
            assert!(parse(&encoded).is_err(), "{encoded}");
            let half = encoded.trim_end_matches('"');
            assert!(parse(half).is_err(), "{half}");
            let kept: Value = serde_json::from_str(&canonical(text)).unwrap();
            assert_eq!(kept, json!(text));
        }
    }

    #[test]
    fn what_is_no_object_is_refused_in_words() {
        for text in [
            "[1]",
            "3",
            "\"hello\"",
            "{a: 1}",
            "hello",
            r#"{"a": 1}{"a": 2}"#,
            r#"{"a": 1} and more"#,
            r#"{"a": [1}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
            let kept: Value = serde_json::from_str(&canonical(text)).unwrap();
            assert_eq!(kept, json!(text));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_kept_as_valid_json(text in ".{0,200}") {
            let _ = parse(&text);
            prop_assert!(serde_json::from_str::<Value>(&canonical(&text)).is_ok());
        }

        #[test]
        fn json_cut_anywhere_is_read_without_panic(cut in 0usize..60) {
            let text = r#"{"name": "Ada \"L\"", "size": [1, {"x": None}], "b": "é"}"#;
            let _ = parse(text.get(..cut).unwrap_or(text));
        }

        #[test]
        fn good_json_is_left_as_it_is(key in "[a-z]{1,8}", value in ".{0,40}", number in any::<i64>()) {
            let object = json!({ key: { "text": value, "number": number } });
            prop_assert_eq!(parse(&object.to_string()), Ok(object));
        }
    }
}
