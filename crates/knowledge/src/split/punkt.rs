//! Where sentences end, as NLTK's `PunktSentenceTokenizer()` sees it. LlamaIndex makes it without a model: it knows no abbreviations,
//! and "Dr. Ana" is two sentences. Source: Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection" (2006), and
//! what NLTK does without statistics.

/// NLTK changed what closes a quotation and what a letter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nltk {
    /// 3.9 and before.
    V3_9,
    /// 3.10: curly quotes and guillemets close, ½ and ² are no letters.
    #[default]
    V3_10,
}

impl Nltk {
    fn is_quote(self, c: char) -> bool {
        self == Self::V3_10
            && matches!(
                c,
                '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '«' | '»'
            )
    }

    fn is_letter(self, c: char) -> bool {
        let is_word = c.is_alphabetic() || c == '_';
        match self {
            Self::V3_9 => is_word || c.is_numeric() && !is_digit(c),
            Self::V3_10 => is_word,
        }
    }

    /// What cannot stand in a word.
    fn is_non_word(self, c: char) -> bool {
        matches!(
            c,
            ')' | '"' | ';' | '}' | ']' | '*' | ':' | '@' | '\'' | '(' | '{' | '[' | '?' | '!'
        ) || self.is_quote(c)
    }

    fn may_close(self, c: char) -> bool {
        matches!(c, '"' | '\'' | ')' | ']' | '}') || self.is_quote(c)
    }

    fn is_space(self, c: char) -> bool {
        c.is_whitespace() || self == Self::V3_9 && matches!(c, '\u{1c}'..='\u{1f}')
    }
}

/// A decimal digit of any script.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || c.is_numeric() && !c.is_ascii() && is_decimal(c)
}

/// Beyond ASCII: Unicode's blocks of ten decimal digits, as far as texts have them.
fn is_decimal(c: char) -> bool {
    const ZEROS: [u32; 24] = [
        0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6,
        0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0xA620, 0xFF10,
    ];
    ZEROS
        .iter()
        .any(|zero| (*zero..zero + 10).contains(&u32::from(c)))
}

fn is_end(c: char) -> bool {
    matches!(c, '.' | '?' | '!')
}

/// A text's sentences, each up to the beginning of the next.
pub fn sentences(text: &str, nltk: Nltk) -> Vec<&str> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let letters: Vec<char> = chars.iter().map(|(_, c)| *c).collect();
    let starts = starts(&letters, nltk);
    let byte = |at: usize| chars.get(at).map_or(text.len(), |(byte, _)| *byte);
    let ends = starts.iter().skip(1).copied().chain([letters.len()]);
    starts
        .iter()
        .zip(ends)
        .filter_map(|(start, end)| text.get(byte(*start)..byte(end)))
        .collect()
}

/// Where sentences begin.
fn starts(text: &[char], nltk: Nltk) -> Vec<usize> {
    let mut slices = Vec::new();
    let mut last = 0;
    for (at, context, next) in contexts(text, nltk) {
        if has_break(&context, nltk) {
            slices.push((last, at + 1));
            last = next.unwrap_or(at + 1);
        }
    }
    let end = text
        .iter()
        .rposition(|c| !nltk.is_space(*c) && !is_blank(*c))
        .map_or(0, |at| at + 1);
    slices.push((last, end));
    realigned(text, &slices, nltk)
        .into_iter()
        .map(|(start, _)| start)
        .collect()
}

/// What Python's `str.strip` takes away.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Marks that may end a sentence, the words around each, and where the next word begins.
fn contexts(text: &[char], nltk: Nltk) -> Vec<(usize, Vec<char>, Option<usize>)> {
    let mut found: Vec<(usize, Vec<char>, Option<usize>)> = Vec::new();
    let mut before: (usize, usize) = (0, 0);
    let mut pending: Option<(usize, usize, Option<usize>)> = None;
    for (at, _) in text.iter().enumerate().filter(|(_, c)| is_end(**c)) {
        let Some((end, next)) = after(text, at + 1, nltk) else {
            continue;
        };
        let word = text.get(before.1..at).unwrap_or_default();
        let space = word.iter().rposition(|c| matches!(c, ' ' | '\t'..='\r'));
        let from = match space {
            Some(space) if space > 0 => before.1 + space + 1,
            _ => before.0,
        };
        if let Some((mark, end, next)) = pending
            && before.1 <= from
        {
            let context = text.get(before.0..end).unwrap_or_default();
            found.push((mark, context.to_vec(), next));
        }
        pending = Some((at, end, next));
        before = (from, at);
    }
    if let Some((mark, end, next)) = pending {
        let context = text.get(before.0..end).unwrap_or_default();
        found.push((mark, context.to_vec(), next));
    }
    found
}

/// What follows a mark: other punctuation, or white space and a word. Its end, and where the word begins.
fn after(text: &[char], from: usize, nltk: Nltk) -> Option<(usize, Option<usize>)> {
    let first = text.get(from)?;
    if nltk.is_non_word(*first) {
        return Some((from + 1, None));
    }
    let rest = text.get(from..)?;
    let spaces = rest.iter().take_while(|c| nltk.is_space(**c)).count();
    let word = rest
        .iter()
        .skip(spaces)
        .take_while(|c| !nltk.is_space(**c))
        .count();
    (spaces > 0 && word > 0).then_some((from + spaces + word, Some(from + spaces)))
}

/// Closing quotes and brackets belong to the sentence before.
fn realigned(text: &[char], slices: &[(usize, usize)], nltk: Nltk) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut moved = 0;
    for (number, (start, end)) in slices.iter().enumerate() {
        let first = (start + moved, *end);
        let Some((next, next_end)) = slices.get(number + 1) else {
            if first.0 < first.1 {
                out.push(first);
            }
            continue;
        };
        match closing(text.get(*next..*next_end).unwrap_or_default(), nltk) {
            Some((marks, all)) => {
                out.push((first.0, next + marks));
                moved = all;
            }
            None => {
                moved = 0;
                if first.0 < first.1 {
                    out.push(first);
                }
            }
        }
    }
    out
}

/// How many closing marks a sentence begins with, before white space, a dash or the end of a line; and with the white space.
fn closing(text: &[char], nltk: Nltk) -> Option<(usize, usize)> {
    let marks = text.iter().take_while(|c| nltk.may_close(**c)).count();
    let rest = text.get(marks..).unwrap_or_default();
    let spaces = rest.iter().take_while(|c| nltk.is_space(**c)).count();
    let is_end = rest.is_empty() || spaces > 0 || matches!(rest, ['-', '-', ..]);
    (marks > 0 && is_end).then_some((marks, marks + spaces))
}

/// Does a sentence end in this context, before its last word?
fn has_break(context: &[char], nltk: Nltk) -> bool {
    let tokens: Vec<&[char]> = context
        .split(|c| *c == '\n')
        .filter(|line| line.iter().any(|c| !is_blank(*c)))
        .flat_map(|line| tokens(line, nltk))
        .collect();
    tokens.iter().enumerate().any(|(at, token)| {
        let next = tokens.get(at + 1);
        next.is_some_and(|next| is_break(token, next, nltk))
    })
}

fn is_break(token: &[char], next: &[char], nltk: Nltk) -> bool {
    match token {
        // one alone
        ['?' | '!' | '.'] => token != ['.'] || !is_initial_or_number(token, nltk),
        [.., '.', '.'] => false,
        [.., '.'] => !is_initial_or_number(token, nltk) || may_begin(next, is_initial(token, nltk)),
        _ => false,
    }
}

fn is_initial(token: &[char], nltk: Nltk) -> bool {
    matches!(token, [letter, '.'] if nltk.is_letter(*letter))
}

fn is_initial_or_number(token: &[char], nltk: Nltk) -> bool {
    is_initial(token, nltk) || is_number(token)
}

/// May a sentence begin with this word, after an initial or a number?
fn may_begin(next: &[char], after_initial: bool) -> bool {
    match next {
        [';' | ':' | ',' | '.' | '!' | '?'] => false,
        [first, ..] if first.is_lowercase() => false,
        [first, ..] if first.is_uppercase() => !after_initial,
        _ => true,
    }
}

/// `-3,000.5.` and its kin.
fn is_number(token: &[char]) -> bool {
    let token = token.strip_prefix(&['-']).unwrap_or(token);
    let token = match token {
        ['.' | ',', rest @ ..] => rest,
        _ => token,
    };
    match token {
        [first, rest @ ..] => {
            is_digit(*first)
                && rest
                    .iter()
                    .all(|c| is_digit(*c) || matches!(c, ',' | '.' | '-'))
        }
        [] => false,
    }
}

/// Words and punctuation of a line; full stops stay with their words.
fn tokens(line: &[char], nltk: Nltk) -> Vec<&[char]> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = line.get(at) {
        if nltk.is_space(*first) {
            at += 1;
            continue;
        }
        let rest = line.get(at..).unwrap_or_default();
        let length = several(rest, nltk)
            .unwrap_or_else(|| word(rest, nltk))
            .max(1);
        tokens.push(rest.get(..length).unwrap_or(rest));
        at += length;
    }
    tokens
}

/// The length of a dash or an ellipsis that begins here.
fn several(text: &[char], nltk: Nltk) -> Option<usize> {
    let run = |mark: char| text.iter().take_while(|c| **c == mark).count();
    if run('-') >= 2 {
        return Some(run('-'));
    }
    if run('.') >= 2 {
        return Some(run('.'));
    }
    // ". . ."
    let pairs = text
        .chunks_exact(2)
        .take_while(|pair| matches!(pair, ['.', c] if nltk.is_space(*c)))
        .count();
    let ends_in_stop = |pairs: usize| text.get(2 * pairs) == Some(&'.');
    let pairs = if ends_in_stop(pairs) {
        pairs
    } else {
        pairs.saturating_sub(1)
    };
    (pairs >= 2).then_some(2 * pairs + 1)
}

fn word(text: &[char], nltk: Nltk) -> usize {
    let may_start = |c: &char| {
        !matches!(
            c,
            '(' | '"'
                | '`'
                | '{'
                | '['
                | ':'
                | ';'
                | '&'
                | '#'
                | '*'
                | '@'
                | ')'
                | '}'
                | ']'
                | '-'
                | ','
        )
    };
    if !text.first().is_some_and(may_start) {
        return 1;
    }
    let ends = |at: &usize| {
        let rest = text.get(*at..).unwrap_or_default();
        let at_end = |rest: &[char]| match rest.first() {
            None => true,
            Some(c) => nltk.is_space(*c) || nltk.is_non_word(*c) || several(rest, nltk).is_some(),
        };
        at_end(rest) || rest.first() == Some(&',') && at_end(rest.get(1..).unwrap_or_default())
    };
    (1..=text.len()).find(ends).unwrap_or(text.len())
}
