//! The notations: how models mark thoughts, calls and turns in their text. One table, and the reading of one mark.
//!
//! Compared without regard to case, and DeepSeek's `｜` and `▁` are `|` and `_`.

use super::aside::is_aside;

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
    /// A mark of so many bytes.
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

/// A tag's name that is made of these says that thoughts are inside: `<think>`, `<seed:think>`, `<inner_thoughts>`, …
const THOUGHT_WORDS: [&str; 20] = [
    "think",
    "thinking",
    "antthinking",
    "thought",
    "thoughts",
    "reason",
    "reasoning",
    "reflect",
    "reflection",
    "reflections",
    "reflexion",
    "scratchpad",
    "monologue",
    "monolog",
    "deliberation",
    "deliberate",
    "analysis",
    "cot",
    "rationale",
    "commentary",
];

/// They may stand beside one of those.
const BESIDE_THOUGHT_WORDS: [&str; 18] = [
    "block", "inner", "internal", "initial", "private", "hidden", "silent", "deep", "my", "self",
    "process", "chain", "of", "step", "steps", "trace", "longcat", "content",
];

/// What a tool is to have said: a model that writes it has made it up or repeats it.
const RESULT_TAGS: [&str; 8] = [
    "tool_response",
    "tool_responses",
    "tool_result",
    "tool_results",
    "tool_output",
    "function_response",
    "function_results",
    "observation",
];

/// Does a tag or a word with this name hold thoughts? Names of sites and shops contain such words as well.
pub(super) fn is_thought(name: &str) -> bool {
    let name = name.rsplit(':').next().unwrap_or(name);
    let words = || name.split(['_', '-']).filter(|word| !word.is_empty());
    words().any(|word| THOUGHT_WORDS.contains(&word))
        && words().all(|word| THOUGHT_WORDS.contains(&word) || BESIDE_THOUGHT_WORDS.contains(&word))
}

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
pub(super) const STRIPPED_CALL: &str = "assistantcommentary to=";

/// Tags around calls: Hermes, Qwen, GLM, Granite, Nemotron, Jamba, Hunyuan,
/// Llama's `<function=name>`, the `<invoke name="…">` of MiniMax and others.
const CALL_TAGS: [&str; 12] = [
    "tool_call",
    "tool_calls",
    "toolcall",
    "toolcalls",
    "tool_use",
    "tool_code",
    "function_call",
    "function_calls",
    "functioncall",
    "function",
    "invoke",
    "longcat_tool_call",
];

/// At the beginning of a line a call may be in these.
const PERHAPS_TAGS: [&str; 15] = [
    "tool",
    "tools",
    "call",
    "calls",
    "use_tool",
    "use_mcp_tool",
    "call_tool",
    "tool_name",
    "function_name",
    "invoke_tool",
    "tool_request",
    "execute",
    "run",
    "action",
    "code",
];

/// Other marks around calls. Without an end they last as long as the answer.
const CALL_PAIRS: [(&str, &[&str]); 16] = [
    (STRIPPED_CALL, &[]),                        // harmony, at the beginning only
    ("<|tools_prefix|>", &["<|tools_suffix|>"]), // Apertus
    ("<|tool_call:begin|>", &["<|tool_call:end|>"]), // Solar
    ("[tool_calls]", &[]),                       // Mistral
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

/// Tags that only wrap what is for the caller, and tokens that are none of `<|…|>`.
const NOISE_TAGS: [&str; 16] = [
    "conclusion",
    "solution",
    "reply",
    "response",
    "answer",
    "final",
    "final_answer",
    "final_response",
    "output",
    "message",
    "assistant",
    "s",
    "bos",
    "eos",
    "pad",
    "im_end",
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
    if at_start && let Some(length) = seek(STRIPPED_FINAL) {
        return Lexed::Mark(Mark::Noise, length);
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
    let length = inside.find(|c| !is_of_name(c)).unwrap_or(inside.len());
    let (name, after) = inside.split_at(length);
    let name = folded(name);
    if name.starts_with('|')
        && !name.starts_with("|dsml|")
        && !(after.is_empty() && "|dsml|".starts_with(&name))
    {
        return special(text);
    }
    let is_thought = is_thought(&name);
    let is_aside = is_aside(&name);
    let is_perhaps = PERHAPS_TAGS.contains(&name.as_str());
    let is_result = RESULT_TAGS.contains(&name.as_str());
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

/// How a text begins.
pub(super) enum Begins {
    /// With the literal, in so many bytes.
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
