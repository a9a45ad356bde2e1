//! Calls that a model writes into its text instead of sending them, read from what stands between the marks. What is inside
//! differs more than the marks do, so it is read by what it looks like: elements, keys and values, a name before JSON, JSON, or
//! a call as in Python. Nothing that is not whole is taken for whole.

use antiphon_agent::provider::ToolDefinition;
use serde_json::{Map, Value};

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
        }
    }

    fn cut(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            arguments: text.trim().to_owned(),
            is_complete: false,
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

/// Cline and others: the name of a tool as an element, its arguments as elements in it.
fn tool_element(text: &str, is_closed: bool, tools: &[ToolDefinition]) -> Option<Written> {
    let (tag, after) = next_tag(text.trim_start())?;
    let name = tag.trim_end_matches('/').split_whitespace().next()?;
    let tool = tools
        .iter()
        .find(|tool| tool.name.eq_ignore_ascii_case(name))?;
    let name = tool.name.as_str();
    let mut arguments = Map::new();
    let mut rest = after;
    if tag.ends_with('/') {
        return Some(Written::whole(name, &Value::Object(arguments)));
    }
    let inside = position(after, &format!("</{}", folded(name))).and_then(|end| after.get(..end));
    if let Some((value @ Value::Object(_), _)) = inside.and_then(|inside| json_value(inside.trim()))
    {
        return Some(Written::whole(name, &value));
    }
    while let Some((key, after)) = next_tag(rest).filter(|_| is_closed) {
        if key.starts_with('/') {
            break;
        }
        let key = key.trim();
        let Some(end) = position(after, &format!("</{}", folded(key))) else {
            return Some(Written::cut(name, text));
        };
        let value = after.get(..end).unwrap_or_default();
        arguments.insert(key.to_owned(), typed(value, name, key, tools));
        let (_, next) = next_tag(after.get(end..)?)?;
        rest = next;
    }
    match (is_closed && inside.is_some(), arguments.is_empty()) {
        (true, false) => Some(Written::whole(name, &Value::Object(arguments))),
        (true, true) if inside.is_some_and(|inside| inside.trim().is_empty()) => {
            Some(Written::whole(name, &Value::Null))
        }
        (true | false, _) => Some(Written::cut(name, text)),
    }
}

/// Elements whose attribute is the name of a tool.
const ELEMENTS: [&str; 4] = ["function", "invoke", "tool_call", "function_call"];

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
    while let Some((tag, after)) = next_tag(rest) {
        rest = after;
        let Some(key) = named(tag, "parameter").or_else(|| named(tag, "param")) else {
            continue;
        };
        has_parameters = true;
        let end = close_of(after, &["parameter", "param"]);
        let Some(value) = end.and_then(|at| after.get(..at)) else {
            return Written::cut(name, inside);
        };
        arguments.insert(key.to_owned(), typed(value, name, key, tools));
        rest = after.get(value.len()..).unwrap_or_default();
    }
    let inside = inside.trim();
    match (has_parameters, json_value(inside)) {
        (true, _) if is_ended => Written::whole(name, &Value::Object(arguments)),
        (false, Some((value @ Value::Object(_), after))) if after.trim().is_empty() => {
            Written::whole(name, &value)
        }
        (false, _) if inside.is_empty() && is_ended => Written::whole(name, &Value::Null),
        (true | false, _) => Written::cut(name, inside),
    }
}

/// GLM: `name <arg_key>key</arg_key> <arg_value>value</arg_value> …`.
fn keys_and_values(text: &str, is_closed: bool, tools: &[ToolDefinition]) -> Option<Written> {
    let first = position(text, "<arg_key>").or_else(|| position(text, "<longcat_arg_key>"))?;
    let before = text.get(..first)?;
    let name = before.rsplit('>').next().unwrap_or(before).trim();
    let mut arguments = Map::new();
    let mut key: Option<String> = None;
    let mut rest = text.get(first..)?;
    let mut is_whole = is_closed;
    while let Some((tag, after)) = next_tag(rest) {
        rest = after;
        let tag = folded(tag);
        let is_key = tag.ends_with("arg_key");
        if tag.starts_with('/') || !(is_key || tag.ends_with("arg_value")) {
            continue;
        }
        let Some(end) = position(after, "</") else {
            is_whole = false;
            break;
        };
        let inside = after.get(..end).unwrap_or_default();
        match (is_key, key.take()) {
            (true, _) => key = Some(inside.trim().to_owned()),
            (false, Some(key)) => {
                let value = typed(inside, name, &key, tools);
                arguments.insert(key, value);
            }
            (false, None) => {}
        }
        rest = after.get(end..).unwrap_or_default();
    }
    if is_whole && key.is_none() {
        Some(Written::whole(name, &Value::Object(arguments)))
    } else {
        Some(Written::cut(name, text.get(first..)?))
    }
}

/// JSON that says which tool, alone or in a list, or a name before JSON.
fn json_calls(text: &str, recipient: Option<&str>, tools: &[ToolDefinition]) -> Vec<Written> {
    let mut found = Vec::new();
    let mut name: Option<String> = recipient.map(|name| plain_name(name).to_owned());
    let mut rest = text;
    while let Some(at) = json_begins(rest) {
        let (before, json) = rest.split_at(at);
        name = name_before(before, tools).or(name);
        let Some((value, after)) = json_value(json) else {
            let said = name_inside(json).or(name);
            found.extend(said.map(|name| Written::cut(&name, json)));
            return found;
        };
        rest = after;
        match (&value, &name) {
            (Value::Array(list), _) if list.iter().any(|entry| call_of(entry, tools).is_some()) => {
                found.extend(list.iter().filter_map(|entry| call_of(entry, tools)));
            }
            (value, None) => found.extend(call_of(value, tools)),
            // a name before, and a call inside all the same: `lookup` cannot have a `name` and `arguments` by chance
            (Value::Object(object), Some(_))
                if object.len() == 2
                    && call_of(&value, tools).is_some_and(|call| offered(&call.name, tools)) =>
            {
                found.extend(call_of(&value, tools));
            }
            (value @ Value::Object(_), Some(name)) => found.push(Written::whole(name, value)),
            (_, Some(_)) => {}
        }
        name = None;
    }
    found
}

/// Keys of a call's name, and of its arguments.
const NAME_KEYS: [&str; 7] = [
    "name",
    "tool_name",
    "function",
    "tool",
    "recipient_name",
    "function_name",
    "action",
];
const ARGUMENT_KEYS: [&str; 10] = [
    "arguments",
    "parameters",
    "args",
    "params",
    "input",
    "kwargs",
    "tool_input",
    "action_input",
    "tool_arguments",
    "function_arguments",
];
/// Keys of what holds calls and nothing else.
const HOLDERS: [&str; 7] = [
    "tool_calls",
    "tool_call",
    "tool_uses",
    "function_call",
    "function_calls",
    "calls",
    "function",
];

/// `{"name": …, "arguments": {…}}` and its relatives, among them `{"lookup": {…}}`.
pub(super) fn call_of(value: &Value, tools: &[ToolDefinition]) -> Option<Written> {
    let object = value.as_object()?;
    if let (1, Some((name, arguments @ Value::Object(_)))) = (object.len(), object.iter().next())
        && offered(name, tools)
    {
        return Some(Written::whole(name, arguments));
    }
    let inner = object
        .get("function")
        .and_then(Value::as_object)
        .unwrap_or(object);
    let name = NAME_KEYS
        .iter()
        .find_map(|key| inner.get(*key).and_then(Value::as_str))?;
    let arguments = ARGUMENT_KEYS.iter().find_map(|key| inner.get(*key));
    Some(Written::whole(
        plain_name(name),
        arguments.unwrap_or(&Value::Null),
    ))
}

/// The same, alone, in a list or in a holder, and nothing else beside it: a text of which nobody says that it is a call.
pub(super) fn calls_alone(value: &Value, tools: &[ToolDefinition]) -> Option<Vec<Written>> {
    if let Value::Array(list) = value {
        let calls: Option<Vec<Vec<Written>>> =
            list.iter().map(|entry| calls_alone(entry, tools)).collect();
        return Some(calls?.concat());
    }
    let object = value.as_object()?;
    let is_empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
    let harmless = [
        "type",
        "id",
        "call_id",
        "index",
        "role",
        "tool_call_id",
        "thought",
        "thoughts",
    ];
    let keys: Vec<&str> = object
        .iter()
        .filter(|(key, value)| !harmless.contains(&key.as_str()) && !is_empty(value))
        .map(|(key, _)| key.as_str())
        .collect();
    let names = |key: &str| NAME_KEYS.contains(&key);
    let holds = |key: &str| ARGUMENT_KEYS.contains(&key);
    let is_call = match keys.as_slice() {
        [one] if HOLDERS.contains(one) && !object.get(*one).is_some_and(Value::is_string) => {
            return calls_alone(object.get(*one)?, tools);
        }
        // `name` alone may be anybody's
        [one] => offered(one, tools) || (names(one) && *one != "name"),
        [one, other] => (names(one) && holds(other)) || (holds(one) && names(other)),
        _ => false,
    };
    let mut call = call_of(value, tools).filter(|_| is_call)?;
    let arguments = serde_json::from_str::<Value>(&call.arguments).ok();
    call.is_complete = arguments.is_some_and(|arguments| arguments.is_object());
    (call.is_complete || offered(&call.name, tools)).then(|| vec![call])
}

pub(super) fn offered(name: &str, tools: &[ToolDefinition]) -> bool {
    tools.iter().any(|tool| tool.name == name)
}

/// `functions.lookup:0` is `lookup`.
pub(super) fn plain_name(name: &str) -> &str {
    let name = name.trim();
    let name = ["functions.", "default_api."]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    let name = name.split(':').next().unwrap_or(name);
    name.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
}

/// The name that stands between marks before JSON: DeepSeek, Kimi, Mistral, Gemma.
fn name_before(before: &str, tools: &[ToolDefinition]) -> Option<String> {
    let words = without_marks(before);
    let known = [
        "function",
        "json",
        "call",
        "tool_call",
        "functools",
        "assistant",
        "commentary",
    ];
    let mut candidates = words
        .split_whitespace()
        .map(|word| {
            let word = word.strip_prefix("call:").unwrap_or(word);
            plain_name(word.strip_prefix("to=").unwrap_or(word))
        })
        .filter(|word| !word.is_empty() && !known.contains(&folded(word).as_str()))
        .peekable();
    let first = candidates.peek().map(|word| (*word).to_owned());
    let offered = candidates
        .find(|word| offered(word, tools))
        .map(str::to_owned);
    // other words than a name may stand there
    offered.or(first.filter(|_| words.split_whitespace().count() <= 2))
}

/// What stands between marks.
fn without_marks(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '<' | '[' => depth += 1,
            '>' | ']' => {
                depth = 0;
                words.push(' ');
            }
            '`' | '"' => words.push(' '),
            _ if depth > 0 => {}
            other => words.push(other),
        }
    }
    words
}

/// What `"name": "…` says in JSON that breaks off.
pub(super) fn name_inside(json: &str) -> Option<String> {
    NAME_KEYS.iter().find_map(|key| {
        let (_, after) = json.split_once(&format!("\"{key}\""))?;
        let value = after.trim_start().strip_prefix(':')?;
        let (name, _) = value.trim_start().strip_prefix('"')?.split_once('"')?;
        Some(plain_name(name).to_owned()).filter(|name| !name.is_empty())
    })
}

/// The first brace, or bracket that begins a list of objects.
fn json_begins(text: &str) -> Option<usize> {
    text.char_indices().find_map(|(at, c)| match c {
        '{' => Some(at),
        '[' => {
            let inside = text.get(at + 1..)?.trim_start();
            inside.starts_with('{').then_some(at)
        }
        _ => None,
    })
}

/// The JSON value at the beginning of a text, strictly read or with bare keys and Gemma's quotes, and what follows.
pub(super) fn json_value(text: &str) -> Option<(Value, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(value)) = values.next()
        && (value.is_object() || value.is_array())
    {
        return Some((value, text.get(values.byte_offset()..)?));
    }
    let (relaxed, length) = python::relaxed(text)?;
    let value = serde_json::from_str(&relaxed).ok()?;
    Some((value, text.get(length..)?))
}

/// A value written as text is what the tool's schema says that it is.
fn typed(text: &str, tool: &str, key: &str, tools: &[ToolDefinition]) -> Value {
    let text = text.strip_prefix('\n').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let schema = tools
        .iter()
        .find(|known| known.name == tool)
        .and_then(|known| known.parameters.pointer(&format!("/properties/{key}/type")));
    if schema.and_then(Value::as_str) == Some("string") {
        return Value::String(text.to_owned());
    }
    let plain = match text.trim() {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    };
    serde_json::from_str(plain).unwrap_or_else(|_| Value::String(text.to_owned()))
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
        None => value.split_once("name=")?.1,
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
