//! What providers answer, and what models write.

use antiphon_agent::tool::arguments as tool_arguments;

pub fn chat(data: &[u8]) {
    if let Some((piece, body)) = data.split_first() {
        antiphon_openai::fuzzing::chat(body, usize::from(*piece));
    }
}

pub fn speech(data: &[u8]) {
    if let Some((piece, body)) = data.split_first() {
        antiphon_openai::fuzzing::speech(body, usize::from(*piece));
    }
}

/// A message a line.
pub fn deepgram(data: &[u8]) {
    antiphon_deepgram::fuzzing::messages(String::from_utf8_lossy(data).lines());
}

pub fn arguments(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(value) = tool_arguments::parse(&text) {
        assert!(value.is_object(), "{value}");
    }
    let canonical = tool_arguments::canonical(&text);
    assert!(serde_json::from_str::<serde_json::Value>(&canonical).is_ok(), "the history would hold what is no JSON: {canonical}");
}
