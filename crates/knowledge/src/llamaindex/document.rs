//! A document, and the nodes that it is cut into.

use serde_json::{Map, Value};

use super::node::sha256;
use super::python;
use crate::split::{Piece, SplitError, Splitter};

/// A document, before it is cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Its id: it is known by it when it comes again.
    pub id: String,
    /// Its text.
    pub text: String,
    /// What is known of it; every node of it gets them.
    pub metadata: Map<String, Value>,
}

impl Document {
    /// LlamaIndex's hash of a document, from 0.12.10 on: by it a changed one is recognised.
    pub fn hash(&self) -> String {
        let metadata = metadata_str(&self.metadata, &[]);
        let text = if self.text.is_empty() {
            "<empty_string>"
        } else {
            &self.text
        };
        let text = sha256(text);
        if metadata.is_empty() {
            sha256(&text)
        } else {
            sha256(&format!("{metadata}-{text}"))
        }
    }

    /// Its nodes.
    pub(super) fn cut(&self, splitter: &Splitter) -> Result<Vec<Cut>, SplitError> {
        let pieces = splitter.split(&self.text, &metadata_str(&self.metadata, &[]))?;
        let mut from = 0;
        let mut cuts: Vec<Cut> = Vec::new();
        for piece in pieces {
            let Piece {
                text,
                metadata: own,
                hidden,
            } = piece;
            let at = self
                .text
                .get(from..)
                .and_then(|rest| rest.find(&text))
                .map(|at| from + at);
            let characters = |bytes: usize| {
                self.text
                    .get(..bytes)
                    .map_or(0, |before| before.chars().count())
            };
            let span = at.map(|at| {
                let start = characters(at);
                (start, start + text.chars().count())
            });
            if let Some(at) = at {
                // the next is looked for one character behind the beginning of this one
                let first = self.text.get(at..).and_then(|rest| rest.chars().next());
                from = at + first.map_or(0, char::len_utf8);
            }
            let mut metadata = self.metadata.clone();
            metadata.extend(own.clone());
            cuts.push(Cut {
                id: node_id(&self.id, cuts.len(), &text),
                text,
                span,
                own,
                metadata,
                hidden,
            });
        }
        Ok(cuts)
    }
}

/// A node of a document.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) id: String,
    pub(super) text: String,
    /// In characters.
    pub(super) span: Option<(usize, usize)>,
    /// What is known of it alone.
    pub(super) own: Map<String, Value>,
    /// The document's, and its own.
    pub(super) metadata: Map<String, Value>,
    /// Keys that are neither embedded nor shown to a model.
    pub(super) hidden: &'static [&'static str],
}

impl Cut {
    /// What is embedded.
    pub(super) fn embedded(&self) -> String {
        let above = metadata_str(&self.metadata, self.hidden);
        if above.is_empty() {
            self.text.clone()
        } else {
            format!("{above}\n\n{}", self.text)
        }
    }
}

fn metadata_str(metadata: &Map<String, Value>, hidden: &[&str]) -> String {
    let lines: Vec<String> = metadata
        .iter()
        .filter(|(key, _)| !hidden.contains(&key.as_str()))
        .map(|(key, value)| format!("{key}: {}", python::str(value)))
        .collect();
    lines.join("\n")
}

/// A UUID that is always the same for the same piece of a document: some vector databases take nothing else.
fn node_id(document: &str, number: usize, text: &str) -> String {
    let hash = sha256(&format!("{document}\u{0}{number}\u{0}{text}"));
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default().to_owned();
    // version 8: made in a way of one's own (RFC 9562)
    format!(
        "{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}
