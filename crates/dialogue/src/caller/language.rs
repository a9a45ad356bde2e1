//! Which language the caller speaks, and who speaks, as the recogniser says.

use super::{Caller, Now};
use crate::limits::cut;
use crate::options::Options;
use antiphon_text::Tongue;

/// A language is believed when it was heard in more than a syllable.
const SURE_LANGUAGE_CHARS: usize = 5;
/// Names of languages that recognisers use for "find out": that is to know none.
const NO_LANGUAGE: [&str; 4] = ["", "auto", "multi", "und"];
/// The longest name of a language or a speaker that is kept, in bytes; BCP 47 needs 35.
const MAX_NAME_BYTES: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Language {
    /// Heard in words.
    heard: Option<String>,
    /// Named by the recogniser for words that have not come yet.
    rumour: Option<String>,
    /// Who says words that have not come yet.
    speaker: Option<String>,
}

fn is_language(name: &str) -> bool {
    !NO_LANGUAGE
        .iter()
        .any(|none| name.trim().eq_ignore_ascii_case(none))
}

impl Language {
    /// The recogniser says which language the next words are in.
    pub(super) fn note_language(&mut self, language: String) {
        let language = cut(language, MAX_NAME_BYTES);
        if is_language(&language) {
            self.rumour = Some(language);
        }
    }

    /// The recogniser says who says the next words.
    pub(super) fn note_speaker(&mut self, speaker: String) {
        let speaker = cut(speaker, MAX_NAME_BYTES);
        self.speaker = Some(speaker).filter(|name| !name.is_empty());
    }

    /// Words came: is the language that was named for them to be believed?
    pub(super) fn said(&mut self, words: &str) {
        let long = words.chars().nth(SURE_LANGUAGE_CHARS).is_some();
        if let Some(language) = self.rumour.take()
            && (long || self.heard.is_none())
        {
            self.heard = Some(language);
        }
    }
}

impl Caller {
    /// Words came: what the recogniser said about them before belongs to the turn.
    pub(super) fn attribute_words(&mut self) {
        if let Some(language) = &self.language.rumour {
            self.turn.language = Some(language.clone());
        } else if self.turn.language.is_none() {
            self.turn.language.clone_from(&self.language.heard);
        }
        if let Some(speaker) = self.language.speaker.take() {
            self.turn.speaker_id = Some(speaker);
        }
    }

    /// The language of the present turn's words, as far as known.
    pub(crate) fn spoken_language(&self, now: Now) -> Option<String> {
        let of_turn = self.turn.language.clone();
        of_turn.or_else(|| self.last_language(now))
    }

    /// The language last heard, else the one that was given.
    pub(super) fn last_language(&self, now: Now) -> Option<String> {
        self.known(now.options).map(str::to_owned)
    }

    /// The language in which addresses are read out.
    pub(crate) fn tongue(&self, options: &Options) -> Tongue {
        Tongue::of(self.known(options))
    }

    fn known<'a>(&'a self, options: &'a Options) -> Option<&'a str> {
        let given = options.language.as_deref();
        let given = given.filter(|name| is_language(name)); // `multi` is none
        self.language.heard.as_deref().or(given)
    }
}
