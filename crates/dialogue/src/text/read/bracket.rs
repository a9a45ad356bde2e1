//! Brackets: links and images, whose words are read and whose addresses are not; marks of sources and footnotes, which are
//! not read; and all others, which are.

use super::{Reader, Step};

/// What stands between the brackets of a link is shorter than this, in bytes.
const MAX_TEXT: usize = 300;
/// So is an address with its title.
const MAX_ADDRESS: usize = 4096;
/// Before these in brackets a number is a key, not a source.
const KEY_WORDS: [&str; 12] = [
    "press", "dial", "key", "keys", "button", "option", "type", "hit", "choose", "select", "taste",
    "drücken",
];
/// Names behind which a number in brackets is an index.
const LISTS: [&str; 12] = [
    "array", "arr", "list", "args", "argv", "items", "data", "values", "matrix", "vector", "row",
    "rows",
];

impl Reader {
    /// A bracket opens after `skip` bytes: with one it is an image.
    pub(super) fn bracket(
        &mut self,
        rest: &str,
        skip: usize,
        complete: bool,
        out: &mut String,
    ) -> Step {
        let (text, end) = match closing(rest, skip, complete) {
            Closing::At(end) => (rest.get(skip + 1..end).unwrap_or_default(), end + 1),
            Closing::Later => return Step::Wait,
            Closing::Never => return self.plain_bracket(rest, skip, out),
        };
        let after = rest.get(end..).unwrap_or_default();
        let next = after.chars().next();
        if next.is_none() && !complete {
            return Step::Wait;
        }
        let is_mark = self.is_source(text);
        if next == Some('(') && (skip == 1 || !self.before.is_some_and(|c| matches!(c, ')' | ']')))
        {
            return match address_end(after, complete) {
                Closing::At(bytes) => {
                    self.link(text, is_mark, out);
                    Step::Took(end + bytes)
                }
                Closing::Later => Step::Wait,
                Closing::Never => self.plain_bracket(rest, skip, out),
            };
        }
        if is_mark {
            self.leave_out(']');
            return Step::Took(end);
        }
        let attached = self
            .before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, ')' | ']' | '_'));
        if next == Some('[') && !attached {
            return match closing(after, 0, complete) {
                Closing::At(to) if !self.is_source(after.get(1..to).unwrap_or_default()) => {
                    self.link(text, false, out);
                    Step::Took(end + to + 1)
                }
                Closing::Later => Step::Wait,
                Closing::At(_) | Closing::Never => self.plain_bracket(rest, skip, out),
            };
        }
        if skip == 1 {
            self.link(text, false, out);
            return Step::Took(end);
        }
        self.has_keys |= self.follows_key_word();
        self.plain_bracket(rest, skip, out)
    }

    /// It means itself.
    fn plain_bracket(&mut self, rest: &str, skip: usize, out: &mut String) -> Step {
        for c in rest.chars().take(skip + 1) {
            self.literal(c, out);
        }
        Step::Took(skip + 1)
    }

    fn link(&mut self, text: &str, is_mark: bool, out: &mut String) {
        if !is_mark {
            for c in Self::of_line(text).chars() {
                self.literal(c, out);
            }
        }
        self.leave_out(')');
    }

    /// `[1]`, `[2, 5]`, `[^note]`, `[3†source]`, `[Source: menu.md]`: where something was found, for the eye.
    fn is_source(&self, text: &str) -> bool {
        let text = text.trim_matches(['[', ']', ' ']);
        let lower = text.to_lowercase();
        if text.starts_with('^')
            || text.contains(['†', '›'])
            || ["source:", "sources:", "citation"]
                .iter()
                .any(|word| lower.starts_with(word))
        {
            return true;
        }
        let numbers = || {
            text.split([',', '-', '–', ' '])
                .filter(|number| !number.is_empty())
        };
        let is_number = |number: &str| {
            number.len() <= 3
                && number.bytes().all(|b| b.is_ascii_digit())
                && !number.starts_with('0')
        };
        if numbers().next().is_none() || !numbers().all(is_number) {
            return false;
        }
        match self.before {
            None => false,
            Some(c) if c.is_whitespace() => {
                self.last.is_some() && !self.has_keys && !self.follows_key_word()
            }
            Some(')') if !self.left_out => false,
            Some(']') => self.left_out,
            Some(c) if c.is_alphanumeric() || c == '_' => !self.is_code(),
            Some(c) => !matches!(c, '`' | '=' | '('),
        }
    }

    fn follows_key_word(&self) -> bool {
        let word = self.word_before.to_lowercase();
        KEY_WORDS.contains(&word.trim_matches(|c: char| !c.is_alphanumeric()))
    }

    /// Does the present word look like a name in a program?
    fn is_code(&self) -> bool {
        let word = self.word.as_str();
        let mut letters = word.chars();
        let first = letters.next();
        letters.clone().next().is_none()
            || word.contains(['_', '.', '(', '=', '$', '[', '>'])
            || word.chars().any(|c| c.is_ascii_digit()) && first.is_some_and(char::is_alphabetic)
            || first.is_some_and(char::is_lowercase) && letters.any(char::is_uppercase)
            || LISTS.contains(&word.to_lowercase().as_str())
    }

    /// What stands between such brackets is a source, if it looks like one.
    pub(super) fn source(
        &mut self,
        rest: &str,
        close: char,
        complete: bool,
        out: &mut String,
    ) -> Step {
        let open = rest.chars().next().unwrap_or_default();
        let end = rest
            .char_indices()
            .take_while(|(at, c)| *at < MAX_TEXT && *c != '\n')
            .find(|(_, c)| *c == close);
        let Some((end, _)) = end else {
            if !complete && rest.len() < MAX_TEXT && !rest.contains('\n') {
                return Step::Wait;
            }
            self.literal(open, out);
            return Step::Took(open.len_utf8());
        };
        let text = rest.get(open.len_utf8()..end).unwrap_or_default();
        let is_number = text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ':' | ',' | ' ' | '-'));
        if close == '\u{e201}' || text.contains('†') || is_number {
            self.leave_out(close);
            return Step::Took(end + close.len_utf8());
        }
        self.literal(open, out);
        Step::Took(open.len_utf8())
    }
}

enum Closing {
    At(usize),
    Later,
    Never,
}

/// Where the bracket that opens at `from` is closed.
fn closing(text: &str, from: usize, complete: bool) -> Closing {
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < from) {
        if c == '\n' || at > MAX_TEXT {
            return Closing::Never;
        }
        match c {
            _ if escaped => {}
            '[' => depth += 1,
            ']' if depth <= 1 => return Closing::At(at),
            ']' => depth -= 1,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    if complete {
        Closing::Never
    } else {
        Closing::Later
    }
}

/// How long `(address "title")` is; parentheses in it are counted. One that is cut off ends with the text.
fn address_end(text: &str, complete: bool) -> Closing {
    let mut depth = 0usize;
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if c == '\n' || at > MAX_ADDRESS {
            return Closing::Never;
        }
        match (quote, c) {
            (Some(end), _) if c == end && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if before.is_whitespace() => quote = Some(c),
            (None, '<') if before == '(' => quote = Some('>'),
            (None, '(') => depth += 1,
            (None, ')') if depth <= 1 => return Closing::At(at + 1),
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        before = c;
    }
    if complete {
        Closing::At(text.len())
    } else {
        Closing::Later
    }
}
