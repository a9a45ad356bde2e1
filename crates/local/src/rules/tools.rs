//! What a tool is, by its name, description and parameters.

use antiphon_agent::provider::ToolDefinition;
use serde_json::{Map, Value};

use super::words::tokens;

/// Verbs of tools that only look.
const LOOKS: [&str; 12] = [
    "find", "get", "look", "lookup", "check", "list", "show", "search", "tell", "say", "return",
    "read",
];
/// A tool over documents: it answers questions and is not an order.
pub(super) fn is_search(name: &str) -> bool {
    name == "search_knowledge"
}

/// What a tool does, as a verb phrase: "book a table".
pub(super) fn phrase(tool: &ToolDefinition) -> String {
    let first = tool
        .description
        .split(['.', ',', ';'])
        .next()
        .unwrap_or_default();
    let mut said: Vec<String> = Vec::new();
    for word in first.split_whitespace() {
        if said.len() >= 2
            && matches!(
                word,
                "by" | "whether" | "at" | "with" | "from" | "of" | "and"
            )
            || said.len() >= 6
        {
            break;
        }
        said.push(word.to_owned());
    }
    match said.split_first_mut() {
        Some((verb, rest)) if verb.ends_with('s') && !rest.is_empty() => {
            *verb = verb.trim_end_matches('s').to_lowercase();
            if verb == "look" && rest == ["up"] {
                return tool.name.replace(['_', '-'], " ");
            }
            said.join(" ")
        }
        _ => tool.name.replace(['_', '-'], " "),
    }
}

pub(super) fn acts(tool: &ToolDefinition) -> bool {
    let first = |text: &str| tokens(text).into_iter().next().unwrap_or_default();
    let looks = |word: String| LOOKS.contains(&word.as_str());
    !looks(first(&tool.name.replace(['_', '-'], " "))) && !looks(first(&tool.description))
}

pub(super) fn properties(tool: &ToolDefinition) -> impl Iterator<Item = (&String, &Value)> {
    tool.parameters
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

pub(super) fn required(tool: &ToolDefinition) -> impl Iterator<Item = &str> {
    tool.parameters
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The words of a tool's name: what it does, then to what.
pub(super) fn named(tool: &ToolDefinition) -> Vec<String> {
    tokens(&tool.name.replace(['_', '-'], " "))
}

/// Does it end what another tool makes?
pub(super) fn ends(tool: &ToolDefinition) -> bool {
    let verb = named(tool).into_iter().next().unwrap_or_default();
    matches!(verb.as_str(), "cancel" | "delete" | "remove")
}

/// What names something that a tool made: what the tool called by the parameter's name ("reference AYM2"), else somebody's name.
pub(super) fn reference(parameter: &str, output: &str, values: &Map<String, Value>) -> Value {
    let wanted: Vec<&str> = parameter.split('_').filter(|word| *word != "or").collect();
    let words: Vec<&str> = output
        .split(|c: char| !(c.is_alphanumeric() || c == '-'))
        .filter(|word| !word.is_empty())
        .collect();
    let called = words.windows(2).find_map(|pair| match pair {
        [name, value] if wanted.iter().any(|word| word.eq_ignore_ascii_case(name)) => Some(*value),
        _ => None,
    });
    let name = || wanted.iter().find_map(|word| values.get(*word)).cloned();
    called.map_or_else(
        || name().unwrap_or_default(),
        |value| Value::String(value.into()),
    )
}
