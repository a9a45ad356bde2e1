//! Calls that name their tool before their arguments, as models write them into their text: `lookup(city="Oslo")`,
//! `result = lookup()`, `call:lookup{…}`, `Calling lookup with {…}`, `Action: lookup / Action Input: {…}`. One grammar: words that lead
//! in, the name of a tool that was offered, words between, the arguments (`arguments`). Every part must be there; prose that shares a word with a
//! tool stays prose.

use antiphon_agent::provider::ToolDefinition;

use super::arguments::arguments;
use super::notation::{folded, split_while};
use super::written::Written;

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

/// Marks around words that lead in. One `>` quotes a line, and an apostrophe is one of a word.
fn is_decoration(c: char) -> bool {
    !c.is_alphanumeric()
        && !matches!(
            c,
            '>' | '\'' | '\n' | '\r' | ':' | '.' | ',' | ')' | ']' | '}' | '='
        )
}
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
    let (mut call, length) = arguments(after, named.tool, named.has_lead, place, is_over)?;
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
        let (word, after) = split_while(rest, is_of_word);
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
        let (word, after) = split_while(rest, is_of_word);
        rest = match rest.strip_prefix(PARALLEL) {
            Some(inside) => inside,
            None if LEAD_WORDS.contains(&folded(word).as_str()) => after,
            None => return Err(Miss::Not),
        };
    }
    Err(Miss::Not)
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
