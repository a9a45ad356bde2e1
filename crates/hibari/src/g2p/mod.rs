//! English text to phonemes, without espeak and without a parser.
//!
//! | module | what |
//! |---|---|
//! | `spoken` | telephone numbers, codes, addresses, hours and measures as people say them |
//! | `normalize` | times, dates, units, abbreviations and symbols in words |
//! | `tokenize` | text to tokens |
//! | `tagger` | parts of speech |
//! | `dictionary`, `lexicon` | words to phonemes |
//! | `amounts` | numbers to phonemes |
//! | `oov` | words that are in no dictionary |
//! | `variety` | American and British |
//! | `stress`, `numbers`, `token` | what these stand on |
//!
//! The pipeline is misaki's (hexgrad, Apache-2.0), as hibari carries it: the voice was trained on its readings.

mod amounts;
mod dictionary;
mod lexicon;
mod normalize;
mod numbers;
mod oov;
mod spoken;
mod stress;
mod tagger;
mod token;
mod tokenize;
mod variety;

use fancy_regex::Regex;
use rten::RunOptions;

use crate::HibariError;
use crate::assets::Assets;

use amounts::currency_sign;
use lexicon::{Context, Lexicon, first_sound};
use normalize::Normalizer;
use oov::Oov;
use stress::Stress;
use tagger::Tagger;
use token::{Token, merge, text_of};
use tokenize::Tokenizer;

pub use variety::Variety;

/// Parts of a token: letters in one case, numbers, hyphens, apostrophes, single signs.
const PARTS: &str = r"^['‘’]+|[A-ZÀ-ÖØ-Þ](?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])|(?:^-)?(?:\d?[,.]?\d)+|[\-_]+|['‘’]{2,}|[^\W\d_]*?(?:['‘’][^\W\d_])*?[a-zß-öø-ÿ](?=[A-ZÀ-ÖØ-Þ])|[^\W\d_]+(?:['‘’][^\W\d_])*|[^\w\-'‘’]|['‘’]+$";
/// Pieces of what no rule could read.
const UNREAD: &str = r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[,.]\d+)*|[^\w\s]+";
/// Signs that make no sound inside a word.
const SILENT: &str = "',-._‘’/";
/// Marks that are phonemes themselves: the voice pauses and bends at them.
const MARKS: &str = ";:,.!?—…\"“”";
const MARKS_WITHOUT_QUOTES: &str = ";:,.!?—…";

/// Text to phonemes. Shared by all callers.
#[derive(Debug)]
pub struct G2p {
    normalizer: Normalizer,
    tokenizer: Tokenizer,
    tagger: Tagger,
    lexicon: Lexicon,
    oov: Oov,
    parts: Regex,
    unread: Regex,
}

/// A word of the text and its sound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// Punctuation has phonemes too: the voice pauses and bends at it.
    pub(crate) phonemes: String,
    /// A space follows in the text.
    pub(crate) has_space: bool,
}

/// The tokens of a word of the text: one, or several without a space between them.
type Group<'a> = Vec<Token<'a>>;

impl G2p {
    /// Loads dictionaries, tagger and rules.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn load(assets: &Assets, variety: Variety) -> Result<Self, HibariError> {
        Ok(Self {
            normalizer: Normalizer::load(assets)?,
            tokenizer: Tokenizer::load(assets)?,
            tagger: Tagger::load(assets)?,
            lexicon: Lexicon::load(assets, variety)?,
            oov: Oov::load(assets, variety)?,
            parts: regex(PARTS)?,
            unread: regex(UNREAD)?,
        })
    }

    /// The phonemes of `text`, words apart by spaces.
    #[must_use]
    pub fn phonemes(&self, text: &str, options: &RunOptions) -> String {
        let mut phonemes = String::new();
        for word in self.words(text, options) {
            phonemes.push_str(&word.phonemes);
            if word.has_space {
                phonemes.push(' ');
            }
        }
        phonemes.trim().to_owned()
    }

    /// The words of `text` with their sound.
    pub(crate) fn words(&self, text: &str, options: &RunOptions) -> Vec<Word> {
        let text = self.normalizer.normalize(text);
        let (texts, spaces): (Vec<String>, Vec<bool>) =
            self.tokenizer.split(&text).into_iter().unzip();
        let tags = self.tagger.tag(&texts);
        let tokens = texts
            .into_iter()
            .zip(tags)
            .zip(spaces)
            .map(|((text, tag), has_space)| Token::new(text, tag, has_space))
            .collect();
        let mut groups = self.group(tokens);
        let mut context = Context::default();
        for group in groups.iter_mut().rev() {
            context = self.read(group, context, options);
        }
        let word = |group: &Group<'_>| Word {
            text: text_of(group),
            phonemes: joined(group),
            has_space: group.last().is_some_and(|token| token.has_space),
        };
        groups.iter().map(word).collect()
    }

    /// Cuts tokens into parts, and puts those of one word together.
    fn group<'a>(&self, tokens: Vec<Token<'a>>) -> Vec<Group<'a>> {
        let mut words: Vec<Group<'a>> = Vec::new();
        // whether the last word goes on: it was open and nothing separates it
        let mut goes_on = false;
        let mut currency = None;
        for (index, token) in tokens.iter().enumerate() {
            let mut parts: Vec<Token<'a>> = self
                .parts
                .find_iter(&token.text)
                .flatten()
                .map(|part| Token::new(part.as_str().to_owned(), token.tag, false))
                .collect();
            if let Some(last) = parts.last_mut() {
                last.has_space = token.has_space;
            }
            let number_follows = tokens.get(index + 1).is_some_and(|next| next.tag == "CD");
            let texts: Vec<String> = parts.iter().map(|part| part.text.clone()).collect();
            for (at, mut part) in parts.into_iter().enumerate() {
                let is_last = at + 1 == texts.len();
                let neighbours = at
                    .checked_sub(1)
                    .and_then(|before| texts.get(before))
                    .zip(texts.get(at + 1));
                settle_sign(
                    &mut part,
                    &mut currency,
                    is_last && !number_follows,
                    neighbours,
                );
                if !part.is_open() {
                    goes_on = false;
                    words.push(vec![part]);
                    continue;
                }
                let has_space = part.has_space;
                match words.last_mut().filter(|_| goes_on) {
                    Some(word) => {
                        part.is_head = false;
                        word.push(part);
                    }
                    None => words.push(vec![part]),
                }
                goes_on = !has_space;
            }
        }
        words
    }

    /// Finds the sound of a word. Returns what the word before it must know.
    fn read(&self, word: &mut Group<'_>, context: Context, options: &RunOptions) -> Context {
        if let [token] = word.as_mut_slice() {
            if token.phonemes.is_none() {
                token.phonemes = self
                    .lexicon
                    .phonemes(token, context)
                    .or_else(|| Some(self.unread(&token.text, options)));
            }
            return next_context(
                context,
                token.phonemes.as_deref().unwrap_or_default(),
                token,
            );
        }
        let mut context = context;
        if self.read_parts(word, &mut context) {
            settle_stress(word);
        } else {
            let whole = self.unread(&text_of(word), options);
            for (index, token) in word.iter_mut().enumerate() {
                token.phonemes = Some(if index == 0 {
                    whole.clone()
                } else {
                    String::new()
                });
            }
        }
        context
    }

    /// Reads the longest known parts of a word from its end. `false` when some part is unknown.
    fn read_parts(&self, word: &mut Group<'_>, context: &mut Context) -> bool {
        let (mut left, mut right) = (0, word.len());
        while left < right {
            let part = word.get_mut(left..right).unwrap_or_default();
            let merged = if part.iter().all(|token| token.is_open()) {
                merge(part)
            } else {
                None
            };
            let read =
                merged.and_then(|merged| Some((self.lexicon.phonemes(&merged, *context)?, merged)));
            if let Some((phonemes, merged)) = read {
                *context = next_context(*context, &phonemes, &merged);
                for (index, token) in part.iter_mut().enumerate() {
                    token.phonemes = Some(if index == 0 {
                        phonemes.clone()
                    } else {
                        String::new()
                    });
                }
                right = left;
                left = 0;
            } else if left + 1 < right {
                left += 1;
            } else {
                right -= 1;
                if let Some(token) = word.get_mut(right).filter(|token| token.phonemes.is_none()) {
                    if !is_silent(&token.text) {
                        return false;
                    }
                    token.phonemes = Some(String::new());
                }
                left = 0;
            }
        }
        true
    }

    /// What no rule could read: letters by the network, digits as numbers, signs by name.
    fn unread(&self, text: &str, options: &RunOptions) -> String {
        let mut pieces = Vec::new();
        for piece in self.unread.find_iter(text).flatten() {
            let piece = piece.as_str();
            let phonemes = if piece.starts_with(char::is_numeric) {
                self.lexicon.number(piece, None, false)
            } else if piece.starts_with(char::is_alphabetic) {
                self.oov.phonemes(piece, options.clone())
            } else {
                Some(piece.chars().map(sign_phonemes).collect())
            };
            pieces.extend(phonemes.filter(|phonemes| !phonemes.is_empty()));
        }
        pieces.join(" ")
    }
}

fn is_silent(text: &str) -> bool {
    text.chars().all(|c| SILENT.contains(c))
}

/// What the sign `part` sounds like, if it is one, and which currency the number after it is in.
fn settle_sign(
    part: &mut Token<'_>,
    currency: &mut Option<char>,
    ends_amount: bool,
    neighbours: Option<(&String, &String)>,
) {
    let is_mark = matches!(
        part.tag,
        "." | "," | "-LRB-" | "-RRB-" | "``" | "\"\"" | "''" | ":" | "$" | "#" | "NFP"
    );
    let is_ascii_word = part.text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let sign = if part.tag == "$" {
        currency_sign(&part.text)
    } else {
        None
    };
    if sign.is_some() {
        *currency = sign;
        part.phonemes = Some(String::new());
    } else if part.tag == ":" && matches!(part.text.as_str(), "-" | "–") {
        part.phonemes = Some("—".to_owned());
    } else if is_mark && !is_ascii_word {
        part.phonemes = Some(match part.tag {
            "-LRB-" => "(".to_owned(),
            "-RRB-" => ")".to_owned(),
            "``" => "“".to_owned(),
            "\"\"" | "''" => "”".to_owned(),
            _ => part.text.chars().filter(|c| MARKS.contains(*c)).collect(),
        });
    } else if currency.is_some() {
        if part.tag != "CD" {
            *currency = None;
        } else if ends_amount {
            part.currency = *currency;
        }
    } else if part.text == "2"
        && let Some((before, after)) = neighbours
        && before.chars().next_back().is_some_and(char::is_alphabetic)
        && after.chars().next().is_some_and(char::is_alphabetic)
    {
        part.alias = Some("to");
    }
}

fn next_context(context: Context, phonemes: &str, token: &Token<'_>) -> Context {
    let is_to = matches!(token.text.as_str(), "to" | "To")
        || (token.text == "TO" && matches!(token.tag, "TO" | "IN"));
    Context {
        vowel_follows: first_sound(phonemes, context.vowel_follows),
        to_follows: is_to,
    }
}

/// Pauses between unlike parts of a word, and one main stress for like ones.
fn settle_stress(word: &mut Group<'_>) {
    let text = text_of(word);
    let kind = |c: char| {
        if c.is_alphabetic() {
            0
        } else if c.is_ascii_digit() {
            1
        } else {
            2
        }
    };
    let mut kinds = text.chars().filter(|c| !SILENT.contains(*c)).map(kind);
    let first = kinds.next();
    let has_gap =
        text.contains([' ', '/']) || first.is_some_and(|first| kinds.any(|kind| kind != first));
    let last = word.len().saturating_sub(1);
    for (index, token) in word.iter_mut().enumerate() {
        if token.phonemes.is_none() {
            if index == last
                && token.text.chars().count() == 1
                && MARKS_WITHOUT_QUOTES.contains(&token.text)
            {
                token.phonemes = Some(token.text.clone());
            } else if is_silent(&token.text) {
                token.phonemes = Some(String::new());
            }
        } else if index > 0 {
            token.has_gap = has_gap;
        }
    }
    if has_gap {
        return;
    }
    let mut sounding: Vec<(bool, usize, usize)> = Vec::new();
    for (index, token) in word.iter().enumerate() {
        let phonemes = token.phonemes.as_deref().unwrap_or_default();
        if !phonemes.is_empty() {
            sounding.push((
                phonemes.contains(stress::PRIMARY),
                stress::weight(phonemes),
                index,
            ));
        }
    }
    let weaken = |word: &mut Group<'_>, index: usize| {
        if let Some(phonemes) = word
            .get_mut(index)
            .and_then(|token| token.phonemes.as_mut())
        {
            *phonemes = stress::apply(phonemes, Some(Stress::LESS));
        }
    };
    if let [(_, _, first), (_, _, second)] = sounding.as_slice()
        && word
            .get(*first)
            .is_some_and(|token| token.text.chars().count() == 1)
    {
        weaken(word, *second);
        return;
    }
    let stressed = sounding
        .iter()
        .filter(|(is_stressed, ..)| *is_stressed)
        .count();
    if sounding.len() < 2 || stressed <= sounding.len().div_ceil(2) {
        return;
    }
    sounding.sort_unstable();
    for (_, _, index) in sounding.iter().take(sounding.len() / 2) {
        weaken(word, *index);
    }
}

/// The sound of a word from that of its tokens.
fn joined(word: &Group<'_>) -> String {
    let mut joined = String::new();
    for token in word {
        let phonemes = token.phonemes.as_deref().unwrap_or_default();
        let is_apart = token.has_gap
            && word.len() > 1
            && !joined.is_empty()
            && !joined.ends_with(char::is_whitespace);
        if is_apart && !phonemes.is_empty() {
            joined.push(' ');
        }
        joined.push_str(phonemes);
    }
    joined.replace('ɾ', "T").replace('ʔ', "t")
}

fn sign_phonemes(sign: char) -> &'static str {
    match sign {
        '/' => "slˈæʃ",
        '=' => "ˈikwᵊlz",
        '+' => "plˈʌs",
        '&' => "ænd",
        '@' => "æt",
        '%' => "pəɹsˈɛnt",
        '#' => "hˈæʃ",
        '*' => "ˈæstəɹˌɪsk",
        '~' => "tˈɪldə",
        '^' => "kˈɛɹət",
        '<' => "lˈɛs ðən",
        '>' => "ɡɹˈATəɹ ðən",
        '—' => "—",
        _ => "",
    }
}

/// `text` as a regular expression that matches just it.
fn literal(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation()
            && !matches!(
                c,
                '<' | '>' | '_' | '"' | '\'' | '%' | ',' | ':' | ';' | '=' | '@' | '`' | '!' | '/'
            )
        {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn regex(pattern: &str) -> Result<Regex, HibariError> {
    Regex::new(pattern).map_err(|error| HibariError::Assets {
        file: "the reading rules".into(),
        message: format!("{error} in {pattern}"),
    })
}
