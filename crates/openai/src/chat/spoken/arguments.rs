//! The arguments that follow the name of a tool in a model's text: `(city="Oslo")`, `{"city": "Oslo"}`, `[Oslo]`, or words between and
//! then one of these, `city="Oslo"` or GLM's tags.

use antiphon_agent::provider::ToolDefinition;
use serde_json::{Map, Value};

use super::json::json_value;
use super::lead::{Miss, Place};
use super::notation::{Begins, begins, folded, split_while};
use super::python::{self, called, parameters};
use super::written::{Written, keys_and_values, typed};

/// What stands between a name and its arguments is short.
const MAX_BETWEEN_BYTES: usize = 64;
/// How frameworks run a tool: `lookup.invoke({…})`.
const METHODS: [&str; 6] = [".call", ".run", ".invoke", ".ainvoke", ".execute", ".apply"];
const BETWEEN_WORDS: [&str; 17] = [
    "action",
    "action_input",
    "input",
    "tool",
    "function",
    "with",
    "the",
    "following",
    "arguments",
    "argument",
    "args",
    "parameters",
    "params",
    "kwargs",
    "and",
    "json",
    "code",
];

/// The arguments that follow a name, and how long they are with what stands before them.
/// `has_lead`: words led in to the name.
pub(super) fn arguments(
    after: &str,
    tool: &ToolDefinition,
    has_lead: bool,
    place: Place,
    is_over: bool,
) -> Result<(Written, usize), Miss> {
    // `functions.lookup:0{…}`
    let number = after
        .strip_prefix(':')
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    if number == Some("") && !is_over {
        return Err(Miss::More);
    }
    let rest = number
        .filter(|rest| rest.starts_with(['{', '(']))
        .unwrap_or(after);
    let method = METHODS.iter().find(|method| {
        let after = rest.strip_prefix(**method);
        after.is_some_and(|after| after.starts_with('('))
    });
    if !is_over && rest.starts_with('.') && METHODS.iter().any(|method| method.starts_with(rest)) {
        return Err(Miss::More);
    }
    let rest = method.map_or(rest, |method| rest.get(method.len()..).unwrap_or_default());
    let open = rest.trim_start_matches(['`', '*', '"']);
    let skipped = after.len() - open.len();
    let told = |(call, length): (Written, usize)| (call, skipped + length);
    match open.chars().next() {
        None if !is_over => Err(Miss::More),
        Some('(') => parenthesised(open, tool, true, is_over).map(told),
        Some('{') => object(open, tool, is_over).map(told),
        Some('[') if has_lead => bracketed(open, tool, is_over).map(told),
        Some(' ') if place == Place::Start && open.trim_start_matches(' ').starts_with('(') => {
            let inside = open.trim_start_matches(' ');
            let spaces = open.len() - inside.len();
            parenthesised(inside, tool, has_lead, is_over)
                .map(|(call, length)| (call, skipped + spaces + length))
        }
        Some(_) if place == Place::Start => behind_words(after, tool, is_over),
        Some(_) | None => Err(Miss::Not),
    }
}

/// `(…)`. `may_be_bare`: values may stand there without a key.
fn parenthesised(
    text: &str,
    tool: &ToolDefinition,
    may_be_bare: bool,
    is_over: bool,
) -> Result<(Written, usize), Miss> {
    let inside = text.get(1..).unwrap_or_default();
    match python::arguments(inside) {
        Ok((arguments, after)) => {
            if !arguments.bare.is_empty() && !may_be_bare {
                return Err(Miss::Not);
            }
            let whole = text.get(..text.len() - after.len()).unwrap_or_default();
            let call = match fits(&arguments.keyed, tool) {
                true => called(tool, arguments, whole),
                false => Written::cut(&tool.name, whole),
            };
            Ok((call, text.len() - after.len()))
        }
        Err(Miss::More) if !is_over => Err(Miss::More),
        Err(_) => broken(text, tool, is_over),
    }
}

/// A bracket in which there are no arguments: a call that cannot be read when nothing else stands on its line, else words.
fn broken(text: &str, tool: &ToolDefinition, is_over: bool) -> Result<(Written, usize), Miss> {
    let is_like_arguments = python::is_like_arguments(text.get(1..).unwrap_or_default());
    let (line, has_end) = match text.find('\n') {
        Some(at) => (text.get(..at).unwrap_or_default(), true),
        None => (text, is_over),
    };
    let Some(close) = line.rfind(')') else {
        return match (is_like_arguments, is_over) {
            (Some(true), true) => Ok((Written::cut(&tool.name, text), text.len())),
            (Some(true) | None, false) => Err(Miss::More),
            (Some(false), _) | (None, true) => Err(Miss::Not),
        };
    };
    let after = line.get(close + 1..).unwrap_or_default();
    let is_alone = after
        .trim_matches([' ', ']', '`', '*', ';', '\r'])
        .is_empty();
    // another bracket is prose as well: `hours(9-5), hours(10-4)`
    let is_one = line.matches('(').count() == 1 || is_like_arguments == Some(true);
    match (is_alone && is_one, has_end) {
        (true, true) => Ok((Written::cut(&tool.name, line), close + 1)),
        (true, false) => Err(Miss::More),
        (false, _) => Err(Miss::Not),
    }
}

/// `{…}`.
fn object(text: &str, tool: &ToolDefinition, is_over: bool) -> Result<(Written, usize), Miss> {
    if let Some((value @ Value::Object(_), after)) = json_value(text) {
        let is_fit = value.as_object().is_some_and(|keyed| fits(keyed, tool));
        let call = match is_fit {
            true => Written::whole(&tool.name, &value),
            false => Written::cut(&tool.name, &value.to_string()),
        };
        return Ok((call, text.len() - after.len()));
    }
    let inside = text.get(1..).unwrap_or_default();
    let is_like_arguments = python::is_like_arguments(inside);
    if python::relaxed(text).is_some() {
        return Err(Miss::Not);
    }
    match (is_like_arguments, is_over) {
        (Some(true), true) => Ok((Written::cut(&tool.name, text), text.len())),
        (Some(true) | None, false) => Err(Miss::More),
        (Some(false), _) | (None, true) => Err(Miss::Not),
    }
}

/// Is one of these a parameter of the tool? If none is, they may be anything.
fn fits(keyed: &Map<String, Value>, tool: &ToolDefinition) -> bool {
    let known = parameters(tool);
    let is_known = |key: &String| known.contains(&key.as_str());
    keyed.is_empty() || known.is_empty() || keyed.keys().any(is_known)
}

/// `lookup[Oslo]`, as in the ReAct paper.
fn bracketed(text: &str, tool: &ToolDefinition, is_over: bool) -> Result<(Written, usize), Miss> {
    let line = text.lines().next().unwrap_or_default();
    let Some(close) = line.find(']') else {
        return Err(if is_over || line.len() < text.len() {
            Miss::Not
        } else {
            Miss::More
        });
    };
    let inside = line.get(1..close).unwrap_or_default().trim();
    let parameters = parameters(tool);
    let call = match (parameters.as_slice(), inside) {
        (_, "") => Written::whole(&tool.name, &Value::Null),
        ([only], _) => {
            let plain = inside.trim_matches(['"', '\'']);
            let value = typed(plain, &tool.name, only, std::slice::from_ref(tool));
            let values = Map::from_iter([((*only).to_owned(), value)]);
            Written::whole(&tool.name, &Value::Object(values))
        }
        (_, _) => Written::cut(&tool.name, inside),
    };
    Ok((call, close + 1))
}

/// `lookup with arguments: {…}`, `lookup\nAction Input: {…}`, `lookup city="Oslo"`.
fn behind_words(
    text: &str,
    tool: &ToolDefinition,
    is_over: bool,
) -> Result<(Written, usize), Miss> {
    let mut rest = text;
    loop {
        let is_between =
            |c: char| c.is_whitespace() || !(c.is_alphanumeric() || "{}()[]<.!?'#".contains(c));
        rest = rest.trim_start_matches(is_between);
        let before = text.len() - rest.len();
        if before > MAX_BETWEEN_BYTES {
            return Err(Miss::Not);
        }
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let (word, after) = split_while(rest, is_of_word);
        if rest.is_empty() {
            return Err(if is_over { Miss::Not } else { Miss::More });
        }
        match begins(rest, "<arg_key>") {
            Begins::With(_) => {
                let whole = format!("{}{rest}", tool.name);
                let call = keys_and_values(&whole, true, std::slice::from_ref(tool));
                let call = call.filter(|_| is_over);
                return call.map(|call| (call, text.len())).ok_or(Miss::More);
            }
            Begins::Partly if !is_over => return Err(Miss::More),
            Begins::Partly | Begins::Not => {}
        }
        if rest.starts_with('{') {
            return object(rest, tool, is_over).map(|(call, length)| (call, before + length));
        }
        let is_key = parameters(tool).contains(&word);
        if is_key && after.starts_with('=') {
            return pairs(rest, tool, is_over).map(|(call, length)| (call, before + length));
        }
        let plain = folded(word);
        let may_become = |known: &&str| known.starts_with(&plain);
        if after.is_empty() && !is_over && !word.is_empty() {
            let may_be_key = parameters(tool).iter().any(|key| key.starts_with(word));
            let may_be = may_be_key || BETWEEN_WORDS.iter().any(may_become);
            return Err(if may_be { Miss::More } else { Miss::Not });
        }
        if !BETWEEN_WORDS.contains(&plain.as_str()) {
            return Err(Miss::Not);
        }
        rest = after;
    }
}

/// `city="Oslo" days=2`, to the end of the line.
fn pairs(text: &str, tool: &ToolDefinition, is_over: bool) -> Result<(Written, usize), Miss> {
    let line = match text.find('\n') {
        Some(at) => text.get(..at).unwrap_or_default(),
        None if is_over => text,
        None => return Err(Miss::More),
    };
    let known = parameters(tool);
    let mut values = Map::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or(Miss::Not)?;
        if !known.contains(&key) {
            return Err(Miss::Not);
        }
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, next) = match quote {
            Some(quote) => after
                .get(1..)
                .and_then(|inside| inside.split_once(quote))
                .ok_or(Miss::Not)?,
            None => after.split_at(after.find([' ', ',']).unwrap_or(after.len())),
        };
        let value = typed(value, &tool.name, key, std::slice::from_ref(tool));
        values.insert(key.to_owned(), value);
        rest = next.trim_start_matches([' ', ',']);
    }
    Ok((
        Written::whole(&tool.name, &Value::Object(values)),
        line.len(),
    ))
}
