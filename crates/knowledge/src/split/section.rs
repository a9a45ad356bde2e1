//! LlamaIndex's `MarkdownNodeParser` and `SentenceWindowNodeParser`.

use serde_json::Map;

use super::Piece;
use super::punkt::{self, Nltk, is_blank};

/// LlamaIndex's default: sentences on each side.
pub const WINDOW_SIZE: usize = 3;
/// LlamaIndex's names of what a sentence carries.
const WINDOW: &str = "window";
const ORIGINAL: &str = "original_text";

/// A piece for each heading of a Markdown text; `header_path` names those above it.
pub fn markdown(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut section = String::new();
    let mut above: Vec<(usize, &str)> = Vec::new();
    let mut in_code = false;
    for line in text.split('\n') {
        let is_fence = line.trim_start_matches(is_blank).starts_with("```");
        in_code ^= is_fence;
        match heading(line).filter(|_| !in_code && !is_fence) {
            Some((level, title)) => {
                push(&mut pieces, &section, &above);
                while above.last().is_some_and(|(over, _)| *over >= level) {
                    above.pop();
                }
                above.push((level, title));
                section = format!("{} {title}\n", "#".repeat(level));
            }
            None => {
                section.push_str(line);
                section.push('\n');
            }
        }
    }
    push(&mut pieces, &section, &above);
    pieces
}

/// The level and the words of a heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let words = line.trim_start_matches('#');
    let level = line.len() - words.len();
    let first = words.chars().next().filter(|c| is_blank(*c))?;
    (level > 0).then(|| (level, words.get(first.len_utf8()..).unwrap_or_default()))
}

fn push(pieces: &mut Vec<Piece>, section: &str, above: &[(usize, &str)]) {
    let text = section.trim_matches(is_blank);
    if text.is_empty() {
        return;
    }
    let mut path = String::from("/");
    if let Some((_, above)) = above.split_last() {
        let titles: Vec<&str> = above.iter().map(|(_, title)| *title).collect();
        let titles = titles.join("/");
        if !titles.is_empty() {
            path = format!("/{titles}/");
        }
    }
    let mut metadata = Map::new();
    metadata.insert("header_path".into(), path.into());
    pieces.push(Piece {
        text: text.to_owned(),
        metadata,
        hidden: &[],
    });
}

/// A piece for each sentence, with `size` sentences on each side.
pub fn windows(text: &str, size: usize) -> Vec<Piece> {
    let sentences = punkt::sentences(text, Nltk::default());
    let piece = |(at, sentence): (usize, &&str)| {
        let end = at
            .saturating_add(size)
            .saturating_add(1)
            .min(sentences.len());
        let around = sentences
            .get(at.saturating_sub(size)..end)
            .unwrap_or_default();
        let mut metadata = Map::new();
        metadata.insert(WINDOW.into(), around.join(" ").into());
        metadata.insert(ORIGINAL.into(), (*sentence).into());
        Piece {
            text: (*sentence).to_owned(),
            metadata,
            hidden: &[WINDOW, ORIGINAL],
        }
    };
    sentences.iter().enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_piece_stands_below_its_heading_and_code_has_none() {
        let text = "Before.\n# House\n\n### Dogs\nWelcome.\n```sh\n# no heading\n```\n## Parking\nFree.\n#none\n";
        let pieces: Vec<(String, String)> = markdown(text)
            .into_iter()
            .map(|piece| {
                let path = piece.metadata.get("header_path").unwrap();
                (path.as_str().unwrap().to_owned(), piece.text)
            })
            .collect();
        let piece = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        assert_eq!(
            pieces,
            [
                piece("/", "Before."),
                piece("/", "# House"),
                piece("/House/", "### Dogs\nWelcome.\n```sh\n# no heading\n```"),
                piece("/House/", "## Parking\nFree.\n#none"),
            ]
        );
    }

    #[test]
    fn a_sentence_carries_those_around_it() {
        let pieces = windows("One. Two. Three. Four.", 1);
        let said: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(said, ["One. ", "Two. ", "Three. ", "Four."]);
        let third = pieces.get(2).unwrap();
        assert_eq!(third.metadata.get("window").unwrap(), "Two.  Three.  Four.");
        assert_eq!(third.hidden, ["window", "original_text"]);
        // however far a window reaches
        assert_eq!(windows("One. Two.", usize::MAX).len(), 2);
    }
}
