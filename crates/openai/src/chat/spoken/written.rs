//! Calls that a model writes into its text instead of sending them, read from what stands between the marks. What is inside
//! differs more than the marks do, so it is read by what it looks like: elements, keys and values, a name before JSON, JSON, or
//! a call as in Python. Nothing that is not whole is taken for whole.

use antiphon_agent::provider::ToolDefinition;
use serde_json::{Map, Value};

use super::json::{json_calls, json_value, offered, plain_name, without_marks};
use super::notation::folded;
use super::python;

/// A call as it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    pub(crate) name: String,
    /// An object as JSON; as far as it came when it is not complete.
    pub(crate) arguments: String,
    /// Nothing of it is missing.
    pub(crate) is_complete: bool,
    /// It may be an example, so it does not run.
    pub(crate) is_quoted: bool,
}

impl Written {
    pub(super) fn whole(name: &str, arguments: &Value) -> Self {
        Self {
            name: name.to_owned(),
            arguments: match arguments {
                Value::Null => "{}".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
            is_complete: true,
            is_quoted: false,
        }
    }

    pub(super) fn cut(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            arguments: text.trim().to_owned(),
            is_complete: false,
            is_quoted: false,
        }
    }
}

/// The calls between two marks, the first mark included. `recipient` is the name that a header gave. `is_closed`: the second
/// mark was there.
pub(super) fn read(
    text: &str,
    recipient: Option<&str>,
    is_closed: bool,
    tools: &[ToolDefinition],
) -> Vec<Written> {
    let unescaped;
    let text = if text.contains("&quot;") || text.contains("&lt;") {
        unescaped = ["&lt;", "&gt;", "&quot;", "&#39;", "&amp;"]
            .iter()
            .zip(["<", ">", "\"", "'", "&"])
            .fold(text.to_owned(), |text, (entity, plain)| {
                text.replace(entity, plain)
            });
        unescaped.as_str()
    } else {
        text
    };
    let elements = elements(text, is_closed, tools);
    if !elements.is_empty() {
        return elements;
    }
    if let Some(call) = tool_element(text, is_closed, tools) {
        return vec![call];
    }
    if folded(text).contains("<arg_key>") || folded(text).contains("_arg_key>") {
        return keys_and_values(text, is_closed, tools)
            .into_iter()
            .collect();
    }
    let found = json_calls(text, recipient, tools);
    if !found.is_empty() {
        return found;
    }
    let found = python::calls(text, tools);
    if !found.is_empty() {
        return found;
    }
    // a name alone: GLM, for a tool without parameters
    let words = without_marks(text);
    let name = plain_name(&words);
    let is_name = is_closed && offered(name, tools);
    is_name
        .then(|| Written::whole(name, &Value::Null))
        .into_iter()
        .collect()
}

/// Elements with the arguments of a call whose name stands in an element before them.
const ARGUMENT_ELEMENTS: [&str; 7] = [
    "arguments",
    "args",
    "parameters",
    "params",
    "tool_input",
    "function_arguments",
    "input",
];

/// `<tool_name>lookup`, and nothing else.
pub(super) fn is_name(text: &str, tools: &[ToolDefinition]) -> bool {
    offered(plain_name(&without_marks(text)), tools)
}

/// May an element with arguments begin here?
pub(super) fn may_open(text: &str) -> bool {
    let text = folded(text.trim_start());
    let opens = |name: &&str| format!("<{name}>").starts_with(&text);
    ARGUMENT_ELEMENTS.iter().any(opens)
}

/// The end of the element that follows a name with its arguments: `<tool_name>lookup</tool_name><tool_input>{…}</tool_input>`.
pub(super) fn arguments_behind(name: &str, rest: &str, tools: &[ToolDefinition]) -> Option<String> {
    let rest = folded(rest.trim_start());
    let opens = |name: &&&str| rest.starts_with(&format!("<{name}>"));
    let element = ARGUMENT_ELEMENTS.iter().find(opens)?;
    is_name(name, tools).then(|| format!("</{element}>"))
}

/// Cline and others: the name of a tool as an element, its arguments as elements in it.
fn tool_element(text: &str, is_closed: bool, tools: &[ToolDefinition]) -> Option<Written> {
    let (tag, after) = next_tag(text.trim_start())?;
    let name = tag.trim_end_matches('/').split_whitespace().next()?;
    let tool = tools
        .iter()
        .find(|tool| tool.name.eq_ignore_ascii_case(name))?;
    let name = tool.name.as_str();
    let mut arguments = Map::new();
    if tag.contains('=') {
        return Some(Written::cut(name, text));
    }
    if tag.ends_with('/') {
        return Some(Written::whole(name, &Value::Object(arguments)));
    }
    let inside = position(after, &format!("</{}", folded(name))).and_then(|end| after.get(..end));
    if let Some((value @ Value::Object(_), _)) = inside.and_then(|inside| json_value(inside.trim()))
    {
        return Some(Written::whole(name, &value));
    }
    let mut rest = inside.unwrap_or_default();
    while let Some((key, after)) = tag_here(rest) {
        let key = key.trim();
        let Some(end) = position(after, &format!("</{}>", folded(key))) else {
            return Some(Written::cut(name, text));
        };
        let value = after.get(..end).unwrap_or_default();
        arguments.insert(key.to_owned(), typed(value, name, key, tools));
        let (_, next) = next_tag(after.get(end..)?)?;
        rest = next;
    }
    let is_whole = is_closed && inside.is_some() && rest.trim().is_empty();
    match (is_whole, arguments.is_empty()) {
        (true, false) => Some(Written::whole(name, &Value::Object(arguments))),
        (true, true) if inside.is_some_and(|inside| inside.trim().is_empty()) => {
            Some(Written::whole(name, &Value::Null))
        }
        (true | false, _) => Some(Written::cut(name, text)),
    }
}

/// Elements whose attribute is the name of a tool.
const ELEMENTS: [&str; 9] = [
    "function",
    "tool_use",
    "invoke",
    "tool_call",
    "function_call",
    "tool",
    "use_tool",
    "call_tool",
    "call",
];

/// `<function=name>…</function>`, `<invoke name="name">…</invoke>`.
fn elements(text: &str, is_closed: bool, tools: &[ToolDefinition]) -> Vec<Written> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((tag, after)) = next_tag(rest) {
        rest = after;
        let Some(name) = ELEMENTS.iter().find_map(|kind| named(tag, kind)) else {
            continue;
        };
        let next = ["<function", "<invoke"]
            .iter()
            .filter_map(|next| position(after, next));
        let end = next
            .map(|at| (at, false))
            .chain(close_of(after, &ELEMENTS).map(|at| (at, true)))
            .min();
        let (inside, is_ended) = match end {
            Some((at, is_ended)) => (after.get(..at).unwrap_or_default(), is_ended),
            None => (after, false),
        };
        found.push(element(
            name,
            inside,
            is_ended || (end.is_none() && is_closed),
            tools,
        ));
        rest = after.get(inside.len()..).unwrap_or_default();
    }
    found
}

/// Where the first closing tag of one of these begins, with or without a prefix: `</invoke>`, `</minimax:invoke>`.
fn close_of(text: &str, names: &[&str]) -> Option<usize> {
    text.match_indices("</").find_map(|(at, open)| {
        let inside = text.get(at + open.len()..)?;
        let end = inside
            .find(|c: char| c == '>' || c.is_whitespace())
            .unwrap_or(inside.len());
        let name = folded(inside.get(..end)?);
        let local = name.rsplit([':', '|']).next().unwrap_or_default();
        names.contains(&local).then_some(at)
    })
}

fn element(name: &str, inside: &str, is_ended: bool, tools: &[ToolDefinition]) -> Written {
    let mut arguments = Map::new();
    let mut rest = inside;
    let mut has_parameters = false;
    // nothing but whole parameters may stand there: the rest of half a one is none
    while let Some((tag, after)) = tag_here(rest) {
        rest = after;
        let Some(key) = named(tag, "parameter").or_else(|| named(tag, "param")) else {
            continue;
        };
        has_parameters = true;
        let end = close_of(after, &["parameter", "param"]);
        let value = end.and_then(|at| after.get(..at));
        let Some(value) = value.filter(|value| !opens_parameter(value)) else {
            return Written::cut(name, inside);
        };
        let value_given = match attribute(tag, "string") {
            Some("true") => Value::String(value.to_owned()),
            Some("false") => plain_value(value),
            Some(_) | None => typed(value, name, key, tools),
        };
        arguments.insert(key.to_owned(), value_given);
        rest = after.get(value.len()..).unwrap_or_default();
    }
    let is_ended = is_ended && (!has_parameters || rest.trim().is_empty());
    let inside = inside.trim();
    if !has_parameters
        && is_ended
        && let Some(values) = children(inside, name, tools)
    {
        return Written::whole(name, &Value::Object(values));
    }
    match (has_parameters, json_value(inside)) {
        (true, _) if is_ended => Written::whole(name, &Value::Object(arguments)),
        (false, Some((value @ Value::Object(_), after))) if after.trim().is_empty() => {
            Written::whole(name, &value)
        }
        (false, _) if inside.is_empty() && is_ended => Written::whole(name, &Value::Null),
        (true | false, _) => Written::cut(name, inside),
    }
}

/// `<city>Oslo</city>` for each argument, and nothing else.
fn children(text: &str, tool: &str, tools: &[ToolDefinition]) -> Option<Map<String, Value>> {
    let mut values = Map::new();
    let mut rest = text;
    while let Some((key, after)) = tag_here(rest) {
        let end = position(after, &format!("</{}>", folded(key)))?;
        let value = after.get(..end)?;
        values.insert(key.to_owned(), typed(value, tool, key, tools));
        rest = next_tag(after.get(end..)?)?.1;
    }
    let known = tools.iter().find(|known| known.name == tool)?;
    let is_known = |key: &String| python::parameters(known).contains(&key.as_str());
    (rest.trim().is_empty() && !values.is_empty() && values.keys().all(is_known)).then_some(values)
}

/// GLM: `name <arg_key>key</arg_key> <arg_value>value</arg_value> …`.
pub(super) fn keys_and_values(
    text: &str,
    is_closed: bool,
    tools: &[ToolDefinition],
) -> Option<Written> {
    let first = position(text, "<arg_key>").or_else(|| position(text, "<longcat_arg_key>"))?;
    let before = text.get(..first)?;
    let name = before.rsplit('>').next().unwrap_or(before).trim();
    let mut arguments = Map::new();
    let mut key: Option<String> = None;
    let mut rest = text.get(first..)?;
    let mut is_whole = is_closed;
    while let Some((tag, after)) = tag_here(rest) {
        rest = after;
        let tag = folded(tag);
        let is_key = tag.ends_with("arg_key");
        if tag.starts_with('/') {
            continue;
        }
        let end = position(after, &format!("</{tag}>"));
        let Some(end) = end.filter(|_| is_key || tag.ends_with("arg_value")) else {
            is_whole = false;
            break;
        };
        let inside = after.get(..end).unwrap_or_default();
        is_whole &= !folded(inside).contains("<arg_") && !folded(inside).contains("<longcat_arg_");
        match (is_key, key.take()) {
            (true, None) => key = Some(inside.trim().to_owned()),
            (false, Some(key)) => {
                let value = typed(inside, name, &key, tools);
                arguments.insert(key, value);
            }
            (true, Some(_)) | (false, None) => is_whole = false,
        }
        rest = after.get(end..).unwrap_or_default();
    }
    is_whole &= rest.trim().is_empty();
    if is_whole && key.is_none() {
        Some(Written::whole(name, &Value::Object(arguments)))
    } else {
        Some(Written::cut(name, text.get(first..)?))
    }
}

/// A value written as text is what the tool's schema says that it is.
pub(super) fn typed(text: &str, tool: &str, key: &str, tools: &[ToolDefinition]) -> Value {
    let text = text.strip_prefix('\n').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let schema = tools
        .iter()
        .find(|known| known.name == tool)
        .and_then(|known| known.parameters.get("properties")?.get(key));
    let is_null = matches!(text.trim(), "null" | "None");
    let takes = |kind| schema.is_some_and(|schema| takes(schema, kind));
    if takes("string") && !(is_null && takes("null")) {
        return Value::String(text.to_owned());
    }
    plain_value(text)
}

/// May a value be of this type?
fn takes(schema: &Value, kind: &str) -> bool {
    let is_kind = |value: &Value| value.as_str() == Some(kind);
    match schema.get("type") {
        Some(Value::Array(kinds)) if kinds.iter().any(is_kind) => return true,
        Some(one) if is_kind(one) => return true,
        Some(_) | None => {}
    }
    let listed = schema.get("enum").and_then(Value::as_array);
    if kind == "string" && listed.is_some_and(|values| values.iter().all(Value::is_string)) {
        return true;
    }
    ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|key| schema.get(*key)?.as_array())
        .flatten()
        .any(|inner| takes(inner, kind))
}

/// JSON or Python's words, else text.
fn plain_value(text: &str) -> Value {
    let plain = match text.trim() {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    };
    serde_json::from_str(plain).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Does another parameter begin in this value, whose end is then missing?
fn opens_parameter(value: &str) -> bool {
    let value = folded(value);
    ["<parameter", "<param", ":parameter ", "|parameter "]
        .iter()
        .any(|open| value.contains(open))
}

/// The inside of the `<…>` with which a text begins, and what follows it.
fn tag_here(text: &str) -> Option<(&str, &str)> {
    let (inside, after) = text.trim_start().strip_prefix('<')?.split_once('>')?;
    (!inside.contains('<')).then_some((inside, after))
}

/// `string="true"`.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = tag.split_once(&format!(" {name}=\""))?;
    Some(value.split_once('"')?.0)
}

/// The inside of the next `<…>`, and what follows it.
fn next_tag(text: &str) -> Option<(&str, &str)> {
    let (_, after) = text.split_once('<')?;
    match after.split_once('>') {
        Some((inside, rest)) if !inside.contains('<') => Some((inside, rest)),
        Some((inside, _)) => {
            // a `<` of the text before
            let at = inside.rfind('<').unwrap_or(0);
            next_tag(after.get(at..)?)
        }
        None => None,
    }
}

/// `kind=value` or `kind name="value" …`, with or without a prefix.
fn named<'a>(tag: &'a str, kind: &str) -> Option<&'a str> {
    let end = tag.find(|c: char| c == '=' || c.is_whitespace())?;
    let (head, value) = tag.split_at(end);
    let head = folded(head);
    let local = head.rsplit([':', '|']).next().unwrap_or_default();
    if local != kind {
        return None;
    }
    let value = value.trim_start();
    let value = match value.strip_prefix('=') {
        Some(value) => value,
        None => {
            value
                .split_once("name=")
                .or_else(|| value.split_once("tool="))?
                .1
        }
    };
    let value = value.trim_start();
    let name = match value.chars().next()? {
        quote @ ('"' | '\'') => value.get(1..)?.split(quote).next()?,
        _ => value.split_whitespace().next()?,
    };
    Some(name.trim())
}

/// Where this is, compared as marks are.
fn position(text: &str, literal: &str) -> Option<usize> {
    super::notation::find(text, &[literal.to_owned()])
        .ok()
        .map(|(at, _)| at)
}
