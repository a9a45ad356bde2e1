//! Token ids to text: Moonshine's `tokenizer.bin`, or a `tokenizer.json` (Hugging Face's `tokenizers`).
//!
//! A `tokenizer.bin` holds each token's bytes behind their length: one byte below 128, else two bytes, the low seven bits first.
//! A token is a piece of UTF-8, so several may make one letter. In SentencePiece's vocabularies `▁` stands for a space; in those of
//! GPT-2's kind (Whisper) every byte stands as a letter of its own.

use std::collections::HashMap;

use serde::Deserialize;

use crate::SttError;

/// Ends a transcript of Moonshine.
pub(crate) const END: u32 = 2;
/// Begins a transcript of Moonshine.
pub(crate) const BEGIN: u32 = 1;
/// Moonshine's ids below this are marks, not text: unknown, begin, end.
const FIRST_TEXT: usize = 3;
/// More tokens than any vocabulary has: a damaged file must not fill the memory.
const MAX_TOKENS: u32 = 1_000_000;
/// SentencePiece's space.
const SPACE: &str = "▁";

/// The vocabulary.
#[derive(Debug, Default)]
pub(crate) struct Tokenizer {
    /// All tokens' bytes, one after another. Marks have none.
    bytes: Vec<u8>,
    /// Where each token ends in `bytes`.
    ends: Vec<usize>,
    /// Marks by name: `<|en|>`.
    marks: HashMap<String, u32>,
}

#[derive(Deserialize)]
struct File {
    model: Vocabulary,
    #[serde(default)]
    added_tokens: Vec<Mark>,
    decoder: Option<Decoder>,
}

#[derive(Deserialize)]
struct Vocabulary {
    vocab: HashMap<String, u32>,
}

#[derive(Deserialize)]
struct Mark {
    id: u32,
    content: String,
}

#[derive(Deserialize)]
struct Decoder {
    #[serde(rename = "type")]
    kind: String,
}

impl Tokenizer {
    /// Reads a `tokenizer.bin`.
    ///
    /// # Errors
    /// [`SttError::Tokenizer`] when the file ends in the middle of a token, or holds none.
    pub(crate) fn read(file: &[u8]) -> Result<Self, SttError> {
        let damaged = || SttError::Tokenizer("tokenizer.bin");
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        let mut rest = file;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            let mut len = usize::from(first);
            if len >= 128 {
                let (&second, after) = rest.split_first().ok_or_else(damaged)?;
                rest = after;
                len = usize::from(second) * 128 + len - 128;
            }
            let (token, after) = rest.split_at_checked(len).ok_or_else(damaged)?;
            let is_text = tokens.len() >= FIRST_TEXT;
            tokens.push(if is_text { piece(token) } else { Vec::new() });
            rest = after;
        }
        if tokens.len() <= FIRST_TEXT {
            return Err(damaged());
        }
        Ok(Self::of(tokens))
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`SttError::Tokenizer`] when the file is no vocabulary.
    pub(crate) fn from_json(file: &[u8]) -> Result<Self, SttError> {
        let damaged = |_| SttError::Tokenizer("tokenizer.json");
        let file: File = serde_json::from_slice(file).map_err(damaged)?;
        let is_of_bytes = file
            .decoder
            .is_some_and(|decoder| decoder.kind == "ByteLevel");
        let ids = file.model.vocab.values();
        let last = ids
            .chain(file.added_tokens.iter().map(|mark| &mark.id))
            .max();
        let Some(last) = last.copied().filter(|last| *last < MAX_TOKENS) else {
            return Err(SttError::Tokenizer("tokenizer.json"));
        };
        let mut tokens = vec![Vec::new(); last as usize + 1];
        let letters = byte_letters();
        for (text, id) in file.model.vocab {
            if let Some(token) = tokens.get_mut(id as usize) {
                *token = if is_of_bytes {
                    let bytes = text
                        .chars()
                        .filter_map(|letter| letters.get(&letter).copied());
                    bytes.collect()
                } else {
                    one_byte(&text).map_or_else(|| piece(text.as_bytes()), |byte| vec![byte])
                };
            }
        }
        let mut marks = HashMap::new();
        for mark in file.added_tokens {
            if let Some(token) = tokens.get_mut(mark.id as usize) {
                token.clear();
            }
            marks.insert(mark.content, mark.id);
        }
        Ok(Self {
            marks,
            ..Self::of(tokens)
        })
    }

    fn of(tokens: Vec<Vec<u8>>) -> Self {
        let mut tokenizer = Self::default();
        for token in tokens {
            tokenizer.bytes.extend(token);
            tokenizer.ends.push(tokenizer.bytes.len());
        }
        tokenizer
    }

    /// The id of a mark.
    pub(crate) fn mark(&self, name: &str) -> Option<u32> {
        self.marks.get(name).copied()
    }

    /// All marks.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (&str, u32)> {
        self.marks.iter().map(|(name, id)| (name.as_str(), *id))
    }

    /// The text of `ids`; marks and unknown ids are left out.
    #[must_use]
    pub(crate) fn text(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.token(*id)).copied().collect();
        // what is cut in the middle of a letter is no letter
        String::from_utf8_lossy(&bytes)
            .replace('\u{FFFD}', "")
            .trim()
            .to_owned()
    }

    fn token(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = id
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        self.ends
            .get(id)
            .and_then(|end| self.bytes.get(start..*end))
            .unwrap_or_default()
    }
}

/// A token of SentencePiece's.
fn piece(token: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(token) {
        Ok(text) => text.replace(SPACE, " ").into_bytes(),
        Err(_) => token.to_vec(),
    }
}

/// `<0x0A>` stands for a byte.
fn one_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}

/// Which letter stands for which byte in GPT-2's vocabularies: printable ones for themselves, the others from 256 on.
fn byte_letters() -> HashMap<char, u8> {
    let is_printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 256;
    (0..=u8::MAX)
        .filter_map(|byte| {
            let letter = if is_printable(byte) {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            Some((char::from_u32(letter)?, byte))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_stand_as_letters_become_text() {
        let file = r#"{"model":{"vocab":{"Ġqu":0,"Ã":1,"©":2,"!":3}},"decoder":{"type":"ByteLevel"},
            "added_tokens":[{"id":4,"content":"<|es|>"}]}"#;
        let tokenizer = Tokenizer::from_json(file.as_bytes()).unwrap_or_default();
        assert_eq!(tokenizer.text(&[4, 0, 1, 2, 3, 99]), "qué!");
        assert_eq!(tokenizer.text(&[0, 1]), "qu", "half a letter is none");
        assert_eq!(tokenizer.mark("<|es|>"), Some(4));
    }

    #[test]
    fn pieces_and_bytes_of_sentencepiece_become_text() {
        let file = r#"{"model":{"vocab":{"<s>":0,"▁Grü":1,"ß":2,"<0xC3>":3,"<0xA4>":4}},"added_tokens":[{"id":0,"content":"<s>"}]}"#;
        let tokenizer = Tokenizer::from_json(file.as_bytes()).unwrap_or_default();
        assert_eq!(tokenizer.text(&[0, 1, 2, 1, 3, 4]), "Grüß Grüä");
    }

    #[test]
    fn a_file_that_is_no_vocabulary_is_refused() {
        for file in [
            "",
            "{}",
            r#"{"model":{"vocab":{}}}"#,
            r#"{"model":{"vocab":{"a":4000000000}}}"#,
        ] {
            assert!(Tokenizer::from_json(file.as_bytes()).is_err(), "{file}");
        }
        assert!(Tokenizer::read(&[1, b'a', 200]).is_err());
    }
}
