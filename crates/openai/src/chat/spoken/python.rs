//! Calls as in Python: `lookup(city="Oslo", days=2)`, alone or in a list, and JSON that is not quite JSON.

use antiphon_agent::provider::ToolDefinition;
use serde_json::{Map, Value};

use super::json::json_value;
use super::lead::Miss;
use super::notation::split_while;
use super::written::Written;

/// Every call of a known tool.
pub(super) fn calls(text: &str, tools: &[ToolDefinition]) -> Vec<Written> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, tool)) = first_call(rest, tools) {
        let inside = rest.get(at..).unwrap_or_default();
        let inside = inside.split_once('(').map_or("", |(_, inside)| inside);
        match arguments(inside) {
            Ok((values, after)) => {
                found.push(called(tool, values, inside));
                rest = after;
            }
            Err(_) => {
                found.push(Written::cut(&tool.name, inside));
                return found;
            }
        }
    }
    found
}

/// Values without keys mean a parameter only when the tool has but one.
pub(super) fn called(tool: &ToolDefinition, arguments: Arguments, text: &str) -> Written {
    let Arguments { mut keyed, bare } = arguments;
    match (bare.as_slice(), parameters(tool).as_slice()) {
        ([], _) => {}
        ([value], [only]) if keyed.is_empty() => {
            keyed.insert((*only).to_owned(), value.clone());
        }
        (_, _) => return Written::cut(&tool.name, text),
    }
    Written::whole(&tool.name, &Value::Object(keyed))
}

/// The names of a tool's parameters.
pub(super) fn parameters(tool: &ToolDefinition) -> Vec<&str> {
    let properties = tool.parameters.get("properties");
    let properties = properties.and_then(Value::as_object).into_iter().flatten();
    properties.map(|(key, _)| key.as_str()).collect()
}

/// Does the inside of a bracket begin as arguments do, and not as words? `None`: it may, when more comes.
pub(super) fn is_like_arguments(text: &str) -> Option<bool> {
    let text = text.trim_start();
    let is_of_key = |c: char| c.is_alphanumeric() || c == '_';
    let after = text.trim_start_matches(is_of_key);
    let has_key = after.len() < text.len();
    let after = after.trim_start_matches(' ');
    let begins = text.starts_with(['"', '\'', '{', '*', ')', '}', '<'])
        || (has_key && after.starts_with(['=', ':']));
    (begins || !after.is_empty()).then_some(begins)
}

/// Where the first call of a known tool begins.
fn first_call<'a>(text: &str, tools: &'a [ToolDefinition]) -> Option<(usize, &'a ToolDefinition)> {
    let found = tools.iter().filter_map(|tool| {
        let name = tool.name.as_str();
        text.match_indices(name).find_map(|(at, _)| {
            let before = text.get(..at)?.chars().next_back();
            let is_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let after = text.get(at + name.len()..)?;
            let after = after.strip_prefix(".call").unwrap_or(after);
            (!is_word && after.trim_start().starts_with('(')).then_some((at, tool))
        })
    });
    found.min_by_key(|(at, _)| *at)
}

/// What stands in the brackets of a call.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) keyed: Map<String, Value>,
    /// Values without a key.
    pub(super) bare: Vec<Value>,
}

/// `key=value, …)`, and what follows.
pub(super) fn arguments(text: &str) -> Result<(Arguments, &str), Miss> {
    let mut found = Arguments::default();
    let mut rest = text.trim_start();
    // all of them as one object
    let object = rest.trim_start_matches('*');
    if object.starts_with('{') {
        let Some((value, after)) = json_value(object) else {
            // it has an end and is none
            let is_whole = relaxed(object).is_some();
            return Err(if is_whole { Miss::Not } else { Miss::More });
        };
        let Value::Object(values) = value else {
            return Err(Miss::Not);
        };
        found.keyed = values;
        rest = after.trim_start();
        return match rest.strip_prefix(')') {
            Some(after) => Ok((found, after)),
            None if rest.is_empty() => Err(Miss::More),
            None => Err(Miss::Not),
        };
    }
    loop {
        if let Some(after) = rest.strip_prefix(')') {
            return Ok((found, after));
        }
        let is_of_key = |c: char| c.is_alphanumeric() || c == '_';
        let (key, after) = split_while(rest, is_of_key);
        let keyed = after.trim_start().strip_prefix(['=', ':']);
        let after = match keyed.filter(|_| !key.is_empty()) {
            Some(text) => {
                let (value, after) = literal(text.trim_start())?;
                found.keyed.insert(key.to_owned(), value);
                after
            }
            None => {
                let (value, after) = literal(rest)?;
                found.bare.push(value);
                after
            }
        };
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if rest.starts_with(')') => rest,
            None if rest.is_empty() => return Err(Miss::More),
            None => return Err(Miss::Not),
        };
    }
}

/// A string, number, word, list or dict, and what follows it.
fn literal(text: &str) -> Result<(Value, &str), Miss> {
    if text.starts_with(['{', '[']) {
        // what has an end and is no value is none
        let miss = relaxed(text).map_or(Miss::More, |_| Miss::Not);
        return json_value(text).ok_or(miss);
    }
    if text.starts_with(['"', '\'']) {
        let (json, length) = relaxed_string(text).ok_or(Miss::More)?;
        let value = serde_json::from_str(&json).map_err(|_| Miss::Not)?;
        return Ok((value, text.get(length..).unwrap_or_default()));
    }
    let end = text.find([',', ')', ']', '}']).ok_or(Miss::More)?;
    let (word, after) = text.split_at(end);
    let value = match word.trim() {
        "True" | "true" => Value::Bool(true),
        "False" | "false" => Value::Bool(false),
        "None" | "null" => Value::Null,
        number => {
            let number = serde_json::from_str(number).ok();
            number.filter(Value::is_number).ok_or(Miss::Not)?
        }
    };
    Ok((value, after))
}

/// A quoted string as JSON has it, and how long it was.
fn relaxed_string(text: &str) -> Option<(String, usize)> {
    let quote = text.chars().next()?;
    let mut out = String::from('"');
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let (_, escaped) = chars.next()?;
                if escaped != '\'' {
                    out.push('\\');
                }
                out.push(escaped);
            }
            '\n' => out.push_str("\\n"),
            c if c == quote => {
                out.push('"');
                return Some((out, at + c.len_utf8()));
            }
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    None
}

/// Marks that stand for quotes: FunctionGemma, Gemma 4.
const QUOTES: [&str; 2] = ["<escape>", "<|\"|>"];

/// An object or list with bare keys, single quotes, Python's words or Gemma's quotes, as JSON; and how long it was. `None`: it
/// does not end.
pub(super) fn relaxed(text: &str) -> Option<(String, usize)> {
    let mut out = String::with_capacity(text.len());
    let mut open = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let c = rest.chars().next()?;
        if let Some(mark) = QUOTES.iter().find(|mark| rest.starts_with(**mark)) {
            let inside = rest.get(mark.len()..)?;
            let end = inside.find(mark)?;
            out.push_str(&Value::String(inside.get(..end)?.to_owned()).to_string());
            at += mark.len() * 2 + end;
            continue;
        }
        if matches!(c, '"' | '\'') {
            let (string, length) = relaxed_string(rest)?;
            out.push_str(&string);
            at += length;
            continue;
        }
        if c.is_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))?;
            let word = rest.get(..end)?;
            out.push_str(&match word {
                "True" | "true" => "true".to_owned(),
                "False" | "false" => "false".to_owned(),
                "None" | "null" => "null".to_owned(),
                // an exponent stands after a digit; everything else is a key
                other if out.ends_with(|c: char| c.is_ascii_digit()) => other.to_owned(),
                key => Value::String(key.to_owned()).to_string(),
            });
            at += end;
            continue;
        }
        match c {
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => {
                let kept = out.trim_end().trim_end_matches(',').len();
                out.truncate(kept);
                if open.pop() != Some(c) {
                    return None;
                }
            }
            _ if open.is_empty() => return None,
            _ => {}
        }
        out.push(c);
        at += c.len_utf8();
        if open.is_empty() {
            return Some((out, at));
        }
    }
}
