//! HTML in a model's words: tags go, what they mean for the line stays, entities become their characters.

use pulldown_cmark::{Event, Parser};

use super::line::Gap;
use super::{Reader, Step};

/// A tag or a comment is shorter than this, in bytes.
const MAX_TAG: usize = 1000;
/// The longest entity's name has 31 letters.
const MAX_ENTITY: usize = 33;
/// Tags after which a line is over.
const LINES: [&str; 24] = [
    "br",
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "tr",
    "table",
    "thead",
    "tbody",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "blockquote",
    "pre",
    "section",
    "article",
    "details",
    "summary",
    "dl",
];
/// Other tags that models write, and those of SSML.
const INLINE: [&str; 42] = [
    "a", "abbr", "b", "big", "body", "button", "center", "cite", "code", "dd", "del", "dt", "em",
    "font", "head", "html", "i", "img", "ins", "kbd", "label", "mark", "q", "s", "small", "span",
    "strike", "strong", "sub", "sup", "td", "th", "time", "u", "var", "input", "speak", "break",
    "prosody", "emphasis", "say-as", "phoneme",
];
/// Elements that are not for reading.
const HIDDEN: [&str; 4] = ["script", "style", "svg", "template"];

impl Reader {
    pub(super) fn tag(&mut self, rest: &str, complete: bool, out: &mut String) -> Step {
        match tag_end(rest, complete) {
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

    fn read_tag(&mut self, tag: &str, out: &mut String) {
        let closes = tag.starts_with('/');
        let name = name_of(tag.trim_start_matches('/')).to_lowercase();
        self.left_out = true;
        if name == "br" {
            self.end_line(Gap::Line);
        } else if LINES.contains(&name.as_str()) {
            self.end_line(Gap::Block);
        } else if matches!(name.as_str(), "td" | "th" | "dt") && closes {
            self.literal(',', out);
            self.literal(' ', out);
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
    if !HIDDEN.contains(&name.as_str()) || tag.ends_with('/') {
        return Some(0);
    }
    let close = after.to_ascii_lowercase().find(&format!("</{name}"))?;
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
    Later,
    None,
}

fn tag_end(rest: &str, complete: bool) -> Found {
    let later = |may: bool| {
        if may && !complete && rest.len() < MAX_TAG {
            Found::Later
        } else {
            Found::None
        }
    };
    if "<!--".starts_with(rest) || rest.starts_with("<!--") {
        return match rest.find("-->") {
            Some(end) if end < MAX_TAG => Found::Comment(end + 3),
            _ => later(true),
        };
    }
    let text = rest.get(1..).unwrap_or_default();
    let tag = text.strip_prefix('/').unwrap_or(text);
    let name = name_of(tag);
    let Some(next) = tag.get(name.len()..).unwrap_or_default().chars().next() else {
        return later(name.len() < 80);
    };
    if name.is_empty() {
        return Found::None;
    }
    let end = text.find(['>', '<']).unwrap_or(text.len());
    let inside = text.get(..end).unwrap_or_default();
    let is_closed = end < MAX_TAG && text.get(end..).is_some_and(|rest| rest.starts_with('>'));
    let unclosed = |plausible: bool| later(plausible && end == text.len());
    if !is_tag_name(&name.to_lowercase()) || !matches!(next, '>' | '/' | ' ' | '\t' | '\n') {
        let may_be_address =
            !inside.contains(char::is_whitespace) && matches!(next, '@' | ':' | '.' | '_' | '+');
        return match is_closed {
            true if may_be_address && inside.contains(['@', ':']) => Found::Address(end + 1),
            true => Found::None,
            false => unclosed(may_be_address),
        };
    }
    // "a <b and c> d" is no tag: its first word is no attribute with a value
    let slash = text.len() - tag.len();
    let attributes = inside.get(slash + name.len()..).unwrap_or_default();
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let first = attributes.trim_start();
    if name.len() == 1 && first.starts_with(is_letter) {
        match first.trim_start_matches(is_letter).chars().next() {
            Some('=') => {}
            None if !is_closed => return unclosed(true),
            _ => return Found::None,
        }
    }
    if is_closed {
        Found::Tag(end + 1)
    } else {
        unclosed(true)
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

fn is_tag_name(name: &str) -> bool {
    LINES.contains(&name) || INLINE.contains(&name) || HIDDEN.contains(&name)
}
