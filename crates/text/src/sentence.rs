//! Where a sentence ends, in any script, while its words are still coming.

use unicode_segmentation::UnicodeSegmentation;

use super::words::is_spaceless;

/// A period after these does not end a sentence.
const ABBREVIATIONS: [&str; 93] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "e.g", "i.e", "no", "nos",
    "nr", "inc", "ltd", "co", "corp", "approx", "dept", "fig", "vol", "est", "ave", "blvd", "rd",
    "mt", "gen", "col", "sgt", "rev", "hon", "jan", "feb", "apr", "jul", "aug", "sep", "sept",
    "oct", "nov", "dec", "mon", "tue", "tues", "thu", "thur", "thurs", "fri", "ca", "capt", "lt",
    "cf", "al", "max", "tel", "ext", "hr", "hrs", "mins", "min", "tbsp", "tsp", "oz", "lb", "lbs",
    "ft", // German, French, Spanish, Italian, Dutch
    "bzw", "geb", "evtl", "inkl", "zzgl", "ggf", "usw", "str", "std", "hr", "fr", "mme", "mlle",
    "sra", "srta", "dña", "aprox", "pág", "sig", "dott", "dhr", "mevr", "bv", "o.ä", "u.ä",
];
/// A number and a period before these is a day: "3. Mai".
const MONTHS: [&str; 26] = [
    "januar",
    "jänner",
    "februar",
    "märz",
    "april",
    "mai",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "dezember",
    "januari",
    "februari",
    "maart",
    "mei",
    "augustus",
    "oktoober",
    "marts",
    "maj",
    "juin",
    "jan",
    "feb",
    "stock",
    "etage",
];

/// Articles and prepositions of German and Dutch before an ordinal: "am 2. Advent", "der 1. Preis".
const ORDINAL_WORDS: [&str; 26] = [
    "am", "der", "die", "das", "dem", "den", "des", "im", "vom", "zum", "zur", "beim", "bis", "ab",
    "seit", "ein", "eine", "einen", "einem", "einer", "unser", "unsere", "ihr", "ihre", "jeden",
    "jeder",
];
/// Small words with which a sentence begins all the same: "Er kommt am 1. Der Rest folgt."
const BEGINNINGS: [&str; 30] = [
    "der", "die", "das", "dem", "den", "ein", "eine", "wir", "sie", "ich", "es", "er", "ihr", "du",
    "man", "danach", "dann", "bitte", "dort", "da", "und", "aber", "oder", "wenn", "falls",
    "haben", "ist", "sind", "möchten", "passt",
];

/// Just after the first sentence of at least `min` characters, its trailing white space not included. The character after
/// a period must have come: before that nobody knows whether "3." goes on with "50".
pub(super) fn sentence_end(text: &str, min: usize, complete: bool) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    let mut previous = ' ';
    while let Some((at, c)) = chars.next() {
        let before = text.get(..at).unwrap_or_default();
        let mut after = at + c.len_utf8();
        let ends = match c {
            '\n' => !before.trim().is_empty(),
            '.' => previous != '.' && !is_abbreviation(before),
            // the mark of a question in Greek
            ';' | '\u{37e}' => matches!(previous, 'α'..='ω' | 'ά'..='ώ'),
            // also what stands between the digits of a number
            '．' => chars.peek().is_some_and(|(_, next)| !next.is_numeric()),
            c => is_sentence_mark(c),
        };
        if ends {
            // quotes and brackets belong to the sentence that they close
            let tail = text.get(after..).unwrap_or_default();
            after += tail.len() - tail.trim_start_matches(closes).len();
            let rest = text.get(after..).unwrap_or_default();
            let is_over = match (rest.chars().next(), c) {
                (_, '\n') => true,
                (_, c) if !c.is_ascii() => true,
                (Some(next), '!' | '?') if is_spaceless(next) => true,
                (Some(next), '.') if next.is_whitespace() => {
                    match goes_on(before, rest, complete) {
                        Some(goes_on) => !goes_on,
                        None => return None,
                    }
                }
                (Some(next), _) => next.is_whitespace(),
                (None, _) => false,
            };
            let head = text.get(..after).unwrap_or_default();
            if is_over && length(head.trim()) >= min {
                return Some(after);
            }
        }
        previous = c;
    }
    None
}

/// In letters; a character of a script without spaces is about three.
fn length(text: &str) -> usize {
    text.chars()
        .map(|c| if is_spaceless(c) { 3 } else { 1 })
        .sum()
}

fn closes(c: char) -> bool {
    matches!(
        c,
        '"' | '”' | '’' | '\'' | '»' | ')' | ']' | '」' | '』' | '）' | '】' | '》' | '!' | '?'
    ) || (!c.is_ascii() && is_sentence_mark(c))
}

/// Is it one of the marks that end a sentence, whatever the script? Unicode's own table answers.
pub(super) fn is_sentence_mark(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, '!' | '?');
    }
    if c.is_alphanumeric() || c.is_whitespace() || c == '…' {
        return false;
    }
    let sample = ['a', c, ' ', 'A'].iter().collect::<String>();
    sample.split_sentence_bounds().count() > 1
}

/// A number and a period: does the sentence go on with the name of a month, or in lower case? `None`: more must come.
fn goes_on(before: &str, rest: &str, complete: bool) -> Option<bool> {
    let head = before.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = before.get(head.len()..).unwrap_or_default();
    if !(1..=2).contains(&number.len()) {
        return Some(false);
    }
    let next = rest.trim_start();
    let word: String = next.chars().take_while(|c| c.is_alphabetic()).collect();
    if word.len() == next.len() && !complete {
        return None;
    }
    // "5. 6. 2026", "3. Mai", "am 2. Advent", "1. Tea 2. Coffee"
    let lower = word.to_lowercase();
    Some(
        next.starts_with(|c: char| c.is_ascii_digit())
            || word.starts_with(char::is_lowercase)
            || MONTHS.contains(&lower.as_str())
            || is_ordinal(head) && !BEGINNINGS.contains(&lower.as_str())
            || head.trim_end().ends_with(':')
            || is_next_item(head, number),
    )
}

/// Behind these a number with a period is an ordinal.
fn is_ordinal(head: &str) -> bool {
    let word = head.split_whitespace().next_back().unwrap_or_default();
    let is_apart = head.ends_with(' ');
    is_apart && ORDINAL_WORDS.contains(&word.to_lowercase().as_str())
}

/// Has the item before this one a number as well?
fn is_next_item(head: &str, number: &str) -> bool {
    let Some(before) = number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_sub(1))
    else {
        return false;
    };
    let mark = format!("{before}. ");
    head.ends_with(' ')
        && head.match_indices(&mark).any(|(at, _)| {
            head.get(..at)
                .is_some_and(|head| head.is_empty() || head.ends_with(char::is_whitespace))
        })
}

/// Does the text before a period end in something that a period only shortens?
fn is_abbreviation(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '"' | '„' | '“' | '/'))
        .next()
        .unwrap_or_default();
    let lower = word.to_lowercase();
    // initials ("J."), numbered lists ("2."), and single letters of "p.m.", "U.S."
    let initial = lower.chars().count() == 1
        && lower
            .chars()
            .all(|c| c.is_alphabetic() && c != 'i' && !is_spaceless(c));
    let begins_line =
        |before: &str| before.trim_end_matches([' ', '\t']).rsplit('\n').next() == Some("");
    let list_number = !lower.is_empty()
        && lower.chars().all(|c| c.is_ascii_digit())
        && before.strip_suffix(word).is_some_and(begins_line);
    let dotted = lower.contains('.') && lower.split('.').all(|part| part.chars().count() <= 1);
    initial || list_number || dotted || ABBREVIATIONS.contains(&lower.as_str())
}
