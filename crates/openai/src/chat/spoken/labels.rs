//! Words that stand before a colon at the beginning of a line and say what follows: `Thought:`, `**Final answer:**`, `Action:`.
//! ReAct prompts, frameworks built on them, and models that were trained on their transcripts.

use antiphon_agent::provider::ToolDefinition;

use super::json::{offered, plain_name};
use super::notation::{folded, split_while};

/// A longer label is a sentence.
const MAX_LABEL_BYTES: usize = 48;
/// What may stand around a label.
const DECORATION: [char; 5] = ['*', '#', '_', ' ', '>'];
/// Words of labels before thoughts; one of the first four must be there.
const THOUGHT_WORDS: [&str; 14] = [
    "thought",
    "thoughts",
    "thinking",
    "reasoning",
    "scratchpad",
    "monologue",
    "inner",
    "internal",
    "initial",
    "process",
    "chain",
    "of",
    "step",
    "private",
];
const ANSWER_LABELS: [&str; 10] = [
    "final answer",
    "final response",
    "final output",
    "final",
    "answer",
    "response",
    "reply",
    "output",
    "conclusion",
    "assistant",
];
const CALL_LABELS: [&str; 6] = [
    "action",
    "tool",
    "tool call",
    "tool calls",
    "function call",
    "function calls",
];
/// Who speaks with the agent in transcripts.
const CALLERS: [&str; 4] = ["user", "human", "customer", "caller"];
/// The end of thoughts also within a line.
pub(super) const FINAL_ANSWER: &str = "final answer:";
/// What a tool is to have said; whoever writes it after a call has made it up.
pub(super) const OBSERVATION: &str = "observation:";

/// What a label says, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Thoughts,
    /// The same in brackets: until the closing one, which is this.
    Bracket(usize, &'static str),
    Answer(usize),
    /// A call of a tool that was offered.
    Action(usize),
    /// The caller speaks.
    Turn,
    Unsure,
    No,
}

/// The label at the beginning of a line.
pub(super) fn label(line: &str, tools: &[ToolDefinition], is_over: bool) -> Label {
    let start = line.trim_start_matches(DECORATION);
    let bracket = [('(', ")"), ('[', "]")]
        .into_iter()
        .find_map(|(open, close)| Some((close, start.strip_prefix(open)?)));
    let start = bracket.map_or(start, |(_, inside)| inside);
    let is_of_label = |c: char| c.is_ascii_alphabetic() || matches!(c, ' ' | '*' | '_');
    let (words, after) = split_while(start, is_of_label);
    let plain = folded(words.trim_matches(DECORATION)).replace('_', " ");
    if words.len() > MAX_LABEL_BYTES {
        return Label::No;
    }
    let is_heading = line.starts_with(['#', '*']);
    let is_call = CALL_LABELS.contains(&plain.as_str());
    let colon = after.strip_prefix(':');
    // a heading needs none, and neither does JSON
    let heading = after.strip_prefix('\n').filter(|_| is_heading);
    let json = Some(after).filter(|after| is_call && after.starts_with(['{', '[']));
    let Some(after_colon) = colon.or(heading).or(json) else {
        let may_be = (after.is_empty() || (is_heading && after == "\r"))
            && !is_over
            && may_become_label(&plain);
        return if may_be { Label::Unsure } else { Label::No };
    };
    let rest = after_colon.trim_start_matches(DECORATION);
    let end = line.len() - rest.len();
    if rest.is_empty() && !is_over {
        return Label::Unsure;
    }
    if is_thought(&plain) {
        // `*thinking: …*`
        let emphasised = line.strip_prefix('*');
        let is_aside = emphasised.is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        return match bracket {
            Some((close, _)) => Label::Bracket(end, close),
            None if is_aside => Label::Bracket(end, "*"),
            None => Label::Thoughts,
        };
    }
    if bracket.is_some() {
        return Label::No;
    }
    if ANSWER_LABELS.contains(&plain.as_str()) {
        return Label::Answer(end);
    }
    if CALLERS.contains(&plain.as_str()) {
        return Label::Turn;
    }
    if !is_call {
        return Label::No;
    }
    let rest = rest.trim_start();
    match begins_action(rest, tools) {
        None if !is_over => Label::Unsure,
        Some(true) => Label::Action(line.len() - rest.len()),
        Some(false) | None => Label::No,
    }
}

/// Does a call follow the label? `None`: it may, when more comes.
fn begins_action(text: &str, tools: &[ToolDefinition]) -> Option<bool> {
    let inside = match super::bare::fence(text) {
        Ok(length) => text.get(length..).unwrap_or_default(),
        Err(true) => return None,
        Err(false) => text,
    };
    let inside = inside.trim_start();
    if inside.is_empty() {
        return None;
    }
    if inside.starts_with(['{', '[']) {
        let key = inside.trim_start_matches(['{', '[']).trim_start();
        return key.chars().next().map(|key| matches!(key, '"' | '\''));
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '`');
    let end = inside.find(|c| !is_of_name(c))?;
    let (name, after) = inside.split_at(end);
    let name = plain_name(name.rsplit('.').next().unwrap_or(name));
    if !offered(name, tools) {
        return Some(false);
    }
    let after = after.trim_start_matches([' ', '*', '\r']);
    if after.starts_with(['(', '{']) {
        return Some(true);
    }
    if !after.is_empty() && !after.starts_with('\n') {
        return Some(false);
    }
    // what is to be done with it follows on the next line
    let next = folded(after.trim_start().trim_start_matches(['*', '_']));
    let partners = [
        "action input",
        "action_input",
        "input:",
        "tool input",
        "arguments",
        "args:",
        "parameters",
        "observation",
        "```",
        "{",
    ];
    if partners.iter().any(|partner| next.starts_with(partner)) {
        return Some(true);
    }
    let may_be = partners.iter().any(|partner| partner.starts_with(&*next));
    if may_be { None } else { Some(false) }
}

/// Does the agent speak on this line?
pub(super) fn is_own_turn(line: &str) -> bool {
    let line = line.trim_start_matches(DECORATION);
    let name = line.split(':').next().unwrap_or_default();
    line.contains(':')
        && matches!(
            name.trim_end_matches(DECORATION),
            "assistant" | "ai" | "agent" | "bot" | "model" | "you"
        )
}

fn is_thought(words: &str) -> bool {
    let strong = THOUGHT_WORDS.iter().take(6);
    let mut any = words.split_whitespace();
    words
        .split_whitespace()
        .all(|word| THOUGHT_WORDS.contains(&word))
        && any.any(|word| strong.clone().any(|strong| *strong == word))
}

/// May more letters make a label of these words?
fn may_become_label(words: &str) -> bool {
    let mut known = ANSWER_LABELS.iter().chain(&CALL_LABELS).chain(&CALLERS);
    if known.any(|label| label.starts_with(words)) {
        return true;
    }
    let mut all = words.split_whitespace().rev();
    // the last one may be half
    let last = all.next().unwrap_or_default();
    THOUGHT_WORDS.iter().any(|known| known.starts_with(last))
        && all.all(|word| THOUGHT_WORDS.contains(&word))
}

/// What of an answer that begins with thoughts is for the caller: where the thoughts end and what ends them. `None`: nothing yet.
pub(super) fn answer_in(
    text: &str,
    tools: &[ToolDefinition],
    is_over: bool,
) -> Option<(usize, Label)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > 0 {
            let here = text.get(at..).unwrap_or_default();
            match label(here, tools, is_over) {
                Label::Answer(length) => return Some((at + length, Label::Answer(length))),
                Label::Action(length) => return Some((at, Label::Action(length))),
                Label::Thoughts | Label::Bracket(..) | Label::Turn | Label::Unsure | Label::No => {}
            }
        }
        if let Ok((_, end)) = super::notation::find(line, &[FINAL_ANSWER.to_owned()]) {
            let rest = line.get(end..).unwrap_or_default();
            let words = rest.trim_start_matches(DECORATION);
            if words.is_empty() && !is_over {
                return None;
            }
            let length = end + rest.len() - words.len();
            return Some((at + length, Label::Answer(length)));
        }
        at += line.len();
    }
    None
}
