//! Documents cut into pieces that can be read out: by headings, then at sentence ends into about 150 words.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};
use unicode_segmentation::UnicodeSegmentation;

use crate::files::{Block, Part};
use crate::html;
use crate::language::count_words;

/// Words after which a chunk ends at the next sentence.
pub const CHUNK_WORDS: usize = 150;
/// A sentence longer than this is cut.
pub const MAX_SENTENCE_WORDS: usize = 200;
/// The same for what has no words.
const MAX_SENTENCE_BYTES: usize = 4_000;
/// Headings kept in a source.
const MAX_HEADING_DEPTH: usize = 6;

/// A piece of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// Its words.
    pub text: String,
    /// File and headings: `menu.md › Desserts`.
    pub source: String,
    /// The page, slide or sheet of the file, where it has such.
    pub page: Option<String>,
    /// The id that it has where it was indexed.
    pub id: Option<String>,
    /// What filters are judged against.
    pub metadata: Map<String, Value>,
}

/// Markdown, split by headings.
pub fn markdown(name: &str, text: &str) -> Vec<Chunk> {
    let mut sections = Sections::new(name);
    let options = Options::ENABLE_TABLES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut in_metadata = false;
    let mut block = String::new();
    for event in Parser::new_ext(text, options) {
        match event {
            // what a page generator reads
            Event::Start(Tag::MetadataBlock(_)) => in_metadata = true,
            Event::End(TagEnd::MetadataBlock(_)) => in_metadata = false,
            _ if in_metadata => {}
            Event::Start(Tag::Heading { level, .. }) => sections.begin_heading(level as usize),
            Event::End(TagEnd::Heading(_)) => sections.end_heading(),
            Event::Text(text) | Event::Code(text) => sections.verbatim(&text),
            Event::SoftBreak | Event::HardBreak => sections.verbatim(" "),
            Event::End(TagEnd::TableCell) => sections.cell(),
            Event::End(
                TagEnd::Paragraph
                | TagEnd::Item
                | TagEnd::TableRow
                | TagEnd::TableHead
                | TagEnd::CodeBlock,
            ) => sections.line(),
            // a block of HTML is read as a page is; tags inside a line are not read, and the rest is structure
            Event::Html(text) => block.push_str(&text),
            Event::End(TagEnd::HtmlBlock) => {
                sections = html::read_into(sections, &std::mem::take(&mut block));
                sections.line();
            }
            Event::InlineHtml(tag) if is_break(&tag) => sections.verbatim(" "),
            _ => {}
        }
    }
    sections.finish()
}

/// `<br>`, however it is written.
fn is_break(tag: &str) -> bool {
    tag.get(..3)
        .is_some_and(|name| name.eq_ignore_ascii_case("<br"))
}

/// Plain text.
pub fn plain(name: &str, text: &str) -> Vec<Chunk> {
    let mut sections = Sections::new(name);
    sections.verbatim(text);
    sections.finish()
}

/// A document that is no text: its pages, slides or sheets.
pub fn parts(name: &str, parts: &[Part]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for part in parts {
        let mut sections = Sections::new(name);
        for block in &part.blocks {
            match block {
                Block::Heading(level, text) => {
                    sections.begin_heading(usize::from(*level));
                    sections.verbatim(text);
                    sections.end_heading();
                }
                Block::Line(text) => {
                    sections.verbatim(text);
                    sections.line();
                }
                Block::Row(text) => sections.row(text),
                Block::Picture => {}
            }
        }
        let page = |chunk: Chunk| Chunk {
            page: part.page.clone(),
            ..chunk
        };
        chunks.extend(sections.finish().into_iter().map(page));
    }
    chunks
}

/// A document as it is read: headings and what stands below them.
pub(crate) struct Sections {
    name: String,
    chunks: Vec<Chunk>,
    path: Vec<(usize, String)>,
    body: String,
    /// Where in the body rows of tables begin: a row is not cut.
    rows: FxHashSet<usize>,
    heading: Option<(usize, String)>,
}

impl Sections {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            chunks: Vec::new(),
            path: Vec::new(),
            body: String::new(),
            rows: FxHashSet::default(),
            heading: None,
        }
    }

    pub(crate) fn begin_heading(&mut self, level: usize) {
        self.end_heading();
        self.end_section();
        self.heading = Some((level, String::new()));
    }

    pub(crate) fn end_heading(&mut self) {
        if let Some((level, title)) = self.heading.take() {
            self.path.retain(|(above, _)| *above < level);
            if self.path.len() < MAX_HEADING_DEPTH {
                self.path.push((level, title.trim().to_owned()));
            }
        }
    }

    fn target(&mut self) -> &mut String {
        self.heading
            .as_mut()
            .map_or(&mut self.body, |(_, title)| title)
    }

    /// Text as it stands.
    pub(crate) fn verbatim(&mut self, text: &str) {
        self.target().push_str(text);
    }

    /// Text in which white space only parts words.
    pub(crate) fn words(&mut self, text: &str) {
        let target = self.target();
        for c in text.chars() {
            if !c.is_whitespace() {
                target.push(c);
            } else if !target.ends_with([' ', '\n']) && !target.is_empty() {
                target.push(' ');
            }
        }
    }

    /// A cell of a table is over.
    pub(crate) fn cell(&mut self) {
        self.target().push_str(", ");
    }

    /// A line is over.
    pub(crate) fn line(&mut self) {
        if self.heading.is_some() {
            return self.verbatim(" ");
        }
        let end = self.body.trim_end_matches([' ', ',']).len();
        self.body.truncate(end);
        if !self.body.ends_with('\n') && !self.body.is_empty() {
            self.body.push('\n');
        }
    }

    /// A row of a table.
    pub(crate) fn row(&mut self, text: &str) {
        self.line();
        self.rows.insert(self.body.len());
        self.verbatim(text);
        self.verbatim("\n");
    }

    pub(crate) fn finish(mut self) -> Vec<Chunk> {
        self.end_heading();
        self.end_section();
        self.chunks
    }

    /// Cut what stands below the present headings into passages.
    fn end_section(&mut self) {
        let body = std::mem::take(&mut self.body);
        let rows = std::mem::take(&mut self.rows);
        let mut source = self.name.clone();
        for (_, title) in self.path.iter().filter(|(_, title)| !title.is_empty()) {
            source.push_str(" › ");
            source.push_str(title);
        }
        let mut text = String::new();
        let mut words = 0;
        let mut last = String::new();
        let mut next = 0;
        let ended = body.split('\n').flat_map(|line| {
            let start = next;
            next += line.len() + 1;
            let is_whole = rows.contains(&start) && count_words(line) <= MAX_SENTENCE_WORDS;
            let sentences = if is_whole {
                vec![line.to_owned()]
            } else {
                sentences(line)
            };
            let last = sentences.len().saturating_sub(1);
            // a line stays a line: the things of a list are told apart by it
            sentences
                .into_iter()
                .enumerate()
                .map(move |(at, sentence)| (sentence, if at == last { '\n' } else { ' ' }))
        });
        let mut gap = ' ';
        for (sentence, end) in ended {
            let count = count_words(&sentence);
            if words > 0 && words + count > CHUNK_WORDS {
                self.chunks.push(Chunk {
                    text: std::mem::take(&mut text),
                    source: source.clone(),
                    ..Chunk::default()
                });
                // the sentence before is said again, so that "it" keeps its meaning
                text.push_str(&last);
                words = count_words(&last);
            }
            if !text.is_empty() {
                text.push(gap);
            }
            gap = end;
            text.push_str(&sentence);
            words += count;
            last = if count <= 30 { sentence } else { String::new() };
        }
        if !text.is_empty() {
            self.chunks.push(Chunk {
                text,
                source,
                ..Chunk::default()
            });
        }
    }
}

/// Sentences and lines, none longer than [`MAX_SENTENCE_WORDS`].
pub fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for sentence in text
        .lines()
        .flat_map(UnicodeSegmentation::split_sentence_bounds)
    {
        let mut part = String::new();
        let mut words = 0;
        for word in sentence.split_word_bounds() {
            if word.chars().all(char::is_whitespace) {
                if !part.is_empty() && !part.ends_with(' ') {
                    part.push(' ');
                }
                continue;
            }
            words += count_words(word);
            part.push_str(word);
            if words >= MAX_SENTENCE_WORDS || part.len() >= MAX_SENTENCE_BYTES {
                words = 0;
                sentences.push(std::mem::take(&mut part).trim().to_owned());
            }
        }
        if !part.trim().is_empty() {
            sentences.push(part.trim().to_owned());
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_passage_names_file_and_headings() {
        let chunks = markdown(
            "menu.md",
            "# Menu\nAll day.\n## Desserts\n- Cake, 5 €.\n- Ice <b>cream</b>.\n# Wine\nRed.",
        );
        let sources: Vec<_> = chunks
            .iter()
            .map(|chunk| (chunk.source.as_str(), chunk.text.as_str()))
            .collect();
        assert_eq!(
            sources,
            [
                ("menu.md › Menu", "All day."),
                ("menu.md › Menu › Desserts", "Cake, 5 €.\nIce cream."),
                ("menu.md › Wine", "Red."),
            ]
        );
    }

    #[test]
    fn words_in_html_inside_markdown_are_not_lost() {
        let page = "# Hours\n<p align=\"center\">We open at <b>nine</b>.</p>\n\n<details>\n<summary>And on Sunday?</summary>\n\nFrom *ten*<br>to \
            five.\n\n</details>\n\n<!-- secret -->\n<div hidden>secret</div>\n<script>secret()</script>\n\n<h1>Parking</h1>\n\nBehind the house.";
        let found: Vec<_> = markdown("a.md", page)
            .into_iter()
            .map(|chunk| (chunk.source, chunk.text))
            .collect();
        let passage = |source: &str, text: &str| (source.to_owned(), text.to_owned());
        assert_eq!(
            found,
            [
                passage(
                    "a.md › Hours",
                    "We open at nine.\nAnd on Sunday?\nFrom ten to five."
                ),
                passage("a.md › Parking", "Behind the house."),
            ]
        );
    }

    #[test]
    fn what_stands_before_a_page_for_its_generator_is_no_passage() {
        let chunks = markdown("a.md", "---\ntitle: Menu\nlayout: page\n---\n# Soup\nLeek.");
        let texts: Vec<_> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        assert_eq!(texts, ["Leek."]);
    }

    #[test]
    fn long_texts_become_chunks_of_whole_sentences() {
        let text = "We open at noon on every single day of the week. ".repeat(60);
        let chunks = plain("hours.txt", &text);
        assert!(chunks.len() > 3);
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk.text.split(' ').count() <= 200 && chunk.text.ends_with('.'))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_panic(text in "[#*`<>\\[\\]()|\\-a-z.\n \u{e9}]{0,400}") {
            markdown("x.md", &text);
            plain("x.txt", &text);
        }
    }
}
