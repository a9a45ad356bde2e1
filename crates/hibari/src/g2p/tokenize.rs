//! Text to tokens by spaCy's English rules (MIT): special cases (`don't`, `10am`), then punctuation at both ends, then hyphens
//! and slashes inside. The lexicon and the tagger expect exactly these pieces.

use fancy_regex::Regex;
use rustc_hash::FxHashMap;

use crate::HibariError;
use crate::assets::Assets;

const LETTER: &str = r"[^\W\d_]";
const LOWER: &str = "a-zß-öø-ÿ";
const UPPER: &str = "A-ZÀ-ÖØ-Þ";
const QUOTES: &str = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉";
const PUNCTUATION: &str = "…,:;!?¿¡()[]{}<>_#*&。？！，、；：～·";
const ICONS: &str = "™®©°§¶†‡•";
const CURRENCY: &str = r"\$|£|€|¥|฿|US\$|C\$|A\$|₽|₹|₩|₪|₺|₴|₦|₫|₱|₲|₵|₸|₼|₾|₿";
const UNITS: &str = "km|km²|km³|m|m²|m³|dm|dm²|dm³|cm|cm²|cm³|mm|mm²|mm³|ha|µm|nm|yd|in|ft|kg|g|mg|µg|t|lb|oz|m/s|km/h\
                     |kmh|mph|hPa|Pa|mbar|mb|MB|kb|KB|gb|GB|tb|TB|T|G|M|K|%";
const ADDRESS: &str = r"(?i)^(?:(?:https?|ftp)://|www\.)\S+$|^[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+$|^(?:[\w\-]+\.)+(?:com|org|net|edu|gov|io|co|uk|de|fr|info|biz|us|ca|au|tv|me|ly|ai)(?:/\S*)?$";

/// The tokenizer. Shared by all callers.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    special: FxHashMap<String, Vec<String>>,
    prefix: Regex,
    suffix: Regex,
    infix: Regex,
    address: Regex,
}

/// Each character of `characters` as a regular expression.
fn each(characters: &str) -> impl Iterator<Item = String> {
    characters
        .chars()
        .map(|c| super::literal(c.encode_utf8(&mut [0; 4])))
}

fn class(characters: &str) -> String {
    each(characters).collect()
}

impl Tokenizer {
    pub(crate) fn load(assets: &Assets) -> Result<Self, HibariError> {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let icons = format!("[{}]", class(ICONS));
        let (quotes, punctuation) = (class(QUOTES), class(PUNCTUATION));

        let mut prefixes = words(&["§", "%", "=", "—", "–", r"\+(?![0-9])", "…", "……"]);
        prefixes.extend(each(PUNCTUATION));
        prefixes.extend(words(&[r"\.\.+", "…"]));
        prefixes.extend(each(QUOTES));
        prefixes.extend([CURRENCY.to_owned(), icons.clone()]);

        let mut suffixes = words(&["…", "……"]);
        suffixes.extend(each(PUNCTUATION));
        suffixes.extend(words(&[r"\.\.+", "…"]));
        suffixes.extend(each(QUOTES));
        suffixes.push(icons.clone());
        suffixes.extend(words(&[
            "'s",
            "'S",
            "’s",
            "’S",
            "—",
            "–",
            r"(?<=[0-9])\+",
            r"(?<=°[FfCcKk])\.",
        ]));
        suffixes.extend([
            format!("(?<=[0-9])(?:{CURRENCY})"),
            format!("(?<=[0-9])(?:{UNITS})"),
            format!(r"(?<=[0-9{LOWER}%²\-\+{punctuation}{quotes}])\."),
            format!(r"(?<=[{UPPER}][{UPPER}])\."),
        ]);

        let mut infixes = words(&[r"\.\.+", "…"]);
        infixes.push(icons);
        infixes.extend([
            r"(?<=[0-9])[+\-\*\^](?=[0-9\-])".to_owned(),
            format!(r"(?<=[{LOWER}{quotes}])\.(?=[{UPPER}{quotes}])"),
            format!("(?<={LETTER}),(?={LETTER})"),
            format!(r"(?<=[^\W_])(?:-|–|—|--|---|——|~)(?={LETTER})"),
            format!(r"(?<=[^\W_])[:<>=/](?={LETTER})"),
        ]);

        let group = |list: Vec<String>, before: &str, after: &str| {
            let pattern: Vec<String> = list
                .iter()
                .map(|each| format!("{before}(?:{each}){after}"))
                .collect();
            super::regex(&pattern.join("|"))
        };
        Ok(Self {
            special: assets.json("tokenizer_exceptions.json")?,
            prefix: group(prefixes, "^", "")?,
            suffix: group(suffixes, "", "$")?,
            infix: group(infixes, "", "")?,
            address: super::regex(ADDRESS)?,
        })
    }

    /// The tokens of `text`, and whether a space follows each.
    pub(crate) fn split(&self, text: &str) -> Vec<(String, bool)> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let (chunk, after) = rest.split_at(end);
            let pieces = self.split_chunk(chunk);
            let last = pieces.len().saturating_sub(1);
            tokens.extend(
                pieces
                    .into_iter()
                    .enumerate()
                    .map(|(index, piece)| (piece, index == last && !after.is_empty())),
            );
            rest = after.trim_start();
        }
        tokens
    }

    fn split_chunk(&self, chunk: &str) -> Vec<String> {
        if let Some(pieces) = self.special.get(chunk) {
            return pieces.clone();
        }
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut middle = chunk;
        let mut last_len = usize::MAX;
        while !middle.is_empty() && middle.len() != last_len && !self.special.contains_key(middle) {
            last_len = middle.len();
            let prefix_len = find(&self.prefix, middle).map_or(0, |(_, end)| end);
            let (prefix, without_prefix) = middle.split_at(prefix_len);
            if prefix_len > 0 && self.special.contains_key(without_prefix) {
                before.push(prefix);
                middle = without_prefix;
                break;
            }
            let suffix_len =
                find(&self.suffix, without_prefix).map_or(0, |(start, end)| end - start);
            let (without_suffix, suffix) = middle.split_at(middle.len() - suffix_len);
            if suffix_len > 0 && self.special.contains_key(without_suffix) {
                after.push(suffix);
                middle = without_suffix;
                break;
            }
            if prefix_len > 0 {
                before.push(prefix);
            }
            if suffix_len > 0 {
                after.push(suffix);
            }
            middle = middle
                .get(prefix_len..middle.len() - suffix_len)
                .unwrap_or_default();
        }
        let mut pieces: Vec<String> = before.into_iter().map(str::to_owned).collect();
        self.split_middle(middle, &mut pieces);
        pieces.extend(after.into_iter().rev().map(str::to_owned));
        if pieces.len() > 1 {
            self.rejoin(pieces)
        } else {
            pieces
        }
    }

    fn split_middle(&self, middle: &str, pieces: &mut Vec<String>) {
        if middle.is_empty() {
            return;
        }
        if let Some(special) = self.special.get(middle) {
            pieces.extend(special.iter().cloned());
            return;
        }
        if self.address.is_match(middle).unwrap_or(false) {
            pieces.push(middle.to_owned());
            return;
        }
        let mut start = 0;
        for found in self.infix.find_iter(middle).flatten() {
            if found.start() == 0 || found.as_str().is_empty() {
                continue;
            }
            if found.start() > start {
                pieces.extend(middle.get(start..found.start()).map(str::to_owned));
            }
            pieces.push(found.as_str().to_owned());
            start = found.end();
        }
        pieces.extend(
            middle
                .get(start..)
                .filter(|rest| !rest.is_empty())
                .map(str::to_owned),
        );
    }

    /// Adjacent pieces that spell a special case are one again: `Sept` and `.` are `Sept.`.
    fn rejoin(&self, pieces: Vec<String>) -> Vec<String> {
        let mut joined = Vec::with_capacity(pieces.len());
        let mut at = 0;
        while at < pieces.len() {
            let special = [3, 2].into_iter().find_map(|count| {
                let text = pieces.get(at..at + count)?.concat();
                Some((self.special.get(&text)?, count))
            });
            match special {
                Some((special, count)) => {
                    joined.extend(special.iter().cloned());
                    at += count;
                }
                None => {
                    joined.extend(pieces.get(at).cloned());
                    at += 1;
                }
            }
        }
        joined
    }
}

fn find(regex: &Regex, text: &str) -> Option<(usize, usize)> {
    regex
        .find(text)
        .ok()
        .flatten()
        .map(|found| (found.start(), found.end()))
}
