//! What servers say when they fail, in the shapes in which they say it.

use serde_json::{Map, Value};

use super::wire::{json, told};

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

/// Is this an error, where an answer was expected? `{"error":{…}}`, `{"object":"error",…}`, `{"detail":…}`,
/// `{"message":"…","code":503}`, `{"errors":[…]}`, or a list with one of them. A message alone is a notice: "queued", "warming up".
pub(crate) fn server_error(json: &Value) -> Option<ServerError> {
    match json {
        Value::Array(list) => server_error(list.first()?),
        Value::Object(object) => {
            if let Some(inner) = failure(object) {
                let mut error = described(inner);
                error.status = error.status.or_else(|| status(object));
                return Some(error);
            }
            (!object.contains_key("choices") && says_failure(object)).then(|| described(json))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// What stands in the body of an answer that is an error by its status, and the text itself if it is no JSON.
pub(crate) fn of_body(text: &str) -> ServerError {
    match json(text) {
        Some(json) => server_error(&json).unwrap_or_else(|| described(&json)),
        None => ServerError {
            message: told(text),
            ..ServerError::default()
        },
    }
}

fn failure(object: &Map<String, Value>) -> Option<&Value> {
    // Groq's own error in the middle of an answer stands beside its other data
    let inside = object.get("x_groq").and_then(|own| own.get("error"));
    ["error", "errors"]
        .iter()
        .filter_map(|name| field(object, name))
        .chain(inside)
        .find(|value| is_something(value))
}

/// Does an object with some message say that this is a failure?
fn says_failure(object: &Map<String, Value>) -> bool {
    let has = |names: &[&str]| {
        let mut values = names.iter().filter_map(|name| field(object, name));
        // Ollama's own API has the answer in `message`
        values.any(|value| is_something(value) && !value.is_object())
    };
    if !has(&["detail", "error_message", "message", "msg"]) {
        return false;
    }
    let kinds = ["type", "object", "event", "status", "level", "__type"];
    let mut kinds = kinds
        .iter()
        .filter_map(|name| field(object, name)?.as_str())
        .map(str::to_ascii_lowercase)
        .peekable();
    let is_plain = kinds.peek().is_none();
    let bad = ["error", "exception", "fail", "invalid", "denied"];
    status(object).is_some()
        || kinds.any(|kind| bad.iter().any(|bad| kind.contains(bad)))
        || (is_plain && has(&["detail", "error_message"]))
}

/// A field, whether the server writes `message`, `Message` or `MESSAGE`.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let same = |key: &String| key.eq_ignore_ascii_case(name);
    object.get(name).or_else(|| {
        object
            .iter()
            .find(|(key, _)| same(key))
            .map(|(_, value)| value)
    })
}

/// Is there anything in it? Servers send an empty error with each piece of an answer.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !matches!(text.trim(), "" | "null" | "none" | "None"),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(list) => list.iter().any(is_something),
        Value::Object(object) => {
            // "success" is said in the same field
            let code = field(object, "code")
                .map(Value::to_string)
                .unwrap_or_default();
            let is_good = matches!(code.trim_matches('"'), "0" | "200" | "ok" | "success");
            !is_good && object.values().any(is_something)
        }
        Value::Bool(true) => true,
    }
}

fn described(value: &Value) -> ServerError {
    let Some(object) = value.as_object() else {
        return ServerError {
            message: said(value),
            ..ServerError::default()
        };
    };
    let names = [
        "message",
        "msg",
        "detail",
        "error_message",
        "error_description",
        "errorMessage",
        "error",
        "reason",
        "title",
    ];
    let message = names
        .iter()
        .find_map(|name| field(object, name).filter(|value| is_something(value)));
    let mut message = message.map_or_else(|| value.to_string(), said);
    if let Some(param) = object.get("param").and_then(Value::as_str)
        && !message.contains(param)
    {
        message = format!("{message} ({param})");
    }
    // an aggregator says what the server behind it has said: OpenRouter
    let behind = value.pointer("/metadata/raw").map(|raw| match raw {
        Value::String(text) => of_body(text).message,
        other => described(other).message,
    });
    if let Some(behind) = behind.filter(|behind| !message.contains(behind.as_str())) {
        message = format!("{message}: {behind}");
    }
    // what the model wrote and the server could not read
    if let Some(written) = object.get("failed_generation").and_then(Value::as_str) {
        message = format!("{message}: {written}");
    }
    let code = ["code", "type"]
        .iter()
        .find_map(|name| field(object, name)?.as_str());
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn error(text: &str) -> (Option<u16>, String) {
        let error = server_error(&json(text).unwrap()).unwrap();
        (error.status, error.message)
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

    #[test]
    fn an_error_in_the_middle_of_an_answer_is_found_beside_its_data() {
        let groq = r#"{"choices":[],"x_groq":{"id":"r","error":"over capacity"}}"#;
        assert_eq!(error(groq).1, "over capacity");
        let fine = r#"{"choices":[],"x_groq":{"id":"r"}}"#;
        assert_eq!(server_error(&json(fine).unwrap()), None);
        let call = r#"{"error":{"message":"Failed to call a function.","failed_generation":"<function=x"}}"#;
        assert_eq!(error(call).1, "Failed to call a function.: <function=x");
    }

    #[test]
    fn a_notice_or_an_empty_error_is_no_failure() {
        for fine in [
            r#"{"message":"queued","position":3}"#,
            r#"{"type":"status","message":"still working"}"#,
            r#"{"status":"loading","detail":"model is warming up"}"#,
            r#"{"choices":[],"error":0}"#,
            r#"{"choices":[],"error":""}"#,
            r#"{"choices":[],"error":{"code":null,"message":""}}"#,
            r#"{"choices":[],"errors":[{}]}"#,
        ] {
            assert_eq!(server_error(&json(fine).unwrap()), None, "{fine}");
        }
        let coded = r#"{"message":"stream_options unsupported","code":400}"#;
        assert_eq!(
            error(coded),
            (Some(400), "stream_options unsupported".into())
        );
    }

    #[test]
    fn what_a_body_says_is_found_under_whatever_name_and_however_deep() {
        let aws = r#"{"__type":"ValidationException","Message":"The model is invalid."}"#;
        assert_eq!(error(aws).1, "The model is invalid.");
        assert_eq!(
            of_body(r#"{"message":"no such key"}"#).message,
            "no such key"
        );
        let raw = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"no tools here\"}}"}}}"#;
        assert_eq!(
            error(raw),
            (Some(400), "Provider returned error: no tools here".into())
        );
        assert_eq!(of_body("Bad Gateway\n").message, "Bad Gateway");
    }
}
