//! Names of tools as models and servers write them.

use antiphon_agent::provider::ToolDefinition;
use antiphon_chat::ToolCall;
use serde_json::Value;

use super::spoken::plain_name;

/// The longest name of a tool that providers accept.
pub(super) const MAX_NAME_BYTES: usize = 64;

pub(super) fn is_same_call(one: &ToolCall, other: &ToolCall) -> bool {
    let plain = |text: &str| serde_json::from_str::<Value>(text).ok();
    one.name == other.name
        && (one.arguments == other.arguments
            || plain(&one.arguments).is_some_and(|one| Some(one) == plain(&other.arguments)))
}

/// The tool that is meant by `functions.lookup:0`, `lookup<|channel|>commentary`, `default_api.Lookup`: the only one whose letters
/// are those of a part of the name.
pub(super) fn known_name<'a>(name: &str, tools: &'a [ToolDefinition]) -> Option<&'a str> {
    if let Some(tool) = tools.iter().find(|tool| tool.name == name) {
        return Some(&tool.name);
    }
    let letters = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_ascii_alphanumeric());
        letters.map(|c| c.to_ascii_lowercase()).collect()
    };
    let parts: Vec<String> = std::iter::once(plain_name(name))
        .chain(name.split(['<', '|', '>', ':']).map(plain_name))
        .map(letters)
        .collect();
    let mut meant = tools
        .iter()
        .filter(|tool| parts.contains(&letters(&tool.name)));
    let only = meant.next()?;
    meant.next().is_none().then_some(&only.name)
}

/// Servers refuse a history with other names.
pub(super) fn name_for_history(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name
        .chars()
        .take(MAX_NAME_BYTES)
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    }
}
