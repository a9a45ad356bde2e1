//! Names of tags, by what stands inside: thoughts, what a tool has said, calls, the answer.

/// A tag's name that is made of these says that thoughts are inside: `<think>`, `<seed:think>`, `<inner_thoughts>`, …
pub(super) const THOUGHT_WORDS: [&str; 20] = [
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
pub(super) const BESIDE_THOUGHT_WORDS: [&str; 18] = [
    "block", "inner", "internal", "initial", "private", "hidden", "silent", "deep", "my", "self",
    "process", "chain", "of", "step", "steps", "trace", "longcat", "content",
];

/// What a tool is to have said: a model that writes it has made it up or repeats it.
pub(super) const RESULT_TAGS: [&str; 10] = [
    "tool_response",
    "tool_responses",
    "tool_result",
    "tool_results",
    "tool_output",
    "tool_outputs",
    "function_result",
    "function_response",
    "function_results",
    "observation",
];

/// Does a tag or a word with this name hold what a tool is to have said?
pub(super) fn is_result(name: &str) -> bool {
    RESULT_TAGS.contains(&name)
}

/// Does a tag or a word with this name hold thoughts? Names of sites and shops contain such words as well.
pub(super) fn is_thought(name: &str) -> bool {
    let name = name.rsplit(':').next().unwrap_or(name);
    let words = || name.split(['_', '-']).filter(|word| !word.is_empty());
    words().any(|word| THOUGHT_WORDS.contains(&word))
        && words().all(|word| THOUGHT_WORDS.contains(&word) || BESIDE_THOUGHT_WORDS.contains(&word))
}

/// Tags around calls: Hermes, Qwen, GLM, Granite, Nemotron, Jamba, Hunyuan,
/// Llama's `<function=name>`, the `<invoke name="…">` of MiniMax and others.
pub(super) const CALL_TAGS: [&str; 12] = [
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
pub(super) const PERHAPS_TAGS: [&str; 15] = [
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

/// Tags that only wrap what is for the caller, and tokens that are none of `<|…|>`.
pub(super) const NOISE_TAGS: [&str; 16] = [
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
