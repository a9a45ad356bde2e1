//! What cannot be spoken is taken out: Markdown and emoji. The same plain words go to TTS, transcript and history.

/// Emoji, their joiners and selectors, and pictographs.
fn is_emoji(c: char) -> bool {
    matches!(u32::from(c),
        0x200D | 0x20E3 | 0xFE0E | 0xFE0F | 0x2190..=0x21FF | 0x2300..=0x23FF | 0x2600..=0x27BF | 0x2B00..=0x2BFF
        | 0x1F000..=0x1FAFF | 0xE0020..=0xE007F)
}

/// One piece of a reply without Markdown and emoji, white space collapsed.
pub(crate) fn plain(piece: &str) -> String {
    let mut out = String::with_capacity(piece.len());
    for line in piece.lines() {
        let line = without_line_marks(line);
        if line.starts_with("```") {
            continue;
        }
        without_inline_marks(line, &mut out);
        out.push(' ');
    }
    let mut text = String::with_capacity(out.len());
    for word in out.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    if text.chars().any(char::is_alphanumeric) {
        text
    } else {
        String::new()
    }
}

/// Headings, bullets, quotes, rules at the beginning of a line.
fn without_line_marks(line: &str) -> &str {
    let line = line.trim();
    let line = line.trim_start_matches('>').trim_start();
    if line.len() >= 3 && line.chars().all(|c| matches!(c, '-' | '*' | '_' | '=')) {
        return "";
    }
    let heading = line.trim_start_matches('#');
    let line = if heading.len() < line.len() && (heading.is_empty() || heading.starts_with(' ')) {
        heading.trim_start()
    } else {
        line
    };
    ["- ", "* ", "+ ", "• "]
        .iter()
        .find_map(|mark| line.strip_prefix(mark))
        .unwrap_or(line)
        .trim_start()
}

/// Emphasis, code marks, links and images, table bars, emoji.
fn without_inline_marks(line: &str, out: &mut String) {
    let mut chars = line.char_indices().peekable();
    let mut skip_until = 0;
    let mut previous = ' ';
    while let Some((at, c)) = chars.next() {
        if at < skip_until {
            continue;
        }
        let next = chars.peek().map_or(' ', |&(_, n)| n);
        match c {
            '*' | '`' | '~' if c != '~' || next == '~' || previous == '~' => {}
            // an underscore inside a word stays: it belongs to a name
            '_' if !(previous.is_alphanumeric() && next.is_alphanumeric()) => {}
            '!' if next == '[' => {}
            '[' => {}
            ']' => {
                let rest = line.get(at + 1..).unwrap_or_default();
                if rest.starts_with('(')
                    && let Some(end) = rest.find(')')
                {
                    skip_until = at + 1 + end + 1;
                }
            }
            '|' => out.push(' '),
            c if is_emoji(c) => {}
            c => out.push(c),
        }
        previous = c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_hears_asterisks_or_addresses() {
        assert_eq!(
            plain("**Sure!** See [our menu](https://x.y/z) 🍕👍🏽."),
            "Sure! See our menu ."
        );
        assert_eq!(
            plain("## Hours\n- Monday: *closed*\n- `Tuesday` 5"),
            "Hours Monday: closed Tuesday 5"
        );
        assert_eq!(plain("🙂"), "");
        assert_eq!(plain("a snake_case name, 3 * 4"), "a snake_case name, 3 4");
        assert_eq!(
            plain("It costs $3.50 & that's 5% off"),
            "It costs $3.50 & that's 5% off"
        );
    }
}
