//! Words that stand before a colon at the beginning of a line and say what follows: `Thought:`, `**Final answer:**`, `Action:`.
//! ReAct prompts, frameworks built on them, and models that were trained on their transcripts.

use antiphon_agent::provider::ToolDefinition;

use super::notation::folded;
use super::written::{offered, plain_name};

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
/// The end of thoughts also within a line.
pub(super) const FINAL_ANSWER: &str = "final answer:";
/// What a tool is to have said; whoever writes it after a call has made it up.
pub(super) const OBSERVATION: &str = "observation:";

/// What a label says, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Thoughts(usize),
    /// The same in brackets: until the closing one, which is this.
    Bracket(usize, &'static str),
    Answer(usize),
    /// A call of a tool that was offered.
    Action(usize),
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
    let length = start.find(|c| !is_of_label(c)).unwrap_or(start.len());
    let (words, after) = start.split_at(length);
    let plain = folded(words.trim_matches(DECORATION)).replace('_', " ");
    if length > MAX_LABEL_BYTES {
        return Label::No;
    }
    let Some(after_colon) = after.strip_prefix(':') else {
        let may_be = after.is_empty() && !is_over && may_become_label(&plain);
        return if may_be { Label::Unsure } else { Label::No };
    };
    let rest = after_colon.trim_start_matches(DECORATION);
    let end = line.len() - rest.len();
    if rest.is_empty() && !is_over {
        return Label::Unsure;
    }
    if is_thought(&plain) {
        return match bracket {
            Some((close, _)) => Label::Bracket(end, close),
            None => Label::Thoughts(end),
        };
    }
    if bracket.is_some() {
        return Label::No;
    }
    if ANSWER_LABELS.contains(&plain.as_str()) {
        return Label::Answer(end);
    }
    if !matches!(
        plain.as_str(),
        "action" | "tool" | "tool call" | "function call"
    ) {
        return Label::No;
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '`');
    let rest = rest.trim_start();
    if plain.ends_with("call") && rest.starts_with('{') {
        return Label::Action(line.len() - rest.len());
    }
    let name_end = rest.find(|c| !is_of_name(c));
    match name_end {
        None if !is_over => Label::Unsure,
        _ => {
            let name = rest
                .get(..name_end.unwrap_or(rest.len()))
                .unwrap_or_default();
            let name = plain_name(name.rsplit('.').next().unwrap_or(name));
            if offered(name, tools) {
                Label::Action(line.len() - rest.len())
            } else {
                Label::No
            }
        }
    }
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
    let others = ["action", "tool call", "function call"];
    let mut known = ANSWER_LABELS.iter().chain(&others);
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
            match label(line, tools, is_over) {
                Label::Answer(length) => return Some((at + length, Label::Answer(length))),
                Label::Action(length) => return Some((at, Label::Action(length))),
                Label::Thoughts(_) | Label::Bracket(..) | Label::Unsure | Label::No => {}
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
    // no label at all: what stands in a paragraph of its own
    let (first, _) = text.split_once("\n\n")?;
    is_over.then_some((first.len(), Label::No))
}
