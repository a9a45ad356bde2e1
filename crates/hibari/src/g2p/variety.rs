//! American and British English: which dictionaries, and how endings sound.
//!
//! Source: misaki 0.9.4, `en.py` (hexgrad, Apache-2.0).

/// A variety of English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variety {
    /// American.
    American,
    /// British.
    British,
}

impl Variety {
    /// The dictionary that people have checked, and the one that a machine made.
    pub(crate) fn lexicons(self) -> [&'static str; 2] {
        match self {
            Self::American => ["lexicon_us_gold.json.gz", "lexicon_us_silver.json.gz"],
            Self::British => ["lexicon_gb_gold.json.gz", "lexicon_gb_silver.json.gz"],
        }
    }

    /// The network for words that are in no dictionary, and its letters.
    pub(crate) fn unknown_words(self) -> [&'static str; 2] {
        match self {
            Self::American => ["oov.onnx", "oov.json"],
            Self::British => ["oov_gb.onnx", "oov_gb.json"],
        }
    }

    /// The vowel of an ending that is a syllable.
    fn weak_vowel(self) -> &'static str {
        match self {
            Self::American => "ᵻ",
            Self::British => "ɪ",
        }
    }

    /// An American *t* between vowels is flapped.
    fn is_flapped(self, stem: &str) -> bool {
        let mut back = stem.chars().rev();
        self == Self::American
            && back.next() == Some('t')
            && back
                .next()
                .is_some_and(|before| "AIOWYiuæɑəɛɪɹʊʌ".contains(before))
    }

    /// `stem` with the ending *-s*.
    pub(crate) fn with_s(self, stem: &str) -> Option<String> {
        let vowel = self.weak_vowel();
        Some(match last(stem)? {
            'p' | 't' | 'k' | 'f' | 'θ' => format!("{stem}s"),
            's' | 'z' | 'ʃ' | 'ʒ' | 'ʧ' | 'ʤ' => format!("{stem}{vowel}z"),
            _ => format!("{stem}z"),
        })
    }

    /// `stem` with the ending *-ed*.
    pub(crate) fn with_ed(self, stem: &str) -> Option<String> {
        let vowel = self.weak_vowel();
        Some(match last(stem)? {
            'p' | 'k' | 'f' | 'θ' | 'ʃ' | 's' | 'ʧ' => format!("{stem}t"),
            'd' => format!("{stem}{vowel}d"),
            't' if stem.chars().count() < 2 => format!("{stem}ɪd"),
            't' if self.is_flapped(stem) => {
                format!("{}ɾᵻd", stem.strip_suffix('t').unwrap_or(stem))
            }
            't' => format!("{stem}{vowel}d"),
            _ => format!("{stem}d"),
        })
    }

    /// `stem` with the ending *-ing*.
    pub(crate) fn with_ing(self, stem: &str) -> Option<String> {
        let last = last(stem)?;
        if self == Self::British && matches!(last, 'ə' | 'ː') {
            // an *r* would come back, as in "hearing"
            return None;
        }
        Some(match stem.strip_suffix('t') {
            Some(before) if self.is_flapped(stem) => format!("{before}ɾɪŋ"),
            _ => format!("{stem}ɪŋ"),
        })
    }
}

fn last(phonemes: &str) -> Option<char> {
    phonemes.chars().next_back()
}

#[cfg(test)]
mod tests {
    use super::Variety::{American, British};

    #[test]
    fn endings_follow_the_sound_before_them() {
        assert_eq!(American.with_s("kˈæt").as_deref(), Some("kˈæts"));
        assert_eq!(American.with_s("hˈɔɹs").as_deref(), Some("hˈɔɹsᵻz"));
        assert_eq!(American.with_ed("wˈAt").as_deref(), Some("wˈAɾᵻd"));
        assert_eq!(American.with_ing("wˈAt").as_deref(), Some("wˈAɾɪŋ"));
        assert_eq!(American.with_ed("wˈɔk").as_deref(), Some("wˈɔkt"));
        assert_eq!(British.with_s("hˈɔːs").as_deref(), Some("hˈɔːsɪz"));
        assert_eq!(British.with_ed("wˈAt").as_deref(), Some("wˈAtɪd"));
        assert_eq!(British.with_ing("hˈɪə"), None);
    }
}
