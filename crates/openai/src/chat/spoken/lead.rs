//! Calls that name their tool before their arguments, as models write them into their text: `lookup(city="Oslo")`,
//! `result = lookup()`, `call:lookup{…}`, `Calling lookup with {…}`, `Action: lookup / Action Input: {…}`. One grammar: words that lead
//! in, the name of a tool that was offered, words between, the arguments. Every part must be there; prose that shares a word with a
//! tool stays prose.

use antiphon_agent::provider::ToolDefinition;
use serde_json::{Map, Value};

use super::json::json_value;
use super::notation::{Begins, begins, folded};
use super::python::{self, called, parameters};
use super::written::{Written, keys_and_values, typed};

/// Why there is no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// It is something else.
    Not,
    /// More text may make it one.
    More,
}

/// Where a call may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A line or a sentence begins: words may lead in.
    Start,
    /// A word begins: only a tool's name.
    Word,
}

/// More words than these lead in nothing.
const MAX_ELEMENTS: usize = 8;
/// What stands between a name and its arguments is short.
const MAX_BETWEEN_BYTES: usize = 64;
/// Marks around words that lead in. One `>` quotes a line, and an apostrophe is one of a word.
fn is_decoration(c: char) -> bool {
    !c.is_alphanumeric()
        && !matches!(
            c,
            '>' | '\'' | '\n' | '\r' | ':' | '.' | ',' | ')' | ']' | '}' | '='
        )
}
/// How frameworks run a tool: `lookup.invoke({…})`.
const METHODS: [&str; 6] = [".call", ".run", ".invoke", ".ainvoke", ".execute", ".apply"];
/// What a tool may belong to within a sentence: `functions.lookup`.
const OWNERS: [&str; 4] = ["functions", "default_api", "tools", "api"];
const LEAD_WORDS: [&str; 41] = [
    "await",
    "return",
    "yield",
    "const",
    "let",
    "var",
    "print",
    "call",
    "calls",
    "called",
    "calling",
    "invoke",
    "invokes",
    "invoking",
    "run",
    "running",
    "execute",
    "executing",
    "use",
    "using",
    "used",
    "tool",
    "tools",
    "function",
    "functions",
    "action",
    "api",
    "request",
    "code",
    "name",
    "json",
    "python",
    "assistant",
    "commentary",
    "the",
    "tool_code",
    "tool_call",
    "tool_calls",
    "tool_use",
    "function_call",
    "function_calls",
];
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

/// OpenAI's wrapper around several calls.
const PARALLEL: &str = "multi_tool_use.parallel(";

/// The name of a tool, and what stood before it.
struct Named<'a> {
    tool: &'a ToolDefinition,
    /// Where the name ends.
    end: usize,
    has_lead: bool,
    /// What the result is assigned to.
    variable: Option<String>,
}

/// The calls at the beginning of a text, one after the other, and where they end. `is_over`: no more text will come.
pub(super) fn calls(
    text: &str,
    tools: &[ToolDefinition],
    place: Place,
    is_over: bool,
) -> Result<(Vec<Written>, usize), Miss> {
    let mut found = Vec::new();
    let (mut end, mut open, mut place) = (0, 0, place);
    loop {
        let rest = text.get(end..).unwrap_or_default();
        let next = rest.trim_start_matches(is_separator);
        match one(next, tools, place, is_over) {
            Ok(one) => {
                found.push(one.call);
                open += one.open;
                end += rest.len() - next.len() + one.length;
            }
            Err(Miss::More) if !is_over => return Err(Miss::More),
            Err(miss) if found.is_empty() => return Err(miss),
            Err(_) => break,
        }
        place = Place::Start;
    }
    // `[lookup(…)` without its end: others may be missing
    while open > 0 {
        let rest = text.get(end..).unwrap_or_default();
        let next = rest.trim_start_matches(is_separator);
        match next.chars().next() {
            Some(')' | ']' | '}') => {
                open -= 1;
                end = text.len() - next.len() + 1;
            }
            None if !is_over => return Err(Miss::More),
            Some(_) | None => {
                found.iter_mut().for_each(|call| call.is_complete = false);
                break;
            }
        }
    }
    Ok((found, end))
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';')
}

/// One call.
struct One {
    call: Written,
    /// How long it is.
    length: usize,
    /// Brackets that open before its name and do not close behind it.
    open: i32,
}

fn one(text: &str, tools: &[ToolDefinition], place: Place, is_over: bool) -> Result<One, Miss> {
    let named = name(text, tools, place)?;
    let before = named.end - named.tool.name.len();
    let lead = text.get(..before).unwrap_or_default();
    let after = text.get(named.end..).unwrap_or_default();
    let (mut call, length) = arguments(after, &named, place, is_over)?;
    // a quotation, or said aside
    call.is_quoted |= lead.starts_with(['"', '“', '„', '«', '(']);
    let end = named.end + length;
    let rest = text.get(end..).unwrap_or_default();
    let (closing, more) = remark(rest, named.variable.as_deref(), is_over)?;
    let brackets = |text: &str| -> i32 {
        let each = text.chars().map(|c| match c {
            '(' | '[' | '{' => 1,
            ')' | ']' | '}' => -1,
            _ => 0,
        });
        each.sum()
    };
    Ok(One {
        call,
        length: end + more,
        open: brackets(lead) + brackets(rest.get(..closing).unwrap_or_default()),
    })
}

fn name<'a>(text: &str, tools: &'a [ToolDefinition], place: Place) -> Result<Named<'a>, Miss> {
    let (mut rest, mut has_lead, mut variable) = (text, false, None);
    for _ in 0..MAX_ELEMENTS {
        if place == Place::Start {
            rest = rest.trim_start_matches(is_decoration);
            // Python's prompt; one alone quotes
            if matches!(rest, ">" | ">>") {
                return Err(Miss::More);
            }
            rest = rest
                .strip_prefix(">>>")
                .unwrap_or(rest)
                .trim_start_matches(is_decoration);
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let tool = tools.iter().find(|tool| {
            let (begin, after) = rest.split_at_checked(tool.name.len()).unwrap_or_default();
            begin.eq_ignore_ascii_case(&tool.name) && !after.starts_with(is_part)
        });
        if let Some(tool) = tool {
            let end = text.len() - rest.len() + tool.name.len();
            if end == text.len() {
                return Err(Miss::More);
            }
            return Ok(Named {
                tool,
                end,
                has_lead,
                variable,
            });
        }
        let begins = |tool: &ToolDefinition| {
            let begin = tool.name.get(..rest.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(rest))
        };
        if tools.iter().any(begins) {
            return Err(Miss::More);
        }
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (word, after) = rest.split_at(rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()));
        let plain = folded(word);
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Miss::Not);
        }
        // what values are assigned to is not capitalised
        let may_be_variable = word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let is_code = place == Place::Start && (may_be_variable || has_lead);
        let is_owner = OWNERS.contains(&plain.as_str());
        if let Some(inside) = after.strip_prefix('.').filter(|_| is_owner || is_code) {
            rest = inside;
            continue;
        }
        // `await Promise.all([…`, `str(…`
        if let Some(inside) = after.strip_prefix('(').filter(|_| is_code) {
            (rest, has_lead) = (inside, true);
            continue;
        }
        if place == Place::Word {
            let may_own = after.is_empty() && OWNERS.iter().any(|owner| owner.starts_with(&plain));
            return Err(if may_own { Miss::More } else { Miss::Not });
        }
        let spaced = after.trim_start_matches(' ');
        if spaced.is_empty() {
            let known = |lead: &&str| match after.is_empty() {
                true => lead.starts_with(&plain),
                false => **lead == plain,
            };
            let may_lead = is_code || LEAD_WORDS.iter().any(known);
            return Err(if may_lead { Miss::More } else { Miss::Not });
        }
        let value = spaced
            .strip_prefix(":=")
            .or_else(|| spaced.strip_prefix('='));
        if let Some(value) = value.filter(|value| may_be_variable && !value.starts_with('=')) {
            variable = Some(word.to_owned());
            rest = value;
        } else if LEAD_WORDS.contains(&plain.as_str()) {
            rest = after
                .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '*' | '_'));
        } else {
            return Err(Miss::Not);
        }
        has_lead = true;
    }
    Err(Miss::Not)
}

/// Where JSON begins behind words that lead in: `json\n{…}`, `multi_tool_use.parallel({…}`.
pub(super) fn json_behind(text: &str) -> Result<usize, Miss> {
    let mut rest = text;
    for _ in 0..MAX_ELEMENTS {
        let is_between = |c: char| c.is_whitespace() || matches!(c, ':' | '*' | '_');
        rest = rest.trim_start_matches(is_between);
        if rest.starts_with(['{', '[']) {
            return Ok(text.len() - rest.len());
        }
        if PARALLEL.starts_with(rest)
            || LEAD_WORDS
                .iter()
                .any(|word| word.starts_with(&folded(rest)))
        {
            return Err(Miss::More);
        }
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (word, after) = rest.split_at(rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()));
        rest = match rest.strip_prefix(PARALLEL) {
            Some(inside) => inside,
            None if LEAD_WORDS.contains(&folded(word).as_str()) => after,
            None => return Err(Miss::Not),
        };
    }
    Err(Miss::Not)
}

/// The arguments that follow a name, and how long they are with what stands before them.
fn arguments(
    after: &str,
    named: &Named<'_>,
    place: Place,
    is_over: bool,
) -> Result<(Written, usize), Miss> {
    let tool = named.tool;
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
        Some('[') if named.has_lead => bracketed(open, tool, is_over).map(told),
        Some(' ') if place == Place::Start && open.trim_start_matches(' ').starts_with('(') => {
            let inside = open.trim_start_matches(' ');
            let spaces = open.len() - inside.len();
            parenthesised(inside, tool, named.has_lead, is_over)
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
pub(super) fn fits(keyed: &Map<String, Value>, tool: &ToolDefinition) -> bool {
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
        let (word, after) = rest.split_at(rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()));
        if rest.is_empty() {
            return Err(if is_over { Miss::Not } else { Miss::More });
        }
        if rest.starts_with('<') && matches!(begins(rest, "<arg_key>"), Begins::With(_)) {
            let whole = format!("{}{rest}", tool.name);
            let call = keys_and_values(&whole, true, std::slice::from_ref(tool));
            let call = call.filter(|_| is_over);
            return call.map(|call| (call, text.len())).ok_or(Miss::More);
        }
        if rest.starts_with('<') && matches!(begins(rest, "<arg_key>"), Begins::Partly) && !is_over
        {
            return Err(Miss::More);
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

/// How long what follows a call and belongs to it is: the brackets, and all of it: `-> its result`, `print(result)`.
fn remark(text: &str, variable: Option<&str>, is_over: bool) -> Result<(usize, usize), Miss> {
    let line_end = |text: &str| match text.find('\n') {
        Some(at) => Ok(at),
        None if is_over => Ok(text.len()),
        None => Err(Miss::More),
    };
    let closing =
        text.trim_start_matches([' ', ')', ']', '}', '>', '*', '_', '~', '"', '\'', '”', '’']);
    let brackets = text.len() - closing.len();
    let mut end = brackets;
    let arrows = ["->", "→", "=>", "#", "//"];
    if arrows.iter().any(|arrow| closing.starts_with(arrow)) {
        end += line_end(closing)?;
    } else if !is_over && arrows.iter().any(|arrow| arrow.starts_with(closing)) {
        return Err(Miss::More);
    }
    let Some(variable) = variable else {
        return Ok((brackets, end));
    };
    loop {
        let rest = text.get(end..).unwrap_or_default();
        let next = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        let uses =
            ["print(", "return ", "console.log(", ""].map(|lead| format!("{lead}{variable}"));
        if !is_over && (next.is_empty() || uses.iter().any(|known| known.starts_with(next))) {
            return Err(Miss::More);
        }
        if !uses.iter().any(|known| next.starts_with(known.as_str())) {
            return Ok((brackets, end));
        }
        end += rest.len() - next.len() + line_end(next)?;
    }
}
