//! Text → word pieces, as BERT's uncased tokenizer does it (Devlin et al. 2019; Hugging Face's `BertNormalizer`,
//! `BertPreTokenizer` and `WordPiece`): invisible signs dropped, accents and capitals levelled, punctuation and Chinese characters
//! alone, each word in the longest pieces that are known. Names of special tokens in a text are text.

use fancy_regex::Regex;
use rustc_hash::FxHashMap;
use unicode_normalization::UnicodeNormalization as _;

/// Longer words are unknown.
const MAX_WORD_CHARS: usize = 100;
/// Characters of a text that are read: more than any text of the longest length has.
const MAX_TEXT_CHARS: usize = 16_000;

/// Signs that nobody sees.
const INVISIBLE: &str = r"[\p{C}\x{FFFD}&&[^\t\n\r]]";
/// Accents, once letters are taken apart.
const MARKS: &str = r"\p{Mn}";
/// A punctuation mark, or a run of anything else.
const WORDS: &str = r"[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~]+";

/// The tokenizer.
#[derive(Debug)]
pub struct WordPiece {
    pieces: FxHashMap<String, i32>,
    invisible: Regex,
    marks: Regex,
    words: Regex,
    unknown: i32,
    /// What stands at the beginning and at the end.
    ends: [i32; 2],
}

impl WordPiece {
    /// From `vocab.txt`: one piece a line, its number is that of the line.
    ///
    /// # Errors
    /// A piece that every text needs is missing, in words.
    pub fn new(vocabulary: &str) -> Result<Self, String> {
        let pieces: FxHashMap<String, i32> =
            vocabulary.lines().map(str::to_owned).zip(0..).collect();
        let special = |name: &str| {
            pieces
                .get(name)
                .copied()
                .ok_or_else(|| format!("it has no {name}"))
        };
        let regex = |pattern| Regex::new(pattern).map_err(|error| error.to_string());
        Ok(Self {
            invisible: regex(INVISIBLE)?,
            marks: regex(MARKS)?,
            words: regex(WORDS)?,
            unknown: special("[UNK]")?,
            ends: [special("[CLS]")?, special("[SEP]")?],
            pieces,
        })
    }

    /// The numbers of a text's pieces, at most `length` with the two at its ends.
    pub fn ids(&self, text: &str, length: usize) -> Vec<i32> {
        let text: String = text.chars().take(MAX_TEXT_CHARS).collect();
        let text = self.levelled(&text);
        let [begin, end] = self.ends;
        let mut ids = vec![begin];
        for word in self.words.find_iter(&text).map_while(Result::ok) {
            self.push(word.as_str(), &mut ids);
            if ids.len() >= length {
                break;
            }
        }
        ids.truncate(length.saturating_sub(1));
        ids.push(end);
        ids
    }

    fn levelled(&self, text: &str) -> String {
        let text = self.invisible.replace_all(text, "");
        let mut spaced = String::with_capacity(text.len());
        for c in text.chars() {
            if is_chinese(c) {
                spaced.extend([' ', c, ' ']);
            } else {
                spaced.push(c);
            }
        }
        let apart: String = spaced.nfd().collect();
        let plain = self.marks.replace_all(&apart, "");
        // letter by letter: at a word's end, too, the sigma is the usual one
        plain.chars().flat_map(char::to_lowercase).collect()
    }

    fn push(&self, word: &str, ids: &mut Vec<i32>) {
        if word.chars().count() > MAX_WORD_CHARS {
            return ids.push(self.unknown);
        }
        let first = ids.len();
        let mut rest = word;
        let mut piece = String::new();
        while !rest.is_empty() {
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let longest = ends.into_iter().find_map(|end| {
                piece.clear();
                if ids.len() > first {
                    piece.push_str("##");
                }
                piece.push_str(rest.get(..end)?);
                Some((*self.pieces.get(&piece)?, end))
            });
            let Some((id, end)) = longest else {
                ids.truncate(first);
                return ids.push(self.unknown);
            };
            ids.push(id);
            rest = rest.get(end..).unwrap_or_default();
        }
    }
}

/// Characters that are a word each.
fn is_chinese(c: char) -> bool {
    matches!(u32::from(c), 0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F
        | 0x2B920..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn small() -> WordPiece {
        WordPiece::new("[PAD]\n[UNK]\n[CLS]\n[SEP]\npark\n##ing\n?\ncafe").unwrap()
    }

    #[test]
    fn a_word_is_taken_apart_into_the_longest_pieces_that_are_known() {
        assert_eq!(small().ids("Parking? CAFÉ", 256), [2, 4, 5, 6, 7, 3]);
        assert_eq!(small().ids("parked", 256), [2, 1, 3]);
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end_mark() {
        assert_eq!(small().ids("parking parking parking", 4), [2, 4, 5, 3]);
    }

    #[test]
    fn a_vocabulary_without_the_pieces_that_every_text_needs_is_refused() {
        assert!(WordPiece::new("a\nb").unwrap_err().contains("[UNK]"));
    }

    proptest! {
        #[test]
        fn any_text_has_pieces_and_never_too_many(text in any::<String>()) {
            let ids = small().ids(&text, 16);
            prop_assert!(ids.len() <= 16 && ids.first() == Some(&2) && ids.last() == Some(&3));
        }
    }
}
