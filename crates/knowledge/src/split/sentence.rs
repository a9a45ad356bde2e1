//! LlamaIndex's `SentenceSplitter`.

use super::punkt::{self, Nltk, is_blank};
use super::tokens::tokens;

/// LlamaIndex's default: tokens of a chunk, those of its metadata counted.
pub const CHUNK_SIZE: usize = 1024;
/// LlamaIndex's default: tokens that two chunks may share.
pub const CHUNK_OVERLAP: usize = 200;
const PARAGRAPH: &str = "\n\n\n";

/// What changed in LlamaIndex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Release {
    /// Up to 0.12.10: repeated punctuation is lost when a sentence is cut.
    V0_11,
    /// From 0.12.30.
    V0_13,
    /// From 0.14.10: what two chunks share is dropped where it would make one too large.
    #[default]
    V0_14,
}

/// The splitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentenceSplitter {
    /// Tokens of a chunk, those of its metadata counted.
    pub chunk_size: usize,
    /// Tokens that two chunks may share.
    pub chunk_overlap: usize,
    /// Whose chunks they are to be.
    pub release: Release,
    /// Whose sentences.
    pub nltk: Nltk,
}

impl Default for SentenceSplitter {
    fn default() -> Self {
        Self {
            chunk_size: CHUNK_SIZE,
            chunk_overlap: CHUNK_OVERLAP,
            release: Release::default(),
            nltk: Nltk::default(),
        }
    }
}

/// Why a text cannot be cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The metadata leave no room.
    #[error(
        "the metadata have {metadata} tokens, and a chunk may have {chunk_size}; make chunks larger or metadata shorter"
    )]
    Metadata {
        /// Of the metadata.
        metadata: usize,
        /// Of a chunk.
        chunk_size: usize,
    },
    /// Chunks share more than they are.
    #[error("chunks of {chunk_size} tokens cannot share {chunk_overlap}; make the overlap smaller")]
    Overlap {
        /// Of a chunk.
        chunk_size: usize,
        /// Of what two share.
        chunk_overlap: usize,
    },
    /// A single character is larger than a chunk.
    #[error("a single character has more tokens than a chunk may have; make chunks larger")]
    TooSmall,
}

/// A part of a text that is not cut any more.
struct Part<'a> {
    text: &'a str,
    is_sentence: bool,
    tokens: usize,
}

impl SentenceSplitter {
    /// The chunks of a text whose nodes carry these metadata.
    ///
    /// # Errors
    /// [`SplitError`].
    pub fn split(&self, text: &str, metadata: &str) -> Result<Vec<String>, SplitError> {
        if self.chunk_overlap > self.chunk_size {
            return Err(SplitError::Overlap {
                chunk_size: self.chunk_size,
                chunk_overlap: self.chunk_overlap,
            });
        }
        let metadata = tokens(metadata);
        let size = self
            .chunk_size
            .checked_sub(metadata)
            .filter(|size| *size > 0);
        let size = size.ok_or(SplitError::Metadata {
            metadata,
            chunk_size: self.chunk_size,
        })?;
        if text.is_empty() {
            return Ok(vec![String::new()]);
        }
        let mut parts = Vec::new();
        self.parts(text, size, &mut parts);
        self.merge(&parts, size)
    }

    fn parts<'a>(&self, text: &'a str, size: usize, parts: &mut Vec<Part<'a>>) {
        let count = tokens(text);
        if count <= size {
            return parts.push(Part {
                text,
                is_sentence: true,
                tokens: count,
            });
        }
        let (pieces, is_sentence) = self.pieces(text);
        let is_whole = pieces.len() == 1;
        for piece in pieces {
            let count = tokens(piece);
            if count <= size || is_whole {
                parts.push(Part {
                    text: piece,
                    is_sentence,
                    tokens: count,
                });
            } else {
                self.parts(piece, size, parts);
            }
        }
    }

    /// Cut by the first of these that makes more than one piece: paragraphs, sentences, phrases, words, characters.
    fn pieces<'a>(&self, text: &'a str) -> (Vec<&'a str>, bool) {
        let paragraphs = separated(text, PARAGRAPH);
        if paragraphs.len() > 1 {
            return (paragraphs, true);
        }
        let sentences = punkt::sentences(text, self.nltk);
        if sentences.len() > 1 {
            return (sentences, true);
        }
        let phrases = phrases(text, self.release > Release::V0_11);
        if phrases.len() > 1 {
            return (phrases, false);
        }
        let words = separated(text, " ");
        if words.len() > 1 {
            return (words, false);
        }
        (text.split_inclusive(|_| true).collect(), false)
    }

    fn merge(&self, parts: &[Part<'_>], size: usize) -> Result<Vec<String>, SplitError> {
        let mut chunks: Vec<String> = Vec::new();
        let mut chunk: Vec<&Part<'_>> = Vec::new();
        let mut length = 0;
        let mut is_new = true;
        let mut at = 0;
        while let Some(part) = parts.get(at) {
            if part.tokens > size {
                return Err(SplitError::TooSmall);
            }
            let fits = length + part.tokens <= size;
            if !fits && !is_new {
                chunks.push(chunk.iter().map(|part| part.text).collect());
                (chunk, length) = self.overlap(&chunk);
                is_new = true;
                continue;
            }
            while self.release >= Release::V0_14 && length + part.tokens > size && !chunk.is_empty()
            {
                length -= chunk.remove(0).tokens;
            }
            // a new chunk takes one part at least, and others take what fits or is a sentence: all that comes here
            debug_assert!(part.is_sentence || is_new || fits);
            length += part.tokens;
            chunk.push(part);
            at += 1;
            is_new = false;
        }
        if !is_new {
            chunks.push(chunk.iter().map(|part| part.text).collect());
        }
        let trimmed = chunks
            .iter()
            .map(|chunk| chunk.trim_matches(is_blank).to_owned());
        Ok(trimmed.filter(|chunk| !chunk.is_empty()).collect())
    }

    /// The end of a chunk, with which the next one begins.
    fn overlap<'a, 'b>(&self, chunk: &[&'b Part<'a>]) -> (Vec<&'b Part<'a>>, usize) {
        let mut length = 0;
        let mut shared: Vec<&Part<'_>> = Vec::new();
        for part in chunk.iter().rev() {
            if length + part.tokens > self.chunk_overlap {
                break;
            }
            length += part.tokens;
            shared.push(part);
        }
        shared.reverse();
        (shared, length)
    }
}

/// Cut before each separator, which stays in front of what follows it.
fn separated<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let cuts: Vec<usize> = text.match_indices(separator).map(|(at, _)| at).collect();
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([text.len()]);
    starts
        .zip(ends)
        .filter_map(|(start, end)| text.get(start..end))
        .filter(|part| !part.is_empty())
        .collect()
}

/// Runs without these marks, each with the mark behind it.
fn phrases(text: &str, keeps_marks: bool) -> Vec<&str> {
    let is_mark = |c: char| matches!(c, ',' | '.' | ';' | '。' | '？' | '！');
    let mut phrases = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = rest.find(is_mark).unwrap_or(rest.len());
        let mark = rest
            .get(run..)
            .and_then(|after| after.chars().next())
            .map_or(0, char::len_utf8);
        let (phrase, after) = rest.split_at_checked(run + mark).unwrap_or((rest, ""));
        if !is_mark(first) || keeps_marks {
            phrases.push(phrase);
        }
        rest = after;
    }
    phrases
}
