//! Stress marks in phoneme strings.
//!
//! The alphabet is misaki's (Apache-2.0): one letter a phoneme, capitals for diphthongs (`A` as in *day*, `I` as in *eye*, `O` as
//! in *go*, `W` as in *now*, `Y` as in *boy*), and a stress mark before the vowel that it stresses.

pub(crate) const PRIMARY: char = 'ˈ';
pub(crate) const SECONDARY: char = 'ˌ';

/// How strongly a word is stressed, from 2 (always primary) down to [`Stress::NONE`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Stress(pub(crate) f32);

impl Stress {
    /// All marks are taken away.
    pub(crate) const NONE: Self = Self(-2.0);
    /// A primary stress becomes a secondary one.
    pub(crate) const LESS: Self = Self(-0.5);
    /// A secondary stress at most, and at least one.
    pub(crate) const SECONDARY: Self = Self(0.0);
    /// A word with a capital.
    pub(crate) const CAPITAL: Self = Self(0.5);
    /// A word in capitals.
    pub(crate) const CAPITALS: Self = Self(2.0);
}

pub(crate) fn is_vowel(c: char) -> bool {
    "AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻ".contains(c)
}

pub(crate) fn is_consonant(c: char) -> bool {
    "bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθ".contains(c)
}

/// How much a word weighs when one of several must keep its stress: long vowels and affricates count twice.
pub(crate) fn weight(phonemes: &str) -> usize {
    phonemes
        .chars()
        .map(|c| if "AIOQWYʤʧ".contains(c) { 2 } else { 1 })
        .sum()
}

/// `phonemes` with the stress that is asked for.
pub(crate) fn apply(phonemes: &str, stress: Option<Stress>) -> String {
    let Some(Stress(stress)) = stress else {
        return phonemes.to_owned();
    };
    let has_primary = phonemes.contains(PRIMARY);
    let has_secondary = phonemes.contains(SECONDARY);
    let is_bare = !has_primary && !has_secondary;
    if stress < -1.0 {
        phonemes.replace([PRIMARY, SECONDARY], "")
    } else if stress <= -1.0 || (stress <= 0.0 && has_primary) {
        phonemes.replace(SECONDARY, "").replace(PRIMARY, "ˌ")
    } else if (0.0..=1.0).contains(&stress) && is_bare {
        with_mark(SECONDARY, phonemes)
    } else if stress >= 1.0 && !has_primary && has_secondary {
        phonemes.replace(SECONDARY, "ˈ")
    } else if stress > 1.0 && is_bare {
        with_mark(PRIMARY, phonemes)
    } else {
        phonemes.to_owned()
    }
}

/// `mark` before the first vowel; nothing without one.
fn with_mark(mark: char, phonemes: &str) -> String {
    match phonemes.char_indices().find(|(_, c)| is_vowel(*c)) {
        Some((at, _)) => format!("{}{mark}{}", &phonemes[..at], &phonemes[at..]),
        None => phonemes.to_owned(),
    }
}

/// The last secondary stress becomes the primary one: how letters that are spelled out are stressed.
pub(crate) fn stress_last(phonemes: &str) -> String {
    match phonemes.rsplit_once(SECONDARY) {
        Some((before, after)) => format!("{before}{PRIMARY}{after}"),
        None => phonemes.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stress_mark_stands_before_the_vowel() {
        assert_eq!(apply("stɹit", Some(Stress::CAPITAL)), "stɹˌit");
        assert_eq!(apply("stɹit", Some(Stress::CAPITALS)), "stɹˈit");
        assert_eq!(apply("həlˈO", Some(Stress::NONE)), "həlO");
        assert_eq!(apply("həlˈO", Some(Stress::LESS)), "həlˌO");
        assert_eq!(apply("həlˌO", Some(Stress::CAPITALS)), "həlˈO");
    }
}
