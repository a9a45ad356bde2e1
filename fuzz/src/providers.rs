//! What providers answer, and what models write.

use antiphon_agent::tool::arguments as tool_arguments;

pub fn chat(data: &[u8]) {
    if let Some((piece, body)) = data.split_first() {
        antiphon_openai::fuzzing::chat(body, usize::from(*piece));
    }
}

/// First byte: the size of the pieces, and whether the answer is expected to begin in thoughts.
pub fn spoken(data: &[u8]) {
    if let Some((piece, text)) = data.split_first() {
        let text = String::from_utf8_lossy(text);
        antiphon_openai::fuzzing::spoken(&text, usize::from(piece >> 1), piece & 1 == 1);
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
