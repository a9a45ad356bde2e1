//! Token ids to text: Moonshine's `tokenizer.bin`.
//!
//! The file holds each token's bytes behind their length: one byte below 128, else two bytes, the low seven bits first. A
//! token is a piece of UTF-8 (a SentencePiece vocabulary in which `▁` stands for a space), so several may make one letter.

use crate::MoonshineError;

/// Ends a transcript.
pub(crate) const END: u32 = 2;
/// Begins a transcript.
pub(crate) const BEGIN: u32 = 1;
/// Ids below this are marks, not text: unknown, begin, end.
const FIRST_TEXT: u32 = 3;

/// The vocabulary.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    /// All tokens' bytes, one after another.
    bytes: Vec<u8>,
    /// Where each token ends in `bytes`.
    ends: Vec<usize>,
}

impl Tokenizer {
    /// Reads a `tokenizer.bin`.
    ///
    /// # Errors
    /// [`MoonshineError::Tokenizer`] when the file ends in the middle of a token, or holds none.
    pub(crate) fn read(file: &[u8]) -> Result<Self, MoonshineError> {
        let mut tokenizer = Self {
            bytes: Vec::with_capacity(file.len()),
            ends: Vec::new(),
        };
        let mut rest = file;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            let mut len = usize::from(first);
            if len >= 128 {
                let (&second, after) = rest.split_first().ok_or(MoonshineError::Tokenizer)?;
                rest = after;
                len = usize::from(second) * 128 + len - 128;
            }
            let (token, after) = rest
                .split_at_checked(len)
                .ok_or(MoonshineError::Tokenizer)?;
            tokenizer.bytes.extend_from_slice(token);
            tokenizer.ends.push(tokenizer.bytes.len());
            rest = after;
        }
        if tokenizer.ends.len() <= FIRST_TEXT as usize {
            Err(MoonshineError::Tokenizer)
        } else {
            Ok(tokenizer)
        }
    }

    /// The text of `ids`; marks and unknown ids are left out.
    #[must_use]
    pub(crate) fn text(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids
            .iter()
            .filter(|id| **id >= FIRST_TEXT)
            .flat_map(|id| self.token(*id))
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes)
            .replace('▁', " ")
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
