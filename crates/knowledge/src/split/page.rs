//! LlamaIndex's `HTMLNodeParser`: what stands directly in the elements that it looks for, elements of one kind after one another together. It
//! sees a page as Beautiful Soup over Python's `html.parser` does, where nothing is closed that the page does not close.

use html5gum::{State, Token, Tokenizer};
use serde_json::Map;

use super::Piece;
use super::punkt::is_blank;

/// The elements that are looked for, LlamaIndex's default.
const TAGS: [&str; 12] = [
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "b", "i", "u", "section",
];
/// Elements without an end, Beautiful Soup's list.
const VOID: [&str; 24] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "keygen", "link", "menuitem",
    "meta", "param", "source", "track", "wbr", "basefont", "bgsound", "command", "frame", "image",
    "isindex", "nextid", "spacer",
];
/// Elements whose text is no text of those around them.
const APART: [&str; 5] = ["rt", "rp", "style", "script", "template"];
/// Elements inside which white space is kept.
const KEPT: [&str; 2] = ["pre", "textarea"];
/// Elements inside one another; deeper ones are read as if they were not there, since every word counts for all that are around it.
const MAX_DEPTH: usize = 256;
/// Elements without an end whose end tags are awaited; hardly a page has one.
const MAX_VOID: usize = 1_024;
/// Stands for a carriage return, which the tokenizer would drop, while a page is read; a private character that no page has.
const RETURN: char = '\u{f70d}';

/// A piece for each run of elements of one kind, whose name is its metadata `tag`.
pub fn html(text: &str) -> Vec<Piece> {
    let mut page = Page::default();
    let text = with_returns(text);
    let mut tokens = Tokenizer::new(&text);
    while let Some(Ok(token)) = tokens.next() {
        match token {
            Token::String(text) => page.text.push_str(&read(&text)),
            Token::StartTag(tag) => {
                let name = read(&tag.name);
                match name.as_str() {
                    "script" => tokens.set_state(State::ScriptData),
                    "style" => tokens.set_state(State::RawText),
                    _ => {}
                }
                page.begin(&name);
                match (VOID.contains(&name.as_str()), tag.self_closing) {
                    (true, false) if page.void.len() < MAX_VOID => page.void.push(name),
                    (true, _) | (false, false) => {}
                    (false, true) => {
                        page.end(&name);
                        tokens.set_state(State::Data);
                    }
                }
            }
            Token::EndTag(tag) => page.end(&read(&tag.name)),
            // it is a child like a text, but no text of what is around it
            Token::Comment(text) => {
                page.flush(None);
                page.text = read(&text);
                page.flush(Some("#comment"));
            }
            Token::Doctype(_) => page.flush(None),
            Token::Error(_) => {}
        }
    }
    page.flush(None);
    pieces(page.found)
}

fn read(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// With [`RETURN`] in the place of carriage returns outside tags.
fn with_returns(text: &str) -> String {
    let mut in_tag = false;
    let mut letters = text.chars().peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(c) = letters.next() {
        match c {
            '<' => {
                in_tag |= letters
                    .peek()
                    .is_some_and(|next| next.is_ascii_alphabetic() || *next == '/')
            }
            '>' => in_tag = false,
            _ => {}
        }
        out.push(if c == '\r' && !in_tag { RETURN } else { c });
    }
    out
}

/// An element that is looked for: its name, and the texts directly in it.
struct Found {
    name: String,
    texts: Vec<String>,
}

struct Open {
    name: String,
    /// Its number among those that are looked for.
    found: Option<usize>,
    /// Else, when it stands directly in one of these: that one's number, and that of the text which all of its words are.
    child_of: Option<(usize, usize)>,
}

#[derive(Default)]
struct Page {
    found: Vec<Found>,
    open: Vec<Open>,
    /// What was read since the last tag.
    text: String,
    /// Elements without an end that were seen, each of which an end tag may follow that says nothing.
    void: Vec<String>,
}

impl Page {
    fn begin(&mut self, name: &str) {
        self.flush(None);
        if VOID.contains(&name) {
            // a child without words is a text without words
            if let Some(found) = self.open.last().and_then(|open| open.found)
                && let Some(found) = self.found.get_mut(found)
            {
                found.texts.push(String::new());
            }
            return;
        }
        if self.open.len() >= MAX_DEPTH {
            return;
        }
        let parent = self.open.last().and_then(|open| open.found);
        let mut open = Open {
            name: name.to_owned(),
            found: None,
            child_of: None,
        };
        if TAGS.contains(&name) {
            open.found = Some(self.found.len());
            self.found.push(Found {
                name: name.to_owned(),
                texts: Vec::new(),
            });
        } else if let Some(found) = parent.and_then(|parent| self.found.get_mut(parent)) {
            open.child_of = parent.map(|parent| (parent, found.texts.len()));
            found.texts.push(String::new());
        }
        self.open.push(open);
    }

    fn end(&mut self, name: &str) {
        if let Some(at) = self.void.iter().position(|void| void == name) {
            self.void.swap_remove(at);
            return;
        }
        self.flush(None);
        if let Some(at) = self.open.iter().rposition(|open| open.name == name) {
            self.open.truncate(at);
        }
    }

    /// The text since the last tag is over. `kind`: what it is, if it is no text of the page.
    fn flush(&mut self, kind: Option<&str>) {
        if self.text.is_empty() {
            return;
        }
        let mut text = std::mem::take(&mut self.text).replace(RETURN, "\r");
        let is_kept = self
            .open
            .iter()
            .any(|open| KEPT.contains(&open.name.as_str()));
        if !is_kept
            && text
                .bytes()
                .all(|byte| matches!(byte, b' ' | b'\n' | b'\t' | 0x0c | b'\r'))
        {
            text = if text.contains('\n') { "\n" } else { " " }.to_owned();
        }
        let apart = self.open.iter().rev().map(|open| open.name.as_str());
        let kind = kind.or_else(|| apart.into_iter().find(|name| APART.contains(name)));
        for open in &self.open {
            let own = APART
                .contains(&open.name.as_str())
                .then_some(open.name.as_str());
            if let Some((found, number)) = open.child_of.filter(|_| own == kind)
                && let Some(whole) = self
                    .found
                    .get_mut(found)
                    .and_then(|found| found.texts.get_mut(number))
            {
                whole.push_str(&text);
            }
        }
        let direct = text.trim_matches(is_blank);
        if let Some(found) = self.open.last().and_then(|open| open.found)
            && let Some(found) = self.found.get_mut(found)
            && !direct.is_empty()
        {
            found.texts.push(direct.to_owned());
        }
    }
}

fn pieces(found: Vec<Found>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut section = String::new();
    let mut last: Option<String> = None;
    let push = |pieces: &mut Vec<Piece>, section: &str, tag: &Option<String>| {
        let text = section.trim_matches(is_blank);
        let mut metadata = Map::new();
        metadata.insert("tag".into(), tag.clone().into());
        if !text.is_empty() {
            pieces.push(Piece {
                text: text.to_owned(),
                metadata,
                hidden: &[],
            });
        }
    };
    for Found { name, texts } in found {
        let texts: Vec<&str> = texts
            .iter()
            .map(|text| text.trim_matches(is_blank))
            .collect();
        let text = texts.join("\n");
        if last.as_ref().is_none_or(|last| *last == name) {
            section.push_str(text.trim_matches(is_blank));
        } else {
            push(&mut pieces, &section, &last);
            section = text;
        }
        section.push('\n');
        last = Some(name);
    }
    push(&mut pieces, &section, &last);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Expected: what LlamaIndex 0.14.25 gives with Beautiful Soup 4.15.
    #[test]
    fn elements_of_a_kind_stand_together_with_what_is_directly_in_them() {
        let page = "<h1>House</h1><p>We <b>open</b> at <em>nine</em>.<p>And <!--why--> close.</p></p><div>no</div><ul><li>Dogs<li>Cats</ul>";
        let pieces: Vec<(String, String)> = html(page)
            .into_iter()
            .map(|piece| {
                let tag = piece.metadata.get("tag").and_then(|tag| tag.as_str());
                (tag.unwrap_or_default().to_owned(), piece.text)
            })
            .collect();
        let piece = |tag: &str, text: &str| (tag.to_owned(), text.to_owned());
        assert_eq!(
            pieces,
            [
                piece("h1", "House"),
                piece("p", "We\nat\nnine\n."),
                piece("b", "open"),
                piece("p", "And\nwhy\nclose."),
                piece("li", "Dogs\nCats"),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_page_is_cut_without_panic(page in "[<>/!a-p \\-&;\r\n]{0,300}") {
            html(&page);
        }
    }
}
