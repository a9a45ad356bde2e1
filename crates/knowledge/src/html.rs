//! HTML as passages. The page is read as a row of tokens, not as a tree: whatever is nested how deep, and however broken it
//! is, reading it takes one pass and no recursion.

use html5gum::{StartTag, State, Token, Tokenizer};

use crate::chunk::{Chunk, Sections};

/// Elements whose text nobody sees or reads; what is struck is withdrawn.
const HIDDEN: [&str; 18] = [
    "title", "script", "style", "svg", "template", "noscript", "iframe", "head", "select", "math",
    "object", "audio", "video", "canvas", "datalist", "s", "del", "strike",
];
/// Elements without an end.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];
/// Elements whose end tag may be left out: they end where the next of them begins, or what is around them ends.
const OPEN_ENDED: [&str; 9] = ["p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead"];
/// What is around them; inside such an element there are others.
const AROUND: [&str; 4] = ["ul", "ol", "dl", "table"];
/// Elements that are words in a line; all others begin and end one.
const INLINE: [&str; 34] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "button", "cite", "code", "data", "del",
    "dfn", "em", "font", "i", "img", "ins", "kbd", "label", "mark", "q", "s", "samp", "small",
    "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var",
];

/// Elements that are never part of a page's head or of a drawing.
const BODY: [&str; 16] = [
    "body", "p", "div", "main", "header", "section", "article", "h1", "h2", "h3", "h4", "h5", "h6",
    "ul", "ol", "table",
];

/// The passages of a page, by its headings.
pub fn html(name: &str, text: &str) -> Vec<Chunk> {
    read_into(Sections::new(name), text).finish()
}

/// The words of a piece of a page, with what was read before it.
pub(crate) fn read_into(sections: Sections, text: &str) -> Sections {
    let mut page = Page::new(sections);
    let mut tokens = Tokenizer::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(Ok(token)) = tokens.next() {
        let tag = match token {
            Token::StartTag(tag) => Tag::begin(tag),
            Token::EndTag(tag) => Tag::end(&tag.name),
            Token::String(text) => {
                page.text(&read(&text).replace('\0', ""));
                continue;
            }
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => continue,
        };
        if let Some(state) = page.tag(&tag) {
            tokens.set_state(state);
        }
    }
    page.sections
}

fn read(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `<name attribute="value">`, `<name/>` or `</name>`.
struct Tag {
    name: String,
    opens: bool,
    self_closing: bool,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn begin(tag: StartTag<()>) -> Self {
        let attributes = tag.attributes.into_iter();
        Self {
            name: read(&tag.name),
            opens: true,
            self_closing: tag.self_closing,
            attributes: attributes
                .map(|(name, value)| (read(&name), read(&value)))
                .collect(),
        }
    }

    fn end(name: &[u8]) -> Self {
        Self {
            name: read(name),
            opens: false,
            self_closing: false,
            attributes: Vec::new(),
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(attribute, _)| attribute == name);
        found.map(|(_, value)| value.as_str())
    }
}

struct Page {
    sections: Sections,
    /// The hidden element that we are in.
    hidden: Option<Hidden>,
    in_cell: bool,
}

struct Hidden {
    name: String,
    /// How many of its kind are inside one another.
    depth: usize,
    /// Lists and tables inside it.
    around: usize,
}

impl Page {
    fn new(sections: Sections) -> Self {
        Self {
            sections,
            hidden: None,
            in_cell: false,
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_none() {
            self.sections.words(text);
        }
    }

    /// How what follows the tag is to be read, if otherwise than before.
    fn tag(&mut self, tag: &Tag) -> Option<State> {
        let name = tag.name.as_str();
        let opens = tag.opens;
        if self.hide(tag) {
            // XHTML closes at once what has no words
            let opens = opens && !tag.self_closing;
            return match name {
                "script" if opens => Some(State::ScriptData),
                "style" | "iframe" if opens => Some(State::RawText),
                "title" if opens => Some(State::RcData),
                _ => None,
            };
        }
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = name
                    .chars()
                    .nth(1)
                    .and_then(|digit| digit.to_digit(10))
                    .unwrap_or(1);
                if opens {
                    self.sections.begin_heading(level as usize);
                } else {
                    self.sections.end_heading();
                }
            }
            "td" | "th" => {
                // its end tag may be left out
                if std::mem::replace(&mut self.in_cell, opens) {
                    self.sections.cell();
                }
            }
            "img" if opens => self.text(tag.attribute("alt").unwrap_or_default()),
            "textarea" if opens => return Some(State::RcData),
            "textarea" => {}
            name if INLINE.contains(&name) => {}
            name => {
                self.in_cell &= name != "tr";
                self.sections.line();
            }
        }
        None
    }

    /// Is the tag part of something hidden?
    fn hide(&mut self, tag: &Tag) -> bool {
        let name = tag.name.as_str();
        let opens = tag.opens;
        if self
            .hidden
            .as_ref()
            .is_some_and(|hidden| hidden.is_ended(name, opens))
        {
            self.hidden = None;
        }
        let Some(hidden) = &mut self.hidden else {
            if opens && !tag.self_closing && is_hidden(tag) {
                if VOID.contains(&name) {
                    return true;
                }
                self.hidden = Some(Hidden {
                    name: name.to_owned(),
                    depth: 1,
                    around: 0,
                });
            }
            return self.hidden.is_some();
        };
        // inside it these are raw text all the same
        if opens && hidden.name != name && matches!(name, "script" | "style" | "title") {
            return true;
        }
        let count = |count: usize| match opens {
            true => count.saturating_add(usize::from(!tag.self_closing)),
            false => count.saturating_sub(1),
        };
        if AROUND.contains(&name) {
            hidden.around = count(hidden.around);
        }
        if name == hidden.name {
            hidden.depth = count(hidden.depth);
            if hidden.depth == 0 {
                self.hidden = None;
            }
        }
        true
    }
}

impl Hidden {
    /// Does this tag end what has no end of its own, as in a browser? (Then the tag is part of the page.)
    fn is_ended(&self, name: &str, opens: bool) -> bool {
        let is_body = BODY.contains(&name);
        match self.name.as_str() {
            "head" | "svg" | "math" | "s" | "del" | "strike" => opens && is_body,
            // its own end tag is counted
            "p" => is_body && (opens || name != "p"),
            kind if OPEN_ENDED.contains(&kind) && self.around == 0 => {
                opens && name == kind || !opens && AROUND.contains(&name)
            }
            _ => false,
        }
    }
}

/// Does a browser show nothing of it?
fn is_hidden(tag: &Tag) -> bool {
    let value = |name: &str| tag.attribute(name).map(str::to_lowercase);
    let style: String = value("style")
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    HIDDEN.contains(&tag.name.as_str())
        || tag.name == "dialog" && value("open").is_none()
        // until it is found: it is there to be found
        || value("hidden").is_some_and(|hidden| hidden != "until-found")
        || value("aria-hidden").is_some_and(|hidden| hidden == "true")
        || style.contains("display:none")
        || style.contains("visibility:hidden")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn passages(text: &str) -> Vec<(String, String)> {
        html("x.html", text)
            .into_iter()
            .map(|chunk| (chunk.source, chunk.text))
            .collect()
    }

    #[test]
    fn marks_that_are_no_text_are_left_out() {
        assert_eq!(
            passages("\u{feff}<p>Te\0a &amp cake</p>"),
            passages("Tea & cake")
        );
    }

    #[test]
    fn what_xhtml_closes_at_once_hides_nothing() {
        let page =
            "<html><head><title/><script src='x'/></head><body><p>Open at nine.</p></body></html>";
        assert_eq!(
            passages(page),
            [("x.html".to_owned(), "Open at nine.".to_owned())]
        );
    }

    #[test]
    fn what_a_browser_does_not_show_is_no_passage() {
        for hidden in [
            "<p hidden>secret</p>",
            "<p hidden>secret",
            "<p style='color: red; Display : NONE'>secret</p>",
            "<div style='visibility:hidden'><div>secret</div>secret</div>",
            "<span aria-hidden=true>secret</span>",
            "<template><p>secret</p></template>",
            "<dialog><p>secret</p></dialog>",
            "<ul><li>Tea<li hidden>secret<ul><li>secret</ul></ul>",
            "<table><tr><td>Tea<td hidden>secret</table>",
            "<img hidden alt=secret><input hidden><br hidden>",
            "<p>Tea <del>secret</del></p><s>secret",
            "<h2 hidden>secret</h2><section hidden><h1>secret</h1><p>secret</p></section>",
        ] {
            let page = format!("<body>{hidden}<p>We open at nine.</p>");
            let found = passages(&page);
            let all: String = found.iter().map(|(_, text)| text.as_str()).collect();
            assert!(all.contains("We open at nine."), "{page}: {found:?}");
            assert!(
                !format!("{found:?}").contains("secret"),
                "{page}: {found:?}"
            );
        }
        for shown in [
            "<p hidden=until-found>Tea</p>",
            "<p aria-hidden=false>Tea</p>",
            "<dialog open>Tea</dialog>",
            "<ul><li hidden>no<li>Tea</ul>",
            "<div><p hidden>no</div>Tea",
            "<ul><li hidden>no</ul>Tea",
        ] {
            assert_eq!(passages(shown), [("x.html".to_owned(), "Tea".to_owned())]);
        }
    }

    #[test]
    fn a_page_is_read_by_its_headings() {
        let page = "<!doctype html><title>x</title><meta charset=utf-8><body><h1>Hours</h1><p>We open at <b>nine</b>.<br>Daily\n  except &amp; Monday.</p>
            <script>if (i<n) document.write('<h1>no</h1>')</script><h2>Prices</h2><table><tr><td>Tea</td><td>3 €</td></tr><tr><td>Cake<td>4 €</table>
            <ul><li>One<li>Two</ul><img alt='The terrace'><svg><path d=''/><text>no</text></svg>";
        assert_eq!(
            passages(page),
            [
                (
                    "x.html › Hours".to_owned(),
                    "We open at nine.\nDaily except & Monday.".to_owned()
                ),
                (
                    "x.html › Hours › Prices".to_owned(),
                    "Tea, 3 €\nCake, 4 €\nOne\nTwo\nThe terrace".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn only_what_is_nested_is_deep_and_depth_harms_nobody() {
        let icons = "<svg viewBox='0 0 1 1'><path d='M0'/><circle r='1'/></svg><br><img src=x><hr>"
            .repeat(300);
        let script = format!("<script>{}</script>", "if (i<n) x<y;".repeat(300));
        let found = passages(&format!(
            "{icons}{script}<p>The salon is open on Monday.</p>"
        ));
        assert_eq!(found.first().unwrap().1, "The salon is open on Monday.");
        let deep = format!("{}<p>Deep.</p>", "<div><b><svg>".repeat(100_000));
        passages(&deep);
        let deep = format!("{}<p>Deep.</p>", "<div><blockquote><b>".repeat(300_000));
        assert_eq!(passages(&deep).first().unwrap().1, "Deep.");
    }
}
