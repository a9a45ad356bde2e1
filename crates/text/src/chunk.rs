//! Cutting a streamed reply into pieces for TTS: first a clause, so that sound begins early, then whole sentences, so that
//! it sounds right.

use unicode_segmentation::UnicodeSegmentation;

use super::read::Reader;
use super::sentence::{is_sentence_mark, sentence_end};
use super::words::count_words;

/// Without any punctuation the first piece leaves after this many words: about three seconds of speech, long enough that
/// the next piece is ready when it ends.
const FIRST_MAX_WORDS: usize = 12;
/// It is cut before one of [`JOINTS`] from this word on, if there is one.
const FIRST_MIN_WORDS: usize = 8;
/// A comma ends the first piece only after this many words; "Well," alone sounds cut off.
const COMMA_MIN_WORDS: usize = 2;
/// Later sentences shorter than this wait for the next one (LiveKit's `min_sentence_len`).
const MIN_SENTENCE_CHARS: usize = 20;
/// A sentence longer than this is cut at a clause or word: TTS services refuse or delay long texts. In bytes, because a
/// character of a script that needs three of them takes about three times as long to say.
const MAX_SENTENCE_BYTES: usize = 400;
/// Good places to breathe when there is no punctuation.
const JOINTS: [&str; 14] = [
    "and", "but", "or", "because", "which", "that", "so", "to", "with", "for", "if", "when",
    "while", "from",
];
/// A reply on its way from the model to TTS: read as a person would read it out, then cut into pieces.
#[derive(Clone, Debug, Default)]
pub struct Chunker {
    reader: Reader,
    pieces: Pieces,
}

impl Chunker {
    /// A whole text at once.
    pub fn whole(text: &str) -> Self {
        let mut chunker = Self::default();
        chunker.push(text);
        chunker.finish();
        chunker
    }

    /// More of the reply.
    pub fn push(&mut self, text: &str) {
        self.reader.push(text, &mut self.pieces.buffer);
        self.pieces.settled = false;
    }

    /// No more text comes.
    pub fn finish(&mut self) {
        self.reader.finish(&mut self.pieces.buffer);
        self.pieces.finish();
    }

    /// Drop what has not left yet.
    pub fn abandon(&mut self) {
        *self = Self::whole("");
    }

    /// Is nothing left to say?
    pub fn is_empty(&self) -> bool {
        self.reader.is_empty() && self.pieces.buffer.is_empty()
    }

    /// The words that have not left yet.
    pub fn rest(&self) -> String {
        let mut rest = self.clone();
        rest.finish();
        in_one_line(&rest.pieces.buffer)
    }

    /// The next piece, if one is complete: words in one line, never empty.
    pub fn next_piece(&mut self) -> Option<String> {
        loop {
            let piece = in_one_line(&self.pieces.next_piece()?);
            if is_speakable(&piece) {
                self.pieces.begun = true;
                return Some(piece);
            }
        }
    }
}

/// Is there anything in a reply that a voice can say? In rules, pictographs and tags alone there is nothing.
pub fn has_speech(text: &str) -> bool {
    Chunker::whole(text).next_piece().is_some()
}

fn in_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        // a stop whose word was left out belongs to the word before
        let is_stop = word.chars().all(|c| matches!(c, '.' | ','));
        if !line.is_empty() && !is_stop {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// Words, a sign that is read out, or the name of a key of the telephone.
fn is_speakable(text: &str) -> bool {
    text.chars()
        .any(|c| c.is_alphanumeric() || matches!(c, '✓' | '✗' | '★'))
        || matches!(
            text.trim_matches(['.', ',', '!', '"']),
            "*" | "#" | "+" | "%" | "&" | "@"
        )
}

/// Plain text that is cut into pieces.
#[derive(Clone, Debug, Default)]
struct Pieces {
    buffer: String,
    complete: bool,
    /// Words have left.
    begun: bool,
    /// No piece is complete until more text comes: asked at audio rate, it need not look again.
    settled: bool,
}

impl Pieces {
    fn finish(&mut self) {
        self.complete = true;
        self.settled = false;
    }

    fn next_piece(&mut self) -> Option<String> {
        if self.settled {
            return None;
        }
        let Some(end) = self.boundary() else {
            self.settled = true;
            return None;
        };
        let rest = self.buffer.split_off(end);
        Some(std::mem::replace(&mut self.buffer, rest))
    }

    fn boundary(&self) -> Option<usize> {
        let text = self.buffer.as_str();
        if text.trim().is_empty() {
            return (self.complete && !text.is_empty()).then_some(text.len());
        }
        let min = if self.begun { MIN_SENTENCE_CHARS } else { 1 };
        let sentence = sentence_end(text, min, self.complete);
        if !self.begun {
            let clause = clause_end(text, COMMA_MIN_WORDS);
            if let Some(end) = [sentence, clause].into_iter().flatten().min() {
                return Some(end);
            }
            if let Some(end) = many_words(text) {
                return Some(end);
            }
        } else if let Some(end) = sentence.filter(|&end| end <= MAX_SENTENCE_BYTES) {
            return Some(end);
        }
        if text.len() > MAX_SENTENCE_BYTES {
            return Some(forced_end(text));
        }
        sentence.or_else(|| self.complete.then_some(text.len()))
    }
}

/// Just after the first comma, semicolon, colon or dash followed by white space, behind at least `min` words. A dash before
/// a number means "to".
fn clause_end(text: &str, min: usize) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = at + c.len_utf8();
        let next_is_space = chars.peek().is_some_and(|&(_, n)| n.is_whitespace());
        let mark = match c {
            ',' | ';' | ':' | '،' | '؛' => next_is_space,
            '—' | '–' => next_is_space && may_pause(text.get(after..).unwrap_or_default()),
            c => is_wide_clause_mark(c),
        };
        if mark
            && text
                .get(..after)
                .is_some_and(|head| count_words(head) >= min)
        {
            return Some(after);
        }
    }
    None
}

/// Marks of clauses after which no space is written.
fn is_wide_clause_mark(c: char) -> bool {
    matches!(c, '，' | '、' | '；' | '､')
}

fn may_pause(after: &str) -> bool {
    let next = after.trim_start().chars().next();
    next.is_some_and(|c| !c.is_numeric())
}

/// Where to cut when the first words go on without punctuation.
fn many_words(text: &str) -> Option<usize> {
    let mut count = 0;
    let mut joint = None;
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        if count >= FIRST_MIN_WORDS && joint.is_none() && JOINTS.contains(&word) {
            joint = Some(start);
        }
        count += 1;
        // the word after must have begun: the last one may still grow; and a number stays with its item
        let is_number = word
            .trim_end_matches('.')
            .bytes()
            .all(|b| b.is_ascii_digit());
        if count >= FIRST_MAX_WORDS && !is_number && words.peek().is_some() {
            return joint.or(Some(start + word.len()));
        }
    }
    None
}

/// A sentence without an end: the last clause or word before the limit.
fn forced_end(text: &str) -> usize {
    let limit = (0..=MAX_SENTENCE_BYTES.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    let head = text.get(..limit).unwrap_or_default();
    let is_clause = |c: char| {
        matches!(c, ',' | ';' | ':' | '،' | '؛') || is_wide_clause_mark(c) || is_sentence_mark(c)
    };
    let clause = head
        .char_indices()
        .rev()
        .find(|(_, c)| is_clause(*c))
        .map(|(at, c)| at + c.len_utf8());
    let space = head.rfind(char::is_whitespace);
    [clause, space]
        .into_iter()
        .flatten()
        .find(|&at| at > limit / 2)
        .or_else(|| {
            // where no spaces are written, a word's edge is what Unicode takes for one
            let last = head.split_word_bound_indices().next_back();
            last.map(|(at, _)| at).filter(|&at| at > 0)
        })
        .unwrap_or(limit.max(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let mut pieces = Pieces::default();
        let mut out = Vec::new();
        for c in text.chars() {
            pieces.buffer.push(c);
            pieces.settled = false;
            take(&mut pieces, &mut out);
        }
        pieces.finish();
        take(&mut pieces, &mut out);
        out
    }

    fn take(pieces: &mut Pieces, out: &mut Vec<String>) {
        while let Some(piece) = pieces.next_piece() {
            pieces.begun |= is_speakable(&piece);
            out.extend(Some(in_one_line(&piece)).filter(|piece| !piece.is_empty()));
        }
    }

    #[test]
    fn the_first_clause_leaves_at_the_first_comma() {
        assert_eq!(
            pieces("Of course, I can book that for you. For how many people would it be?"),
            [
                "Of course,",
                "I can book that for you.",
                "For how many people would it be?"
            ]
        );
    }

    #[test]
    fn a_first_sentence_without_comma_leaves_before_a_joint() {
        assert_eq!(
            pieces("We are open every day of the week from noon until ten in the evening.")
                .first()
                .unwrap(),
            "We are open every day of the week"
        );
    }

    #[test]
    fn abbreviations_prices_times_and_ellipses_are_not_torn() {
        assert_eq!(
            pieces(
                "Good. Dr. Smith pays $3.50 at 5 p.m. on Friday... maybe not at all. Is that all right?"
            ),
            [
                "Good.",
                "Dr. Smith pays $3.50 at 5 p.m. on Friday... maybe not at all.",
                "Is that all right?"
            ]
        );
    }

    #[test]
    fn short_sentences_travel_together() {
        assert_eq!(
            pieces("Yes. No. Maybe so, who knows? Let us see then."),
            ["Yes.", "No. Maybe so, who knows?", "Let us see then."]
        );
    }

    #[test]
    fn an_endless_sentence_is_cut_at_words() {
        let text = "word ".repeat(500);
        for piece in pieces(&text) {
            assert!(piece.len() <= MAX_SENTENCE_BYTES);
            assert!(piece.split(' ').all(|word| word == "word"), "{piece}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_reordered(text in "\\PC{0,600}") {
            let joined: String = pieces(&text).concat().split_whitespace().collect();
            let whole: String = text.split_whitespace().collect();
            prop_assert_eq!(joined, whole);
        }
    }
}
