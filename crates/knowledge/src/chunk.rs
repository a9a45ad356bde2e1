//! Documents cut into pieces that can be read out: by headings, then at sentence ends into about 150 words.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// Words after which a chunk ends at the next sentence.
pub const CHUNK_WORDS: usize = 150;
/// A sentence longer than this is cut.
pub const MAX_SENTENCE_WORDS: usize = 200;
/// Headings kept in a source.
const MAX_HEADING_DEPTH: usize = 6;

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its words.
    pub text: String,
    /// File and headings: `menu.md › Desserts`.
    pub source: String,
}

/// Markdown, split by headings.
pub fn markdown(name: &str, text: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut body = String::new();
    let mut heading: Option<(usize, String)> = None;
    for event in Parser::new_ext(text, pulldown_cmark::Options::ENABLE_TABLES) {
        let target = heading.as_mut().map_or(&mut body, |(_, title)| title);
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                sections(&mut chunks, name, &path, &std::mem::take(&mut body));
                heading = Some((level as usize, String::new()));
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((level, title)) = heading.take() {
                    path.retain(|(above, _)| *above < level);
                    if path.len() < MAX_HEADING_DEPTH {
                        path.push((level, title.trim().to_owned()));
                    }
                }
            }
            Event::Text(text) | Event::Code(text) => target.push_str(&text),
            Event::SoftBreak | Event::HardBreak => target.push(' '),
            Event::End(TagEnd::TableCell) => target.push_str(", "),
            Event::End(
                TagEnd::Paragraph
                | TagEnd::Item
                | TagEnd::TableRow
                | TagEnd::TableHead
                | TagEnd::CodeBlock,
            ) => {
                target.push('\n');
            }
            // raw HTML and comments are not for the caller's ear; the rest is structure
            _ => {}
        }
    }
    sections(&mut chunks, name, &path, &body);
    chunks
}

/// Plain text.
pub fn plain(name: &str, text: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    sections(&mut chunks, name, &[], text);
    chunks
}

fn sections(chunks: &mut Vec<Chunk>, name: &str, path: &[(usize, String)], body: &str) {
    let mut source = name.to_owned();
    for (_, title) in path.iter().filter(|(_, title)| !title.is_empty()) {
        source.push_str(" › ");
        source.push_str(title);
    }
    let mut text = String::new();
    let mut words = 0;
    let mut last = String::new();
    let ended = body.lines().flat_map(|line| {
        let sentences = sentences(line);
        let last = sentences.len().saturating_sub(1);
        // a line stays a line: the things of a list are told apart by it
        sentences
            .into_iter()
            .enumerate()
            .map(move |(at, sentence)| (sentence, if at == last { '\n' } else { ' ' }))
    });
    let mut gap = ' ';
    for (sentence, end) in ended {
        let count = sentence.split_whitespace().count();
        if words > 0 && words + count > CHUNK_WORDS {
            chunks.push(Chunk {
                text: std::mem::take(&mut text),
                source: source.clone(),
            });
            // the sentence before is said again, so that "it" keeps its meaning
            text.push_str(&last);
            words = last.split_whitespace().count();
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
        chunks.push(Chunk { text, source });
    }
}

/// Sentences and lines, none longer than [`MAX_SENTENCE_WORDS`].
pub fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for line in text.lines() {
        let mut sentence: Vec<&str> = Vec::new();
        let mut words = line.split_whitespace().peekable();
        while let Some(word) = words.next() {
            sentence.push(word);
            let capital = words
                .peek()
                .is_none_or(|next| next.starts_with(|c: char| !c.is_lowercase()));
            if (word.ends_with(['.', '!', '?']) && capital) || sentence.len() >= MAX_SENTENCE_WORDS
            {
                sentences.push(sentence.join(" "));
                sentence.clear();
            }
        }
        if !sentence.is_empty() {
            sentences.push(sentence.join(" "));
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
