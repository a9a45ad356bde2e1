//! Comparing and counting words.

/// Scripts written without spaces: every character counts as a word.
pub(super) fn is_spaceless(c: char) -> bool {
    matches!(u32::from(c), 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x3FFFF)
}

/// Lower case, words only, one space between: what is compared to tell whether the words changed.
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_alphanumeric() {
            let spaceless = is_spaceless(c);
            if (gap || spaceless) && !out.is_empty() && !out.ends_with(' ') {
                out.push(' ');
            }
            out.extend(c.to_lowercase());
            gap = spaceless;
        } else if c != '\'' && c != '’' {
            gap = true;
        }
    }
    out
}

/// Are these words, one after the other, somewhere in `text`? Spelling does not matter.
pub fn contains_words(text: &str, words: &str) -> bool {
    let (text, words) = (normalise(text), normalise(words));
    !words.is_empty() && format!(" {text} ").contains(&format!(" {words} "))
}

/// What follows these words (normalised) at the beginning of `text`; `None` when it begins otherwise.
pub fn without_words<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let mut missing = words;
    if missing.is_empty() {
        return Some(text);
    }
    for token in text.split_whitespace() {
        let normal = normalise(token);
        if normal.is_empty() {
            continue;
        }
        missing = missing.strip_prefix(normal.as_str())?;
        if missing.is_empty() {
            let end = token.as_ptr() as usize - text.as_ptr() as usize + token.len();
            return text.get(end..);
        }
        missing = missing.strip_prefix(' ')?;
    }
    None
}

/// How many words; allocates nothing.
pub fn count_words(text: &str) -> usize {
    let mut count = 0;
    let mut inside = false;
    for c in text.chars() {
        if is_spaceless(c) {
            count += 1;
            inside = false;
        } else if c.is_alphanumeric() {
            count += usize::from(!inside);
            inside = true;
        } else if c != '\'' && c != '’' {
            inside = false;
        }
    }
    count
}

/// How many letters, as a measure of how long it takes to say them. A character of a script without spaces counts as two.
pub fn count_letters(text: &str) -> u32 {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    let count = letters.map(|c| if is_spaceless(c) { 2u32 } else { 1 });
    count.fold(0, u32::saturating_add)
}

/// The beginning of `text`, about `share` (0 to 1) of it, cut after a whole word.
pub fn cut_at_word(text: &str, share: f64) -> usize {
    if share >= 1.0 {
        return text.len();
    }
    let total = text.chars().count();
    let wanted = (total as f64 * share.max(0.0)).floor() as usize;
    let mut end = 0;
    let mut previous: Option<char> = None;
    for (count, (at, c)) in text.char_indices().enumerate() {
        if count > wanted {
            break;
        }
        let boundary = c.is_whitespace() || is_spaceless(c) || previous.is_some_and(is_spaceless);
        if boundary && previous.is_some_and(|p| !p.is_whitespace()) {
            end = at;
        }
        previous = Some(c);
    }
    end
}

/// The same, with the whole of the word in which the cut would be.
pub fn cut_after_word(text: &str, share: f64) -> usize {
    let total = text.chars().count();
    let wanted = (total as f64 * share.max(0.0)).floor() as usize;
    text.char_indices()
        .enumerate()
        .find(|&(count, (_, c))| count > wanted && (c.is_whitespace() || is_spaceless(c)))
        .map_or(text.len(), |(_, (at, _))| at)
}

/// How much of `text` these words are, as a synthesiser has named them: with or without punctuation, in other case, or one
/// by one in scripts without spaces. A word that is not there stands for the next one of the text. Never ends inside a
/// word; punctuation belongs to the word before it.
pub fn end_of_words<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> usize {
    let is_word = |c: char| c.is_alphanumeric();
    let mut end = 0;
    for word in words {
        let word = word.trim_matches(|c| !is_word(c));
        let rest = text.get(end..).unwrap_or_default();
        let Some(start) = rest.find(is_word).filter(|_| !word.is_empty()) else {
            continue;
        };
        let rest = rest.get(start..).unwrap_or_default();
        end += start + same_beginning(rest, word).unwrap_or_else(|| first_word(rest));
    }
    let (before, after) = text.split_at_checked(end).unwrap_or((text, ""));
    let last = before.chars().next_back();
    let inside = last.zip(after.chars().next()).is_some_and(|(last, next)| {
        is_word(last) && is_word(next) && !is_spaceless(last) && !is_spaceless(next)
    });
    if inside {
        let whole = before.trim_end_matches(|c| is_word(c) && !is_spaceless(c));
        return whole.trim_end().len();
    }
    let rest = after.trim_start_matches(|c: char| !is_word(c) && !c.is_whitespace());
    if end == 0 { 0 } else { text.len() - rest.len() }
}

/// The length of `word` at the beginning of `text`, in whatever case.
fn same_beginning(text: &str, word: &str) -> Option<usize> {
    let mut letters = text.chars();
    for wanted in word.chars() {
        let found = letters.next()?;
        if !found.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    Some(text.len() - letters.as_str().len())
}

fn first_word(text: &str) -> usize {
    match text.chars().next() {
        Some(c) if is_spaceless(c) => c.len_utf8(),
        _ => text
            .find(|c: char| c.is_whitespace() || is_spaceless(c))
            .unwrap_or(text.len()),
    }
}

/// Appends `more` after a space, up to `limit` bytes in all; what does not fit is dropped.
pub fn push_limited(text: &mut String, more: &str, limit: usize) {
    let more = more.trim();
    if more.is_empty() || text.len() >= limit {
        return;
    }
    if !text.is_empty() {
        text.push(' ');
    }
    let room = limit.saturating_sub(text.len());
    let end = (0..=room.min(more.len()))
        .rev()
        .find(|&at| more.is_char_boundary(at))
        .unwrap_or(0);
    text.push_str(more.get(..end).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_punctuation_do_not_change_the_words() {
        assert_eq!(normalise("Hello,  World! It's 5."), "hello world its 5");
        assert_eq!(normalise("你好"), "你 好");
        assert_eq!(count_words("ok, stop! it's 你好"), 5);
    }

    #[test]
    fn an_echo_is_some_of_the_same_words_in_the_same_order() {
        assert!(contains_words(
            "Good evening, how can I help?",
            "evening how can"
        ));
        assert!(!contains_words("Good evening, how can I help?", "even"));
        assert!(!contains_words("Good evening", "evening good"));
        assert!(!contains_words("Good evening", "..."));
    }

    #[test]
    fn words_that_were_said_already_are_not_news() {
        assert_eq!(
            without_words("Book a table. For two", "book a table"),
            Some(" For two")
        );
        assert_eq!(without_words("Book a table.", "book a table"), Some(""));
        assert_eq!(without_words("Book a tablet", "book a table"), None);
        assert_eq!(without_words("Book", "book a table"), None);
        assert_eq!(without_words("It's 5", ""), Some("It's 5"));
    }

    #[test]
    fn timed_words_are_found_in_the_text_however_they_are_written() {
        let part = |text: &'static str, words: &[&str]| {
            let end = end_of_words(text, words.iter().copied());
            text.split_at(end).0
        };
        assert_eq!(part("Yes, of course!", &["yes"]), "Yes,");
        assert_eq!(part("Yes, of course!", &["yes", ",", "of"]), "Yes, of");
        assert_eq!(part("It is 5 o'clock.", &["It", "is", "five"]), "It is 5");
        assert_eq!(part("I don't know.", &["I", "do"]), "I");
        assert_eq!(part("I don't know.", &["I", "do", "n't"]), "I don't");
        assert_eq!(part("你好，世界。", &["你", "好"]), "你好，");
        assert_eq!(part("你好，世界。", &["你好", "世"]), "你好，世");
        assert_eq!(part("one", &["one", "two", "three"]), "one");
        assert_eq!(part("one two", &[]), "");
    }

    #[test]
    fn a_cut_never_splits_a_word() {
        let text = "one two three four";
        for tenth in 0..=10 {
            let end = cut_at_word(text, f64::from(tenth) / 10.0);
            assert!(["", "one", "one two", "one two three", text].contains(&&text[..end]));
        }
        assert_eq!(&text[..cut_at_word(text, 0.5)], "one two");
    }
}
