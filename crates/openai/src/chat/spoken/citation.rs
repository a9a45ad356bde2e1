//! References to sources in a model's text.

use super::notation::{Begins, Lexed, Mark, begins};

/// The longest reference to a source.
const MAX_CITATION_BYTES: usize = 64;

/// References to sources, as models write them whose servers make links of them: `turn0search1`, `【4:0†menu.md】`,
/// `:contentReference[oaicite:0]{index=0}`. Nobody can follow them by ear.
pub(super) fn citation(text: &str, is_over: bool) -> Lexed {
    let until = |close: char| match text.find(close) {
        Some(end) if end <= MAX_CITATION_BYTES => Ok(end + close.len_utf8()),
        None if !is_over && text.len() <= MAX_CITATION_BYTES => Err(Lexed::Unsure),
        Some(_) | None => Err(Lexed::Words),
    };
    let noise = |length| Lexed::Mark(Mark::Noise, length);
    match text.chars().next() {
        Some('\u{e200}') => until('\u{e201}').map_or_else(
            |why| if why == Lexed::Words { noise(3) } else { why },
            noise,
        ),
        Some('\u{e201}'..='\u{e2ff}') => noise(3),
        Some('【') => match until('】') {
            Ok(end) if text.get(..end).is_some_and(|inside| inside.contains('†')) => noise(end),
            Ok(_) => Lexed::Words,
            Err(why) => why,
        },
        Some(':') => match begins(text, ":contentreference[") {
            Begins::With(_) => until('}').map_or_else(|why| why, noise),
            Begins::Partly => Lexed::Unsure,
            Begins::Not => Lexed::Words,
        },
        _ => turn_reference(text, is_over),
    }
}

/// `turn0search1`.
fn turn_reference(text: &str, is_over: bool) -> Lexed {
    let unsure = if is_over { Lexed::Words } else { Lexed::Unsure };
    let mut rest = match begins(text, "turn") {
        Begins::With(length) => text.get(length..).unwrap_or_default(),
        Begins::Partly => return unsure,
        Begins::Not => return Lexed::Words,
    };
    let is_letter = |c: char| c.is_ascii_lowercase();
    for is_word in [false, true, false] {
        let after = if is_word {
            rest.trim_start_matches(is_letter)
        } else {
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        };
        let part = rest.get(..rest.len() - after.len()).unwrap_or_default();
        let kinds = [
            "search", "view", "news", "image", "fetch", "file", "forecast",
        ];
        if rest.len() - after.len() > MAX_CITATION_BYTES {
            return Lexed::Words;
        }
        if after.is_empty() && !is_over {
            return Lexed::Unsure;
        }
        if part.is_empty() || (is_word && !kinds.contains(&part)) {
            return Lexed::Words;
        }
        rest = after;
    }
    Lexed::Mark(Mark::Noise, text.len() - rest.len())
}
