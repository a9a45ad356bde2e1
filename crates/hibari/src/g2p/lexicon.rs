//! Words to phonemes: two dictionaries, and the rules for what stands between them and a text.
//!
//! Source: misaki 0.9.4, `en.py` (hexgrad, Apache-2.0), whose readings the voice was trained on.

use unicode_normalization::UnicodeNormalization;

use crate::HibariError;
use crate::assets::Assets;

use super::amounts::currency_names;
use super::dictionary::{Dictionary, Entry};
use super::stress::{PRIMARY, Stress, apply, is_vowel, stress_last};
use super::token::Token;
use super::variety::Variety;

/// What follows a word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context {
    /// The next sound is a vowel; `None` at the end and before punctuation.
    pub(crate) vowel_follows: Option<bool>,
    /// The next word is *to*.
    pub(crate) to_follows: bool,
}

/// Both dictionaries. Shared by all callers.
#[derive(Debug)]
pub(crate) struct Lexicon {
    /// Checked by people.
    gold: Dictionary,
    /// Made by machine.
    silver: Dictionary,
    pub(crate) variety: Variety,
}

fn symbol_name(word: &str) -> Option<&'static str> {
    match word {
        "%" => Some("percent"),
        "&" => Some("and"),
        "+" => Some("plus"),
        "@" => Some("at"),
        _ => None,
    }
}

/// The kind of word that a part of speech belongs to.
fn parent_tag(tag: &str) -> &str {
    match tag {
        _ if tag.starts_with("VB") => "VERB",
        _ if tag.starts_with("NN") => "NOUN",
        _ if tag.starts_with("ADV") || tag.starts_with("RB") => "ADV",
        _ if tag.starts_with("ADJ") || tag.starts_with("JJ") => "ADJ",
        _ => tag,
    }
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_alphabetic(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphabetic)
}

fn is_upper(text: &str) -> bool {
    text == text.to_uppercase()
}

/// The text behind its first letter.
pub(crate) fn tail(text: &str) -> &str {
    text.get(text.chars().next().map_or(0, char::len_utf8)..)
        .unwrap_or_default()
}

impl Lexicon {
    pub(crate) fn load(assets: &Assets, variety: Variety) -> Result<Self, HibariError> {
        let [gold, silver] = variety.lexicons();
        Ok(Self {
            gold: assets.json(gold)?,
            silver: assets.json(silver)?,
            variety,
        })
    }

    fn has(&self, word: &str) -> bool {
        self.gold.contains(word) || self.silver.contains(word)
    }

    /// The sound of a token; `None` when neither dictionary nor rules know it.
    pub(crate) fn phonemes(&self, token: &Token<'_>, context: Context) -> Option<String> {
        let word = token.alias.unwrap_or(&token.text).replace(['‘', '’'], "'");
        let word: String = word.nfkc().collect();
        let stress = match word == word.to_lowercase() {
            true => None,
            false if is_upper(&word) => Some(Stress::CAPITALS),
            false => Some(Stress::CAPITAL),
        };
        if let Some(phonemes) = self.word(&word, token.tag, stress, context) {
            let unit = token
                .currency
                .and_then(currency_names)
                .and_then(|(unit, _)| self.with_ending_s(&format!("{unit}s"), None, None, None));
            return Some(unit.map_or(phonemes.clone(), |unit| format!("{phonemes} {unit}")));
        }
        is_number(&word, token.is_head)
            .then(|| self.number(&word, token.currency, token.is_head))
            .flatten()
    }

    /// The letters' names, the last one stressed.
    fn spelled(&self, word: &str) -> Option<String> {
        let letters: Option<Vec<&str>> = word
            .chars()
            .filter(|c| c.is_alphabetic())
            .map(|c| self.gold.plain(&c.to_uppercase().to_string()))
            .collect();
        Some(stress_last(&apply(
            &letters?.concat(),
            Some(Stress::SECONDARY),
        )))
    }

    /// Words whose sound depends on what follows them, and what is no word.
    fn special(
        &self,
        word: &str,
        tag: &str,
        stress: Option<Stress>,
        context: Context,
    ) -> Option<String> {
        let own = |text: &str| Some(text.to_owned());
        let is_noun = tag.starts_with("NN");
        match word {
            "." if tag == "ADD" => {
                return self.look_up("dot", None, Some(Stress::LESS), Some(context));
            }
            "/" if tag == "ADD" => {
                return self.look_up("slash", None, Some(Stress::LESS), Some(context));
            }
            _ => {}
        }
        if let Some(name) = symbol_name(word) {
            return self.look_up(name, None, None, Some(context));
        }
        if is_abbreviation(word) {
            return self.spelled(word);
        }
        match word {
            "a" | "A" => own(if tag == "DT" { "ɐ" } else { "ˈA" }),
            "am" | "Am" | "AM" if is_noun => self.spelled(word),
            "am" if context.vowel_follows.is_some()
                && stress.is_none_or(|Stress(stress)| stress <= 0.0) =>
            {
                own("ɐm")
            }
            "am" | "Am" | "AM" => self.gold.plain("am").map(str::to_owned),
            "AN" if is_noun => self.spelled(word),
            "an" | "An" | "AN" => own("ɐn"),
            "I" if tag == "PRP" => own("ˌI"),
            "by" | "By" | "BY" if parent_tag(tag) == "ADV" => own("bˈI"),
            "to" | "To" => self.to(context),
            "TO" if tag == "TO" || tag == "IN" => self.to(context),
            "in" | "In" => Some(within(tag, context)),
            "IN" if tag != "NNP" => Some(within(tag, context)),
            "the" | "The" => Some(the(context)),
            "THE" if tag == "DT" => Some(the(context)),
            _ if tag == "IN" && matches!(word.to_lowercase().as_str(), "vs" | "vs.") => {
                self.look_up("versus", None, None, Some(context))
            }
            "used" | "Used" | "USED" => {
                let is_habit = matches!(tag, "VBD" | "JJ") && context.to_follows;
                match self.gold.get("used")? {
                    Entry::ByTag(by_tag) => by_tag
                        .get(if is_habit { "VBD" } else { "DEFAULT" })
                        .map(str::to_owned),
                    Entry::One(phonemes) => own(phonemes),
                }
            }
            _ => None,
        }
    }

    fn to(&self, context: Context) -> Option<String> {
        match context.vowel_follows {
            None => self.gold.plain("to").map(str::to_owned),
            Some(false) => Some("tə".to_owned()),
            Some(true) => Some("tʊ".to_owned()),
        }
    }

    fn is_known(&self, word: &str) -> bool {
        if self.has(word) || symbol_name(word).is_some() {
            return true;
        }
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return false;
        }
        word.len() == 1
            || (is_upper(word) && self.gold.contains(&word.to_lowercase()))
            || is_upper(tail(word))
    }

    pub(crate) fn look_up(
        &self,
        word: &str,
        tag: Option<&str>,
        stress: Option<Stress>,
        context: Option<Context>,
    ) -> Option<String> {
        let lower;
        let mut word = word;
        let mut is_name = false;
        if is_upper(word) && !self.gold.contains(word) {
            lower = word.to_lowercase();
            word = &lower;
            is_name = tag == Some("NNP");
        }
        let entry = self
            .gold
            .get(word)
            .or_else(|| if is_name { None } else { self.silver.get(word) });
        let phonemes = entry.and_then(|entry| match entry {
            Entry::One(phonemes) => Some(phonemes),
            Entry::ByTag(by_tag) => {
                let at_end = context
                    .is_some_and(|context| context.vowel_follows.is_none())
                    .then(|| by_tag.get("None"))
                    .flatten();
                let by_part = |tag: &str| by_tag.get(tag).or_else(|| by_tag.get(parent_tag(tag)));
                let found = at_end
                    .or_else(|| tag.and_then(by_part))
                    .or_else(|| by_tag.get("DEFAULT"));
                found.filter(|phonemes| !phonemes.is_empty())
            }
        });
        match phonemes {
            Some(phonemes) if !is_name || phonemes.contains(PRIMARY) => {
                Some(apply(phonemes, stress))
            }
            other => self
                .spelled(word)
                .or_else(|| other.map(|phonemes| apply(phonemes, stress))),
        }
    }

    pub(crate) fn with_ending_s(
        &self,
        word: &str,
        tag: Option<&str>,
        stress: Option<Stress>,
        context: Option<Context>,
    ) -> Option<String> {
        let len = word.chars().count();
        if len < 3 || !word.ends_with('s') {
            return None;
        }
        let less_one = word
            .strip_suffix('s')
            .filter(|stem| !stem.ends_with('s') && self.is_known(stem));
        let less_two = || {
            let has_e = len > 4 && word.ends_with("es") && !word.ends_with("ies");
            let stem = word
                .strip_suffix("'s")
                .or_else(|| word.strip_suffix("es").filter(|_| has_e))?;
            self.is_known(stem).then(|| stem.to_owned())
        };
        let with_y = || {
            let stem = format!("{}y", word.strip_suffix("ies").filter(|_| len > 4)?);
            self.is_known(&stem).then_some(stem)
        };
        let stem = less_one
            .map(str::to_owned)
            .or_else(less_two)
            .or_else(with_y)?;
        self.variety
            .with_s(&self.look_up(&stem, tag, stress, context)?)
    }

    fn with_ending_ed(
        &self,
        word: &str,
        tag: Option<&str>,
        stress: Option<Stress>,
        context: Option<Context>,
    ) -> Option<String> {
        let len = word.chars().count();
        if len < 4 || !word.ends_with('d') {
            return None;
        }
        let less_one = word
            .strip_suffix('d')
            .filter(|stem| !stem.ends_with('d') && self.is_known(stem));
        let less_two = || {
            word.strip_suffix("ed")
                .filter(|stem| len > 4 && !stem.ends_with('e') && self.is_known(stem))
        };
        self.variety
            .with_ed(&self.look_up(less_one.or_else(less_two)?, tag, stress, context)?)
    }

    fn with_ending_ing(
        &self,
        word: &str,
        tag: Option<&str>,
        stress: Option<Stress>,
        context: Option<Context>,
    ) -> Option<String> {
        let len = word.chars().count();
        let stem = word.strip_suffix("ing").filter(|_| len >= 5)?;
        let plain = (len > 5 && self.is_known(stem)).then(|| stem.to_owned());
        let with_e = || Some(format!("{stem}e")).filter(|stem| self.is_known(stem));
        let single = || {
            let mut back = stem.chars().rev();
            let (last, before) = (back.next()?, back.next()?);
            let is_doubled =
                (last == before && "bcdgklmnprstvxz".contains(last)) || stem.ends_with("ck");
            let shorter = stem.get(..stem.len() - last.len_utf8())?;
            (len > 5 && is_doubled && self.is_known(shorter)).then(|| shorter.to_owned())
        };
        self.variety.with_ing(&self.look_up(
            &plain.or_else(with_e).or_else(single)?,
            tag,
            stress,
            context,
        )?)
    }

    fn word(
        &self,
        word: &str,
        tag: &str,
        stress: Option<Stress>,
        context: Context,
    ) -> Option<String> {
        if let Some(phonemes) = self.special(word, tag, stress, context) {
            return Some(phonemes);
        }
        let lower = word.to_lowercase();
        let word = if self.is_capitalized_word(word, &lower, tag, stress, context) {
            lower.as_str()
        } else {
            word
        };
        let (tag, context) = (Some(tag), Some(context));
        if self.is_known(word) {
            return self.look_up(word, tag, stress, context);
        }
        if let Some(stem) = word
            .strip_suffix("s'")
            .map(|stem| format!("{stem}'s"))
            .filter(|stem| self.is_known(stem))
        {
            return self.look_up(&stem, tag, stress, context);
        }
        if let Some(stem) = word.strip_suffix('\'').filter(|stem| self.is_known(stem)) {
            return self.look_up(stem, tag, stress, context);
        }
        self.with_ending_s(word, tag, stress, context)
            .or_else(|| self.with_ending_ed(word, tag, stress, context))
            .or_else(|| self.with_ending_ing(word, tag, stress.or(Some(Stress::CAPITAL)), context))
    }

    /// A word with a capital that is only known without it.
    fn is_capitalized_word(
        &self,
        word: &str,
        lower: &str,
        tag: &str,
        stress: Option<Stress>,
        context: Context,
    ) -> bool {
        let len = word.chars().count();
        let is_candidate = len > 1
            && is_alphabetic(&word.replace('\'', ""))
            && word != lower
            && (tag != "NNP" || len > 7)
            && !self.has(word)
            && (is_upper(word) || tail(word) == tail(word).to_lowercase());
        let (tag, context) = (Some(tag), Some(context));
        is_candidate
            && (self.has(lower)
                || self.with_ending_s(lower, tag, stress, context).is_some()
                || self.with_ending_ed(lower, tag, stress, context).is_some()
                || self.with_ending_ing(lower, tag, stress, context).is_some())
    }
}

/// *e.g.*, *U.S.*: letters with points between them.
fn is_abbreviation(word: &str) -> bool {
    word.trim_matches('.').contains('.')
        && is_alphabetic(&word.replace('.', ""))
        && word
            .split('.')
            .map(|part| part.chars().count())
            .max()
            .is_some_and(|longest| longest < 3)
}

fn within(tag: &str, context: Context) -> String {
    if context.vowel_follows.is_none() || tag != "IN" {
        "ˈɪn".to_owned()
    } else {
        "ɪn".to_owned()
    }
}

fn the(context: Context) -> String {
    if context.vowel_follows == Some(true) {
        "ði".to_owned()
    } else {
        "ðə".to_owned()
    }
}

fn is_number(word: &str, is_head: bool) -> bool {
    if !word.bytes().any(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let endings = ["ing", "'d", "ed", "'s", "st", "nd", "rd", "th", "s"];
    let stem = endings
        .iter()
        .find_map(|ending| word.strip_suffix(ending))
        .unwrap_or(word);
    stem.chars().enumerate().all(|(index, c)| {
        c.is_ascii_digit() || c == ',' || c == '.' || (is_head && index == 0 && c == '-')
    })
}

/// Whether the sound that begins with these phonemes is a vowel, for the word before; `None` before punctuation.
pub(crate) fn first_sound(phonemes: &str, otherwise: Option<bool>) -> Option<bool> {
    for c in phonemes.chars() {
        if ";:,.!?—…".contains(c) {
            return None;
        }
        if is_vowel(c) {
            return Some(true);
        }
        if super::stress::is_consonant(c) {
            return Some(false);
        }
    }
    otherwise
}
