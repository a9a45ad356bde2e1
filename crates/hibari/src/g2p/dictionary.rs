//! A pronouncing dictionary in one piece of memory: 90,000 words in 4 MB instead of 20.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// A word's sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Entry<'a> {
    /// The same for every part of speech.
    One(&'a str),
    /// By part of speech.
    ByTag(ByTag<'a>),
}

/// `tag TAB phonemes LF` for each part of speech; without phonemes the word is spelled out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ByTag<'a>(&'a str);

impl<'a> ByTag<'a> {
    pub(crate) fn get(self, tag: &str) -> Option<&'a str> {
        self.0
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(name, _)| *name == tag)
            .map(|(_, phonemes)| phonemes)
    }
}

/// The dictionary: keys in order, each with its value behind it.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    text: String,
    /// Start of the key, start of the value, end of the value.
    entries: Vec<(u32, u32, u32)>,
}

impl Dictionary {
    fn part(&self, start: u32, end: u32) -> &str {
        self.text
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    fn exact(&self, word: &str) -> Option<Entry<'_>> {
        let found = self
            .entries
            .binary_search_by(|(key, value, _)| self.part(*key, *value).cmp(word))
            .ok()?;
        let (_, start, end) = self.entries.get(found)?;
        let value = self.part(*start, *end);
        Some(if value.contains('\t') {
            Entry::ByTag(ByTag(value))
        } else {
            Entry::One(value)
        })
    }

    /// The entry of `word`; a word without a capital also finds the one with a capital, and the other way round.
    pub(crate) fn get(&self, word: &str) -> Option<Entry<'_>> {
        if let Some(entry) = self.exact(word) {
            return Some(entry);
        }
        if word.chars().count() < 2 {
            return None;
        }
        let lower = word.to_lowercase();
        let capitalized = capitalize(&lower);
        if word == lower {
            (capitalized != word)
                .then(|| self.exact(&capitalized))
                .flatten()
        } else if word == capitalized {
            self.exact(&lower)
        } else {
            None
        }
    }

    pub(crate) fn contains(&self, word: &str) -> bool {
        self.get(word).is_some()
    }

    /// The sound of a word that has only one.
    pub(crate) fn plain(&self, word: &str) -> Option<&str> {
        match self.get(word)? {
            Entry::One(phonemes) => Some(phonemes),
            Entry::ByTag(by_tag) => by_tag.get("DEFAULT"),
        }
    }
}

/// The first letter large.
fn capitalize(lower: &str) -> String {
    let mut chars = lower.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    One(String),
    ByTag(std::collections::BTreeMap<String, Option<String>>),
}

impl<'de> Deserialize<'de> for Dictionary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Dictionary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("words with their phonemes")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Dictionary, M::Error> {
                let mut dictionary = Dictionary::default();
                while let Some((word, value)) = map.next_entry::<String, Value>()? {
                    dictionary.push(&word, &value);
                }
                let Dictionary { text, mut entries } = dictionary;
                let key = |(start, end, _): &(u32, u32, u32)| {
                    text.get(*start as usize..*end as usize).unwrap_or_default()
                };
                entries.sort_by(|a, b| key(a).cmp(key(b)));
                Ok(Dictionary { text, entries })
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Dictionary {
    fn push(&mut self, word: &str, value: &Value) {
        let at = |text: &String| u32::try_from(text.len()).unwrap_or(u32::MAX);
        let key = at(&self.text);
        self.text.push_str(word);
        let start = at(&self.text);
        match value {
            Value::One(phonemes) => self.text.push_str(phonemes),
            Value::ByTag(by_tag) => {
                for (tag, phonemes) in by_tag {
                    self.text.extend([
                        tag.as_str(),
                        "\t",
                        phonemes.as_deref().unwrap_or_default(),
                        "\n",
                    ]);
                }
            }
        }
        self.entries.push((key, start, at(&self.text)));
    }
}
