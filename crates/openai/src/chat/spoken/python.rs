//! Calls as in Python: `lookup(city="Oslo", days=2)`, alone or in a list, and JSON that is not quite JSON.

use antiphon_agent::provider::ToolDefinition;
use serde_json::{Map, Value};

use super::json::json_value;
use super::written::Written;

/// Every call of a known tool.
pub(super) fn calls(text: &str, tools: &[ToolDefinition]) -> Vec<Written> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, tool)) = first_call(rest, tools) {
        let inside = rest.get(at..).unwrap_or_default();
        let arguments = inside
            .split_once('(')
            .map_or("", |(_, arguments)| arguments);
        match keywords(arguments) {
            Some((values, after)) => {
                found.push(Written::whole(tool, &Value::Object(values)));
                rest = after;
            }
            None => {
                found.push(Written::cut(tool, arguments));
                return found;
            }
        }
    }
    found
}

/// What some models write before a name.
const PREFIXES: [&str; 6] = [
    "print(",
    "default_api.",
    "functions.",
    "tools.",
    "api.",
    "await ",
];

/// Does a text begin with a call of a known tool? `None`: it may, when more comes.
pub(super) fn begins_call(text: &str, tools: &[ToolDefinition]) -> Option<bool> {
    let rest = without_prefixes(text);
    let opens = |tool: &ToolDefinition| {
        rest.strip_prefix(tool.name.as_str())
            .is_some_and(|after| after.starts_with('(') || after.starts_with(".call("))
    };
    if tools.iter().any(opens) {
        return Some(true);
    }
    let may_be = |literal: &str| literal.starts_with(rest);
    let open = PREFIXES.iter().any(|prefix| may_be(prefix))
        || tools
            .iter()
            .any(|tool| may_be(&tool.name) || may_be(&format!("{}.call(", tool.name)));
    if open { None } else { Some(false) }
}

/// The name of the tool whose call a text begins with.
pub(super) fn name_of(text: &str, tools: &[ToolDefinition]) -> Option<String> {
    let (_, name) = first_call(text, tools).filter(|_| begins_call(text, tools) == Some(true))?;
    Some(name.to_owned())
}

fn without_prefixes(text: &str) -> &str {
    let mut rest = text.strip_prefix('[').unwrap_or(text).trim_start();
    while let Some(after) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = after;
    }
    rest
}

/// The calls at the beginning of a text, one after the other, and where they end. `None`: the first has no end.
pub(super) fn sequence(text: &str, tools: &[ToolDefinition]) -> Option<(Vec<Written>, usize)> {
    let mut found = Vec::new();
    let mut end = 0;
    loop {
        let rest = text.get(end..)?;
        let start = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
        if begins_call(start, tools) != Some(true) {
            return (!found.is_empty()).then_some((found, end));
        }
        let (_, name) = first_call(start, tools)?;
        let (_, arguments) = without_prefixes(start).split_once('(')?;
        let (values, after) = match keywords(arguments) {
            Some(whole) => whole,
            // the last one is half, or is none
            None => return (!found.is_empty()).then_some((found, end)),
        };
        let closing = after.trim_start_matches([' ', ')', ']']);
        found.push(Written::whole(name, &Value::Object(values)));
        end = text.len() - closing.len();
    }
}

/// Where the first call of a known tool begins.
fn first_call<'a>(text: &str, tools: &'a [ToolDefinition]) -> Option<(usize, &'a str)> {
    let found = tools.iter().filter_map(|tool| {
        let name = tool.name.as_str();
        text.match_indices(name).find_map(|(at, _)| {
            let before = text.get(..at)?.chars().next_back();
            let is_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let after = text.get(at + name.len()..)?;
            let after = after.strip_prefix(".call").unwrap_or(after);
            (!is_word && after.trim_start().starts_with('(')).then_some((at, name))
        })
    });
    found.min()
}

/// `key=value, …)`; `None`: it does not end, or has values without a key.
fn keywords(text: &str) -> Option<(Map<String, Value>, &str)> {
    let mut values = Map::new();
    let mut rest = text.trim_start();
    // all of them as one object
    let object = rest.trim_start_matches('*');
    if object.starts_with('{')
        && let (Value::Object(values), after) = json_value(object)?
    {
        return Some((values, after.trim_start().strip_prefix(')')?));
    }
    loop {
        if let Some(after) = rest.strip_prefix(')') {
            return Some((values, after));
        }
        let (key, after) = rest.split_once('=')?;
        let key = key.trim();
        if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let (value, after) = literal(after.trim_start())?;
        values.insert(key.to_owned(), value);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if rest.starts_with(')') => rest,
            None => return None,
        };
    }
}

/// A string, number, word, list or dict, and what follows it.
fn literal(text: &str) -> Option<(Value, &str)> {
    if text.starts_with(['{', '[']) {
        return json_value(text);
    }
    if text.starts_with(['"', '\'']) {
        let (json, length) = relaxed_string(text)?;
        return Some((serde_json::from_str(&json).ok()?, text.get(length..)?));
    }
    let end = text.find([',', ')', ']', '}'])?;
    let (word, after) = text.split_at(end);
    let value = match word.trim() {
        "True" | "true" => Value::Bool(true),
        "False" | "false" => Value::Bool(false),
        "None" | "null" => Value::Null,
        number => serde_json::from_str(number).ok().filter(Value::is_number)?,
    };
    Some((value, after))
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
