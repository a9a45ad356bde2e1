//! Numbers to phonemes: years, money, decimals, ordinals, and digits inside a word.
//!
//! Source: misaki 0.9.4, `en.py` (hexgrad, Apache-2.0).

use super::lexicon::{Lexicon, is_digits, tail};
use super::numbers;
use super::stress::Stress;

const ORDINAL_ENDINGS: [&str; 4] = ["st", "nd", "rd", "th"];

/// Amounts of money: the unit and its hundredth.
pub(crate) fn currency_names(sign: char) -> Option<(&'static str, &'static str)> {
    match sign {
        '$' => Some(("dollar", "cent")),
        '£' => Some(("pound", "pence")),
        '€' => Some(("euro", "cent")),
        _ => None,
    }
}

/// The sign of a currency whose amounts are read here.
pub(crate) fn currency_sign(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let sign = chars
        .next()
        .filter(|sign| currency_names(*sign).is_some())?;
    chars.next().is_none().then_some(sign)
}

impl Lexicon {
    /// A number as the voice reads it: years, money, decimals, telephone digits, ordinals.
    pub(crate) fn number(
        &self,
        word: &str,
        currency: Option<char>,
        is_head: bool,
    ) -> Option<String> {
        let stem = word.trim_end_matches(|c: char| c.is_ascii_lowercase() || c == '\'');
        let ending = word.get(stem.len()..).unwrap_or_default();
        let mut reader = NumberReader {
            lexicon: self,
            words: Vec::new(),
        };
        let (is_negative, digits) = stem
            .strip_prefix('-')
            .map_or((false, stem), |digits| (true, digits));
        if is_negative {
            reader.words.extend(self.look_up("minus", None, None, None));
        }
        reader.read(digits, ending, currency, is_head);
        if reader.words.is_empty() {
            return None;
        }
        let phonemes = reader.words.join(" ");
        match ending {
            "s" | "'s" => self.variety.with_s(&phonemes),
            "ed" | "'d" => self.variety.with_ed(&phonemes),
            "ing" => self.variety.with_ing(&phonemes),
            _ => Some(phonemes),
        }
    }
}

/// Writes a number's words.
struct NumberReader<'a> {
    lexicon: &'a Lexicon,
    words: Vec<String>,
}

impl NumberReader<'_> {
    /// Each English word of `text`; *and* is not said.
    fn say(&mut self, text: &str) {
        for word in text
            .split(|c: char| !c.is_ascii_lowercase())
            .filter(|word| !word.is_empty() && *word != "and")
        {
            let stress = (word == "point").then_some(Stress::NONE);
            self.words
                .extend(self.lexicon.look_up(word, None, stress, None));
        }
    }

    /// A row of digits as one number; digit by digit when no number is that long.
    fn say_number(&mut self, digits: &str) {
        match digits.parse() {
            Ok(number) => self.say(&numbers::cardinal(number)),
            Err(_) => self.say_digits(digits),
        }
    }

    fn say_digits(&mut self, digits: &str) {
        for digit in digits.chars().filter_map(|c| c.to_digit(10)) {
            self.say(numbers::digit(digit));
        }
    }

    fn read(&mut self, digits: &str, ending: &str, currency: Option<char>, is_head: bool) {
        let is_ordinal = ORDINAL_ENDINGS.contains(&ending);
        let names = currency.and_then(currency_names);
        let plain = digits.replace(',', "");
        let points = digits.matches('.').count();
        let number: Option<u128> = plain.parse().ok();
        if is_digits(digits) && is_ordinal {
            match number {
                Some(number) => self.say(&numbers::ordinal(number)),
                None => self.say_digits(digits),
            }
        } else if let Some(number) = number.filter(|_| {
            self.words.is_empty() && digits.len() == 4 && names.is_none() && is_digits(digits)
        }) {
            self.say(&numbers::year(number));
        } else if !is_head && points == 0 {
            self.read_inside_a_word(&plain);
        } else if points > 1 || !is_head {
            for part in plain.split('.').filter(|part| !part.is_empty()) {
                let is_round = part.len() == 2 || tail(part).bytes().all(|byte| byte == b'0');
                if part.starts_with('0') || !is_round {
                    self.say_digits(part)
                } else {
                    self.say_number(part)
                }
            }
        } else if let Some((unit, hundredth)) = names.filter(|_| {
            digits
                .split_once('.')
                .is_none_or(|(_, cents)| cents.len() < 3)
        }) {
            self.read_money(&plain, unit, hundredth);
        } else if points == 0 {
            match number {
                Some(number) if is_ordinal && !is_digits(digits) => {
                    self.say(&numbers::ordinal(number))
                }
                _ => self.say_number(&plain),
            }
        } else if let Some(fraction) = plain.strip_prefix('.') {
            self.say("point");
            self.say_digits(fraction);
        } else {
            self.say(&numbers::decimal(&plain));
        }
    }

    /// Digits that go on within a word, as in *B747* or *R2D2*: long ones digit by digit, three as in *seven forty-seven*.
    fn read_inside_a_word(&mut self, digits: &str) {
        if digits.starts_with('0') || digits.len() > 3 {
            self.say_digits(digits);
        } else if digits.len() == 3 && !digits.ends_with("00") {
            let (hundreds, rest) = digits.split_at(1);
            self.say_number(hundreds);
            if let Some(last) = rest.strip_prefix('0') {
                self.words
                    .extend(self.lexicon.look_up("O", None, Some(Stress::NONE), None));
                self.say_number(last);
            } else {
                self.say_number(rest);
            }
        } else {
            self.say_number(digits);
        }
    }

    fn read_money(&mut self, amount: &str, unit: &'static str, hundredth: &'static str) {
        let (whole, cents) = amount
            .split_once('.')
            .map_or((amount, None), |(whole, cents)| (whole, Some(cents)));
        let value = |digits: &str| digits.parse::<u128>().unwrap_or(0);
        let mut parts = vec![(value(whole), unit)];
        match cents.map(value) {
            None | Some(0) => {}
            Some(cents) if value(whole) == 0 => parts = vec![(cents, hundredth)],
            Some(cents) => parts.push((cents, hundredth)),
        }
        for (index, (number, unit)) in parts.into_iter().enumerate() {
            if index > 0 {
                self.words
                    .extend(self.lexicon.look_up("and", None, None, None));
            }
            self.say(&numbers::cardinal(number));
            let name = match number {
                1 => self.lexicon.look_up(unit, None, None, None),
                _ if unit == "pence" => self.lexicon.look_up(unit, None, None, None),
                _ => self
                    .lexicon
                    .with_ending_s(&format!("{unit}s"), None, None, None),
            };
            self.words.extend(name);
        }
    }
}
