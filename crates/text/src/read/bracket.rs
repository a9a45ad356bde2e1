//! Brackets: links and images, whose words are read and whose addresses are not; marks of sources and footnotes, which are
//! not read; and all others, which are.

use super::{Reader, Step};

/// What stands between the brackets of a link is shorter than this, in bytes.
const MAX_TEXT: usize = 300;
/// So is an address with its title.
const MAX_ADDRESS: usize = 4096;
/// Words that announce a value: a number in brackets after one of them, and a space, is what they announce.
const ANNOUNCING: &str = "\
    is are was were be equals equal than and or in on at to from of by with for the a an as under between number numbers no nr \
    nos code codes pin id press dial key keys button buttons option options type hit choose select enter pick take use step steps \
    row rows seat seats gate gates table tables room rooms floor floors level locker lockers platform platforms line lines lane \
    track bus tram train flight terminal page pages chapter section figure part item items answer answers case ticket order \
    booking version list lists array coordinates value values score total extension channel bay box unit apartment suite door exit \
    ist sind war und oder auf nach von zu für der die das taste tasten nummer zimmer gleis tisch reihe platz raum etage stock \
    linie seite kapitel schritt punkt bestellung lautet lauten drücken drücke wählen wähle est sont et ou sur numéro chambre \
    quai rang table porte touche es son y o en número habitación mesa fila puerta andén tecla è sono e numero camera tavolo fila";
/// A source is named at the end of some words; behind fewer there is only a label.
const MIN_WORDS_BEFORE_SOURCE: usize = 2;
/// Before sources in parentheses: "(see [2], [3])".
const SEE: [&str; 10] = [
    "see", "cf", "source", "sources", "ref", "siehe", "vgl", "quelle", "quellen", "voir",
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
        let Some(ends_clause) = ends_clause(after, complete) else {
            return Step::Wait;
        };
        // "[5](https://…)"
        let is_linked = after.starts_with("(http") || after.starts_with("(<http");
        let is_mark = self.is_source(text, ends_clause, is_linked);
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
            if skip == 1 {
                // "Dogs are welcome![4]"
                self.literal('!', out);
            }
            self.leave_out(']');
            self.after_source = true;
            return Step::Took(end);
        }
        let attached = self
            .before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, ')' | ']' | '_'));
        let is_text = text.chars().filter(|c| c.is_alphabetic()).nth(1).is_some();
        if next == Some('[') && !attached && is_text {
            return match closing(after, 0, complete) {
                // "[the menu][1]"
                Closing::At(to) => {
                    self.link(text, false, out);
                    Step::Took(end + to + 1)
                }
                Closing::Later => Step::Wait,
                Closing::Never => self.plain_bracket(rest, skip, out),
            };
        }
        if skip == 1 {
            self.link(text, false, out);
            return Step::Took(end);
        }
        self.has_values |= self.is_announced();
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

    /// `[1]`, `[2, 5]`, `[^note]`, `[!NOTE]`, `[3†source]`, `[Source: menu.md]`: where something was found, for the eye.
    fn is_source(&self, text: &str, ends_clause: bool, is_linked: bool) -> bool {
        let text = text.trim_matches(['[', ']', ' ']);
        let lower = text.to_lowercase();
        if text.starts_with(['^', '!'])
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
            Some(_) if self.after_source || is_linked => true,
            // apart from its word only at the end of a clause, and where no value is waited for
            Some(c) if c.is_whitespace() || matches!(c, '*' | '~') && self.word.is_empty() => {
                let follows_words = self.last_word_ends() && self.words >= MIN_WORDS_BEFORE_SOURCE;
                ends_clause && follows_words && !self.has_values && !self.is_announced()
            }
            Some(')') if !self.left_out => false,
            Some(']') => self.left_out,
            Some(c) if c.is_alphanumeric() || c == '_' => !self.is_code(),
            Some(c) => matches!(
                c,
                '.' | ','
                    | ';'
                    | '!'
                    | '?'
                    | '"'
                    | '”'
                    | '’'
                    | '\''
                    | '»'
                    | '%'
                    | '€'
                    | '。'
                    | '、'
            ),
        }
    }

    /// Did a word stand there, and no colon or bracket?
    fn last_word_ends(&self) -> bool {
        self.word_before.ends_with(|c: char| {
            c.is_alphanumeric() || matches!(c, '"' | '”' | '’' | '»' | '%' | '€' | ')' | '.')
        })
    }

    fn is_announced(&self) -> bool {
        let word = self.word_before.to_lowercase();
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        ANNOUNCING.split(' ').any(|other| other == word)
    }

    /// "(see [2], [3])": nothing in it is for reading.
    pub(super) fn parenthesis(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        let inner = rest.get(1..).unwrap_or_default();
        let word = inner
            .trim_start_matches(|c: char| c.is_alphabetic())
            .trim_start_matches('.');
        let name = inner
            .get(..inner.len() - word.len())
            .unwrap_or_default()
            .trim_end_matches('.');
        let marks = word.trim_start_matches([' ', ':']);
        let lower = name.to_lowercase();
        if marks.is_empty() && !complete && SEE.iter().any(|see| see.starts_with(&lower)) {
            return Step::Wait;
        }
        let may_be = (name.is_empty() && marks.len() == word.len()
            || SEE.contains(&lower.as_str()))
            && marks.starts_with('[');
        if may_be {
            let is_mark = |c: char| {
                c.is_ascii_digit() || matches!(c, '[' | ']' | ',' | ';' | ' ' | '-' | '–' | '^')
            };
            let after = marks.trim_start_matches(is_mark);
            if after.is_empty() && !complete && marks.len() < MAX_TEXT {
                return Step::Wait;
            }
            // an address in parentheses may follow, and then it was a link
            let is_link = marks
                .get(..marks.len() - after.len())
                .is_some_and(|marks| marks.ends_with("[]"));
            if let Some(beyond) = after
                .strip_prefix(')')
                .filter(|_| !is_link && self.last.is_some())
            {
                self.leave_out(')');
                self.after_source = true;
                return Step::Took(rest.len() - beyond.len());
            }
        }
        self.literal('(', out);
        Step::Took(1)
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

/// Is the clause over behind the marks of sources? `None`: more must come.
fn ends_clause(after: &str, complete: bool) -> Option<bool> {
    let mut rest = after;
    loop {
        let next = rest.trim_start_matches(' ');
        match next.chars().next() {
            None => return complete.then_some(true),
            Some('[') => match closing(next, 0, complete) {
                Closing::At(end) => rest = next.get(end + 1..).unwrap_or_default(),
                Closing::Later => return None,
                Closing::Never => return Some(false),
            },
            Some(c) => {
                return Some(matches!(
                    c,
                    '.' | ',' | ';' | ':' | '!' | '?' | ')' | '\n' | '。' | '，' | '*' | '【'
                ));
            }
        }
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
