//! HTML in a model's words: tags go, what they mean for the line stays, entities become their characters.

use pulldown_cmark::{Event, Parser};

use super::line::Gap;
use super::{Reader, Step, is_wordish};

/// A tag or a comment is shorter than this, in bytes.
const MAX_TAG: usize = 1000;
/// The longest entity's name has 31 letters.
const MAX_ENTITY: usize = 33;
/// Elements behind which a line is over.
const LINES: &str = " br p div li ul ol tr table thead tbody h1 h2 h3 h4 h5 h6 hr blockquote pre section article details summary \
    dl main header footer nav aside figure figcaption form fieldset address center legend caption option menu dialog search ";
/// Elements that stand in a line, and those of SSML. A tag of another name is one too when it is well formed, and no part
/// of a type or of a comparison: `Vec<String>`, `a <b`.
const INLINE: &str = " a abbr acronym b bdi bdo big body button cite code dd dfn dt em font head html i img ins kbd label mark \
    q samp small span strong sub sup td th time tt u var input speak break prosody emphasis say-as phoneme voice wbr meta \
    link base col colgroup data datalist output progress meter ruby rt rp source track picture textarea tfoot ";
/// Elements that are not for reading; what is struck is withdrawn.
const HIDDEN: &str = " script style svg template title iframe video audio object canvas noscript select math \
    s del strike ";
/// Elements whose names stand for what is filled in when they stand alone: "say <name> and <time>".
const FILLED_IN: &str = " time code data title label source object address link ";

fn is_in(list: &str, name: &str) -> bool {
    !name.is_empty() && list.contains(&format!(" {name} "))
}

impl Reader {
    pub(super) fn tag(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        match tag_end(rest, self.before.is_some_and(is_wordish), complete) {
            Found::Later => Step::Wait,
            Found::None => {
                self.literal('<', out);
                Step::Took(1)
            }
            Found::Address(end) => {
                let text = rest.get(1..end).unwrap_or_default();
                for c in text.strip_prefix("mailto:").unwrap_or(text).chars() {
                    self.literal(c, out);
                }
                Step::Took(end + 1)
            }
            Found::Comment(end) => {
                self.leave_out(' ');
                Step::Took(end)
            }
            Found::Tag(end) => {
                let tag = rest.get(1..end).unwrap_or_default();
                let inside = rest.get(end + 1..).unwrap_or_default();
                if self.may_be_filled_in(tag) {
                    match inside.chars().next() {
                        None if !complete => return Step::Wait,
                        Some(c) if is_wordish(c) || matches!(c, '<' | '&') => {}
                        _ => {
                            self.literal('<', out);
                            return Step::Took(1);
                        }
                    }
                }
                if tag.eq_ignore_ascii_case("sup") {
                    match self.raised(inside, complete, out) {
                        Some(Step::Took(bytes)) => return Step::Took(end + 1 + bytes),
                        Some(Step::Wait) => return Step::Wait,
                        None => {}
                    }
                }
                let hidden = match hidden_until(tag, inside) {
                    // it may be a tag that the model only mentions: what follows is not lost
                    None if !complete => return Step::Wait,
                    hidden => hidden.unwrap_or_default(),
                };
                self.read_tag(tag, out);
                Step::Took(end + 1 + hidden)
            }
        }
    }

    /// "Say <name> and <date>": among words, a name alone that is no element stands for what the caller fills in.
    fn may_be_filled_in(&self, tag: &str) -> bool {
        let lower = tag.to_lowercase();
        let is_name = name_of(tag).len() == tag.len();
        let is_element = is_in(LINES, &lower) || is_in(INLINE, &lower) || is_in(HIDDEN, &lower);
        is_name
            && self.words > 0
            && self.before.is_some_and(char::is_whitespace)
            && (!is_element || is_in(FILLED_IN, &lower))
    }

    /// `<sup>1</sup>`: the mark of a footnote is not read, a power is. `None`: it is neither.
    fn raised(&mut self, inside: &str, complete: bool, out: &mut String) -> Option<Step> {
        let is_mark =
            |c: char| c.is_ascii_digit() || matches!(c, ',' | ' ' | '*' | '†' | '[' | ']');
        let after = inside.trim_start_matches(is_mark);
        let mark = inside.get(..inside.len() - after.len())?;
        // "nine<sup>a</sup>", but the 5<sup>th</sup>
        let letter = after
            .strip_prefix(['a', 'b', 'c', 'd'])
            .filter(|_| mark.is_empty() && self.is_footnoted());
        let after = letter.unwrap_or(after);
        let may_come = !complete && mark.len() < MAX_ENTITY;
        let Some(beyond) = after.strip_prefix("</sup>") else {
            return (may_come && "</sup>".starts_with(after)).then_some(Step::Wait);
        };
        let is_power = !self.is_footnoted()
            && self.before.is_some_and(char::is_alphanumeric)
            && mark.chars().all(|c| c.is_ascii_digit());
        if is_power {
            self.literal('^', out);
            for c in mark.chars() {
                self.literal(c, out);
            }
        } else {
            self.leave_out('>');
        }
        Some(Step::Took(inside.len() - beyond.len()))
    }

    fn read_tag(&mut self, tag: &str, out: &mut String) {
        let closes = tag.starts_with('/');
        let name = name_of(tag.trim_start_matches('/')).to_lowercase();
        self.left_out = true;
        if name == "br" {
            self.end_line(Gap::Line);
        } else if is_in(LINES, &name) {
            self.end_line(Gap::Block);
        } else if matches!(name.as_str(), "td" | "th" | "dt")
            // the end of a cell may be left out
            && (closes || self.gap == Gap::None && self.last.is_some_and(char::is_alphanumeric))
        {
            self.literal(',', out);
            self.literal(' ', out);
        } else if !is_in(INLINE, &name) {
            // of an element that nobody knows: it parts words
            self.space(out);
            self.before = Some(' ');
        }
    }

    /// `&eacute;` and the like.
    pub(super) fn entity(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '#';
        let name = rest.len()
            - rest
                .get(1..)
                .unwrap_or_default()
                .trim_start_matches(is_name)
                .len();
        if name == rest.len() && !complete && name < MAX_ENTITY {
            return Step::Wait;
        }
        let entity = rest
            .get(..=name)
            .filter(|entity| entity.ends_with(';') && name > 1 && name < MAX_ENTITY);
        let Some(text) = entity.and_then(decoded) else {
            self.literal('&', out);
            return Step::Took(1);
        };
        for c in text.chars() {
            self.literal(c, out);
        }
        Step::Took(name + 1)
    }
}

/// How much of what follows a tag is not for reading; `None`: its end has not come.
fn hidden_until(tag: &str, after: &str) -> Option<usize> {
    let name = name_of(tag).to_ascii_lowercase();
    if !is_in(HIDDEN, &name) || tag.ends_with('/') {
        return Some(0);
    }
    let lower = after.to_ascii_lowercase();
    let close = format!("</{name}");
    // "</strong>" does not end "<s>"
    let (close, _) = lower.match_indices(&close).find(|(at, close)| {
        let next = lower.get(at + close.len()..).unwrap_or_default();
        !next.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
    })?;
    let end = after.get(close..)?.find('>')?;
    Some(close + end + 1)
}

/// The character that an entity names; the Markdown parser has HTML's list of them.
fn decoded(entity: &str) -> Option<String> {
    let text: String = Parser::new(entity)
        .filter_map(|event| match event {
            Event::Text(text) => Some(text.into_string()),
            _ => None,
        })
        .collect();
    (text != entity).then_some(text)
}

enum Found {
    /// `<b>`, up to its `>`.
    Tag(usize),
    /// `<https://example.com>`, up to its `>`.
    Address(usize),
    /// A comment with its end.
    Comment(usize),
    /// More must come.
    Later,
    None,
}

fn tag_end(rest: &str, in_word: bool, complete: bool) -> Found {
    let later = || {
        if !complete && rest.len() < MAX_TAG {
            Found::Later
        } else {
            Found::None
        }
    };
    if "<!--".starts_with(rest) || rest.starts_with("<!--") {
        return match rest.find("-->") {
            Some(end) if end < MAX_TAG => Found::Comment(end + 3),
            _ => later(),
        };
    }
    // <!doctype html>, <?xml …?>
    let text = rest.get(1..).unwrap_or_default();
    if text == "?" && !complete {
        return Found::Later;
    }
    if text.starts_with(['!', '?'])
        && text
            .get(1..)
            .is_some_and(|text| text.starts_with(|c: char| c.is_ascii_alphabetic()))
    {
        return match rest.find('>') {
            Some(end) if end < MAX_TAG => Found::Comment(end + 1),
            _ => later(),
        };
    }
    let tag = text.strip_prefix('/').unwrap_or(text);
    let name = name_of(tag);
    let attributes = tag.get(name.len()..).unwrap_or_default();
    let Some(next) = attributes.chars().next() else {
        return if name.len() < 80 && (!name.is_empty() || tag.is_empty()) {
            later()
        } else {
            Found::None
        };
    };
    if name.is_empty() {
        return Found::None;
    }
    if matches!(next, '@' | ':' | '.' | '_' | '+') {
        return match text.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>')) {
            Some(end) if text.get(end..).is_some_and(|rest| rest.starts_with('>')) => {
                Found::Address(end + 1)
            }
            Some(_) => Found::None,
            None => later(),
        };
    }
    let name = name.to_lowercase();
    // a letter is a variable as well, and a name that nobody knows may be a type
    let is_known = is_in(LINES, &name) || is_in(INLINE, &name) || is_in(HIDDEN, &name);
    let may_be_bare = is_known && name.len() > 1;
    if !is_known && in_word && !text.starts_with('/') {
        return Found::None;
    }
    match end_of_attributes(attributes, may_be_bare) {
        Attributes::End(end) => Found::Tag(rest.len() - attributes.len() + end),
        Attributes::Later => later(),
        Attributes::None => Found::None,
    }
}

enum Attributes {
    /// The `>` is there.
    End(usize),
    Later,
    None,
}

/// Attributes as HTML writes them; `may_be_bare`: also without a value.
fn end_of_attributes(text: &str, may_be_bare: bool) -> Attributes {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let (has_gap, at) = (trimmed.len() < rest.len(), text.len() - trimmed.len());
        let slash = trimmed.strip_prefix('/').map_or(trimmed, str::trim_start);
        match slash.chars().next() {
            None => return Attributes::Later,
            Some('>') => return Attributes::End(at + trimmed.len() - slash.len()),
            Some(_) if !has_gap || slash.len() < trimmed.len() => return Attributes::None,
            Some(_) => {}
        }
        let name = trimmed
            .find(|c: char| {
                !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '@'))
            })
            .unwrap_or(trimmed.len());
        let after = trimmed.get(name..).unwrap_or_default();
        let value = after.trim_start();
        rest = match value.chars().next() {
            _ if name == 0 => return Attributes::None,
            None => return Attributes::Later,
            Some('=') => {
                let value = value.get(1..).unwrap_or_default().trim_start();
                match value.chars().next() {
                    None => return Attributes::Later,
                    Some(quote @ ('"' | '\'')) => {
                        let inner = value.get(1..).unwrap_or_default();
                        match inner.find(quote) {
                            None => return Attributes::Later,
                            Some(end) => inner.get(end + 1..).unwrap_or_default(),
                        }
                    }
                    Some(_) => {
                        let end = value
                            .find(|c: char| c.is_whitespace() || matches!(c, '>' | '<'))
                            .unwrap_or(value.len());
                        value.get(end..).unwrap_or_default()
                    }
                }
            }
            Some(_) if may_be_bare => after,
            Some(_) => return Attributes::None,
        };
    }
}

fn name_of(tag: &str) -> &str {
    let end = tag
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .unwrap_or(tag.len());
    tag.get(..end)
        .filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
        .unwrap_or_default()
}
