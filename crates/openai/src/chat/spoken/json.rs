//! Calls that are written as JSON, with the name of the tool in it or before it.

use antiphon_agent::provider::ToolDefinition;
use serde_json::{Map, Value};

use super::notation::folded;
use super::python;
use super::written::Written;

/// JSON that says which tool, alone or in a list, or a name before JSON.
pub(super) fn json_calls(
    text: &str,
    recipient: Option<&str>,
    tools: &[ToolDefinition],
) -> Vec<Written> {
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
const NAME_KEYS: [&str; 8] = [
    "name",
    "tool_name",
    "function",
    "tool",
    "recipient_name",
    "function_name",
    "action",
    "method",
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
const HOLDERS: [&str; 10] = [
    "tool_calls",
    "tool_call",
    "tool_uses",
    "function_call",
    "function_calls",
    "calls",
    "function",
    "functionCall",
    "toolCall",
    "action",
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
    let name = plain_name(name);
    let arguments = ARGUMENT_KEYS.iter().find_map(|key| inner.get(*key));
    // MCP: the call stands in the parameters of another
    if let Some(inner @ Value::Object(_)) = arguments
        && !offered(name, tools)
        && let Some(call) = call_of(inner, tools).filter(|call| offered(&call.name, tools))
    {
        return Some(call);
    }
    if arguments.is_none() && offered(name, tools) {
        let keys: Vec<&str> = inner.keys().map(String::as_str).collect();
        let flat = call_like(inner, &keys, tools).filter(|_| keys.len() > 1);
        if flat.is_some() {
            return flat;
        }
    }
    Some(Written::whole(name, arguments.unwrap_or(&Value::Null)))
}

/// Does a call of a tool that was offered stand somewhere in it? Nobody is to hear that.
pub(super) fn call_within(value: &Value, tools: &[ToolDefinition]) -> Option<Written> {
    let has_arguments = |key: &str| {
        let arguments = value.get(key).and_then(Value::as_object);
        arguments.is_some_and(|arguments| !arguments.is_empty())
    };
    let named = value.as_object().into_iter().flatten();
    let mut names = named.filter_map(|(_, value)| value.as_str().map(plain_name));
    if ARGUMENT_KEYS.iter().any(|key| has_arguments(key))
        && let Some(name) = names.find(|name| offered(name, tools))
    {
        return Some(Written::cut(name, &value.to_string()));
    }
    match value {
        Value::Array(list) => list.iter().find_map(|value| call_within(value, tools)),
        Value::Object(object) => object.values().find_map(|value| call_within(value, tools)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
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
        "jsonrpc",
        "reason",
        "reasoning",
        "explanation",
        "comment",
        "description",
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
        [one] if offered(one, tools) => true,
        [one] if names(one) && *one != "name" => {
            let name = object.get(*one).and_then(Value::as_str);
            name.is_some_and(|name| offered(plain_name(name), tools))
        }
        [one, other] if (names(one) && holds(other)) || (holds(one) && names(other)) => true,
        keys => return call_like(object, keys, tools).map(|call| vec![call]),
    };
    let mut call = call_of(value, tools).filter(|_| is_call)?;
    let arguments = serde_json::from_str::<Value>(&call.arguments).ok();
    call.is_complete = arguments.is_some_and(|arguments| arguments.is_object());
    let is_name = !call.name.is_empty() && !call.name.contains(char::is_whitespace);
    ((call.is_complete && is_name) || offered(&call.name, tools)).then(|| vec![call])
}

/// What is said in JSON that holds an answer and nothing else: `{"response": "…"}`, `{"role": "assistant", "content": "…"}`,
/// LangChain's `{"action": "Final Answer", "action_input": "…"}`.
pub(super) fn answer_alone(value: &Value) -> Option<String> {
    const TEXT_KEYS: [&str; 10] = [
        "answer",
        "final_answer",
        "response",
        "reply",
        "content",
        "text",
        "message",
        "output",
        "speech",
        "action_input",
    ];
    let beside = [
        "type",
        "role",
        "id",
        "thought",
        "thoughts",
        "thinking",
        "reasoning",
    ];
    let object = value.as_object()?;
    let is_final = |value: &Value| value.as_str().map(folded).as_deref() == Some("final answer");
    let mut keys = object.iter().filter(|(key, value)| {
        let is_beside = beside.contains(&key.as_str()) || (*key == "action" && is_final(value));
        !is_beside
    });
    let (key, said) = keys.next()?;
    let is_only = keys.next().is_none() && TEXT_KEYS.contains(&key.as_str());
    said.as_str().filter(|_| is_only).map(str::to_owned)
}

/// The name of a tool, and nothing beside it that is not one of its parameters. `name` may be a parameter itself: no call, and
/// nothing for the caller either.
fn call_like(
    object: &Map<String, Value>,
    keys: &[&str],
    tools: &[ToolDefinition],
) -> Option<Written> {
    let (key, name) = NAME_KEYS
        .iter()
        .find_map(|key| Some((*key, object.get(*key)?.as_str()?)))?;
    let tool = tools.iter().find(|tool| tool.name == name)?;
    let properties = tool.parameters.get("properties");
    let is_parameter = |key: &str| properties.is_some_and(|all| all.get(key).is_some());
    if !keys
        .iter()
        .all(|other| *other == key || is_parameter(other))
    {
        return None;
    }
    let mut rest = object.clone();
    if key == "name" || is_parameter(key) {
        return Some(Written::cut(name, &Value::Object(rest).to_string()));
    }
    rest.retain(|key, _| is_parameter(key));
    Some(Written::whole(name, &Value::Object(rest)))
}

pub(super) fn offered(name: &str, tools: &[ToolDefinition]) -> bool {
    tools.iter().any(|tool| tool.name == name)
}

/// `functions.lookup:0` is `lookup`.
pub(crate) fn plain_name(name: &str) -> &str {
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
pub(super) fn without_marks(text: &str) -> String {
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
