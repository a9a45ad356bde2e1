//! Doors for the fuzzer (`make fuzz`) to the parsers of outside bytes; no interface of this crate. Always compiled, unlike
//! code behind a cfg, so that whoever changes a parser learns at once that the fuzzer uses it.

use std::sync::Arc;

use antiphon_agent::provider::ToolDefinition;

use crate::chat::answer::Answer;
use crate::chat::spoken::{Opening, Piece, Spoken};
use crate::pcm::PcmReader;
use crate::sse::SseParser;

/// A streamed chat completion that arrives in pieces of this size: the same whatever the size.
pub fn chat(body: &[u8], piece: usize) {
    let whole = events(body, body.len());
    assert_eq!(
        events(body, piece),
        whole,
        "where the bytes are cut changes what they say"
    );
    let mut answer = Answer::new(tools(), Opening::Words);
    let mut chunks = Vec::new();
    for data in &whole {
        if answer.push(data, &mut chunks).is_err() {
            return;
        }
    }
    let _ = answer.finish(&mut chunks);
}

fn tools() -> Arc<[ToolDefinition]> {
    Arc::from(["lookup", "hours"].map(|name| ToolDefinition {
        name: name.to_owned(),
        description: String::new(),
        parameters: serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}}),
    }))
}

/// A model's text that arrives in pieces of this many characters: the same words and calls whatever the size.
pub fn spoken(text: &str, piece: usize, in_thoughts: bool) {
    let opening = if in_thoughts {
        Opening::Thoughts
    } else {
        Opening::Words
    };
    assert_eq!(
        told(text, piece, opening),
        told(text, usize::MAX, opening),
        "where the text is cut changes what it says"
    );
}

fn told(text: &str, piece: usize, opening: Opening) -> (String, Vec<Piece>) {
    let mut spoken = Spoken::new(tools(), opening);
    let chars: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    for part in chars.chunks(piece.max(1)) {
        pieces.extend(spoken.push(&part.iter().collect::<String>()));
    }
    pieces.extend(spoken.finish(true));
    let (mut words, mut others) = (String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Words(more) => words.push_str(&more),
            Piece::Withdrawn => words.clear(),
            other => others.push(other),
        }
    }
    (words, others)
}

fn events(body: &[u8], piece: usize) -> Vec<String> {
    let mut parser = SseParser::default();
    let mut events = Vec::new();
    for bytes in body.chunks(piece.max(1)) {
        if parser.push(bytes, |data| events.push(data)).is_err() {
            return events;
        }
    }
    parser.finish(|data| events.push(data));
    events
}

/// Streamed speech that arrives in pieces of this size: as much of it whatever the size.
pub fn speech(body: &[u8], piece: usize) {
    assert_eq!(
        samples(body, piece),
        samples(body, body.len()),
        "where the bytes are cut changes what they say"
    );
}

fn samples(body: &[u8], piece: usize) -> Option<Vec<i16>> {
    let mut reader = PcmReader::default();
    let mut samples = Vec::new();
    for bytes in body.chunks(piece.max(1)) {
        let frame = reader.push(bytes).ok()?;
        samples.extend(frame.into_iter().flat_map(|f| f.into_samples()));
    }
    samples.extend(reader.finish().into_iter().flat_map(|f| f.into_samples()));
    Some(samples)
}
