//! Cutting a streamed reply into pieces for TTS: first a clause, so that sound begins early, then whole sentences, so that
//! it sounds right.

use super::words::count_words;

/// Without any punctuation the first piece leaves after so many words: about three seconds of speech, long enough that
/// the next piece is ready when it ends.
const FIRST_MAX_WORDS: usize = 12;
/// It is cut before one of [`JOINTS`] from this word on, if there is one.
const FIRST_MIN_WORDS: usize = 8;
/// A comma ends the first piece only after so many words; "Well," alone sounds cut off.
const COMMA_MIN_WORDS: usize = 2;
/// Later sentences shorter than this wait for the next one (LiveKit's `min_sentence_len`).
const MIN_SENTENCE_CHARS: usize = 20;
/// A sentence longer than this is cut at a clause or word: TTS services refuse or delay long texts.
const MAX_SENTENCE_CHARS: usize = 400;
/// Good places to breathe when there is no punctuation.
const JOINTS: [&str; 14] = [
    "and", "but", "or", "because", "which", "that", "so", "to", "with", "for", "if", "when",
    "while", "from",
];
/// A period after these does not end a sentence.
const ABBREVIATIONS: [&str; 40] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "e.g", "i.e", "no", "nr",
    "inc", "ltd", "co", "corp", "approx", "dept", "fig", "vol", "est", "ave", "blvd", "rd", "mt",
    "gen", "col", "sgt", "rev", "hon", "jan", "feb", "aug", "sept", "oct", "nov", "dec", "ca",
];

/// Text on its way from the LLM to TTS.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunker {
    buffer: String,
    complete: bool,
    begun: bool,
    /// No piece is complete until more text comes: asked at audio rate, it need not look again.
    settled: bool,
}

impl Chunker {
    /// A whole text at once.
    pub(crate) fn whole(text: &str) -> Self {
        Self {
            buffer: text.to_owned(),
            complete: true,
            begun: false,
            settled: false,
        }
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.buffer.push_str(text);
        self.settled = false;
    }

    /// No more text comes.
    pub(crate) fn finish(&mut self) {
        self.complete = true;
        self.settled = false;
    }

    /// Drop what has not left yet.
    pub(crate) fn abandon(&mut self) {
        self.buffer.clear();
        self.complete = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What has not left yet.
    pub(crate) fn rest(&self) -> &str {
        &self.buffer
    }

    /// The next piece, if one is complete.
    pub(crate) fn next_piece(&mut self) -> Option<String> {
        if self.settled {
            return None;
        }
        let Some(end) = self.boundary() else {
            self.settled = true;
            return None;
        };
        let rest = self.buffer.split_off(end);
        let piece = std::mem::replace(&mut self.buffer, rest);
        self.begun = true;
        Some(piece)
    }

    fn boundary(&self) -> Option<usize> {
        let text = self.buffer.as_str();
        if text.trim().is_empty() {
            return (self.complete && !text.is_empty()).then_some(text.len());
        }
        let min = if self.begun { MIN_SENTENCE_CHARS } else { 1 };
        let sentence = sentence_end(text, min);
        if !self.begun {
            let clause = clause_end(text, COMMA_MIN_WORDS);
            if let Some(end) = [sentence, clause].into_iter().flatten().min() {
                return Some(end);
            }
            if let Some(end) = many_words(text) {
                return Some(end);
            }
        } else if let Some(end) = sentence.filter(|&end| end <= MAX_SENTENCE_CHARS) {
            return Some(end);
        }
        if text.len() > MAX_SENTENCE_CHARS {
            return Some(forced_end(text));
        }
        sentence.or_else(|| self.complete.then_some(text.len()))
    }
}

/// Just after the first sentence of at least `min` characters, its trailing white space included. The character after the
/// end mark must have come: before that nobody knows whether "3." goes on with "50".
fn sentence_end(text: &str, min: usize) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    let mut previous = ' ';
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|&(_, n)| n);
        let after = at + c.len_utf8();
        let ends = match c {
            '\n' => !text.get(..at).unwrap_or_default().trim().is_empty(),
            '。' | '！' | '？' => true,
            '!' | '?' => next.is_some_and(|n| n.is_whitespace()),
            '.' => {
                previous != '.'
                    && next.is_some_and(char::is_whitespace)
                    && !is_abbreviation(text.get(..at).unwrap_or_default())
            }
            '"' | '”' | ')' => {
                matches!(previous, '.' | '!' | '?') && next.is_some_and(char::is_whitespace)
            }
            _ => false,
        };
        if ends
            && text
                .get(..after)
                .is_some_and(|head| head.trim().chars().count() >= min)
        {
            return Some(after);
        }
        previous = c;
    }
    None
}

/// Does the text before a period end in something that a period only shortens?
fn is_abbreviation(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| c.is_whitespace() || c == '(' || c == '"')
        .next()
        .unwrap_or_default();
    let lower = word.to_lowercase();
    // initials ("J."), numbered lists ("2."), and single letters of "p.m.", "U.S."
    let initial =
        lower.chars().count() == 1 && lower.chars().all(|c| c.is_alphabetic() && c != 'i');
    let list_number =
        lower.chars().all(|c| c.is_ascii_digit()) && !lower.is_empty() && before.trim() == word;
    let dotted = lower.contains('.') && lower.split('.').all(|part| part.chars().count() <= 1);
    initial || list_number || dotted || ABBREVIATIONS.contains(&lower.as_str())
}

/// Just after the first comma, semicolon, colon or dash followed by white space, behind at least `min` words.
fn clause_end(text: &str, min: usize) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_is_space = chars.peek().is_some_and(|&(_, n)| n.is_whitespace());
        let mark = matches!(c, '，' | '、' | '；')
            || (matches!(c, ',' | ';' | ':' | '—' | '–') && next_is_space);
        let after = at + c.len_utf8();
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
        // the word after must have begun: the last one may still grow
        if count >= FIRST_MAX_WORDS && words.peek().is_some() {
            return joint.or(Some(start + word.len()));
        }
    }
    None
}

/// A sentence without an end: the last clause or word before the limit.
fn forced_end(text: &str) -> usize {
    let limit = (0..=MAX_SENTENCE_CHARS.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    let head = text.get(..limit).unwrap_or_default();
    head.rfind([',', ';', ':'])
        .filter(|&at| at > limit / 2)
        .map(|at| at + 1)
        .or_else(|| head.rfind(char::is_whitespace).filter(|&at| at > 0))
        .unwrap_or(limit.max(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let mut chunker = Chunker::default();
        let mut out = Vec::new();
        for c in text.chars() {
            chunker.push(c.encode_utf8(&mut [0; 4]));
            while let Some(piece) = chunker.next_piece() {
                out.push(piece.trim().to_owned());
            }
        }
        chunker.finish();
        while let Some(piece) = chunker.next_piece() {
            out.push(piece.trim().to_owned());
        }
        out.retain(|piece| !piece.is_empty());
        out
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
            assert!(piece.len() <= MAX_SENTENCE_CHARS);
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
