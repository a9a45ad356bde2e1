//! The words of a few sentences beside those of a question, for whoever chooses among sentences of found passages: compared as
//! a search compares them, with stems and other words for the same.

use crate::bm25::Counter;
use crate::words::{Terms, Words};

/// How words are compared in texts of one language.
pub struct Wording(Words);

/// Something that a question asks about.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its word as it is compared, then other words for it, with what each counts (0 to 1).
    pub words: Vec<(String, f32)>,
    /// It says what the question is about; numbers and the like only tell good answers from better ones.
    pub is_topic: bool,
}

impl Wording {
    /// For texts such as these.
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self(Words::of(texts.map(|text| ("", text))).0)
    }

    /// The terms of a text.
    pub fn terms(&self, text: &str) -> Vec<String> {
        let (mut counter, mut ids) = (Counter::default(), Vec::new());
        let language = self.0.language(text);
        Terms::default().of(text, language, &mut counter, &mut ids);
        let names = counter.names();
        let name = |id: &usize| names.get(*id).map(|name| (*name).to_owned());
        ids.iter().filter_map(name).collect()
    }

    /// What a question is about.
    pub fn topics(&self, question: &str) -> Vec<Topic> {
        let asked = self.0.question(question).asked.into_iter();
        asked
            .map(|asked| Topic {
                words: asked.words,
                is_topic: asked.is_topic,
            })
            .collect()
    }
}
