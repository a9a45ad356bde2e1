//! The notations: how models mark thoughts, calls and turns in their text. One table, and the reading of one mark.
//!
//! Compared without regard to case, and DeepSeek's `｜` and `▁` are `|` and `_`.

use super::aside::is_aside;
use super::tags::{
    CALL_TAGS, NOISE_TAGS, PERHAPS_TAGS, RESULT_TAGS, THOUGHT_WORDS, is_result, is_thought,
};

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Thoughts until one of these.
    Thoughts(Vec<String>),
    /// The end of thoughts.
    ThoughtsEnd,
    /// Until one of these the way to an answer, if they and an answer follow.
    Aside(Vec<String>),
    /// Calls until one of these, or the end of the answer.
    Calls(Vec<String>),
    /// The same, if a call is in it.
    Perhaps(Vec<String>),
    /// Who speaks in which channel, until the end of the line or of the header.
    Header,
    /// A turn or channel is over.
    TurnEnd,
    /// Of no meaning to anybody but the model.
    Noise,
}

/// What stands at the beginning of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lexed {
    /// A mark of this many bytes.
    Mark(Mark, usize),
    /// More text may make it one.
    Unsure,
    /// Words.
    Words,
}

/// A tag or special token that is longer than this is none.
pub(super) const MAX_MARK_BYTES: usize = 256;
/// The longest name of a tag.
const MAX_NAME_BYTES: usize = 40;

/// `[NAME]…[/NAME]`: Mistral.
const THOUGHT_BRACKETS: [&str; 4] = ["think", "thinking", "thought", "reasoning"];

/// Thoughts between two marks.
const THOUGHT_PAIRS: [(&str, &str); 18] = [
    ("<!--", "-->"),
    ("◁think▷", "◁/think▷"),                        // Kimi
    ("<|begin_of_thought|>", "<|end_of_thought|>"), // Sky-T1, OpenThinker
    ("<|start_of_thought|>", "<|end_of_thought|>"),
    ("<|start_thinking|>", "<|end_thinking|>"), // Command A
    ("<|thinking|>", "<|/thinking|>"),
    ("<|think|>", "<|/think|>"),
    ("<|thought|>", "<|/thought|>"),
    ("<|reasoning|>", "<|/reasoning|>"),
    ("<|think_start|>", "<|think_end|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"), // Apertus
    ("<|channel>thought", "<channel|>"),      // Gemma 4
    ("<unused94>", "<unused95>"),             // MedGemma
    ("<ctrl94>", "<ctrl95>"),                 // Gemini
    ("<|begin_thinking|>", "<|end_thinking|>"),
    ("[begin thoughts]", "[end thoughts]"),
    ("[begin thinking]", "[end thinking]"),
    ("[begin reasoning]", "[end reasoning]"),
];

/// Thoughts in plain words, at the beginning of an answer only: Granite 3.2, and harmony without its special tokens.
const THOUGHT_PHRASES: [(&str, &str); 6] = [
    ("here is my thought process:", "here is my response:"),
    ("here's my thought process:", "here's my response:"),
    ("thinking...\n", "...done thinking."), // Ollama's terminal
    ("assistantanalysis", STRIPPED_FINAL),
    ("assistantcommentary", STRIPPED_FINAL),
    ("analysis", STRIPPED_FINAL),
];
/// Harmony's channels without special tokens: the last one, and a call.
const STRIPPED_FINAL: &str = "assistantfinal";
/// Llama's header without special tokens.
const STRIPPED_ROLE: &str = "assistant\n";
pub(super) const STRIPPED_CALL: &str = "assistantcommentary to=";

/// Other marks around calls. Without an end they last as long as the answer.
const CALL_PAIRS: [(&str, &[&str]); 17] = [
    (STRIPPED_CALL, &[]),                        // harmony, at the beginning only
    ("<|tools_prefix|>", &["<|tools_suffix|>"]), // Apertus
    ("<|tool_call:begin|>", &["<|tool_call:end|>"]), // Solar
    ("[tool_calls]", &[]),                       // Mistral
    ("[tool_request]", &["[end_tool_request]"]), // LM Studio
    ("<|python_tag|>", &["<|eom_id|>", "<|eot_id|>"]), // Llama 3
    ("<|python_start|>", &["<|python_end|>"]),   // Llama 4
    ("<|tool_call|>", &["<|/tool_call|>"]),      // Granite, Phi
    ("<|tool_call>", &["<tool_call|>"]),         // Gemma 4
    ("<start_function_call>", &["<end_function_call>"]), // FunctionGemma
    (
        "<|tool_calls_section_begin|>",
        &["<|tool_calls_section_end|>"],
    ), // Kimi K2
    ("<|tool_calls_begin|>", &["<|tool_calls_end|>"]), // DeepSeek
    ("<|tool_call_begin|>", &["<|tool_call_end|>"]),
    ("<|tool_call_start|>", &["<|tool_call_end|>"]), // LFM2
    ("<|start_action|>", &["<|end_action|>"]),       // Command A
    ("<|action_start|>", &["<|action_end|>"]),       // InternLM
    ("functools[", &[]),                             // Phi-4-mini, at the beginning only
];

/// Where a header begins.
const HEADERS: [&str; 7] = [
    "<|start|>", // harmony
    "<|begin|>", // Solar
    "<|channel|>",
    "<|im_start|>",        // ChatML
    "<|start_header_id|>", // Llama
    "<start_of_turn>",     // Gemma
    "<|turn>",
];

/// Where it ends, beside the end of the line.
pub(super) const HEADER_ENDS: [&str; 5] = [
    "<|message|>",
    "<|end_header_id|>",
    "<|content|>",
    "<|think|>",
    "<|tool_calls|>",
];

/// Where a turn ends.
const TURN_ENDS: [&str; 10] = [
    "[e~[", // MiniMax
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<turn|>",
];

/// The mark at the beginning of `text`, which begins with one of [`is_first`]. `at_start`: nothing was said yet in the answer.
pub(super) fn lex(text: &str, at_start: bool) -> Lexed {
    let mut unsure = false;
    let mut seek = |literal: &str| match begins(text, literal) {
        Begins::With(length) => Some(length),
        Begins::Partly => {
            unsure = true;
            None
        }
        Begins::Not => None,
    };
    for (open, close) in THOUGHT_PAIRS {
        if let Some(length) = seek(open) {
            return Lexed::Mark(Mark::Thoughts(vec![close.to_owned()]), length);
        }
        if let Some(length) = seek(close) {
            return Lexed::Mark(Mark::ThoughtsEnd, length);
        }
    }
    for name in THOUGHT_BRACKETS {
        let close = format!("[/{name}]");
        if let Some(length) = seek(&close) {
            return Lexed::Mark(Mark::ThoughtsEnd, length);
        }
        if let Some(length) = seek(&format!("[{name}]")) {
            return Lexed::Mark(Mark::Thoughts(vec![close]), length);
        }
    }
    for (open, closes) in CALL_PAIRS {
        let closes = closes.iter().map(|close| (*close).to_owned()).collect();
        if (at_start || open.starts_with(['<', '[']))
            && let Some(length) = seek(open)
        {
            return Lexed::Mark(Mark::Calls(closes), length);
        }
    }
    for header in HEADERS {
        if let Some(length) = seek(header) {
            return Lexed::Mark(Mark::Header, length);
        }
    }
    for end in TURN_ENDS {
        if let Some(length) = seek(end) {
            return Lexed::Mark(Mark::TurnEnd, length);
        }
    }
    for literal in [STRIPPED_FINAL, STRIPPED_ROLE] {
        if at_start && let Some(length) = seek(literal) {
            return Lexed::Mark(Mark::Noise, length);
        }
    }
    if at_start {
        for (open, close) in THOUGHT_PHRASES {
            if let Some(length) = seek(open) {
                match phrase(text.get(length..).unwrap_or_default(), open) {
                    Some(true) => {
                        let mut ends = vec![close.to_owned()];
                        if close == STRIPPED_FINAL {
                            ends.push(STRIPPED_CALL.to_owned());
                        }
                        return Lexed::Mark(Mark::Thoughts(ends), length);
                    }
                    Some(false) => {}
                    None => return Lexed::Unsure,
                }
            }
        }
    }
    match escaped(text).unwrap_or_else(|| tag(text)) {
        Lexed::Words if unsure => Lexed::Unsure,
        other => other,
    }
}

/// `analysis` is a mark only when the words stick to it, as they do when a server has taken the special tokens out.
fn phrase(after: &str, open: &str) -> Option<bool> {
    if !open.ends_with(char::is_alphabetic) {
        return Some(true);
    }
    after.chars().next().map(char::is_alphanumeric)
}

/// May a mark begin with this?
pub(super) fn is_first(c: char, at_start: bool) -> bool {
    matches!(c, '<' | '[' | '◁' | '&')
        || (at_start && matches!(c, 'h' | 'H' | 'a' | 'f' | 't' | 'T'))
}

/// `&lt;think&gt;` is `<think>`. `None`: nothing is escaped here.
fn escaped(text: &str) -> Option<Lexed> {
    let (open, close) = ("&lt;", "&gt;");
    let inside = match begins(text, open) {
        Begins::With(length) => text.get(length..)?,
        Begins::Partly => return Some(Lexed::Unsure),
        Begins::Not => return None,
    };
    let is_of_tag = |c: char| !matches!(c, '<' | '>' | '\n');
    let end = inside.find(close).filter(|end| *end <= MAX_MARK_BYTES);
    let begun = inside
        .get(..end.unwrap_or(inside.len()))
        .unwrap_or_default();
    if begun.len() > MAX_MARK_BYTES || !begun.chars().all(is_of_tag) {
        return Some(Lexed::Words);
    }
    let Some(end) = end else {
        return Some(Lexed::Unsure);
    };
    let plain = format!("<{}>", inside.get(..end)?);
    Some(match tag(&plain) {
        Lexed::Mark(mark, length) if length == plain.len() => {
            let both = |ends: Vec<String>| {
                let escaped = ends
                    .iter()
                    .map(|end| end.replace('<', open).replace('>', close));
                escaped.chain(ends.clone()).collect()
            };
            let mark = match mark {
                Mark::Thoughts(ends) => Mark::Thoughts(both(ends)),
                Mark::Calls(ends) => Mark::Calls(both(ends)),
                Mark::Perhaps(ends) => Mark::Perhaps(both(ends)),
                Mark::Aside(ends) => Mark::Aside(both(ends)),
                other => other,
            };
            Lexed::Mark(mark, open.len() + end + close.len())
        }
        _ => Lexed::Words,
    })
}

/// `<name …>`, `</name>`, `<prefix:name=…>`, `<|…|>`.
fn tag(text: &str) -> Lexed {
    let Some(inside) = text.strip_prefix('<') else {
        return Lexed::Words;
    };
    let inside = inside.trim_start_matches(' ');
    let (is_close, inside) = match inside.strip_prefix('/') {
        Some(inside) => (true, inside.trim_start_matches(' ')),
        None => (false, inside),
    };
    let is_of_name = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '|' | '｜' | '▁')
    };
    let (name, after) = split_while(inside, is_of_name);
    let name = folded(name);
    if name.starts_with('|')
        && !name.starts_with("|dsml|")
        && !(after.is_empty() && "|dsml|".starts_with(&name))
    {
        return special(text);
    }
    if name == "details" && !is_close && after.starts_with('>') {
        return folded_away(text);
    }
    let is_thought = is_thought(&name);
    let is_aside = is_aside(&name);
    let is_perhaps = PERHAPS_TAGS.contains(&name.as_str());
    let is_result = is_result(&name);
    let is_noise = NOISE_TAGS.contains(&name.as_str());
    // with the maker's prefix: MiniMax, Seed, StepFun, xAI, Anthropic's style, DeepSeek 3.2
    let local = name.rsplit(':').next().unwrap_or_default();
    let is_call = CALL_TAGS.contains(&local.strip_prefix("|dsml|").unwrap_or(local));
    let Some(next) = after.chars().next() else {
        // any name may still become one that holds thoughts
        return if name.len() <= MAX_NAME_BYTES {
            Lexed::Unsure
        } else {
            Lexed::Words
        };
    };
    let ends = next == '>'
        || next == '/'
        || next.is_whitespace()
        || (matches!(next, '=' | '(') && is_call);
    // `<details type="reasoning">`
    let may_say_so = next.is_whitespace() && !name.is_empty();
    if !(is_thought || is_call || is_noise || is_aside || is_perhaps || is_result || may_say_so)
        || !ends
    {
        return Lexed::Words;
    }
    let end = after.find(['>', '<']).unwrap_or(after.len());
    // Llama at Groq: `<function=lookup{…}`, `<function(lookup){…}`
    if is_call
        && !is_close
        && let Some(brace) = after.find('{').filter(|brace| *brace < end)
        && after.starts_with(['=', '('])
    {
        let ends = vec![format!("</{name}>")];
        return Lexed::Mark(Mark::Calls(ends), text.len() - after.len() + brace);
    }
    let length = text.len() - after.len() + end + 1;
    match after.get(end..).and_then(|rest| rest.chars().next()) {
        _ if length > MAX_MARK_BYTES => return Lexed::Words,
        None => return Lexed::Unsure,
        Some('>') => {}
        Some(_) => return Lexed::Words,
    }
    // words in angle brackets are words: attributes have values
    let attributes = after
        .get(..end)
        .unwrap_or_default()
        .trim_end_matches('/')
        .trim();
    if !attributes.is_empty() && !attributes.contains('=') {
        return Lexed::Words;
    }
    let attributes_think = is_thought_attribute(&folded(attributes));
    if !(is_thought
        || is_call
        || is_noise
        || is_aside
        || is_perhaps
        || is_result
        || attributes_think)
    {
        return Lexed::Words;
    }
    let mut end = vec![format!("</{name}>")];
    if is_thought {
        // what opens as `<think>` closes as `</thinking>`
        let sisters = ["</think>", "</thinking>"].map(str::to_owned);
        let own = format!("</{name}>");
        end.extend(sisters.into_iter().filter(|sister| *sister != own));
    }
    let mark = match (is_thought, is_close) {
        (true, true) => Mark::ThoughtsEnd,
        (true, false) => Mark::Thoughts(end),
        (false, false) if is_call => Mark::Calls(end),
        (false, false) if is_aside => Mark::Aside(end),
        (false, false) if is_perhaps => Mark::Perhaps(end),
        (false, true) if is_perhaps => return Lexed::Words,
        (false, false) if is_result || attributes_think => Mark::Thoughts(end),
        (false, _) => Mark::Noise,
    };
    Lexed::Mark(mark, length)
}

/// `<details><summary>Thought for 2 s</summary>…</details>`: thoughts, if the summary says so.
fn folded_away(text: &str) -> Lexed {
    let inside = folded(text.split_once('>').unwrap_or_default().1.trim_start());
    let summary = "<summary>";
    let Some(title) = inside.strip_prefix(summary) else {
        return if summary.starts_with(&inside) {
            Lexed::Unsure
        } else {
            Lexed::Words
        };
    };
    let title = title.trim_start_matches(|c: char| !c.is_alphanumeric());
    let length = title.find(|c: char| !c.is_alphanumeric());
    let Some(word) = length.and_then(|length| title.get(..length)) else {
        return Lexed::Unsure;
    };
    match THOUGHT_WORDS.contains(&word) {
        true => Lexed::Mark(
            Mark::Thoughts(vec!["</details>".to_owned()]),
            "<details>".len(),
        ),
        false => Lexed::Words,
    }
}

/// `type="reasoning"`, `class="thinking"`: a value of one word.
fn is_thought_attribute(attributes: &str) -> bool {
    attributes
        .split(['"', '\''])
        .skip(1)
        .step_by(2)
        .any(|value| !value.contains(char::is_whitespace) && is_thought(value))
}

/// `<|anything|>`: no model is to say such a thing.
fn special(text: &str) -> Lexed {
    let mut bars = 0;
    for (at, c) in text.char_indices() {
        match c {
            '|' | '｜' => bars += 1,
            '>' if bars > 1 => {
                let mark = text.get(..=at).unwrap_or_default();
                return Lexed::Mark(special_thought(mark).unwrap_or(Mark::Noise), at + 1);
            }
            _ if at > MAX_MARK_BYTES || c.is_whitespace() || (c == '<' && at > 0) || c == '>' => {
                return Lexed::Words;
            }
            _ => {}
        }
    }
    Lexed::Unsure
}

/// `<|reasoning_start|>`, whatever the word for thoughts.
fn special_thought(mark: &str) -> Option<Mark> {
    let mark = folded(mark);
    let name = mark.trim_matches(['<', '|', '>']);
    let is_edge = |word: &&str| matches!(*word, "start" | "begin" | "end" | "of");
    let inner: Vec<&str> = name.split('_').filter(|word| !is_edge(word)).collect();
    if !is_thought(&inner.join("_")) {
        return None;
    }
    if name.split('_').any(|word| word == "end") {
        return Some(Mark::ThoughtsEnd);
    }
    let end = mark.replace("start", "end").replace("begin", "end");
    (end != mark).then(|| Mark::Thoughts(vec![end]))
}

/// Is a text at the end of an answer the beginning of a mark that will not come?
pub(super) fn is_half_mark(text: &str) -> bool {
    let text = folded(text);
    let name = text.trim_start_matches(['<', '/', ' ']);
    let known = THOUGHT_WORDS.iter().chain(&CALL_TAGS);
    let mut known = known.chain(&RESULT_TAGS);
    text.starts_with('<')
        && (name.starts_with('|')
            || (name.len() > 2 && (is_thought(name) || known.any(|known| known.starts_with(name)))))
}

/// The longest beginning of a text in which each character is such a one, and what follows it.
pub(super) fn split_while(text: &str, is_such: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_such(c)).unwrap_or(text.len()))
}

/// How a text begins.
pub(super) enum Begins {
    /// With the literal, in this many bytes.
    With(usize),
    /// With all of it that there is room for.
    Partly,
    Not,
}

/// Does `text` begin with this literal (which is folded)?
pub(super) fn begins(text: &str, literal: &str) -> Begins {
    let mut chars = text.chars().peekable();
    let mut length = 0;
    let mut before = ' ';
    for expected in literal.chars() {
        // `</ think >`
        let is_in_tag =
            literal.starts_with("</") && (expected == '>' || matches!(before, '<' | '/'));
        while is_in_tag && chars.next_if(|c| matches!(c, ' ' | '\n')).is_some() {
            length += 1;
        }
        before = expected;
        match chars.next() {
            None => return Begins::Partly,
            Some(c) if fold(c) == expected => length += c.len_utf8(),
            Some(_) => return Begins::Not,
        }
    }
    Begins::With(length)
}

/// The first of these literals in a text, and where it ends; else from where on one may begin.
pub(super) fn find(text: &str, literals: &[String]) -> Result<(usize, usize), usize> {
    let mut unsure = text.len();
    for (at, c) in text.char_indices() {
        let here = text.get(at..).unwrap_or_default();
        for literal in literals {
            if !literal.starts_with(fold(c)) {
                continue;
            }
            match begins(here, literal) {
                Begins::With(length) => return Ok((at, at + length)),
                Begins::Partly => unsure = unsure.min(at),
                Begins::Not => {}
            }
        }
    }
    Err(unsure)
}

fn fold(c: char) -> char {
    match c {
        '｜' => '|',
        '▁' => '_',
        other => other.to_ascii_lowercase(),
    }
}

pub(super) fn folded(text: &str) -> String {
    text.chars().map(fold).collect()
}
